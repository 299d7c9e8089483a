//! The target's health check, made once before anything is submitted or followed again; it also reads the target's settings.

use crate::cli::{Console, Failure, Stop};
use crate::clock::{Clock, ServerDate};
use crate::http::{Answer, BaseUrl, Client, Head, HttpError, Method};
use crate::profile::Profile;
use crate::record::{ReadSettings, Reason, Timestamp};
use crate::units;

/// The reason why a target is not healthy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unhealthy {
    /// `TargetAbsent` without a connection, `OwnLimit` if this host has run out of something or forbids the connection, else
    /// `TargetUnhealthy`.
    pub reason: Reason,
    /// The target answered with a status from 400 to 499: it refused the request.
    pub is_refusal: bool,
    /// The cause, as one line.
    pub message: String,
}

impl Unhealthy {
    /// Adds how to start the target, if the profile says it, the target did not refuse the request, and `base` is where the
    /// profile expects the target. At another address the hint would be about a server that nobody asked.
    #[must_use]
    pub fn with_hint(self, profile: &Profile, base: &BaseUrl) -> Self {
        let is_profiles = BaseUrl::parse(&profile.target, "the profile's target").is_ok_and(|target| target == *base);
        match &profile.health.hint {
            Some(hint) if is_profiles && !self.is_refusal && self.reason != Reason::OwnLimit => {
                Self { message: format!("{}; {hint}", self.message), ..self }
            }
            _ => self,
        }
    }
}

/// Takes the `Date` of an answer that was sent and came at these times, and returns the answer's age in seconds if the date shows that
/// a cache gave it.
pub type ObserveDate<'a> = dyn FnMut(ServerDate, Timestamp, Timestamp) -> Option<f64> + 'a;

/// Requests the health path, says on `console` if that takes long, and returns the settings that the answer reports, by name. `stop`
/// ends the wait. A cache's answer reports none: it shows the settings of an earlier moment.
pub fn probe(
    client: &Client,
    base: &BaseUrl,
    profile: &Profile,
    clock: &Clock,
    observe: &mut ObserveDate<'_>,
    console: &Console,
    stop: &Stop,
) -> Result<ReadSettings, Unhealthy> {
    let url = base.join(&profile.health.path);
    let sent = clock.now();
    let (asking, place, own_clock) = (client.clone(), url.clone(), clock.clone());
    let request = || stop.unless_signalled(move || asking.send(&Method::GET, &place, &[], None, &own_clock));
    let unasked = |message: String| Unhealthy { reason: Reason::TargetUnhealthy, is_refusal: false, message };
    match client.announced(console, || format!("GET {url}"), request) {
        Ok(Some(answer)) => judge(answer, &url, (client.sent_at().unwrap_or(sent), clock.now()), profile, observe),
        Ok(None) => Err(unasked(format!("GET {url}: no answer before the signal"))),
        Err(error) => Err(unasked(Failure::thread(&error).message().unwrap_or_default().to_owned())),
    }
}

/// The settings that the answer reports, if it is that of a healthy target. It was sent and came at these times.
fn judge(
    answer: Result<Answer, HttpError>,
    url: &str,
    (sent, received): (Timestamp, Timestamp),
    profile: &Profile,
    observe: &mut ObserveDate<'_>,
) -> Result<ReadSettings, Unhealthy> {
    match answer {
        Ok(answer) => {
            let is_undated = answer.head.is_from_cache && answer.head.age.is_none();
            let date = answer.head.date.filter(|_| !is_undated);
            let old_date = date.and_then(|date| observe(date, sent, received));
            if profile.health.accepted.contains(&answer.status) {
                let cached = cached(&answer, old_date).filter(|_| !profile.health.settings.is_empty());
                let ReadSettings { values, error } = cached.map_or_else(
                    || profile.health.settings_of(&answer),
                    |cause| ReadSettings { error: Some(cause), ..ReadSettings::default() },
                );
                return Ok(ReadSettings { values, error: error.map(|cause| format!("GET {url}: {cause}")) });
            }
            let hint = match answer.status {
                401 | 403 => "; pass credentials with --header-file or --token-env",
                _ => "",
            };
            let is_refusal = (400..500).contains(&answer.status);
            Err(Unhealthy {
                reason: Reason::TargetUnhealthy,
                is_refusal,
                message: format!("GET {url}: {}{hint}", answer.summary()),
            })
        }
        Err(error) => {
            let forbidden = "; a route or a firewall of this host forbids the connection";
            let (reason, hint) = match error {
                HttpError::NotConnected { is_forbidden: true, .. } => (Reason::OwnLimit, forbidden),
                HttpError::NotConnected { .. } => (Reason::TargetAbsent, ""),
                HttpError::OwnLimit { .. } => (Reason::OwnLimit, ""),
                _ => (Reason::TargetUnhealthy, ""),
            };
            Err(Unhealthy { reason, is_refusal: false, message: format!("GET {url}: {error}{hint}") })
        }
    }
}

/// Says how a cache answered, if one did. The age of the answer by its date is known if that shows a cache.
fn cached(answer: &Answer, old_date: Option<f64>) -> Option<String> {
    let Head { age, is_from_cache, .. } = &answer.head;
    let how_old = match (age.filter(|age| !age.is_zero()), old_date) {
        (Some(age), _) => format!("Age: {} s", age.as_secs()),
        (None, Some(seconds)) => format!("{} old by its Date", units::seconds(seconds)),
        (None, None) if *is_from_cache => "age unknown".to_owned(),
        (None, None) => return None,
    };
    Some(format!(
        "a cache answered ({how_old}) although the request asked it not to; the settings may have changed since"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_this_host_is_not_the_targets_fault() {
        let profile = Profile::parse(include_str!("../profiles/autorag.toml")).unwrap();
        let base = BaseUrl::parse(&profile.target, "target").unwrap();
        let unhealthy = |error: HttpError| {
            let at = Timestamp::from_micros(0);
            let judged = judge(Err(error), "http://t/health", (at, at), &profile, &mut |_, _, _| None);
            let unhealthy = judged.unwrap_err();
            unhealthy.with_hint(&profile, &base)
        };
        let own = unhealthy(HttpError::OwnLimit { what: "no local port is free".to_owned(), was_sent: false });
        assert_eq!((own.reason, own.message.contains("; ")), (Reason::OwnLimit, false), "no hint: {}", own.message);
        let what = "Permission denied (os error 13)".to_owned();
        let forbidden = unhealthy(HttpError::NotConnected { what, is_forbidden: true });
        assert_eq!(forbidden.reason, Reason::OwnLimit);
        assert!(
            forbidden.message.ends_with("(os error 13); a route or a firewall of this host forbids the connection"),
            "{}",
            forbidden.message
        );
        let absent = unhealthy(HttpError::NotConnected { what: "connection refused".to_owned(), is_forbidden: false });
        assert_eq!((absent.reason, absent.message.contains("; ")), (Reason::TargetAbsent, true), "{}", absent.message);
    }
}
