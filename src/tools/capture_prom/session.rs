//! The queries of a profile as the items of a capture: the waiting, each query, and what is reported of it.

use std::collections::BTreeSet;

use tempfile::TempDir;

use super::beginning::Beginning;
use super::evidence::{self, Changes, Processes};
use super::fetch::{Asking, Extras};
use super::files::{DIRECTORY, Files, aside};
use super::grid::Grid;
use super::judge::{all_names, captured_status, doubt_too, status, suggest, unreachable};
use super::lateness::AskedWindow;
use super::settle::{Settled, settle};
use super::{Args, Format};
use crate::capture::{self, Backend, CaptureOutcome, CaptureRequest, Captured, RecordContext, StreamContext};
use crate::cli::{Failure, Io, Outcome};
use crate::http::{BaseUrl, ClientFactory};
use crate::profile::{Profile, Query};
use crate::prometheus::{ASKED, Problem, Server};
use crate::record::{CaptureResult, Kind, Malformed, Reason, Record, Series, SeriesSpec, SeriesStatus};

/// More points than this are a mistake in the window or the step: a thousand chunks.
const POINTS: u64 = 11_000_000;
/// The scrape interval in seconds where nothing tells it: the default of Prometheus and of OpenTelemetry's exporters.
const DEFAULT_INTERVAL: f64 = 60.0;
/// Longer names would not fit a file's name once they are made safe.
const NAME: usize = 60;

/// Runs the tool.
pub(super) fn run(args: &Args, io: Io<'_>) -> Outcome {
    let profile = Profile::load(args.capture.profile.as_deref())?;
    let queries = queries(args, &profile)?;
    let given = args.prometheus.as_deref().or(profile.prometheus.url.as_deref()).unwrap_or_default().trim();
    let base = (!given.is_empty()).then(|| BaseUrl::parse(given, "--prometheus")).transpose()?;
    let client = args.client()?;
    capture::run(&args.capture, &Metrics { args, profile: &profile, queries, base, client }, io)
}

/// The profile's queries and those of the command line. Each name makes files of its own.
fn queries(args: &Args, profile: &Profile) -> Result<Vec<Query>, Failure> {
    let queries: Vec<Query> = profile.prometheus.queries.iter().chain(&args.queries).cloned().collect();
    let mut names = BTreeSet::new();
    for Query { name, .. } in &queries {
        let refused = |why: &str| Err(Failure::usage(format!("the query name `{name}` {why}")));
        if !names.insert(name) {
            return refused("is used twice (--query and the profile's queries share one set of names)");
        }
        if name.len() > NAME {
            return refused(&format!("is longer than {NAME} bytes"));
        }
        if name.strip_suffix(".raw").is_some() || name.contains(".chunk-") {
            return refused("would use the file names of another query");
        }
    }
    Ok(queries)
}

/// Prometheus as a back end.
struct Metrics<'a> {
    args: &'a Args,
    profile: &'a Profile,
    queries: Vec<Query>,
    /// The address of the command line or the profile; none if it is empty.
    base: Option<BaseUrl>,
    client: ClientFactory,
}

/// The result of one query, and the points of time that were asked for.
struct QueryResult {
    grid: Option<Grid>,
    status: SeriesStatus,
}

impl Captured for QueryResult {
    fn shortfall(result: CaptureResult, reason: Reason, message: String) -> Self {
        let status = SeriesStatus { result, reason: Some(reason), message: Some(message), ..SeriesStatus::default() };
        Self { grid: None, status }
    }

    fn outcome(&self) -> CaptureOutcome {
        outcome(&self.status)
    }
}

fn outcome(status: &SeriesStatus) -> CaptureOutcome {
    CaptureOutcome::new(status.result, status.reason.as_ref())
}

impl Backend for Metrics<'_> {
    const KIND: Kind = Kind::Series;
    const DIRECTORY: &'static str = DIRECTORY;
    type Item = Query;
    type Source = BaseUrl;
    type Captured = QueryResult;

    fn items(&self) -> &[Query] {
        &self.queries
    }

    fn name(query: &Query) -> &str {
        &query.name
    }

    fn no_items(&self) -> (String, &'static str) {
        (format!("the profile {} names no queries", self.profile.name), "give some with --query NAME=PROMQL")
    }

    fn source(&self, stream: &mut StreamContext) -> Result<Option<BaseUrl>, Failure> {
        let secrets = self.args.http.has_secrets() || self.args.user_env.is_some();
        stream.choose_server(Kind::Series, self.args.prometheus.is_some(), self.base.clone(), secrets)
    }

    fn switched_off(&self) -> (QueryResult, &'static str) {
        let captured = QueryResult::shortfall(CaptureResult::Error, Reason::Off, "no Prometheus was named".to_owned());
        (captured, "off, because --prometheus and PROM_URL are empty: nothing is captured")
    }

    fn capture(
        &self,
        base: BaseUrl,
        queries: &[&Query],
        request: &CaptureRequest<'_>,
        io: &Io<'_>,
    ) -> Result<Vec<QueryResult>, Failure> {
        let clock = request.stream.clock.clone();
        let server = Server::new(base, self.client.client(), clock, io.stop.clone(), io.console.clone());
        Ok(Session { args: self.args, request, server, processes: Processes::default(), io }.capture(queries))
    }

    fn record(&self, query: &Query, captured: QueryResult, context: RecordContext) -> Result<Record, Malformed> {
        let QueryResult { grid, status } = captured;
        let series = Series {
            metadata: context.metadata,
            spec: SeriesSpec {
                query: query.query.clone(),
                by: query.by.clone(),
                unit: query.unit.clone(),
                role: query.role().map(|of| of.role),
                part: query.role().and_then(|of| of.part),
                metric_type: query.metric_type,
                draw: query.draw,
                server: context.server,
                window: context.window,
                start: grid.map(Grid::start),
                end: grid.map(Grid::end),
                step_seconds: grid.map(Grid::step_seconds).or(Some(self.args.step.as_secs_f64())),
                points: grid.map(Grid::points),
            },
            status: SeriesStatus { observed_at: Some(context.observed_at), ..status },
        };
        Record::new(Kind::Series, &series)
    }
}

