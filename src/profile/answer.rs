//! Reads a target's answer by its profile's pointers.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{Profile, StagePointers, TimePointers};
use crate::escape;
use crate::http::Answer;
use crate::record::raw::{self, elements, members, pointer, scalar};
use crate::record::{ServerTimes, StagePhase, Timestamp};

/// The job's status in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatusReading {
    /// A status word and its meaning.
    Status(StagePhase, String),
    /// The body is JSON and none of the pointers finds a string or a number in it.
    NoStatus,
    /// The body is not JSON, for this reason.
    Unreadable(String),
}

/// A job as one poll's answer describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// Its status.
    pub status: StatusReading,
    /// The error's text, where there is one: an object or a list as its JSON.
    pub message: Option<String>,
    /// The job's own times.
    pub times: ServerTimes,
    /// Its stages in the answer's order.
    pub stages: Vec<StageReading>,
    /// The body breaks the rules of JSON and was read all the same.
    pub is_lenient: bool,
}

/// A stage as one poll's answer describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct StageReading {
    /// The stage's name.
    pub name: String,
    /// Its state word, where there is one.
    pub state: Option<String>,
    /// The state word's meaning.
    pub phase: StagePhase,
    /// The attempt.
    pub attempt: Option<u64>,
    /// Its times.
    pub times: ServerTimes,
}

impl Profile {
    /// Reads `body`, the answer to a poll.
    pub fn observe(&self, body: &str) -> Observation {
        let poll = &self.poll;
        let json = match readable(body) {
            Ok(json) => json,
            Err(cause) => return Observation::unreadable(cause),
        };
        let status = first_word(&json, &poll.status)
            .map_or(StatusReading::NoStatus, |word| StatusReading::Status(poll.words.meaning(&word), word));
        let phase = match &status {
            StatusReading::Status(meaning, _) => *meaning,
            StatusReading::NoStatus | StatusReading::Unreadable(_) => StagePhase::Unnamed,
        };
        Observation {
            status,
            message: error_text(&json, &poll.message),
            times: happened(times(&json, &poll.times), phase),
            stages: poll.stages.as_ref().map(|at| stages(&json, at, phase)).unwrap_or_default(),
            is_lenient: json != body,
        }
    }

    /// The id of another job, if `body`, the answer to the poll of the job `id`, is about that one.
    pub fn other_job(&self, body: &str, id: &str) -> Option<String> {
        let pointers = self.poll.id.as_ref().unwrap_or(&self.submit.id);
        first_scalar(&readable(body).ok()?, pointers).filter(|found| !found.is_empty() && !is_same_id(found, id))
    }

    /// The job's id in `body`, the answer to a submission.
    pub fn job_id(&self, body: &str) -> Option<String> {
        first_scalar(&readable(body).ok()?, &self.submit.id).filter(|id| !id.is_empty())
    }
}

impl Observation {
    fn unreadable(cause: String) -> Self {
        let status = StatusReading::Unreadable(cause);
        Self { status, message: None, times: ServerTimes::default(), stages: Vec::new(), is_lenient: false }
    }
}

/// Returns true if two spellings name the same job: equal ones, UUIDs with and without dashes, in either case, or a path that
/// ends in the id. Other ids are compared with their case: `xAb9` and `xaB9` are two jobs.
fn is_same_id(one: &str, other: &str) -> bool {
    let uuid = |id: &str| {
        let digits = id.rsplit('/').next().unwrap_or(id).replace('-', "").to_ascii_lowercase();
        (digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())).then_some(digits)
    };
    let ends = |long: &str, short: &str| long.strip_suffix(short).is_some_and(|before| before.ends_with('/'));
    one == other || ends(one, other) || ends(other, one) || uuid(one).is_some_and(|one| uuid(other) == Some(one))
}

/// The error that stands at one of `pointers`: a text, or else the JSON of an object or a list.
fn error_text(body: &str, pointers: &[String]) -> Option<String> {
    let errors = || pointers.iter().filter_map(|at| pointer(body, at)).filter(|raw| is_error(raw));
    errors().find_map(raw::word).or_else(|| errors().next().map(|raw| raw.get().to_owned()))
}

