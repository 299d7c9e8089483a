//! Name resolution that looks a name up once for many requests, and remembers which address of a host worked: the first one may
//! swallow packets, and then every new connection would wait for it.

use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::http::uri::{Authority, Scheme};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// The head start of each address over the next one (RFC 8305, section 5).
const HEAD_START: Duration = Duration::from_millis(250);
/// The time after which a name is looked up again. ureq asks before every request, even if it has a connection, and each lookup
/// reads files or asks a server.
const LOOKUP_AGE: Duration = Duration::from_secs(5);
/// The time after which the addresses of a host are tried again.
const RACE_AGE: Duration = Duration::from_secs(60);
/// The longest time to wait for the first connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// The addresses of each host, that which worked first, shared by all clients of one factory.
#[derive(Clone, Debug, Default)]
pub(super) struct WorkingAddresses {
    looked_up: Arc<Mutex<Known<ResolvedSocketAddrs>>>,
    /// The address that won the last race.
    raced: Arc<Mutex<Known<Option<SocketAddr>>>>,
}

/// The scheme, which implies a port, and the authority.
type Host = (Option<Scheme>, Option<Authority>);

/// Facts about hosts, and since when they are known. A run has few hosts.
#[derive(Debug)]
struct Known<T>(Vec<(Host, Instant, T)>);

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Known<T> {
    /// The fact about `host`, unless it is older than `age`.
    fn get(&self, host: &Host, age: Duration) -> Option<&T> {
        self.0.iter().find(|(of, at, _)| of == host && at.elapsed() < age).map(|(_, _, fact)| fact)
    }

    fn put(&mut self, host: Host, fact: T) {
        self.0.retain(|(of, _, _)| *of != host);
        self.0.push((host, Instant::now(), fact));
    }
}

impl Resolver for WorkingAddresses {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = (uri.scheme().cloned(), uri.authority().cloned());
        if let Some(addresses) = lock(&self.looked_up).get(&host, LOOKUP_AGE) {
            return Ok(addresses.clone());
        }
        // Without the lock: several threads may look up, but none waits for another's lookup, which may fail.
        let mut addresses = DefaultResolver::default().resolve(uri, config, timeout)?;
        if addresses.len() > 1 {
            let winner = self.winner(&host, &addresses);
            if let Some(place) = addresses.iter().position(|address| Some(*address) == winner) {
                addresses[..=place].rotate_right(1);
            }
        }
        lock(&self.looked_up).put(host, addresses.clone());
        Ok(addresses)
    }
}

impl WorkingAddresses {
    /// The one of the addresses of `host` that won the last race.
    fn winner(&self, host: &Host, addresses: &[SocketAddr]) -> Option<SocketAddr> {
        // The lock is held during the race, so that only one thread runs it.
        let mut raced = lock(&self.raced);
        if let Some(winner) = raced.get(host, RACE_AGE) {
            return *winner;
        }
        let winner = race(addresses);
        raced.put(host.clone(), winner);
        winner
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Connects to all `addresses` and returns the first that answers; none if none does.
fn race(addresses: &[SocketAddr]) -> Option<SocketAddr> {
    let (results, finished) = channel();
    let began = Instant::now();
    let mut failed = 0;
    for (started, address) in addresses.iter().copied().enumerate() {
        let results = results.clone();
        // Without a thread this address takes no part, and ureq tries it in its turn.
        let spawned = std::thread::Builder::new().name("connect".to_owned()).spawn(move || {
            let connected = TcpStream::connect_timeout(&address, PATIENCE).is_ok();
            // Nobody waits any more once another address has won.
            let _ = results.send((address, connected));
        });
        failed += usize::from(spawned.is_err());
        let head_start = if failed > started { Duration::ZERO } else { HEAD_START };
        if let Some(winner) = winner(&finished, &mut failed, started + 1, head_start) {
            return Some(winner);
        }
    }
    winner(&finished, &mut failed, addresses.len(), PATIENCE.saturating_sub(began.elapsed()))
}

/// Waits for the first success among `started` attempts, until all of them have failed or `limit` is over.
fn winner(
    finished: &Receiver<(SocketAddr, bool)>,
    failed: &mut usize,
    started: usize,
    limit: Duration,
) -> Option<SocketAddr> {
    let began = Instant::now();
    while *failed < started {
        match finished.recv_timeout(limit.saturating_sub(began.elapsed())).ok()? {
            (address, true) => return Some(address),
            (_, false) => *failed += 1,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn the_address_that_answers_wins_wherever_it_stands() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let live = listener.local_addr().unwrap();
        let refusing = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        // 192.0.2.0/24 is for documentation (RFC 5737): packets to it vanish, or the network is unreachable.
        let silent: SocketAddr = "192.0.2.1:9".parse().unwrap();
        let began = Instant::now();
        assert_eq!(race(&[silent, refusing, live]), Some(live));
        assert_eq!(race(&[live, silent]), Some(live));
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        assert_eq!(race(&[refusing, refusing]), None);
    }
}
