//! The records of one scenario. Jobs stay on disk: memory holds the place of each, not its record.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::BufReader;
use std::os::unix::fs::FileExt as _;

use super::source::Source;
use crate::cli::{Console, Failure};
use crate::figures::offset::{self, AllowedOffsets};
use crate::figures::tally::{JobEntry, JobTally, NAMEABLE, RunPlan};
use crate::ndjson::{BadLines, Line, Reader};
use crate::record::{
    ClockOffset, Fold, Job, Kind, Parsed, Record, Series, Standing, Timestamp, Traces, Window, job_name, standing,
};
use crate::scenario::RECORDS;

/// The place of a job's last record in the file, and how much that says.
#[derive(Clone, Copy, Debug)]
struct Place {
    at: u64,
    length: u32,
    standing: Standing,
}

/// The number of a run in the order in which the file names them, and the job's name.
type JobKey = (u32, Box<str>);

/// The records of one scenario.
pub(super) struct Recorded {
    file: File,
    path: String,
    /// Every record but those of jobs.
    pub(super) fold: Fold,
    runs: Vec<String>,
    jobs: BTreeMap<JobKey, Place>,
    plans: Vec<RunPlan>,
    /// From the first submission to the last that was heard of a job; without jobs the window of the captures.
    pub(super) window: Option<Window>,
    /// Lines of the file were broken.
    pub(super) broken: bool,
}

impl Recorded {
    /// Reads the records of `source`.
    pub(super) fn read(source: &Source, console: &Console) -> Result<Self, Failure> {
        let path = source.directory.join(RECORDS);
        let name = format!("{}/{RECORDS}", source.shown);
        let failed = |error: std::io::Error| Failure::io(&name, &error);
        let file = File::open(&path).map_err(failed)?;
        let mut reader = Reader::named(BufReader::with_capacity(64 * 1024, file.try_clone().map_err(failed)?), &name);
        let mut recorded = Self {
            file,
            path: name.clone(),
            fold: Fold::default(),
            runs: Vec::new(),
            jobs: BTreeMap::new(),
            plans: Vec::new(),
            window: None,
            broken: false,
        };
        let (mut bad_lines, mut numbers) = (BadLines::default(), HashMap::new());
        while let Some(read) = reader.next() {
            match bad_lines.take(read.map_err(failed)?, console) {
                Some(Line::Record(record)) if record.kind() == Kind::Job => {
                    let place = reader.place();
                    recorded.add_job(&record, place.start, place.end - place.start, &mut numbers)?;
                }
                Some(Line::Record(record)) => recorded.fold.add(record),
                _ => {}
            }
        }
        recorded.broken = bad_lines.broken() > 0;
        bad_lines.close(console);
        recorded.window = recorded.window.or_else(|| recorded.captured_window());
        recorded.plans = JobTally::from_fold(&recorded.fold, true).plans;
        recorded.narrow_offsets()?;
        Ok(recorded)
    }

    fn add_job(
        &mut self,
        record: &Record,
        at: u64,
        length: u64,
        numbers: &mut HashMap<String, u32>,
    ) -> Result<(), Failure> {
        let key = record.key();
        let number = if let Some(number) = numbers.get(&key.run) {
            *number
        } else {
            let number = u32::try_from(self.runs.len()).map_err(|_| self.too_many())?;
            self.runs.push(key.run.clone());
            numbers.insert(key.run.clone(), number);
            number
        };
        let place =
            Place { at, length: u32::try_from(length).map_err(|_| self.too_many())?, standing: standing(record) };
        let key = (number, key.name.as_str().into());
        let is_better = match self.jobs.get(&key) {
            None => true,
            Some(held) if held.standing == place.standing => self.text(held)?.trim_end() < record.text(),
            Some(held) => held.standing < place.standing,
        };
        if is_better {
            self.jobs.insert(key, place);
        }
        let job: Job = record.read()?;
        if !job.is_warmup()
            && let Some(start) = job.status.submitted_at
        {
            let status = &job.status;
            let heard = [status.accepted_at, status.not_ended_at, status.ended_at].into_iter().flatten().max();
            let one = Window { start, end: heard.unwrap_or(start).max(start) };
            self.window = Some(self.window.map_or(one, |window| window.hull(one)));
        }
        Ok(())
    }

    fn too_many(&self) -> Failure {
        Failure::input_output(format!("{}: too many runs, or a record too long", self.path))
    }