/// Returns true unless `raw` says that there is no error: null, false, zero, an empty text, a word for "none", and objects and
/// lists of nothing else.
fn is_error(raw: &RawValue) -> bool {
    let text = raw.get();
    if let Some(found) = members(raw) {
        return found.into_iter().any(|(_, value)| is_error(value));
    }
    if let Some(found) = elements(raw) {
        return found.into_iter().any(is_error);
    }
    let is_zero = !text.starts_with('"') && text.parse().is_ok_and(|number: f64| number == 0.0);
    let word = raw::word(raw).unwrap_or_default().trim().to_ascii_lowercase();
    !is_zero && !["", "0", "false", "none", "null", "ok"].contains(&word.as_str())
}

/// Describes a body in a coding that cannot be decoded.
pub fn unknown_coding(answer: &Answer) -> Option<String> {
    let coding = escape::start(answer.head.unknown_coding.as_ref()?, 40);
    Some(format!("the answer has Content-Encoding: {coding}, which was not asked for and cannot be decoded"))
}

/// The reason why the body of `answer` cannot be read; none if it can.
pub fn why_unreadable(answer: &Answer) -> Option<String> {
    unknown_coding(answer).or_else(|| readable(&answer.body).err())
}

/// The JSON of `body`: without a byte order mark, and with null in place of NaN and Infinity, which some servers write. The
/// error says what is wrong and where.
pub fn readable(body: &str) -> Result<Cow<'_, str>, String> {
    let is_json = |text: &str| serde_json::from_str::<&RawValue>(text).map(drop);
    let text = body.strip_prefix('\u{feff}').unwrap_or(body);
    let Err(error) = is_json(text) else { return Ok(Cow::Borrowed(text)) };
    if text.trim().is_empty() {
        return Err("the answer is empty".to_owned());
    }
    let finite = without_non_finite(text);
    if is_json(&finite).is_ok() {
        return Ok(Cow::Owned(finite));
    }
    let line = text.lines().nth(error.line().saturating_sub(1)).unwrap_or_default();
    let near: String = line.chars().skip(error.column().saturating_sub(20)).take(40).collect();
    Err(format!("the answer is not JSON: {error}, near `{}`", escape::start(near.trim(), 60)))
}

/// `text` with null in place of `NaN`, `Infinity` and `-Infinity` outside of strings.
fn without_non_finite(text: &str) -> String {
    let mut finite = String::with_capacity(text.len());
    let mut rest = text;
    let (mut in_string, mut escaped) = (false, false);
    while let Some(character) = rest.chars().next() {
        let number = ["NaN", "Infinity", "-Infinity"].into_iter().find(|number| !in_string && rest.starts_with(number));
        if let Some(number) = number {
            finite.push_str("null");
            rest = &rest[number.len()..];
            continue;
        }
        match character {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            _ => {}
        }
        finite.push(character);
        rest = &rest[character.len_utf8()..];
    }
    finite
}

/// The string or number at the first of `pointers` that finds one.
fn first_scalar(body: &str, pointers: &[String]) -> Option<String> {
    pointers.iter().find_map(|at| pointer(body, at).and_then(scalar))
}

/// The string, number or boolean at the first of `pointers` that finds one.
fn first_word(body: &str, pointers: &[String]) -> Option<String> {
    pointers.iter().find_map(|at| pointer(body, at).and_then(raw::word))
}

fn times(body: &str, at: &TimePointers) -> ServerTimes {
    let time = |pointers: &[String]| first_scalar(body, pointers).and_then(|text| server_time(&text));
    let [queued, started, ended] = [time(&at.queued), time(&at.started), time(&at.ended)];
    let coarsest = [queued, started, ended].into_iter().flatten().map(|time| time.resolution_seconds).reduce(f64::max);
    ServerTimes {
        queued_at: queued.map(|time| time.at),
        started_at: started.map(|time| time.at),
        ended_at: ended.map(|time| time.at),
        resolution_seconds: coarsest.filter(|seconds| *seconds > 1e-6),
    }
}

