//! Talking to a Jaeger query server, in whichever of its two APIs it has.
//!
//! `/api/v3` is the stable one and asked first; servers before it have `/api/traces`, which Jaeger 2.21 took away. A server
//! without an endpoint says so by a plain 404, or by the UI's HTML page with a 200; v3 says "nothing found" by a 404 in JSON.

use std::fmt;
use std::io::Read as _;

use crate::http::Method;

use super::model::{Tags, Trace};
use super::{v1, v3};
use crate::capture::INTERRUPTED;
use crate::cli::{Grace, STOPPED};
use crate::clock::Clock;
use crate::escape;
use crate::http::{BaseUrl, Client, HttpError, form};
use crate::record::Timestamp;

/// An answer beyond this is an error, so that a server cannot fill the memory. A page of five hundred traces is a few MiB.
const BODY_LIMIT: u64 = 512 * 1024 * 1024;

/// Which API to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// `/api/v3/traces`: OTLP as JSON, in Jaeger from about 1.60 on.
    V3,
    /// `/api/traces`: the older JSON, in Jaeger up to 2.20 and in stores that imitate it.
    V1,
}

impl Api {
    /// As records and the flag spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V3 => "v3",
            Self::V1 => "v1",
        }
    }
}

/// Why a request brought nothing usable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// One documented CamelCase word.
    pub(super) reason: &'static str,
    pub(super) message: String,
    /// Whether asking again may help.
    pub(super) passing: bool,
}

impl Fault {
    /// A signal asked for the end.
    fn interrupted() -> Self {
        let message = format!("{STOPPED} before everything was asked for");
        Self { reason: INTERRUPTED, message, passing: false }
    }

    /// Whether it is a signal's doing.
    pub(super) fn is_interrupted(&self) -> bool {
        self.reason == INTERRUPTED
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// What one search brought.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) traces: Vec<(String, Trace)>,
    /// What the server said went wrong beside them.
    pub(super) errors: Option<String>,
}

/// A query server.
#[derive(Debug)]
pub(super) struct Jaeger {
    exchange: Client,
    base: BaseUrl,
    clock: Clock,
    /// The tags that are looked at.
    tags: Tags,
    api: Option<Api>,
    raw: bool,
    requests: u64,
    grace: Grace,
}

/// How an endpoint answered.
enum Answered {
    /// With this body.
    Json(String),
    /// There is nothing to be found.
    Nothing,
    /// There is no such endpoint here, and this is what is instead.
    NoSuch(String),
}

impl Jaeger {
    /// The one at `base`; once `grace` is over nothing more is asked, and every request is a fault.
    pub(super) fn new(
        exchange: Client,
        base: BaseUrl,
        clock: Clock,
        tags: Tags,
        api: Option<Api>,
        grace: Grace,
    ) -> Self {
        Self { exchange, base, clock, tags, api, raw: true, requests: 0, grace }
    }

    /// Which API answered; none before the first search.
    pub(super) fn api(&self) -> Option<Api> {
        self.api
    }

    /// Whether raw spans are asked for.
    pub(super) fn raw(&self) -> bool {
        self.raw
    }

    /// How many requests there were.
    pub(super) fn requests(&self) -> u64 {
        self.requests
    }

    /// At most `limit` traces in which a span of `service` began from `start` to `end`, both in microseconds since the
    /// epoch and both included.
    pub(super) fn search(&mut self, service: &str, (start, end): (i64, i64), limit: usize) -> Result<Page, Fault> {
        let mut elsewhere = Vec::new();
        let candidates = self.api.map_or_else(|| vec![Api::V3, Api::V1], |api| vec![api]);
        for api in candidates {
            match self.search_by(api, service, (start, end), limit)? {
                Answered::NoSuch(what) => elsewhere.push(what),
                Answered::Nothing => {
                    self.api = Some(api);
                    return Ok(Page::default());
                }
                Answered::Json(body) => {
                    let page = self.read(api, &body)?;
                    self.api = Some(api);
                    return Ok(page);
                }
            }
        }
        let message = format!("no Jaeger query API: {}; look at the address and its path prefix", elsewhere.join("; "));
        Err(Fault { reason: "NoApi", message, passing: false })
    }

    fn search_by(
        &mut self,
        api: Api,
        service: &str,
        (start, end): (i64, i64),
        limit: usize,
    ) -> Result<Answered, Fault> {
        let (limit, path) = (limit.to_string(), search_path(api));
        let query = match api {
            Api::V3 => {
                // Spans have nanoseconds: a microsecond ends with its last one, or what lies between would be in neither half.
                let nanos = |micros: i64, last: &str| Timestamp::from_micros(micros).to_string().replace('Z', last);
                let (from, to) = (nanos(start, "000Z"), nanos(end, "999Z"));
                form(&[
                    ("query.service_name", service),
                    ("query.start_time_min", &from),
                    ("query.start_time_max", &to),
                    ("query.num_traces", &limit),
                ])
            }
            Api::V1 => {
                let (from, to) = (start.to_string(), end.to_string());
                form(&[("service", service), ("start", &from), ("end", &to), ("limit", &limit)])
            }
        };
        let raw = if api == Api::V3 { "query.raw_traces=true" } else { "raw=true" };
        let plain = format!("{path}?{query}");
        if self.raw {
            match self.get(api, &format!("{plain}&{raw}")) {
                // A server that is strict about parameters that it does not know is asked without this one.
                Err(fault) if fault.reason == "Refused" && fault.message.contains("raw") => self.raw = false,
                otherwise => return otherwise,
            }
        }
        self.get(api, &plain)
    }

