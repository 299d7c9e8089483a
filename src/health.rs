//! Whether the target is well, and what it says of its settings: asked once before anything is submitted, or followed again.

use std::collections::BTreeMap;

use crate::clock::{Clock, OffsetBounds};
use crate::http::{BaseUrl, Exchange, Method, Trouble};
use crate::profile::Profile;

/// Why a target is not well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwell {
    /// Nobody is there: no connection could be made.
    pub is_absent: bool,
    /// It is there, and it does not like how it was asked: a status from 400 to 499.
    pub is_refusal: bool,
    /// The line that says what is wrong.
    pub message: String,
}

/// Asks for the health path and gives the settings that its answer tells, by name.
pub fn ask(
    exchange: &Exchange,
    base: &BaseUrl,
    profile: &Profile,
    clock: &Clock,
    offset: &mut OffsetBounds,
) -> Result<BTreeMap<String, String>, Unwell> {
    let url = base.join(&profile.health.path);
    let sent = clock.now();
    match exchange.send(&Method::GET, &url, &[], None, clock) {
        Ok(answer) => {
            if let Some(date) = answer.date {
                offset.observe(date, sent, clock.now());
            }
            if profile.health.accepted.contains(&answer.status) {
                return Ok(profile.health.told(&answer.body));
            }
            let hint = match answer.status {
                401 | 403 => "; what the target wants to know goes into --header-file or --token-env",
                _ => "",
            };
            let is_refusal = (400..500).contains(&answer.status);
            Err(Unwell { is_absent: false, is_refusal, message: format!("GET {url}: {}{hint}", answer.summary()) })
        }
        Err(trouble) => {
            let is_absent = matches!(trouble, Trouble::NotConnected(_));
            Err(Unwell { is_absent, is_refusal: false, message: format!("GET {url}: {trouble}") })
        }
    }
}

/// As `ask`; unless the target refuses the question the error also says how to start the target, if the profile knows.
pub fn check(
    exchange: &Exchange,
    base: &BaseUrl,
    profile: &Profile,
    clock: &Clock,
    offset: &mut OffsetBounds,
) -> Result<BTreeMap<String, String>, Unwell> {
    ask(exchange, base, profile, clock, offset).map_err(|unwell| match &profile.health.hint {
        Some(hint) if !unwell.is_refusal => Unwell { message: format!("{}; {hint}", unwell.message), ..unwell },
        _ => unwell,
    })
}
