//! `[submit]`: the request that submits a job, and what its answer means.

use std::collections::BTreeMap;

use macro_rules_attribute::apply;
use serde::Deserialize;
use serde_json::Value;

use super::payload::{self, Encoding};
use super::place::Place;
use super::rules::{Rule, SubmitMeaning};
use super::template::{Escaping, TemplateValues, fill};
use crate::digest::Digest;

/// The header by which a target recognises a job that is submitted again.
const KEY: &str = "Idempotency-Key";
/// The number of digits of a key's digest that tell keys apart.
const KEY_DIGITS: usize = 16;

/// The submission of a job.
#[apply(table!)]
pub struct Submit {
    /// The HTTP method.
    #[serde_inline_default("POST".to_owned())]
    pub method: String,
    /// Path below the base URL; a template.
    pub path: String,
    /// The HTTP statuses that mean accepted.
    #[serde_with(skip_apply)]
    #[serde_inline_default(vec![200, 201, 202])]
    pub accepted: Vec<u16>,
    /// Headers of the submission; values are templates.
    pub headers: BTreeMap<String, String>,
    /// The body; strings in it are templates. None sends no body.
    #[serde(deserialize_with = "payload::from_toml")]
    pub body: Option<Value>,
    /// The form in which the body is sent.
    pub encoding: Encoding,
    /// The places of the job's id in the answer, in order of preference.
    pub id: Vec<Place>,
    /// The id that the client chooses, which counts where the answer tells none; a template.
    pub own_id: Option<String>,
    /// Rules that tell what an answer means; without one that holds, `accepted` does.
    pub rules: Vec<Rule<SubmitMeaning>>,
    /// Redirects are followed, with the cookies that they set: 307 and 308 with the same request, 301, 302 and 303 by GET. Only on the
    /// target's own origin.
    pub follow_redirects: bool,
}

impl Submit {
    /// The key by which the target recognises a job with these `values` if it is submitted again, as the name of its header and a
    /// digest. None without an `Idempotency-Key` that is the job's own and the same each time: steps of the job must not bring it.
    pub fn idempotency_key(&self, values: &TemplateValues) -> Option<String> {
        let is_key = |(name, value): &(&String, &String)| {
            name.eq_ignore_ascii_case(KEY)
                && (value.contains("{run}") && value.contains("{name}") || value.contains("{uuid}"))
        };
        let (_, template) = self.headers.iter().find(is_key)?;
        let key = fill(template, values, Escaping::Text).ok()?;
        Some(format!("{KEY} {}", &Digest::of(key.as_bytes())[..KEY_DIGITS]))
    }
}
