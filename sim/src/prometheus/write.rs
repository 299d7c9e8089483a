//! Results in the exact spelling of Prometheus: times as numbers with up to three decimals, values as strings.

use serde_json::{Map, Value};

use super::store::{Labels, Series};

/// `{"resultType":"matrix","result":[…]}`.
pub(super) fn matrix(series: &[Series]) -> String {
    result("matrix", series, |points| {
        let points: Vec<String> = points.iter().copied().map(point).collect();
        format!("\"values\":[{}]", points.join(","))
    })
}

/// `{"resultType":"vector","result":[…]}`: the newest sample of each series, dated to the time of evaluation.
pub(super) fn vector(series: &[Series], at: i64) -> String {
    result("vector", series, |points| {
        let value = points.last().map_or(f64::NAN, |(_, value)| *value);
        format!("\"value\":{}", point((at, value)))
    })
}

fn result(kind: &str, series: &[Series], samples: impl Fn(&[(i64, f64)]) -> String) -> String {
    let entry = |(labels, points): &Series| format!("{{\"metric\":{},{}}}", metric(labels), samples(points));
    let entries: Vec<String> = series.iter().map(entry).collect();
    format!("{{\"resultType\":\"{kind}\",\"result\":[{}]}}", entries.join(","))
}

fn metric(labels: &Labels) -> String {
    let pairs = labels.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str())));
    Value::Object(pairs.collect::<Map<_, _>>()).to_string()
}

fn point((at, value): (i64, f64)) -> String {
    match (at.div_euclid(1000), at.rem_euclid(1000)) {
        (seconds, 0) => format!("[{seconds},\"{}\"]", number(value)),
        (seconds, millis) => format!("[{seconds}.{millis:03},\"{}\"]", number(value)),
    }
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
}
