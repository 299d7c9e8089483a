//! Connections to hosts with several addresses: any of them may swallow packets, from the start or from some moment on.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ureq::unversioned::transport::{ConnectionDetails, Connector, LazyBuffers, TcpTransport};

use crate::own_limits;

/// The head start of each address over the next one (RFC 8305, section 5).
const HEAD_START: Duration = Duration::from_millis(250);
/// The time that an address which worked before has alone.
const ALONE: Duration = Duration::from_millis(500);
/// The time for a connection of a client without a timeout.
const PATIENCE: Duration = Duration::from_secs(30);

/// Connects to the address of a host that worked last and, if it does not answer, to whichever answers first. Shared by all clients
/// of one factory.
#[derive(Clone, Debug, Default)]
pub(super) struct RacingConnector {
    /// The addresses that worked last, one for each host.
    working: Arc<Mutex<Vec<SocketAddr>>>,
    /// The end of the last race, and the error of one without a winner. Held during a race, so that one thread runs it for all.
    last_race: Arc<Mutex<Option<(Instant, Option<io::Error>)>>>,
}

impl Connector<()> for RacingConnector {
    type Out = TcpTransport;

    fn connect(&self, details: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<TcpTransport>, ureq::Error> {
        let limit = details.timeout.not_zero().map_or(PATIENCE, |limit| *limit);
        let stream = self.reach(&details.addrs, limit).map_err(|error| match error.kind() {
            ErrorKind::TimedOut => ureq::Error::Timeout(ureq::Timeout::Connect),
            _ => error.into(),
        })?;
        let config = details.config;
        if config.no_delay() {
            stream.set_nodelay(true)?;
        }
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(Some(TcpTransport::new(stream, buffers)))
    }
}

impl RacingConnector {
    /// A connection to one of `addresses`.
    fn reach(&self, addresses: &[SocketAddr], limit: Duration) -> io::Result<TcpStream> {
        if let [only] = addresses {
            return TcpStream::connect_timeout(only, limit);
        }
        let known = self.working(addresses);
        if let Some(working) = known {
            let alone = TcpStream::connect_timeout(&working, limit.min(ALONE));
            if !alone.as_ref().is_err_and(is_of_address) {
                return alone;
            }
        }
        let began = Instant::now();
        let mut last_race = lock(&self.last_race);
        if let Some((ended, error)) = last_race.as_ref().filter(|(ended, _)| *ended >= began) {
            debug_assert!(*ended >= began);
            return match (error, self.working(addresses)) {
                (None, Some(working)) => TcpStream::connect_timeout(&working, limit),
                (Some(error), _) => Err(copy(error)),
                (None, None) => Err(ErrorKind::TimedOut.into()),
            };
        }
        // The one that has just failed comes last.
        let mut order = addresses.to_vec();
        order.sort_by_key(|address| Some(*address) == known);
        let raced = race(&order, limit);
        let mut working = lock(&self.working);
        working.retain(|address| !addresses.contains(address));
        working.extend(raced.as_ref().ok().and_then(|stream| stream.peer_addr().ok()));
        *last_race = Some((Instant::now(), raced.as_ref().err().map(copy)));
        raced
    }

