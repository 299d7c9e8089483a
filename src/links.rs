//! Addresses of the pages on which other tools show a run: with the window filled in, and the run where the tool knows it.

use crate::http::{BaseUrl, form};
use crate::record::{Timestamp, Window};

/// The id of the Grafana dashboard that `export-run --as grafana` writes.
pub const DASHBOARD: &str = "stress-suite";

/// The graph page of the Prometheus at `base`, with a graph for each of `expressions`.
pub fn prometheus_graph(base: &BaseUrl, window: Window, expressions: &[&str]) -> String {
    // Debian's page drops the seconds of the end, so the graph ends with a minute.
    const MINUTE: i64 = 60_000_000;
    let end = window.end.micros().saturating_add(MINUTE - 1).div_euclid(MINUTE).saturating_mul(MINUTE);
    let window = Window { end: Timestamp::from_micros(end), ..window };
    let (end, range) = (window.end.wall_clock(' '), format!("{}s", seconds(window)));
    let graphs = expressions.iter().enumerate().map(|(index, expression)| {
        let parameters = [("expr", *expression), ("tab", "0"), ("range_input", &range), ("end_input", &end)];
        let named = parameters.map(|(name, value)| (format!("g{index}.{name}"), value));
        form(&named.each_ref().map(|(name, value)| (name.as_str(), *value)))
    });
    base.join(&format!("/graph?{}", graphs.collect::<Vec<_>>().join("&")))
}

/// The dashboard page of the VMUI at `base`.
pub fn vmui_dashboard(base: &BaseUrl, window: Window) -> String {
    let (end, range) = (window.end.wall_clock('T'), format!("{}s", seconds(window)));
    let query = [("g0.range_input", range.as_str()), ("g0.end_input", &end), ("g0.relative_time", "none")];
    base.join(&format!("/vmui/#/dashboards?{}", form(&query)))
}

/// The dashboard in the Grafana at `base`, with one run chosen unless it is empty.
pub fn grafana_dashboard(base: &BaseUrl, window: Window, run: &str) -> String {
    let [from, to] = [window.start, window.end].map(|time| (time.micros() / 1000).to_string());
    let mut query = vec![("from", from.as_str()), ("to", &to)];
    query.extend((!run.is_empty()).then_some(("var-run", run)));
    base.join(&format!("/d/{DASHBOARD}?{}", form(&query)))
}

/// The search for the traces of `service` in the Jaeger UI at `base`.
pub fn jaeger_search(base: &BaseUrl, window: Window, service: &str) -> String {
    let [start, end] = [window.start, window.end].map(|time| time.micros().to_string());
    let query = [("service", service), ("start", &start), ("end", &end), ("lookback", "custom"), ("limit", "200")];
    base.join(&format!("/search?{}", form(&query)))
}

/// The length of a window in whole seconds, at least one.
fn seconds(window: Window) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float cast saturates")]
    let seconds = window.end.since(window.start).ceil().max(1.0) as u64;
    seconds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_the_window_and_hostile_names_are_encoded() {
        let base = BaseUrl::parse("http://h:1/p", "--x").unwrap();
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let window = Window { start: time("2026-05-20T22:30:00Z"), end: time("2026-05-20T22:31:00.5Z") };
        assert_eq!(
            prometheus_graph(&base, window, &["up{a=\"b\"}", "x"]),
            "http://h:1/p/graph?g0.expr=up%7Ba%3D%22b%22%7D&g0.tab=0&g0.range_input=120s&g0.end_input=2026-05-20+22%3A32%3A00\
             &g1.expr=x&g1.tab=0&g1.range_input=120s&g1.end_input=2026-05-20+22%3A32%3A00"
        );
        assert_eq!(
            vmui_dashboard(&base, window),
            "http://h:1/p/vmui/#/dashboards?g0.range_input=61s&g0.end_input=2026-05-20T22%3A31%3A01&g0.relative_time=none"
        );
        assert_eq!(
            grafana_dashboard(&base, window, "a&b"),
            "http://h:1/p/d/stress-suite?from=1779316200000&to=1779316260500&var-run=a%26b"
        );
        assert!(
            jaeger_search(&base, window, "x y")
                .contains("/search?service=x+y&start=1779316200000000&end=1779316260500000&")
        );
    }
}