    /// The trace with this id, which must be hexadecimal; none where the server does not know it.
    pub(super) fn by_id(&mut self, id: &str) -> Result<Page, Fault> {
        let (api, raw) = (self.api.unwrap_or(Api::V3), self.raw);
        let (path, parameter) = match api {
            Api::V3 => (format!("/api/v3/traces/{id}"), "raw_traces=true"),
            Api::V1 => (format!("/api/traces/{id}"), "raw=true"),
        };
        let path = if raw { format!("{path}?{parameter}") } else { path };
        match self.get(api, &path)? {
            Answered::Json(body) => self.read(api, &body),
            Answered::Nothing | Answered::NoSuch(_) => Ok(Page::default()),
        }
    }

    /// The services that the server knows; none where it does not tell.
    pub(super) fn services(&mut self) -> Option<Vec<String>> {
        let api = self.api?;
        let path = if api == Api::V3 { "/api/v3/services" } else { "/api/services" };
        match self.get(api, path) {
            Ok(Answered::Json(body)) if api == Api::V3 => v3::services(&body),
            Ok(Answered::Json(body)) => v1::services(&body),
            _ => None,
        }
    }

    fn read(&self, api: Api, body: &str) -> Result<Page, Fault> {
        let read = match api {
            Api::V3 => v3::read(body, &self.tags).map(|traces| Page { traces, errors: None }),
            Api::V1 => v1::read(body, &self.tags).map(|read| Page { traces: read.traces, errors: read.errors }),
        };
        read.map_err(|error| {
            let start = escape::start(body.trim(), 80);
            let message =
                format!("GET {}: not a {} answer: {error}: {start}", self.base.join(search_path(api)), api.as_str());
            Fault { reason: "NotJaeger", message, passing: true }
        })
    }

    fn get(&mut self, api: Api, path: &str) -> Result<Answered, Fault> {
        if self.grace.is_over() {
            return Err(Fault::interrupted());
        }
        self.requests += 1;
        let url = self.base.join(path);
        // The query is not repeated in messages: the service and the window are known, and it is long.
        let shown = format!("GET {}", url.split('?').next().unwrap_or_default());
        let fault =
            |reason, message: String, passing| Fault { reason, message: format!("{shown}: {message}"), passing };
        let mut answer = self.exchange.open(&Method::GET, &url, &[], None, &self.clock).map_err(|trouble| {
            let reason = if matches!(trouble, HttpError::NotConnected(_)) { "Unreachable" } else { "NoAnswer" };
            fault(reason, trouble.to_string(), false)
        })?;
        if !(200..300).contains(&answer.status) {
            let status = answer.status;
            let to = answer.location.as_ref().map(|to| format!(" to {}", escape::start(to, 200))).unwrap_or_default();
            let words = answer.start(2000);
            let colon = if words.trim().is_empty() { "" } else { ": " };
            let said = format!("HTTP {status}{to}{colon}{}", escape::start(words.trim(), 300));
            return match status {
                404 if api == Api::V3 && v3::not_found(&words).is_some() => Ok(Answered::Nothing),
                404 if api == Api::V1 && v1::read(&words, &self.tags).is_ok() => Ok(Answered::Nothing),
                404 | 405 | 501 => Ok(Answered::NoSuch(format!("{shown}: {said}"))),
                300..400 => {
                    Err(fault("Redirected", format!("{said}: is a login asked for? (see --header-file)"), false))
                }
                401 | 403 => Err(fault(
                    "Unauthorized",
                    format!("{said} (credentials go into --header-file or --token-env)"),
                    false,
                )),
                // A store that imitates the older API may refuse any path that it does not know.
                400 if self.api.is_none() && api == Api::V3 && !words.trim_start().starts_with('{') => {
                    Ok(Answered::NoSuch(format!("{shown}: {said}")))
                }
                429 => Err(fault("Overloaded", said, true)),
                500.. => Err(fault("ServerError", said, true)),
                _ => Err(fault("Refused", said, false)),
            };
        }
        let mut bytes = Vec::new();
        let status = answer.status;
        let read = self.grace.bound(&mut answer).take(BODY_LIMIT).read_to_end(&mut bytes);
        read.map_err(|error| {
            if self.grace.is_over() {
                return Fault::interrupted();
            }
            fault("AnswerCut", format!("HTTP {status}, then the answer broke off: {error}"), true)
        })?;
        if bytes.len() as u64 >= BODY_LIMIT {
            return Err(fault("TooLarge", "the answer is larger than 512 MiB: use a smaller --page".to_owned(), false));
        }
        let body =
            String::from_utf8(bytes).map_err(|error| fault("NotJaeger", format!("not UTF-8: {error}"), false))?;
        if body.trim_start().starts_with('<') {
            return Ok(Answered::NoSuch(format!("{shown}: HTTP {status} with an HTML page")));
        }
        Ok(Answered::Json(body))
    }
}

const fn search_path(api: Api) -> &'static str {
    match api {
        Api::V3 => "/api/v3/traces",
        Api::V1 => "/api/traces",
    }
}
