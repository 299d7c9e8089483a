//! Credentials that expire: the headers of a request are asked for just before it is sent.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::http::{HeaderName, HeaderValue};

use crate::clock::Clock;

/// A source of credentials.
pub trait Authorize: fmt::Debug + Send + Sync {
    /// The credentials to send now. The error says why there are none.
    fn credentials(&self, clock: &Clock) -> Result<Credentials, NoCredentials>;

    /// Other credentials than `refused`, which the target answered with 401; none if there can be no better ones.
    fn renewed(&self, refused: &Credentials, clock: &Clock) -> Result<Option<Credentials>, NoCredentials>;

    /// The part of the time from `since` to `until` in which requests waited for credentials.
    fn waited(&self, since: Instant, until: Instant) -> Duration;
}

/// Headers that authorize a request.
#[derive(Clone)]
pub struct Credentials {
    /// The secret by which they are told from others.
    pub token: Arc<str>,
    /// The headers.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// The lack of credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoCredentials {
    /// The reason, as one line.
    pub why: String,
    /// The wait after which there may be some; none if there is no use in waiting.
    pub again_in: Option<Duration>,
}

impl From<String> for NoCredentials {
    /// A reason that waiting does not remove.
    fn from(why: String) -> Self {
        Self { why, again_in: None }
    }
}

impl fmt::Display for NoCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}
