//! The access token of a target: requested by the profile's `[token]`, renewed before it expires, and shared by the tools of a
//! pipe through a locked file, because a target may revoke a token when another one is issued.

mod file;
mod outage;
mod waits;

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::cli::{Console, Failure};
use crate::clock::Clock;
use crate::digest;
use crate::http::{
    Authorize, BaseUrl, Client, Credentials, HeaderName, HeaderValue, HttpError, NoCredentials, same_origin,
};
use crate::profile::{Document, Request, TemplateValues, Token};
use crate::record::Timestamp;
use crate::units;
use file::{TokenFile, flag};
use outage::{Failed, Outage};
use waits::Waits;

/// The part of its lifetime after which a token is renewed.
const RENEWED_AFTER: f64 = 0.8;
/// The least time in seconds from one token request to the next that a refused token causes: a target that refuses every token must
/// not be asked for one after the other. The request that was refused waits until then.
const LEAST_APART: f64 = 1.0;
/// The pause in seconds after a renewal ahead of time that failed.
const RETRY_AFTER: f64 = 5.0;

/// The token of one target.
#[derive(Debug)]
pub struct Tokens {
    request: Token,
    values: TemplateValues,
    /// Sends the token request.
    client: Client,
    base: OnceLock<BaseUrl>,
    file: Option<PathBuf>,
    console: Console,
    held: Mutex<Option<Held>>,
    /// Taken by the thread that renews.
    renewal: Mutex<()>,
    outage: Mutex<Option<Outage>>,
    /// The token request that is unanswered.
    pending: Mutex<Option<Pending>>,
    /// The times for which requests to the target waited.
    waits: Waits,
    /// It was told that a lifetime reads as over.
    told_over: AtomicBool,
}

/// A token request on its way.
#[derive(Debug)]
struct Pending {
    place: String,
    since: Timestamp,
    /// No request to the target can be sent before its answer.
    is_needed: bool,
}

/// A token with its times: the content of the file.
#[derive(derive_more::Debug, Clone, Serialize, Deserialize)]
#[debug("Held")]
struct Held {
    /// The request that got it.
    of: String,
    token: String,
    /// The time of the request: the token was issued later.
    obtained: Timestamp,
    /// None if the answer did not tell it, or told a time that was over.
    expires: Option<Timestamp>,
    /// The time from which it is renewed.
    renew: Option<Timestamp>,
}

impl Held {
    fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }

    fn is_fresh(&self, now: Timestamp) -> bool {
        // A renewal that was put off must not outlast the token.
        !self.is_expired(now) && self.renew.is_none_or(|at| now < at)
    }
}

impl Tokens {
    /// The token that `request` gets by `client`, shared through `file`. Reads the environment variables that the request names.
    pub fn new(
        request: Token,
        set: &[(String, serde_json::Value)],
        client: Client,
        file: Option<PathBuf>,
        console: &Console,
    ) -> Result<Self, Failure> {
        file.as_deref().map_or(Ok(()), file::check)?;
        let mut values = TemplateValues::of_set(set);
        for name in request.request().names("env") {
            let value = std::env::var(&name).ok().filter(|value| !value.trim().is_empty());
            let value = value.ok_or_else(|| {
                Failure::usage(format!("the profile's [token]: the environment variable {name} is not set; export it"))
            })?;
            console.secrets().add(&value);
            values = values.with(&format!("env.{name}"), value.trim());
        }
        Ok(Self {
            request,
            values,
            client,
            base: OnceLock::new(),
            file,
            console: console.clone(),
            held: Mutex::default(),
            renewal: Mutex::default(),
            outage: Mutex::default(),
            pending: Mutex::default(),
            waits: Waits::default(),
            told_over: AtomicBool::new(false),
        })
    }

    /// Sets the target, which a stream may tell later than the command line. The first one counts.
    pub fn set_base(&self, base: &BaseUrl) {
        let _first = self.base.set(base.clone());
    }

    /// Gets the token, and describes the request and its lifetime, without any secret.
    pub fn describe(&self, clock: &Clock) -> Result<String, String> {
        self.credentials(clock).map_err(|none| none.why)?;
        let held = self.held();
        let expires = held.as_ref().and_then(|held| held.expires);
        let left = expires.map(|at| format!("expires in {}", units::seconds(at.since(clock.now()).max(0.0))));
        Ok(format!(
            "{} {}: (secret), {}",
            self.request.method,
            self.request.path,
            left.unwrap_or_else(|| "used until the target refuses it, because its expiry time is not known".to_owned())
        ))
    }

