//! Templates of a profile: words in braces, such as `{run}` and `{data.language}`, in paths, headers and bodies.

use std::collections::BTreeMap;

use percent_encoding::utf8_percent_encode;
use serde_json::Value;

use crate::digest::Digest;
use crate::escape::RESERVED;
use crate::record::Job;

/// The values that replace a template's words.
#[derive(Clone, Debug)]
pub struct TemplateValues(BTreeMap<String, Value>);

/// The escaping of values in a template, by the position of the template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escaping {
    /// In a URL's path: everything but unreserved characters is percent-encoded (RFC 3986, section 2.3).
    Path,
    /// Unescaped; the caller refuses values that do not fit.
    Text,
}

/// The word with which a path may begin: the URL that is the job's id.
pub(super) const ID_URL: &str = "{id:url}";
/// The word for the ids of several jobs.
const IDS: &str = "ids";

/// The separator of `{ids}` in a text.
const SEPARATOR: &str = ",";

/// The moment at which a template is filled in: it decides which words have a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// For a job that has no id yet.
    Job,
    /// For a job with its id.
    Id,
    /// For all jobs together.
    List,
    /// For the request of a token.
    Token,
}

impl Scope {
    /// The words, and the groups of words with a name behind a dot: the job's `spec.data`, `--set`, and what steps took from
    /// their answers.
    fn words(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::Job => (&["run", "name", "uuid", "source", "path", "null"], &["data", "set", "vars"]),
            Self::Id => (&["run", "name", "uuid", "source", "path", "id", "null"], &["data", "set", "vars"]),
            Self::List => (&["run", "ids", "next", "offset", "page", "null"], &["set", "vars"]),
            Self::Token => (&["null"], &["set", "env"]),
        }
    }

    /// The words as a message lists them.
    fn listed(self) -> String {
        let (words, groups) = self.words();
        let words = words.iter().map(|word| format!("{{{word}}}"));
        words.chain(groups.iter().map(|group| format!("{{{group}.NAME}}"))).collect::<Vec<_>>().join(", ")
    }
}

impl TemplateValues {
    /// The values of `--set`, of which no job is known.
    pub fn of_set(set: &[(String, Value)]) -> Self {
        let null = [("null".to_owned(), Value::Null)];
        Self(null.into_iter().chain(set.iter().map(|(name, value)| (format!("set.{name}"), value.clone()))).collect())
    }

    /// Adds the values of `job`.
    #[must_use]
    pub fn with_job(mut self, job: &Job) -> Self {
        let path = job.spec.path.as_deref().unwrap_or_default();
        let words =
            [("run", &*job.metadata.run), ("name", &job.metadata.name), ("source", &job.spec.source), ("path", path)];
        self.0.extend(words.map(|(word, value)| (word.to_owned(), Value::from(value))));
        self.0.insert("uuid".to_owned(), uuid(&job.metadata.run, &job.metadata.name).into());
        self.0.extend(job.spec.data.iter().map(|(name, value)| (format!("data.{name}"), value.clone())));
        self.with_variables(&job.status.variables)
    }

    /// Adds what steps took from their answers.
    #[must_use]
    pub fn with_variables(mut self, variables: &BTreeMap<String, Value>) -> Self {
        self.0.extend(variables.iter().map(|(name, value)| (format!("vars.{name}"), value.clone())));
        self
    }

    /// Adds the job's id at the target.
    #[must_use]
    pub fn with_id(self, id: &str) -> Self {
        self.with("id", id)
    }

    /// Adds the value of `word`.
    #[must_use]
    pub fn with(mut self, word: &str, value: impl Into<Value>) -> Self {
        self.0.insert(word.to_owned(), value.into());
        self
    }

    fn get(&self, word: &str) -> Result<&Value, String> {
        self.0.get(word).ok_or_else(|| match word.split_once('.') {
            Some(("data", name)) => format!("{{{word}}}: the job has no spec.data.{name}"),
            Some(("set", name)) => format!("{{{word}}}: give --set {name}=VALUE"),
            Some(("vars", name)) => format!("{{{word}}}: no step took {name} from its answer"),
            _ => format!("{{{word}}} is not known here"),
        })
    }
}

