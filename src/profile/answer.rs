//! Reads a target's answer by its profile's pointers.

use std::collections::BTreeMap;

use itertools::Itertools;
use serde_json::value::RawValue;

use super::json::why_unreadable;
use super::place::{Document, Place};
use super::rules::{self, PollMeaning, SubmitMeaning};
use super::steps::Told;
use super::times::{Unread, happened, times};
use super::{Profile, StagePointers, StatusWords};
use crate::http::Answer;
use crate::record::raw::{self, elements, members};
use crate::record::{ServerTimes, StagePhase};

/// JSON's null, and the word for it.
const NULL: &str = "null";

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
    /// Values at places of times that are no times, by the profile's key.
    pub unread_times: BTreeMap<String, String>,
    /// The body breaks the rules of JSON, or its head names an unknown coding, and it was read all the same.
    pub is_lenient: bool,
    /// The stages are to be read from the body or from a step's answer, and that cannot be read.
    pub lacks_stages: bool,
}

impl Observation {
    /// Keeps the values below `key` that are no times, the first for each key.
    pub(super) fn note_unread(&mut self, key: &str, values: Unread) {
        for (part, value) in values {
            self.unread_times.entry(format!("{key}.{part}")).or_insert(value);
        }
    }

    fn note_unread_of_stages(&mut self) {
        let unread: Vec<_> = self.stages.iter_mut().flat_map(|stage| std::mem::take(&mut stage.unread)).collect();
        self.note_unread("poll.stages.times", unread);
    }
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
    /// Values at places of times that are no times, with the last part of the profile's key.
    pub unread: Vec<(&'static str, String)>,
    /// The error's text, where there is one.
    pub message: Option<String>,
    /// The answer does not name it: the name is its place in the list.
    pub is_nameless: bool,
}

/// The meaning of an answer to a poll, by the profile's rules and the HTTP status.
#[derive(Clone, Debug, PartialEq)]
pub enum PollAnswer {
    /// The target knows no such job.
    Unknown,
    /// A document that tells the job's state.
    Document(Box<Observation>),
    /// Neither.
    Other,
}

/// The state that a rule tells, with the rule's name.
type Ruled = Option<(StagePhase, String)>;

impl Profile {
    /// The meaning of an answer to a poll.
    pub fn poll_answer(&self, document: &Document<'_>) -> PollAnswer {
        let status = document.status().unwrap_or_default();
        match rules::decide(&self.poll.rules, document) {
            Some((PollMeaning::Unknown, _)) => PollAnswer::Unknown,
            None if self.poll.unknown.contains(&status) => PollAnswer::Unknown,
            None if !(200..300).contains(&status) => PollAnswer::Other,
            ruled => PollAnswer::Document(Box::new(self.observe_by(document, state(ruled)))),
        }
    }

    /// Reads the answer to a poll, whatever its HTTP status.
    pub fn observe(&self, document: &Document<'_>) -> Observation {
        self.observe_by(document, state(rules::decide(&self.poll.rules, document)))
    }

    fn observe_by(&self, document: &Document<'_>, ruled: Ruled) -> Observation {
        let poll = &self.poll;
        let word = state_word(document, &poll.status, &poll.words);
        let ambiguity = document.ambiguity(&poll.status);
        let status = match (ruled, word, document.json()) {
            (Some((phase, name)), word, _) => StatusReading::Status(phase, word.unwrap_or(name)),
            (None, Some(word), _) => StatusReading::Status(poll.words.meaning(&word), word),
            (None, None, Ok(_)) => StatusReading::NoStatus,
            (None, None, Err(cause)) => StatusReading::Unreadable(cause.to_owned()),
        };
        let status = ambiguity.map_or(status, StatusReading::Unreadable);
        let phase = match &status {
            StatusReading::Status(meaning, _) => *meaning,
            StatusReading::NoStatus | StatusReading::Unreadable(_) => StagePhase::Unnamed,
        };
        let (times, unread) = times(document, &poll.times);
        let mut observation = Observation {
            status,
            message: error_text(document, &poll.message),
            times: happened(times, phase),
            stages: poll.stages.as_ref().map(|at| stages(document, at, phase)).unwrap_or_default(),
            unread_times: BTreeMap::new(),
            is_lenient: document.is_lenient(),
            lacks_stages: self.tells(Told::Stages) || document.json().is_err() && self.has_stages_in_body(),
        };
        observation.note_unread("poll.times", unread);
        observation.note_unread_of_stages();
        observation
    }

