//! The answer to a query, read series by series.
//!
//! One series is held at a time, and the summary keeps capped lists, so memory does not grow with the answer. A capture and
//! the report read the same format with the same code: the one while the answer arrives, the other from the file.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::ops::Range;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::escape;

/// The longest series, message or other element that is read, in bytes: 11,000 native histograms of 160 buckets take twice
/// that, and 11,000 plain samples a hundredth.
const ELEMENT_LIMIT: u64 = 32 << 20;
/// The number of metric names that are kept.
const FAMILIES: usize = 20;
/// The number of warnings, and of infos, that are kept; Prometheus sends at most ten of each.
const NOTES: usize = 100;
/// The number of characters that are kept of a name or a note.
const CHARACTERS: usize = 2000;

/// The fields of an answer besides its samples, and counts of those.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// `success` or `error`.
    pub status: Option<String>,
    /// The type of the error.
    pub error_type: Option<String>,
    /// The error's message.
    pub error: Option<String>,
    /// The server's warnings.
    pub warnings: Vec<String>,
    /// The server's remarks on the query.
    pub infos: Vec<String>,
    /// True if parts of a `VictoriaMetrics` cluster did not answer.
    pub is_partial: bool,
    /// `matrix`, `vector`, `scalar` or `string`.
    pub result_type: Option<String>,
    /// The number of series.
    pub series: u64,
    /// The number of samples, native histograms included.
    pub samples: u64,
    /// The number of samples that are not a number.
    pub not_a_number: u64,
    /// The number of infinite samples.
    pub infinite: u64,
    /// The number of native histograms.
    pub native_histograms: u64,
    /// The times of the earliest and the latest sample, in Unix seconds.
    pub covered: Option<(f64, f64)>,
    /// The metric names, at most `FAMILIES`.
    pub families: BTreeSet<String>,
}

impl Summary {
    /// Adds the summary of another part of the same answer.
    pub fn add(&mut self, other: Self) {
        add_notes(&mut self.warnings, other.warnings);
        add_notes(&mut self.infos, other.infos);
        self.is_partial |= other.is_partial;
        self.samples += other.samples;
        self.not_a_number += other.not_a_number;
        self.infinite += other.infinite;
        self.native_histograms += other.native_histograms;
        if let Some((first, last)) = other.covered {
            self.cover(first);
            self.cover(last);
        }
        other.families.iter().for_each(|name| self.add_family(name));
    }

    fn add_series(&mut self, series: &Series<'_>) -> Result<(), String> {
        self.series += 1;
        if let Some(name) = series.metric.get("__name__") {
            self.add_family(name);
        }
        for (time, value) in &series.values {
            let value = value.number()?;
            self.not_a_number += u64::from(value.is_nan());
            self.infinite += u64::from(value.is_infinite());
            self.cover(*time);
        }
        series.histograms.iter().for_each(|(time, _)| self.cover(*time));
        self.native_histograms += series.histograms.len() as u64;
        self.samples += (series.values.len() + series.histograms.len()) as u64;
        Ok(())
    }

    fn cover(&mut self, time: f64) {
        let (first, last) = self.covered.unwrap_or((time, time));
        self.covered = Some((first.min(time), last.max(time)));
    }

    fn add_family(&mut self, name: &str) {
        if self.families.len() < FAMILIES {
            self.families.insert(escape::start(name, CHARACTERS));
        }
    }
}

/// Adds those of `more` that are not among `notes` yet, up to `NOTES`.
pub fn add_notes(notes: &mut Vec<String>, more: Vec<String>) {
    for note in more {
        let note = escape::start(&note, CHARACTERS);
        if notes.len() < NOTES && !notes.contains(&note) {
            notes.push(note);
        }
    }
}

/// One series of an answer.
#[derive(Debug, Deserialize)]
pub struct Series<'a> {
    /// The labels, with the metric's name as `__name__`.
    #[serde(default)]
    pub metric: BTreeMap<String, String>,
    /// The samples: Unix seconds and value.
    #[serde(default, borrow)]
    pub values: Vec<(f64, SampleText<'a>)>,
    /// The native histograms: Unix seconds and JSON.
    #[serde(default, borrow)]
    pub histograms: Vec<(f64, &'a RawValue)>,
}

/// The value of a sample as the server spells it.
#[derive(Clone, Debug, Deserialize)]
pub struct SampleText<'a>(#[serde(borrow)] pub Cow<'a, str>);

