//! A small HTTP server whose answers are a function of the request: a test's own Prometheus or target.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of this module")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    /// The body.
    pub(crate) body: String,
    /// The form in the body.
    pub(crate) form: BTreeMap<String, String>,
}

impl Request {
    pub(crate) fn value(&self, key: &str) -> &str {
        self.form.get(key).map_or("", String::as_str)
    }

    /// Returns a time or a step of the form, in milliseconds.
    pub(crate) fn ms(&self, key: &str) -> i64 {
        let seconds: f64 = self.value(key).parse().unwrap();
        format!("{:.0}", seconds * 1e3).parse().unwrap()
    }
}

/// A reply.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// A status, further headers, and a body.
    Whole(u16, Vec<(&'static str, String)>, String),
    /// A whole answer with its head, byte for byte.
    Bytes(Vec<u8>),
    /// The beginning of an answer, byte for byte, and the end of the connection.
    Begun(Vec<u8>),
    /// A 200 whose body ends before the length that was announced.
    Cut(String),
    /// The beginning of a 200, then silence until the client gives up.
    Stall(String),
    /// The end of the connection.
    Close,
    /// Silence until the client gives up.
    Hang,
}

impl Reply {
    pub(crate) fn json(body: impl Into<String>) -> Self {
        Self::new(200, body)
    }

    pub(crate) fn new(status: u16, body: impl Into<String>) -> Self {
        Self::Whole(status, vec![("Content-Type", "application/json".to_owned())], body.into())
    }
}

type Handler = dyn Fn(&Request) -> Reply + Send + Sync;

/// The server, which runs until it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn new(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, handler) = (listener.local_addr().unwrap(), Arc::new(handler));
        let (requests, ended) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (requests_there, ended_there) = (requests.clone(), ended.clone());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if ended_there.load(Ordering::SeqCst) {
                    return;
                }
                let (handler, requests): (Arc<Handler>, _) = (handler.clone(), requests_there.clone());
                std::thread::spawn(move || serve(stream, &*handler, &requests));
            }
        });
        Self { address, requests, ended, thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // The connection wakes the thread. If it fails, the thread has ended already.
        if TcpStream::connect(self.address).is_ok()
            && let Some(thread) = self.thread.take()
        {
            thread.join().unwrap();
        }
    }
}

/// Serves a connection. The client may close it at any moment, which is no error of the server.
fn serve(stream: TcpStream, handler: &Handler, requests: &Mutex<Vec<Request>>) {
    let Ok(writer) = stream.try_clone() else { return };
    let (mut reader, mut writer) = (BufReader::new(stream), writer);
    while let Some(request) = read(&mut reader) {
        requests.lock().unwrap().push(request.clone());
        let sent = match handler(&request) {
            hung @ (Reply::Hang | Reply::Stall(_)) => {
                if let Reply::Stall(body) = hung {
                    let _ =
                        writer.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n{body}").as_bytes());
                }
                // Blocks until the client closes its side.
                let _ = reader.read_to_end(&mut Vec::new());
                return;
            }
            Reply::Close => return,
            Reply::Bytes(bytes) => writer.write_all(&bytes),
            Reply::Begun(bytes) => {
                let _ = writer.write_all(&bytes);
                return;
            }
            Reply::Cut(body) => {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len() + 1000);
                let _ = writer.write_all(head.as_bytes());
                return;
            }
            Reply::Whole(status, headers, body) => {
                let mut head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n", body.len());
                for (name, value) in headers {
                    head += &format!("{name}: {value}\r\n");
                }
                writer.write_all(format!("{head}\r\n{body}").as_bytes())
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = Vec::new();
        reader.read_until(b'\n', &mut line).ok()?;
        let line = text_of(line);
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim_matches([' ', '\t', '\r', '\n']).to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8(body).unwrap();
    let is_form = headers.get("content-type").is_some_and(|kind| kind.contains("x-www-form-urlencoded"));
    let pairs = body.split('&').filter(|_| is_form).filter_map(|pair| pair.split_once('='));
    let form = pairs.map(|(key, value)| (decode_form(key), decode_form(value))).collect();
    Some(Request { method, path, headers, body, form })
}

/// Returns the text of `bytes`, in which each byte is a character if they are not UTF-8.
pub(crate) fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| error.as_bytes().iter().map(|byte| char::from(*byte)).collect())
}

fn decode_form(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = String::from_utf8(vec![rest.next().unwrap(), rest.next().unwrap()]).unwrap();
                u8::from_str_radix(&digits, 16).unwrap()
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).unwrap()
}