    /// Replaces the parts `told` of an observation by what another document tells of them.
    pub fn complete(&self, observation: &mut Observation, told: &[Told], document: &Document<'_>) {
        let phase = match &observation.status {
            StatusReading::Status(meaning, _) => *meaning,
            StatusReading::NoStatus | StatusReading::Unreadable(_) => StagePhase::Unnamed,
        };
        observation.is_lenient |= document.is_lenient();
        for part in told {
            match part {
                Told::Stages => {
                    observation.lacks_stages = false;
                    observation.stages =
                        self.poll.stages.as_ref().map(|at| stages(document, at, phase)).unwrap_or_default();
                    observation.note_unread_of_stages();
                }
                Told::Message => observation.message = error_text(document, &self.poll.message),
                Told::Times => {
                    let (times, unread) = times(document, &self.poll.times);
                    observation.times = happened(times, phase);
                    observation.note_unread("poll.times", unread);
                }
            }
        }
    }

    /// The reason why an answer to a step does not tell one of the parts `told`: its body cannot be read, or has no list of stages. An
    /// error and times may be absent.
    pub fn why_untold(&self, told: &[Told], answer: &Answer) -> Option<String> {
        let document = Document::of(answer);
        let (poll, times) = (&self.poll, &self.poll.times);
        let stages = || poll.stages.iter().flat_map(|stages| &stages.at);
        let of_part = |part: &Told| -> Vec<&Place> {
            match part {
                Told::Stages => stages().collect(),
                Told::Message => poll.message.iter().collect(),
                Told::Times => [&times.queued, &times.started, &times.ended].into_iter().flatten().collect(),
            }
        };
        let places: Vec<&Place> = told.iter().flat_map(of_part).collect();
        if places.iter().any(|place| place.is_in_json())
            && let Some(cause) = why_unreadable(answer)
        {
            return Some(cause);
        }
        let is_absent = |place: &Place| !place.has_wildcard() && place.find(&document).is_empty();
        let lacks_stages = told.contains(&Told::Stages) && stages().next().is_some() && stages().all(is_absent);
        lacks_stages.then(|| format!("nothing at {} in the answer", stages().map(Place::as_str).join(", ")))
    }

    /// Returns true if the places of the stages are in the body of an answer.
    fn has_stages_in_body(&self) -> bool {
        self.poll.stages.as_ref().is_some_and(|stages| stages.at.iter().any(Place::is_in_json))
    }

    /// Returns true if a header of a poll's answer may decide what it means.
    pub fn reads_poll_headers(&self) -> bool {
        let is_polls = |key: &str| key.starts_with("poll.") && !key.starts_with("poll.list.");
        let places = self.places().into_iter().filter(|(key, _)| is_polls(key)).map(|(_, place)| place);
        places.chain(rules::places(&self.poll.rules)).any(Place::is_header)
    }

    /// The job's id in the answer to a submission.
    pub fn job_id(&self, answer: &Answer) -> Option<String> {
        Document::of(answer).scalar(&self.submit.id).filter(|id| !id.is_empty())
    }

    /// The reason to doubt the job's id in the answer to a submission.
    pub fn id_doubt(&self, answer: &Answer) -> Option<String> {
        Document::of(answer).ambiguity(&self.submit.id)
    }

