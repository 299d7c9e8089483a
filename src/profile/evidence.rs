//! The sections of a profile for logs and traces.

use std::time::Duration;

use macro_rules_attribute::apply;
use serde::Deserialize;

/// The words that are replaced in `logs.command`.
const WORDS: [&str; 3] = ["{start}", "{end}", "{service}"];
/// The placeholder for the stage's name in `jaeger.stage_span`.
const STAGE: &str = "{stage}";

/// The workers' logs.
#[apply(table!)]
#[derive(Default)]
pub struct LogsConfig {
    /// The services whose logs are captured.
    pub services: Vec<LogService>,
    /// The command that prints one service's log, as an argument vector; no shell is between. `{start}`, `{end}` (RFC 3339,
    /// UTC) and `{service}` are replaced in it.
    pub command: Vec<String>,
}

/// A service whose log is captured: its name, or a table with its name and `quiet`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "LogServiceEntry")]
pub struct LogService {
    /// Its name.
    pub name: String,
    /// True if its log may have no line in the window.
    pub quiet: bool,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "each of `services` must be a name in quotes, or `{ name = \"NAME\", quiet = true }` with true or false as `quiet`"
)]
enum LogServiceEntry {
    Name(String),
    Table {
        name: String,
        #[serde(default)]
        quiet: bool,
    },
}

impl From<LogServiceEntry> for LogService {
    fn from(entry: LogServiceEntry) -> Self {
        match entry {
            LogServiceEntry::Name(name) => Self { name, quiet: false },
            LogServiceEntry::Table { name, quiet } => Self { name, quiet },
        }
    }
}

impl LogsConfig {
    /// The command for one service and the window from `start` to `end`; none if the profile has none.
    pub fn argv(&self, service: &str, start: &str, end: &str) -> Option<Vec<String>> {
        let fill = |word: &String| {
            // The service comes last, so that a name with braces in it is not filled in itself.
            word.replace("{start}", start).replace("{end}", end).replace("{service}", service)
        };
        (!self.command.is_empty()).then(|| self.command.iter().map(fill).collect())
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let names: Vec<String> = self.services.iter().map(|service| service.name.clone()).collect();
        named("logs.services", &names)?;
        for word in &self.command {
            let mut rest = word.as_str();
            while let Some(open) = rest.find('{') {
                rest = &rest[open..];
                let Some(close) = rest.find('}') else { break };
                let inner = &rest[1..close];
                let looks_like_one = !inner.is_empty() && inner.bytes().all(|byte| byte.is_ascii_lowercase());
                if looks_like_one && !WORDS.contains(&&rest[..=close]) {
                    return Err(format!(
                        "logs.command: {{{inner}}} is not a template variable; the variables are {{start}}, {{end}}, {{service}}"
                    ));
                }
                rest = &rest[1..];
            }
        }
        if self.command.first().is_some_and(String::is_empty) {
            return Err("logs.command: the program's name is empty".to_owned());
        }
        Ok(())
    }
}

/// The target's traces.
#[apply(table!)]
#[derive(Default)]
pub struct JaegerConfig {
    /// The query address unless `--jaeger` gives one; without either the capture is off.
    pub url: Option<String>,
    /// The services whose traces are captured.
    pub services: Vec<String>,
    /// The span tag that carries the job's id, for targets that do not keep the trace id of the submission.
    pub job_tag: Option<String>,
    /// The name of a stage's span, with `{stage}` in place of the stage's name.
    pub stage_span: Option<String>,
    /// The name of the span that lasts while a GPU tenant takes over and ends when that tenant holds the GPU.
    pub gpu_acquire_span: Option<String>,
    /// The name of the span that begins when a tenant releases the GPU.
    pub gpu_release_span: Option<String>,
    /// The span tag that names the tenant, on both.
    pub gpu_tenant_tag: Option<String>,
    /// The time that finished spans may take to reach Jaeger: the exporter's batch delay and a little more.
    #[serde(default)]
    pub flush_seconds: f64,
}

