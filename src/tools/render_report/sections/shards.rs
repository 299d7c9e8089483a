//! The section on the shards of a run.

use std::collections::BTreeSet;

use itertools::Itertools;

use super::{LISTED, LISTED_IN_HTML, more_in};
use crate::figures::outcome::counts_text;
use crate::figures::shards::ShardFigures;
use crate::figures::{Figures, any_listed, listed};
use crate::markup::{Content, Format, Inline, cell};
use crate::record::{Pod, Role};
use crate::tools::render_report::observed::Observed;
use crate::tools::render_report::run_dir;
use crate::units;

/// The number of pods and containers that a sentence names.
const NAMED: usize = 5;

/// A row per shard: first those that did not run as they were asked to.
pub(in super::super) fn shards(page: &mut Content, figures: &Figures, observed: &Observed) {
    let shards = &figures.shards;
    if shards.is_empty() {
        return;
    }
    page.heading("Shards");
    let mut sorted: Vec<&ShardFigures> = shards.iter().collect();
    sorted.sort_by_key(|shard| !shard.is_notable());
    let limit = if page.format() == Format::Markdown { LISTED } else { LISTED_IN_HTML };
    let rows: Vec<_> = sorted.iter().take(limit).map(|shard| row(shard)).collect();
    page.table(["Shard>", "Stream", "Node?", "Attempts>?", "Lines>", "Jobs", "Start lag>?", "Remarks?"], rows);
    if shards.len() > limit {
        let more = format!("{} more are in ", shards.len() - limit);
        page.paragraph(more_in(more, run_dir::REPORT));
    }
    page.paragraph(starts(figures));
    page.paragraph(generator(shards, observed));
}

fn row(shard: &ShardFigures) -> Vec<Inline> {
    let stream = shard.stream.as_ref();
    let pods = stream.map(|stream| stream.pods.as_slice()).unwrap_or_default();
    let nodes: BTreeSet<&str> = pods.iter().filter_map(|pod| pod.node.as_deref()).collect();
    let lines = stream.map(|stream| match stream.missing_lines {
        Some(missing) => format!("{}, {missing} missing", stream.lines),
        None => stream.lines.to_string(),
    });
    vec![
        format!("{}/{}", shard.shard.index, shard.shard.count).into(),
        stream.map_or_else(|| "not verified".to_owned(), |stream| format!("{:?}", stream.result)).into(),
        cell(any_listed(nodes)),
        cell(shard.attempts().map(|attempts| attempts.to_string())),
        cell(lines),
        counts_text(&shard.jobs).into(),
        cell(shard.start_lag_seconds.map(units::seconds)),
        cell(remarks(shard)),
    ]
}

/// The reasons why the shard did not run as it was asked to; none if it did.
fn remarks(shard: &ShardFigures) -> Option<String> {
    let stream = shard.stream.as_ref();
    let message = stream.and_then(|stream| stream.message.clone());
    let pods = stream.map(|stream| stream.pods.as_slice()).unwrap_or_default();
    let bad = pods.iter().filter(|pod| pod.has_problem());
    let more =
        Some(bad.clone().count()).filter(|count| *count > NAMED).map(|count| format!("and {} more", count - NAMED));
    let bad = bad.take(NAMED).map(describe).chain(more);
    let parts = message.into_iter().chain(bad).chain(shard.limits.iter().cloned()).join("; ");
    (!parts.is_empty()).then_some(parts)
}

/// A pod that did not succeed: `load-3-x: Evicted on node-b, exit code 143`.
fn describe(pod: &Pod) -> String {
    let Pod { name, node, phase, reason, message, exit_code } = pod;
    let why = reason.as_deref().or(phase.as_deref()).unwrap_or("no reason is known");
    let node = node.as_ref().map_or_else(|| ", on no node".to_owned(), |node| format!(" on {node}"));
    let exit = exit_code.map_or_else(String::new, |code| format!(", exit code {code}"));
    let message = message.as_ref().map_or_else(String::new, |text| format!(" ({})", crate::escape::shorten(text, 160)));
    format!("{name}: {why}{node}{exit}{message}")
}

/// The distance between the first submissions of the shards.
fn starts(figures: &Figures) -> String {
    let begun = || figures.shards.iter().filter_map(|shard| shard.first_submitted);
    let (Some(first), Some(last)) = (begun().min(), begun().max()) else {
        return "No shard submitted a job.".to_owned();
    };
    let spread = units::seconds(last.since(first));
    let skew = figures.tally.clock_skew_seconds();
    let clocks = match skew {
        0.0 => "all by one clock".to_owned(),
        skew if skew.is_finite() => format!("± {}, because the clocks of their hosts may differ by that much", units::seconds(skew)),
        _ => "but the clocks of their hosts were not compared with the target's, so no figure over several shards is certain".to_owned(),
    };
    format!(
        "The first submissions of the {} lie within {spread}: {clocks}. A start lag is by the shard's own clock.",
        units::counted(begun().count() as u64, "shard", "shards")
    )
}

/// Whether the load generator itself was the limit.
fn generator(shards: &[ShardFigures], observed: &Observed) -> String {
    let limited = shards.iter().filter(|shard| !shard.limits.is_empty()).map(|shard| shard.shard.index).collect_vec();
    let own = match limited.len() {
        0 => "No shard reports a limit of its own host.".to_owned(),
        count => {
            let (all, limited) = (shards.len(), listed(limited));
            format!("The load generator itself was a limit in {count} of {all} shards: {limited}.")
        }
    };
    let throttled = observed.throttled.iter().filter(|(_, periods)| **periods > 0.0);
    let throttled = any_listed(throttled.map(|(pod, periods)| format!("{pod} in {periods:.0} periods")));
    let throttling = match (observed.query(Role::Throttling), throttled) {
        (None, _) => format!(
            "CPU throttling of the load generator's containers was not captured; that needs a query with the role {}.",
            Role::Throttling
        ),
        (Some(_), None) => "No sample shows that a container of the load generator was throttled.".to_owned(),
        (Some(_), Some(pods)) => format!("Samples show that containers of the load generator were throttled: {pods}."),
    };
    format!("{own} {throttling}")
}
