//! The records of one scenario. Those of jobs stay on disk.

use std::fs::File;
use std::io::BufReader;

use super::job_index::{Indexer, JobIndex};
use super::shift::Shift;
use super::source::Source;
use crate::cli::{Console, Failure};
use crate::figures::job_facts::SharedNames;
use crate::figures::run_plan::{NAMEABLE, RunPlan};
use crate::figures::streams::Streams;
use crate::figures::tally::JobEntry;
use crate::ndjson::{BadLines, Line, Reader};
use crate::record::{Fold, Job, Kind, Record, Series, Timestamp, Traces, Window, job_name};
use crate::scenario::RECORDS;

/// Takes a job with its last record, if there is one.
type EachJob<'a> = dyn FnMut(&JobEntry, Option<&Job>) -> Result<(), Failure> + 'a;

/// The records of one scenario.
pub(super) struct Recorded<'a> {
    pub(super) source: &'a Source,
    pub(super) console: &'a Console,
    /// The distances by which its times are moved.
    pub(super) shift: Shift,
    /// Every record but those of jobs.
    pub(super) fold: Fold,
    jobs: JobIndex,
    plans: Vec<RunPlan>,
    /// From the first submission to the last that was heard of a job; without jobs the window of the captures.
    pub(super) window: Option<Window>,
    /// Lines of the file were broken.
    pub(super) broken: bool,
}

impl<'a> Recorded<'a> {
    /// Reads the records of `source`. Its times stay where they are.
    pub(super) fn read(source: &'a Source, console: &'a Console) -> Result<Self, Failure> {
        let path = source.directory.join(RECORDS);
        let name = format!("{}/{RECORDS}", source.shown);
        let failed = |error: std::io::Error| Failure::io(&name, &error);
        let file = File::open(&path).map_err(failed)?;
        let mut reader = Reader::named(BufReader::with_capacity(64 * 1024, file.try_clone().map_err(failed)?), &name);
        let (mut jobs, mut fold, mut window) = (Indexer::new(file, &name), Fold::default(), None);
        let mut bad_lines = BadLines::default();
        while let Some(read) = reader.next() {
            match bad_lines.take(read.map_err(failed)?, console) {
                Some(Line::Record(record)) if record.kind() == Kind::Job => {
                    jobs.add(&record, &reader.place())?;
                    widen(&mut window, &record)?;
                }
                Some(Line::Record(record)) => fold.add(record),
                _ => {}
            }
        }
        let broken = bad_lines.broken() > 0;
        bad_lines.close(console);
        let jobs = jobs.finish();
        let plans = RunPlan::all(&fold, &Streams::read(&fold), |each| jobs.for_each(each))?;
        let window = window.or_else(|| captured_window(&fold));
        Ok(Self { source, console, shift: Shift::default(), fold, jobs, plans, window, broken })
    }

    /// Hands each job that counts to `each` with its record, by run and name, and then those that were asked for and never heard
    /// of.
    pub(super) fn for_each_job(&self, each: &mut EachJob<'_>) -> Result<(), Failure> {
        let mut names = SharedNames::default();
        self.jobs.for_each(&mut |job| {
            if job.is_warmup() {
                return Ok(());
            }
            each(&JobEntry::new(&job, self.plan_of(&job), &mut names), Some(&job))
        })?;
        if self.fold.runs().any(|run| run.spec.subset) {
            return Ok(());
        }
        for (index, plan) in self.plans.iter().enumerate() {
            let Some((prefix, jobs)) = asked(plan) else { continue };
            let run = names.get(&plan.run);
            let asked = (1..=jobs).map(|number| job_name(prefix, number, jobs));
            self.jobs.for_each_missing(&plan.run, asked, &mut |name| {
                each(&JobEntry::missing(run.clone(), name, index), None)
            })?;
        }
        Ok(())
    }

    /// The plan that asked for `job`, or else the only one of its run.
    fn plan_of(&self, job: &Job) -> Option<(usize, &RunPlan)> {
        RunPlan::find(&self.plans, job).map(|(index, _)| (index, &self.plans[index]))
    }

    /// Moves the times so that the first submission lies at `zero`, if any.
    pub(super) fn align(&mut self, zero: Option<Timestamp>) {
        let align = zero.zip(self.zero()).map_or(0, |(zero, own)| zero.micros().saturating_sub(own.micros()));
        let mut clocks = self.fold.of_kind::<Series>(Kind::Series).filter_map(|series| series.status.clock_offset);
        let target = self.plans.iter().find_map(|plan| plan.offset);
        self.shift = Shift::new(align, clocks.next(), target);
    }

    /// The zero of the scenario's time axis: the first submission, or the start of the captured window.
    pub(super) fn zero(&self) -> Option<Timestamp> {
        self.window.map(|window| window.start)
    }
}

/// Makes `window` wide enough for the job in `record`.
fn widen(window: &mut Option<Window>, record: &Record) -> Result<(), Failure> {
    let job: Job = record.read()?;
    if !job.is_warmup()
        && let Some(start) = job.status.submitted_at
    {
        let status = &job.status;
        let heard = [status.accepted_at, status.not_ended_at, status.ended_at].into_iter().flatten().max();
        let one = Window { start, end: heard.unwrap_or(start).max(start) };
        *window = Some(window.map_or(one, |window| window.hull(one)));
    }
    Ok(())
}

fn captured_window(fold: &Fold) -> Option<Window> {
    let series = fold.of_kind::<Series>(Kind::Series).filter_map(|series| series.spec.window);
    let traces = fold.of_kind::<Traces>(Kind::Traces).filter_map(|traces| traces.spec.window);
    series.chain(traces).reduce(Window::hull)
}

/// The prefix and the number of the jobs that a run was asked for.
fn asked(plan: &RunPlan) -> Option<(&str, u64)> {
    plan.prefix.as_deref().zip(plan.jobs.filter(|jobs| *jobs <= NAMEABLE))
}
