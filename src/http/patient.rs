//! Connections that wait for what the process itself has kept from being read, and that know what came last.
//!
//! A timeout that passes while this process stands still says nothing about the server: its answer may lie in the socket. Such
//! a wait goes on for as long as the process stood still. What comes is kept as it comes, so that an answer that cannot be
//! parsed can be shown, with the place of its fault.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport, time};

use super::buffers::GrowingBuffers;
use super::identity::CertificateRequest;
use crate::escape;
use crate::heartbeat::Heartbeat;

/// The bytes of an answer that are kept.
const MOST_KEPT: usize = 1024 * 1024;
/// The name of a field with a cookie, in lower case.
const COOKIE: &str = "set-cookie";
/// A buffer that has grown beyond this is given up with the answer that it held.
const LASTING: usize = 64 * 1024;
/// A shorter loss is not waited for.
const LEAST: Duration = Duration::from_millis(10);

/// The progress of the last request: whether it was sent, and the answer as it came.
#[derive(Clone, Debug, Default)]
pub(super) struct Exchange(Arc<Mutex<Progress>>);

#[derive(Debug, Default)]
struct Progress {
    /// This host could not connect, whatever the reason.
    is_unconnected: bool,
    /// The head of the request was handed to the system, whole.
    was_sent: bool,
    /// The bytes of the answer.
    received: Vec<u8>,
    /// The length of the longest line of the request.
    line: usize,
    /// The server's wish for a client certificate, if the request made a new connection.
    certificate_request: CertificateRequest,
}

impl Exchange {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the last request before another one is sent.
    pub(super) fn begin(&self) {
        let mut progress = self.progress();
        (progress.is_unconnected, progress.was_sent) = (false, false);
        progress.certificate_request = CertificateRequest::None;
        progress.received.clear();
        progress.received.shrink_to(LASTING);
    }

    /// Returns true if the server may have read the request. A request whose head was not sent whole does not count.
    pub(super) fn was_sent(&self) -> bool {
        self.progress().was_sent
    }

    /// Returns true if there is no connection over which the server could have read anything of the request.
    pub(super) fn is_unconnected(&self) -> bool {
        let progress = self.progress();
        progress.is_unconnected && !progress.was_sent
    }

    pub(super) fn note_unconnected(&self) {
        self.progress().is_unconnected = true;
    }

    pub(super) fn set_sent(&self, was_sent: bool) {
        self.progress().was_sent = was_sent;
    }

    pub(super) fn certificate_request(&self) -> CertificateRequest {
        self.progress().certificate_request
    }

    pub(super) fn set_certificate_request(&self, request: CertificateRequest) {
        self.progress().certificate_request = request;
    }

    /// The request about to be sent has a line of this length, and no longer one.
    pub(super) fn set_line(&self, line: usize) {
        self.progress().line = line;
    }

    fn line(&self) -> usize {
        self.progress().line
    }

    fn add(&self, new: &[u8]) {
        let bytes = &mut self.progress().received;
        let room = MOST_KEPT.saturating_sub(bytes.len());
        bytes.extend_from_slice(&new[..new.len().min(room)]);
    }

    /// The bytes behind the head, which is ended by an empty line.
    pub(super) fn body(&self) -> Vec<u8> {
        let bytes = &self.progress().received;
        let end = |mark: &[u8]| bytes.windows(mark.len()).position(|part| part == mark).map(|at| at + mark.len());
        end(b"\r\n\r\n").or_else(|| end(b"\n\n")).map(|at| bytes[at..].to_vec()).unwrap_or_default()
    }

    /// The beginning of the head of an answer that did not come whole; none if none began. It may be kept: cookies are left out.
    pub(super) fn part_of_head(&self) -> Option<String> {
        let bytes = &self.progress().received;
        let mut text = String::from_utf8_lossy(bytes);
        // An informational response (1xx) is not the answer.
        while text.starts_with("HTTP/1.1 1")
            && let Some((_, rest)) = text.split_once("\r\n\r\n")
        {
            text = rest.to_owned().into();
        }
        let mut is_in_cookie = false;
        let mut line = |line: &str| {
            is_in_cookie = is_of_cookie(line.as_bytes(), is_in_cookie);
            match line.to_ascii_lowercase().find(COOKIE) {
                Some(start) if is_in_cookie => format!("{}: (not kept)\n", &line[..start + COOKIE.len()]),
                _ if is_in_cookie => "(not kept)\n".to_owned(),
                _ => line.to_owned(),
            }
        };
        Some(text.split_inclusive('\n').map(&mut line).collect()).filter(|text: &String| !text.is_empty())
    }

