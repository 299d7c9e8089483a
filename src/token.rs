//! The access token of a target: requested by the profile's `[token]`, renewed before it expires, and shared by the tools of a
//! pipe through a locked file, because a target may revoke a token when another one is issued.

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use serde::{Deserialize, Serialize};

use crate::cli::{Console, Failure};
use crate::clock::Clock;
use crate::http::{Authorize, BaseUrl, Client, Credentials, HeaderName, HeaderValue, same_origin};
use crate::profile::{Document, Request, TemplateValues, Token};
use crate::record::Timestamp;
use crate::units;

/// The part of its lifetime after which a token is renewed.
const RENEWED_AFTER: f64 = 0.8;
/// The age in seconds from which a refused token is replaced; a younger one is not what the target objects to.
const LEAST_AGE: f64 = 1.0;
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
}

/// A token with its times: the content of the file.
#[derive(Clone, Serialize, Deserialize)]
struct Held {
    /// The request that got it.
    of: String,
    token: String,
    obtained: Timestamp,
    /// None if the answer did not tell it.
    expires: Option<Timestamp>,
    /// The time from which it is renewed.
    renew: Option<Timestamp>,
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Held").field("expires", &self.expires).finish_non_exhaustive()
    }
}

impl Held {
    fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }

    fn is_fresh(&self, now: Timestamp) -> bool {
        self.renew.is_none_or(|at| now < at)
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
        let mut values = TemplateValues::of_set(set);
        for name in request.request().names("env") {
            let value = std::env::var(&name).ok().filter(|value| !value.trim().is_empty());
            let value = value.ok_or_else(|| {
                Failure::usage(format!("the profile's [token]: the environment variable {name} is not set"))
            })?;
            values = values.with(&format!("env.{name}"), value.trim());
        }
        let (base, held, renewal) = (OnceLock::new(), Mutex::new(None), Mutex::new(()));
        Ok(Self { request, values, client, base, file, console: console.clone(), held, renewal })
    }

    /// Sets the target, which a stream may tell later than the command line. The first one counts.
    pub fn set_base(&self, base: &BaseUrl) {
        let _first = self.base.set(base.clone());
    }

    /// Gets the token, and describes the request and its lifetime, without any secret.
    pub fn describe(&self, clock: &Clock) -> Result<String, String> {
        self.credentials(clock)?;
        let held = self.held();
        let expires = held.as_ref().and_then(|held| held.expires);
        let left = expires.map(|at| format!("expires in {}", units::seconds(at.since(clock.now()).max(0.0))));
        Ok(format!(
            "{} {}: (secret), {}",
            self.request.method,
            self.request.path,
            left.unwrap_or_else(|| "its answer does not tell when it expires".to_owned())
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

    fn held(&self) -> MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gets another token than `refused`, from the file or by a request. Only one thread and one process does it at a time;
    /// if `can_wait` is false and another one is at it, the token that is held stays.
    fn renew(&self, refused: Option<&str>, can_wait: bool, clock: &Clock) -> Result<(), String> {
        let _renewal = if can_wait {
            self.renewal.lock().unwrap_or_else(PoisonError::into_inner)
        } else {
            let Ok(renewal) = self.renewal.try_lock() else { return Ok(()) };
            renewal
        };
        let is_good = |held: &Held| held.is_fresh(clock.now()) && refused != Some(held.token.as_str());
        if self.held().as_ref().is_some_and(is_good) {
            return Ok(());
        }
        let Some(path) = &self.file else {
            let held = self.request(clock)?;
            *self.held() = Some(held);
            return Ok(());
        };
        let failed = |error: io::Error| format!("{}: {error}", flag(path));
        let mut file = open(path).map_err(failed)?;
        if can_wait {
            file.lock().map_err(failed)?;
        } else {
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(()),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
        // The lock ends with the file.
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed)?;
        let of = identity(&self.token_request()?);
        let shared = serde_json::from_str::<Held>(&text).ok().filter(|held| held.of == of);
        let held = if let Some(held) = shared.filter(is_good) {
            held
        } else {
            let held = self.request(clock)?;
            let text = serde_json::to_string(&held).map_err(|error| error.to_string())?;
            let written = file.rewind().and_then(|()| file.set_len(0)).and_then(|()| file.write_all(text.as_bytes()));
            written.map_err(failed)?;
            held
        };
        *self.held() = Some(held);
        Ok(())
    }

    fn base(&self) -> Result<&BaseUrl, String> {
        self.base.get().ok_or_else(|| "the target is not known yet".to_owned())
    }

    fn token_request(&self) -> Result<Request, String> {
        self.request.request().fill(self.base()?, &self.values)
    }

    /// Requests a token. No message holds a part of the answer but the error code of RFC 6749, section 5.2.
    fn request(&self, clock: &Clock) -> Result<Held, String> {
        let request = self.token_request()?;
        let base = self.base()?;
        let own = same_origin(&base.join("/"), &request.url);
        let url = request.url.split(['?', '#']).next().unwrap_or_default();
        let place = format!("the token request {} {url}", request.method);
        // Another server must not see the headers that are the target's alone.
        let client = if own.is_some() { self.client.clone() } else { self.client.without_headers() };
        let answer = request.send(&client, clock).map_err(|error| format!("{place}: {error}"))?;
        let document = Document::of(&answer);
        if !self.request.accepted.contains(&answer.status) {
            let code = document.error_code().map(|code| format!(": {code}")).unwrap_or_default();
            return Err(format!("{place}: HTTP {}{code}", answer.status));
        }
        let now = clock.now();
        let Some((token, expires)) = self.request.read(&document, now) else {
            let places = crate::profile::spelled(&self.request.token);
            return Err(format!("{place}: HTTP {}, and no token at {places}", answer.status));
        };
        let renew = expires.map(|at| now.shifted(at.since(now) * RENEWED_AFTER));
        let held = Held { of: identity(&request), token, obtained: now, expires, renew };
        self.credentials_of(&held).map(|_| held).map_err(|error| format!("{place}: {error}"))
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
    fn credentials(&self, clock: &Clock) -> Result<Credentials, String> {
        let now = clock.now();
        let held = self.held().clone();
        match held {
            Some(held) if held.is_fresh(now) => return self.credentials_of(&held),
            Some(held) if !held.is_expired(now) => {
                // It is good for a while, so a failure may pass; the next try is not made at once.
                if let Err(error) = self.renew(None, false, clock) {
                    let left = held.expires.map(|at| format!(" for {}", units::seconds(at.since(now))));
                    let left = left.unwrap_or_default();
                    self.console.say(&format!(
                        "could not renew the token ahead of time: {error}; the old one is good{left}, trying again in {RETRY_AFTER} s"
                    ));
                    if let Some(held) = &mut *self.held() {
                        held.renew = Some(now.shifted(RETRY_AFTER));
                    }
                }
            }
            _ => self.renew(None, true, clock)?,
        }
        let held = self.held().clone().ok_or("there is no token")?;
        self.credentials_of(&held)
    }

    fn renewed(&self, refused: &Credentials, clock: &Clock) -> Result<Option<Credentials>, String> {
        let is_refused = |held: &Held| *held.token == *refused.token;
        let held = self.held().clone();
        if held.filter(is_refused).is_some_and(|held| clock.now().since(held.obtained) < LEAST_AGE) {
            return Ok(None);
        }
        self.renew(Some(&refused.token), true, clock)?;
        let held = self.held().clone().filter(|held| !is_refused(held));
        held.map(|held| self.credentials_of(&held)).transpose()
    }
}

/// Tells token requests apart that share a file: those of another target or of other credentials. A file of mode 0600 that holds
/// a token may hold a hash of the secret that got it.
fn identity(request: &Request) -> String {
    let mut hasher = DefaultHasher::new();
    request.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn flag(path: &Path) -> String {
    format!("--token-file {}", path.display())
}

/// Opens the file, which only its owner may read.
fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(file)
}
