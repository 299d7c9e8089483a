//! `--fail-if-worse`: whether the legs show that a headline figure is worse by so much, or that none is.
//!
//! Worse by 5 % means more than 1.05 times the reference where less is better, and less than 0.95 times where more is
//! better. The test is the same one, of this setting's legs against the reference's legs times that factor: so the spread of
//! the reference counts too, and so do the bounds of each leg. The whole interval must lie beyond, not the point alone.

use super::LEVEL;
use super::judge::{bounds, not_passed};
use super::legs::Group;
use super::short;
use crate::figures::listed;
use crate::record::{Against, Better, Gate, Row, Verdict};
use crate::statistics::Bounded;

/// Hears each setting's figures, and gives the verdict on all of them.
#[derive(Debug)]
pub(super) struct Gatekeeper {
    share: f64,
    gate: Gate,
}

impl Gatekeeper {
    pub(super) fn new(share: f64) -> Self {
        Self { share, gate: Gate { verdict: Verdict::Passed, causes: Vec::new() } }
    }

    /// Hears the setting at `index`.
    pub(super) fn hear(&mut self, reference: &Group, other: &Group, index: usize, rows: &[Row], against: &Against) {
        let (name, to) = (short(&other.name), short(&reference.name));
        let not_passed = not_passed(reference, other);
        let unable = if !against.no_claim.is_empty() {
            Some(against.no_claim.join("; "))
        } else if !not_passed.is_empty() {
            Some(format!("{}, and what did not pass proves nothing", listed(&not_passed)))
        } else {
            None
        };
        let by = format!("{} %", (self.share * 1e4).round() / 100.0);
        if let Some(why) = unable {
            self.put(Verdict::Incomplete, format!("whether {name} is worse than {to} by {by} cannot be told: {why}"));
            return;
        }
        let judged: Vec<(Verdict, &str)> =
            rows.iter().filter(|row| row.headline).map(|row| (self.of(row, index), row.name.as_str())).collect();
        let with = |verdict: Verdict| -> Vec<String> {
            judged.iter().filter(|(held, _)| *held == verdict).map(|(_, name)| (*name).to_owned()).collect()
        };
        let (failed, open) = (with(Verdict::Failed), with(Verdict::Incomplete));
        if !failed.is_empty() {
            self.put(Verdict::Failed, format!("{name} is worse than {to} by more than {by}: {}", failed.join(" and ")));
        } else if open.is_empty() {
            self.put(Verdict::Passed, format!("{name} is not worse than {to} by {by}"));
        } else {
            let why = format!("these legs do not tell for {}", open.join(" and "));
            self.put(Verdict::Incomplete, format!("whether {name} is worse than {to} by {by} cannot be told: {why}"));
        }
    }

    fn put(&mut self, verdict: Verdict, cause: String) {
        self.gate.verdict = self.gate.verdict.max(verdict);
        self.gate.causes.push(cause);
    }

    fn of(&self, row: &Row, index: usize) -> Verdict {
        let factor = match row.better {
            Better::Lower => 1.0 + self.share,
            Better::Higher => 1.0 - self.share,
        };
        let interval = row
            .cells
            .first()
            .zip(row.cells.get(index))
            .and_then(|(a, b)| Bounded::new(&bounds(a, factor)?, &bounds(b, 1.0)?)?.interval(LEVEL));
        let Some(interval) = interval else { return Verdict::Incomplete };
        let (above, below) = (interval.low > 0.0, interval.high < 0.0);
        match row.better {
            Better::Lower if above => Verdict::Failed,
            Better::Lower if below => Verdict::Passed,
            Better::Higher if below => Verdict::Failed,
            Better::Higher if above => Verdict::Passed,
            _ => Verdict::Incomplete,
        }
    }

    /// The verdict on all settings.
    pub(super) fn verdict(self) -> Gate {
        self.gate
    }
}
