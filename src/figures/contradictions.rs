//! Times that a server tells of a job and that cannot be true by what the harness saw.

/// A time that a server tells of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerTime {
    /// The beginning of its wait.
    Queued,
    /// The beginning of its work.
    Started,
    /// The beginning of its first stage, where the server tells no start of the job.
    FirstStageStarted,
    /// Its end.
    Ended,
}

impl ServerTime {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Queued, Self::Started, Self::FirstStageStarted, Self::Ended];

    /// The name of such times in a sentence, and the profile's key that says where they stand.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Queued => "queueing times (poll.times.queued)",
            Self::Started => "start times (poll.times.started)",
            Self::FirstStageStarted => "start times of the first stage (poll.stages.times.started)",
            Self::Ended => "end times (poll.times.ended)",
        }
    }
}

/// The seconds by which a time is wrong. A report holds them for every job and every stage, and seven digits are enough.
pub(super) fn in_little_memory(seconds: f64) -> f32 {
    #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
    let single = seconds as f32;
    single.max(f32::MIN_POSITIVE)
}

/// The server's times of one job that contradict what the harness saw, each with the seconds by which it does at least.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Contradictions(
    /// Zero for a time that nothing contradicts.
    [f32; ServerTime::ALL.len()],
);

impl Contradictions {
    /// The least number of seconds by which `time` is wrong; none if nothing contradicts it.
    pub fn seconds(&self, time: ServerTime) -> Option<f64> {
        Some(self.0[time as usize].into()).filter(|seconds| *seconds > 0.0)
    }

    /// Returns true if nothing contradicts any of the times.
    pub fn is_empty(&self) -> bool {
        ServerTime::ALL.into_iter().all(|time| self.seconds(time).is_none())
    }

    /// Notes that `time` is wrong by `seconds` or more.
    pub(super) fn note(&mut self, time: ServerTime, seconds: f64) {
        let noted = &mut self.0[time as usize];
        *noted = noted.max(in_little_memory(seconds));
    }

    /// Returns what was found of `time`, or notes by how many seconds it is wrong.
    pub(super) fn unless<T>(&mut self, time: ServerTime, found: Result<T, f64>) -> Option<T> {
        found.map_err(|seconds| self.note(time, seconds)).ok()
    }
}
