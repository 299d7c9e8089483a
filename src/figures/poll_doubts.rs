//! Doubts that the polls raise: answers that said nothing, and jobs whose documents contradict their status word.

use std::collections::BTreeMap;

use itertools::Itertools;

use super::job_facts::JobFacts;
use super::requests::Requests;
use super::{LISTED, any_listed, in_groups, listed};
use crate::escape;
use crate::record::{Cancel, Flag, Phase, Run};
use crate::units;

/// Number of characters that a doubt quotes of a job's message.
const QUOTED: usize = 160;

/// The doubt about the polls of `run`: refused after they were answered, without a token, unreadable, or without news of their job for the most
/// part.
pub(super) fn failed_polls(run: &Run) -> Option<String> {
    let polling = run.status.polling.as_ref()?;
    let is_doubtful = |kind: &str| {
        let refused = ["HTTP 401", "HTTP 403", "no token"].contains(&kind);
        refused
            || ["unreadable", "truncated", "redirect", "another job", "cache", "not confirm"]
                .iter()
                .any(|part| kind.contains(part))
    };
    // An answer without a status that the profile knows is no failed poll, but says as little.
    let unclear: u64 =
        polling.failures.iter().filter(|(kind, _)| kind.ends_with("status word")).map(|(_, count)| count).sum();
    let told_nothing = polling.failed + unclear;
    if told_nothing * 2 <= polling.sent && !polling.failures.keys().any(|kind| is_doubtful(kind)) {
        return None;
    }
    let (name, kinds) = (&run.metadata.name, listed(Requests::poll_failures(polling)));
    let fate = if unclear > 0 { "said nothing about their job" } else { "failed" };
    Some(format!("{told_nothing} of {} polls of {name} {fate} ({kinds})", polling.sent))
}

/// The doubt about answers to the polls of `run` in which the profile does not name the word for a stage's state.
pub(super) fn unnamed_stage_words(run: &Run) -> Option<String> {
    let count = run.status.polling.as_ref()?.failures.get("unnamed stage word")?;
    let name = &run.metadata.name;
    let answers = units::counted(*count, "answer", "answers");
    Some(format!(
        "in {answers} to polls of {name}, the state of a stage is a word that the profile does not list: add it under [poll.stages.words]"
    ))
}

/// The doubt about answers to polls of `run` that asked for a longer wait than the deadline left.
pub(super) fn long_pauses(run: &Run) -> Option<String> {
    let count = run.status.polling.as_ref()?.failures.get("Retry-After beyond the deadline")?;
    let answers = units::counted(*count, "answer", "answers");
    Some(format!(
        "in {answers} to polls of {}, Retry-After asked for a longer wait than the deadline left, so these jobs were not polled again before \
         the deadline: set a longer --deadline",
        run.metadata.name
    ))
}

/// The doubt about a cache that answered polls of `run` in the target's place and did not say how old its answers were.
pub(super) fn hidden_cache(run: &Run) -> Option<String> {
    let seconds = run.status.polling.as_ref()?.hidden_age_seconds?;
    let age = if seconds > 0.0 {
        let age = units::seconds(seconds);
        format!(
            "no Age or too small a one: by its Date, the oldest answer was at least {age} old when its poll was sent"
        )
    } else {
        "neither Age nor a Date that tells how old its answers were".to_owned()
    };
    Some(format!(
        "a cache answered polls of {} although they ask caches not to, and sent {age}; the times from the polls allow for that",
        run.metadata.name
    ))
}

/// The doubt about answers to polls of `run` that showed an earlier state of their job than answers before them.
pub(super) fn lag(run: &Run) -> Option<String> {
    let lag = units::seconds(run.status.polling.as_ref()?.lag_seconds?);
    Some(format!(
        "answers to polls of {} showed earlier states of their jobs than answers before them, and the oldest was at least {lag} old: the \
         target's replicas lag, or the target retries jobs without counting attempts; the times from the polls allow for more than twice that",
        run.metadata.name
    ))
}