impl SampleText<'_> {
    /// The number.
    pub fn number(&self) -> Result<f64, String> {
        self.0.parse().map_err(|_| "a sample's value is not a number".to_owned())
    }
}

/// The consumer of a series and of its place in the input, in bytes. An error ends the reading.
pub type OnSeries<'a> = &'a mut dyn FnMut(&Series<'_>, Range<u64>) -> Result<(), String>;

/// The reason why an answer could not be read to its end.
#[derive(Debug, derive_more::Display)]
pub enum Unreadable {
    /// Reading failed, or the text ends in the middle.
    Cut(String),
    /// One element exceeds `ELEMENT_LIMIT`.
    #[display("one series is larger than {} MiB", ELEMENT_LIMIT >> 20)]
    TooLarge,
    /// It is not an answer of Prometheus.
    Foreign(String),
}

/// Reads one answer from `input` to its end, and hands each series to `on_series`.
pub fn read(input: impl Read, on_series: OnSeries<'_>) -> Result<Summary, Unreadable> {
    read_within(ELEMENT_LIMIT, input, on_series)
}

fn read_within(element_limit: u64, input: impl Read, on_series: OnSeries<'_>) -> Result<Summary, Unreadable> {
    let meter = Meter { position: Cell::new(0), limit: Cell::new(element_limit), element_limit };
    let mut summary = Summary::default();
    let source = BufReader::with_capacity(64 * 1024, input);
    let mut deserializer = serde_json::Deserializer::from_reader(Metered { source, meter: &meter });
    let envelope = Envelope { summary: &mut summary, on_series, meter: &meter };
    match envelope.deserialize(&mut deserializer).and_then(|()| deserializer.end()) {
        Ok(()) => Ok(summary),
        Err(_) if meter.is_exhausted() => Err(Unreadable::TooLarge),
        Err(error) => Err(match error.classify() {
            Category::Io => Unreadable::Cut(io::Error::from(error).to_string()),
            Category::Eof => Unreadable::Cut("the text ends in the middle".to_owned()),
            Category::Syntax | Category::Data => Unreadable::Foreign(error.to_string()),
        }),
    }
}

/// The number of bytes that were read, and the number that may be.
struct Meter {
    position: Cell<u64>,
    limit: Cell<u64>,
    element_limit: u64,
}

impl Meter {
    /// Begins the next element.
    fn next_element(&self) {
        self.limit.set(self.position.get().saturating_add(self.element_limit));
    }

    fn is_exhausted(&self) -> bool {
        self.position.get() >= self.limit.get()
    }
}

/// A reader that counts the bytes that it hands out. The parser asks for one byte at a time, so the count is exact.
struct Metered<'a, R> {
    source: BufReader<R>,
    meter: &'a Meter,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.meter.is_exhausted() {
            return Err(io::Error::other("one element is too large"));
        }
        let ready = self.source.fill_buf()?;
        let count = ready.len().min(buffer.len());
        buffer[..count].copy_from_slice(&ready[..count]);
        self.source.consume(count);
        self.meter.position.set(self.meter.position.get() + count as u64);
        Ok(count)
    }
}

/// The visitor of the answer, of its `data` and of the array `result` in that. The keys of the two objects do not collide.
struct Envelope<'a> {
    summary: &'a mut Summary,
    on_series: OnSeries<'a>,
    meter: &'a Meter,
}

impl Envelope<'_> {
    fn nested(&mut self) -> Envelope<'_> {
        Envelope { summary: self.summary, on_series: self.on_series, meter: self.meter }
    }
}

