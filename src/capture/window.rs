//! The flags that choose the window of a capture.

use std::time::Duration;

use crate::cli::Failure;
use crate::record::Timestamp;
use crate::units::{self, Moment};

/// The window of a capture.
#[derive(Clone, Debug, clap::Args)]
pub struct WindowArgs {
    /// Start the window here: RFC 3339, Unix seconds, now, or -5m, which counts back from a fixed --end, else from now
    /// [default: the first submission in the stream]
    #[arg(long, value_name = "TIME", value_parser = Moment::parse, allow_hyphen_values = true, help_heading = "Window")]
    pub start: Option<Moment>,
    /// End the window here, no later than --settle from now [default: the last job's end in the stream]
    #[arg(long, value_name = "TIME", value_parser = Moment::parse, allow_hyphen_values = true, help_heading = "Window")]
    pub end: Option<Moment>,
    /// Widen the window by this much on both sides
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = units::duration, help_heading = "Window")]
    pub pad: Duration,
    /// Wait up to this long after the window's end for the backend to catch up
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = units::duration, help_heading = "Window")]
    pub settle: Duration,
}

impl WindowArgs {
    /// Refuses flags that no stream can turn into a window: a time in the future, for which the tool would silently wait, and
    /// an end before the start.
    pub fn check(&self) -> Result<(), Failure> {
        let now = Timestamp::system();
        let refuse_future = |flag: &str, time: Timestamp| {
            Err(Failure::usage(format!(
                "{flag} means {time}, which is in the future (now is {now}): give a past time; Unix times are in seconds"
            )))
        };
        match self.bounds(now) {
            (_, Some(end)) if end > now.plus(self.settle) => refuse_future("--end", end),
            (Some(start), _) if start > now => refuse_future("--start", start),
            (Some(start), Some(end)) if end < start => Err(reversed(start, end)),
            _ => Ok(()),
        }
    }

    /// Resolves the flags at the time `now`. A relative start counts back from a fixed `--end`, else from `now`.
    pub(super) fn bounds(&self, now: Timestamp) -> (Option<Timestamp>, Option<Timestamp>) {
        let start_reference = match self.end {
            Some(Moment::At(end)) => end,
            _ => now,
        };
        let resolved = |moment: Option<Moment>, reference| moment.map(|moment| moment.resolve(reference));
        (resolved(self.start, start_reference), resolved(self.end, now))
    }
}

/// The usage error for a window that ends before it starts.
pub(super) fn reversed(start: Timestamp, end: Timestamp) -> Failure {
    Failure::usage(format!("the window ends ({end}) before it begins ({start}): check --start and --end"))
}
