//! One way to make an HTTP agent, to exchange a request for an answer, and to tell errors apart.
//!
//! ureq is used with what was measured of it in mind: a timeout for each phase and never one for the whole call (that
//! costs a thread a request), an agent for each thread (the pool of a shared one is a lock), small buffers, no proxy
//! (a load test measures the target, not a proxy that the environment happens to name).

mod stream;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::Agent;
use ureq::config::Config;
use ureq::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use crate::cli::Failure;
use crate::clock::{self, Clock};
use crate::escape;
use crate::record::Timestamp;
use crate::units;

pub use stream::{FORM, Streamed, base64, form};

/// Bodies beyond this are an error, so that a target cannot fill the memory.
const BODY_LIMIT: u64 = 10 * 1024 * 1024;
/// ureq's own buffers are sixteen times this, for each connection.
const BUFFER: usize = 8 * 1024;
/// Headers whose values are secrets, which a process list would show.
const SECRET_HEADERS: [&str; 6] =
    ["authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "x-auth-token"];

/// How to reach an HTTP server.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "HTTP")]
pub struct HttpArgs {
    /// Give up a phase of a request (connecting, sending, waiting for the answer, reading it) after this long
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = units::positive_duration)]
    pub timeout: Duration,
    /// Send this header with every request; may be repeated. Not for secrets: they go into --header-file
    #[arg(long = "header", value_name = "NAME: VALUE")]
    pub headers: Vec<String>,
    /// Send the headers in this file, one `Name: value` a line; the place for secrets
    #[arg(long, value_name = "FILE")]
    pub header_file: Option<PathBuf>,
    /// Send `Authorization: Bearer` with the token in the environment variable of this name
    #[arg(long, value_name = "VARIABLE")]
    pub token_env: Option<String>,
    /// Trust the certificate authorities in this PEM file instead of the system's
    #[arg(long, value_name = "FILE")]
    pub cacert: Option<PathBuf>,
    /// Do not check the server's certificate
    #[arg(long)]
    pub insecure: bool,
}

/// Whether an agent keeps its connections for the next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connections {
    /// Kept: for polls, which may be sent again.
    Kept,
    /// A fresh one for each request. A kept connection may die in the moment in which a request is sent on it, and then
    /// nobody knows whether the request arrived; a submission must not be put into that doubt.
    Fresh,
}

/// Makes agents that all behave alike.
#[derive(Clone, Debug)]
pub struct Client {
    config: Config,
    headers: HeaderMap,
    timeout: Duration,
}

impl HttpArgs {
    /// A maker of agents. Reads the files and the environment variable that the arguments name.
    pub fn client(&self, connections: Connections) -> Result<Client, Failure> {
        let (timeout, idle) = (Some(self.timeout), usize::from(connections == Connections::Kept));
        let config = Agent::config_builder()
            .timeout_connect(timeout)
            .timeout_send_request(timeout)
            .timeout_send_body(timeout)
            .timeout_recv_response(timeout)
            .timeout_recv_body(timeout)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .no_delay(true)
            .input_buffer_size(BUFFER)
            .output_buffer_size(BUFFER)
            .max_idle_connections(idle)
            .max_idle_connections_per_host(idle)
            .user_agent(concat!("stress-suite/", env!("CARGO_PKG_VERSION")))
            .tls_config(self.tls()?)
            .build();
        Ok(Client { config, headers: self.header_map()?, timeout: self.timeout })
    }

    fn tls(&self) -> Result<TlsConfig, Failure> {
        let roots = match &self.cacert {
            None => RootCerts::PlatformVerifier,
            Some(file) => RootCerts::new_with_certs(&certificates(file)?),
        };
        Ok(TlsConfig::builder().root_certs(roots).disable_verification(self.insecure).build())
    }