/// The UUID of a job, which anyone who submits it again finds again (RFC 9562, version 8).
fn uuid(run: &str, name: &str) -> String {
    let hex = Digest::of(format!("{run}\n{name}").as_bytes());
    let variant = u8::from_str_radix(&hex[16..17], 16).unwrap_or_default() & 3 | 8;
    format!("{}-{}-8{}-{variant:x}{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
}

/// `template` with its words replaced. The error names a word that has no value.
pub fn fill(template: &str, values: &TemplateValues, escaping: Escaping) -> Result<String, String> {
    let mut filled = String::with_capacity(template.len());
    for piece in pieces(template) {
        match piece {
            Piece::Text(text) => filled.push_str(text),
            Piece::Word { name, form } => match values.get(name)? {
                Value::Array(ids) if name == IDS => {
                    let separator = if let Form::Joined(separator) = form { separator } else { SEPARATOR };
                    for (index, id) in ids.iter().enumerate() {
                        if index > 0 {
                            filled.push_str(separator);
                        }
                        push_value(id, escaping, form, &mut filled)?;
                    }
                }
                value => push_value(value, escaping, form, &mut filled)?,
            },
        }
    }
    Ok(filled)
}

/// Adds `value`, escaped for its position.
fn push_value(value: &Value, escaping: Escaping, form: Form<'_>, filled: &mut String) -> Result<(), String> {
    let text = text_of(value);
    match (escaping, form) {
        (Escaping::Text, _) => filled.push_str(&text),
        (Escaping::Path, Form::Segments) => push_segments(&text, filled)?,
        (Escaping::Path, _) => filled.extend(utf8_percent_encode(&text, RESERVED)),
    }
    Ok(())
}

/// Adds a path that came from a target, each of its segments percent-encoded. It may not climb.
fn push_segments(path: &str, filled: &mut String) -> Result<(), String> {
    for (index, segment) in path.trim_start_matches('/').split('/').enumerate() {
        if segment == "." || segment == ".." {
            return Err(format!("the path `{path}` has the segment `{segment}`"));
        }
        if index > 0 {
            filled.push('/');
        }
        filled.extend(utf8_percent_encode(segment, RESERVED));
    }
    Ok(())
}

/// A value as the text in a path, a header or the middle of a string.
fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// `template` with its strings filled in. A string that is one word takes the word's value with its type.
pub(super) fn fill_json(template: &Value, values: &TemplateValues) -> Result<Value, String> {
    Ok(match template {
        Value::String(text) => match *pieces(text) {
            [Piece::Word { name, form: Form::Whole }] => values.get(name)?.clone(),
            _ => Value::String(fill(text, values, Escaping::Text)?),
        },
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| fill_json(item, values)).collect::<Result<_, _>>()?)
        }
        Value::Object(members) => Value::Object(
            members
                .iter()
                .map(|(key, item)| Ok((key.clone(), fill_json(item, values)?)))
                .collect::<Result<_, String>>()?,
        ),
        other => other.clone(),
    })
}

/// Calls `visit` with every string in `template`.
pub(super) fn each_string(template: &Value, visit: &mut impl FnMut(&str) -> Result<(), String>) -> Result<(), String> {
    match template {
        Value::String(text) => visit(text),
        Value::Array(items) => items.iter().try_for_each(|item| each_string(item, visit)),
        Value::Object(members) => members.values().try_for_each(|item| each_string(item, visit)),
        _ => Ok(()),
    }
}

/// Returns true if `template` has the word `word`.
pub(super) fn has_word(template: &str, word: &str) -> bool {
    words(template).any(|name| name == word)
}

/// The words in `template`, in its order.
pub(super) fn words(template: &str) -> impl Iterator<Item = &str> {
    pieces(template)
        .into_iter()
        .filter_map(|piece| if let Piece::Word { name, .. } = piece { Some(name) } else { None })
}

