//! A proxy before a server that works: after so many requests the server seems to die, to hang, or to talk nonsense.

use std::io::{Read, Write, copy};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The treatment of every request from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Connections break, and nobody listens any more.
    Die,
    /// Requests are taken and never answered.
    Hang,
    /// The answer is no JSON.
    Garbage,
    /// The answer is a page for people, with an error's status.
    Page,
    /// The answer ends in its middle.
    Torn,
}

pub(crate) const FAULTS: [Fault; 5] = [Fault::Die, Fault::Hang, Fault::Garbage, Fault::Page, Fault::Torn];

struct State {
    upstream: SocketAddr,
    own: SocketAddr,
    /// Prefix of the counted requests.
    counted: &'static str,
    after: usize,
    fault: Fault,
    seen: AtomicUsize,
    broken: AtomicBool,
    closing: AtomicBool,
}

/// The proxy. It serves until it is dropped.
pub(crate) struct Proxy(Arc<State>);

impl Proxy {
    /// Stands before the server at `url`; `fault` begins after `after` requests that begin with `counted`.
    pub(crate) fn start(url: &str, counted: &'static str, after: usize, fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let state = Arc::new(State {
            upstream: url.strip_prefix("http://").unwrap().parse().unwrap(),
            own: listener.local_addr().unwrap(),
            counted,
            after,
            fault,
            seen: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
            closing: AtomicBool::new(false),
        });
        let of_thread = state.clone();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let state = of_thread.clone();
                if state.closing.load(Ordering::SeqCst) {
                    return;
                }
                std::thread::spawn(move || state.serve(client.unwrap()));
            }
        });
        Self(state)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.0.own)
    }

    /// Begins the fault now.
    pub(crate) fn go_wrong(&self) {
        self.0.broken.store(true, Ordering::SeqCst);
    }

    /// Returns true if the fault has begun.
    pub(crate) fn broke(&self) -> bool {
        self.0.broken.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl State {
    /// Stops listening.
    fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts; where that has gone already there is nobody to wake.
        drop(TcpStream::connect(self.own));
    }

    fn serve(&self, mut client: TcpStream) {
        let mut server = TcpStream::connect(self.upstream).unwrap();
        let (mut answers, mut back) = (server.try_clone().unwrap(), client.try_clone().unwrap());
        std::thread::spawn(move || {
            // Either side may close at any time; then that is all.
            let _ = copy(&mut answers, &mut back);
        });
        let mut bytes = [0; 8 * 1024];
        while let Ok(count @ 1..) = client.read(&mut bytes) {
            if bytes[..count].starts_with(self.counted.as_bytes()) {
                let seen = self.seen.fetch_add(1, Ordering::SeqCst);
                if seen >= self.after {
                    self.broken.store(true, Ordering::SeqCst);
                }
            }
            if self.broken.load(Ordering::SeqCst) {
                return self.misbehave(&mut client, &server);
            }
            if server.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        let _ = server.shutdown(Shutdown::Both);
    }

    fn misbehave(&self, client: &mut TcpStream, server: &TcpStream) {
        let head = |status: &str, length: usize| {
            format!(
                "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: text/html\r\ncontent-length: {length}\r\n\r\n"
            )
        };
        let answer = match self.fault {
            Fault::Die => {
                let _ = server.shutdown(Shutdown::Both);
                let _ = client.shutdown(Shutdown::Both);
                return self.close();
            }
            Fault::Hang => String::new(),
            Fault::Garbage => head("200 OK", 12) + "{\"status\":]]",
            Fault::Page => head("502 Bad Gateway", 24) + "<html>Bad Gateway</html>",
            Fault::Torn => head("200 OK", 1000) + "{\"status\":",
        };
        let _ = client.write_all(answer.as_bytes());
        if self.fault != Fault::Hang {
            let _ = client.shutdown(Shutdown::Write);
        }
        // What the client still sends is read, so that its answer is not lost to a reset; it ends by closing.
        let _ = copy(client, &mut std::io::sink());
        let _ = server.shutdown(Shutdown::Both);
    }
}
