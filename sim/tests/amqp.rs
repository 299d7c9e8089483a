//! The stage queues on a real RabbitMQ, whose address `SIM_TEST_AMQP` gives. Only whoever has one builds the feature.
#![cfg(feature = "amqp")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{Rig, until};
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ConnectionProperties};
use tokio::runtime::Runtime;

/// The broker as somebody else sees it.
struct Watcher {
    runtime: Runtime,
    channel: Channel,
    _connection: Connection,
}

impl Watcher {
    fn new(url: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (connection, channel) = runtime.block_on(async {
            let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
            let channel = connection.create_channel().await.unwrap();
            (connection, channel)
        });
        Self { runtime, channel, _connection: connection }
    }

    /// The messages ready on a queue.
    fn depth(&self, queue: &str) -> u32 {
        let passive = QueueDeclareOptions { passive: true, ..Default::default() };
        let declared = self.channel.queue_declare(queue.into(), passive, FieldTable::default());
        self.runtime.block_on(declared).unwrap().message_count()
    }
}

/// One test, since there is one broker.
#[test]
fn messages_lie_on_the_broker_and_are_settled_there() {
    let url = std::env::var("SIM_TEST_AMQP").expect("SIM_TEST_AMQP names the broker, as in amqp://127.0.0.1:5672");
    let flags = ["--amqp", &url, "--time-scale", "0.02", "--fail", "l2:2", "--flaky", "whisper:1", "--hang", "l0:3"];
    let rig = Rig::new(&flags);
    let broker = Watcher::new(&url);
    let ids: Vec<String> = (1..=8).map(|n| rig.submit(n)).collect();
    let peak = until(|| Some(broker.depth("stage.whisper")).filter(|depth| *depth >= 4));
    assert!(peak <= 8, "{peak}");
    for (n, id) in (1..).zip(&ids) {
        let job = rig.until(id, |job| {
            n == 3 && job["stage_states"]["l0"]["state"] == "running" || job["finished_at"].is_string()
        });
        let status = match n {
            2 => "failed",
            3 => "running",
            _ => "done",
        };
        assert_eq!(job["status"], status, "job {n}: {job}");
    }
    until(|| (rig.stats().unfinished == 1).then_some(()));
    for stage in ["whisper", "l1", "decide", "summarize_l1", "l2", "summarize_l2", "l0", "persist"] {
        assert_eq!(broker.depth(&format!("stage.{stage}")), 0, "{stage}");
    }
    until(|| (broker.depth("dead-letters") == 1).then_some(()));
    drop(rig);
    // The message that hung was never acknowledged, so the broker gives it back.
    until(|| (broker.depth("stage.l0") == 1).then_some(()));

    // Another run purges it and begins afresh.
    let rig = Rig::new(&["--amqp", &url]);
    assert_eq!((broker.depth("stage.l0"), broker.depth("dead-letters")), (0, 0));
    assert_eq!(rig.ended(&rig.submit(1))["status"], "done");
    drop(rig);

    let nobody = pipeline_sim::Options::from_flags(["--amqp", "amqp://user:hush@127.0.0.1:1"]).unwrap();
    let error = pipeline_sim::Sim::start(nobody).unwrap_err().to_string();
    assert!(error.starts_with("--amqp: ") && !error.contains("hush"), "{error}");
}
