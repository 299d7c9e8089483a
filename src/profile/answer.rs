//! Reads a target's answer by its profile's pointers.

use serde_json::value::RawValue;

use super::{Profile, StagePointers, TimePointers};
use crate::record::raw::{elements, members, pointer, scalar};
use crate::record::{ServerTimes, StagePhase, Timestamp};

/// The meaning of a status word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusMeaning {
    /// Accepted and not begun.
    Waiting,
    /// Being worked on.
    Running,
    /// Ended well.
    Done,
    /// Ended badly.
    Failed,
    /// Not named by the profile.
    Unnamed,
}

impl From<StatusMeaning> for StagePhase {
    fn from(word: StatusMeaning) -> Self {
        match word {
            StatusMeaning::Waiting => Self::Waiting,
            StatusMeaning::Running => Self::Running,
            StatusMeaning::Done => Self::Done,
            StatusMeaning::Failed => Self::Failed,
            StatusMeaning::Unnamed => Self::Unnamed,
        }
    }
}

/// The job's status in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatusReading {
    /// A status word and its meaning.
    Status(StatusMeaning, String),
    /// The body is JSON and none of the pointers finds a string or a number in it.
    NoStatus,
    /// The body is not JSON.
    NotJson,
}

/// A job as one poll's answer describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Its status.
    pub status: StatusReading,
    /// The error's text, where there is one.
    pub message: Option<String>,
    /// The job's own times.
    pub times: ServerTimes,
    /// Its stages in the answer's order.
    pub stages: Vec<StageReading>,
}

/// A stage as one poll's answer describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
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
        let status = match first_scalar(body, &poll.status) {
            Some(word) => StatusReading::Status(poll.words.meaning(&word), word),
            None if serde_json::from_str::<&RawValue>(body).is_ok() => StatusReading::NoStatus,
            None => StatusReading::NotJson,
        };
        Observation {
            status,
            message: first_scalar(body, &poll.message),
            times: times(body, &poll.times),
            stages: poll.stages.as_ref().map(|at| stages(body, at)).unwrap_or_default(),
        }
    }

    /// The job's id in `body`, the answer to a submission.
    pub fn job_id(&self, body: &str) -> Option<String> {
        first_scalar(body, &self.submit.id).filter(|id| !id.is_empty())
    }
}

/// The string or number at the first of `pointers` that finds one.
fn first_scalar(body: &str, pointers: &[String]) -> Option<String> {
    pointers.iter().find_map(|at| pointer(body, at).and_then(scalar))
}

fn times(body: &str, at: &TimePointers) -> ServerTimes {
    let time = |pointers: &[String]| first_scalar(body, pointers).and_then(|text| server_time(&text));
    ServerTimes { queued_at: time(&at.queued), started_at: time(&at.started), ended_at: time(&at.ended) }
}

/// Parses a server's time: RFC 3339, with or without its zone (then UTC), or Unix time in seconds or milliseconds.
fn server_time(text: &str) -> Option<Timestamp> {
    /// 5138-11-16 in seconds, 1973-03-03 in milliseconds: larger numbers are milliseconds.
    const MILLISECONDS_FROM: f64 = 1e11;
    if let Ok(number) = text.parse::<f64>() {
        return Timestamp::from_seconds(if number >= MILLISECONDS_FROM { number / 1e3 } else { number });
    }
    let spelt = text.replacen(' ', "T", 1);
    spelt.parse().or_else(|_| format!("{spelt}Z").parse()).ok()
}

fn stages(body: &str, at: &StagePointers) -> Vec<StageReading> {
    let Some(found) = at.at.iter().find_map(|place| pointer(body, place)) else { return Vec::new() };
    let named = |raw: &RawValue| Some(stage(first_scalar(raw.get(), &at.name)?, raw, at));
    if at.one {
        return named(found).into_iter().collect();
    }
    if let Some(by_name) = members(found) {
        return by_name.into_iter().map(|(name, raw)| stage(name, raw, at)).collect();
    }
    let items = elements(found).unwrap_or_default();
    items.into_iter().filter_map(named).collect()
}

fn stage(name: String, raw: &RawValue, at: &StagePointers) -> StageReading {
    let text = raw.get();
    // A stage is its state word, or an object that holds it.
    let state = scalar(raw).or_else(|| first_scalar(text, &at.state));
    let phase = state.as_deref().map_or(StagePhase::Unnamed, |word| at.words.meaning(word).into());
    let attempt = first_scalar(text, &at.attempt).and_then(|number| number.parse().ok());
    StageReading { name, state, phase, attempt, times: times(text, &at.times) }
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
        assert_eq!(words.status, StatusReading::Status(StatusMeaning::Running, "running".into()));
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
        assert_eq!(waiting.status, StatusReading::Status(StatusMeaning::Waiting, "PENDING".into()));
        assert_eq!((waiting.stages.len(), waiting.stages[0].phase), (1, StagePhase::Waiting));
        assert_eq!((waiting.message, waiting.times.started_at, waiting.times.ended_at), (None, None, None));
        let failed = profile.observe(
            r#"{"name":"tasks.digest","state":"FAILURE","received":1795461617.6606307,"sent":1795461617.658027,"started":1795461617.662117,"succeeded":null,"failed":1795461617.6727707,"revoked":null,"exception":"ValueError('no')"}"#,
        );
        assert_eq!(failed.status, StatusReading::Status(StatusMeaning::Failed, "FAILURE".into()));
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
            StatusReading::Status(StatusMeaning::Unnamed, "archived".into())
        );
        assert_eq!(observe(r#"{"status":null}"#).status, StatusReading::NoStatus);
        assert_eq!(observe("{\"status\":\"do").status, StatusReading::NotJson);
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
        for text in [
            "2026-05-20T22:30:00.25Z",
            "2026-05-21 00:30:00.25+02:00",
            "2026-05-20T22:30:00.250000",
            "1779316200.25",
            "1779316200250",
        ] {
            assert_eq!(server_time(text).map(|time| time.to_string()), expected, "{text}");
        }
        assert_eq!(server_time("soon"), None);
    }
}
