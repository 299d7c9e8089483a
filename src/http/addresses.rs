//! Name resolution that looks a name up once for many requests.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::http::uri::{Authority, Scheme};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// The time after which a name is looked up again. ureq asks before every request, even if it has a connection, and each lookup
/// reads files or asks a server.
const LOOKUP_AGE: Duration = Duration::from_secs(5);

/// The addresses of each host, shared by all clients of one factory. A run has few hosts.
#[derive(Clone, Debug, Default)]
pub(super) struct LookedUp(Arc<Mutex<Vec<(Host, Instant, ResolvedSocketAddrs)>>>);

/// The scheme, which implies a port, and the authority.
type Host = (Option<Scheme>, Option<Authority>);

impl LookedUp {
    fn hosts(&self) -> MutexGuard<'_, Vec<(Host, Instant, ResolvedSocketAddrs)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resolver for LookedUp {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = (uri.scheme().cloned(), uri.authority().cloned());
        if let Some((_, _, addresses)) =
            self.hosts().iter().find(|(of, at, _)| *of == host && at.elapsed() < LOOKUP_AGE)
        {
            return Ok(addresses.clone());
        }
        // Without the lock: several threads may look up, but none waits for another's lookup, which may fail.
        let addresses = DefaultResolver::default().resolve(uri, config, timeout)?;
        let mut hosts = self.hosts();
        hosts.retain(|(of, _, _)| *of != host);
        hosts.push((host, Instant::now(), addresses.clone()));
        Ok(addresses)
    }
}