/// One capture.
struct Session<'a, 'io> {
    args: &'a Args,
    request: &'a CaptureRequest<'a>,
    server: Server,
    processes: Processes,
    io: &'a Io<'io>,
}

/// A query that was asked, with the files that wait for the decision to keep them.
struct AskedQuery<'a> {
    query: &'a Query,
    status: SeriesStatus,
    aside: Option<TempDir>,
}

impl Session<'_, '_> {
    /// Asks all queries.
    fn capture(mut self, queries: &[&Query]) -> Vec<QueryResult> {
        if let Err(problem) = self.server.ready() {
            self.io.console.say(&problem.message);
            return nothing(queries, &unreachable(problem));
        }
        self.server.ask_time();
        let wanted = Grid::around(self.request.padded(), self.args.step);
        let left = self.request.stream.left_to_settle(self.request.settle());
        let settled = settle(&mut self.server, self.io, self.request.window.end, wanted.end(), left);
        let (grid, mut doubts) = match self.plan(&settled) {
            Ok(plan) => plan,
            Err(problem) => {
                self.io.console.say(&problem.message);
                return nothing(queries, &problem);
            }
        };
        for doubt in &doubts {
            self.io.console.say(&doubt.message);
        }
        // The status of a query may depend on the others, so all are asked before any is reported.
        // A series is late only if it is so at any time that the server's clock may show.
        let offset = self.server.offset().map_or(0.0, |offset| offset.seconds - offset.bound_seconds);
        let end = self.request.window.end.seconds() + offset;
        let interval = settled.longest_interval.map_or(DEFAULT_INTERVAL, |interval| interval.as_secs_f64());
        let (mut asked, gone) = self.ask_all(queries, &AskedWindow { grid, end, interval }, &doubts);
        let tolerance = self.args.step + settled.interval.unwrap_or_default();
        let beginning = Beginning { window: self.request.window, grid, tolerance };
        if let Some(late) = beginning.doubt(&mut self.server, asked.iter().map(|asked| (asked.query, &asked.status))) {
            self.io.console.say(&late.message);
            for asked in &mut asked {
                doubt_too(&mut asked.status, &late);
            }
            doubts.push(late);
        }
        let mut results = Vec::with_capacity(queries.len());
        for AskedQuery { query, mut status, aside } in asked {
            if let (Some(aside), false) = (aside, self.request.is_outdone(&query.name, outcome(&status)))
                && let Err(problem) = Files::new(self.request.dir, &query.name).take(&aside)
            {
                status = self::status(CaptureResult::Error, &[problem]);
            }
            status.settled_by = Some(settled.by.to_owned());
            status.scraped_until = settled.scraped_until;
            status.clock_offset = self.server.offset();
            tell(query, &status, &doubts, self.io);
            if let (Some(notice), Some(_)) = (self.server.notice(), &status.file) {
                let before = status.message.take().map(|message| message + "; ").unwrap_or_default();
                status.message = Some(before + notice);
            }
            results.push(QueryResult { grid: Some(grid), status });
        }
        if let Some(problem) = gone {
            results.extend(nothing(&queries[results.len()..], &problem));
        }
        results
    }

    /// Asks the queries one by one until the server is gone; returns also why it is.
    fn ask_all<'q>(
        &mut self,
        queries: &[&'q Query],
        window: &AskedWindow,
        doubts: &[Problem],
    ) -> (Vec<AskedQuery<'q>>, Option<Problem>) {
        let mut names = None;
        let mut asked = Vec::with_capacity(queries.len());
        for query in queries {
            let (mut status, aside, gone) = self.ask(query, window, doubts);
            if status.result == CaptureResult::Empty {
                let names = names.get_or_insert_with(|| all_names(&mut self.server, window.grid));
                suggest(&mut status, query, names.as_deref());
            }
            asked.push(AskedQuery { query, status, aside });
            if gone.is_some() {
                return (asked, gone);
            }
        }
        (asked, None)
    }

