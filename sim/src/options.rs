//! Every option of the stand-in: the flags of the binary, which tests set directly.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use chrono::TimeDelta;
use clap::{Args, Parser, ValueEnum};

use crate::fault::{self, StageFault, StatusFault, Which};
use crate::stage::Stage;
use crate::units;

/// The heading of the faults of single jobs.
const JOB_FAULTS: &str = "Job faults (WHICH counts accepted jobs: 3, or 3,5, or 10%; repeatable)";
/// The heading of the faults of the HTTP API.
const API_FAULTS: &str = "API faults (WHICH counts requests; repeatable)";

/// The options of a stand-in.
///
/// `Options::default()` is a healthy pipeline at real speed; [`Options::from_flags`] reads the same flags as the binary, which is how
/// tests ask for faults.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct Options {
    /// Serve the job API here [default: a free loopback port with a COMMAND, else 127.0.0.1:8000]
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,

    /// Read staged files from this directory
    #[arg(long, value_name = "DIR", default_value = ".stack-data")]
    pub data: PathBuf,

    /// Path of --data in the sources of the jobs
    #[arg(long, value_name = "PATH", default_value = "/data")]
    pub worker_root: String,

    /// Write the worker logs to this directory [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    pub logs: Option<PathBuf>,

    /// Make ids, times and faults repeatable [default: a random seed]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// Multiply every stage and switching time: 0.01 is a hundred times as fast
    #[arg(long, value_name = "FACTOR", default_value = "1", value_parser = units::factor, help_heading = "Pipeline")]
    pub time_scale: f64,

    /// Set the time of a stage, before file size, jitter and --time-scale, as in l2=2s (repeatable)
    #[arg(long, value_name = "STAGE=TIME", value_parser = fault::stage_time, help_heading = "Pipeline")]
    pub stage_time: Vec<(Stage, f64)>,

    /// Process this many language-model requests of a batch at once
    #[arg(long, value_name = "N", env = "OLLAMA_NUM_PARALLEL", hide_env_values = true, default_value = "8", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1024), help_heading = "Pipeline")]
    pub num_parallel: usize,

    /// Dead-letter a stage after this many attempts
    #[arg(long, value_name = "N", default_value = "3", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Pipeline")]
    pub max_attempts: u32,

    /// Write a stage in the job document as an object with times, or as a plain word
    #[arg(
        long,
        value_name = "object|string",
        default_value = "object",
        hide_possible_values = true,
        help_heading = "Pipeline"
    )]
    pub stage_shape: StageShape,

    /// The faults that it injects.
    #[command(flatten)]
    pub faults: Faults,

    /// The telemetry that the stand-in offers.
    #[command(flatten)]
    pub observe: Observe,
}

/// The two documented forms of a stage in a job document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StageShape {
    /// `{"state": "done", "attempt": 1, "queued_at": …}`
    Object,
    /// `"done"`
    String,
}

/// The telemetry that the stand-in offers: metrics, a Prometheus query API over its own scrapes, a Jaeger query API over its own spans.
#[derive(Debug, Clone, PartialEq, Args)]
#[command(next_help_heading = "Telemetry")]
pub struct Observe {
    /// Serve /SERVICE/metrics here [default: a free loopback port with a COMMAND, else 127.0.0.1:9464]
    #[arg(long, value_name = "ADDR:PORT")]
    pub metrics_listen: Option<SocketAddr>,

    /// Serve the Prometheus query API here [default: a free loopback port with a COMMAND, else 127.0.0.1:9090]
    #[arg(long, value_name = "ADDR:PORT")]
    pub prom_listen: Option<SocketAddr>,