/// Leaves out times of what has not happened: a start counts only once started, an end only in a final state. Some targets
/// tell estimates there.
fn happened(times: ServerTimes, phase: StagePhase) -> ServerTimes {
    let (started, ended) = match phase {
        StagePhase::Waiting | StagePhase::Unnamed => (false, false),
        StagePhase::Running => (true, false),
        StagePhase::Done | StagePhase::Failed => (true, true),
    };
    ServerTimes {
        started_at: times.started_at.filter(|_| started),
        ended_at: times.ended_at.filter(|_| ended),
        ..times
    }
}

/// A time as a server spells it: the truth lies from `at` to `resolution_seconds` later.
#[derive(Clone, Copy, Debug, PartialEq)]
struct SpelledTime {
    at: Timestamp,
    resolution_seconds: f64,
}

/// A time as servers spell it: RFC 3339, with or without its zone (then UTC), or Unix time in seconds, milliseconds,
/// microseconds or nanoseconds. None for one that stands for "not yet" or "never".
fn server_time(text: &str) -> Option<SpelledTime> {
    let text = text.trim();
    let (at, resolution_seconds) = if let Ok(number) = text.parse::<f64>() {
        // 5138-11-16 in seconds, 1973-03-03 in milliseconds: no number of one unit can be meant as another.
        let unit = match number {
            ..1e11 => 1.0,
            ..1e14 => 1e-3,
            ..1e17 => 1e-6,
            _ => 1e-9,
        };
        (Timestamp::from_seconds(number * unit)?, number_resolution(text) * unit)
    } else {
        let spelled = text.replacen(' ', "T", 1);
        let at = spelled.parse().or_else(|_| format!("{spelled}Z").parse()).ok()?;
        let fraction = spelled.split_once('.').map_or("", |(_, fraction)| fraction);
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        (at, 10_f64.powi(-i32::try_from(digits).unwrap_or(9)))
    };
    (!is_sentinel(at)).then_some(SpelledTime { at, resolution_seconds })
}

/// The value of the last digit of a decimal number.
fn number_resolution(text: &str) -> f64 {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let digits = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let exponent = exponent.parse::<i32>().unwrap_or_default();
    10_f64.powi(exponent.saturating_sub(i32::try_from(digits).unwrap_or(i32::MAX)))
}

/// Tells a time that no job of today can have: the zeros of the calendars in use (1, 1601, 1900, 1904, 1970, 1980, 2001),
/// whatever the zone, and the far ends that mean "never".
fn is_sentinel(at: Timestamp) -> bool {
    const EARLIEST: f64 = 978_480_000.0; // 2001-01-03
    const LATEST: f64 = 7_258_118_400.0; // 2200-01-01
    const END_OF_32_BITS: f64 = 2_147_483_647.0;
    let seconds = at.seconds();
    !(EARLIEST..LATEST).contains(&seconds) || (seconds - END_OF_32_BITS).abs() < 1.0
}

fn stages(body: &str, at: &StagePointers, job: StagePhase) -> Vec<StageReading> {
    let Some(found) = at.at.iter().find_map(|place| pointer(body, place)) else { return Vec::new() };
    let named = |raw: &RawValue| Some(stage(first_scalar(raw.get(), &at.name)?, raw, at, job));
    if at.one {
        return named(found).into_iter().collect();
    }
    if let Some(by_name) = members(found) {
        return by_name.into_iter().map(|(name, raw)| stage(name, raw, at, job)).collect();
    }
    let items = elements(found).unwrap_or_default();
    items.into_iter().filter_map(named).collect()
}