impl<'de> DeserializeSeed<'de> for Envelope<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Envelope<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer of a Prometheus query")
    }

    /// The `data` of a query that failed.
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            self.meter.next_element();
            match &*key {
                "status" => self.summary.status = map.next_value()?,
                "errorType" => self.summary.error_type = map.next_value()?,
                "error" => self.summary.error = map.next_value()?,
                "isPartial" => self.summary.is_partial = map.next_value::<Option<bool>>()?.unwrap_or_default(),
                "warnings" => add_notes(&mut self.summary.warnings, map.next_value::<Option<_>>()?.unwrap_or_default()),
                "infos" => add_notes(&mut self.summary.infos, map.next_value::<Option<_>>()?.unwrap_or_default()),
                "resultType" => self.summary.result_type = map.next_value()?,
                "data" | "result" => map.next_value_seed(self.nested())?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
            self.meter.next_element();
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(raw) = seq.next_element::<Box<RawValue>>()? {
            // The parser has read exactly up to the closing brace of the series.
            let (text, end) = (raw.get(), self.meter.position.get());
            let series: Series<'_> = serde_json::from_str(text).map_err(A::Error::custom)?;
            self.summary.add_series(&series).map_err(A::Error::custom)?;
            (self.on_series)(&series, end - text.len() as u64..end).map_err(A::Error::custom)?;
            self.meter.next_element();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary_of(text: &str) -> Result<Summary, Unreadable> {
        read(text.as_bytes(), &mut |_, _| Ok(()))
    }

    #[test]
    fn everything_is_counted_and_its_place_is_known() {
        let text = r#" {"status" : "success","isPartial":true,"data":{"resultType":"matrix","result":[
            {"metric":{"__name__":"a","le":"+Inf"} ,"values":[ [1,"NaN"],[2.5,"-Inf"],[3,"1e3"] ]},
            {"metric":{},"values" : [],"histograms":[[4,{"count":"1","sum":"2","buckets":[[0,"1","2","3"]]}]]}]},
            "warnings":["w"],"infos":["i"],"stats":{"seriesFetched":"2"}} "#;
        let mut places = Vec::new();
        let summary = read(text.as_bytes(), &mut |series, at| {
            places.push((series.values.len(), at));
            Ok(())
        })
        .unwrap();
        assert_eq!((summary.series, summary.samples), (2, 4));
        assert_eq!((summary.not_a_number, summary.infinite, summary.native_histograms), (1, 1, 1));
        assert_eq!(summary.covered, Some((1.0, 4.0)));
        assert_eq!((summary.warnings, summary.infos, summary.is_partial), (vec!["w".into()], vec!["i".into()], true));
        assert_eq!(summary.families.into_iter().collect::<Vec<_>>(), ["a"]);
        let at = |range: &Range<u64>| &text[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
        let seen: Vec<_> = places.iter().map(|(values, range)| (*values, at(range))).collect();
        assert_eq!(
            seen,
            [
                (3, r#"{"metric":{"__name__":"a","le":"+Inf"} ,"values":[ [1,"NaN"],[2.5,"-Inf"],[3,"1e3"] ]}"#),
                (
                    0,
                    r#"{"metric":{},"values" : [],"histograms":[[4,{"count":"1","sum":"2","buckets":[[0,"1","2","3"]]}]]}"#
                )
            ]
        );
    }

    #[test]
    fn a_foreign_answer_differs_from_one_that_broke_off() {
        for text in [
            "<html>login</html>",
            r#"{"data":{"result":[{"values":[["x","1"]]}]}}"#,
            r#"{"data":{"result":[{"values":[[1,"one"]]}]}}"#,
            r#"{"data":{"result":[{"values":[[1,"1",2]]}]}}"#,
            "{} {}",
            r#"{"a":1,}"#,
            "7",
        ] {
            assert!(matches!(summary_of(text), Err(Unreadable::Foreign(_))), "{text}");
        }
        for text in ["", "{", r#"{"data":{"result":[{"values":[[1,"#] {
            assert!(matches!(summary_of(text), Err(Unreadable::Cut(_))), "{text}");
        }
        assert!(summary_of(r#"{"status":"error","data":null}"#).is_ok());
    }

    #[test]
    fn an_element_cannot_fill_the_memory() {
        for beginning in [r#"{"data":{"result":[{"metric":{"a":""#, r#"{"error":""#, r#"{"status":"success"}"#] {
            let endless =
                io::Read::chain(beginning.as_bytes(), io::repeat(if beginning.ends_with('}') { b' ' } else { b'x' }));
            assert!(
                matches!(read_within(10_000, endless, &mut |_, _| Ok(())), Err(Unreadable::TooLarge)),
                "{beginning}"
            );
        }
    }
}
