//! Connections to hosts with several addresses: any of them may swallow packets, from the start or from some moment on.

use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ureq::Error;
use ureq::unversioned::transport::{ConnectionDetails, Connector, NextTimeout, TcpConnector, time};

use super::patient::Exchange;

/// The head start of each address over the next one (RFC 8305, section 5).
const HEAD_START: Duration = Duration::from_millis(250);
/// The time that an address which worked before has alone.
const ALONE: Duration = Duration::from_millis(500);
/// An error that comes within this time needed no packet's round trip to time out.
const AT_ONCE: Duration = Duration::from_millis(500);
/// The time for a connection of a client without a timeout.
const PATIENCE: Duration = Duration::from_secs(30);

/// Connects to the address of a host that worked last and, if it does not answer, to whichever answers first.
#[derive(Debug, Default)]
pub(super) struct RacingConnector {
    tcp: TcpConnector,
    working: WorkingAddresses,
    exchange: Exchange,
}

impl RacingConnector {
    /// One that knows, and adds to, what the other clients of its factory know. It notes in `exchange` that it did not connect.
    pub(super) fn new(working: &WorkingAddresses, exchange: &Exchange) -> Self {
        Self { tcp: TcpConnector::default(), working: working.clone(), exchange: exchange.clone() }
    }
}

impl Connector<()> for RacingConnector {
    type Out = <TcpConnector as Connector<()>>::Out;

    fn connect(&self, details: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<Self::Out>, Error> {
        let limit = details.timeout.not_zero().map_or(PATIENCE, |limit| *limit);
        let connected = self.working.reach(&details.addrs, limit, real, |addresses, within| {
            let mut addrs = details.resolver.empty();
            for address in addresses {
                addrs.push(*address);
            }
            let details = ConnectionDetails {
                uri: details.uri,
                addrs,
                config: details.config,
                request_level: details.request_level,
                resolver: details.resolver,
                now: (details.current_time)(),
                timeout: NextTimeout { after: time::Duration::Exact(within), ..details.timeout },
                current_time: details.current_time.clone(),
                run_connector: details.run_connector.clone(),
                register_shutdown: details.register_shutdown.clone(),
            };
            let began = Instant::now();
            self.tcp.connect(&details, None).map_err(|error| match error {
                // ureq takes EAGAIN, by which this host says at once that it has no room for a connection, for a timeout. The kernel's
                // own timeout (ETIMEDOUT) comes after a second or more.
                Error::Timeout(_) if began.elapsed() < AT_ONCE.min(within / 2) => {
                    std::io::Error::from(std::io::ErrorKind::WouldBlock).into()
                }
                error => error,
            })
        });
        connected.inspect_err(|_| self.exchange.note_unconnected())
    }
}

/// Returns true if `address` takes a connection.
fn real(address: SocketAddr, limit: Duration) -> bool {
    TcpStream::connect_timeout(&address, limit).is_ok()
}

/// The addresses that worked last, one for each host, shared by all clients of one factory.
#[derive(Clone, Debug, Default)]
pub(super) struct WorkingAddresses {
    all: Arc<Mutex<Vec<SocketAddr>>>,
    /// The end of the last race, held during a race: one thread runs it, and the others wait for its winner.
    raced: Arc<Mutex<Option<Instant>>>,
}

impl WorkingAddresses {
    /// Connects to one of `addresses` by `connect`, which tries those that it is given within a time; `probe` returns true if an
    /// address takes a connection.
    fn reach<T>(
        &self,
        addresses: &[SocketAddr],
        limit: Duration,
        probe: impl Fn(SocketAddr, Duration) -> bool + Copy + Send + 'static,
        connect: impl Fn(&[SocketAddr], Duration) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if addresses.len() < 2 {
            return connect(addresses, limit);
        }
        let known = self.of(addresses);
        if let Some(working) = known {
            let alone = connect(&[working], limit.min(ALONE));
            if !alone.as_ref().is_err_and(is_of_address) {
                return alone;
            }
        }
        let waiting_since = Instant::now();
        let mut raced = lock(&self.raced);
        if raced.is_none_or(|ended| ended < waiting_since) {
            // The one that has just failed comes last.
            let mut order = addresses.to_vec();
            order.sort_by_key(|address| Some(*address) == known);
            let winner = race(&order, limit, probe);
            let mut all = lock(&self.all);
            all.retain(|address| !addresses.contains(address));
            all.extend(winner);
            *raced = Some(Instant::now());
        }
        drop(raced);
        match self.of(addresses) {
            Some(winner) => connect(&[winner], limit),
            // For the error.
            None => connect(addresses, limit.min(ALONE)),
        }
    }

