//! One listener and its connections.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tower::ServiceExt;

/// What handlers may know and say about the connection that a request came by.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    /// Set when the answer being given is the last before the server dies.
    pub(crate) last_answer: AtomicBool,
}

/// Serves until a connection has given its last answer; then the listener and all other connections are dropped.
///
/// `opened` is called for each connection.
pub(crate) async fn serve(listener: TcpListener, router: Router, opened: impl Fn()) {
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

/// Binds before anything is served, so that the port is known and a failure names the address.
pub(crate) fn bind(address: std::net::SocketAddr) -> io::Result<std::net::TcpListener> {
    let bind = || {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    bind().map_err(|error: io::Error| io::Error::new(error.kind(), format!("listening on {address}: {error}")))
}