    /// The first part of the head that HTTP does not allow, as the rest of a sentence.
    pub(super) fn fault_of_head(&self) -> Option<String> {
        let bytes = &self.progress().received;
        let lines = bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let mut fields = lines.skip(1).take_while(|line| !line.is_empty()).enumerate();
        let mut is_in_cookie = false;
        fields.find_map(|(index, line)| {
            is_in_cookie = is_of_cookie(line, is_in_cookie);
            Some(format!("header field {} {}", index + 1, fault(line, is_in_cookie)?))
        })
    }
}

/// Returns true if a line of a head may hold a cookie, or goes on with the line before it, which held one: a broken head may spell the
/// field in any way.
fn is_of_cookie(line: &[u8], is_in_cookie: bool) -> bool {
    let names_cookie = line.windows(COOKIE.len()).any(|part| part.eq_ignore_ascii_case(COOKIE.as_bytes()));
    let goes_on = line.starts_with(b" ") || line.starts_with(b"\t") || !line.contains(&b':') && line.contains(&b'=');
    names_cookie || is_in_cookie && goes_on
}

/// The fault of one line of a head (RFC 9110, section 5; RFC 9112, section 5), whose text is not shown if it `is_cookie`.
fn fault(line: &[u8], is_cookie: bool) -> Option<String> {
    let shown = |bytes: &[u8]| {
        if is_cookie { "Set-Cookie…".to_owned() } else { escape::start(&String::from_utf8_lossy(bytes), 60) }
    };
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    if line.starts_with(b" ") || line.starts_with(b"\t") {
        return Some(format!("continues on a second line, which is obsolete: `{}`", shown(line)));
    }
    let Some(colon) = line.iter().position(|byte| *byte == b':') else {
        return Some(format!("has no colon: `{}`", shown(line)));
    };
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if name.is_empty() || !name.iter().all(is_token) {
        return Some(format!("has the name `{}`, which is not valid", shown(name)));
    }
    let bad = value.iter().find(|byte| (**byte < b' ' && **byte != b'\t') || **byte == 0x7f)?;
    Some(format!("({}) holds the byte 0x{bad:02x}", shown(name)))
}

/// Makes every connection of a client patient.
#[derive(Clone, Debug)]
pub(super) struct PatientConnector {
    pub(super) heartbeat: Heartbeat,
    pub(super) exchange: Exchange,
}

impl<In: Transport> Connector<In> for PatientConnector {
    type Out = PatientTransport<In>;

