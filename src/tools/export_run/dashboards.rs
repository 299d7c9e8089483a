//! Dashboards for the exported series: Grafana's with its provisioning files, and VMUI's.

use std::path::Path;

use serde_json::{Value, json};

use super::panels::{self, Dialect, Panel, Query};
use super::summary::Summary;
use crate::cli::Failure;
use crate::links::DASHBOARD;
use crate::record::Window;
use crate::scenario;

/// The id of the data source that is provisioned.
const SOURCE: &str = "stress-suite-replay";
/// The height of a panel and the width of the grid, in Grafana's units.
const HEIGHT: usize = 8;
const WIDTH: usize = 12;

/// Writes Grafana's dashboard and its provisioning files to `directory`.
pub(super) fn write_grafana(directory: &Path, queries: &[Query], summary: &Summary) -> Result<(), Failure> {
    let source = json!({"apiVersion": 1, "datasources": [{
        "name": "stress-suite replay", "uid": SOURCE, "type": "prometheus", "access": "proxy",
        "url": "${PROM_URL}", "isDefault": true, "editable": true,
        "jsonData": {"timeInterval": format!("{:.0}ms", summary.scrape_interval() * 1e3), "httpMethod": "POST"},
    }]});
    let provider = json!({"apiVersion": 1, "providers": [{
        "name": "stress-suite", "type": "file", "options": {"path": "${STRESS_DASHBOARDS}"},
    }]});
    // YAML takes JSON as it is.
    for (name, content) in [
        ("dashboards/stress-suite.json", grafana(queries, summary)),
        ("provisioning/datasources/stress-suite.yaml", source),
        ("provisioning/dashboards/stress-suite.yaml", provider),
    ] {
        write(directory, name, &content)?;
    }
    Ok(())
}

/// Writes VMUI's dashboard to `directory`, which `-vmui.customDashboardsPath` may name.
pub(super) fn write_vmui(directory: &Path, queries: &[Query], summary: &Summary) -> Result<(), Failure> {
    write(directory, "stress-suite.json", &vmui(queries, summary))
}

fn write(directory: &Path, name: &str, content: &Value) -> Result<(), Failure> {
    let path = directory.join(name);
    let failed = |error: std::io::Error| Failure::io(&format!("--out {}", path.display()), &error);
    let parent = path.parent().unwrap_or(directory);
    std::fs::create_dir_all(parent).map_err(failed)?;
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    scenario::replace(parent, &file, format!("{content:#}\n").as_bytes()).map_err(failed)
}

/// Grafana's dashboard with a variable `run`.
fn grafana(queries: &[Query], summary: &Summary) -> Value {
    let dialect = Dialect { runs: "run=~\"$run\"", range: "$__rate_interval" };
    let source = json!({"type": "prometheus", "uid": "${datasource}"});
    let mut place = 0;
    let mut drawn: Vec<Value> = Vec::new();
    for (title, panels) in
        [("Load", panels::of_harness(dialect)), ("Captured metrics", panels::of_queries(queries, dialect))]
    {
        let row = place;
        drawn.push(json!({"type": "row", "id": drawn.len() + 1, "title": title, "collapsed": false, "panels": [],
            "gridPos": {"x": 0, "y": row, "w": 2 * WIDTH, "h": 1}}));
        for (index, panel) in panels.iter().enumerate() {
            let at = (index % 2 * WIDTH, row + 1 + index / 2 * HEIGHT);
            place = at.1 + HEIGHT;
            drawn.push(grafana_panel(panel, drawn.len() + 1, at, &source));
        }
        place = place.max(row + 1);
    }
    let Window { start: from, end: to } = summary.window();
    json!({
        "uid": DASHBOARD, "title": "stress-suite", "tags": ["stress-suite"], "editable": true, "schemaVersion": 39,
        "timezone": "utc", "graphTooltip": 1, "annotations": {"list": []}, "time": {"from": from.to_string(), "to": to.to_string()}, "panels": drawn,
        "templating": {"list": [
            {"type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus",
                "current": {"text": "stress-suite replay", "value": SOURCE}},
            {"type": "query", "name": "run", "label": "Run", "datasource": source, "refresh": 1, "sort": 2,
                "multi": true, "includeAll": true, "current": {"text": ["All"], "value": ["$__all"]},
                "query": {"query": "label_values(run)", "refId": "run"}},
        ]},
    })
}

fn grafana_panel(panel: &Panel, id: usize, (x, y): (usize, usize), source: &Value) -> Value {
    let targets = panel.targets.iter().enumerate().map(|(index, (expression, legend))| {
        let legend = if legend.is_empty() { "__auto" } else { legend };
        json!({"refId": format!("Q{}", index + 1), "datasource": source, "expr": expression, "legendFormat": legend,
            "range": true, "editorMode": "code"})
    });
    json!({
        "type": "timeseries", "id": id, "title": panel.title, "datasource": source,
        "gridPos": {"x": x, "y": y, "w": WIDTH, "h": HEIGHT}, "targets": targets.collect::<Vec<_>>(),
        "fieldConfig": {"defaults": {"unit": grafana_unit(&panel.unit), "min": 0.0, "custom": {"fillOpacity": 10, "showPoints": "auto"}},
            "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"}},
    })
}

/// A unit as Grafana calls it; one that it does not know stands behind the number.
fn grafana_unit(unit: &str) -> String {
    let known = [
        ("", "short"),
        ("s", "s"),
        ("seconds", "s"),
        ("ms", "ms"),
        ("milliseconds", "ms"),
        ("us", "µs"),
        ("microseconds", "µs"),
        ("ns", "ns"),
        ("nanoseconds", "ns"),
        ("min", "m"),
        ("h", "h"),
        ("B", "bytes"),
        ("bytes", "bytes"),
        ("B/s", "binBps"),
        ("bytes/s", "binBps"),
        ("MiB", "mbytes"),
        ("%", "percent"),
        ("W", "watt"),
        ("°C", "celsius"),
    ];
    let found = known.into_iter().find(|(word, _)| *word == unit);
    found.map_or_else(|| format!("suffix: {unit}"), |(_, name)| name.to_owned())
}

/// VMUI's dashboard. It has no variables, so it shows every run that the server holds. VMUI folds every row but the first, so there is
/// only one.
fn vmui(queries: &[Query], summary: &Summary) -> Value {
    let range = summary.rate_range();
    let dialect = Dialect { runs: "", range: &range };
    let panels = panels::of_harness(dialect).into_iter().chain(panels::of_queries(queries, dialect)).map(|panel| {
        let (expressions, aliases): (Vec<String>, Vec<String>) = panel.targets.into_iter().unzip();
        json!({"title": panel.title, "unit": panel.unit,
            "expr": expressions, "alias": aliases, "showLegend": true, "width": 6})
    });
    let panels: Vec<Value> = panels.collect();
    json!({"title": "stress-suite", "rows": [{"title": "Load and captured metrics", "panels": panels}]})
}