    /// The one of `addresses` that worked last.
    fn of(&self, addresses: &[SocketAddr]) -> Option<SocketAddr> {
        lock(&self.all).iter().find(|address| addresses.contains(address)).copied()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns true for an error of one address, where another one may work.
fn is_of_address(error: &Error) -> bool {
    match error {
        Error::Timeout(_) => true,
        Error::Io(cause) => !crate::own_limits::is_exhausted(cause) && cause.kind() != std::io::ErrorKind::WouldBlock,
        _ => false,
    }
}

/// Connects to all `addresses` by `probe` and returns the first that answers; none if none does within `limit`.
fn race(
    addresses: &[SocketAddr],
    limit: Duration,
    probe: impl Fn(SocketAddr, Duration) -> bool + Copy + Send + 'static,
) -> Option<SocketAddr> {
    let (results, finished) = channel();
    let began = Instant::now();
    let mut failed = 0;
    for (started, address) in addresses.iter().copied().enumerate() {
        let results = results.clone();
        // Without a thread this address takes no part.
        let spawned = std::thread::Builder::new().name("connect".to_owned()).spawn(move || {
            // Nobody waits any more once another address has won.
            let _ = results.send((address, probe(address, limit)));
        });
        failed += usize::from(spawned.is_err());
        let head_start = if failed > started { Duration::ZERO } else { HEAD_START };
        if let Some(winner) = winner(&finished, &mut failed, started + 1, head_start) {
            return Some(winner);
        }
    }
    winner(&finished, &mut failed, addresses.len(), limit.saturating_sub(began.elapsed()))
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
    use std::net::TcpListener;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    /// An address whose packets vanish, as far as [`probe`] and [`connect`] go.
    const SILENT: u16 = 1;

    fn silent(host: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, host], SILENT))
    }

    fn probe(address: SocketAddr, limit: Duration) -> bool {
        if address.port() == SILENT {
            std::thread::sleep(limit);
        }
        address.port() != SILENT && real(address, limit)
    }

    fn connect(addresses: &[SocketAddr], limit: Duration) -> Result<SocketAddr, Error> {
        addresses.iter().copied().find(|address| probe(*address, limit)).ok_or(Error::Timeout(ureq::Timeout::Connect))
    }

    #[test]
    fn the_address_that_answers_wins_wherever_it_stands() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let live = listener.local_addr().unwrap();
        let refusing = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let began = Instant::now();
        assert_eq!(race(&[silent(1), refusing, live], LIMIT, probe), Some(live));
        assert_eq!(race(&[live, silent(1)], LIMIT, probe), Some(live));
        assert!(began.elapsed() < LIMIT, "{:?}", began.elapsed());
        assert_eq!(race(&[refusing, refusing], LIMIT, probe), None);
    }

    #[test]
    fn an_address_that_falls_silent_costs_a_moment_once() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let live = listener.local_addr().unwrap();
        let (working, addresses) = (WorkingAddresses::default(), [silent(1), live]);
        // It worked until now.
        lock(&working.all).push(silent(1));
        let took = std::thread::scope(|scope| {
            let reach = || {
                let began = Instant::now();
                assert_eq!(working.reach(&addresses, LIMIT, probe, connect).unwrap(), live);
                began.elapsed()
            };
            let all: Vec<_> = (0..8).map(|_| scope.spawn(reach)).collect();
            all.into_iter().map(|thread| thread.join().unwrap()).max().unwrap()
        });
        assert!(took < 4 * ALONE, "{took:?}");
        let began = Instant::now();
        assert_eq!(working.reach(&addresses, LIMIT, probe, connect).unwrap(), live);
        assert!(began.elapsed() < ALONE, "{:?}", began.elapsed());
    }

    #[test]
    fn where_no_address_answers_all_threads_wait_for_one_race() {
        let working = WorkingAddresses::default();
        let (limit, began) = (Duration::from_secs(1), Instant::now());
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| working.reach(&[silent(1), silent(2)], limit, probe, connect).unwrap_err());
            }
        });
        assert!(began.elapsed() < 4 * limit, "{:?}", began.elapsed());
    }

    #[test]
    fn a_limit_of_this_host_is_no_fault_of_an_address() {
        let working = WorkingAddresses::default();
        lock(&working.all).push(silent(1));
        for code in [11, 24, 99, 105] {
            let own = || Error::from(std::io::Error::from_raw_os_error(code));
            let reached: Result<(), _> = working.reach(&[silent(1), silent(2)], LIMIT, |_, _| false, |_, _| Err(own()));
            assert!(matches!(reached, Err(Error::Io(_))), "{code}");
            assert_eq!(working.of(&[silent(1)]), Some(silent(1)), "{code}");
        }
    }
}