    fn header_map(&self) -> Result<HeaderMap, Failure> {
        let mut map = HeaderMap::new();
        for line in &self.headers {
            let (name, value) = header(line).map_err(|error| Failure::usage(format!("--header: {error}")))?;
            if SECRET_HEADERS.contains(&name.as_str()) {
                return Err(Failure::usage(format!(
                    "--header: the process list would show the value of {name}: put the line into a file and name it with --header-file"
                )));
            }
            map.append(name, value);
        }
        if let Some(file) = &self.header_file {
            let named = |number: usize, error: &dyn std::fmt::Display| {
                Failure::usage(format!("--header-file {} line {number}: {error}", file.display()))
            };
            let text = std::fs::read_to_string(file).map_err(|error| named(0, &error))?;
            for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
                let (name, value) = header(line).map_err(|error| named(index + 1, &error))?;
                map.append(name, value);
            }
        }
        if let Some(variable) = &self.token_env {
            let refused =
                |what: &str| Failure::usage(format!("--token-env: the environment variable {variable} {what}"));
            let token = std::env::var(variable).map_err(|_| refused("is not set"))?;
            let value = HeaderValue::from_str(&format!("Bearer {}", token.trim()));
            let mut value = value.map_err(|_| refused("holds characters that a header cannot carry"))?;
            value.set_sensitive(true);
            map.insert(ureq::http::header::AUTHORIZATION, value);
        }
        Ok(map)
    }

    /// These headers as arguments of curl, without showing a secret.
    pub fn curl_arguments(&self) -> Vec<String> {
        let mut arguments: Vec<String> = self.headers.iter().map(|line| format!("-H {}", shell_quoted(line))).collect();
        arguments.extend(
            self.header_file.iter().map(|file| format!("-H {}", shell_quoted(&format!("@{}", file.display())))),
        );
        arguments.extend(self.token_env.iter().map(|variable| format!("-H \"Authorization: Bearer ${{{variable}}}\"")));
        arguments
            .extend(self.cacert.iter().map(|file| format!("--cacert {}", shell_quoted(&file.display().to_string()))));
        arguments.extend(self.insecure.then(|| "--insecure".to_owned()));
        arguments
    }
}

/// `text` as one word of a POSIX shell.
pub fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The value is never part of the error: it may be a secret.
fn header(line: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = line.split_once(':').ok_or("a header is written `Name: value`")?;
    let name =
        HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| "the name is not a header's name".to_owned())?;
    let value =
        HeaderValue::from_str(value.trim()).map_err(|_| format!("the value of {name} cannot be sent in a header"))?;
    Ok((name, value))
}

fn certificates(file: &Path) -> Result<Vec<ureq::tls::Certificate<'static>>, Failure> {
    let named = |error: &dyn std::fmt::Display| Failure::usage(format!("--cacert {}: {error}", file.display()));
    let pem = std::fs::read(file).map_err(|error| named(&error))?;
    let mut found = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| named(&error))? {
            found.push(certificate);
        }
    }
    if found.is_empty() { Err(named(&"no certificate in it")) } else { Ok(found) }
}

/// A base URL: `http://host:port` or `https://…`, with a path prefix where the server has one; no slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(String);

impl BaseUrl {
    /// Reads `text`, which the flag `flag` gave.
    pub fn parse(text: &str, flag: &str) -> Result<Self, Failure> {
        let refused = |what: &str| Failure::usage(format!("{flag}: {what}; write it as http://HOST:PORT"));
        if text.contains('@') {
            // The text is not repeated: it may hold a password.
            return Err(refused("a URL must not carry a user or a password (use --header-file)"));
        }
        let uri: Uri = text.trim().parse().map_err(|_| refused(&format!("`{text}` is not a URL")))?;
        let scheme = uri.scheme_str().unwrap_or_default();
        if !["http", "https"].contains(&scheme) || uri.host().is_none_or(str::is_empty) {
            return Err(refused(&format!("`{text}` is not an http or https URL")));
        }
        if uri.query().is_some() || text.contains('#') {
            return Err(refused(&format!("`{text}` has a query or a fragment")));
        }
        Ok(Self(text.trim().trim_end_matches('/').to_owned()))
    }

