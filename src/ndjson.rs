//! Reading and writing lines of records.
//!
//! A line that does not begin with `{` is foreign: counted, said once, dropped. A line that is broken JSON, or claims to
//! be one of our records and is not, is named with its number and dropped, and the tool exits 65 at the end. A last line
//! without a line break that is broken was torn off when its writer died: said, dropped, no error.

use std::io::{self, BufRead, Write};
use std::ops::Range;

use crate::cli::{Console, Failure};
use crate::record::{API_VERSION, Parsed, Record};

/// The longest line that is taken, in bytes. A job's record holds the target's last answer, which is a few thousand.
const LONGEST: u64 = 64 * 1024 * 1024;

/// One usable line.
#[derive(Clone, Debug)]
pub enum Line {
    /// A record of a kind that we know.
    Record(Record),
    /// A JSON object that we do not know, to be handed on byte for byte.
    Other(String),
}

impl Line {
    /// The line's text, without its end.
    pub fn text(&self) -> &str {
        match self {
            Self::Record(record) => record.text(),
            Self::Other(text) => text,
        }
    }
}

/// The result of reading one line, before anything is reported about it.
#[derive(Debug)]
pub enum Read {
    /// A usable line.
    Line(Line),
    /// A line that does not begin with `{`, by its number.
    Foreign(u64),
    /// A line that cannot be used, with what is to be said about it.
    Broken(String),
    /// The last line, torn off.
    Torn(String),
}

/// Reads lines from `input`. An iterator, so that a thread of its own can read while others work.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    number: u64,
    /// The bytes before the line that was read last, and those up to its end.
    place: Range<u64>,
    name: String,
}

impl<R: BufRead> Reader<R> {
    /// Reads standard input.
    pub fn stdin(input: R) -> Self {
        Self::named(input, "stdin")
    }

    /// Reads something that messages shall call `name`.
    pub fn named(input: R, name: &str) -> Self {
        Self { input, number: 0, place: 0..0, name: name.to_owned() }
    }

    /// The place of the line that was read last, in bytes, with its end.
    pub fn place(&self) -> Range<u64> {
        self.place.clone()
    }

    fn classify(&self, bytes: &[u8]) -> Option<Read> {
        let whole = bytes.ends_with(b"\n");
        let mut bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        if self.number == 1 {
            bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        }
        let start = bytes.iter().position(|byte| !byte.is_ascii_whitespace())?;
        if bytes[start] != b'{' {
            return Some(Read::Foreign(self.number));
        }
        let problem = match std::str::from_utf8(bytes) {
            Err(error) => format!("invalid UTF-8 after {} bytes", error.valid_up_to()),
            Ok(text) => match Record::parse(text) {
                Ok(Parsed::Record(record)) => return Some(Read::Line(Line::Record(record))),
                Ok(Parsed::Other) => return Some(Read::Line(Line::Other(text.to_owned()))),
                Err(error) => error.to_string(),
            },
        };
        let place = format!("{} line {}: {problem}", self.name, self.number);
        Some(match () {
            () if !whole => Read::Torn(format!("{place}: the last line is incomplete, skipped")),
            () if problem.starts_with("EOF") => {
                Read::Broken(format!("{place}: a record must be one line; convert the input with `jq -c .`"))
            }
            () => Read::Broken(place),
        })
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = io::Result<Read>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            match io::Read::take(&mut self.input, LONGEST).read_until(b'\n', &mut bytes) {
                Ok(0) => return None,
                Ok(count) => {
                    self.number += 1;
                    self.place = self.place.end..self.place.end + count as u64;
                }
                Err(error) => return Some(Err(error)),
            }
            if bytes.len() as u64 == LONGEST && !bytes.ends_with(b"\n") {
                match self.input.skip_until(b'\n') {
                    Ok(count) => self.place.end += count as u64,
                    Err(error) => return Some(Err(error)),
                }
                let place = format!("{} line {}", self.name, self.number);
                return Some(Ok(Read::Broken(format!("{place}: longer than {} MiB", LONGEST >> 20))));
            }
            if let Some(read) = self.classify(&bytes) {
                return Some(Ok(read));
            }
        }
    }
}

/// The whole line in the place of one whose writer died in the middle of it. If it is no record, a prefix tells readers to pass over it,
/// because it then does not begin with `{`; its text is still there.
pub fn mended(torn: &[u8]) -> Vec<u8> {
    let is_whole = std::str::from_utf8(torn).is_ok_and(|text| Record::parse(text).is_ok());
    [if is_whole { b"" } else { &b"torn: "[..] }, torn, b"\n"].concat()
}

/// Counts the lines that could not be used, and reports them.
#[derive(Debug, Default)]
pub struct BadLines {
    usable: u64,
    foreign: u64,
    broken: u64,
    version_reported: bool,
}

