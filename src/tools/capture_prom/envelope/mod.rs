//! A query's answer, understood while it streams by.
//!
//! The answer is never held: its series and samples are counted one by one, and whoever needs more than the counts listens.
//! What is held is bounded by [`ELEMENT_LIMIT`] for each element and by the caps of [`Summary`], whatever the server sends.

mod meter;
mod visit;

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::ops::Range;

use serde::de::DeserializeSeed;

pub(super) use meter::Meter;
use meter::Metered;

use crate::escape;

/// More bytes than this in one label set, sample or message are no answer but an attack on the memory.
const ELEMENT_LIMIT: u64 = 1024 * 1024;
/// How many metric names are remembered.
const FAMILIES: usize = 20;
/// How many warnings and how many infos are remembered; Prometheus sends ten of each at the most.
const NOTES: usize = 100;
/// How many characters of a name or a note are remembered.
const CHARACTERS: usize = 2000;

/// What an answer says besides its samples, and how many of those there are.
#[derive(Clone, Debug, Default)]
pub(super) struct Summary {
    pub(super) status: Option<String>,
    pub(super) error_type: Option<String>,
    pub(super) error: Option<String>,
    pub(super) warnings: Vec<String>,
    pub(super) infos: Vec<String>,
    /// VictoriaMetrics: parts of the cluster did not answer.
    pub(super) is_partial: bool,
    pub(super) result_type: Option<String>,
    pub(super) series: u64,
    /// All samples, native histograms included.
    pub(super) samples: u64,
    pub(super) not_a_number: u64,
    pub(super) infinite: u64,
    pub(super) native_histograms: u64,
    /// The earliest and the latest sample, in seconds.
    pub(super) covered: Option<(f64, f64)>,
    /// Metric names, at most [`FAMILIES`].
    pub(super) families: BTreeSet<String>,
}

impl Summary {
    /// Adds what another part of the same answer says.
    pub(super) fn add(&mut self, other: Self) {
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
        for name in other.families {
            self.family(name);
        }
    }

    fn cover(&mut self, time: f64) {
        let (first, last) = self.covered.unwrap_or((time, time));
        self.covered = Some((first.min(time), last.max(time)));
    }

    fn family(&mut self, name: String) {
        if self.families.len() < FAMILIES {
            self.families.insert(escape::start(&name, CHARACTERS));
        }
    }
}

/// Adds those of `more` that are not among `notes` yet, while there is room.
pub(super) fn add_notes(notes: &mut Vec<String>, more: Vec<String>) {
    for note in more {
        let note = escape::start(&note, CHARACTERS);
        if notes.len() < NOTES && !notes.contains(&note) {
            notes.push(note);
        }
    }
}

/// What kind of points an array holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Points {
    /// `[time, "value"]`.
    Values,
    /// `[time, {…}]`: native histograms.
    Histograms,
}

/// Hears of each part of an answer as it streams by. An error ends the reading and becomes its error.
pub(super) trait Listener {
    /// Whether the text of native histograms is wanted; where it is not it streams by unread.
    const HISTOGRAMS: bool = false;

    /// A series' labels: their text, a JSON object, and where it stands.
    fn metric(&mut self, _text: &str, _at: Range<u64>) -> Result<(), String> {
        Ok(())
    }
    /// One sample.
    fn value(&mut self, _time: f64, _value: &str) -> Result<(), String> {
        Ok(())
    }
    /// One native histogram, if wanted.
    fn histogram(&mut self, _time: f64, _text: &str) -> Result<(), String> {
        Ok(())
    }
    /// An array of `count` points has ended; `at` is where its elements stand, brackets excluded.
    fn points(&mut self, _kind: Points, _count: u64, _at: Range<u64>) -> Result<(), String> {
        Ok(())
    }
    /// A series has ended.
    fn end(&mut self) -> Result<(), String> {
        Ok(())
    }
}

/// Hears nothing.
impl Listener for () {}

/// Why an answer could not be read to its end.
#[derive(Debug)]
pub(super) enum Unreadable {
    /// Reading failed, or the text ended in the middle.
    Cut(String),
    /// It is not what Prometheus answers.
    Foreign(String),
}

