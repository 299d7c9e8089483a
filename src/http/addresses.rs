//! Name resolution that remembers which address of a host worked: the first one may swallow packets, and then every new
//! connection would wait for it.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// The head start of each address over the next one (RFC 8305, section 5).
const HEAD_START: Duration = Duration::from_millis(250);
/// The time after which the addresses of a host are tried again.
const MAX_AGE: Duration = Duration::from_secs(60);
/// The longest time to wait for the first connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// The address that worked for each host, shared by all clients of one factory.
#[derive(Clone, Debug, Default)]
pub(super) struct WorkingAddresses(Arc<Mutex<HashMap<String, Raced>>>);

/// The end of a race, and the address that won it.
type Raced = (Instant, Option<SocketAddr>);

impl Resolver for WorkingAddresses {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut found = DefaultResolver::default().resolve(uri, config, timeout)?;
        if found.len() > 1 {
            let host = uri.authority().map(ToString::to_string).unwrap_or_default();
            // The lock is held during the race, so that only one thread runs it.
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let fresh = known.get(&host).filter(|(raced_at, _)| raced_at.elapsed() < MAX_AGE);
            let working = if let Some((_, working)) = fresh {
                *working
            } else {
                let working = race(&found);
                known.insert(host, (Instant::now(), working));
                working
            };
            if let Some(place) = found.iter().position(|address| Some(*address) == working) {
                found[..=place].rotate_right(1);
            }
        }
        Ok(found)
    }
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
