//! stress-suite: small Unix tools that stress-test an asynchronous job pipeline and keep the evidence.
//!
//! The tools exchange one record a line (NDJSON) over stdin and stdout; the pipe is the control loop and the run
//! directory is the record:
//!
//! ```text
//! stage-fixtures ─► await-idle ─► submit-jobs ─► poll-jobs ─► capture-logs ─► capture-prom ─► capture-jaeger ─► render-report
//!        Run, Job     when idle        ▲   Submitted   │ ended         Logs          Series          Traces           Report
//!                                      └──── slots ◄───┘                                                        + run directory
//! ```
//!
//! Dependencies point one way: `src/bin` → [`tools`] → everything else. A tool never imports another tool; what two
//! tools need lives in one of the shared modules:
//!
//! | module | what it holds |
//! |---|---|
//! | [`record`] | the contract: the envelope, one type per kind, folding |
//! | [`ndjson`] | reading and writing lines of records |
//! | [`cli`] | what every tool's `main` does: arguments, signals, diagnostics, exit codes |
//! | [`clock`] | one clock for all tools of a run, and the offset to the target's |
//! | [`cookies`] | the cookies of submissions, which go with the polls |
//! | [`digest`] | SHA-256 of the streams of shards |
//! | [`http`] | one way to make an HTTP agent and to tell its errors apart |
//! | [`profile`] | a target's profile: paths, pointers, status words, stages |
//! | [`listing`] | passes over the lists that tell the states of many jobs |
//! | [`health`] | the target's health check and the settings it reports |
//! | [`escape`] | text from targets made safe for Markdown, HTML, CSV, XML and the terminal |
//! | [`promql`] | recognising plain selectors in PromQL |
//! | [`prometheus`] | a Prometheus that is asked, and what its refusals mean |
//! | [`html`] | pages for people: the shell, tables, charts as inline SVG |
//! | [`journal`] | the submissions on disk, from which a second start goes on |
//! | [`links`] | addresses of the pages on which other tools show a run |
//! | [`own_limits`] | the limits of this process, which are never charged to the target |
//! | [`stored_jobs`] | the last record of every job of a stream, left on disk |
//! | [`slots`] | the FIFO by which `poll-jobs` tells `submit-jobs` that a job has ended |
//! | [`figures`] | what follows from a folded stream: the account of the jobs, durations with bounds, load, stages |
//! | [`target`] | which target, through which profile, and how it is polled: what three tools share |
//! | [`token`] | the access token of a target, which its tools share |
//! | [`runs`] | the Runs that pass through a tool |
//! | [`input`] | standard input: a thread that reads it, and what a signal does where a person sits there |
//! | [`thread_demand`] | the number of threads that blocking requests need |
//! | [`workers`] | a pool of threads that block on HTTP |
//! | [`capture`] | the window of a capture, when it is soft, and what of an earlier one is kept |
//! | [`secrets`] | the secrets that a process knows, struck out of what it says |
//! | [`scenario`] | finished scenarios on disk: finding and reading them |
//! | [`statistics`] | exact comparison of two small sets of figures |
//! | [`markup`] | the content of a report, written as Markdown or HTML, with all text escaped |
//! | [`units`] | durations and rates as people type and read them |

pub mod capture;
pub mod cli;
pub mod clock;
pub mod cookies;
pub mod digest;
pub mod escape;
pub mod figures;
pub mod health;
pub mod heartbeat;
pub mod html;
pub mod http;
pub mod input;
pub mod journal;
pub mod links;
pub mod listing;
pub mod markup;
pub mod ndjson;
pub mod own_limits;
pub mod private_file;
pub mod profile;
pub mod prometheus;
pub mod promql;
pub mod quantity;
pub mod record;
pub mod runs;
pub mod scenario;
pub mod secrets;
pub mod slots;
pub mod staging;
pub mod statistics;
pub mod steps;
pub mod stored_jobs;
pub mod target;
pub mod thread_demand;
pub mod token;
pub mod tools;
pub mod units;
pub mod workers;
