//! A Prometheus server: its API, its refusals and its answers.

pub mod envelope;
mod problem;

use std::io::Read as _;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::cli::{Console, Grace, Stop};
use crate::clock::{Clock, OffsetBounds, is_sentinel};
use crate::escape;
use crate::http::{BaseUrl, Client, FORM, HttpError, Method, StreamedAnswer, form};
use crate::record::{ClockOffset, Reason, Timestamp};
use crate::statistics::Bounds;
pub use problem::{CREDENTIALS, Problem, failed, foreign};
use problem::{refused, silence};

/// Wait before a query that got no answer is sent once more.
const BACKOFF: Duration = Duration::from_millis(500);
/// A `Retry-After` beyond this is not waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest part of a refusal that is read, in bytes.
const REFUSAL_LIMIT: u64 = 64 * 1024;
/// The longest answer that is held whole, in bytes.
const SMALL_LIMIT: u64 = 10 << 20;
/// The longest address of a GET: servers and proxies accept request lines of 8 KiB.
const ADDRESS_LIMIT: usize = 8000;
/// The statuses of a proxy or gateway that lets GET pass but not POST.
const POST_FORBIDDEN: [u16; 3] = [403, 405, 501];
/// The statuses with which Prometheus itself answers a query.
const API_STATUSES: [u16; 4] = [200, 400, 422, 503];
/// The parameters that make servers answer whole which could answer in part, from caches or from thinned-out data: the first
/// two are for `VictoriaMetrics`, the others for Thanos. Prometheus ignores them all.
const WHOLE: [(&str, &str); 4] =
    [("nocache", "1"), ("latency_offset", "1ms"), ("partial_response", "false"), ("dedup", "true")];

/// The end of the message for a request that a signal forestalled.
pub const ASKED: &str = "it was queried";

/// The data of a query's answer.
#[derive(Deserialize)]
struct QueryData<T> {
    result: T,
}

/// One Prometheus.
#[derive(Debug)]
pub struct Server {
    base: BaseUrl,
    client: Client,
    clock: Clock,
    bounds: OffsetBounds,
    /// Bounds of the offset by the query `time()`.
    told: Option<Bounds>,
    stop: Stop,
    grace: Grace,
    console: Console,
    /// POST, or GET once the server has refused POST.
    method: Method,
    get_refused: bool,
    /// The sentence about the change to GET.
    notice: Option<String>,
}

impl Server {
    /// The server at `base`, asked through `client`. A signal ends its waits at once, and its requests a while later.
    pub fn new(base: BaseUrl, client: Client, clock: Clock, stop: Stop, console: Console) -> Self {
        let grace = stop.grace();
        let (bounds, method, get_refused) = (OffsetBounds::default(), Method::POST, false);
        Self { base, client, clock, bounds, told: None, stop, grace, console, method, get_refused, notice: None }
    }

    /// The server's clock minus ours, as far as it tells: by the query `time()`, which has milliseconds, unless its dates
    /// contradict that, as they do where a cache or another host answers; then by the dates.
    pub fn offset(&self) -> Option<ClockOffset> {
        let by_dates = self.bounds.offset();
        let agrees = |told: &Bounds| {
            by_dates.is_none_or(|dates| told.low <= dates.bounds().high && told.high >= dates.bounds().low)
        };
        self.told.filter(agrees).map(ClockOffset::from_bounds).or(by_dates)
    }

    /// Asks for the time on the server's clock. A server that does not tell it is known by its dates.
    pub fn ask_time(&mut self) {
        const MILLISECOND: f64 = 0.001;
        let sent = self.clock.now();
        let Ok((_, text)) = self.instant::<(f64, String)>("time()", None) else { return };
        let received = self.clock.now();
        if let Some(time) = text.parse().ok().and_then(Timestamp::from_seconds).filter(|time| !is_sentinel(*time)) {
            self.told = Some(Bounds { low: time.since(received), high: time.since(sent) + MILLISECOND });
        }
    }

    /// The sentence for records if queries are sent by GET, because the server refused POST.
    pub fn notice(&self) -> Option<&str> {
        self.notice.as_deref()
    }

    /// The time on the server's clock, if that is known to differ from ours.
    pub fn now(&self) -> Timestamp {
        self.clock.now().shifted(self.offset().map_or(0.0, ClockOffset::known_seconds))
    }

    /// The time after a signal, which also bounds the reading of answers.
    pub fn grace(&self) -> &Grace {
        &self.grace
    }

    /// Checks that the server is there and answers queries.
    pub fn ready(&mut self) -> Result<(), Problem> {
        self.may_ask()?;
        let url = self.base.join("/-/ready");
        let ready = self.open(&Method::GET, &url, None).map_err(|error| silence("GET", &url, &error))?;
        if ready.status == 200 {
            return Ok(());
        }
        let (status, page) = (ready.status, ready.start(REFUSAL_LIMIT));
        // Hosted servers have no such page, and answer queries all the same.
        match self.result::<IgnoredAny>(&[("query", "vector(1)")]) {
            Ok(_) => Ok(()),
            Err(problem) if status == 503 => {
                let page = escape::start(page.trim(), 200);
                let message = format!("GET {url}: HTTP {status}: {page}; the query vector(1): {}", problem.message);
                Err(Problem::new(Reason::NotReady, message))
            }
            Err(problem) => Err(problem),
        }
    }

    /// Returns the data of a small answer to a GET.
    pub fn data<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, Problem> {
        self.may_ask()?;
        let url = self.base.join(path);
        let answer = self.open(&Method::GET, &url, None).map_err(|error| silence("GET", &url, &error))?;
        small(answer, &self.grace)
    }

