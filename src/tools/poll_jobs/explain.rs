//! `--explain ID`: polls one job once, or looks it up in the list, and shows what each pointer of the profile finds in the answer.

use std::fmt::Write as _;
use std::sync::Arc;

use super::Args;
use crate::cli::{Exit, Failure, Io, Outcome};
use crate::clock::Clock;
use crate::escape;
use crate::http::{Answer, Client, Connections};
use crate::listing::{Listing, LookUpError, Sight, look_up};
use crate::profile::{Document, Observation, PollAnswer, Profile, Request, StatusReading};
use crate::record::{Job, StagePhase};
use crate::target::poll_request;

/// Prints the explanation.
pub(super) fn run(args: &Args, id: &str, io: Io<'_>) -> Outcome {
    if id.trim().is_empty() {
        return Err(Failure::usage("--explain: the id is empty: a job that was rejected has none"));
    }
    let profile = Arc::new(args.target.profile()?);
    let base = args.target.base_url_or(&profile)?;
    let client = args.target.clients(&profile, Some(&base), Connections::Fresh)?.factory.client();
    let mut text = String::new();
    let mut is_understood = true;
    if let Some(listing) = Listing::new(profile.clone(), base.clone(), &args.target.set, &Job::default()) {
        match look_up_in_list(listing, id, &profile, &client, &mut text)? {
            // A job that ended may have left the list.
            None => is_understood = profile.polls_each(),
            Some(entry) => is_understood = describe(&profile, &entry, &mut text),
        }
    }
    if profile.polls_each() {
        let request = poll_request(&Job::default(), id, &profile, &base, &args.target.set);
        let request = request.map_err(|error| Failure::usage(format!("--explain: {error}")))?;
        let place = request.place();
        let answer = request.send(&client, &Clock::system());
        let answer = answer.map_err(|error| Failure::unreachable(format!("{place}: {error}")))?;
        let _ = write!(text, "{}\nHTTP {}", escape::terminal(&place), answer.status);
        is_understood &= describe(&profile, &answer, &mut text);
        let _ = writeln!(text, "\nbody:\n{}", escape::terminal(&answer.body));
    }
    let written = io.stdout.write_all(text.as_bytes()).and_then(|()| io.stdout.flush());
    let exit = if is_understood { Exit::Done } else { Exit::Incomplete };
    written.map(|()| exit).map_err(|error| Failure::output("stdout", &error))
}

/// Shows the pages of the list, and returns the job's entry as the answer that it stands for; none if the list lacks it.
fn look_up_in_list(
    listing: Listing,
    id: &str,
    profile: &Profile,
    client: &Client,
    text: &mut String,
) -> Result<Option<Answer>, Failure> {
    let mut show = |request: &Request, answer: &Answer| {
        let _ = writeln!(text, "{}\nHTTP {}", escape::terminal(&request.place()), answer.status);
        if let Some(body) = &request.body {
            let _ = writeln!(text, "  body: {}", excerpt(&format!("{body:?}")));
        }
        found(profile, &Document::of(answer), |key| key.starts_with("poll.list."), text);
        text.push('\n');
    };
    let looked_up = look_up(listing, id, client, &Clock::system(), &mut show);
    match looked_up {
        Ok(Sight::Told(entry)) => {
            let _ = write!(text, "the list has {}: {}", escape::terminal(id), escape::terminal(&entry.body));
            Ok(Some(*entry))
        }
        Ok(Sight::Missing) => {
            let _ = writeln!(text, "the list, requested twice or for this id alone, lacks {}\n", escape::terminal(id));
            Ok(None)
        }
        Err(LookUpError::Page(why)) => {
            let _ = writeln!(text, "the list says nothing about the job: {}\n", escape::terminal(&why));
            Ok(None)
        }
        Err(LookUpError::Http(place, error)) => Err(Failure::unreachable(format!("{place}: {error}"))),
    }
}

/// Describes what an answer tells of the job. Returns true if that is its state.
fn describe(profile: &Profile, answer: &Answer, text: &mut String) -> bool {
    let document = Document::of(answer);
    let (meaning, observation) = match profile.poll_answer(&document) {
        PollAnswer::Unknown => (Some(", which in the profile means \"no such job\""), profile.observe(&document)),
        PollAnswer::Other => (Some(", which says nothing about the job"), profile.observe(&document)),
        PollAnswer::Document(observation) => (None, *observation),
    };
    text.push_str(meaning.unwrap_or_default());
    text.push_str("\n\n");
    // Writing to a String cannot fail.
    let _ = match &observation.status {
        StatusReading::Status(meaning, word) => {
            writeln!(text, "status: \"{}\", which means {meaning:?}", escape::terminal(word))
        }
        StatusReading::NoStatus => writeln!(text, "status: none of the pointers of poll.status finds one"),
        StatusReading::Unreadable(cause) => writeln!(text, "status: {}", escape::terminal(cause)),
    };
    found(
        profile,
        &document,
        |key| key.starts_with("poll.") && !key.starts_with("poll.list.") && !is_below_stage(key),
        text,
    );
    describe_stages(profile, &observation, text);
    let is_told = matches!(observation.status, StatusReading::Status(phase, _) if phase != StagePhase::Unnamed);
    meaning.is_none() && is_told
}

/// Shows what each place of the keys in question finds.
fn found(profile: &Profile, document: &Document<'_>, is_shown: impl Fn(&str) -> bool, text: &mut String) {
    for (key, place) in profile.places().into_iter().filter(|(key, _)| is_shown(key)) {
        let found = place.find(document);
        let found = found.first().map_or("nothing".to_owned(), |raw| excerpt(raw.get()));
        let _ = writeln!(text, "  {key:<24} {:<20} {found}", place.as_str());
    }
}

fn describe_stages(profile: &Profile, observation: &Observation, text: &mut String) {
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
}

/// Returns true for pointers that start at a stage instead of the body.
fn is_below_stage(key: &str) -> bool {
    key.starts_with("poll.stages.") && key != "poll.stages.at"
}

fn excerpt(raw: &str) -> String {
    escape::start(&escape::terminal(raw), 60)
}
