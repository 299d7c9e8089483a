//! Compares what our records say with what the target knows.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::target::Job;

/// The largest part of a microsecond that a record's time leaves out, and the resolution of the clocks.
const ROUNDING: Duration = Duration::from_micros(2);

/// The number of recorded intervals [notEndedAt, endedAt] that do not hold the job's true end; and of those that do.
pub(crate) fn check(records: &Path, jobs: &[Job]) -> std::io::Result<(usize, usize)> {
    let (mut wrong, mut right) = (0, 0);
    for line in fs::read_to_string(records)?.lines() {
        let Ok(record) = serde_json::from_str::<Value>(line) else { continue };
        let status = &record["status"];
        let (Some("Job"), Some("Succeeded")) = (record["kind"].as_str(), status["phase"].as_str()) else { continue };
        let id = status["jobId"].as_str().and_then(|id| id.parse::<usize>().ok());
        let Some(job) = id.and_then(|id| jobs.get(id)) else {
            wrong += 1;
            continue;
        };
        let time = |key: &str| status[key].as_str().and_then(wall);
        let (earliest, latest) = job.ends_at;
        let is_after = time("notEndedAt").is_none_or(|not_ended| not_ended <= latest + ROUNDING);
        let is_before = time("endedAt").is_some_and(|ended| ended + ROUNDING >= earliest);
        if is_after && is_before {
            right += 1;
        } else {
            wrong += 1;
            let seconds =
                |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
            crate::say(&format!(
                "bench: job {id:?} ended between {:.6} and {:.6} (Unix time), but its record says between {} and {}",
                seconds(earliest),
                seconds(latest),
                status["notEndedAt"],
                status["endedAt"]
            ));
        }
    }
    Ok((wrong, right))
}

/// Reads a time as records spell it: RFC 3339 in UTC, with microseconds.
fn wall(text: &str) -> Option<SystemTime> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<u64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second, micros) = (number(11..13)?, number(14..16)?, number(17..19)?, number(20..26)?);
    // Days since 1970-01-01 of the proleptic Gregorian calendar, counted from March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second;
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_across_leap_days() {
        let seconds = |text: &str| wall(text).unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        assert_eq!(seconds("1970-01-01T00:00:01.000000Z"), 1);
        assert_eq!(seconds("2024-02-29T12:00:00.000000Z"), 1_709_208_000);
        assert_eq!(seconds("2026-12-01T05:00:00.000000Z"), 1_796_101_200);
        assert_eq!(wall("soon"), None);
    }
}
