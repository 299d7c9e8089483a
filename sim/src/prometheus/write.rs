//! Results in the exact spelling of Prometheus: times as numbers with up to three decimals, values as strings.
//!
//! All of it is written into a `String`, which cannot fail.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::store::{Labels, Series};

/// `{"resultType":"matrix","result":[…]}`.
pub(super) fn matrix(series: &[Series]) -> String {
    result("matrix", series, |out, (_, points)| {
        out.push_str("\"values\":[");
        for (index, point) in points.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            push_point(out, *point);
        }
        out.push(']');
    })
}

/// `{"resultType":"vector","result":[…]}`: the newest sample of each series, dated to the time of evaluation.
pub(super) fn vector(series: &[Series], at: i64) -> String {
    result("vector", series, |out, (_, points)| {
        out.push_str("\"value\":");
        let value = points.last().map_or(f64::NAN, |(_, value)| *value);
        push_point(out, (at, value));
    })
}

fn result(kind: &str, series: &[Series], mut push: impl FnMut(&mut String, &Series)) -> String {
    let mut out = format!("{{\"resultType\":\"{kind}\",\"result\":[");
    for (index, one) in series.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str("{\"metric\":");
        out.push_str(&metric(&one.0));
        out.push(',');
        push(&mut out, one);
        out.push('}');
    }
    out.push_str("]}");
    out
}

fn metric(labels: &Labels) -> String {
    let pairs = labels.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str())));
    Value::Object(pairs.collect::<Map<_, _>>()).to_string()
}

fn push_point(out: &mut String, (at, value): (i64, f64)) {
    let (seconds, millis) = (at.div_euclid(1000), at.rem_euclid(1000));
    let _written = match millis {
        0 => write!(out, "[{seconds},\"{}\"]", number(value)),
        _ => write!(out, "[{seconds}.{millis:03},\"{}\"]", number(value)),
    };
}

/// A value in Go's shortest decimal form, which is Rust's but for the infinities.
fn number(value: f64) -> String {
    if value == f64::INFINITY {
        "+Inf".to_owned()
    } else if value == f64::NEG_INFINITY {
        "-Inf".to_owned()
    } else {
        value.to_string()
    }
}

/// A duration in Prometheus' form: whole units, `1s`, `500ms`, `1m30s`.
pub(super) fn duration(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "flags bound it to a year, from 0 up")]
    let mut millis = (seconds * 1000.0).round() as u64;
    let mut out = String::new();
    for (unit, length) in [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
        if millis >= length {
            let _written = write!(out, "{}{unit}", millis / length);
            millis %= length;
        }
    }
    if out.is_empty() { "0s".to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_prometheus_writes() {
        let labels = vec![("__name__".to_owned(), "weird".to_owned()), ("stage".to_owned(), "ren\"der".to_owned())];
        let points = vec![(1_795_423_705_000, 45.0), (1_795_423_702_190, f64::INFINITY), (5, f64::NAN), (1000, 0.1)];
        assert_eq!(
            matrix(&[(labels.clone(), points)]),
            r#"{"resultType":"matrix","result":[{"metric":{"__name__":"weird","stage":"ren\"der"},"values":[[1795423705,"45"],[1795423702.190,"+Inf"],[0.005,"NaN"],[1,"0.1"]]}]}"#
        );
        assert_eq!(
            vector(&[(labels, vec![(5, 1.0), (6, 2.5)])], 7000),
            r#"{"resultType":"vector","result":[{"metric":{"__name__":"weird","stage":"ren\"der"},"value":[7,"2.5"]}]}"#
        );
        assert_eq!(matrix(&[]), r#"{"resultType":"matrix","result":[]}"#);
    }

    #[test]
    fn writes_durations_in_whole_units() {
        assert_eq!([1.0, 0.5, 90.0, 3600.0].map(duration), ["1s", "500ms", "1m30s", "1h"]);
    }
}
