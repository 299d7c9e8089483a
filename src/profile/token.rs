//! The request for an access token, and how requests to the target carry the token.

use std::collections::BTreeMap;

use macro_rules_attribute::apply;
use serde::Deserialize;
use serde_json::Value;

use super::check;
use super::payload::{self, Encoding};
use super::place::{Document, Place};
use super::template::{self, Scope};
use super::times::server_time;
use crate::record::Timestamp;

/// The word for the token in the headers of requests to the target.
const TOKEN: &str = "{token}";
/// A number below this, some thirty years, is a lifetime in seconds; a greater one is a Unix time.
const LONGEST_LIFETIME: f64 = 1e9;

/// A request that gets an access token.
#[apply(table!)]
pub struct Token {
    /// The HTTP method.
    #[serde_inline_default("POST".to_owned())]
    pub method: String,
    /// Path below the base URL, or a whole URL; a template.
    pub path: String,
    /// Headers; values are templates.
    pub headers: BTreeMap<String, String>,
    /// The body; strings in it are templates. None sends no body.
    #[serde(deserialize_with = "payload::from_toml")]
    pub body: Option<Value>,
    /// The form in which the body is sent.
    pub encoding: Encoding,
    /// The HTTP statuses that mean success.
    #[serde_with(skip_apply)]
    #[serde_inline_default(vec![200, 201])]
    pub accepted: Vec<u16>,
    /// The places of the token in the answer.
    #[serde_with(skip_apply)]
    #[serde_inline_default(Place::parse("/access_token").into_iter().collect())]
    pub token: Vec<Place>,
    /// The places of its lifetime in seconds, or of the time at which it expires.
    #[serde_with(skip_apply)]
    #[serde_inline_default(Place::parse("/expires_in").into_iter().collect())]
    pub expires: Vec<Place>,
    /// The headers with which requests to the target carry it.
    #[serde_with(skip_apply)]
    #[serde_inline_default([("Authorization".to_owned(), format!("Bearer {TOKEN}"))].into())]
    pub send: BTreeMap<String, String>,
}

impl Token {
    /// The token in the answer to a request that was sent at `sent`, and the time at which it expires, if the answer tells that.
    pub fn read(&self, document: &Document<'_>, sent: Timestamp) -> Option<(String, Option<Timestamp>)> {
        let token = document.scalar(&self.token).filter(|token| !token.is_empty())?;
        let expires = document.scalar(&self.expires).and_then(|text| match text.parse::<f64>() {
            Ok(seconds) if seconds < LONGEST_LIFETIME => Some(sent.shifted(seconds.max(0.0))),
            _ => server_time(&text).map(|time| time.at),
        });
        Some((token, expires))
    }

    /// The headers that carry `token`, by name.
    pub fn headers_for<'a>(&'a self, token: &'a str) -> impl Iterator<Item = (&'a str, String)> {
        self.send.iter().map(move |(name, value)| (name.as_str(), value.replace(TOKEN, token)))
    }

    /// Checks it; the error names the key.
    pub(super) fn check(&self) -> Result<(), String> {
        if !["/", "http://", "https://"].iter().any(|start| self.path.starts_with(start)) {
            return Err(format!(
                "token.path = \"{}\": a path begins with `/`, a URL with `http://` or `https://`",
                self.path
            ));
        }
        template::check(&self.path, Scope::Token).map_err(|error| format!("token.path: {error}"))?;
        self.request().check("token", Scope::Token)?;
        if self.token.is_empty() {
            return Err("token.token is empty: give a place in the answer".to_owned());
        }
        for (name, value) in &self.send {
            check::header_name("token.send", name, value)?;
            if !value.contains(TOKEN) {
                return Err(format!("token.send.{name}: it does not contain {TOKEN}"));
            }
        }
        if self.send.is_empty() {
            return Err("token.send is empty: name the header that carries the token".to_owned());
        }
        Ok(())
    }
}
