//! One listener and its connections.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tower::ServiceExt;

/// Connections that may wait to be accepted: a burst of POSTs is not to be refused by accident.
const BACKLOG: u32 = 1024;

/// The state of a connection that its requests' handlers share.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    /// Set when the answer being given is the last before the server dies.
    pub(crate) last_answer: AtomicBool,
}

/// A bound address: with a listener behind it, or without one, so that connections are refused and the port is still ours.
#[derive(Debug)]
pub(crate) enum Endpoint {
    Open(TcpListener),
    Shut(TcpSocket),
}

impl Endpoint {
    /// Binds an address, or a free port of 127.0.0.1.
    pub(crate) fn bind(address: Option<SocketAddr>, open: bool) -> io::Result<Self> {
        let address = address.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
        let bound = || {
            let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            // An open port can be bound again as soon as it is released; a closed one is shared with no other process.
            socket.set_reuseaddr(open)?;
            socket.bind(address)?;
            if open { socket.listen(BACKLOG).map(Self::Open) } else { Ok(Self::Shut(socket)) }
        };
        bound().map_err(|error: io::Error| io::Error::new(error.kind(), format!("listening on {address}: {error}")))
    }

    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Open(listener) => listener.local_addr(),
            Self::Shut(socket) => socket.local_addr(),
        }
    }

    /// Serves until a connection has given its last answer; then the listener and all other connections are dropped.
    ///
    /// `opened` is called for each connection.
    pub(crate) async fn serve(self, router: Router, opened: impl Fn()) {
        match self {
            Self::Open(listener) => serve(listener, router, opened).await,
            Self::Shut(_held) => std::future::pending().await,
        }
    }
}

async fn serve(listener: TcpListener, router: Router, opened: impl Fn()) {
    let death = Arc::new(Notify::new());
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = death.notified() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _peer)) => {
                    opened();
                    connections.spawn(converse(stream, router.clone(), Arc::clone(&death)));
                }
                Err(error) => {
                    crate::complain(&format!("accepting a connection: {error}"));
                    // Out of file descriptors: the next one that closes makes room.
                    connections.join_next().await;
                }
            },
            Some(_ended) = connections.join_next() => {}
        }
    }
}

async fn converse(stream: TcpStream, router: Router, death: Arc<Notify>) {
    let connection = Arc::new(Connection::default());
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(Arc::clone(&connection));
        router.clone().oneshot(request.map(Body::new))
    });
    if let Err(error) = stream.set_nodelay(true) {
        crate::complain(&format!("setting TCP_NODELAY: {error}"));
    }
    // An error is a client that went away or a body that was cut on purpose: as good an end of a connection as any.
    let _ended = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    if connection.last_answer.load(Ordering::Relaxed) {
        death.notify_one();
    }
}