    /// Returns the result of an instant query whose answer is small, at `time` or now.
    pub fn instant<T: DeserializeOwned>(&mut self, query: &str, time: Option<Timestamp>) -> Result<T, Problem> {
        let time = time.map(|time| format!("{:.3}", time.seconds()));
        let time = time.as_deref().map(|time| ("time", time));
        let parameters: Vec<_> = [("query", query)].into_iter().chain(time).collect();
        self.result(&parameters)
    }

    /// Returns the result of an instant query with `parameters`, whose answer is small.
    pub fn result<T: DeserializeOwned>(&mut self, parameters: &[(&str, &str)]) -> Result<T, Problem> {
        let answer = self.query("/api/v1/query", parameters)?;
        small::<QueryData<T>>(answer, &self.grace).map(|data| data.result)
    }

    /// Sends a query whose answer may be of any size. A query changes nothing, so one that got no answer is sent once more.
    pub fn query(&mut self, path: &str, parameters: &[(&str, &str)]) -> Result<StreamedAnswer, Problem> {
        let (url, form) = (self.base.join(path), form(&[parameters, &WHOLE].concat()));
        let mut may_repeat = true;
        loop {
            self.may_ask()?;
            let answer = self.send(&url, &form);
            let repeats = std::mem::take(&mut may_repeat) && self.stop.signal().is_none();
            let wait = match answer {
                Ok(answer) if answer.status == 200 => return Ok(answer),
                Ok(answer) if self.method == Method::POST && POST_FORBIDDEN.contains(&answer.status) => {
                    return self.query_by_get(&url, &form, answer);
                }
                Ok(answer) => match answer.head.retry_after.filter(|wait| repeats && *wait <= PATIENCE) {
                    Some(wait) => wait,
                    None => return Err(refusal(answer)),
                },
                Err(HttpError::NotConnected { .. } | HttpError::NoAnswer(_)) if repeats => BACKOFF,
                Err(error) => return Err(silence(self.method.as_str(), &url, &error)),
            };
            // A signal ends the wait, and the last attempt is made at once.
            self.stop.wait(wait);
        }
    }

    /// Sends by GET a query whose POST was `refused`, and stays with GET if Prometheus answers that.
    fn query_by_get(&mut self, url: &str, form: &str, refused: StreamedAnswer) -> Result<StreamedAnswer, Problem> {
        let (status, refusal) = (refused.status, refusal(refused));
        if self.get_refused {
            return Err(refusal);
        }
        self.method = Method::GET;
        let cause = match self.send(url, form) {
            Ok(answer) if API_STATUSES.contains(&answer.status) => {
                // A login would change nothing: the server answers.
                self.console.say(&format!("POST {url}: HTTP {status}; using GET from now on"));
                self.notice = Some(format!("the server refused POST (HTTP {status}), so queries were sent by GET"));
                return if answer.status == 200 { Ok(answer) } else { Err(self::refusal(answer)) };
            }
            Ok(answer) => {
                self.get_refused = true;
                format!("HTTP {}", answer.status)
            }
            Err(error) => error.to_string(),
        };
        self.method = Method::POST;
        Err(Problem { message: format!("{}; by GET: {cause}", refusal.message), ..refusal })
    }

    fn send(&mut self, url: &str, form: &str) -> Result<StreamedAnswer, HttpError> {
        if self.method == Method::POST {
            return self.open(&Method::POST, url, Some(form));
        }
        let url = format!("{url}?{form}");
        if url.len() > ADDRESS_LIMIT {
            let length = url.len();
            let message = format!("the server refuses POST, and {length} bytes are too long for a GET URL");
            return Err(HttpError::Invalid(message));
        }
        self.open(&Method::GET, &url, None)
    }

    fn open(&mut self, method: &Method, url: &str, form: Option<&str>) -> Result<StreamedAnswer, HttpError> {
        let content_type = [("content-type".to_owned(), FORM.to_owned())];
        let headers = if form.is_some() { &content_type[..] } else { &[] };
        let sent = self.clock.now();
        let place = || format!("{method} {}", url.split('?').next().unwrap_or_default());
        let open = || self.client.open(method, url, headers, form, &self.clock);
        let answer = self.client.announced(&self.console, place, open)?;
        if let Some(date) = answer.head.date {
            self.bounds.observe(date, sent, self.clock.now());
        }
        Ok(answer)
    }

    /// Refuses to begin a request once the time after a signal is over.
    fn may_ask(&self) -> Result<(), Problem> {
        if self.grace.is_over() { Err(Problem::interrupted(ASKED)) } else { Ok(()) }
    }
}

/// An answer of the API that fits into memory.
#[derive(Debug, Deserialize)]
struct Small<T> {
    status: String,
    data: Option<T>,
}

/// Returns the data of an answer that fits into memory, read within the `grace` after a signal.
fn small<T: DeserializeOwned>(answer: StreamedAnswer, grace: &Grace) -> Result<T, Problem> {
    if answer.status != 200 {
        return Err(refusal(answer));
    }
    let mut body = Vec::new();
    let read = grace.bound(answer).take(SMALL_LIMIT).read_to_end(&mut body);
    read.map_err(|error| Problem::new(Reason::AnswerCut, format!("the answer broke off: {error}")))?;
    match serde_json::from_slice::<Small<T>>(&body) {
        Ok(Small { status, data: Some(data) }) if status == "success" => Ok(data),
        _ => Err(foreign(&String::from_utf8_lossy(&body))),
    }
}

/// The problem that an answer with another status than 200 means.
fn refusal(answer: StreamedAnswer) -> Problem {
    let (status, location) = (answer.status, answer.head.location.clone());
    refused(status, location.as_deref(), &answer.start(REFUSAL_LIMIT))
}
