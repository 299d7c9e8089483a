//! The times that a target tells of a job or of a stage.

use super::place::{Document, Place};
use super::{Observation, TimePointers};
use crate::clock::{ENDS_OF_32_BITS, is_sentinel};
use crate::escape;
use crate::record::{ServerTimes, StagePhase, Timestamp};

/// The longest value that is shown where it is no time, in characters.
const SHOWN: usize = 60;

/// Values at the places of times that are no times that the tools understand, each with the last part of the profile's key. A value
/// that says "not yet" or "never" is none of them.
pub(super) type Unread = Vec<(&'static str, String)>;

/// The times at the places `at` of `document`, and what stands there and is no time.
pub(super) fn times(document: &Document<'_>, at: &TimePointers) -> (ServerTimes, Unread) {
    let mut unread = Unread::new();
    let mut time = |key, places: &[Place]| {
        let Some(text) = document.scalar(places) else {
            let value = document.value(places).filter(|value| value.is_object() || value.is_array());
            unread.extend(value.map(|value| (key, escape::start(&value.to_string(), SHOWN))));
            return None;
        };
        let spelled = server_time(&text);
        if spelled.is_none() && !says_not_yet(&text) {
            unread.push((key, escape::start(&text, SHOWN)));
        }
        spelled
    };
    let (queued, started, ended) = (time("queued", &at.queued), time("started", &at.started), time("ended", &at.ended));
    let told: Vec<SpelledTime> = [queued, started, ended].into_iter().flatten().collect();
    let times = ServerTimes {
        queued_at: queued.map(|time| time.at),
        started_at: started.map(|time| time.at),
        ended_at: ended.map(|time| time.at),
        resolution_seconds: resolution(&told).filter(|seconds| *seconds > 1e-6),
    };
    (times, unread)
}

/// The seconds into the future at which no clock of a target that is right can be.
const FUTURE: f64 = 86_400.0;

impl Observation {
    /// Leaves out times more than a day after `now` by the target's clock, which no event of the job can have, and keeps them as unread.
    pub fn leave_out_future(&mut self, now: Timestamp) {
        let latest = now.shifted(FUTURE);
        let take = |times: &mut ServerTimes| -> Unread {
            let ServerTimes { queued_at, started_at, ended_at, .. } = times;
            let all = [("queued", queued_at), ("started", started_at), ("ended", ended_at)].into_iter();
            let future = all.filter_map(|(key, time)| Some((key, time.take_if(|time| *time > latest)?)));
            future.map(|(key, time)| (key, time.to_string())).collect()
        };
        let unread = take(&mut self.times);
        self.note_unread("poll.times", unread);
        let unread = self.stages.iter_mut().flat_map(|stage| take(&mut stage.times)).collect();
        self.note_unread("poll.stages.times", unread);
    }
}

/// Returns true if `text`, which is no time of a job, says "not yet" or "never": by a word, by zeros or a number below zero, by the
/// zero of a calendar, which is the first day of a year, or by the end of time.
fn says_not_yet(text: &str) -> bool {
    let text = text.trim();
    let has_zeros_alone = text.contains('0') && text.trim_matches(['0', '-', '/', ':', '.', ' ', 'T', 'Z']).is_empty();
    if has_zeros_alone || ["", "null", "none", "-", "n/a"].contains(&text.to_ascii_lowercase().as_str()) {
        return true;
    }
    let number = text.parse::<f64>().ok();
    if number.is_some_and(|number| number.is_nan() || number <= 0.0 || is_end(number)) {
        return true;
    }
    let time = spelled_time(text).map(|time| time.at).or_else(|| format!("{text}T00:00:00Z").parse().ok());
    let Some(date) = time.filter(|at| is_sentinel(*at)).map(Timestamp::date) else { return false };
    let is_first_day = ["-12-30", "-12-31", "-01-01", "-01-02"].iter().any(|day| date.ends_with(day));
    match number {
        // A small number counts days, or time since another event than 1970.
        Some(_) => is_first_day && !date.starts_with("1970"),
        None => is_first_day || time > Timestamp::from_seconds(ENDS_OF_32_BITS[0] - 1.0),
    }
}

/// Returns true if `number` is the last second of the year 9999, the greatest integer of 32, 53 or 64 bits, or greater than all of
/// these, in any unit.
fn is_end(number: f64) -> bool {
    let [signed, unsigned] = ENDS_OF_32_BITS;
    let ends = [signed, unsigned, 253_402_300_799.0, 9_007_199_254_740_991.0, 9_223_372_036_854_775_807.0];
    let is_near = |end: f64| (number / end - 1.0).abs() < 1e-6;
    number > 1e19 || ends.iter().any(|end| [1.0, 1e3, 1e6, 1e9].iter().any(|unit| is_near(end * unit)))
}

/// Leaves out times of what has not happened: a start counts only once started, an end only in a final state. Some targets
/// tell estimates there.
pub(super) fn happened(times: ServerTimes, phase: StagePhase) -> ServerTimes {
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

/// A time as a server spells it: the truth lies from `at` to `resolution_seconds` later, or as much earlier if it was rounded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct SpelledTime {
    pub(super) at: Timestamp,
    resolution_seconds: f64,
}

/// The resolution of times that were told together, in seconds: digits that are zero in all of them show none, because a server may
/// print whole seconds with a fraction. Neither do three zeros at the end of one time, which another clock may have told.
fn resolution(told: &[SpelledTime]) -> Option<f64> {
    let spelled = told.iter().map(|time| time.resolution_seconds).reduce(f64::max)?;
    let padded = told.iter().map(|time| (step(std::slice::from_ref(time)), time.resolution_seconds));
    let padded = padded.filter(|(step, spelled)| *step > 999.0 * spelled).map(|(step, _)| step);
    Some(padded.fold(spelled.max(step(told)), f64::max))
}

/// The longest step, in seconds, on whose multiples all of `times` lie.
fn step(times: &[SpelledTime]) -> f64 {
    let fits = |step: i64| times.iter().all(|time| time.at.micros() % step == 0);
    // One time in sixty is a whole minute by chance.
    if times.len() > 1 && fits(60_000_000) {
        return 60.0;
    }
    let units = std::iter::successors(Some(1_000_000), |unit| (*unit > 1).then(|| unit / 10));
    let steps = units.flat_map(|unit| [unit, unit / 2, unit / 4, unit / 5]).filter(|step| *step > 0);
    steps.into_iter().find(|step| fits(*step)).unwrap_or(1) as f64 / 1e6
}

/// A time as servers spell it: RFC 3339, with or without its zone (then UTC), or Unix time in seconds, milliseconds,
/// microseconds or nanoseconds. None for one that stands for "not yet" or "never".
pub(super) fn server_time(text: &str) -> Option<SpelledTime> {
    spelled_time(text).filter(|time| !is_sentinel(time.at))
}

/// The same, with those that stand for "not yet" or "never".
fn spelled_time(text: &str) -> Option<SpelledTime> {
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
    Some(SpelledTime { at, resolution_seconds })
}

/// The value of the last digit of a decimal number.
fn number_resolution(text: &str) -> f64 {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let digits = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let exponent = exponent.parse::<i32>().unwrap_or_default();
    10_f64.powi(exponent.saturating_sub(i32::try_from(digits).unwrap_or(i32::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn digits_that_are_zero_in_all_times_show_no_resolution() {
        for (times, expected) in [
            (&["2026-12-01T00:40:05.000Z", "2026-12-01T00:40:07.000Z"][..], 1.0),
            (&["2026-12-01T00:40:05.000000Z"], 1.0),
            (&["1764549605.0", "1764549607.0"], 1.0),
            (&["1764549605000", "1764549607000"], 1.0),
            (&["2026-12-01T00:40:05.5Z", "2026-12-01T00:40:07.0Z"], 0.5),
            (&["2026-12-01T00:40:05.123000Z", "2026-12-01T00:40:07.457000Z"], 1e-3),
            (&["2026-12-01T00:40:05.700000Z", "2026-12-01T00:40:07.100000Z"], 0.1),
            (&["2026-12-01T00:40:00Z", "2026-12-01T00:41:00Z"], 60.0),
            // One of them comes from a clock of its own.
            (&["2026-12-01T00:40:05.000000Z", "2026-12-01T00:40:07.457813Z"], 1.0),
            (&["2026-12-01T00:40:05.123456Z", "2026-12-01T00:40:07.457819Z"], 1e-6),
            (&["2026-12-01T00:40:05.120Z", "2026-12-01T00:40:07.457Z"], 1e-3),
            (&["2026-12-01T00:40:05Z", "2026-12-01T00:40:07.457Z"], 1.0),
        ] {
            let told: Vec<SpelledTime> = times.iter().map(|text| server_time(text).unwrap()).collect();
            let found = resolution(&told).unwrap();
            assert!((found / expected - 1.0).abs() < 1e-6, "{times:?}: {found}");
        }
        assert_eq!(resolution(&[]), None);
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
            "-3600",
            "0001-01-01",
            "1900-01-01T00:00:00",
            "1899-12-30T00:00:00",
            "3000-01-01T00:00:00Z",
            "978307200",
            "2147483647",
            "253402300799999",
            "9223372036854775807",
            "18446744073709551615",
            "N/A",
        ] {
            assert_eq!((server_time(text), says_not_yet(text)), (None, true), "{text}");
        }
    }

    #[test]
    fn a_number_or_a_date_that_is_no_time_of_today_says_more_than_not_yet() {
        for text in [
            // Days since 1900, since 1970 and since 4713 BC; hours, minutes and seconds of something else.
            "46357.93",
            "20789",
            "2461376.5",
            "3.2e-5",
            "1",
            "499000",
            "29937000",
            "817948800",
            // Seconds since the year 0; ticks of 100 ns since the years 1 and 1601.
            "63963302400",
            "638999999990000000",
            "134085000000000000",
            "1985-06-15T10:00:00Z",
            "1985-06-15",
            "2026-05-20",
            "soon",
            "0 days",
        ] {
            assert_eq!((server_time(text), says_not_yet(text)), (None, false), "{text}");
        }
    }
}