    /// This base and `path` below it.
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// The base as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An answer with a body that was read whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; bytes that are not UTF-8 are replaced, which `body_is_utf8` tells.
    pub body: String,
    /// Whether the body is what the server sent, to the byte.
    pub body_is_utf8: bool,
    /// The server's `Date`.
    pub date: Option<Timestamp>,
    /// How long `Retry-After` asks to wait.
    pub retry_after: Option<Duration>,
    /// Where a redirect points.
    pub location: Option<String>,
}

impl Answer {
    /// The status and the start of the body, for a message.
    pub fn summary(&self) -> String {
        let start = escape::start(self.body.trim(), 200);
        let redirect = self.location.as_ref().map(|to| format!(" to {to}")).unwrap_or_default();
        if start.is_empty() {
            format!("HTTP {}{redirect}", self.status)
        } else {
            format!("HTTP {}{redirect}: {start}", self.status)
        }
    }
}

/// Why an exchange brought no answer, told apart by what the server may have seen of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No connection was made: the server has seen nothing.
    NotConnected(String),
    /// The request may have arrived, and no answer came.
    NoAnswer(String),
    /// An answer with this status began and its body did not come whole.
    Cut(u16, String),
    /// The request cannot be sent: a header or the URL is not valid.
    Invalid(String),
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotConnected(what) | Self::NoAnswer(what) | Self::Invalid(what) => f.write_str(what),
            Self::Cut(status, what) => write!(f, "HTTP {status}, then the answer broke off: {what}"),
        }
    }
}

/// One agent, for one thread.
#[derive(Clone, Debug)]
pub struct Exchange {
    agent: Agent,
    headers: HeaderMap,
    timeout: Duration,
}

impl Client {
    /// Sends `name: value` with every request, in place of what was sent so far under that name.
    pub fn insert_header(&mut self, name: HeaderName, mut value: HeaderValue, secret: bool) {
        value.set_sensitive(secret);
        self.headers.insert(name, value);
    }

    /// An agent for one thread.
    pub fn exchange(&self) -> Exchange {
        Exchange { agent: self.config.new_agent(), headers: self.headers.clone(), timeout: self.timeout }
    }
}

impl Exchange {
    /// Sends a request and reads the whole answer. `extra` headers replace the client's of the same name.
    pub fn send(
        &self,
        method: &Method,
        url: &str,
        extra: &[(String, String)],
        body: Option<&str>,
        clock: &Clock,
    ) -> Result<Answer, Trouble> {
        let request = self.request(method, url, extra, body)?;
        let response = self.agent.run(request).map_err(|error| self.trouble(&error))?;
        let (parts, mut body) = response.into_parts();
        let status = parts.status.as_u16();
        let bytes = body.with_config().limit(BODY_LIMIT).read_to_vec();
        let bytes = bytes.map_err(|error| Trouble::Cut(status, self.describe(&error)))?;
        let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let date = text("date").and_then(clock::http_date);
        let (body, body_is_utf8) = match String::from_utf8(bytes) {
            Ok(body) => (body, true),
            Err(error) => (String::from_utf8_lossy(error.as_bytes()).into_owned(), false),
        };
        Ok(Answer {
            status,
            body,
            body_is_utf8,
            date,
            retry_after: text("retry-after").and_then(|value| clock::retry_after(value, date, clock.now())),
            location: text("location").map(str::to_owned),
        })
    }

