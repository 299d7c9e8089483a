//! The report: one table for each part, in Markdown and JSON.

use serde_json::{Value, json};

use crate::measure::Cost;
use crate::target::Seen;
use crate::work::{Tool, Work};

/// One run of one tool.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) tool: Tool,
    pub(crate) cost: Cost,
    pub(crate) seen: Seen,
    /// Recorded intervals that do not hold the true end, and those that do; none for a peer, which records none.
    pub(crate) evidence: Option<(usize, usize)>,
}

const HEAD: &str = "| work | tool | wall / ideal | GETs per job | end seen late, mean | at most | last end seen after the last end | \
                    submission window | jobs per CPU s | CPU s | memory | intervals that miss the end | disturbed |\n\
                    |---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n";

/// The head of the table.
pub(crate) fn head(versions: &[(String, String)]) -> String {
    let versions: Vec<String> = versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!("Measured on {cores} cores that the target shares. Versions: {}.\n\n{HEAD}", versions.join(", "))
}

/// The median of a figure over the runs of one tool.
fn median(runs: &[&Run], figure: impl Fn(&Run) -> f64) -> f64 {
    let mut figures: Vec<f64> = runs.iter().map(|run| figure(run)).collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The rows of one part, and the same as JSON.
pub(crate) fn rows(work: &Work, runs: &[Run]) -> (String, Value) {
    let (mut text, mut values) = (String::new(), Vec::new());
    for tool in work.tools {
        let of_tool: Vec<&Run> = runs.iter().filter(|run| run.tool == *tool).collect();
        if of_tool.is_empty() {
            text.push_str(&format!("| {} | {} | not measured |\n", work.name, tool.name()));
            continue;
        }
        let of = |figure: &dyn Fn(&Run) -> f64| median(&of_tool, figure);
        let wall = of(&|run| run.cost.wall.as_secs_f64() / run.seen.ideal.as_secs_f64());
        let late = of(&|run| run.seen.late.as_secs_f64());
        let latest = of(&|run| run.seen.latest.as_secs_f64());
        let last = of(&|run| run.seen.last.as_secs_f64());
        let submitting = of(&|run| run.seen.submitting.as_secs_f64());
        let (polls, cpu, memory) = (of(&|run| run.seen.polls), of(&|run| run.cost.cpu), of(&|run| run.cost.memory));
        let disturbed = of(&|run| run.cost.disturbed);
        let per_cpu = of(&|run| run.seen.jobs as f64 / run.cost.cpu);
        let evidence = of_tool.iter().filter_map(|run| run.evidence).reduce(|a, b| (a.0 + b.0, a.1 + b.1));
        let told = evidence.map_or("–".to_owned(), |(wrong, right)| format!("{wrong} of {}", wrong + right));
        let failed = of_tool.iter().filter(|run| run.seen.untold > 0 || !run.cost.succeeded).count();
        let name = if failed > 0 { format!("{} ({failed} runs failed)", tool.name()) } else { tool.name().to_owned() };
        text.push_str(&format!(
            "| {} | {name} | {wall:.3} | {polls:.1} | {:.0} ms | {:.0} ms | {:.0} ms | {submitting:.2} s | {per_cpu:.0} | {cpu:.2} | \
             {memory:.0} MiB | {told} | {:.0} % |\n",
            work.name,
            late * 1e3,
            latest * 1e3,
            last * 1e3,
            disturbed * 100.0
        ));
        values.push(json!({
            "tool": tool.name(), "rounds": of_tool.len(), "failedRuns": failed, "wallToIdeal": wall, "getsPerJob": polls,
            "lateMeanSeconds": late, "lateMaxSeconds": latest, "lastEndSeenAfterSeconds": last,
            "submissionWindowSeconds": submitting, "jobsPerCpuSecond": per_cpu, "cpuSeconds": cpu, "memoryMib": memory,
            "disturbed": disturbed, "intervalsThatMissTheEnd": evidence.map(|(wrong, _)| wrong),
            "intervalsThatHoldIt": evidence.map(|(_, right)| right),
        }));
    }
    (text, json!({ "work": work.name, "jobs": work.jobs, "atOnce": work.at_once, "tools": values }))
}
