//! The shape of an answer, as serde visitors that keep nothing.
//!
//! Places are told by the meter at moments at which the parser has read exactly as far as it has understood: after the
//! bracket that opens an array, after the bracket that closes it, after the brace that closes an object. Whoever uses a
//! place checks that what he finds there is what it should be.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{Listener, Meter, Points, Summary, add_notes};

/// The whole answer, or a part of it: the same three things are needed everywhere.
pub(super) struct Envelope<'a, L> {
    pub(super) summary: &'a mut Summary,
    pub(super) listener: &'a mut L,
    pub(super) meter: &'a Meter,
}

impl<L> Envelope<'_, L> {
    fn again(&mut self) -> Envelope<'_, L> {
        Envelope { summary: self.summary, listener: self.listener, meter: self.meter }
    }
}

impl<'de, L: Listener> DeserializeSeed<'de> for Envelope<'_, L> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, L: Listener> Visitor<'de> for Envelope<'_, L> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer of a Prometheus query")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        loop {
            self.meter.keep();
            let Some(key) = map.next_key::<Cow<'_, str>>()? else { return Ok(()) };
            match &*key {
                "status" => self.summary.status = map.next_value()?,
                "errorType" => self.summary.error_type = map.next_value()?,
                "error" => self.summary.error = map.next_value()?,
                "isPartial" => self.summary.is_partial = map.next_value::<Option<bool>>()?.unwrap_or_default(),
                "warnings" => add_notes(&mut self.summary.warnings, map.next_value::<Option<_>>()?.unwrap_or_default()),
                "infos" => add_notes(&mut self.summary.infos, map.next_value::<Option<_>>()?.unwrap_or_default()),
                "data" => map.next_value_seed(Data(self.again()))?,
                _ => {
                    self.meter.skip();
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
    }
}

/// Gives a tuple struct around [`Envelope`] the seed that visits what it is at its place.
macro_rules! part {
    ($name:ident, $doc:literal, $method:ident) => {
        #[doc = $doc]
        struct $name<'a, L>(Envelope<'a, L>);

        impl<'de, L: Listener> DeserializeSeed<'de> for $name<'_, L> {
            type Value = ();
            fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
                deserializer.$method(self)
            }
        }
    };
}

part!(Data, "`data`; null where the query failed.", deserialize_option);
part!(Members, "The members of `data`.", deserialize_map);
part!(Series, "`result`: the array of series.", deserialize_seq);
part!(One, "One series.", deserialize_map);

impl<'de, L: Listener> Visitor<'de> for Data<'_, L> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a query's data")
    }

    fn visit_none<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        Members(self.0).deserialize(deserializer)
    }
}

impl<'de, L: Listener> Visitor<'de> for Members<'_, L> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a query's data")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        loop {
            self.0.meter.keep();
            let Some(key) = map.next_key::<Cow<'_, str>>()? else { return Ok(()) };
            match &*key {
                "resultType" => self.0.summary.result_type = map.next_value()?,
                "result" => map.next_value_seed(Series(self.0.again()))?,
                _ => {
                    self.0.meter.skip();
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
    }
}

impl<'de, L: Listener> Visitor<'de> for Series<'_, L> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of series")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        loop {
            self.0.meter.keep();
            if seq.next_element_seed(One(self.0.again()))?.is_none() {
                return Ok(());
            }
        }
    }
}

impl<'de, L: Listener> Visitor<'de> for One<'_, L> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a series")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        loop {
            self.0.meter.keep();
            let Some(key) = map.next_key::<Cow<'_, str>>()? else { break };
            match &*key {
                "metric" => {
                    let raw = map.next_value::<Box<RawValue>>()?;
                    let end = self.0.meter.position();
                    let name = name(&raw).map_err(A::Error::custom)?;
                    if let Some(name) = name {
                        self.0.summary.family(name);
                    }
                    let at = end - raw.get().len() as u64..end;
                    self.0.listener.metric(raw.get(), at).map_err(A::Error::custom)?;
                }
                "values" => map.next_value_seed(Array(Points::Values, self.0.again()))?,
                "histograms" => map.next_value_seed(Array(Points::Histograms, self.0.again()))?,
                _ => {
                    self.0.meter.skip();
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        self.0.summary.series += 1;
        self.0.listener.end().map_err(A::Error::custom)
    }
}

/// The metric's name among its labels.
fn name(labels: &RawValue) -> serde_json::Result<Option<String>> {
    #[derive(Deserialize)]
    struct Labels {
        #[serde(rename = "__name__")]
        name: Option<String>,
    }
    serde_json::from_str::<Labels>(labels.get()).map(|labels| labels.name)
}

/// `values` or `histograms` of one series.
struct Array<'a, L>(Points, Envelope<'a, L>);

impl<'de, L: Listener> DeserializeSeed<'de> for Array<'_, L> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, L: Listener> Visitor<'de> for Array<'_, L> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of points")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        let start = self.1.meter.position();
        let mut count = 0;
        loop {
            self.1.meter.keep();
            if seq.next_element_seed(Point(self.0, self.1.again()))?.is_none() {
                break;
            }
            count += 1;
        }
        // The closing bracket has been read.
        let end = self.1.meter.position().saturating_sub(1);
        self.1.listener.points(self.0, count, start..end).map_err(A::Error::custom)
    }
}

/// One point: a time and a value.
struct Point<'a, L>(Points, Envelope<'a, L>);

impl<'de, L: Listener> DeserializeSeed<'de> for Point<'_, L> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, L: Listener> Visitor<'de> for Point<'_, L> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a point: its time in seconds and its value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self(kind, envelope) = self;
        let short = || A::Error::custom("a point needs a time and a value");
        let time = seq.next_element::<f64>()?.ok_or_else(short)?;
        match kind {
            Points::Values => {
                let value = Value { time, listener: &mut *envelope.listener, summary: &mut *envelope.summary };
                seq.next_element_seed(value)?.ok_or_else(short)?;
            }
            Points::Histograms => {
                envelope.summary.native_histograms += 1;
                if L::HISTOGRAMS {
                    let raw = seq.next_element::<Box<RawValue>>()?.ok_or_else(short)?;
                    envelope.listener.histogram(time, raw.get()).map_err(A::Error::custom)?;
                } else {
                    seq.next_element::<IgnoredAny>()?.ok_or_else(short)?;
                }
            }
        }
        envelope.summary.samples += 1;
        envelope.summary.cover(time);
        match seq.next_element::<IgnoredAny>()? {
            None => Ok(()),
            Some(_) => Err(A::Error::custom("a point has a time and a value and no more")),
        }
    }
}

/// A sample's value: a string that spells a number.
struct Value<'a, L> {
    time: f64,
    summary: &'a mut Summary,
    listener: &'a mut L,
}

impl<'de, L: Listener> DeserializeSeed<'de> for Value<'_, L> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<L: Listener> Visitor<'_> for Value<'_, L> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number in quotes")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        let number: f64 = text.parse().map_err(|_| E::custom("a sample's value is not a number"))?;
        self.summary.not_a_number += u64::from(number.is_nan());
        self.summary.infinite += u64::from(number.is_infinite());
        self.listener.value(self.time, text).map_err(E::custom)
    }
}