    /// Asks one query. Returns its status, the directory of its files if they are not to be kept yet, and the problem with
    /// the server if it is gone.
    fn ask(
        &mut self,
        query: &Query,
        window: &AskedWindow,
        doubts: &[Problem],
    ) -> (SeriesStatus, Option<TempDir>, Option<Problem>) {
        // Until it is known to be better, the answer lies beside the file of the earlier capture.
        let has_earlier = self.request.is_outdone(&query.name, CaptureOutcome::new(CaptureResult::Error, None));
        let aside = match has_earlier.then(|| aside(self.request.dir)).transpose() {
            Ok(aside) => aside,
            Err(problem) => return (status(CaptureResult::Error, &[problem]), None, None),
        };
        let files = Files::new(aside.as_ref().map_or(self.request.dir, TempDir::path), &query.name);
        let extras = Extras { raw: !self.args.no_raw, table: self.args.format == Format::Csv };
        let asking = Asking { server: &mut self.server, console: &self.io.console, files, query, window: *window };
        match asking.capture(extras) {
            Ok(captured) => {
                let Changes { restarts, takeovers, failed_scrapes, processes } =
                    self.processes.changes(&mut self.server, &captured.addresses, window.grid);
                let status = captured_status(captured, doubts);
                let mut status = SeriesStatus { restarts, takeovers, failed_scrapes, processes, ..status };
                if query.unit.is_none() {
                    status.unit = evidence::unit(&mut self.server, &status);
                }
                (status, aside, None)
            }
            Err(problem) => {
                let gone = if problem.is_interrupted() {
                    Some(Problem::interrupted(ASKED))
                } else if problem.is_silence() {
                    self.server.ready().err().map(unreachable)
                } else {
                    None
                };
                (status(CaptureResult::Error, &[problem]), aside, gone)
            }
        }
    }

    /// The grid to ask for, and what is doubtful about all of it.
    ///
    /// The padding never reaches beyond the last scrape: points there would repeat an older value.
    fn plan(&self, settled: &Settled) -> Result<(Grid, Vec<Problem>), Problem> {
        let (window, pad, step) = (self.request.window, self.request.pad(), self.args.step);
        let (mut asked, now) = (self.request.padded(), self.server.now());
        let offset = self.server.offset();
        let bound = offset.map_or(0.0, |offset| offset.bound_seconds);
        let mut doubts: Vec<Problem> = settled.problem.iter().cloned().collect();
        let horizon = settled.scraped_until.map_or(now, |scraped| scraped.min(now));
        if horizon < asked.end {
            asked.end = window.end.max(horizon.shifted(-step.as_secs_f64()));
        }
        if window.end.since(now) > bound {
            doubts.push(Problem::new(
                Reason::FutureWindow,
                format!("the window ends at {}, and on the server's clock it is {now}", window.end),
            ));
            asked.end = now;
        }
        let shifted = offset.filter(|offset| offset.seconds.abs() - offset.bound_seconds > pad.as_secs_f64());
        if let (Some(offset), true) = (shifted, self.request.stream.in_run) {
            let side = if offset.seconds > 0.0 { "ahead of" } else { "behind" };
            doubts.push(Problem::new(
                Reason::ClockOffset,
                format!(
                    "the server's clock is {} {side} ours, more than the padding, so the window's samples have times outside the requested range; set the clocks, or give --pad {:.0}s",
                    crate::units::seconds(offset.seconds.abs()),
                    (offset.seconds.abs() + offset.bound_seconds).ceil() + pad.as_secs_f64(),
                ),
            ));
        }
        if asked.end < asked.start {
            return Err(doubts.pop().unwrap_or_else(|| Problem::new(Reason::FutureWindow, "the window has not begun")));
        }
        let grid = Grid::around(asked, step);
        if grid.points() > POINTS {
            let message =
                format!("a series would have {} points, more than {POINTS}: check --start and --step", grid.points());
            return Err(Problem::new(Reason::TooManyPoints, message));
        }
        Ok((grid, doubts))
    }
}

/// Results for `queries` of which nothing came.
fn nothing(queries: &[&Query], problem: &Problem) -> Vec<QueryResult> {
    let error = || status(CaptureResult::Error, std::slice::from_ref(problem));
    queries.iter().map(|_| QueryResult { grid: None, status: error() }).collect()
}

/// Says on stderr what a person should know of a query. What is doubtful about all of them was said already.
fn tell(query: &Query, status: &SeriesStatus, doubts: &[Problem], io: &Io<'_>) {
    io.console.clear_progress();
    if let (Some(reason), Some(message)) = (&status.reason, &status.message)
        && !doubts.iter().any(|doubt| doubt.reason == *reason)
    {
        let result = format!("{:?}", status.result).to_lowercase();
        io.console.say(&format!("{}: {result}, {reason}: {message}", query.name));
    }
    if status.families.len() > 1 {
        let names = status.families.join(", ");
        io.console.say(&format!("{}: the query matches several metrics: {names}", query.name));
    }
}