    /// Deletes the shared file, if there is one.
    pub fn delete_file(&self) -> Result<(), Failure> {
        let Some(path) = &self.file else { return Ok(()) };
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Failure::io(&flag(path), &error)),
            _ => Ok(()),
        }
    }

    /// Describes the token request for which all requests to the target wait, if there is one.
    pub fn awaited(&self, clock: &Clock) -> Option<String> {
        let now = clock.now();
        let is_held = self.held().as_ref().is_some_and(|held| !held.is_expired(now));
        let pending = lock(&self.pending);
        let pending = pending.as_ref().filter(|pending| pending.is_needed || !is_held)?;
        let waited = units::seconds(now.since(pending.since).max(0.0));
        Some(format!("{} was unanswered for {waited}", pending.place))
    }

    fn held(&self) -> MutexGuard<'_, Option<Held>> {
        lock(&self.held)
    }

    /// Gets another token than `refused`, from the file or by a request. Only one thread and one process does it at a time;
    /// if `can_wait` is false and another one is at it, the token that is held stays.
    fn renew(&self, refused: Option<&str>, can_wait: bool, clock: &Clock) -> Result<(), NoCredentials> {
        let _renewal = if can_wait {
            lock(&self.renewal)
        } else {
            let Ok(renewal) = self.renewal.try_lock() else { return Ok(()) };
            renewal
        };
        let is_good = |held: &Held| held.is_fresh(clock.now()) && refused != Some(held.token.as_str());
        let known = self.held().clone();
        if known.as_ref().is_some_and(is_good) {
            return Ok(());
        }
        let _wait = can_wait.then(|| self.waits.begin());
        let held = match &self.file {
            None => self.request(known.as_ref().filter(|_| refused.is_some()), can_wait, clock)?,
            Some(path) => {
                // The lock ends with the file.
                let Some(mut file) = TokenFile::lock(path, can_wait)? else { return Ok(()) };
                let shared = file.read(&identity(&self.token_request()?))?;
                match shared {
                    Some(held) if is_good(&held) => held,
                    shared => {
                        let last = shared.or(known).filter(|_| refused.is_some());
                        let held = self.request(last.as_ref(), can_wait, clock)?;
                        file.write(&held)?;
                        held
                    }
                }
            }
        };
        self.console.secrets().add(&held.token);
        *self.held() = Some(held);
        Ok(())
    }

    fn base(&self) -> Result<&BaseUrl, String> {
        self.base.get().ok_or_else(|| "the target is not known yet".to_owned())
    }

    fn token_request(&self) -> Result<Request, String> {
        self.request.request().fill(self.base()?, &self.values)
    }

    /// Requests a token, unless it was found a moment ago that none can be had. If the target has refused the token `last`, waits
    /// until a request is due again.
    fn request(&self, last: Option<&Held>, is_needed: bool, clock: &Clock) -> Result<Held, NoCredentials> {
        let now = clock.now();
        if let Some(outage) = lock(&self.outage).as_ref().filter(|outage| outage.pauses(now)) {
            return Err(outage.describe(now));
        }
        if let Some(last) = last {
            let wait = LEAST_APART - now.since(last.obtained);
            std::thread::sleep(Duration::from_secs_f64(wait.clamp(0.0, LEAST_APART)));
        }
        let outcome = self.send_request(is_needed, clock);
        *lock(&self.pending) = None;
        let mut outage = lock(&self.outage);
        match outcome {
            Ok(held) => {
                *outage = None;
                Ok(held)
            }
            Err(failed) => {
                let now = clock.now();
                let longer = Outage::with(outage.as_ref(), failed, now);
                let none = longer.describe(now);
                *outage = Some(longer);
                Err(none)
            }
        }
    }

    /// Sends the token request. No message holds a part of the answer but the error code of RFC 6749, section 5.2.
    fn send_request(&self, is_needed: bool, clock: &Clock) -> Result<Held, Failed> {
        let for_good = |why: String| Failed { why, retry_after: None, may_pass: false };
        let request = self.token_request().map_err(for_good)?;
        let base = self.base().map_err(for_good)?;
        let own = same_origin(&base.join("/"), &request.url);
        let url = request.url.split(['?', '#']).next().unwrap_or_default();
        let place = format!("the token request {} {url}", request.method);
        // Another server must not see the headers that are the target's alone.
        let client = if own.is_some() { self.client.clone() } else { self.client.without_headers() };
        let obtained = clock.now();
        *lock(&self.pending) = Some(Pending { place: place.clone(), since: obtained, is_needed });
        let answer = request.send(&client, clock).map_err(|error| Failed {
            why: format!("{place}: {error}"),
            retry_after: None,
            may_pass: !matches!(error, HttpError::Invalid(_)),
        })?;
        let document = Document::of(&answer);
        if !self.request.accepted.contains(&answer.status) {
            let code = document.error_code().map(|code| format!(": {code}")).unwrap_or_default();
            return Err(Failed {
                why: format!("{place}: HTTP {}{code}", answer.status),
                retry_after: answer.head.retry_after,
                may_pass: matches!(answer.status, 408 | 425 | 429 | 500..),
            });
        }
        let Some((token, expires)) = self.request.read(&document, obtained) else {
            let places = crate::profile::spelled(&self.request.token);
            return Err(for_good(format!("{place}: HTTP {}, and no token at {places}", answer.status)));
        };
        let expires = expires.filter(|at| self.lies_ahead(*at, &place, clock.now()));
        let renew = expires.map(|at| obtained.shifted(at.since(obtained) * RENEWED_AFTER));
        let held = Held { of: identity(&request), token, obtained, expires, renew };
        self.credentials_of(&held).map(|_| held).map_err(|error| for_good(format!("{place}: {error}")))
    }

    /// Returns true if a token that expires `at` can be used for a while, and says so once if it cannot.
    fn lies_ahead(&self, at: Timestamp, place: &str, now: Timestamp) -> bool {
        if at <= now && !self.told_over.swap(true, Ordering::Relaxed) {
            self.console.say(&format!(
                "{place}: according to its answer, the token expired at {at}, {} ago: using it until the target refuses it; check token.expires in the profile, and the server's clock",
                units::seconds(now.since(at))
            ));
        }
        at > now
    }

    fn credentials_of(&self, held: &Held) -> Result<Credentials, String> {
        let header = |(name, value): (&str, String)| {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
            let invalid = |_| "the token contains characters that are not valid in a header".to_owned();
            let mut value = HeaderValue::from_str(&value).map_err(invalid)?;
            value.set_sensitive(true);
            Ok((name, value))
        };
        let headers = self.request.headers_for(&held.token).map(header).collect::<Result<_, String>>()?;
        Ok(Credentials { token: held.token.as_str().into(), headers })
    }
}