/// Refuses unknown words, such as a misspelt `{nmae}`.
pub(super) fn check(template: &str, scope: Scope) -> Result<(), String> {
    let (known, groups) = scope.words();
    for name in words(template) {
        if format!("{{{name}}}") == ID_URL {
            return Err(format!(
                "\"{template}\": {ID_URL} is allowed only at the beginning of the path of a poll, or of a step after the submission"
            ));
        }
        if name == "id" && scope == Scope::Job {
            return Err(format!("\"{template}\": {{id}} is not known before the job is submitted"));
        }
        if !known.contains(&name) && !name.split_once('.').is_some_and(|(group, _)| groups.contains(&group)) {
            return Err(format!(
                "\"{template}\": {{{name}}} is not a template variable here; the variables are {}; write {{{{{name}}}}} for the \
                 braces themselves",
                scope.listed()
            ));
        }
    }
    Ok(())
}

/// A part of a template.
enum Piece<'t> {
    /// As it is.
    Text(&'t str),
    /// A word in braces: `{run}`.
    Word { name: &'t str, form: Form<'t> },
}

/// The form in which a word takes its value.
#[derive(Clone, Copy)]
enum Form<'t> {
    /// As it is.
    Whole,
    /// As a path, whose slashes stay: `{id:path}`.
    Segments,
    /// As a text of several values with this between them: `{ids:&id=}`.
    Joined(&'t str),
}

/// The parts of `template`, none of them empty. Doubled braces around a word, `{{run}}`, stand for single ones. Other braces, such as
/// those of a GraphQL query, are text.
fn pieces(template: &str) -> Vec<Piece<'_>> {
    let (mut pieces, mut from, mut at) = (Vec::new(), 0, 0);
    while let Some(open) = template[at..].find('{').map(|open| at + open) {
        let is_doubled = template[open..].starts_with("{{");
        let start = open + 1 + usize::from(is_doubled);
        let inner = template[start..].split_once('}').map(|(inner, _)| inner).filter(|inner| is_word(inner));
        let end = inner.map_or(start, |inner| start + inner.len());
        let Some(inner) = inner.filter(|_| !is_doubled || template[end..].starts_with("}}")) else {
            at = open + 1;
            continue;
        };
        pieces.push(Piece::Text(&template[from..open]));
        pieces.push(match inner.split_once(':') {
            _ if is_doubled => Piece::Text(&template[open + 1..=end]),
            Some((IDS, separator)) => Piece::Word { name: IDS, form: Form::Joined(separator) },
            Some((name, "path")) => Piece::Word { name, form: Form::Segments },
            _ => Piece::Word { name: inner, form: Form::Whole },
        });
        from = end + 1 + usize::from(is_doubled);
        at = from;
    }
    pieces.push(Piece::Text(&template[from..]));
    pieces.retain(|piece| !matches!(piece, Piece::Text("")));
    pieces
}

