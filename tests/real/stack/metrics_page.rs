//! A page of metrics that differs from scrape to scrape in a known way, with everything that makes a replay hard: series that begin
//! late or end early, failed scrapes, a counter that falls, values that are no numbers, and hostile labels.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// The scrapes that fail, by number.
const FAILED: [u64; 2] = [24, 37];
/// The first scrape that shows the series that begins late, and the first that does not show the one that ends early.
const BORN: u64 = 12;
const ENDED: u64 = 30;
/// A label value with everything that a format may have to escape, as the exposition format spells it.
const HOSTILE: &str = "a\\\"b\\\\c\\n<i>{}=,é\u{1b}[31m# EOF";

/// A server of such a page. Each path below it counts the scrapes that it has answered.
pub struct MetricsPage {
    address: SocketAddr,
    scrapes: Arc<Mutex<HashMap<String, u64>>>,
}

impl MetricsPage {
    /// Starts it in a thread that lasts as long as the process.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let page = Self { address: listener.local_addr().unwrap(), scrapes: Arc::default() };
        let scrapes = Arc::clone(&page.scrapes);
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                // A scraper that hung up has counted its scrape as failed.
                let _ = answer(connection, &scrapes);
            }
        });
        page
    }

    /// The host and the port.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// The number of scrapes of a path.
    pub fn scrapes(&self, path: &str) -> u64 {
        self.scrapes.lock().unwrap().get(path).copied().unwrap_or_default()
    }
}

fn answer(mut connection: TcpStream, scrapes: &Mutex<HashMap<String, u64>>) -> io::Result<()> {
    let mut lines = BufReader::new(connection.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let Some(path) = request.split(' ').nth(1) else { return Ok(()) };
    let number = {
        let mut scrapes = scrapes.lock().unwrap();
        let count = scrapes.entry(path.to_owned()).or_default();
        *count += 1;
        *count - 1
    };
    let (status, body) =
        if FAILED.contains(&number) { ("503 Busy", String::new()) } else { ("200 OK", exposition(number)) };
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close\r\n");
    write!(connection, "{head}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// The page of one scrape.
fn exposition(number: u64) -> String {
    let mut text = format!("depth{{queue=\"{HOSTILE}\"}} {}\ndepth{{queue=\"b\"}} 3\n", number * number % 17);
    // It falls every twenty scrapes, as after a restart.
    let _ = writeln!(text, "work_total {}.5", number % 20 * 3);
    let odd = ["1", "NaN", "+Inf", "-2.5e-7", "-Inf", "0"];
    let _ = writeln!(text, "odd {}", odd[usize::try_from(number).unwrap_or_default() % odd.len()]);
    if number >= BORN {
        let _ = writeln!(text, "late_total {number}");
    }
    if number < ENDED {
        let _ = writeln!(text, "early{{kind=\"ends\"}} {number}");
    }
    for (bound, count) in [("0.5", number), ("2.5", 2 * number), ("+Inf", 3 * number)] {
        let _ = writeln!(text, "took_seconds_bucket{{le=\"{bound}\"}} {count}");
    }
    let _ = writeln!(text, "took_seconds_sum {}\ntook_seconds_count {}", number * 4, 3 * number);
    text
}
