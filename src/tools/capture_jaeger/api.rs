//! A client of the Jaeger query server, for either of its two APIs.
//!
//! `/api/v3` is the stable one and asked first. Older servers have `/api/traces`, which Jaeger 2.21 removed. A server without
//! an endpoint answers with a plain 404, or with the UI's HTML page and a 200; v3 answers "nothing found" by a 404 in JSON.

use std::io::{self, Read as _};
use std::time::Duration;

use crate::http::Method;

use super::limits::{Limits, RequestError};
use super::model::{SearchPage, Tags};
use super::{v1, v3};
use crate::cli::{Console, Grace};
use crate::clock::Clock;
use crate::escape;
use crate::http::{BaseUrl, Client, StreamedAnswer, form, redirect_body, redirection};
use crate::record::{Reason, Timestamp};

/// The largest answer, in bytes: a server must not fill the memory. A page of five hundred traces is a few MiB.
const BODY_LIMIT: u64 = 512 * 1024 * 1024;

/// An API of the query server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// `/api/v3/traces`: OTLP as JSON, in Jaeger from about 1.60 on.
    V3,
    /// `/api/traces`: the older JSON, in Jaeger up to 2.20 and in stores that imitate it.
    V1,
}

impl Api {
    /// Returns its name in records and in the flag.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V3 => "v3",
            Self::V1 => "v1",
        }
    }
}

/// A client of one query server.
#[derive(Debug)]
pub(super) struct Jaeger {
    client: Client,
    base: BaseUrl,
    clock: Clock,
    /// The span tags to keep.
    tags: Tags,
    api: Option<Api>,
    raw: bool,
    requests: u64,
    limits: Limits,
    grace: Grace,
    console: Console,
}

/// The response of an endpoint.
enum Response {
    /// A body in JSON, presumably.
    Json(String),
    /// Nothing was found.
    NotFound,
    /// The endpoint does not exist; the text describes the answer.
    NoEndpoint(String),
}

impl Jaeger {
    /// Returns a client of the server at `base`. Once `grace` is over it sends nothing, and every request is an error.
    pub(super) fn new(
        client: Client,
        base: BaseUrl,
        clock: Clock,
        tags: Tags,
        api: Option<Api>,
        grace: Grace,
        console: Console,
    ) -> Self {
        let limits = Limits::new(Duration::ZERO, 0);
        Self { client, base, clock, tags, api, raw: true, requests: 0, limits, grace, console }
    }

    /// Sets the limits of the requests from now on; without any none is made.
    pub(super) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Returns the API that answered; none before the first search.
    pub(super) fn api(&self) -> Option<Api> {
        self.api
    }

    /// Returns true if requests ask for raw spans.
    pub(super) fn asks_for_raw(&self) -> bool {
        self.raw
    }

    /// Returns the number of requests so far.
    pub(super) fn requests(&self) -> u64 {
        self.requests
    }

    /// Returns at most `limit` traces in which a span of `service` began from `start` to `end`, both in microseconds since the
    /// epoch and both included.
    pub(super) fn search(
        &mut self,
        service: &str,
        (start, end): (i64, i64),
        limit: usize,
    ) -> Result<SearchPage, RequestError> {
        let candidates = self.api.map_or_else(|| vec![Api::V3, Api::V1], |api| vec![api]);
        let (mut absent, mut error) = (Vec::new(), None::<RequestError>);
        for api in candidates {
            match self.search_by(api, service, (start, end), limit).and_then(|response| self.read(api, response)) {
                Ok(Ok(page)) => {
                    self.api = Some(api);
                    return Ok(page);
                }
                Ok(Err(answer)) => absent.push(answer),
                Err(cause) if cause.ends_all() => return Err(cause),
                // The other API may be the one that works.
                Err(cause) => error = error.or(Some(cause)),
            }
        }
        let absent = absent.join("; ");
        Err(match error {
            Some(error) if absent.is_empty() => error,
            Some(error) => RequestError { message: format!("{error}; {absent}"), ..error },
            None => {
                let message = format!("no Jaeger query API: {absent}; check the address and its path prefix");
                RequestError { reason: Reason::NoApi, message, retryable: false }
            }
        })
    }

    fn search_by(
        &mut self,
        api: Api,
        service: &str,
        (start, end): (i64, i64),
        limit: usize,
    ) -> Result<Response, RequestError> {
        let (limit, path) = (limit.to_string(), search_path(api));
        let query = match api {
            Api::V3 => {
                // A microsecond ends with its last nanosecond; otherwise a span between two microseconds would be in neither half.
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
                // Some servers refuse parameters that they do not know.
                Err(error) if error.reason == Reason::Refused && error.message.contains("raw") => self.raw = false,
                result => return result,
            }
        }
        self.get(api, &plain)
    }

    /// Returns the trace with this id, which must be hexadecimal; no trace if the server does not know it.
    pub(super) fn by_id(&mut self, id: &str) -> Result<SearchPage, RequestError> {
        let (api, raw) = (self.api.unwrap_or(Api::V3), self.raw);
        let (path, parameter) = match api {
            Api::V3 => (format!("/api/v3/traces/{id}"), "raw_traces=true"),
            Api::V1 => (format!("/api/traces/{id}"), "raw=true"),
        };
        let path = if raw { format!("{path}?{parameter}") } else { path };
        let response = self.get(api, &path)?;
        Ok(self.read(api, response)?.unwrap_or_default())
    }