    /// The text of the record at `place`.
    fn text(&self, place: &Place) -> Result<String, Failure> {
        let mut bytes = vec![0; place.length as usize];
        self.file.read_exact_at(&mut bytes, place.at).map_err(|error| Failure::io(&self.path, &error))?;
        String::from_utf8(bytes).map_err(|_| self.changed())
    }

    fn changed(&self) -> Failure {
        Failure::input_output(format!("{}: it changed while it was read; try again", self.path))
    }

    fn job(&self, place: &Place) -> Result<Job, Failure> {
        match Record::parse(self.text(place)?.trim().trim_start_matches('\u{feff}')) {
            Ok(Parsed::Record(record)) => Ok(record.read()?),
            _ => Err(self.changed()),
        }
    }

    /// The target's clock, as far as the jobs' own times narrow it.
    fn narrow_offsets(&mut self) -> Result<(), Failure> {
        let mut plans = std::mem::take(&mut self.plans);
        for plan in &mut plans {
            if !plan.has_one_clock || offset::is_well_known(plan.offset) {
                continue;
            }
            let mut allowed = AllowedOffsets::default();
            for ((run, _), place) in &self.jobs {
                if self.runs[*run as usize] == plan.run {
                    allowed.add(&self.job(place)?);
                }
            }
            plan.offset = allowed.narrow(plan.offset);
        }
        self.plans = plans;
        Ok(())
    }

    fn captured_window(&self) -> Option<Window> {
        let series = self.fold.of_kind::<Series>(Kind::Series).filter_map(|series| series.spec.window);
        let traces = self.fold.of_kind::<Traces>(Kind::Traces).filter_map(|traces| traces.spec.window);
        series.chain(traces).reduce(Window::hull)
    }

    /// Hands each job that counts to `each`, by run and name, and then those that were asked for and never heard of.
    pub(super) fn for_each_job(&self, each: &mut dyn FnMut(JobEntry) -> Result<(), Failure>) -> Result<(), Failure> {
        for ((run, name), place) in &self.jobs {
            let job = self.job(place)?;
            if !job.is_warmup() {
                let run = &self.runs[*run as usize];
                each(JobEntry::new((run.clone(), name.to_string()), Some(job), self.plan_of(run, name)))?;
            }
        }
        if self.fold.runs().any(|run| run.spec.subset) {
            return Ok(());
        }
        for (index, plan) in self.plans.iter().enumerate() {
            let Some((prefix, jobs)) = asked(plan) else { continue };
            let number = self.runs.iter().position(|run| *run == plan.run).and_then(|at| u32::try_from(at).ok());
            for name in (1..=jobs).map(|number| job_name(prefix, number, jobs)) {
                let heard = number.is_some_and(|number| self.jobs.contains_key(&(number, name.as_str().into())));
                if !heard {
                    each(JobEntry::new((plan.run.clone(), name), None, Some((index, plan))))?;
                }
            }
        }
        Ok(())
    }

    /// The plan that asked for a job, or else the only one of its run.
    fn plan_of(&self, run: &str, name: &str) -> Option<(usize, &RunPlan)> {
        let of_run = || self.plans.iter().enumerate().filter(|(_, plan)| plan.run == run);
        let asks_for = |plan: &RunPlan| {
            let Some((prefix, jobs)) = asked(plan) else { return false };
            let number = name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-')?.parse::<u64>().ok());
            number.is_some_and(|number| (1..=jobs).contains(&number) && job_name(prefix, number, jobs) == name)
        };
        let mut all = of_run();
        of_run().find(|(_, plan)| asks_for(plan)).or_else(|| all.next().filter(|_| all.next().is_none()))
    }

    /// The target's clock minus the harness's, as the first run knows it.
    pub(super) fn target_offset(&self) -> Option<ClockOffset> {
        self.plans.iter().find_map(|plan| plan.offset)
    }

    /// The zero of the scenario's time axis: the first submission, or the start of the captured window.
    pub(super) fn zero(&self) -> Option<Timestamp> {
        self.window.map(|window| window.start)
    }
}

/// The prefix and the number of the jobs that a run was asked for.
fn asked(plan: &RunPlan) -> Option<(&str, u64)> {
    plan.prefix.as_deref().zip(plan.jobs.filter(|jobs| *jobs <= NAMEABLE))
}