impl JaegerConfig {
    /// `flush_seconds` as a duration.
    pub fn flush(&self) -> Duration {
        // `check` has refused values that do not convert.
        Duration::try_from_secs_f64(self.flush_seconds).unwrap_or_default()
    }

    /// The stage whose span is called `name`.
    pub fn stage_of<'a>(&self, name: &'a str) -> Option<&'a str> {
        let (before, after) = self.stage_span.as_deref()?.split_once(STAGE)?;
        name.strip_prefix(before)?.strip_suffix(after).filter(|stage| !stage.is_empty())
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if Duration::try_from_secs_f64(self.flush_seconds).is_err() {
            return Err(format!("jaeger.flush_seconds = {}: not a number of seconds", self.flush_seconds));
        }
        if let Some(pattern) = &self.stage_span
            && pattern.matches(STAGE).count() != 1
        {
            return Err(format!("jaeger.stage_span = \"{pattern}\": it must contain {STAGE} exactly once"));
        }
        named("jaeger.services", &self.services)
    }
}

/// Refuses names that are empty or stand twice.
fn named(key: &str, names: &[String]) -> Result<(), String> {
    let wrong = names.iter().enumerate().find(|(index, name)| name.is_empty() || names[..*index].contains(name));
    wrong.map_or(Ok(()), |(_, name)| Err(format!("{key}: the name `{name}` is empty or listed twice")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str) -> LogService {
        LogService { name: name.to_owned(), quiet: false }
    }

    fn logs(command: &[&str]) -> LogsConfig {
        LogsConfig { services: vec![service("w")], command: command.iter().map(|word| (*word).to_owned()).collect() }
    }

    #[test]
    fn words_of_the_command_are_filled_in_and_others_refused() {
        let at = logs(&["tool", "--since={start}", "{service}", "--format={{.Name}}"]);
        at.check().unwrap();
        assert_eq!(at.argv("{end}", "A", "B").unwrap(), ["tool", "--since=A", "{end}", "--format={{.Name}}"]);
        assert!(logs(&[]).argv("w", "A", "B").is_none());
        assert!(logs(&["tool", "{sevice}"]).check().unwrap_err().contains("{sevice}"));
        assert!(logs(&[""]).check().is_err());
    }

    #[test]
    fn a_span_tells_its_stage_by_its_name() {
        let at = |pattern: &str| JaegerConfig { stage_span: Some(pattern.into()), ..JaegerConfig::default() };
        assert_eq!(at("x.{stage}.run").stage_of("x.l1.run"), Some("l1"));
        for other in ["x..run", "x.run", "y.l1.run", "x.l1"] {
            assert_eq!(at("x.{stage}.run").stage_of(other), None, "{other}");
        }
        assert_eq!(JaegerConfig::default().stage_of("l1"), None);
        for wrong in ["stage", "{stage}{stage}"] {
            assert!(at(wrong).check().unwrap_err().contains("jaeger.stage_span"), "{wrong}");
        }
    }

    #[test]
    fn services_have_names_of_their_own() {
        let twice = LogsConfig { services: vec![service("a"), service("a")], command: vec![] };
        assert!(twice.check().unwrap_err().contains("logs.services"));
        let mixed: LogsConfig = toml::from_str("services = [\"a\", { name = \"b\", quiet = true }]").unwrap();
        assert_eq!(mixed.services, [service("a"), LogService { quiet: true, ..service("b") }]);
        for wrong in ["{ name = \"b\", quite = true }", "{ name = \"b\", quiet = \"yes\" }", "7"] {
            let error = toml::from_str::<LogsConfig>(&format!("services = [{wrong}]")).unwrap_err();
            assert!(error.message().contains("true or false as `quiet`"), "{wrong}: {error}");
        }
    }
}