    /// Scrape every service this often
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = units::interval)]
    pub scrape_interval: Duration,

    /// Serve the Jaeger query API here [default: a free loopback port with a COMMAND, else 127.0.0.1:16686]
    #[arg(long, value_name = "ADDR:PORT")]
    pub jaeger_listen: Option<SocketAddr>,

    /// Serve the search API of old Jaegers (v1), of new ones (v3), or both
    #[arg(long, value_name = "v1|v3|both", default_value = "both", hide_possible_values = true)]
    pub jaeger_api: JaegerApi,

    /// Return at most this many traces in one answer, whatever the limit in the query
    #[arg(long, value_name = "N", default_value = "1000", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub jaeger_page: usize,

    /// Also export spans to URL/v1/traces (OTLP/HTTP, JSON)
    #[arg(long, value_name = "URL", value_parser = units::http_url)]
    pub otlp: Option<String>,

    /// Run the stage queues on this RabbitMQ
    #[cfg(feature = "amqp")]
    #[arg(long, value_name = "amqp://HOST:PORT", env = "PIPELINE_SIM_AMQP", hide_env_values = true)]
    pub amqp: Option<String>,

    /// Make a span searchable this long after its end
    #[arg(long, value_name = "TIME", default_value = "200ms", value_parser = units::duration)]
    pub span_delay: Duration,
}

/// The query APIs that Jaeger has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum JaegerApi {
    /// Search under /api/traces only
    V1,
    /// Search under /api/v3/traces only
    V3,
    /// Both
    Both,
}

/// Faults that are injected on purpose.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct Faults {
    /// Fail the stage at every attempt, and with it the job
    #[arg(long, value_name = "STAGE:WHICH", help_heading = JOB_FAULTS)]
    pub fail: Vec<StageFault>,

    /// Fail the stage at its first attempt only
    #[arg(long, value_name = "STAGE:WHICH", help_heading = JOB_FAULTS)]
    pub flaky: Vec<StageFault>,

    /// Never end the stage of this job; other jobs go on
    #[arg(long, value_name = "STAGE:WHICH", help_heading = JOB_FAULTS)]
    pub hang: Vec<StageFault>,

    /// Block the worker in this stage until a SIGUSR1 releases every job
    #[arg(long, value_name = "STAGE:WHICH", help_heading = JOB_FAULTS)]
    pub hold: Vec<StageFault>,

    /// Skip the stage without a trace of it; the job goes on
    #[arg(long, value_name = "STAGE:WHICH", help_heading = JOB_FAULTS)]
    pub drop: Vec<StageFault>,

    /// Forget the accepted job: answer 404 from then on
    #[arg(long, value_name = "WHICH", help_heading = JOB_FAULTS)]
    pub lose: Vec<Which>,

    /// Count jobs by the number in the name of their source (3 for soak/003.webm), whatever the order of acceptance
    #[arg(long, help_heading = JOB_FAULTS)]
    pub number_by_name: bool,

    /// Answer with the id of the job accepted before
    #[arg(long, value_name = "WHICH", help_heading = JOB_FAULTS)]
    pub same_id: Vec<Which>,

    /// Date the job's times an hour before its submission
    #[arg(long, value_name = "WHICH", help_heading = JOB_FAULTS)]
    pub stale: Vec<Which>,

    /// Accept the n-th POST and run the job, but never answer
    #[arg(long, value_name = "WHICH", help_heading = API_FAULTS)]
    pub no_answer: Vec<Which>,

    /// Refuse the n-th POST with this status; no job is created
    #[arg(long, value_name = "STATUS:WHICH[:RETRY_AFTER]", help_heading = API_FAULTS)]
    pub refuse: Vec<StatusFault>,

    /// Accept the n-th POST and cut off its answer in the body
    #[arg(long, value_name = "WHICH", help_heading = API_FAULTS)]
    pub cut_post: Vec<Which>,

    /// Answer the n-th poll with this status
    #[arg(long, value_name = "STATUS:WHICH[:RETRY_AFTER]", help_heading = API_FAULTS)]
    pub poll_status: Vec<StatusFault>,

    /// Cut off the answer to the n-th poll in the body
    #[arg(long, value_name = "WHICH", help_heading = API_FAULTS)]
    pub cut: Vec<Which>,

    /// Answer the n-th poll with broken JSON
    #[arg(long, value_name = "WHICH", help_heading = API_FAULTS)]
    pub garble: Vec<Which>,

    /// Lose the job's spans
    #[arg(long, value_name = "WHICH", help_heading = JOB_FAULTS)]
    pub lose_trace: Vec<Which>,

    /// Do not serve Prometheus
    #[arg(long, help_heading = "Telemetry")]
    pub prom_down: bool,

    /// Do not serve Jaeger
    #[arg(long, help_heading = "Telemetry")]
    pub jaeger_down: bool,

    /// Refuse POSTs (503, Retry-After: 1) while N jobs are unfinished
    #[arg(long, value_name = "N", help_heading = API_FAULTS)]
    pub capacity: Option<usize>,

    /// Delay every answer by this, as in 200ms
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = units::duration, hide_default_value = true, help_heading = API_FAULTS)]
    pub delay: Duration,

    /// Close the listener and every connection after accepting N jobs
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = API_FAULTS)]
    pub die_after: Option<u64>,

    /// Answer the health check with 503
    #[arg(long, help_heading = API_FAULTS)]
    pub unhealthy: bool,

    /// Spell a status word differently, as in done=completed
    #[arg(long, value_name = "WORD=SENT", value_parser = fault::status_word, help_heading = API_FAULTS)]
    pub status_word: Vec<(String, String)>,

    /// Run the server's clock ahead by this, or behind: 5s, -5s
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = units::offset, hide_default_value = true, allow_hyphen_values = true, help_heading = API_FAULTS)]
    pub clock_offset: TimeDelta,
}

