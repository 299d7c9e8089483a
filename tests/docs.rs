//! The documentation is true: what is generated is not stale, every example parses or runs, and a real run's records fit
//! the schemas. `make docs` writes the generated parts anew.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Value, json};
use stress_suite::record::{
    Comparison, End, Flag, Job, Kind, Logs, Parsed, Reason, Record, Report, Run, Series, ShardStream, Traces,
};
use stress_suite::tools::render_report;
use support::{Target, bin, root, tool};

/// Compares `text` with the file, or writes it where the user asked for that.
fn is_current(file: &str, text: &str) {
    let path = root().join(file);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
    }
    let held = fs::read_to_string(&path).unwrap_or_default();
    assert!(held == text, "{file} is stale: run `make docs` and look at the change");
}

fn schema_of<T: JsonSchema>(kind: &str, description: &str) -> Value {
    let mut schema = SchemaGenerator::new(SchemaSettings::draft2020_12()).into_root_schema_for::<T>().to_value();
    let properties = schema["properties"].as_object_mut().unwrap();
    properties.insert("apiVersion".to_owned(), json!({"const": "stress/v1"}));
    properties.insert("kind".to_owned(), json!({"const": kind}));
    let required = schema["required"].as_array_mut().unwrap();
    required.extend([json!("apiVersion"), json!("kind")]);
    (schema["title"], schema["description"]) = (json!(kind), json!(description));
    schema
}

fn schemas() -> BTreeMap<&'static str, Value> {
    Kind::ALL
        .into_iter()
        .map(|kind| {
            let word = kind.as_str();
            let schema = match kind {
                Kind::Run => schema_of::<Run>(word, "One run, or one shard's share of it. Made by `stage-fixtures`; each later tool adds its own settings and observations."),
                Kind::Job => schema_of::<Job>(word, "One job. Made by `stage-fixtures` or by hand; `submit-jobs` and `poll-jobs` add what they observe."),
                Kind::End => schema_of::<End>(word, "The last line of one attempt of a shard."),
                Kind::Shard => schema_of::<ShardStream>(word, "What arrived of one shard."),
                Kind::Series => schema_of::<Series>(word, "One named query against Prometheus over the window. Made by `capture-prom`."),
                Kind::Traces => schema_of::<Traces>(word, "The traces of one service over the window. Made by `capture-jaeger`."),
                Kind::Logs => schema_of::<Logs>(word, "The logs of one service over the window. Made by `capture-logs`."),
                Kind::Report => schema_of::<Report>(word, "The verdict on one run."),
            };
            (word, schema)
        })
        .chain([("Comparison", schema_of::<Comparison>("Comparison", "The comparison of two or more settings."))])
        .collect()
}

#[test]
fn the_schemas_are_those_of_the_types() {
    for (kind, schema) in schemas() {
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        is_current(&format!("docs/schema/{}.json", kind.to_lowercase()), &text);
    }
}

#[test]
fn the_records_of_a_real_run_fit_the_schemas() {
    let target = Target::start(&["--fail", "l2:2", "--refuse", "503:4", "--lose", "1"]);
    let submitted = target.submit(&["--max-posts", "2"], &target.stage(6));
    let polled = target.poll(&["--lost-after", "100ms"], &submitted.stdout);
    let out = target.dir.path().join("out");
    let rendered = tool(render_report::run, &["--out", out.to_str().unwrap()], &polled.stdout);
    let schemas: BTreeMap<_, _> =
        schemas().into_iter().map(|(kind, schema)| (kind, jsonschema::validator_for(&schema).unwrap())).collect();
    let mut kinds = BTreeMap::<String, usize>::new();
    for line in [target.stage(6), polled.stdout, rendered.stdout].join("").lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let kind = record["kind"].as_str().unwrap();
        let errors: Vec<_> = schemas[kind].iter_errors(&record).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}\n{line}");
        *kinds.entry(kind.to_owned()).or_default() += 1;
    }
    assert!(kinds["Job"] >= 16 && kinds["Run"] >= 3 && kinds["Report"] == 1, "{kinds:?}");
    let broken = json!({"apiVersion": "stress/v1", "kind": "Job", "metadata": {}, "status": {"phase": "Dancing"}});
    assert!(!schemas["Job"].is_valid(&broken), "a schema that takes anything proves nothing");
}

