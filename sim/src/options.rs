//! Every option of the stand-in: the flags of the binary, which tests set directly.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use chrono::TimeDelta;
use clap::{Args, Parser, ValueEnum};

use crate::fault::{StageFault, StageTime, StatusFault, StatusWord, Which};
use crate::units;

/// The options of a stand-in.
///
/// `Options::default()` is a healthy pipeline at real speed; [`Options::from_flags`] reads the same flags as the binary, which is how
/// tests ask for faults.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct Options {
    /// Address of the job API [default: a free loopback port with a COMMAND, else 127.0.0.1:8000]
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,

    /// Directory that the workers see as --worker-root
    #[arg(long, value_name = "DIR", default_value = ".stack-data")]
    pub data: PathBuf,

    /// Path under which the workers see --data
    #[arg(long, value_name = "PATH", default_value = "/data")]
    pub worker_root: String,

    /// Directory for the worker logs [default: a private temporary one, removed at the end]
    #[arg(long, value_name = "DIR")]
    pub logs: Option<PathBuf>,

    /// Makes ids, times and faults repeatable [default: a fresh one each time]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// Factor on every stage and switching time: 0.01 is a hundred times faster
    #[arg(long, value_name = "FACTOR", default_value = "1", value_parser = units::factor)]
    pub time_scale: f64,

    /// Time of one stage, before file size, jitter and --time-scale (repeatable), as in l2=2s
    #[arg(long, value_name = "STAGE=TIME")]
    pub stage_time: Vec<StageTime>,

    /// Language-model requests that run at once within a batch
    #[arg(long, value_name = "N", env = "OLLAMA_NUM_PARALLEL", hide_env_values = true, default_value = "8",
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1024))]
    pub num_parallel: usize,

    /// Attempts that a stage gets before it is dead-lettered
    #[arg(long, value_name = "N", default_value = "3", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_attempts: u32,

    /// Form of a stage in the job document
    #[arg(long, value_name = "SHAPE", default_value = "object")]
    pub stage_shape: StageShape,

    /// The telemetry that the stand-in offers.
    #[command(flatten)]
    pub observe: Observe,

    /// The faults that it injects.
    #[command(flatten)]
    pub faults: Faults,
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
#[command(next_help_heading = "Observability")]
pub struct Observe {
    /// Address of the services' /SERVICE/metrics [default: a free loopback port with a COMMAND, else 127.0.0.1:9464]
    #[arg(long, value_name = "ADDR:PORT")]
    pub metrics_listen: Option<SocketAddr>,

    /// Address of the Prometheus query API [default: a free loopback port with a COMMAND, else 127.0.0.1:9090]
    #[arg(long, value_name = "ADDR:PORT")]
    pub prom_listen: Option<SocketAddr>,

    /// Time between two scrapes of every service
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = units::interval)]
    pub scrape_interval: Duration,

    /// Address of the Jaeger query API [default: a free loopback port with a COMMAND, else 127.0.0.1:16686]
    #[arg(long, value_name = "ADDR:PORT")]
    pub jaeger_listen: Option<SocketAddr>,

    /// The API that Jaeger has: v1 as old servers, v3 as new ones
    #[arg(long, value_name = "API", default_value = "both")]
    pub jaeger_api: JaegerApi,

    /// Most traces in one answer of Jaeger, whatever limit is asked for
    #[arg(long, value_name = "N", default_value = "1000",
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub jaeger_page: usize,

    /// Also export spans by OTLP/HTTP, as JSON, to URL/v1/traces
    #[arg(long, value_name = "URL", value_parser = units::http_url)]
    pub otlp: Option<String>,

    /// Run the stage queues on this RabbitMQ
    #[cfg(feature = "amqp")]
    #[arg(long, value_name = "amqp://HOST:PORT", env = "PIPELINE_SIM_AMQP", hide_env_values = true)]
    pub amqp: Option<String>,

    /// Time from the end of a span until it can be found
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
#[derive(Debug, Clone, Default, PartialEq, Args)]
#[command(next_help_heading = "Faults (WHICH is 3, or 3,5, or 10%; each flag may be repeated)")]
pub struct Faults {
    /// The stage raises at every attempt: the n-th accepted job fails
    #[arg(long, value_name = "STAGE:WHICH")]
    pub fail: Vec<StageFault>,

    /// The stage raises at its first attempt only
    #[arg(long, value_name = "STAGE:WHICH")]
    pub flaky: Vec<StageFault>,

    /// The stage starts and never ends for that job; other jobs go on
    #[arg(long, value_name = "STAGE:WHICH")]
    pub hang: Vec<StageFault>,

    /// The stage starts and holds up its worker for that job, until a SIGUSR1 lets every job go
    #[arg(long, value_name = "STAGE:WHICH")]
    pub hold: Vec<StageFault>,

    /// The stage never appears and emits nothing; the job goes on without it
    #[arg(long, value_name = "STAGE:WHICH")]
    pub drop: Vec<StageFault>,

    /// The n-th accepted job is forgotten: 404 from then on
    #[arg(long, value_name = "WHICH")]
    pub lose: Vec<Which>,

    /// The n-th accepted job is answered with the id of the one before it
    #[arg(long, value_name = "WHICH")]
    pub same_id: Vec<Which>,

    /// The n-th accepted job's times lie an hour before its submission
    #[arg(long, value_name = "WHICH")]
    pub stale: Vec<Which>,

    /// The n-th POST is accepted, runs, and is never answered
    #[arg(long, value_name = "WHICH")]
    pub no_answer: Vec<Which>,

    /// The n-th POST is refused with this status: no job
    #[arg(long, value_name = "STATUS:WHICH[:RETRY_AFTER]")]
    pub refuse: Vec<StatusFault>,

    /// The n-th POST is accepted and its answer cut off inside the body
    #[arg(long, value_name = "WHICH")]
    pub cut_post: Vec<Which>,

    /// The n-th poll is answered with this status
    #[arg(long, value_name = "STATUS:WHICH[:RETRY_AFTER]")]
    pub poll_status: Vec<StatusFault>,

    /// The n-th poll's answer is cut off inside the body
    #[arg(long, value_name = "WHICH")]
    pub cut: Vec<Which>,

    /// The n-th poll is answered with broken JSON
    #[arg(long, value_name = "WHICH")]
    pub garble: Vec<Which>,

    /// The n-th accepted job's spans never arrive
    #[arg(long, value_name = "WHICH")]
    pub lose_trace: Vec<Which>,

    /// Nobody listens where Prometheus should be
    #[arg(long)]
    pub prom_down: bool,

    /// Nobody listens where Jaeger should be
    #[arg(long)]
    pub jaeger_down: bool,

    /// Refuse (503, Retry-After: 1) while N jobs are unfinished
    #[arg(long, value_name = "N")]
    pub capacity: Option<usize>,

    /// Answer everything this much later, as in 200ms
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = units::duration, hide_default_value = true)]
    pub delay: Duration,

    /// After the n-th accepted job is answered, close the listener and every connection
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub die_after: Option<u64>,

    /// The health check answers 503
    #[arg(long)]
    pub unhealthy: bool,

    /// Spell a status word otherwise on the wire, as in done=completed
    #[arg(long, value_name = "WORD=SENT")]
    pub status_word: Vec<StatusWord>,

    /// Run the server's clock this far ahead, or behind: 5s, -5s
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = units::offset, hide_default_value = true,
          allow_hyphen_values = true)]
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