    /// The meaning of the answer to a submission, by the profile's rules and accepted statuses; none if neither decides.
    pub fn submit_meaning(&self, answer: &Answer) -> Option<SubmitMeaning> {
        let submit = &self.submit;
        let ruled = if submit.rules.is_empty() { None } else { rules::decide(&submit.rules, &Document::of(answer)) };
        let accepted = submit.accepted.contains(&answer.status).then_some(SubmitMeaning::Accepted);
        ruled.map(|(means, _)| means).or(accepted)
    }
}

fn state(ruled: Option<(PollMeaning, String)>) -> Ruled {
    ruled.and_then(|(means, name)| Some((means.phase()?, name)))
}

/// The state word at `places`. Null is one only if `words` list it.
fn state_word(document: &Document<'_>, places: &[Place], words: &StatusWords) -> Option<String> {
    let is_null = || places.iter().any(|place| place.find(document).iter().any(|raw| raw.get() == NULL));
    document.word(places).or_else(|| (words.names(NULL) && is_null()).then(|| NULL.to_owned()))
}

/// The error that stands at one of `places`: a text, or else the JSON of an object or a list.
fn error_text(document: &Document<'_>, places: &[Place]) -> Option<String> {
    let found = places.iter().flat_map(|place| document.every(place)).filter(|raw| is_error(raw)).collect::<Vec<_>>();
    let text = found.iter().find_map(|raw| raw::word(raw)).or_else(|| found.first().map(|raw| raw.get().to_owned()));
    text.map(|text| text.trim().to_owned())
}

/// Returns true unless `raw` says that there is no error: null, false, zero, an empty text, a word for "none", and objects and
/// lists of nothing else.
pub(super) fn is_error(raw: &RawValue) -> bool {
    let text = raw.get();
    if let Some(found) = members(raw) {
        return found.into_iter().any(|(_, value)| is_error(value));
    }
    if let Some(found) = elements(raw) {
        return found.into_iter().any(is_error);
    }
    if text.starts_with(['{', '[']) {
        // A key of it cannot be read.
        return true;
    }
    let is_zero = !text.starts_with('"') && text.parse().is_ok_and(|number: f64| number == 0.0);
    let word = raw::word(raw).unwrap_or_default().trim().to_ascii_lowercase();
    !is_zero && !["", "0", "false", "none", "null", "ok"].contains(&word.as_str())
}

fn stages(document: &Document<'_>, at: &StagePointers, job: StagePhase) -> Vec<StageReading> {
    let found = document.values(&at.at);
    let named = |(index, raw): (usize, &RawValue)| {
        let name = Document::part(raw).word(&at.name).or_else(|| at.constant.clone());
        // A failure is not lost for want of a name.
        let is_nameless = name.is_none();
        let read = stage(name.unwrap_or_else(|| format!("#{}", index + 1)), raw, at, job);
        let read = StageReading { is_nameless, ..read };
        (!is_nameless || (read.phase == StagePhase::Failed && !at.one)).then_some(read)
    };
    if at.one || at.at.iter().any(Place::has_wildcard) {
        return found.iter().map(|raw| &**raw).enumerate().filter_map(named).collect();
    }
    let Some(raw) = found.first() else { return Vec::new() };
    if let Some(by_name) = members(raw) {
        return by_name.into_iter().map(|(name, raw)| stage(name, raw, at, job)).collect();
    }
    elements(raw).unwrap_or_default().into_iter().enumerate().filter_map(named).collect()
}

fn stage(name: String, raw: &RawValue, at: &StagePointers, job: StagePhase) -> StageReading {
    let part = Document::part(raw);
    // A stage is its state word, or an object that holds it.
    let itself = || (raw.get() == NULL && at.words.names(NULL)).then(|| NULL.to_owned());
    // Two words for one state are a word that no profile lists.
    let told = || part.ambiguity(&at.state).or_else(|| state_word(&part, &at.state, &at.words));
    let state = raw::word(raw).or_else(itself).or_else(told);
    let phase = state.as_deref().map_or(StagePhase::Unnamed, |word| at.words.meaning(word));
    let attempt = part.scalar(&at.attempt).as_deref().and_then(count);
    let (told, unread) = times(&part, &at.times);
    let times = match phase {
        // A stage without a state of its own has come as far as its job may have.
        StagePhase::Unnamed if job == StagePhase::Running => told,
        StagePhase::Unnamed => happened(told, job),
        _ => happened(told, phase),
    };
    let message = error_text(&part, &at.message);
    StageReading { name, state, phase, attempt, times, unread, message, is_nameless: false }
}

/// A number of attempts, which some servers write as a float.
fn count(text: &str) -> Option<u64> {
    let whole = text.split_once('.').map_or(
        text,
        |(whole, zeros)| {
            if zeros.bytes().all(|digit| digit == b'0') { whole } else { text }
        },
    );
    whole.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observe(body: &str) -> Observation {
        observe_by(&Profile::load(None).unwrap(), body)
    }

    fn observe_by(profile: &Profile, body: &str) -> Observation {
        profile.observe(&Document::of_body(body))
    }

    fn job_id(profile: &Profile, body: &str) -> Option<String> {
        Document::of_body(body).scalar(&profile.submit.id).filter(|id| !id.is_empty())
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
        let floats = observe(r#"{"status":"done","stages":[{"name":"l2","attempt":2.0},{"name":"l2","attempt":1.5}]}"#);
        assert_eq!((floats.stages[0].attempt, floats.stages[1].attempt), (Some(2), None));
        let nameless = observe(r#"{"status":"done","stages":[{"name":"l2","status":"done"},{"status":"failed"}]}"#);
        assert_eq!((&*nameless.stages[1].name, nameless.stages[1].phase), ("#2", StagePhase::Failed));
    }

    #[test]
    fn a_key_that_stands_twice_with_two_values_is_not_read() {
        let profile = Profile::load(None).unwrap();
        let doubt = |body: &str| Document::of_body(body).ambiguity(&profile.submit.id);
        assert!(doubt(r#"{"job_id":"a","job_id":"b"}"#).is_some_and(|doubt| doubt.contains("`a` and `b`")));
        assert_eq!(doubt(r#"{"job_id":"a","id":"b","job_id":"a"}"#), None);
        let twice = observe(r#"{"status":"running","status":"done"}"#).status;
        assert!(matches!(twice, StatusReading::Unreadable(cause) if cause.contains("`running` and `done`")));
    }

    /// Answers of Flower 2.2.0 to `/api/task/info/ID`, without the keys that the profile does not look at.
    #[test]
    fn the_whole_answer_may_be_one_stage() {
        let profile = Profile::parse(include_str!("../../examples/flower/profile.toml")).unwrap();
        let waiting = observe_by(
            &profile,
            r#"{"name":"tasks.digest","state":"PENDING","received":null,"sent":1795461615.1883647,"started":null,"succeeded":null,"failed":null,"revoked":null,"exception":null}"#,
        );
        assert_eq!(waiting.status, StatusReading::Status(StagePhase::Waiting, "PENDING".into()));
        assert_eq!((waiting.stages.len(), waiting.stages[0].phase), (1, StagePhase::Waiting));
        assert_eq!((waiting.message, waiting.times.started_at, waiting.times.ended_at), (None, None, None));
        let failed = observe_by(
            &profile,
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
        assert_eq!(observe_by(&profile, r#"{"state":"STARTED"}"#).stages, [], "a stage has a name");
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
        assert_eq!(job_id(&profile, r#"{"job_id":12345678901234567890123}"#).unwrap(), "12345678901234567890123");
        assert_eq!(job_id(&profile, r#"{"job_id":""}"#), None);
        assert_eq!(job_id(&profile, r#"{"job_id":null,"id":"x"}"#).unwrap(), "x");
    }

    #[test]
    fn what_can_be_read_beyond_doubt_is_read() {
        let nan = observe(r#"{"text":"NaN, \"Infinity","wer":NaN,"no":[-Infinity,Infinity],"status":"done"}"#);
        assert_eq!(nan.status, StatusReading::Status(StagePhase::Done, "done".into()));
        assert!(nan.is_lenient && !observe(r#"{"status":"done","text":"NaN"}"#).is_lenient);
        let marked = observe("\u{feff}{\"status\":\"done\"}");
        assert_eq!((marked.status, marked.is_lenient), (StatusReading::Status(StagePhase::Done, "done".into()), true));
        let profile = Profile::load(None).unwrap();
        assert_eq!(job_id(&profile, "\u{feff}{\"job_id\":\"x\",\"eta\":NaN}").as_deref(), Some("x"));
        assert_eq!(
            crate::profile::readable(r#"{"text":"NaN","n":[1,Infinity]}"#).unwrap(),
            r#"{"text":"NaN","n":[1,null]}"#
        );
    }

    #[test]
    fn an_error_may_be_a_text_a_number_true_an_object_or_a_list() {
        let message = |error: &str| observe(&format!(r#"{{"status":"done","error":{error}}}"#)).message;
        for (error, text) in [
            (r#""CUDA out of memory""#, "CUDA out of memory"),
            (r#""ValueError: no such file\n""#, "ValueError: no such file"),
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
            observe_by(&profile, r#"{"status":true}"#).status,
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