    fn request(
        &self,
        method: &Method,
        url: &str,
        extra: &[(String, String)],
        body: Option<&str>,
    ) -> Result<Request<String>, Trouble> {
        let invalid = |error: &dyn std::fmt::Display| Trouble::Invalid(error.to_string());
        let mut request = Request::builder().method(method).uri(url).body(body.unwrap_or_default().to_owned());
        let headers = request.as_mut().map_err(|error| invalid(error))?.headers_mut();
        headers.extend(self.headers.clone());
        if body.is_some() && !headers.contains_key("content-type") {
            headers.insert("content-type", HeaderValue::from_static("application/json"));
        }
        for (name, value) in extra {
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| invalid(&format!("`{name}` is not a header's name")))?;
            let value = HeaderValue::from_str(value);
            headers.insert(
                name.clone(),
                value.map_err(|_| invalid(&format!("a header cannot carry the value of {name}")))?,
            );
        }
        request.map_err(|error| invalid(&error))
    }

    fn trouble(&self, error: &ureq::Error) -> Trouble {
        let what = self.describe(error);
        match error {
            ureq::Error::HostNotFound
            | ureq::Error::ConnectionFailed
            | ureq::Error::Timeout(ureq::Timeout::Resolve | ureq::Timeout::Connect)
            | ureq::Error::Tls(_)
            | ureq::Error::Rustls(_) => Trouble::NotConnected(what),
            ureq::Error::Io(cause) if never_connected(cause) => Trouble::NotConnected(what),
            ureq::Error::Http(_) | ureq::Error::BadUri(_) => Trouble::Invalid(what),
            _ => Trouble::NoAnswer(what),
        }
    }

    fn describe(&self, error: &ureq::Error) -> String {
        let waited = units::seconds(self.timeout.as_secs_f64());
        match error {
            ureq::Error::Io(cause) if cause.kind() == io::ErrorKind::ConnectionRefused => {
                "connection refused".to_owned()
            }
            ureq::Error::Io(cause) => cause.to_string(),
            ureq::Error::HostNotFound => "host not found".to_owned(),
            ureq::Error::Timeout(ureq::Timeout::Connect) => format!("no connection within {waited}"),
            ureq::Error::Timeout(ureq::Timeout::RecvResponse) => format!("no answer within {waited}"),
            ureq::Error::Timeout(ureq::Timeout::RecvBody) => format!("the answer did not end within {waited}"),
            ureq::Error::Timeout(phase) => format!("timeout after {waited} ({phase})"),
            ureq::Error::BodyExceedsLimit(_) => "the answer is larger than 10 MiB".to_owned(),
            other => other.to_string(),
        }
    }
}

/// Errors that can only come from making a connection. A reset or an early end may come from either, so they are not here.
fn never_connected(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionRefused
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
            | Kind::AddrNotAvailable
            | Kind::NotFound
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args() -> HttpArgs {
        HttpArgs {
            timeout: Duration::from_secs(1),
            headers: vec![],
            header_file: None,
            token_env: None,
            cacert: None,
            insecure: false,
        }
    }

    fn refused(args: &HttpArgs) -> String {
        args.client(Connections::Kept).unwrap_err().message().unwrap().to_owned()
    }

    #[test]
    fn base_urls_are_checked_and_joined() {
        assert_eq!(BaseUrl::parse("http://h:1/p/", "--target").unwrap().join("/x"), "http://h:1/p/x");
        for bad in ["", "h:1", "ftp://h", "http://", "http://h?q=1", "http://h#f", "http://user:secret@h"] {
            let failure = BaseUrl::parse(bad, "--target").unwrap_err();
            assert!(failure.message().unwrap().starts_with("--target: "), "{bad}");
            assert!(!failure.message().unwrap().contains("secret"));
        }
    }

    #[test]
    fn secrets_do_not_belong_on_the_command_line_nor_into_messages() {
        assert!(
            refused(&HttpArgs { headers: vec!["authorization: s3cret".into()], ..args() }).contains("--header-file")
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "X-A: 1\n\nbad name: s3cret\n").unwrap();
        let message = refused(&HttpArgs { header_file: Some(file.path().to_owned()), ..args() });
        assert!(message.contains("line 3") && !message.contains("s3cret"), "{message}");
        assert!(
            refused(&HttpArgs { token_env: Some("NO_SUCH_VARIABLE_HERE".into()), ..args() }).contains("is not set")
        );
    }

    #[test]
    fn a_refused_connection_is_known_never_to_have_been_made() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let exchange = args().client(Connections::Fresh).unwrap().exchange();
        let trouble =
            exchange.send(&Method::GET, &format!("http://127.0.0.1:{port}/"), &[], None, &Clock::system()).unwrap_err();
        assert_eq!(trouble, Trouble::NotConnected("connection refused".to_owned()));
    }

    #[test]
    fn shell_words_are_quoted() {
        assert_eq!(shell_quoted("it's"), r"'it'\''s'");
    }
}