    /// The one of `addresses` that worked last.
    fn working(&self, addresses: &[SocketAddr]) -> Option<SocketAddr> {
        lock(&self.working).iter().find(|address| addresses.contains(address)).copied()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn copy(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

/// Returns true for an error of one address; another one may work.
fn is_of_address(error: &io::Error) -> bool {
    !own_limits::is_exhausted(error)
}

/// The connection to the first of `addresses` that answers. The error is that of an address that answered no, if there is one.
fn race(addresses: &[SocketAddr], limit: Duration) -> io::Result<TcpStream> {
    let (results, finished) = channel();
    let began = Instant::now();
    let mut lost = Lost { count: 0, error: ErrorKind::TimedOut.into() };
    for (started, address) in addresses.iter().copied().enumerate() {
        let results = results.clone();
        let connect = move || {
            // Nobody waits any more once another address has won.
            let _ = results.send(TcpStream::connect_timeout(&address, limit));
        };
        if std::thread::Builder::new().name("connect".to_owned()).spawn(connect).is_err() {
            // Without a thread it has this one for as long as its head start.
            match TcpStream::connect_timeout(&address, HEAD_START) {
                Ok(stream) => return Ok(stream),
                Err(error) => lost.add(error),
            }
        }
        let head_start = if lost.count > started { Duration::ZERO } else { HEAD_START };
        if let Some(winner) = winner(&finished, &mut lost, started + 1, head_start) {
            return Ok(winner);
        }
    }
    winner(&finished, &mut lost, addresses.len(), limit.saturating_sub(began.elapsed())).ok_or(lost.error)
}

/// The attempts that failed.
struct Lost {
    count: usize,
    error: io::Error,
}

impl Lost {
    fn add(&mut self, error: io::Error) {
        self.count += 1;
        // An address of a kind that this host does not have, such as IPv6, tells the least.
        let is_first = self.count == 1;
        if is_first || !matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::AddrNotAvailable) {
            self.error = error;
        }
    }
}

/// Waits for the first success among `started` attempts, until all of them have failed or `limit` is over.
fn winner(
    finished: &Receiver<io::Result<TcpStream>>,
    lost: &mut Lost,
    started: usize,
    limit: Duration,
) -> Option<TcpStream> {
    let began = Instant::now();
    while lost.count < started {
        match finished.recv_timeout(limit.saturating_sub(began.elapsed())).ok()? {
            Ok(stream) => return Some(stream),
            Err(error) => lost.add(error),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn listening() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    /// An address that swallows packets: its queue is full for as long as what is returned lives.
    fn silent() -> (impl Sized, SocketAddr) {
        use rustix::net::{AddressFamily, SocketType, bind, connect, listen, socket};
        let listener = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&listener, &"127.0.0.1:0".parse::<SocketAddr>().unwrap()).unwrap();
        listen(&listener, 0).unwrap();
        let address: SocketAddr = rustix::net::getsockname(&listener).unwrap().try_into().unwrap();
        let fill = || {
            let stream = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
            rustix::io::ioctl_fionbio(&stream, true).unwrap();
            let _in_progress = connect(&stream, &address);
            stream
        };
        let filling: Vec<_> = (0..4).map(|_| fill()).collect();
        ((listener, filling), address)
    }

    #[test]
    fn the_address_that_answers_wins_wherever_it_stands() {
        let ((_open, live), (_full, silent)) = (listening(), silent());
        let refusing = listening().1;
        let began = Instant::now();
        for addresses in [vec![silent, refusing, live], vec![live, silent]] {
            assert_eq!(race(&addresses, LIMIT).unwrap().peer_addr().unwrap(), live);
        }
        assert!(began.elapsed() < LIMIT / 2, "{:?}", began.elapsed());
        assert_eq!(race(&[refusing, refusing], LIMIT).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    }

    #[test]
    fn an_address_that_falls_silent_costs_a_moment_once() {
        let ((_open, live), (_full, silent)) = (listening(), silent());
        let connector = RacingConnector::default();
        // It worked until now.
        lock(&connector.working).push(silent);
        let addresses = [silent, live];
        std::thread::scope(|scope| {
            let reach = || {
                let began = Instant::now();
                (connector.reach(&addresses, LIMIT).unwrap().peer_addr().unwrap(), began.elapsed())
            };
            let all: Vec<_> = (0..8).map(|_| scope.spawn(reach)).collect();
            for thread in all {
                let (reached, took) = thread.join().unwrap();
                assert!(reached == live && took < Duration::from_secs(2), "{reached} after {took:?}");
            }
        });
        let began = Instant::now();
        connector.reach(&addresses, LIMIT).unwrap();
        assert!(began.elapsed() < ALONE, "{:?}", began.elapsed());
        assert_eq!(connector.working(&addresses), Some(live));
    }

    #[test]
    fn where_no_address_answers_all_threads_wait_for_one_race() {
        let ((_full, first), (_too, second)) = (silent(), silent());
        let connector = RacingConnector::default();
        let (limit, began) = (Duration::from_secs(1), Instant::now());
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let error = connector.reach(&[first, second], limit).unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::TimedOut);
                });
            }
        });
        assert!(began.elapsed() < limit * 4, "{:?}", began.elapsed());
    }
}