    fn connect(&self, _: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<Self::Out>, ureq::Error> {
        let Self { heartbeat, exchange } = self.clone();
        let lost = heartbeat.lost();
        Ok(chained.map(|inner| PatientTransport {
            inner,
            buffers: GrowingBuffers::default(),
            heartbeat,
            exchange,
            is_idle: false,
            lost,
            until: None,
        }))
    }
}

/// A connection.
pub(super) struct PatientTransport<T> {
    inner: T,
    buffers: GrowingBuffers,
    heartbeat: Heartbeat,
    exchange: Exchange,
    /// It has been put back after an exchange, and is looked at before the next one.
    is_idle: bool,
    /// The time that was lost before the part of the exchange that is under way.
    lost: Duration,
    /// Waits go on until then.
    until: Option<Instant>,
}

impl<T> PatientTransport<T> {
    /// `timeout`, or where it has passed, what the time that was lost leaves of it. None where nothing is left.
    fn more_time(&mut self, timeout: NextTimeout) -> Option<NextTimeout> {
        let (now, lost) = (Instant::now(), self.heartbeat.lost());
        let new = lost.saturating_sub(self.lost);
        if new > LEAST {
            self.lost = lost;
            self.until = self.until.max(Some(now + new));
        }
        let left = self.until?.checked_duration_since(now).filter(|left| *left > LEAST)?;
        Some(NextTimeout { after: time::Duration::Exact(left), ..timeout })
    }
}

/// A long timeout, rounded up to a tenth of a second: the system is told each new one, twice for every request.
fn in_steps(timeout: NextTimeout) -> NextTimeout {
    const STEP: u32 = 100;
    match timeout.after {
        time::Duration::Exact(left) if left > Duration::from_secs(1) => {
            let steps = u32::try_from(left.as_millis() / u128::from(STEP)).unwrap_or(u32::MAX / STEP - 1) + 1;
            NextTimeout { after: time::Duration::Exact(steps * Duration::from_millis(STEP.into())), ..timeout }
        }
        _ => timeout,
    }
}

impl<T: Transport> Transport for PatientTransport<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.buffers.make_room_for(self.exchange.line());
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.is_idle = false;
        // Nothing has been written yet, so that nothing is written twice.
        let has_passed = timeout.after.is_zero();
        let timeout = in_steps(timeout);
        let timeout = if has_passed { self.more_time(timeout).unwrap_or(timeout) } else { timeout };
        let mut left = &self.buffers.output()[..amount];
        while !left.is_empty() {
            let room = self.inner.buffers().output();
            let (part, rest) = left.split_at(left.len().min(room.len()));
            room[..part.len()].copy_from_slice(part);
            self.inner.transmit_output(part.len(), timeout)?;
            left = rest;
        }
        self.exchange.set_sent(true);
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        if self.buffers.is_full() {
            return Ok(false);
        }
        let timeout = in_steps(timeout);
        let mut waited = self.inner.await_input(timeout);
        while matches!(waited, Err(ureq::Error::Timeout(_)))
            && let Some(more) = self.more_time(timeout)
        {
            waited = self.inner.await_input(more);
        }
        if waited.is_ok() {
            self.lost = self.heartbeat.lost();
            let inner = self.inner.buffers();
            self.exchange.add(inner.input());
            self.buffers.append(inner.input());
            let amount = inner.input().len();
            inner.input_consume(amount);
        }
        waited
    }

    fn is_open(&mut self) -> bool {
        // ureq asks when it puts a connection back and again when it takes it out, which is the later and the better time. Each
        // look takes three system calls.
        !std::mem::replace(&mut self.is_idle, true) || self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

impl<T> fmt::Debug for PatientTransport<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PatientTransport").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_head_is_kept_without_its_cookies() {
        let part = |bytes: &str| {
            let exchange = Exchange::default();
            exchange.add(bytes.as_bytes());
            exchange.part_of_head()
        };
        assert_eq!(part(""), None);
        assert_eq!(part("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"), None, "no answer began");
        assert_eq!(part("HTTP/1.1 100 C\r\n\r\nHTTP/1.1 20").unwrap(), "HTTP/1.1 20");
        let with_cookie = "HTTP/1.1 202 A\r\nset-cookie: a=SECRET\r\nX: 1";
        assert_eq!(part(with_cookie).unwrap(), "HTTP/1.1 202 A\r\nset-cookie: (not kept)\nX: 1");
        for broken in [
            "Set-Cookie:\r\n a=SECRET",
            "Set-Cookie : a=SECRET",
            "SET-COOKIE a=SECRET",
            "Set-Cookie: a\r\nb=SECRET",
            "x\u{3}Set-Cookie2: a=SECRET",
        ] {
            let head = format!("HTTP/1.1 202 A\r\n{broken}; Path=/\r\nX: 1\r\n\r\n");
            let exchange = Exchange::default();
            exchange.add(head.as_bytes());
            let (kept, fault) = (exchange.part_of_head().unwrap(), exchange.fault_of_head().unwrap_or_default());
            assert!(!kept.contains("SECRET") && kept.contains("\nX: 1") && !fault.contains("SECRET"), "{kept} {fault}");
        }
        assert_eq!(part("SSH-2.0-OpenSSH_9.2\r\n").unwrap(), "SSH-2.0-OpenSSH_9.2\r\n");
    }

    #[test]
    fn the_field_that_breaks_a_head_is_named() {
        for (field, named) in [
            ("X-A: a\0b", "header field 2 (X-A) holds the byte 0x00"),
            ("Bad Header : x", "header field 2 has the name `Bad Header `"),
            (" folded", "header field 2 continues on a second line"),
            ("no colon", "header field 2 has no colon: `no colon`"),
            ("fine: x", ""),
        ] {
            let exchange = Exchange::default();
            exchange.add(format!("HTTP/1.1 200 OK\r\nOk: 1\r\n{field}\r\n\r\nzz\r\n{{}}").as_bytes());
            let found = exchange.fault_of_head();
            assert!(
                found.as_deref().unwrap_or_default().starts_with(named) && found.is_some() != named.is_empty(),
                "{found:?}"
            );
            assert_eq!(exchange.body(), b"zz\r\n{}");
        }
    }
}