    /// Returns the services that the server knows; none if it does not answer.
    pub(super) fn services(&mut self) -> Option<Vec<String>> {
        let api = self.api?;
        let path = if api == Api::V3 { "/api/v3/services" } else { "/api/services" };
        match self.get(api, path) {
            Ok(Response::Json(body)) if api == Api::V3 => v3::services(&body),
            Ok(Response::Json(body)) => v1::services(&body),
            _ => None,
        }
    }

    /// Reads a response; the inner `Err` describes an answer without the endpoint.
    fn read(&self, api: Api, response: Response) -> Result<Result<SearchPage, String>, RequestError> {
        let body = match response {
            Response::Json(body) => body,
            Response::NotFound => return Ok(Ok(SearchPage::default())),
            Response::NoEndpoint(answer) => return Ok(Err(answer)),
        };
        let read = match api {
            Api::V3 => v3::read(&body, &self.tags).map(|traces| SearchPage { traces, errors: None }),
            Api::V1 => v1::read(&body, &self.tags),
        };
        read.map(Ok).map_err(|error| {
            let start = escape::start(body.trim(), 80);
            let message =
                format!("GET {}: not a {} answer: {error}: {start}", self.base.join(search_path(api)), api.as_str());
            RequestError { reason: Reason::NotJaeger, message, retryable: true }
        })
    }

    fn get(&mut self, api: Api, path: &str) -> Result<Response, RequestError> {
        if self.grace.is_over() {
            return Err(RequestError::interrupted());
        }
        self.limits.spend()?;
        self.requests += 1;
        let url = self.base.join(path);
        // The query is not repeated in messages: the service and the window are known, and it is long.
        let shown = format!("GET {}", url.split('?').next().unwrap_or_default());
        let error = |reason, message: String, retryable| RequestError {
            reason,
            message: format!("{shown}: {message}"),
            retryable,
        };
        let open = || self.client.open(&Method::GET, &url, &[], None, &self.clock);
        let mut answer = self
            .client
            .announced(&self.console, || shown.clone(), open)
            .map_err(|cause| error(RequestError::reason_of(&cause), cause.to_string(), false))?;
        if !(200..300).contains(&answer.status) {
            let status = answer.status;
            let location = answer.head.location.clone();
            let to = redirection(location.as_deref());
            // A body that breaks off is as good as one that is short: it only explains the status.
            let (bytes, _) = self.body(&mut answer, 2000);
            let body = String::from_utf8_lossy(&bytes);
            let colon = if body.trim().is_empty() { "" } else { ": " };
            let words = redirect_body(body.trim(), location.as_deref());
            let description = format!("HTTP {status}{to}{colon}{}", escape::start(&words, 300));
            return match status {
                404 if api == Api::V3 && v3::not_found_message(&body).is_some() => Ok(Response::NotFound),
                404 if api == Api::V1 && v1::read(&body, &self.tags).is_ok() => Ok(Response::NotFound),
                404 | 405 | 501 => Ok(Response::NoEndpoint(format!("{shown}: {description}"))),
                300..400 => Err(error(
                    Reason::Redirected,
                    format!("{description}: is a login required? (see --header-file)"),
                    false,
                )),
                401 | 403 => Err(error(
                    Reason::Unauthorized,
                    format!("{description} (credentials go into --header-file or --token-env)"),
                    false,
                )),
                // A store that imitates the older API may refuse any path that it does not know.
                400 if self.api.is_none() && api == Api::V3 && !body.trim_start().starts_with('{') => {
                    Ok(Response::NoEndpoint(format!("{shown}: {description}")))
                }
                429 => Err(error(Reason::Overloaded, description, true)),
                500.. => Err(error(Reason::ServerError, description, true)),
                _ => Err(error(Reason::Refused, description, false)),
            };
        }
        let status = answer.status;
        let (bytes, read) = self.body(&mut answer, BODY_LIMIT);
        read.map_err(|cause| {
            if self.grace.is_over() {
                return RequestError::interrupted();
            }
            if self.limits.is_over() {
                return Limits::time_error();
            }
            error(Reason::AnswerCut, format!("HTTP {status}, then the answer broke off: {cause}"), true)
        })?;
        if bytes.len() as u64 >= BODY_LIMIT {
            return Err(error(
                Reason::TooLarge,
                "the answer is larger than 512 MiB: use a smaller --page".to_owned(),
                false,
            ));
        }
        let body =
            String::from_utf8(bytes).map_err(|cause| error(Reason::NotJaeger, format!("not UTF-8: {cause}"), false))?;
        if body.trim_start().starts_with('<') {
            return Ok(Response::NoEndpoint(format!("{shown}: HTTP {status} with an HTML page")));
        }
        Ok(Response::Json(body))
    }

    /// Reads at most `limit` bytes of the body, as long as there is time.
    fn body(&self, answer: &mut StreamedAnswer, limit: u64) -> (Vec<u8>, io::Result<usize>) {
        let mut bytes = Vec::new();
        let read = self.limits.bound(self.grace.bound(answer)).take(limit).read_to_end(&mut bytes);
        (bytes, read)
    }
}

const fn search_path(api: Api) -> &'static str {
    match api {
        Api::V3 => "/api/v3/traces",
        Api::V1 => "/api/traces",
    }
}
