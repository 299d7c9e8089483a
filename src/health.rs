//! Whether the target is well, and what it says of its settings: asked once before anything is submitted, or followed again.

use std::collections::BTreeMap;

use crate::clock::{Clock, OffsetBounds};
use crate::http::{BaseUrl, Exchange, Method};
use crate::profile::Profile;

/// Asks for the health path and gives the settings that its answer tells, by name. The error is the line that says what is
/// wrong.
pub fn ask(
    exchange: &Exchange,
    base: &BaseUrl,
    profile: &Profile,
    clock: &Clock,
    offset: &mut OffsetBounds,
) -> Result<BTreeMap<String, String>, String> {
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
            Err(format!("GET {url}: {}", answer.summary()))
        }
        Err(trouble) => Err(format!("GET {url}: {trouble}")),
    }
}

/// As `ask`; the error also says how to start the target, where the profile knows.
pub fn check(
    exchange: &Exchange,
    base: &BaseUrl,
    profile: &Profile,
    clock: &Clock,
    offset: &mut OffsetBounds,
) -> Result<BTreeMap<String, String>, String> {
    let hint = profile.health.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
    ask(exchange, base, profile, clock, offset).map_err(|problem| problem + &hint)
}