/// The doubts about flagged jobs, one for each kind of flag; `jobs` are given with their names.
///
/// `failed_step` is the message of a job with a step that failed.
pub(super) fn flagged_jobs<'a>(
    jobs: impl Iterator<Item = (&'a str, &'a JobFacts)>,
    failed_step: Option<&str>,
) -> Vec<String> {
    let mut flagged: BTreeMap<&str, (&Flag, Vec<String>)> = BTreeMap::new();
    for (name, job) in jobs {
        // A job that ended was found although its polls did not send its cookie.
        let has_ended = matches!(job.phase, Phase::Succeeded | Phase::Failed);
        for flag in job.flags.iter().filter(|flag| !(has_ended && **flag == Flag::CookieNotKept)) {
            let shown = match flag {
                Flag::FailedStage => format!("{name} ({})", job.rare().failed_stages.iter().join(", ")),
                Flag::RunningStage => format!("{name} ({})", job.running_stages().join(", ")),
                Flag::VanishedStage => format!("{name} ({})", job.vanished_stages().join(", ")),
                _ => name.to_owned(),
            };
            flagged.entry(flag.as_str()).or_insert_with(|| (flag, Vec::new())).1.push(shown);
        }
    }
    let sentence = |(flag, jobs): (&Flag, Vec<String>)| {
        let (count, jobs) = (jobs.len(), listed(jobs));
        let what = match flag {
            Flag::FailedStage => "reported as done by the target, although a stage failed".to_owned(),
            Flag::RunningStage => "reported as done by the target, although a stage is still running".to_owned(),
            Flag::ErrorText => "reported as done by the target, although the answer names an error".to_owned(),
            Flag::CookieNotKept => {
                "the target set a cookie that polls did not send: --cookies was not given, its file did not hold the cookie, or the cookie \
                 exceeded a limit (16 KiB, 180 for a job)".to_owned()
            }
            Flag::CookieExpired => {
                "polls did not find these jobs after a cookie from the target had expired".to_owned()
            }
            Flag::CookieUnsaved => {
                "not found by polls, and the target may have set a new cookie that the earlier poll-jobs did not save before it ended"
                    .to_owned()
            }
            Flag::GoneIsDone => format!("succeeded by absence: {count}, because the target had forgotten them"),
            Flag::CameBack => "ended by their absence from a list, and listed again later".to_owned(),
            Flag::StepFailed => {
                let why = failed_step.map(|why| format!(" (such as: {})", escape::shorten(why, QUOTED)));
                format!("a step after the job's end failed{}", why.unwrap_or_default())
            }
            Flag::QueuedLate => {
                "queued after their submissions were answered, so the answers to polls may be about other jobs with the same ids".to_owned()
            }
            Flag::QueuedAgain => {
                "queued again according to later answers, which may be about other jobs with the same ids".to_owned()
            }
            Flag::StagesUnknown => {
                "the answer that tells the stages did not come or could not be read".to_owned()
            }
            Flag::VanishedStage => {
                "ended, but the last answer no longer lists a stage, and no earlier answer showed the end of that stage".to_owned()
            }
            _ => return format!("flagged {flag}: {jobs}{}", all_names(count)),
        };
        format!("{what}: {jobs} ({flag}){}", all_names(count))
    };
    flagged.into_values().map(sentence).collect()
}

/// The place where all flagged jobs are named, if a sentence names only some of these.
fn all_names(count: usize) -> &'static str {
    if count > LISTED { "; jobs.csv names all, in its column flags" } else { "" }
}

/// The doubt about jobs that were cancelled and not seen to end; `jobs` are given with their names.
pub(super) fn unconfirmed<'a>(jobs: impl Iterator<Item = (&'a str, &'a JobFacts)>) -> Option<String> {
    let jobs = any_listed(jobs.filter(|(_, job)| job.rare().cancel == Some(Cancel::Answered)).map(|(name, _)| name))?;
    Some(format!("the target accepted their cancellation, but no poll saw the end, so they may still run: {jobs}"))
}