/// Returns true if what stands in braces looks like a word.
fn is_word(inner: &str) -> bool {
    let (name, part) = inner.split_once('.').unwrap_or((inner, "x"));
    let name = name.strip_suffix(":path").or(name.strip_suffix(":url")).unwrap_or(name);
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let is_part = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-:".contains(&byte));
    let is_list = inner.strip_prefix(IDS).is_some_and(|rest| rest.starts_with(':'));
    is_list || is_name && is_part
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values() -> TemplateValues {
        let mut job = Job::default();
        (job.metadata.run, job.metadata.name, job.spec.source) = ("r".into(), "n".into(), "a\"b".into());
        job.spec.data = [("n".to_owned(), json!(7)), ("none".to_owned(), Value::Null)].into();
        TemplateValues::of_set(&[("lang".to_owned(), "en".into()), ("on".to_owned(), true.into())])
            .with_job(&job)
            .with_id("../x y")
    }

    fn text(template: &str) -> String {
        fill(template, &values(), Escaping::Text).unwrap()
    }

    #[test]
    fn words_are_replaced_and_other_braces_stay() {
        assert_eq!(text("{run}/{name}{"), "r/n{");
        assert_eq!(text("{ x }{source}"), "{ x }a\"b");
        assert_eq!(text("{set.lang}-{data.n}"), "en-7");
        assert_eq!(text("{{run}} {{{run}}} {{x.y}}"), "{run} {{run}} {x.y}");
        assert_eq!(
            text("query { job(id: \"{id}\") { state { name }}}"),
            "query { job(id: \"../x y\") { state { name }}}"
        );
    }

    #[test]
    fn a_jobs_uuid_is_its_own_and_always_the_same() {
        let mut ids: Vec<String> = [("r", "a"), ("r", "b"), ("s", "a")].map(|(run, name)| uuid(run, name)).into();
        for id in &ids {
            let parts: Vec<usize> = id.split('-').map(str::len).collect();
            assert_eq!((&parts[..], &id[14..15]), (&[8, 4, 4, 4, 12][..], "8"), "{id}");
            assert!("89ab".contains(&id[19..20]), "{id}");
        }
        assert_eq!(ids[0], uuid("r", "a"));
        ids.dedup();
        assert_eq!(ids.len(), 3);
    }

    #[test]
    fn an_id_cannot_leave_its_place_in_a_path() {
        let path = |template: &str, id: &str| fill(template, &values().with_id(id), Escaping::Path);
        assert_eq!(path("/jobs/{id}", "../x y").unwrap(), "/jobs/..%2Fx%20y");
        assert_eq!(path("/v1/{id:path}", "operations/a b").unwrap(), "/v1/operations/a%20b");
        assert_eq!(path("/v1/{id:path}:cancel", "/operations/a?b").unwrap(), "/v1/operations/a%3Fb:cancel");
        assert!(path("/v1/{id:path}", "operations/../admin").unwrap_err().contains("`..`"));
    }

    #[test]
    fn a_body_is_json_whatever_the_source_holds() {
        let template = json!({"source": "{source}", "n": [1, 2.5, true], "typed": "{data.n}", "set": "{set.on}", "none": "{null}", "text": "n={data.n}"});
        let filled = fill_json(&template, &values()).unwrap();
        assert_eq!(
            filled,
            json!({"source": "a\"b", "n": [1, 2.5, true], "typed": 7, "set": true, "none": null, "text": "n=7"})
        );
    }

    #[test]
    fn a_word_without_a_value_and_an_unknown_one_are_named() {
        for (template, part) in
            [("{data.x}", "spec.data.x"), ("{set.x}", "--set x=VALUE"), ("{vars.x}", "no step took x")]
        {
            assert!(fill(template, &values(), Escaping::Text).unwrap_err().contains(part));
        }
        assert!(check("{nmae}", Scope::Id).unwrap_err().contains("{nmae}"));
        assert!(check("{date.x}", Scope::Id).unwrap_err().contains("{date.x}"));
        assert!(check("{id}", Scope::Job).is_err() && check("{{id}} {data.Any-1} { state } {", Scope::Job).is_ok());
        for (template, part) in [("{id}", "{ids}, {next}"), ("{data.x}", "{set.NAME}, {vars.NAME}")] {
            assert!(check(template, Scope::List).unwrap_err().contains(part), "{template}");
        }
    }

    #[test]
    fn ids_are_joined_in_a_text_and_a_list_in_a_body() {
        let values = values().with("ids", vec!["a&b", "c/d"]);
        let path = |template: &str| fill(template, &values, Escaping::Path).unwrap();
        assert_eq!(path("/jobs?ids={ids}"), "/jobs?ids=a%26b,c%2Fd");
        assert_eq!(path("/jobs?id={ids:&id=}"), "/jobs?id=a%26b&id=c%2Fd");
        assert_eq!(
            fill_json(&json!({"any": "{ids}", "text": "id in ({ids: or })"}), &values).unwrap(),
            json!({"any": ["a&b", "c/d"], "text": "id in (a&b or c/d)"})
        );
        assert!(has_word("/jobs?id={ids:&id=}", "ids") && !has_word("{{ids}} {id}", "ids"));
    }
}