/// The fenced blocks of `text` whose language is `language`, with the number of their first line.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<(usize, Vec<&'a str>)> {
    let (mut found, mut open) = (Vec::new(), None::<(usize, Vec<&str>)>);
    for (number, line) in text.lines().enumerate() {
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (None, Some(tag)) if tag == language => open = Some((number + 2, Vec::new())),
            // A block of another language: its lines are nobody's.
            (None, Some(tag)) if !tag.is_empty() => open = Some((0, Vec::new())),
            (Some(_), Some(_)) => found.extend(open.take().filter(|(number, _)| *number > 0)),
            (Some((_, lines)), None) => lines.push(line),
            _ => {}
        }
    }
    found
}

#[test]
fn every_example_record_is_one() {
    let text = fs::read_to_string(root().join("docs/records.md")).unwrap();
    let mut kinds = Vec::new();
    for (number, lines) in blocks(&text, "json") {
        for line in lines {
            match Record::parse(line) {
                Ok(Parsed::Record(record)) => kinds.push(record.kind()),
                other => panic!("docs/records.md line {number}: {other:?}: {line}"),
            }
        }
    }
    for kind in Kind::ALL {
        assert!(kinds.contains(&kind), "docs/records.md has no example of {}", kind.as_str());
    }
}

#[test]
fn every_reason_and_flag_is_documented_and_no_other() {
    let text = fs::read_to_string(root().join("docs/records.md")).unwrap();
    let (_, section) = text.split_once("\n## Reasons\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let cells = section.lines().filter_map(|line| line.strip_prefix("| `")?.split(" |").next());
    let documented: BTreeSet<&str> = cells.flat_map(|cell| cell.trim_end_matches('`').split("`, `")).collect();
    let reasons: BTreeSet<&str> = Reason::ALL.iter().map(Reason::as_str).collect();
    assert_eq!(documented, reasons);
    for flag in Flag::ALL {
        assert!(section.contains(&format!("\n- `{flag}`: ")), "docs/records.md does not explain the flag `{flag}`");
    }
}

#[test]
fn the_tools_page_is_what_help_prints() {
    let mut page = "# The tools\n\nWhat each tool's `--help` prints. Written by `make docs`.\n".to_owned();
    let mut names: Vec<_> = fs::read_dir(root().join("src/bin"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names.push("pipeline-sim".to_owned());
    for name in names {
        let help = Command::new(bin().join(&name)).arg("--help").env_clear().output().unwrap();
        assert!(help.status.success());
        let text = String::from_utf8(help.stdout).unwrap();
        for part in ["Examples:", "Exit codes:"] {
            assert!(text.contains(part), "{name} --help has no `{part}`");
        }
        let lines: Vec<_> = text.lines().map(str::trim_end).collect();
        page += &format!("\n## {name}\n\n```text\n{}\n```\n", lines.join("\n").trim());
    }
    is_current("docs/tools.md", &page);
}

/// The flags below each heading of every tool's help, in the order in which they are printed.
const HEADINGS: &str = "\
stage-fixtures
  Options: --jobs --prefix --warmup --check --help --version
  Media: --from --ext --into --worker-root
  Run: --run --scenario --label --shard
await-idle
  Options: --target --profile --set --token-file --check --help --version
  Waiting: --limit --earlier --prometheus --lag
  HTTP: --timeout --header --header-file --token-env --cacert --cert --key --insecure --prom-header-file
submit-jobs
  Options: --target --profile --set --token-file --journal --lines --dry-run --explain --cookies --check --help --version
  Load: --concurrency --slots --rate --max-posts --start-at --rest --slots-timeout --deadline
  HTTP: --timeout --header --header-file --token-env --cacert --cert --key --insecure
poll-jobs
  Options: --target --profile --set --token-file --slots --resume --journal --explain --cookies --check --help --version
  Polling: --deadline --precision --min-interval --max-interval --max-poll-rate --lost-after --cancel-on
  HTTP: --timeout --header --header-file --token-env --cacert --cert --key --insecure
seal-shard
  Options: --out --max-line --check --help --version
merge-shards
  Options: --shards --run --help --version
capture-logs
  Options: --out --profile --require --check --help --version
  Logs: --logs --service --may-be-quiet --log-utc-offset --timeout
  Window: --start --end --pad --settle
capture-prom
  Options: --out --profile --require --check --help --version
  Prometheus: --prometheus --query --step --format --no-raw
  Window: --start --end --pad --settle
  HTTP: --timeout --header --header-file --token-env --cacert --cert --key --insecure --tenant --user-env
capture-jaeger
  Options: --out --profile --require --check --help --version
  Jaeger: --jaeger --service --api --page --flush
  Window: --start --end --pad --settle
  HTTP: --timeout --header --header-file --token-env --cacert --cert --key --insecure
render-report
  Options: --out --replay --append --quiet --brief --check --help --version
  Judging: --expect --subset --profile
  Pages: --redact --jaeger-ui --grafana --prometheus-ui
  Index: --index --planned
compare-runs
  Options: --under --out --place --json --text --fail-if-worse --allow-different --help --version
export-run
  Options: --as --out --table --align --help --version
  Links: --prometheus-ui --vmui --grafana --jaeger-ui
  HTTP: --to --timeout --header --header-file --token-env --cacert --cert --key --insecure
pipeline-sim
  Options: --listen --data --worker-root --logs --seed --help --version
  Pipeline: --time-scale --stage-time --num-parallel --max-attempts --stage-shape
  Job faults (WHICH counts accepted jobs: 3, or 3,5, or 10%; repeatable): --fail --flaky --hang --hold --drop --lose --number-by-name --same-id --stale --lose-trace
  API faults (WHICH counts requests; repeatable): --no-answer --refuse --cut-post --poll-status --cut --garble --capacity --delay --die-after --unhealthy --status-word --clock-offset
  Telemetry: --prom-down --jaeger-down --metrics-listen --prom-listen --scrape-interval --jaeger-listen --jaeger-api --jaeger-page --otlp --span-delay
";

#[test]
fn help_groups_flags_by_purpose_and_fits_80_columns() {
    let mut found = String::new();
    for command in stress_suite::tools::commands().into_iter().chain([pipeline_sim::cli::command()]) {
        let name = command.get_name().to_owned();
        let help = Command::new(bin().join(&name)).arg("--help").env_clear().output().unwrap();
        let help = String::from_utf8(help.stdout).unwrap();
        let wide: Vec<_> = help.lines().filter(|line| line.chars().count() > 80).collect();
        assert!(wide.is_empty(), "{name} --help: {wide:#?}");
        // Printed as written, so no line was wrapped: an example stays whole up to a backslash of its own.
        let written = command.get_after_help().unwrap().to_string();
        let after = help.find(&written);
        assert!(after.is_some(), "{name} --help wraps the text after its flags:\n{help}");
        found += &name;
        for line in help[..after.unwrap()].lines() {
            match line.strip_suffix(':').filter(|title| !title.starts_with(' ')) {
                Some("Arguments") => {}
                Some(title) => found += &format!("\n  {title}:"),
                None => {
                    let mut words = line.split_whitespace().skip_while(|word| *word == "-h," || *word == "-V,");
                    let flag =
                        words.next().filter(|word| word.starts_with("--") && line.len() - line.trim_start().len() <= 6);
                    found += &flag.map(|flag| format!(" {flag}")).unwrap_or_default();
                }
            }
        }
        found.push('\n');
    }
    assert!(found == HEADINGS, "flags stand under other headings:\n{found}");
}

/// A bash whose commands are ended after five minutes: what hangs has failed.
fn bash() -> Command {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=10s", "300s", "bash"]);
    command
}

/// Runs each `$ command` of the console blocks in `file` in a real bash, in a directory as a reader would have it, and
/// compares what it prints with what stands below it.
fn console(file: &str) {
    let text = fs::read_to_string(root().join(file)).unwrap();
    let mut ran = 0;
    for (number, lines) in blocks(&text, "console") {
        let target = Target::start(&[]);
        target.stage(1);
        link_project(target.dir.path());
        let mut steps: Vec<(String, String)> = Vec::new();
        for line in lines {
            match line.strip_prefix("$ ") {
                Some(command) => steps.push((command.to_owned(), String::new())),
                None => match steps.last_mut() {
                    Some((command, _)) if command.ends_with('\\') => {
                        *command += &format!("\n{}", line.trim_start_matches("> "));
                    }
                    Some((_, output)) => *output += &format!("{line}\n"),
                    None => panic!("{file} line {number}: output before the first command"),
                },
            }
        }
        for (command, expected) in steps {
            let path = format!("{}:{}", bin().display(), std::env::var("PATH").unwrap());
            let done = bash()
                .args(["-c", &format!("set -o pipefail; {command}")])
                .current_dir(target.dir.path())
                .env_clear()
                .env("PATH", path)
                .env("TARGET", target.url())
                .output()
                .unwrap();
            let printed = String::from_utf8_lossy(&done.stdout);
            let said = String::from_utf8_lossy(&done.stderr);
            assert!(done.status.success(), "{file} line {number}: `{command}`: {printed}{said}");
            assert_eq!(printed, expected, "{file} line {number}: `{command}`: {said}");
            ran += 1;
        }
    }
    assert!(ran > 0, "{file} has no console block");
}

/// The files that a reader finds at the root of the project, read-only, beside the staged files.
fn link_project(dir: &Path) {
    for name in ["fixtures", "profiles"] {
        std::os::unix::fs::symlink(root().join(name), dir.join(name)).unwrap();
    }
    std::os::unix::fs::symlink(dir.join("data"), dir.join(".stack-data")).unwrap();
}

/// Runs all `$ command`s of the console blocks in `file` in one bash, as a reader would who types them one after another, in a
/// directory with the project in it. Each must succeed and print what stands below it.
fn session(file: &str) {
    let text = fs::read_to_string(root().join(file)).unwrap();
    let mut steps: Vec<(String, String)> = Vec::new();
    for (number, lines) in blocks(&text, "console") {
        for line in lines {
            match (line.strip_prefix("$ "), line.strip_prefix("> "), steps.last_mut()) {
                (Some(command), _, _) => steps.push((command.to_owned(), String::new())),
                (None, Some(more), Some((command, _))) => *command += &format!("\n{more}"),
                (None, None, Some((_, output))) => *output += &format!("{line}\n"),
                _ => panic!("{file} line {number}: output before the first command"),
            }
        }
    }
    // The journal waits for the disk before each submission. The stand-in runs fifty times as fast as a real target, so on a slow
    // disk those waits would be a stage of their own.
    let memory = std::path::Path::new("/dev/shm");
    let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    for name in ["Makefile", "scripts", "src", "fixtures", "profiles"] {
        std::os::unix::fs::symlink(root().join(name), dir.path().join(name)).unwrap();
    }
    // A mark before each command parts what they print.
    let commands: Vec<&str> = steps.iter().map(|(command, _)| command.as_str()).collect();
    let script = format!("printf '\\036'\n{}\n", commands.join("\nprintf '\\036'\n"));
    let done = bash()
        .args(["-euo", "pipefail", "-c", &script])
        .current_dir(dir.path())
        .env_clear()
        .env("PATH", format!("{}:{}", bin().display(), std::env::var("PATH").unwrap()))
        .env("CARGO", "true")
        .env("BIN", bin())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&done.stdout);
    let said = String::from_utf8_lossy(&done.stderr);
    let printed: Vec<&str> = printed.split('\u{1e}').skip(1).collect();
    for ((command, expected), printed) in steps.iter().zip(&printed) {
        assert_eq!(printed, expected, "{file}: `{command}`: {said}");
    }
    assert!(done.status.success() && printed.len() == steps.len() && !steps.is_empty(), "{file}: {said}");
}

#[test]
fn the_tutorial_runs_as_written() {
    session("docs/tutorial.md");
}

#[test]
fn the_readme_runs_as_written() {
    console("README.md");
}

#[test]
fn the_page_on_pipes_runs_as_written() {
    console("docs/pipes.md");
}

#[test]
fn the_profile_page_runs_as_written_and_names_every_key() {
    console("docs/profile.md");
    let page = fs::read_to_string(root().join("docs/profile.md")).unwrap();
    let profile = fs::read_to_string(root().join("profiles/autorag.toml")).unwrap();
    let keys = profile.lines().filter_map(|line| line.split_once(" = ")).map(|(key, _)| key.trim());
    for key in keys.filter(|key| !key.starts_with('#') && key.chars().all(|c| c.is_ascii_lowercase() || c == '_')) {
        let named = [format!("`{key}`"), format!(".{key}`"), format!("{key} ="), format!("{{{key}}}")];
        assert!(named.iter().any(|name| page.contains(name.as_str())), "docs/profile.md does not name {key}");
    }
    let blocks: Vec<String> = blocks(&page, "toml").into_iter().map(|(_, lines)| lines.join("\n")).collect();
    for text in &blocks {
        // A block that is no whole profile continues the first one.
        let text = if text.contains("[submit]") { text.clone() } else { format!("{}\n{text}", blocks[0]) };
        stress_suite::profile::Profile::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    }
}

#[test]
fn no_file_names_a_machine_or_leaves_a_mark_of_unfinished_work() {
    let files = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output().unwrap();
    if !files.status.success() {
        assert!(std::env::var_os("CI").is_none(), "not a git checkout");
        return;
    }
    let forbidden = [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["todo", "!("].concat(), ["/ro", "ot/"].concat()];
    for name in
        String::from_utf8(files.stdout).unwrap().split('\0').filter(|name| !name.is_empty() && *name != "Cargo.lock")
    {
        let Ok(text) = fs::read_to_string(root().join(name)) else { continue };
        for word in &forbidden {
            assert!(!text.contains(word.as_str()), "{name} contains {word}");
        }
    }
}
