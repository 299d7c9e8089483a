//! Faults on demand: their kinds, and the jobs or requests that they strike.

use std::str::FromStr;

use crate::chance::{Purpose, SeededChance};
use crate::stage::Stage;

/// Whom a fault strikes: certain ordinals (the n-th job or request, from 1), or a share of them by seeded chance.
///
/// Written `3`, `3,5` or `10%`.
#[derive(Debug, Clone, PartialEq)]
pub enum Which {
    /// These ordinals, from 1.
    Nth(Vec<u64>),
    /// This share of all, 0 to 1.
    Share(f64),
}

/// A fault of one stage, written `STAGE:WHICH`.
#[derive(Debug, Clone, PartialEq)]
pub struct StageFault {
    /// The stage that goes wrong.
    pub stage: Stage,
    /// The jobs it goes wrong for, by the order in which they were accepted.
    pub which: Which,
}

/// An error status given instead of an answer, written `STATUS:WHICH[:RETRY_AFTER_SECONDS]`.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusFault {
    /// The HTTP status, 400 to 599.
    pub status: u16,
    /// The requests it strikes, by the order in which they arrived.
    pub which: Which,
    /// Seconds for the `Retry-After` header; none: no header.
    pub retry_after: Option<u64>,
}

/// Kinds of fault, so that two flags with the same percentage strike independently.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Fail,
    Flaky,
    Hang,
    Drop,
    Lose,
    SameId,
    NoAnswer,
    Refuse,
    PollStatus,
    CutPost,
    Cut,
    Garble,
    Stale,
    LoseTrace,
    Hold,
}

impl Which {
    /// Returns true if the fault strikes ordinal `n`; `salt` tells apart several flags of one kind.
    fn strikes(&self, chance: SeededChance, kind: Kind, salt: u64, n: u64) -> bool {
        match self {
            Self::Nth(ordinals) => ordinals.contains(&n),
            Self::Share(share) => chance.unit(Purpose::Fault, [kind as u64, salt, n]) < *share,
        }
    }
}

/// Returns true if any of the flags of one kind strikes ordinal `n`.
pub(crate) fn any(flags: &[Which], chance: SeededChance, kind: Kind, n: u64) -> bool {
    (0..).zip(flags).any(|(salt, which)| which.strikes(chance, kind, salt, n))
}

/// Returns true if any of the stage flags of one kind strikes this stage of job `n`.
pub(crate) fn any_stage(flags: &[StageFault], chance: SeededChance, kind: Kind, stage: Stage, n: u64) -> bool {
    (0..).zip(flags).any(|(salt, fault)| fault.stage == stage && fault.which.strikes(chance, kind, salt, n))
}

/// The first of the status flags that strikes request `n`.
pub(crate) fn first_status(flags: &[StatusFault], chance: SeededChance, kind: Kind, n: u64) -> Option<&StatusFault> {
    (0..).zip(flags).find(|(salt, fault)| fault.which.strikes(chance, kind, *salt, n)).map(|(_, fault)| fault)
}

impl FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(percent) = text.strip_suffix('%') {
            return match percent.parse::<f64>() {
                Ok(value) if (0.0..=100.0).contains(&value) => Ok(Self::Share(value / 100.0)),
                _ => Err(format!("'{text}' is not a percentage from 0% to 100%")),
            };
        }
        let ordinals = text.split(',').map(|part| match part.parse() {
            Ok(0) | Err(_) => Err(format!("'{text}' is not 3, nor 3,5, nor 10%: ordinals count from 1")),
            Ok(n) => Ok(n),
        });
        Ok(Self::Nth(ordinals.collect::<Result<_, _>>()?))
    }
}

impl FromStr for StageFault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (stage, which) = text.split_once(':').ok_or_else(|| format!("'{text}' is not STAGE:WHICH, as in l2:3"))?;
        Ok(Self { stage: stage.parse()?, which: which.parse()? })
    }
}

impl FromStr for StatusFault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.splitn(3, ':');
        let (Some(status), Some(which)) = (parts.next(), parts.next()) else {
            return Err(format!("'{text}' is not STATUS:WHICH[:RETRY_AFTER_SECONDS], as in 429:2:1"));
        };
        let Ok(status @ 400..=599) = status.parse() else {
            return Err(format!("'{status}' is not an error status from 400 to 599"));
        };
        let retry_after = parts
            .next()
            .map(|seconds| seconds.parse().map_err(|_| format!("'{seconds}' is not a whole number of seconds")))
            .transpose()?;
        Ok(Self { status, which: which.parse()?, retry_after })
    }
}

/// Reads a status word spelt otherwise on the wire, written `done=completed`.
pub(crate) fn status_word(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((word @ ("queued" | "running" | "done" | "failed"), sent)) => Ok((word.to_owned(), sent.to_owned())),
        _ => Err(format!("'{text}' is not WORD=SENT, where WORD is queued, running, done or failed")),
    }
}

/// Reads a stage's time in seconds, written `l2=2s`.
pub(crate) fn stage_time(text: &str) -> Result<(Stage, f64), String> {
    let (stage, time) = text.split_once('=').ok_or_else(|| format!("'{text}' is not STAGE=DURATION, as in l2=2s"))?;
    Ok((stage.parse()?, crate::units::duration(time)?.as_secs_f64()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_help_shows() {
        assert_eq!("3".parse(), Ok(Which::Nth(vec![3])));
        assert_eq!("3,5".parse(), Ok(Which::Nth(vec![3, 5])));
        assert_eq!("10%".parse(), Ok(Which::Share(0.1)));
        let expected = StageFault { stage: Stage::SummarizeL1, which: Which::Nth(vec![2]) };
        assert_eq!("summarize_l1:2".parse(), Ok(expected));
        let expected = StatusFault { status: 429, which: Which::Share(0.5), retry_after: Some(7) };
        assert_eq!("429:50%:7".parse(), Ok(expected));
        assert_eq!("503:1".parse::<StatusFault>().unwrap().retry_after, None);
    }

    #[test]
    fn refuses_what_means_nothing() {
        for text in ["", "0", "3,", "-1", "x", "101%", "%", "nan%"] {
            assert!(text.parse::<Which>().is_err(), "{text}");
        }
        for text in ["l2", "l9:1", ":1", "l2:"] {
            assert!(text.parse::<StageFault>().is_err(), "{text}");
        }
        for text in ["200:1", "429", "429:1:soon", "x:1"] {
            assert!(text.parse::<StatusFault>().is_err(), "{text}");
        }
        assert!(status_word("finished=x").is_err() && stage_time("l2=2").is_err());
    }

    #[test]
    fn two_flags_of_one_share_strike_independently() {
        let chance = SeededChance::new(3);
        let half = Which::Share(0.5);
        let differ = (1..=100)
            .filter(|n| half.strikes(chance, Kind::Fail, 0, *n) != half.strikes(chance, Kind::Fail, 1, *n))
            .count();
        assert!((25..75).contains(&differ), "{differ}");
    }
}
