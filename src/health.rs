//! Whether the target is well, and what it says of its settings: asked once before anything is submitted, or followed again.

use std::collections::BTreeMap;

use crate::clock::{Clock, OffsetBounds};
use crate::http::{BaseUrl, Exchange, Method};
use crate::profile::Profile;

/// Asks for the health path and gives the settings that its answer tells, by name. The error is the line that says what is
/// wrong and how to start the target.
pub fn check(
    exchange: &Exchange,
    base: &BaseUrl,
    profile: &Profile,
    clock: &Clock,
    offset: &mut OffsetBounds,
) -> Result<BTreeMap<String, String>, String> {
    let url = base.join(&profile.health.path);
    let sent = clock.now();
    let problem = match exchange.send(&Method::GET, &url, &[], None, clock) {
        Ok(answer) => {
            if let Some(date) = answer.date {
                offset.observe(date, sent, clock.now());
            }
            if profile.health.accepted.contains(&answer.status) {
                return Ok(profile.health.told(&answer.body));
            }
            answer.summary()
        }
        Err(trouble) => trouble.to_string(),
    };
    let hint = profile.health.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
    Err(format!("GET {url}: {problem}{hint}"))
}
