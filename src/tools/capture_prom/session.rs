//! From the stream's end to the last record: the window, the waiting, each query, and what is said of it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::beginning::Beginning;
use super::fetch::{Asking, Extras, Trouble, not_written};
use super::files::{Aside, DIRECTORY, Files};
use super::grid::Grid;
use super::judge::{all_names, captured_status, doubt_too, status, suggest, unreachable};
use super::settle::{Settled, settle};
use super::{Args, Format};
use crate::capture::{self, Ended, Passed, padded};
use crate::cli::{Exit, Failure, Io, Outcome};
use crate::http::BaseUrl;
use crate::ndjson::Writer;
use crate::profile::{Profile, Query};
use crate::prometheus::{Problem, Server};
use crate::record::{CaptureResult, Kind, Metadata, Record, Series, SeriesSpec, SeriesStatus, Window};

/// More points than this are a mistake in the window or the step: a thousand chunks.
const POINTS: u64 = 11_000_000;
/// Longer names would not fit a file's name once they are made safe.
const NAME: usize = 60;

/// Runs the tool.
pub(super) fn run(args: &Args, mut io: Io<'_>) -> Outcome {
    let profile = Profile::load(args.profile.as_deref())?;
    let queries = queries(args, &profile)?;
    let given = args.prometheus.as_deref().or(profile.prometheus.url.as_deref()).unwrap_or_default().trim();
    let base = (!given.is_empty()).then(|| BaseUrl::parse(given, "--prometheus")).transpose()?;
    let client = args.client()?;
    args.window.check()?;
    if args.check {
        return Ok(Exit::Done);
    }
    let dir = capture::writable_dir(&args.out.join(DIRECTORY))?;
    let mut passed = capture::pass(&mut io, &args.window)?;
    let hard = args.require || !passed.in_run;
    let secrets = args.http.has_secrets() || args.user_env.is_some();
    let base = passed.choose_server(Kind::Series, args.prometheus.is_some(), base, secrets)?;
    let off = base.is_none();
    if queries.is_empty() {
        let what = format!("the profile {} names no queries", profile.name);
        // Switched off by name, there is nothing that could be missing.
        if hard && (args.require || !off) {
            return Err(Failure::usage(format!("{what}: give some by --query NAME=PROMQL")));
        }
        // A profile without metrics must not break the pipe that it stands in.
        io.console.say(&what);
        passed.nothing_asked = true;
    }
    let mut session = Session { args, dir, passed, window: None, server_url: None, ended: Vec::new() };
    match base {
        _ if session.passed.nothing_asked => {}
        None => {
            io.console.say("off, for --prometheus and PROM_URL are empty: nothing is captured");
            session.none(&queries, &Problem::new(capture::OFF, "no Prometheus was named"), &mut io)?;
        }
        Some(base) => {
            session.server_url = Some(base.as_str().to_owned());
            match session.passed.window {
                Some(window) => {
                    session.window = Some(window);
                    let clock = session.passed.clock.clone();
                    let mut server = Server::new(base, client.exchange(), clock, io.stop.clone());
                    session.all(&queries, window, &mut server, &mut io)?;
                }
                None if hard && !session.passed.in_run => {
                    return Err(Failure::usage("which window? give --start and --end, or pipe Job records in"));
                }
                None => {
                    let problem = Problem::new("NoWindow", "no job was submitted, so there is no window to ask for");
                    session.none(&queries, &problem, &mut io)?;
                }
            }
        }
    }
    session.passed.finish(&[], &session.ended, hard && !off, &mut io)
}

/// The profile's queries and those of the command line. Each name makes files of its own.
fn queries(args: &Args, profile: &Profile) -> Result<Vec<Query>, Failure> {
    let queries: Vec<Query> = profile.prometheus.queries.iter().chain(&args.queries).cloned().collect();
    let mut names = BTreeSet::new();
    for Query { name, .. } in &queries {
        let refused = |why: &str| Err(Failure::usage(format!("the query name `{name}` {why}")));
        if !names.insert(name) {
            return refused("stands twice (--query and the profile's queries share their names)");
        }
        if name.len() > NAME {
            return refused(&format!("is longer than {NAME} bytes"));
        }
        if name.strip_suffix(".raw").is_some() || name.contains(".chunk-") {
            return refused("would make files that belong to another query");
        }
    }
    Ok(queries)
}

struct Session<'a> {
    args: &'a Args,
    dir: PathBuf,
    passed: Passed,
    window: Option<Window>,
    server_url: Option<String>,
    /// How each query ended, and why.
    ended: Vec<Ended>,
}

