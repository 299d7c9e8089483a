//! The headers of an answer, parsed.

use std::time::Duration;

use ureq::http::response::Parts;
use ureq::http::{HeaderMap, HeaderName};

use super::coding;
use crate::clock::{self, Clock, ServerDate};
use crate::cookies;

/// The headers of an answer: those that the tools read, in types of their own, and all of them as sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// The `Content-Type`.
    pub content_type: Option<String>,
    /// The time that caches have held the answer, in whole seconds (`Age`; RFC 9111, section 5.1); none without that header.
    pub age: Option<Duration>,
    /// The least and the greatest age, in seconds, of a cache's answer that has no `Age` or too small a one.
    pub hidden_age: Option<(f64, f64)>,
    /// A cache says that it answered, with an age or without.
    pub is_from_cache: bool,
    /// The `Set-Cookie` headers, with a character for each byte.
    pub cookies: Vec<String>,
    /// The `Content-Encoding`, if the tools cannot decode it; the body is then as it was sent.
    pub unknown_coding: Option<String>,
    /// The server's `Date`.
    pub date: Option<ServerDate>,
    /// The wait that `Retry-After` asks for.
    pub retry_after: Option<Duration>,
    /// The `Location`: the target of a redirect, as sent.
    pub location: Option<String>,
    /// All headers, for those that a profile names.
    pub all: HeaderMap,
}

impl Head {
    pub(super) fn from_parts(parts: Parts, clock: &Clock) -> Self {
        let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let age_seconds = text("age").and_then(clock::age);
        let date = text("date").and_then(clock::http_date).map(|date| ServerDate { date, age_seconds });
        Self {
            age: age_seconds.map(|age: u32| Duration::from_secs(age.into())),
            hidden_age: None,
            is_from_cache: declares_cache(&parts.headers),
            cookies: parts
                .headers
                .get_all("set-cookie")
                .iter()
                .map(|value| cookies::text_of(value.as_bytes()))
                .collect(),
            unknown_coding: coding::unknown(&parts.headers),
            content_type: text("content-type").map(str::to_owned),
            date,
            retry_after: text("retry-after")
                .and_then(|value| clock::retry_after(value, date.map(|date| date.date), clock.now())),
            location: text("location").map(str::to_owned),
            all: parts.headers,
        }
    }
}

/// Returns true if a header says that the answer comes from a cache: `Cache-Status` (RFC 9211), a `Warning` of a stale answer
/// (RFC 7234, section 5.5), or one such as `X-Cache` or `CF-Cache-Status`, which many caches send.
fn declares_cache(headers: &HeaderMap) -> bool {
    let lists = |name: &str| -> Vec<&str> {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).collect()
    };
    let is_hit = |entry: &&str| entry.split(';').skip(1).any(|part| matches!(part.trim(), "hit" | "hit=?1"));
    let is_stale = |entry: &&str| matches!(entry.split_whitespace().next(), Some("110" | "111" | "112" | "113"));
    // Squid's `X-Cache-Lookup` tells of a hit that it may not have used.
    let is_of_cache = |name: &str| name.ends_with("-cache") || name.ends_with("-cache-status");
    let names_hit = |entry: &&str| {
        let words = entry.split(|letter: char| !letter.is_ascii_alphanumeric());
        words.into_iter().any(|word| ["hit", "stale", "updating"].iter().any(|said| word.eq_ignore_ascii_case(said)))
    };
    lists("cache-status").iter().any(is_hit)
        || lists("warning").iter().any(is_stale)
        || headers.keys().map(HeaderName::as_str).any(|name| is_of_cache(name) && lists(name).iter().any(names_hit))
}

#[cfg(test)]
mod tests {
    use ureq::http::HeaderValue;

    use super::*;

    #[test]
    fn caches_that_declare_themselves_are_believed() {
        let declares = |name: &'static str, value: &'static str| {
            let headers = [(HeaderName::from_static(name), HeaderValue::from_static(value))];
            declares_cache(&headers.into_iter().collect())
        };
        for (name, value) in [
            ("cache-status", "Origin; fwd=miss, Edge; hit; ttl=3"),
            ("warning", "110 - \"Response is Stale\""),
            ("x-cache", "TCP_HIT from proxy"),
            ("x-cache", "MISS, HIT"),
            ("cf-cache-status", "HIT"),
            ("x-proxy-cache", "hit"),
            ("x-cache-status", "UPDATING"),
        ] {
            assert!(declares(name, value), "{name}: {value}");
        }
        for (name, value) in [
            ("cache-status", "hit; fwd=uri-miss"),
            ("warning", "199 - \"110 things\""),
            ("x-cache", "Miss from cloudfront"),
            ("x-cache", "white"),
            ("x-cache-lookup", "HIT from proxy:3128"),
            ("cf-cache-status", "DYNAMIC"),
            ("via", "1.1 hit"),
        ] {
            assert!(!declares(name, value), "{name}: {value}");
        }
    }
}
