//! Links to the pages of other tools that show the same run, with its window filled in.

use maud::{Markup, html};

use crate::links;
use crate::record::{Kind, Series, Window};
use crate::tools::render_report::scene::Scene;

/// Number of graphs on a page of Prometheus.
const GRAPHS: usize = 4;

/// The links, if their addresses are known and the run has a window.
pub(super) fn pages(scene: &Scene<'_>) -> Vec<Markup> {
    let Some((linked, window)) = scene.linked.zip(window(scene)) else { return Vec::new() };
    let run = scene.evaluation.report.metadata.run.as_str();
    let grafana = linked.grafana.as_ref().map(|base| ("Grafana", links::grafana_dashboard(base, window, run)));
    let queries = queries(scene);
    let queries: Vec<&str> = queries.iter().map(String::as_str).collect();
    let prometheus = linked.prometheus.as_ref().filter(|_| !queries.is_empty());
    let prometheus = prometheus.map(|base| ("Prometheus", links::prometheus_graph(base, window, &queries)));
    let link = |(name, address): (&str, String)| html! { a rel="noreferrer" href=(address) { (name) } };
    grafana.into_iter().chain(prometheus).map(link).collect()
}

/// From the first submission to the last end, or the window of the captures.
fn window(scene: &Scene<'_>) -> Option<Window> {
    let load = &scene.evaluation.figures.load;
    let of_jobs = load.first_submitted.zip(load.last_end).map(|(start, end)| Window { start, end });
    of_jobs.or(scene.evaluation.captures.window)
}

/// The captured queries that are graphs as they are.
fn queries(scene: &Scene<'_>) -> Vec<String> {
    let series = scene.input.fold.of_kind::<Series>(Kind::Series);
    // Parts of histograms say little as they are.
    let is_part = |series: &Series| series.role().is_some_and(|of| of.part.is_some());
    series.filter(|series| !is_part(series)).map(|series| series.spec.query).take(GRAPHS).collect()
}