impl Session<'_> {
    /// Asks everything.
    fn all(&mut self, queries: &[Query], window: Window, server: &mut Server, io: &mut Io<'_>) -> Result<(), Failure> {
        let is_whole = |query: &Query, passed: &Passed| passed.has_whole(Kind::Series, &query.name, &self.args.out);
        if queries.iter().all(|query| is_whole(query, &self.passed)) {
            self.ended = queries.iter().map(|_| (CaptureResult::Ok, None)).collect();
            return Ok(());
        }
        if let Err(problem) = server.ready() {
            io.console.say(&problem.message);
            return self.none(queries, &unreachable(problem), io);
        }
        let wanted = Grid::around(padded(window, self.args.window.pad), self.args.step);
        let left = self.passed.left_to_settle(self.args.window.settle);
        let settled = settle(server, io, window.end, wanted.end(), left);
        let (grid, mut doubts) = match self.plan(window, &settled, server) {
            Ok(plan) => plan,
            Err(problem) => {
                io.console.say(&problem.message);
                return self.none(queries, &problem, io);
            }
        };
        for doubt in &doubts {
            io.console.say(&doubt.message);
        }
        let mut names = None;
        let mut gone = None;
        let mut unasked: &[Query] = &[];
        // What is said of a query may depend on what came of the others, so all are asked before any record is written.
        let mut asked: Vec<(&Query, SeriesStatus)> = Vec::with_capacity(queries.len());
        let mut asides = Vec::with_capacity(queries.len());
        for (index, query) in queries.iter().enumerate() {
            if gone.is_some() {
                unasked = &queries[index..];
                break;
            }
            if is_whole(query, &self.passed) {
                self.ended.push((CaptureResult::Ok, None));
                continue;
            }
            let extras = Extras { raw: !self.args.no_raw, table: self.args.format == Format::Csv };
            if self.outdone(query, CaptureResult::Ok) {
                io.console.say(&format!("{}: what was captured before, from another server, is kept", query.name));
                self.ended.push((CaptureResult::Partial, None));
                continue;
            }
            // Until it is known to be better, what comes lies beside what an earlier capture left.
            let aside = match self.outdone(query, CaptureResult::Error).then(|| Aside::new(&self.dir)).transpose() {
                Ok(aside) => aside,
                Err(failure) => {
                    asked.push((query, status(CaptureResult::Error, &[not_written(failure)?])));
                    asides.push(None);
                    continue;
                }
            };
            let files = Files::new(aside.as_ref().map_or(&self.dir, Aside::path), &query.name);
            let asking = Asking { server, console: &io.console, files, query, grid };
            let mut status = match asking.capture(extras) {
                Ok(captured) => captured_status(captured, &doubts),
                Err(Trouble::Failure(failure)) => status(CaptureResult::Error, &[not_written(failure)?]),
                Err(Trouble::Problem(problem)) => {
                    if problem.is_silence() {
                        gone = server.ready().err().map(unreachable);
                    }
                    status(CaptureResult::Error, &[problem])
                }
            };
            if status.result == CaptureResult::Empty {
                let names = names.get_or_insert_with(|| all_names(server, grid));
                suggest(&mut status, query, names.as_deref());
            }
            asked.push((query, status));
            asides.push(aside);
        }
        let tolerance = self.args.step + settled.interval.unwrap_or_default();
        let beginning = Beginning { window, grid, tolerance };
        if let Some(late) = beginning.doubt(server, &asked) {
            io.console.say(&late.message);
            for (_, status) in &mut asked {
                doubt_too(status, &late);
            }
            doubts.push(late);
        }
        for ((query, mut status), aside) in asked.into_iter().zip(asides) {
            if let (Some(aside), false) = (aside, self.outdone(query, status.result))
                && let Err(failure) = Files::new(&self.dir, &query.name).take(&aside)
            {
                status = self::status(CaptureResult::Error, &[not_written(failure)?]);
            }
            status.settled_by = Some(settled.by.to_owned());
            status.scraped_until = settled.scraped_until;
            status.clock_offset = server.offset();
            tell(query, &status, &doubts, io);
            self.emit(query, Some(grid), status, io)?;
        }
        match gone {
            Some(problem) => self.none(unasked, &problem, io),
            None => Ok(()),
        }
    }

    /// The grid to ask for, and what is doubtful about all of it.
    ///
    /// The padding never reaches beyond the last scrape: points there would repeat an older value.
    fn plan(&self, window: Window, settled: &Settled, server: &Server) -> Result<(Grid, Vec<Problem>), Problem> {
        let (pad, step) = (self.args.window.pad, self.args.step);
        let (mut asked, now) = (padded(window, pad), server.now());
        let offset = server.offset();
        let bound = offset.map_or(0.0, |offset| offset.bound_seconds);
        let mut doubts: Vec<Problem> = settled.problem.iter().cloned().collect();
        let horizon = settled.scraped_until.map_or(now, |scraped| scraped.min(now));
        if horizon < asked.end {
            asked.end = window.end.max(horizon.shifted(-step.as_secs_f64()));
        }
        if window.end.since(now) > bound {
            doubts.push(Problem::new(
                "FutureWindow",
                format!("the window ends at {}, and on the server's clock it is {now}", window.end),
            ));
            asked.end = now;
        }
        let shifted = offset.filter(|offset| offset.seconds.abs() - offset.bound_seconds > pad.as_secs_f64());
        if let (Some(offset), true) = (shifted, self.passed.in_run) {
            let side = if offset.seconds > 0.0 { "ahead of" } else { "behind" };
            doubts.push(Problem::new(
                "ClockOffset",
                format!(
                    "the server's clock is {} {side} ours, more than the padding, so the window's samples are stamped outside of what is asked; set the clocks or give --pad {:.0}s",
                    crate::units::seconds(offset.seconds.abs()),
                    (offset.seconds.abs() + offset.bound_seconds).ceil() + pad.as_secs_f64(),
                ),
            ));
        }
        if asked.end < asked.start {
            return Err(doubts.pop().unwrap_or_else(|| Problem::new("FutureWindow", "the window has not begun")));
        }
        let grid = Grid::around(asked, step);
        if grid.points() > POINTS {
            let message =
                format!("{} points of a series are more than {POINTS}: look at --start and --step", grid.points());
            return Err(Problem::new("TooManyPoints", message));
        }
        Ok((grid, doubts))
    }

    /// Whether an earlier capture of `query` brought more than one that ends as `result`.
    fn outdone(&self, query: &Query, result: CaptureResult) -> bool {
        self.passed.outdone(Kind::Series, &query.name, &self.args.out, result)
    }

    /// Says of all `queries` that nothing came.
    fn none(&mut self, queries: &[Query], problem: &Problem, io: &mut Io<'_>) -> Result<(), Failure> {
        for query in queries {
            self.emit(query, None, status(CaptureResult::Error, std::slice::from_ref(problem)), io)?;
        }
        Ok(())
    }

    /// Writes a query's record.
    fn emit(
        &mut self,
        query: &Query,
        grid: Option<Grid>,
        mut status: SeriesStatus,
        io: &mut Io<'_>,
    ) -> Result<(), Failure> {
        self.ended.push((status.result, status.reason.clone()));
        if self.outdone(query, status.result) {
            io.console.say(&format!("{}: what was captured before is kept", query.name));
            return Ok(());
        }
        status.observed_at = Some(self.passed.clock.now());
        let series = Series {
            metadata: Metadata { name: query.name.clone(), ..self.passed.metadata.clone() },
            spec: SeriesSpec {
                query: query.query.clone(),
                by: query.by.clone(),
                server: self.server_url.clone(),
                window: self.window,
                start: grid.map(Grid::start),
                end: grid.map(Grid::end),
                step_seconds: grid.map(Grid::step_seconds).or(Some(self.args.step.as_secs_f64())),
                points: grid.map(Grid::points),
            },
            status,
        };
        let record = Record::new(Kind::Series, &series).map_err(|error| Failure::usage(error.to_string()))?;
        Writer::new(io.stdout).record(&record)
    }
}

/// Says on stderr what a person should know of a query. What is doubtful about all of them was said already.
fn tell(query: &Query, status: &SeriesStatus, doubts: &[Problem], io: &Io<'_>) {
    io.console.clear_progress();
    if let (Some(reason), Some(message)) = (&status.reason, &status.message)
        && !doubts.iter().any(|doubt| doubt.reason == reason)
    {
        let result = format!("{:?}", status.result).to_lowercase();
        io.console.say(&format!("{}: {result}, {reason}: {message}", query.name));
    }
    if status.families.len() > 1 {
        let names = status.families.join(", ");
        io.console.say(&format!("{}: the query matches several metrics: {names}", query.name));
    }
}