impl BadLines {
    /// Says on `console` what is wrong with `read` and counts it, or gives the usable line.
    pub fn take(&mut self, read: Read, console: &Console) -> Option<Line> {
        match read {
            Read::Line(line) => {
                self.report_version(&line, console);
                self.usable += 1;
                return Some(line);
            }
            Read::Foreign(number) => {
                if self.foreign == 0 {
                    console.say(&format!(
                        "line {number} is not a record (it does not begin with `{{`): dropping all such lines"
                    ));
                }
                self.foreign += 1;
            }
            Read::Broken(what) => {
                console.say(&format!("{what}: dropped"));
                self.broken += 1;
            }
            Read::Torn(what) => console.say(&what),
        }
        None
    }

    /// Says once that records of another version pass unread.
    fn report_version(&mut self, line: &Line, console: &Console) {
        if let (Line::Other(text), false) = (line, self.version_reported)
            && let Some(version) = Record::other_version(text)
        {
            self.version_reported = true;
            console.say(&format!(
                "a record of {version}: this version reads only {API_VERSION} and passes such records on unread"
            ));
        }
    }

    /// Lines that were broken.
    pub fn broken(&self) -> u64 {
        self.broken
    }

    /// Returns true if lines came, and none of them was a record or another JSON object.
    pub fn is_all_foreign(&self) -> bool {
        self.foreign > 0 && self.usable == 0
    }

    /// Says how many foreign lines were dropped where that was more than the one already named.
    pub fn close(&self, console: &Console) {
        if self.foreign > 1 {
            console.say(&format!("dropped {} lines in total that were not records", self.foreign));
        }
    }
}

/// Writes lines, each with one write, flushed at once.
pub struct Writer<'a> {
    out: &'a mut dyn Write,
}

impl<'a> Writer<'a> {
    /// Writes to `out`, which must not hold back what it is given.
    pub fn new(out: &'a mut dyn Write) -> Self {
        Self { out }
    }

    /// Writes one record.
    pub fn record(&mut self, record: &Record) -> Result<(), Failure> {
        self.text(record.text())
    }

    /// Writes one line as it was read.
    pub fn line(&mut self, line: &Line) -> Result<(), Failure> {
        self.text(line.text())
    }

    fn text(&mut self, text: &str) -> Result<(), Failure> {
        let mut bytes = Vec::with_capacity(text.len() + 1);
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(b'\n');
        self.out.write_all(&bytes).and_then(|()| self.out.flush()).map_err(|error| Failure::output("stdout", &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Vec<Read> {
        Reader::stdin(bytes).map(Result::unwrap).collect()
    }

    #[test]
    fn blank_lines_line_ends_and_a_byte_order_mark_do_not_matter() {
        let lines = read(b"\xEF\xBB\xBF{\"a\":1}\r\n\n  \n{\"b\":2}");
        let texts: Vec<_> =
            lines.iter().map(|read| if let Read::Line(line) = read { line.text() } else { "?" }).collect();
        assert_eq!(texts, [r#"{"a":1}"#, r#"{"b":2}"#]);
    }

    #[test]
    fn a_broken_line_is_named_by_its_number_and_pretty_printing_is_recognised() {
        let lines = read(b"hello\n{\"a\":}\n{\n");
        assert!(matches!(lines[0], Read::Foreign(1)));
        assert!(
            matches!(&lines[1], Read::Broken(what) if what.starts_with("stdin line 2: expected value")),
            "{lines:?}"
        );
        assert!(
            matches!(&lines[2], Read::Broken(what) if what.contains("line 3") && what.contains("jq -c")),
            "{lines:?}"
        );
    }

    #[test]
    fn the_place_of_a_line_leads_back_to_it() {
        let text = b"\n{\"a\":1}\r\nforeign\n{\"b\":2}";
        let mut reader = Reader::stdin(&text[..]);
        let mut found = Vec::new();
        while let Some(read) = reader.next() {
            if let Read::Line(line) = read.unwrap() {
                let place = reader.place();
                let bytes = &text[usize::try_from(place.start).unwrap()..usize::try_from(place.end).unwrap()];
                assert_eq!(std::str::from_utf8(bytes).unwrap().trim(), line.text());
                found.push(line.text().to_owned());
            }
        }
        assert_eq!(found, [r#"{"a":1}"#, r#"{"b":2}"#]);
    }

    #[test]
    fn a_torn_last_line_is_told_apart() {
        assert!(matches!(&read(b"{\"a\":1}\n{\"a\"")[1], Read::Torn(what) if what.contains("line 2")));
    }

    #[test]
    fn invalid_utf8_is_broken() {
        assert!(matches!(&read(b"{\"a\":\"\xFF\"}\n")[0], Read::Broken(what) if what.contains("UTF-8")));
    }
}
