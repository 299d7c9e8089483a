//! The date of `Expires`, which servers write in many forms.

use chrono::NaiveDate;

use crate::record::Timestamp;

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// Reads a date as browsers do (RFC 6265, section 5.1.1): whatever stands between its parts, with or without a zone, which is always
/// UTC. None for anything else.
pub(super) fn cookie_date(text: &str) -> Option<Timestamp> {
    let is_delimiter = |letter: char| matches!(letter, '\t' | ' '..='/' | ';'..='@' | '['..='`' | '{'..='~');
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    for token in text.split(is_delimiter).filter(|token| !token.is_empty()) {
        if time.is_none() && hms(token).is_some() {
            time = hms(token);
        } else if day.is_none() && number(token, 1..=2).is_some() {
            day = number(token, 1..=2);
        } else if month.is_none() && month_number(token).is_some() {
            month = month_number(token);
        } else if year.is_none() {
            year = number(token, 2..=4);
        }
    }
    let year = match year? {
        short @ 70..=99 => short + 1900,
        short @ 0..=69 => short + 2000,
        year => year,
    };
    let ((hour, minute, second), date) = (time?, NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month?, day?)?);
    let at = date.and_hms_opt(hour, minute, second).filter(|_| year >= 1601)?;
    Timestamp::from_seconds(at.and_utc().timestamp() as f64)
}

/// The number at the beginning of `token`, if it has so many digits.
fn number(token: &str, digits: std::ops::RangeInclusive<usize>) -> Option<u32> {
    let length = token.bytes().take_while(u8::is_ascii_digit).count();
    digits.contains(&length).then(|| token[..length].parse().ok()).flatten()
}

/// The hours, minutes and seconds at the beginning of `token`.
fn hms(token: &str) -> Option<(u32, u32, u32)> {
    let mut parts = token.splitn(3, ':');
    let mut whole = || number(parts.next()?, 1..=2);
    let (hour, minute, second) = (whole()?, whole()?, whole()?);
    let is_strict = token.split(':').take(2).all(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    is_strict.then_some((hour, minute, second))
}

fn month_number(token: &str) -> Option<u32> {
    let start = token.get(..3)?.to_ascii_lowercase();
    let at = MONTHS.iter().position(|month| *month == start)?;
    u32::try_from(at + 1).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_in_every_form_that_servers_write() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 06-Nov-1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 6 November 1994 8:49:37 +0000",
            "06 nov 1994 08:49:37",
            "\"Sun, 06 Nov 1994 08:49:37 GMT\"",
        ] {
            let read = cookie_date(text).map(|at| at.to_string());
            assert_eq!(read.as_deref(), Some("1994-11-06T08:49:37.000000Z"), "{text}");
        }
        let years = [("06-Nov-69 08:00:00", "2069"), ("06-Nov-70 08:00:00", "1970"), ("6 Nov 9999 08:00:00", "9999")];
        for (text, year) in years {
            assert!(cookie_date(text).unwrap().to_string().starts_with(year), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_not_read() {
        for text in [
            "",
            "0",
            "-1",
            "never",
            "Sun, 06 Nov 1994",
            "31 Feb 2020 08:00:00",
            "06 Nov 1600 08:00:00",
            "06 Nov 2020 24:00:00",
            "06 Nov 2020 08:60:00",
            "2020-01-01T00:00:01Z",
            "06 Nov 20200 08:00:00",
            "06 Növ 2020 08:00:00",
        ] {
            assert_eq!(cookie_date(text), None, "{text}");
        }
    }
}
