//! The addresses of the pages that show the exported runs, a line each.

use super::args::Args;
use super::panels::{self, Dialect, Query};
use super::summary::Summary;
use crate::cli::Failure;
use crate::http::BaseUrl;
use crate::links;

/// The base URLs of the servers to link.
pub(super) struct Bases {
    prometheus: Option<BaseUrl>,
    vmui: Option<BaseUrl>,
    grafana: Option<BaseUrl>,
    jaeger: Option<BaseUrl>,
}

/// Number of graphs on a page of Prometheus.
const GRAPHS: usize = 4;

impl Bases {
    /// Reads the flags. An empty one, which make passes for a variable that is not set, counts as absent.
    pub(super) fn parse(args: &Args) -> Result<Self, Failure> {
        let base = |url: &Option<String>, flag| {
            url.as_ref().filter(|url| !url.trim().is_empty()).map(|url| BaseUrl::parse(url, flag)).transpose()
        };
        Ok(Self {
            prometheus: base(&args.prometheus_ui, "--prometheus-ui")?,
            vmui: base(&args.vmui, "--vmui")?,
            grafana: base(&args.grafana, "--grafana")?,
            jaeger: base(&args.jaeger_ui, "--jaeger-ui")?,
        })
    }

    /// Returns true if no server is to be linked.
    pub(super) fn is_empty(&self) -> bool {
        [&self.prometheus, &self.vmui, &self.grafana, &self.jaeger].into_iter().all(Option::is_none)
    }

    /// The lines: the page and its address.
    pub(super) fn lines(&self, queries: &[Query], summary: &Summary) -> String {
        let window = summary.window();
        let range = summary.rate_range();
        let dialect = Dialect { runs: "", range: &range };
        let drawn = panels::of_harness(dialect).into_iter().take(2).chain(panels::of_queries(queries, dialect));
        let expressions: Vec<String> = drawn.filter_map(|panel| Some(panel.targets.into_iter().next()?.0)).collect();
        let expressions: Vec<&str> = expressions.iter().map(String::as_str).take(GRAPHS).collect();
        let pages = [
            self.prometheus
                .as_ref()
                .map(|base| ("Prometheus graph", links::prometheus_graph(base, window, &expressions))),
            self.vmui.as_ref().map(|base| ("VMUI dashboard", links::vmui_dashboard(base, window))),
            self.grafana
                .as_ref()
                .map(|base| ("Grafana dashboard", links::grafana_dashboard(base, window, summary.only_run()))),
        ];
        let pages = pages.into_iter().flatten().map(|(page, address)| (page.to_owned(), address));
        let traces = self.jaeger.iter().flat_map(|base| {
            let page = |service: &String| (format!("traces of {service}"), links::jaeger_search(base, window, service));
            summary.services().iter().map(page)
        });
        let lines: Vec<String> = pages.chain(traces).map(|(page, address)| format!("{page:<20} {address}")).collect();
        lines.join("\n") + "\n"
    }
}