impl Authorize for Tokens {
    fn credentials(&self, clock: &Clock) -> Result<Credentials, NoCredentials> {
        let now = clock.now();
        let held = self.held().clone();
        match held {
            Some(held) if held.is_fresh(now) => return Ok(self.credentials_of(&held)?),
            Some(held) if !held.is_expired(now) => {
                // It is good for a while, so a failure may pass; the next try is not made at once.
                if let Err(none) = self.renew(None, false, clock) {
                    let left = held.expires.map(|at| format!(" for {}", units::seconds(at.since(now))));
                    let left = left.unwrap_or_default();
                    let pause = none.again_in.map_or(RETRY_AFTER, |wait| wait.as_secs_f64().max(RETRY_AFTER));
                    self.console.say(&format!(
                        "could not renew the token ahead of time: {none}; the old one is valid{left}; trying again in {}",
                        units::seconds(pause)
                    ));
                    if let Some(held) = &mut *self.held() {
                        held.renew = Some(now.shifted(pause));
                    }
                }
            }
            _ => self.renew(None, true, clock)?,
        }
        let held = self.held().clone().ok_or_else(|| "there is no token".to_owned())?;
        Ok(self.credentials_of(&held)?)
    }

    fn waited(&self, since: Instant, until: Instant) -> Duration {
        self.waits.between(since, until)
    }

    fn renewed(&self, refused: &Credentials, clock: &Clock) -> Result<Option<Credentials>, NoCredentials> {
        self.renew(Some(&refused.token), true, clock)?;
        let held = self.held().clone().filter(|held| *held.token != *refused.token);
        Ok(held.map(|held| self.credentials_of(&held)).transpose()?)
    }
}

/// Tells token requests apart that share a file: those of another target or of other credentials. A file of mode 0600 that holds
/// a token may hold a hash of the secret that got it.
fn identity(request: &Request) -> String {
    format!("{:016x}", digest::hash(request))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