impl Default for Options {
    /// The defaults of the flags, whatever `OLLAMA_NUM_PARALLEL` says.
    fn default() -> Self {
        Self::from_flags(["--num-parallel", "8"]).expect("the defaults of the flags are valid")
    }
}

impl Options {
    /// Reads flags as the binary does: `Options::from_flags(["--fail", "l2:3"])`.
    ///
    /// Of a flag that takes one value the last counts. `OLLAMA_NUM_PARALLEL` in the environment is honoured here as there.
    pub fn from_flags<'a>(flags: impl IntoIterator<Item = &'a str>) -> Result<Self, clap::Error> {
        #[derive(Parser)]
        #[command(args_override_self = true)]
        struct Flags {
            #[command(flatten)]
            options: Options,
        }
        let argv = std::iter::once("pipeline-sim").chain(flags);
        Flags::try_parse_from(argv).map(|flags| flags.options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_a_healthy_pipeline_at_real_speed() {
        let options = Options::default();
        assert_eq!(options.faults, Faults::default());
        assert_eq!((options.time_scale, options.num_parallel, options.max_attempts, options.seed), (1.0, 8, 3, None));
        assert_eq!((options.observe.jaeger_page, options.observe.scrape_interval), (1000, Duration::from_secs(1)));
    }

    #[test]
    fn flags_repeat_and_take_negative_offsets() {
        let flags = ["--fail", "l2:3", "--fail", "l1:10%", "--clock-offset", "-5s", "--delay", "200ms"];
        let faults = Options::from_flags(flags).unwrap().faults;
        assert_eq!(faults.fail.len(), 2);
        assert_eq!(faults.clock_offset, TimeDelta::seconds(-5));
        assert_eq!(faults.delay, Duration::from_millis(200));
        assert_eq!(Options::from_flags(["--seed", "1", "--seed", "2"]).unwrap().seed, Some(2));
    }

    #[test]
    fn nonsense_is_refused() {
        for flags in [["--num-parallel", "0"], ["--fail", "l9:1"], ["--die-after", "0"], ["--time-scale", "-1"]] {
            assert!(Options::from_flags(flags).is_err(), "{flags:?}");
        }
    }
}
