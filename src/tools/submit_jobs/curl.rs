//! `--dry-run`: the request of the first job, as a curl command that a person can run.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;
use ureq::http::HeaderValue;

use super::lines;
use super::post::{random_hex, submit_request};
use super::{Args, Failure, Io, Outcome};
use crate::cli::Exit;
use crate::escape;
use crate::http::{Body, Part, shell_quoted};
use crate::input::{announce_terminal, plain_lines};
use crate::ndjson::{BadLines, Line, Reader};
use crate::profile::{StepTime, TemplateValues, spelled};
use crate::record::{Job, Kind};

/// Prints the command. No secret is part of it: it names the file or the variable instead.
pub(super) fn print(args: &Args, io: Io<'_>) -> Outcome {
    let profile = args.target.profile()?;
    let base = args.target.base_url_or(&profile)?;
    announce_terminal(&io);
    let Some(job) = first_job(args, io.stdin, &io.console)? else {
        return Err(Failure::usage("--dry-run: no Job on stdin: pipe one in, such as from `stage-fixtures --jobs 1`"));
    };
    let mut command = String::new();
    if let Some(token) = &profile.token {
        let line = format!(
            "# first the token: {} {}; then TOKEN=the value at {}",
            token.method,
            token.path,
            spelled(&token.token)
        );
        let _ = writeln!(command, "{}", escape::terminal(&line));
    }
    // The values that steps would take are not known; their template variables stay as they are.
    let mut variables = BTreeMap::new();
    for step in profile.steps.iter().filter(|step| matches!(step.when, StepTime::Run | StepTime::Job)) {
        variables.extend(step.take.keys().map(|name| (name.clone(), Value::from(format!("{{vars.{name}}}")))));
        let line = format!("# first the step {}: {} {}", step.name, step.method, step.path);
        let _ = writeln!(command, "{}", escape::terminal(&line));
    }
    let values = TemplateValues::of_set(&args.target.set).with_job(&job).with_variables(&variables);
    let post = submit_request(&profile, &base, &values, (&random_hex(16)?, &random_hex(8)?));
    let post = post.map_err(|error| Failure::usage(format!("--dry-run: {error}")))?.request;
    // A value that could not be sent is not printed either: a header with a line break in it would be another header.
    if let Some((name, _)) = post.headers.iter().find(|(_, value)| HeaderValue::from_str(value).is_err()) {
        return Err(Failure::usage(format!("--dry-run: the value of {name} is not valid in a header")));
    }
    let _ = write!(command, "curl -i -X {} {}", post.method, shell_quoted(&post.url));
    for argument in args.target.http.curl_arguments() {
        // Writing to a String cannot fail.
        let _ = write!(command, " \\\n  {argument}");
    }
    for (name, value) in profile.token.iter().flat_map(|token| token.headers_for("${TOKEN}")) {
        let _ = write!(command, " \\\n  -H \"{}\"", escape::terminal(&format!("{name}: {value}")));
    }
    let content_type = match &post.body {
        Some(Body::Text { content_type, .. }) => Some(("content-type".to_owned(), (*content_type).to_owned())),
        _ => None,
    };
    for (name, value) in content_type.iter().chain(&post.headers) {
        let _ = write!(command, " \\\n  -H {}", shell_quoted(&format!("{name}: {value}")));
    }
    for argument in post.body.iter().flat_map(body_arguments) {
        let _ = write!(command, " \\\n  {argument}");
    }
    command.push('\n');
    let written = io.stdout.write_all(command.as_bytes()).and_then(|()| io.stdout.flush());
    written.map(|()| Exit::Done).map_err(|error| Failure::output("stdout", &error))
}

/// The arguments with which curl sends `body`.
fn body_arguments(body: &Body) -> Vec<String> {
    let field = |part: &Part| match part {
        Part::Text { name, text } => format!("--form-string {}", shell_quoted(&format!("{name}={text}"))),
        Part::File { name, path } => format!("--form {}", shell_quoted(&format!("{name}=@{}", path.display()))),
    };
    match body {
        Body::Text { text, .. } => vec![format!("--data-raw {}", shell_quoted(text))],
        Body::File(path) => vec![format!("--data-binary {}", shell_quoted(&format!("@{}", path.display())))],
        Body::Multipart(parts) => parts.iter().map(field).collect(),
    }
}

/// The first Job on stdin.
pub(super) fn first_job(
    args: &Args,
    stdin: Box<dyn std::io::BufRead + Send>,
    console: &crate::cli::Console,
) -> Result<Option<Job>, Failure> {
    let failed = |error: std::io::Error| Failure::io("stdin", &error);
    if args.lines {
        let line = plain_lines(stdin).next().transpose().map_err(failed)?;
        let source = line.transpose().map_err(Failure::usage)?;
        return Ok(source.map(|source| lines::job("dry-run", 1, source)));
    }
    let mut bad_lines = BadLines::default();
    for read in Reader::stdin(stdin) {
        if let Some(Line::Record(record)) = bad_lines.take(read.map_err(failed)?, console)
            && record.kind() == Kind::Job
        {
            return Ok(Some(record.read()?));
        }
    }
    Ok(None)
}
