//! The imports between modules: sibling modules import each other in one direction only, and shared modules import only
//! modules of lower layers. Reads the tokens of every source file, without its comments and its `#[cfg(test)]` items.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::str::FromStr;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use walkdir::WalkDir;

/// The shared modules, lowest layer first. A module imports only modules of lower layers. The tools stand above all
/// layers, and a tool never imports another.
const LAYERS: [&[&str]; 9] = [
    &[
        "digest",
        "escape",
        "heartbeat",
        "own_limits",
        "private_file",
        "promql",
        "staging",
        "statistics",
        "thread_demand",
        "workers",
    ],
    &["html", "record", "secrets"],
    &["units"],
    &["cli", "clock", "markup", "page"],
    &["cookies", "input", "journal", "ndjson", "quantity", "slots", "stored_jobs"],
    &["figures", "http", "runs"],
    &["profile", "prometheus", "scenario"],
    &["capture", "health", "links", "listing", "steps", "token"],
    &["target"],
];

/// A module's path below the crate's root; empty for the root itself.
type Module = Vec<String>;

/// The modules of a crate and the modules that each imports.
struct Crate {
    imports: BTreeMap<Module, BTreeSet<Module>>,
}

impl Crate {
    fn read(root: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(root);
        let files = WalkDir::new(&root).into_iter().map(Result::unwrap);
        let files = files.filter(|file| file.path().extension().is_some_and(|extension| extension == "rs"));
        let mut paths = BTreeMap::<Module, Vec<Vec<String>>>::new();
        for file in files.filter(|file| !file.path().starts_with(root.join("bin"))) {
            let module = module_of(file.path().strip_prefix(&root).unwrap());
            let tokens = TokenStream::from_str(&fs::read_to_string(file.path()).unwrap()).unwrap();
            collect_paths(tokens, &module, paths.entry(module.clone()).or_default());
        }
        let modules: BTreeSet<Module> = paths.keys().cloned().collect();
        let resolve = |path: &Vec<String>| {
            (0..=path.len())
                .rev()
                .map(|length| path[..length].to_vec())
                .find(|prefix| modules.contains(prefix))
                .unwrap()
        };
        Self {
            imports: paths
                .iter()
                .map(|(module, paths)| (module.clone(), paths.iter().map(resolve).collect()))
                .collect(),
        }
    }

    /// The imports between the children of `parent`, each by its name.
    fn imports_below(&self, parent: &[String]) -> BTreeSet<(&str, &str)> {
        self.imports
            .iter()
            .flat_map(|(from, imported)| imported.iter().map(move |to| (from, to)))
            .filter(|(from, to)| from.starts_with(parent) && to.starts_with(parent))
            .filter_map(|(from, to)| Some((from.get(parent.len())?.as_str(), to.get(parent.len())?.as_str())))
            .filter(|(from, to)| from != to)
            .collect()
    }
}

/// `tools/poll_jobs/job.rs` is the module `tools::poll_jobs::job`.
fn module_of(file: &Path) -> Module {
    let parts = file.with_extension("");
    let mut module: Module = parts.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    if ["mod", "lib", "main"].contains(&module.last().unwrap().as_str()) {
        module.pop();
    }
    module
}

/// Collects the absolute form of every path in `tokens` that begins with `crate`, `super` or `self`.
fn collect_paths(tokens: TokenStream, module: &Module, paths: &mut Vec<Vec<String>>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            _ if is_test_attribute(&tokens[at..]) => at = end_of_item(&tokens, at + 2),
            TokenTree::Ident(ident) if *ident == "crate" && is_path(&tokens[at + 1..]) => {
                at = collect_tree(&tokens, at + 3, &[], paths);
            }
            TokenTree::Ident(ident) if *ident == "super" && is_path(&tokens[at + 1..]) => {
                let mut parent = module.clone();
                parent.pop();
                at += 3;
                while matches!(&tokens[at], TokenTree::Ident(ident) if *ident == "super") && is_path(&tokens[at + 1..])
                {
                    parent.pop();
                    at += 3;
                }
                at = collect_tree(&tokens, at, &parent, paths);
            }
            TokenTree::Group(group) => {
                collect_paths(group.stream(), module, paths);
                at += 1;
            }
            _ => at += 1,
        }
    }
}

/// Collects the paths that begin with `prefix` and go on at `at`; returns the position after them.
fn collect_tree(tokens: &[TokenTree], mut at: usize, prefix: &[String], paths: &mut Vec<Vec<String>>) -> usize {
    let mut path = prefix.to_vec();
    loop {
        match tokens.get(at) {
            Some(TokenTree::Ident(ident)) => {
                if *ident != "self" {
                    path.push(ident.to_string());
                }
                at += 1;
                if !is_path(&tokens[at..]) {
                    break;
                }
                at += 2;
            }
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                let is_comma = |token: &TokenTree| matches!(token, TokenTree::Punct(comma) if comma.as_char() == ',');
                for entry in inner.split(is_comma).filter(|entry| !entry.is_empty()) {
                    collect_tree(entry, 0, &path, paths);
                }
                return at + 1;
            }
            // A glob, or the `<` of generic arguments.
            _ => break,
        }
    }
    paths.push(path);
    at
}