/// Reads one answer from `input`, to the end of it.
pub(super) fn read<L: Listener>(input: impl Read, listener: &mut L) -> Result<Summary, Unreadable> {
    let meter = Meter::default();
    let mut summary = Summary::default();
    let mut deserializer = serde_json::Deserializer::from_reader(Metered::new(input, &meter));
    let seed = visit::Envelope { summary: &mut summary, listener, meter: &meter };
    let read = seed.deserialize(&mut deserializer).and_then(|()| {
        meter.skip();
        deserializer.end()
    });
    match read {
        Ok(()) => Ok(summary),
        Err(error) => Err(match error.classify() {
            serde_json::error::Category::Io => Unreadable::Cut(io::Error::from(error).to_string()),
            serde_json::error::Category::Eof => Unreadable::Cut("the text ends in the middle".to_owned()),
            serde_json::error::Category::Syntax | serde_json::error::Category::Data => {
                Unreadable::Foreign(error.to_string())
            }
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Remembers where everything stands.
    #[derive(Default)]
    struct Places(Vec<Range<u64>>);

    impl Listener for Places {
        fn metric(&mut self, _: &str, at: Range<u64>) -> Result<(), String> {
            self.0.push(at);
            Ok(())
        }
        fn points(&mut self, _: Points, _: u64, at: Range<u64>) -> Result<(), String> {
            self.0.push(at);
            Ok(())
        }
    }

    #[test]
    fn everything_is_counted_and_its_place_is_known() {
        let text = r#" {"status" : "success","isPartial":true,"data":{"resultType":"matrix","result":[
            {"metric":{"__name__":"a","le":"+Inf"} ,"values":[ [1,"NaN"],[2.5,"-Inf"],[3,"1e3"] ]},
            {"metric":{},"values" : [],"histograms":[[4,{"count":"1","sum":"2","buckets":[[0,"1","2","3"]]}]]}]},
            "warnings":["w"],"infos":["i"],"stats":{"seriesFetched":"2"}} "#;
        let mut places = Places::default();
        let summary = read(text.as_bytes(), &mut places).unwrap();
        assert_eq!((summary.series, summary.samples), (2, 4));
        assert_eq!((summary.not_a_number, summary.infinite, summary.native_histograms), (1, 1, 1));
        assert_eq!(summary.covered, Some((1.0, 4.0)));
        assert_eq!((summary.warnings, summary.infos, summary.is_partial), (vec!["w".into()], vec!["i".into()], true));
        assert_eq!(summary.families.into_iter().collect::<Vec<_>>(), ["a"]);
        let at = |range: &Range<u64>| &text[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
        let seen: Vec<_> = places.0.iter().map(at).collect();
        assert_eq!(
            seen,
            [
                r#"{"__name__":"a","le":"+Inf"}"#,
                r#" [1,"NaN"],[2.5,"-Inf"],[3,"1e3"] "#,
                "{}",
                "",
                r#"[4,{"count":"1","sum":"2","buckets":[[0,"1","2","3"]]}]"#
            ]
        );
    }

    #[test]
    fn what_is_not_an_answer_is_told_from_one_that_broke_off() {
        for text in
            ["<html>login</html>", "[]", r#"{"data":{"result":[{"values":[["x","1"]]}]}}"#, "{} {}", r#"{"a":1,}"#]
        {
            assert!(matches!(read(text.as_bytes(), &mut ()), Err(Unreadable::Foreign(_))), "{text}");
        }
        for text in ["", "{", r#"{"data":{"result":[{"values":[[1,"#] {
            assert!(matches!(read(text.as_bytes(), &mut ()), Err(Unreadable::Cut(_))), "{text}");
        }
    }

    #[test]
    fn an_element_cannot_fill_the_memory() {
        let endless = io::Read::chain(&br#"{"data":{"result":[{"metric":{"a":""#[..], io::repeat(b'x'));
        let Err(Unreadable::Cut(why)) = read(io::BufReader::new(endless), &mut ()) else { panic!("it was read") };
        assert!(why.contains("larger than any"), "{why}");
    }
}