/// The doubts about jobs that were polled at another target than they were submitted to; `jobs` are given with their names.
pub(super) fn moved<'a>(jobs: impl Iterator<Item = (&'a str, &'a JobFacts)>) -> Vec<String> {
    let moved =
        jobs.filter_map(|(name, job)| Some(((job.target.as_deref(), job.rare().polled_target.as_deref()?), name)));
    let sentence = |((from, to), jobs): ((Option<&String>, &String), Vec<&str>)| {
        let from = from.map_or("a target that no record names", String::as_str);
        let (from, to) = (escape::start(from, 200), escape::start(to, 200));
        format!(
            "submitted to {from} and polled at {to}; if these are two servers, the answers are about other jobs: {}",
            listed(jobs)
        )
    };
    in_groups(moved).into_iter().map(sentence).collect()
}

/// The doubts about values that stand where the profile says that times do, one for each key; `jobs` are given with their names.
pub(super) fn unread_times<'a>(jobs: impl Iterator<Item = (&'a str, &'a JobFacts)>) -> Vec<String> {
    let mut unread: BTreeMap<&str, (&str, Vec<&str>)> = BTreeMap::new();
    for (name, job) in jobs {
        for (key, value) in &job.rare().unread_times {
            unread.entry(key).or_insert_with(|| (value, Vec::new())).1.push(name);
        }
    }
    let sentence = |(key, (value, jobs)): (&str, (&str, Vec<&str>))| {
        format!("values at {key} cannot be times of the job and are left out, such as \"{value}\": {}", listed(jobs))
    };
    unread.into_iter().map(sentence).collect()
}

#[cfg(test)]
mod tests {
    use super::super::job_facts::SharedNames;
    use super::*;
    use crate::record::Job;