fn stage(name: String, raw: &RawValue, at: &StagePointers, job: StagePhase) -> StageReading {
    let text = raw.get();
    // A stage is its state word, or an object that holds it.
    let state = raw::word(raw).or_else(|| first_word(text, &at.state));
    let phase = state.as_deref().map_or(StagePhase::Unnamed, |word| at.words.meaning(word));
    let attempt = first_scalar(text, &at.attempt).and_then(|number| number.parse().ok());
    let times = match phase {
        // A stage without a state of its own has come as far as its job may have.
        StagePhase::Unnamed if job == StagePhase::Running => times(text, &at.times),
        StagePhase::Unnamed => happened(times(text, &at.times), job),
        _ => happened(times(text, &at.times), phase),
    };
    StageReading { name, state, phase, attempt, times }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observe(body: &str) -> Observation {
        Profile::load(None).unwrap().observe(body)
    }

    #[test]
    fn both_documented_stage_shapes_are_read() {
        let words = observe(r#"{"status":"running","stage_states":{"whisper":"done","l1":"running"}}"#);
        assert_eq!(words.status, StatusReading::Status(StagePhase::Running, "running".into()));
        assert_eq!(words.stages[0].phase, StagePhase::Done);
        assert_eq!(words.stages[1].name, "l1");
        let objects = observe(
            r#"{"status":"done","stage_states":{"whisper":{"state":"done","attempt":2,"started_at":"2026-05-20T22:30:00Z","finished_at":1779316201.5}}}"#,
        );
        let whisper = &objects.stages[0];
        assert_eq!((whisper.attempt, whisper.phase), (Some(2), StagePhase::Done));
        assert_eq!(whisper.times.ended_at.unwrap().since(whisper.times.started_at.unwrap()).to_string(), "1.5");
        let array = observe(r#"{"status":"done","stages":[{"name":"l2","status":"failed"},{"status":"nameless"}]}"#);
        assert_eq!((array.stages.len(), array.stages[0].phase), (1, StagePhase::Failed));
    }

    /// Answers of Flower 2.2.0 to `/api/task/info/ID`, without the keys that the profile does not look at.
    #[test]
    fn the_whole_answer_may_be_one_stage() {
        let profile = Profile::parse(include_str!("../../examples/flower/profile.toml")).unwrap();
        let waiting = profile.observe(
            r#"{"name":"tasks.digest","state":"PENDING","received":null,"sent":1795461615.1883647,"started":null,"succeeded":null,"failed":null,"revoked":null,"exception":null}"#,
        );
        assert_eq!(waiting.status, StatusReading::Status(StagePhase::Waiting, "PENDING".into()));
        assert_eq!((waiting.stages.len(), waiting.stages[0].phase), (1, StagePhase::Waiting));
        assert_eq!((waiting.message, waiting.times.started_at, waiting.times.ended_at), (None, None, None));
        let failed = profile.observe(
            r#"{"name":"tasks.digest","state":"FAILURE","received":1795461617.6606307,"sent":1795461617.658027,"started":1795461617.662117,"succeeded":null,"failed":1795461617.6727707,"revoked":null,"exception":"ValueError('no')"}"#,
        );
        assert_eq!(failed.status, StatusReading::Status(StagePhase::Failed, "FAILURE".into()));
        assert_eq!(failed.message.as_deref(), Some("ValueError('no')"));
        let stage = &failed.stages[0];
        assert_eq!((stage.name.as_str(), stage.phase, stage.times), ("tasks.digest", StagePhase::Failed, failed.times));
        let [queued, started, ended] =
            [stage.times.queued_at, stage.times.started_at, stage.times.ended_at].map(Option::unwrap);
        assert_eq!(queued.to_string(), "2026-11-23T19:20:17.658027Z");
        assert_eq!((started.since(queued), ended.since(started)), (0.00409, 0.010_654));
        assert_eq!(profile.observe(r#"{"state":"STARTED"}"#).stages, [], "a stage has a name");
    }

    #[test]
    fn an_unknown_word_no_word_and_no_json_are_told_apart() {
        assert_eq!(
            observe(r#"{"status":"archived"}"#).status,
            StatusReading::Status(StagePhase::Unnamed, "archived".into())
        );
        assert_eq!(observe(r#"{"status":null}"#).status, StatusReading::NoStatus);
        let StatusReading::Unreadable(cause) = observe("{\"status\":\"do").status else { panic!("cut off") };
        assert!(cause.contains("EOF") && cause.contains("line 1 column 13"), "{cause}");
    }

    #[test]
    fn ids_are_strings_with_all_their_digits() {
        let profile = Profile::load(None).unwrap();
        assert_eq!(profile.job_id(r#"{"job_id":12345678901234567890123}"#).unwrap(), "12345678901234567890123");
        assert_eq!(profile.job_id(r#"{"job_id":""}"#), None);
        assert_eq!(profile.job_id(r#"{"job_id":null,"id":"x"}"#).unwrap(), "x");
    }

    #[test]
    fn times_of_servers_are_read_in_their_spellings() {
        let expected = Some("2026-05-20T22:30:00.250000Z".to_owned());
        for (text, resolution) in [
            ("2026-05-20T22:30:00.25Z", 0.01),
            ("2026-05-21 00:30:00.25+02:00", 0.01),
            ("2026-05-20T22:30:00.250000", 1e-6),
            ("1779316200.25", 0.01),
            ("1779316200250", 1e-3),
            ("1779316200250000", 1e-6),
            ("1779316200250000000", 1e-9),
            ("1.77931620025e9", 0.01),
        ] {
            let time = server_time(text).unwrap();
            assert_eq!(Some(time.at.to_string()), expected, "{text}");
            assert!((time.resolution_seconds / resolution - 1.0).abs() < 1e-9, "{text}: {time:?}");
        }
        let whole = server_time("2026-05-20T22:30:00Z").unwrap();
        assert!((whole.resolution_seconds - 1.0).abs() < 1e-9);
        assert_eq!(server_time("soon"), None);
    }

    #[test]
    fn what_can_be_read_beyond_doubt_is_read() {
        let nan = observe(r#"{"text":"NaN, \"Infinity","wer":NaN,"no":[-Infinity,Infinity],"status":"done"}"#);
        assert_eq!(nan.status, StatusReading::Status(StagePhase::Done, "done".into()));
        assert!(nan.is_lenient && !observe(r#"{"status":"done","text":"NaN"}"#).is_lenient);
        let marked = observe("\u{feff}{\"status\":\"done\"}");
        assert_eq!((marked.status, marked.is_lenient), (StatusReading::Status(StagePhase::Done, "done".into()), true));
        let profile = Profile::load(None).unwrap();
        assert_eq!(profile.job_id("\u{feff}{\"job_id\":\"x\",\"eta\":NaN}").as_deref(), Some("x"));
        assert_eq!(readable(r#"{"text":"NaN","n":[1,Infinity]}"#).unwrap(), r#"{"text":"NaN","n":[1,null]}"#);
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_place() {
        for (body, part) in [
            ("", "is empty"),
            (" \n", "is empty"),
            ("<html>busy</html>", "near `<html>busy"),
            (r#"{"status":"done","wer":nan}"#, "\"wer\":nan}`"),
            (r#"{"status":NaNa}"#, "line 1 column"),
            ("{'status':'done'}", "near `{'status'"),
        ] {
            let cause = readable(body).unwrap_err();
            assert!(cause.contains(part), "{body}: {cause}");
        }
    }

    #[test]
    fn times_that_mean_not_yet_or_never_are_none() {
        for text in [
            "0",
            "-1",
            "0.0",
            "",
            "1970-01-01T00:00:00Z",
            "1970-01-01T01:00:00+01:00",
            "0001-01-01T00:00:00Z",
            "0000-00-00 00:00:00",
            "1601-01-01T00:00:00Z",
            "1980-01-01T00:00:00",
            "2001-01-01T00:00:00Z",
            "9999-12-31T23:59:59-05:00",
            "9999-12-31T23:59:59.999999Z",
            "2038-01-19T03:14:07Z",
            "2262-04-11T23:47:16.854775807Z",
            "-62135596800",
            "253402300799",
            "1e300",
            "NaN",
            "inf",
        ] {
            assert_eq!(server_time(text), None, "{text}");
        }
    }

    #[test]
    fn an_answer_about_another_job_is_recognised() {
        let mut profile = Profile::load(None).unwrap();
        let id = "379bb927-1671-4ee2-8d49-63d9f27a2bc5";
        let other = |profile: &Profile, body: &str| profile.other_job(body, id);
        assert_eq!(other(&profile, r#"{"job_id":"j1"}"#).as_deref(), Some("j1"));
        for same in [
            r#"{"job_id":"379bb927-1671-4ee2-8d49-63d9f27a2bc5"}"#,
            r#"{"job_id":"379BB92716714EE28D4963D9F27A2BC5"}"#,
            r#"{"job_id":"379BB927-1671-4EE2-8D49-63D9F27A2BC5"}"#,
            r#"{"job_id":"/jobs/379bb927-1671-4ee2-8d49-63d9f27a2bc5"}"#,
            r#"{"job_id":"/jobs/379bb92716714ee28d4963d9f27a2bc5"}"#,
            r#"{"status":"done"}"#,
            r#"{"job_id":null}"#,
            "no JSON",
        ] {
            assert_eq!(other(&profile, same), None, "{same}");
        }
        for (one, another) in
            [("11", "1"), ("1-1", "11"), ("xAb9", "xaB9"), ("job-a", "job-A"), ("07", "7"), ("/jobs/a", "A")]
        {
            assert!(!is_same_id(one, another), "{one} {another}");
        }
        assert!(is_same_id("/jobs/xAb9", "xAb9") && is_same_id("xAb9", "xAb9"));
        profile.poll.id = Some(vec![]);
        assert_eq!(other(&profile, r#"{"job_id":"j1"}"#), None, "an empty poll.id turns the check off");
    }

    #[test]
    fn an_error_may_be_a_text_a_number_true_an_object_or_a_list() {
        let message = |error: &str| observe(&format!(r#"{{"status":"done","error":{error}}}"#)).message;
        for (error, text) in [
            (r#""CUDA out of memory""#, "CUDA out of memory"),
            ("137", "137"),
            ("true", "true"),
            (r#"{"code":7,"message":"boom"}"#, "boom"),
            (r#"{"code":7,"text":"boom"}"#, r#"{"code":7,"text":"boom"}"#),
            (r#"["part 3 failed"]"#, r#"["part 3 failed"]"#),
            (r#"[null,{"retry":true}]"#, r#"[null,{"retry":true}]"#),
        ] {
            assert_eq!(message(error).as_deref(), Some(text));
        }
        assert_eq!(message(r#"{"code":7,"message":"boom"},"detail":"out of memory""#).as_deref(), Some("boom"));
        let none = ["null", "false", "0", "0.0", "-0", r#""""#, r#"" ""#, r#""None""#, "{}", "[]", "[{}]"];
        for error in none.into_iter().chain([r#"{"code":0,"message":null}"#, r#"["",false]"#]) {
            assert_eq!(message(error), None, "{error}");
        }
    }

    #[test]
    fn booleans_are_words() {
        let text =
            include_str!("../../profiles/autorag.toml").replacen("done = [\"done\"]", "done = [\"done\", \"true\"]", 1);
        let profile = Profile::parse(&text).unwrap();
        assert_eq!(
            profile.observe(r#"{"status":true}"#).status,
            StatusReading::Status(StagePhase::Done, "true".into())
        );
    }

    #[test]
    fn an_end_counts_in_a_final_state_and_a_start_once_started() {
        let body = |status: &str, stage: &str| {
            format!(
                r#"{{"status":"{status}","stage_states":{{"l1":{{"state":"{stage}","started_at":"2026-05-20T22:30:00Z","finished_at":"2026-05-20T22:40:00Z"}}}}}}"#
            )
        };
        let known = |stage: &str| {
            let times = observe(&body("running", stage)).stages[0].times;
            (times.started_at.is_some(), times.ended_at.is_some())
        };
        assert_eq!(
            [known("queued"), known("running"), known("done"), known("failed")],
            [(false, false), (true, false), (true, true), (true, true)]
        );
    }
}
