//! `--explain`: submits the first job, and shows step by step what was sent, what came, and what each key of the profile found.

use std::fmt::Write as _;

use super::Args;
use super::curl::first_job;
use super::post::Post;
use crate::cli::{Exit, Failure, Io, Outcome};
use crate::clock::Clock;
use crate::escape;
use crate::http::{Answer, Body, Connections, Part, shell_quoted};
use crate::input::announce_terminal;
use crate::profile::{Document, Place, Request, StepTime, TemplateValues};
use crate::record::{JobStatus, Phase};
use crate::steps;
use crate::target::TargetClients;

/// Prints the explanation.
pub(super) fn run(args: &Args, io: Io<'_>) -> Outcome {
    let profile = args.target.profile()?;
    let base = args.target.base_url_or(&profile)?;
    announce_terminal(&io);
    let Some(job) = first_job(args, io.stdin, &io.console)? else {
        return Err(Failure::usage("--explain: no Job on stdin: pipe one in, such as from `stage-fixtures --jobs 1`"));
    };
    let TargetClients { factory, tokens } =
        args.target.clients(&profile, Some(&base), Connections::Fresh, &io.console)?;
    let (client, clock) = (factory.client(), Clock::system());
    let mut text = String::new();
    if let Some(tokens) = tokens {
        let told = tokens.describe(&clock);
        let _ = writeln!(text, "token: {}\n", line(&told.map_err(Failure::unreachable)?));
    }
    let mut values = TemplateValues::of_set(&args.target.set).with_job(&job);
    let mut failure = None;
    for when in [StepTime::Run, StepTime::Job] {
        let outcome = steps::run(when, None, &profile, &base, &values, None, &client, &clock, &mut |step, sent| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "step {}: {} {}", line(&step.name), step.method, line(&step.path));
            match sent {
                Err(what) => {
                    let _ = writeln!(text, "  {}", line(what));
                }
                Ok((taken, answer)) => {
                    let _ = writeln!(text, "  HTTP {}", answer.status);
                    for (name, value) in taken {
                        let value = if step.secret { "(secret)".to_owned() } else { excerpt(&value.to_string()) };
                        let _ = writeln!(text, "  take.{name:<19} {value}");
                    }
                }
            }
            text.push('\n');
        });
        values = values.with_variables(&outcome.variables);
        failure = failure.or(outcome.failure);
        if failure.is_some() {
            break;
        }
    }
    let status = if failure.is_some() {
        None
    } else {
        let post = Post::with_values(&base, values)?;
        let submission = post.build(&profile).map_err(|what| Failure::usage(format!("--explain: {what}")))?;
        let request = &submission.request;
        describe_request(request, &mut text);
        let sent = client.announced(&io.console, || request.place(), || request.send(&client, &clock));
        if let Ok(answer) = &sent {
            describe_answer(answer, &profile.submit.id, submission.own_id.as_deref(), &mut text);
        }
        Some(post.judge(&submission, sent, &profile, clock.now()))
    };
    let exit = match &status {
        Some(JobStatus { phase: Phase::Submitted, job_id: Some(id), .. }) => {
            let _ = writeln!(text, "which means Submitted; next: {}", line(&next_command(args, id)));
            Exit::Done
        }
        Some(status) => {
            let message = line(status.message.as_deref().unwrap_or_default());
            let _ = writeln!(text, "which means {:?}: {message}", status.phase);
            Exit::Incomplete
        }
        None => {
            let _ = writeln!(text, "which means that the job is not submitted");
            Exit::Incomplete
        }
    };
    let text = io.console.secrets().strike(&text);
    let written = io.stdout.write_all(text.as_bytes()).and_then(|()| io.stdout.flush());
    written.map(|()| exit).map_err(|error| Failure::output("stdout", &error))
}

/// The command that explains a poll of the job `id`, with the flags that this command has from the same group.
fn next_command(args: &Args, id: &str) -> String {
    let target = &args.target;
    let mut words = vec!["poll-jobs".to_owned()];
    let mut flag = |name: &str, value: &str| words.extend([name.to_owned(), shell_word(value)]);
    if let Some(file) = &target.profile {
        flag("--profile", &file.display().to_string());
    }
    if let Some(url) = target.target.as_deref().filter(|url| !url.is_empty()) {
        flag("--target", url);
    }
    for (name, value) in &target.set {
        flag("--set", &value.as_str().map_or_else(|| format!("{name}:={value}"), |text| format!("{name}={text}")));
    }
    if let Some(file) = &target.http.header_file {
        flag("--header-file", &file.display().to_string());
    }
    if let Some(variable) = &target.http.token_env {
        flag("--token-env", variable);
    }
    flag("--explain", id);
    words.join(" ")
}

/// `text` as a word of a shell's command.
fn shell_word(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_./:=@%+,-".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) { text.to_owned() } else { shell_quoted(text) }
}

fn describe_request(request: &Request, text: &mut String) {
    let _ = writeln!(text, "{} {}", request.method, line(&request.url));
    for (name, value) in &request.headers {
        let _ = writeln!(text, "  {}: {}", line(name), line(value));
    }
    let body = match &request.body {
        None => "none".to_owned(),
        Some(Body::Text { text, .. }) => excerpt(text),
        Some(Body::File(path)) => format!("the file {}", line(&path.display().to_string())),
        Some(Body::Multipart(parts)) => {
            let part = |part: &Part| match part {
                Part::Text { name, text } => format!("{}={}", line(name), excerpt(text)),
                Part::File { name, path } => format!("{}=@{}", line(name), line(&path.display().to_string())),
            };
            parts.iter().map(part).collect::<Vec<_>>().join(", ")
        }
    };
    let _ = writeln!(text, "  body: {body}\n");
}

fn describe_answer(answer: &Answer, ids: &[Place], own_id: Option<&str>, text: &mut String) {
    let _ = writeln!(text, "HTTP {}", answer.status);
    let document = Document::of(answer);
    for place in ids {
        let found = place.find(&document);
        let found = found.first().map_or("nothing".to_owned(), |raw| excerpt(raw.get()));
        let _ = writeln!(text, "  submit.id                {:<20} {found}", place.as_str());
    }
    if let Some(id) = own_id {
        let _ = writeln!(text, "  submit.own_id            {}", excerpt(id));
    }
    let _ = writeln!(text, "\nbody:\n{}\n", escape::terminal(&answer.shown_body()));
}

fn line(text: &str) -> String {
    escape::terminal(text).replace('\n', " ")
}

fn excerpt(text: &str) -> String {
    escape::start(&line(text), 200)
}