fn is_path(tokens: &[TokenTree]) -> bool {
    let is_colon = |token: &TokenTree| matches!(token, TokenTree::Punct(colon) if colon.as_char() == ':');
    tokens.len() > 2 && is_colon(&tokens[0]) && is_colon(&tokens[1])
}

/// Returns true if `tokens` begin with `#[cfg(test)]`.
fn is_test_attribute(tokens: &[TokenTree]) -> bool {
    matches!(tokens, [TokenTree::Punct(hash), TokenTree::Group(group), ..]
        if hash.as_char() == '#' && group.stream().to_string().replace(' ', "") == "cfg(test)")
}

/// The position after the item at `at`: behind its body or its semicolon.
fn end_of_item(tokens: &[TokenTree], at: usize) -> usize {
    let ends = |token: &TokenTree| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(punct) => punct.as_char() == ';',
        _ => false,
    };
    tokens[at..].iter().position(ends).map_or(tokens.len(), |position| at + position + 1)
}

/// The groups of names that import each other, directly or through others.
fn cycles(imports: &BTreeSet<(&str, &str)>) -> BTreeSet<String> {
    let reachable = |from: &str| {
        let (mut found, mut open) = (BTreeSet::new(), vec![from.to_owned()]);
        while let Some(name) = open.pop() {
            let next = imports.iter().filter(|(importer, _)| *importer == name).map(|(_, imported)| *imported);
            open.extend(next.filter(|next| found.insert((*next).to_owned())).map(str::to_owned));
        }
        found
    };
    let reached: BTreeMap<&str, BTreeSet<String>> = imports.iter().map(|(from, _)| (*from, reachable(from))).collect();
    let in_cycle = |name: &&str| reached[*name].contains(*name);
    let group = |name: &str| {
        let members = reached.keys().filter(|other| reached[name].contains(**other) && reached[**other].contains(name));
        members.copied().collect::<Vec<_>>().join(", ")
    };
    reached.keys().filter(|name| in_cycle(name)).map(|name| group(name)).collect()
}

#[test]
fn sibling_modules_import_each_other_in_one_direction_only() {
    let mut found = BTreeSet::new();
    for root in ["src", "sim/src"] {
        let read = Crate::read(root);
        assert!(read.imports.values().any(|imports| !imports.is_empty()), "{root} has no imports at all");
        let parents: BTreeSet<&[String]> =
            read.imports.keys().flat_map(|module| (0..module.len()).map(|length| &module[..length])).collect();
        for parent in parents {
            let below = read.imports_below(parent);
            found.extend(
                cycles(&below)
                    .into_iter()
                    .map(|group| format!("{}: {group}", [&[root.to_owned()], parent].concat().join("/"))),
            );
        }
    }
    assert_eq!(found, BTreeSet::new(), "mend the imports");
}

#[test]
fn shared_modules_import_only_lower_layers_and_tools_no_other_tool() {
    let read = Crate::read("src");
    let layer = |name: &str| LAYERS.iter().position(|names| names.contains(&name));
    let mut found = BTreeSet::new();
    for (from, to) in read.imports_below(&[]) {
        let is_below = match (layer(from), layer(to)) {
            (_, None) if to != "tools" => panic!("no layer names the module {to}"),
            (Some(from), Some(to)) => to < from,
            (None, _) => from == "tools",
            (Some(_), None) => false,
        };
        if !is_below {
            found.insert(format!("{from} -> {to}"));
        }
    }
    for (from, to) in read.imports_below(&["tools".to_owned()]) {
        found.insert(format!("tools::{from} -> tools::{to}"));
    }
    assert_eq!(found, BTreeSet::new(), "mend the imports");
}

#[test]
fn imports_are_read_in_every_form() {
    let source = r#"
        use crate::a::{self, b::C, d::{e, F}};
        use super::super::g::h;
        // use crate::comment::x;
        const TEXT: &str = "crate::string::x";
        fn f() -> crate::i::J { super::k::l::<crate::m::N>(|| super::o()) }
        #[cfg(test)]
        mod tests { use crate::test_only::x; }
        #[cfg(test)]
        use crate::test_only::y;
        pub(crate) fn g() {}
    "#;
    let mut paths = Vec::new();
    let module = ["p", "q", "r"].map(str::to_owned).to_vec();
    collect_paths(TokenStream::from_str(source).unwrap(), &module, &mut paths);
    let paths: BTreeSet<String> = paths.into_iter().map(|path| path.join("::")).collect();
    let expected = ["a", "a::b::C", "a::d::F", "a::d::e", "i::J", "m::N", "p::g::h", "p::q::k::l", "p::q::o"];
    assert_eq!(paths.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

#[test]
fn a_cycle_is_found_through_a_third_module_too() {
    let imports = BTreeSet::from([("a", "b"), ("b", "c"), ("c", "a"), ("d", "a")]);
    assert_eq!(cycles(&imports), BTreeSet::from(["a, b, c".to_owned()]));
    assert_eq!(cycles(&BTreeSet::from([("a", "b"), ("d", "a")])), BTreeSet::new());
}
