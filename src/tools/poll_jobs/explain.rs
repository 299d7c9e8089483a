//! `--explain ID`: polls one job once and shows what each pointer of the profile finds in the answer.

use std::fmt::Write as _;

use super::Args;
use crate::cli::{Exit, Failure, Io, Outcome};
use crate::clock::Clock;
use crate::escape;
use crate::http::{Answer, Connections};
use crate::profile::{Document, Observation, PollAnswer, Profile, StatusReading};
use crate::record::{Job, StagePhase};
use crate::target::poll_request;

/// Prints the explanation.
pub(super) fn run(args: &Args, id: &str, io: Io<'_>) -> Outcome {
    if id.trim().is_empty() {
        return Err(Failure::usage("--explain: the id is empty: a job that was rejected has none"));
    }
    let profile = args.target.profile()?;
    let base = args.target.base_url_or(&profile)?;
    let request = poll_request(&Job::default(), id, &profile, &base, &args.target.set);
    let request = request.map_err(|error| Failure::usage(format!("--explain: {error}")))?;
    let place = request.place();
    let client = args.target.http.client_factory(Connections::Fresh)?.client();
    let answer = request.send(&client, &Clock::system());
    let answer = answer.map_err(|error| Failure::unreachable(format!("{place}: {error}")))?;
    let mut text = format!("{place}\nHTTP {}", answer.status);
    let kind = profile.poll_answer(&answer);
    text.push_str(match kind {
        PollAnswer::Unknown => ", which in the profile means \"no such job\"",
        PollAnswer::Document => "",
        PollAnswer::Other => ", which tells nothing about the job",
    });
    text.push_str("\n\n");
    let observation = describe(&profile, &answer, &mut text);
    let written = io.stdout.write_all(text.as_bytes()).and_then(|()| io.stdout.flush());
    let is_understood = matches!(observation.status, StatusReading::Status(phase, _) if phase != StagePhase::Unnamed);
    let exit = if kind == PollAnswer::Document && is_understood { Exit::Done } else { Exit::Incomplete };
    written.map(|()| exit).map_err(|error| Failure::output("stdout", &error))
}

fn describe(profile: &Profile, answer: &Answer, text: &mut String) -> Observation {
    let document = Document::of(answer);
    let observation = profile.observe(&document);
    // Writing to a String cannot fail.
    let _ = match &observation.status {
        StatusReading::Status(meaning, word) => {
            writeln!(text, "status: \"{}\", which means {meaning:?}", escape::terminal(word))
        }
        StatusReading::NoStatus => writeln!(text, "status: none of the pointers of poll.status finds one"),
        StatusReading::Unreadable(cause) => writeln!(text, "status: {}", escape::terminal(cause)),
    };
    for (key, place) in profile.places().into_iter().filter(|(key, _)| !is_below_stage(key)) {
        let found = place.find(&document);
        let found = found.first().map_or("nothing".to_owned(), |raw| excerpt(raw.get()));
        let _ = writeln!(text, "  {key:<24} {:<20} {found}", place.as_str());
    }
    let _ = writeln!(text, "stages: {}", observation.stages.len());
    for stage in &observation.stages {
        let word =
            stage.state.as_deref().map_or("no state word".to_owned(), |word| format!("\"{}\"", escape::terminal(word)));
        let times =
            [("queued", stage.times.queued_at), ("started", stage.times.started_at), ("ended", stage.times.ended_at)];
        let _ = write!(text, "  {:<24} {word} which means {:?}", escape::terminal(&stage.name), stage.phase);
        for (name, time) in times.into_iter().filter_map(|(name, time)| time.map(|time| (name, time))) {
            let _ = write!(text, ", {name} {time}");
        }
        text.push('\n');
    }
    for missing in profile
        .stages
        .iter()
        .filter(|stage| stage.required && !observation.stages.iter().any(|seen| seen.name == stage.name))
    {
        let _ = writeln!(text, "  {:<24} missing", missing.name);
    }
    let _ = writeln!(text, "\nbody:\n{}", escape::terminal(&answer.body));
    observation
}

/// Returns true for pointers that start at a stage instead of the body.
fn is_below_stage(key: &str) -> bool {
    key.starts_with("poll.stages.") && key != "poll.stages.at"
}

fn excerpt(raw: &str) -> String {
    escape::start(&escape::terminal(raw), 60)
}
