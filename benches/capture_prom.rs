//! Memory and time of `capture-prom` for answers of 200 MiB: it should be far below 32 MiB and not grow with the
//! answer. A server in this process makes the answers up as it sends them; the tool runs as a process of its own.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "it prints figures, and ends where it cannot measure")]

use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The size of the answers to one query, all chunks together.
const TOTAL: usize = 200 << 20;
const MIB: f64 = (1 << 20) as f64;
/// The window's start.
const START: i64 = 1_700_000_000;

/// A way to fill those 200 MiB.
struct Shape {
    name: &'static str,
    /// Steps of five seconds in the window.
    steps: i64,
    /// In how many chunks that is asked for.
    chunks: usize,
    /// Points in each series of an answer.
    points: i64,
    flags: &'static [&'static str],
}

fn main() {
    let shapes = [
        Shape { name: "one answer, 11,000 points a series", steps: 10_999, chunks: 1, points: 11_000, flags: &[] },
        Shape { name: "one answer, 10 points a series", steps: 1000, chunks: 1, points: 10, flags: &[] },
        Shape { name: "five chunks of 100,000 short series, joined", steps: 54_999, chunks: 5, points: 10, flags: &[] },
        Shape { name: "five chunks, joined", steps: 54_999, chunks: 5, points: 11_000, flags: &[] },
        Shape {
            name: "one answer, and a table of it",
            steps: 10_999,
            chunks: 1,
            points: 11_000,
            flags: &["--format", "csv"],
        },
    ];
    for shape in shapes {
        measure(&shape);
    }
}

fn measure(shape: &Shape) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let size = TOTAL / shape.chunks;
    let points = shape.points;
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || while serve(&stream, size, points).is_some() {});
        }
    });
    let dir = tempfile::tempdir().unwrap();
    let profile = dir.path().join("profile.toml");
    std::fs::write(&profile, PROFILE).unwrap();
    let (start, end) = (START.to_string(), (START + shape.steps * 5).to_string());
    let begun = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_capture-prom"))
        .args(["--prometheus", &url, "--start", &start, "--end", &end, "--pad", "0s", "--query", "big=big", "--no-raw"])
        .args(shape.flags)
        .args(["--profile", profile.to_str().unwrap(), "--out", dir.path().to_str().unwrap()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // The high-water mark only ever rises, so the last reading before the end is the peak or very near it.
    let mut peak = 0.0;
    let status = loop {
        peak = high_water(child.id()).unwrap_or(peak);
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    assert!(status.success(), "capture-prom: {status}");
    let seconds = begun.elapsed().as_secs_f64();
    let stored = std::fs::metadata(dir.path().join("prometheus/big.json")).unwrap().len() as f64 / MIB;
    println!(
        "capture-prom, {}: {stored:.0} MiB in {seconds:.1} s ({:.0} MiB/s), peak memory {peak:.1} MiB",
        shape.name,
        stored / seconds
    );
}

/// The peak of the process' resident memory, in MiB.
fn high_water(pid: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<f64>().ok().map(|kib| kib / 1024.0)
}

/// Answers one request; none when the client has gone.
fn serve(stream: &TcpStream, size: usize, points: i64) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    reader.read_line(&mut head).ok().filter(|count| *count > 0)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.trim().parse().ok()?,
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let mut writer = BufWriter::with_capacity(256 * 1024, stream);
    if head.contains("/api/v1/query_range") {
        let body = String::from_utf8(body).ok()?;
        let start = body.split('&').find_map(|pair| pair.strip_prefix("start="))?.parse().ok()?;
        writer.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").ok()?;
        matrix(&mut writer, size, points, start)?;
        // Without a length the answer ends where the connection does.
        writer.flush().ok()?;
        stream.shutdown(std::net::Shutdown::Both).ok()?;
        return None;
    }
    let body = if head.contains("/api/v1/targets") { TARGETS } else { "" };
    write!(writer, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).ok()?;
    writer.flush().ok()
}

/// Series after series until `size` is reached.
fn matrix(out: &mut impl Write, size: usize, points: i64, start: i64) -> Option<()> {
    let mut sent = 0;
    out.write_all(br#"{"status":"success","data":{"resultType":"matrix","result":["#).ok()?;
    let mut text = String::new();
    let mut number = 0;
    while sent < size {
        use std::fmt::Write as _;
        text.clear();
        let comma = if number == 0 { "" } else { "," };
        write!(
            text,
            r#"{comma}{{"metric":{{"__name__":"big","instance":"10.0.0.1:9100","series":"{number}"}},"values":["#
        )
        .ok()?;
        for point in 0..points {
            let comma = if point == 0 { "" } else { "," };
            write!(text, r#"{comma}[{},"{}.25"]"#, start + point * 5, number * 7 + point).ok()?;
        }
        text.push_str("]}");
        out.write_all(text.as_bytes()).ok()?;
        sent += text.len();
        number += 1;
    }
    out.write_all(b"]}}").ok()
}

const TARGETS: &str =
    r#"{"status":"success","data":{"activeTargets":[{"labels":{},"lastScrape":"2033-01-01T00:00:00Z"}]}}"#;

/// No queries of its own: the one on the command line is the only one.
const PROFILE: &str = r#"
name = "bench"
target = "http://localhost:8000"
[health]
path = "/health"
[submit]
path = "/jobs"
id = ["/id"]
[poll]
path = "/jobs/{id}"
status = ["/status"]
[poll.words]
done = ["done"]
"#;