    fn job(status: &str) -> JobFacts {
        let job: Job =
            serde_json::from_str(&format!(r#"{{"metadata":{{"name":"a","run":"r"}},"status":{status}}}"#)).unwrap();
        JobFacts::new(&job, &[], None, &mut SharedNames::default())
    }

    #[test]
    fn a_failed_stage_is_named_and_a_later_attempt_forgives_it() {
        let failed = job(
            r#"{"phase":"Succeeded","flags":["FailedStage","Odd"],"stages":[{"name":"l1","phase":"Done"},{"name":"l2","phase":"Failed"}]}"#,
        );
        let doubts = flagged_jobs([("a-1", &failed)].into_iter(), None);
        assert!(doubts[0].contains("a-1 (l2)") && doubts[1] == "flagged Odd: a-1", "{doubts:?}");
        let many: Vec<String> = (1..=9).map(|number| format!("a-{number}")).collect();
        let doubts = flagged_jobs(many.iter().map(|name| (name.as_str(), &failed)), None);
        assert!(
            doubts[0].ends_with("a-5 (l2) and 4 more (FailedStage); jobs.csv names all, in its column flags"),
            "{doubts:?}"
        );
        let long = job(&format!(
            r#"{{"phase":"Succeeded","flags":["FailedStage"],"stages":[{{"name":"{}","phase":"Failed"}}]}}"#,
            "S".repeat(50_000)
        ));
        let doubt = &flagged_jobs([("a-1", &long)].into_iter(), None)[0];
        assert!(doubt.len() < 400 && doubt.ends_with("… (FailedStage)"), "{doubt}");
        let cookie = |phase: &str| job(&format!(r#"{{"phase":"{phase}","flags":["CookieNotKept"]}}"#));
        assert_eq!(flagged_jobs([("a-1", &cookie("Succeeded"))].into_iter(), None), [""; 0]);
        assert!(flagged_jobs([("a-1", &cookie("Lost"))].into_iter(), None)[0].contains("--cookies"));
        let again = |first: u8, second: u8| {
            job(&format!(
                r#"{{"stages":[{{"name":"l2","phase":"Failed","attempt":{first}}},{{"name":"l2","phase":"Done","attempt":{second}}}]}}"#
            ))
        };
        let failed = |job: JobFacts| job.rare().failed_stages.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(failed(again(1, 2)), [""; 0]);
        assert_eq!(failed(again(2, 1)), ["l2"], "the attempts count, not the order");
        assert_eq!(failed(again(1, 1)), ["l2"], "instances of one attempt are no retries of each other");
        let timed = |first_end: &str, second_start: &str| {
            let at = |time: &str| format!("2026-05-20T22:30:{time}Z");
            let stage = |phase: &str, start: &str, end: &str| {
                let (start, end) = (at(start), at(end));
                format!(
                    r#"{{"name":"l2","phase":"{phase}","timesFrom":"server","startedAt":"{start}","endedAt":"{end}"}}"#
                )
            };
            let (first, second) = (stage("Failed", "10", first_end), stage("Done", second_start, "30"));
            job(&format!(r#"{{"stages":[{first},{second}]}}"#))
        };
        assert_eq!(failed(timed("12", "12")), [""; 0], "it began once the other had ended");
        assert_eq!(failed(timed("12", "11")), ["l2"], "they ran side by side");
        let untimed = job(r#"{"stages":[{"name":"l2","phase":"Failed"},{"name":"l2","phase":"Done"}]}"#);
        assert_eq!(failed(untimed), ["l2"], "nothing shows that the second is a retry");
    }

    #[test]
    fn polls_that_were_refused_or_failed_for_the_most_part_are_doubted() {
        let run = |polling: &str| -> Run {
            let text = format!(r#"{{"metadata":{{"name":"s","run":"r"}},"status":{{"polling":{polling}}}}}"#);
            serde_json::from_str(&text).unwrap()
        };
        let few = run(r#"{"sent":100,"failed":3,"threads":1,"failures":{"HTTP 500":3}}"#);
        assert_eq!(failed_polls(&few), None);
        let throttled = run(r#"{"sent":100,"failed":60,"threads":1,"failures":{"HTTP 429":60}}"#);
        assert_eq!(failed_polls(&throttled).unwrap(), "60 of 100 polls of s failed (HTTP 429: 60)");
        let refused = run(r#"{"sent":100,"failed":2,"threads":1,"failures":{"HTTP 401":2}}"#);
        assert!(failed_polls(&refused).unwrap().contains("HTTP 401: 2"));
        let token = run(r#"{"sent":100,"failed":2,"threads":1,"failures":{"no token":2}}"#);
        assert!(failed_polls(&token).unwrap().contains("no token: 2"));
        let odd = run(r#"{"sent":10,"failed":1,"threads":1,"failures":{"HTTP 500":1,"no status word":5}}"#);
        let doubt = failed_polls(&odd).unwrap();
        assert!(doubt.starts_with("6 of 10 polls of s said nothing") && doubt.contains("no status word: 5"), "{doubt}");
        let kinds: Vec<String> = (1..9).map(|count| format!(r#""HTTP 50{count}":{count}"#)).collect();
        let many = run(&format!(r#"{{"sent":40,"failed":36,"threads":1,"failures":{{{}}}}}"#, kinds.join(",")));
        assert!(failed_polls(&many).unwrap().contains("(HTTP 508: 8, HTTP 507: 7, "), "the most frequent come first");
        let some = run(r#"{"sent":10,"failed":0,"threads":1,"failures":{"unnamed status word":5}}"#);
        assert_eq!(failed_polls(&some), None);
        assert_eq!(failed_polls(&run(r#"{"sent":0,"failed":0,"threads":1}"#)), None);
        let words = run(r#"{"sent":10,"failed":0,"threads":1,"failures":{"unnamed stage word":7}}"#);
        assert!(
            failed_polls(&words).is_none()
                && unnamed_stage_words(&words).unwrap().starts_with("in 7 answers to polls of s,")
        );
    }
}
