//! Answers that are read as they arrive, and form bodies.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use ureq::http::Method;

use super::coding::{self, Decoded};
use super::head::Head;
use super::{Client, HttpError};
use crate::clock::Clock;
use crate::units;

/// The bytes that an answer has to bring within a timeout, wherever it is not at its end.
const LEAST: usize = 1024;

/// The content type of a body that [`form`] makes.
pub const FORM: &str = "application/x-www-form-urlencoded";

/// An answer whose body is still to be read, by its [`Read`], without a limit on its size.
///
/// Read errors describe what happened to the connection; they mean that the body ended early.
pub struct StreamedAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub head: Head,
    body: Decoded,
    client: Client,
    pace: Pace,
}

/// The pace of an answer. One that goes on for ever without bringing anything worth the wait would never time out otherwise.
#[derive(Debug)]
struct Pace {
    since: Instant,
    /// The time that the harness had stood still before that.
    frozen_before: Duration,
    /// The bytes that have come since then.
    came: usize,
}

impl Pace {
    fn begin(client: &Client) -> Self {
        Self { since: Instant::now(), frozen_before: client.heartbeat.lost(), came: 0 }
    }

    /// Counts bytes that came. Returns true if too few came within the client's timeout.
    fn is_too_slow(&mut self, new: usize, client: &Client) -> bool {
        self.came += new;
        if self.since.elapsed() < client.timeout {
            return false;
        }
        let frozen = client.heartbeat.lost().saturating_sub(self.frozen_before);
        let is_slow = self.since.elapsed() >= client.timeout + frozen && self.came < LEAST;
        *self = Self::begin(client);
        is_slow
    }
}

impl Client {
    /// Sends a request and returns the answer once its headers have arrived. `extra` headers replace the client's of the
    /// same name. The timeout bounds each wait for more of the body, not the whole of it.
    pub fn open(
        &self,
        method: &Method,
        url: &str,
        extra: &[(String, String)],
        body: Option<&str>,
        clock: &Clock,
    ) -> Result<StreamedAnswer, HttpError> {
        self.exchange.begin();
        let json = body.map(|_| "application/json");
        let request = self.request(method, url, extra, json, body.unwrap_or_default().to_owned())?;
        let request = self.agent.configure_request(request);
        let request = request.timeout_recv_body(None).timeout_per_read(Some(self.timeout)).build();
        let response = self.agent.run(request).map_err(|error| self.http_error(&error))?;
        let (parts, body) = response.into_parts();
        let body = coding::decoded(&parts.headers, body.into_with_config().limit(u64::MAX).reader());
        Ok(StreamedAnswer {
            status: parts.status.as_u16(),
            head: Head::from_parts(parts, clock),
            body,
            client: self.clone(),
            pace: Pace::begin(self),
        })
    }
}

impl Client {
    /// Describes what ended the reading of a body.
    pub(super) fn describe_read_error(&self, error: &io::Error) -> String {
        match super::client_error(error) {
            Some(ureq::Error::Timeout(ureq::Timeout::PerRead)) => {
                format!("no more data for {}", units::seconds(self.timeout.as_secs_f64()))
            }
            Some(cause) => self.describe(cause),
            None if error.kind() == io::ErrorKind::UnexpectedEof => super::error::CLOSED.to_owned(),
            None => error.to_string(),
        }
    }
}

impl StreamedAnswer {
    /// The first `limit` bytes of the body, as text; shorter where the body ends or breaks off before.
    pub fn start(self, limit: u64) -> String {
        let mut bytes = Vec::new();
        // The bytes before a break are shown; the break itself does not explain the refusal.
        let _ = self.take(limit).read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Read for StreamedAnswer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Self { body, client, pace, .. } = self;
        let read =
            body.read(buffer).map_err(|error| io::Error::new(error.kind(), client.describe_read_error(&error)))?;
        if read > 0 && pace.is_too_slow(read, client) {
            let message =
                format!("less than {LEAST} bytes came within {}", units::seconds(client.timeout.as_secs_f64()));
            return Err(io::Error::new(io::ErrorKind::TimedOut, message));
        }
        Ok(read)
    }
}

/// The form body (WHATWG URL, section 5.2) of `pairs`, in their order.
pub fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::super::{Connections, HttpArgs};
    use super::*;

    #[test]
    fn an_answer_that_drips_for_ever_ends_with_the_timeout() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let dripping = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n").unwrap();
            while stream.write_all(b" ").is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let client = HttpArgs::for_tests().client_factory(Connections::Fresh).unwrap().client();
        let mut answer = client.open(&Method::GET, &url, &[], None, &Clock::system()).unwrap();
        let error = answer.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "less than 1024 bytes came within 1.00 s");
        drop(answer);
        dripping.join().unwrap();
    }

    #[test]
    fn forms_survive_what_promql_holds() {
        let body = form(&[("query", r#"{a=~"x+.*",b!="é&="}"#), ("step", "5 s")]);
        assert_eq!(body, "query=%7Ba%3D%7E%22x%2B.*%22%2Cb%21%3D%22%C3%A9%26%3D%22%7D&step=5+s");
    }
}
