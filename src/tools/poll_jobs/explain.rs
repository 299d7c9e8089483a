//! `--explain ID`: polls one job once, or looks it up in the list, and shows what each pointer of the profile finds in the answer.
//! For a job that has ended, does the same with the steps that follow the end.

use std::fmt::Write as _;
use std::sync::Arc;

use super::Args;
use crate::cli::{Exit, Failure, Io, Outcome};
use crate::clock::Clock;
use crate::escape;
use crate::http::{Answer, BaseUrl, Client, Connections};
use crate::listing::{Listing, LookUpError, Sight, look_up};
use crate::profile::{
    Document, Observation, PollAnswer, Profile, Request, StatusReading, Step, StepTime, TemplateValues, Told,
};
use crate::record::{Job, StagePhase};
use crate::steps::{self, Made};
use crate::target::poll_request;

/// The most ids by which one job is polled in turn.
const MOST_IDS: usize = 5;

/// Prints the explanation.
pub(super) fn run(args: &Args, id: &str, io: Io<'_>) -> Outcome {
    if id.trim().is_empty() {
        return Err(Failure::usage("--explain: the id is empty: a job that was rejected has none"));
    }
    let profile = Arc::new(args.target.profile()?);
    let base = args.target.base_url_or(&profile)?;
    let client = args.target.clients(&profile, Some(&base), Connections::Fresh, &io.console)?.factory.client();
    let mut text = String::new();
    let mut is_understood = true;
    let mut ended = None;
    if let Some(listing) = Listing::new(profile.clone(), base.clone(), &args.target.set, &Job::default()) {
        match look_up_in_list(listing, id, &profile, &client, &mut text)? {
            // A job that ended may have left the list.
            None => is_understood = profile.polls_each(),
            Some(entry) => {
                let observation = describe(&profile, &entry, &mut text);
                is_understood = observation.is_some();
                ended = observation.filter(has_ended);
            }
        }
    }
    let mut polled = Some(id.to_owned()).filter(|_| profile.polls_each());
    let mut last = id.to_owned();
    for _ in 0..MOST_IDS {
        let Some(id) = polled.take() else { break };
        last.clone_from(&id);
        let request = poll_request(&Job::default(), &id, &profile, &base, &args.target.set);
        let request = request.map_err(|error| Failure::usage(format!("--explain: {error}")))?;
        let place = request.place();
        let answer = client.announced(&io.console, || request.place(), || request.send(&client, &Clock::system()));
        let answer = answer.or_else(|error| profile.told_by_head(error));
        let answer = answer.map_err(|error| Failure::unreachable(format!("{place}: {error}")))?;
        let _ = write!(text, "{}\nHTTP {}", escape::terminal(&place), answer.status);
        let observation = describe(&profile, &answer, &mut text);
        polled = profile.next_id(&Document::of(&answer), &request.url, &id).and_then(Result::ok);
        is_understood &= observation.is_some() || polled.is_some();
        ended = observation.filter(has_ended);
        let _ = writeln!(text, "\nbody:\n{}", escape::terminal(&answer.shown_body()));
    }
    if let Some(observation) = ended {
        let values = TemplateValues::of_set(&args.target.set).with_job(&Job::default()).with_id(&last);
        is_understood &= describe_end_steps(&profile, &base, &values, &client, observation, &mut text);
    }
    let text = io.console.secrets().strike(&text);
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

fn has_ended(observation: &Observation) -> bool {
    matches!(observation.status, StatusReading::Status(StagePhase::Done | StagePhase::Failed, _))
}

/// Makes the steps that follow a job's end, and shows what the keys that they tell find in their answers. Returns false if a
/// step fails that is not optional. A step with variables may fail: those of the submission are not known here.
fn describe_end_steps(
    profile: &Profile,
    base: &BaseUrl,
    values: &TemplateValues,
    client: &Client,
    mut observation: Observation,
    text: &mut String,
) -> bool {
    let mut is_whole = true;
    let mut show = |step: &Step, made: &Made| {
        // Writing to a String cannot fail.
        let _ =
            writeln!(text, "\nstep {}: {} {}", escape::terminal(&step.name), step.method, escape::terminal(&step.path));
        let (_, answer) = match made {
            Ok(made) => made,
            Err(failure) => {
                let _ = writeln!(text, "  {}", escape::terminal(failure));
                is_whole &= step.optional || step.request().contains("{vars.");
                return;
            }
        };
        let _ = writeln!(text, "HTTP {}", answer.status);
        let document = Document::of(answer);
        found(profile, &document, |key| step.tells.iter().any(|told| is_told_by(key, *told)), text);
        profile.complete(&mut observation, &step.tells, &document);
        if step.tells.contains(&Told::Stages) {
            describe_stages(profile, &observation, text);
        }
        if !step.secret {
            let _ = writeln!(text, "\nbody:\n{}", escape::terminal(&answer.shown_body()));
        }
    };
    steps::run(StepTime::End, None, profile, base, values, None, client, &Clock::system(), &mut show);
    is_whole
}

fn is_told_by(key: &str, told: Told) -> bool {
    match told {
        Told::Stages => key == "poll.stages.at",
        Told::Message => key == "poll.message",
        Told::Times => key.starts_with("poll.times."),
    }
}

/// Describes what an answer tells of the job, and returns that if it is the job's state.
fn describe(profile: &Profile, answer: &Answer, text: &mut String) -> Option<Observation> {
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
            writeln!(text, "status: \"{}\", {}", escape::terminal(word), sense(*meaning, "poll.words"))
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
    (meaning.is_none() && is_told).then_some(observation)
}

/// Returns the end of a sentence about a status word: its meaning, or that the words of `key` lack it.
fn sense(phase: StagePhase, key: &str) -> String {
    if phase == StagePhase::Unnamed { format!("which {key} does not list") } else { format!("which means {phase:?}") }
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
        let word = stage.state.as_deref().map_or("no state word".to_owned(), |word| {
            format!("\"{}\", {}", escape::terminal(word), sense(stage.phase, "poll.stages.words"))
        });
        let times =
            [("queued", stage.times.queued_at), ("started", stage.times.started_at), ("ended", stage.times.ended_at)];
        let _ = write!(text, "  {:<24} {word}", escape::terminal(&stage.name));
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
