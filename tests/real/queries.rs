//! Queries of a profile of one's own, over metrics that a real RabbitMQ exposes: figures by role, drawn and judged queries.

use serde_json::Value;

use crate::scenario::seconds;
use crate::shell::{Shell, records};
use crate::stack::Prometheus;
use crate::support::root;

/// Two queries without a role, a gauge and a counter, in the place of the default profile's queue depths.
const QUERIES: &str = r#"
[[prometheus.queries]]
name = "ready"
query = "rabbitmq_detailed_queue_messages_ready"
role = "queue-depth"
by = ["queue"]

[[prometheus.queries]]
name = "messages"
query = 'rabbitmq_detailed_queue_messages{queue="stage.l1"}'
by = ["queue"]
unit = "messages"
draw = true

[[prometheus.queries]]
name = "work"
query = 'rabbitmq_detailed_queue_process_reductions_total{queue="stage.l1"}'
by = ["queue"]
unit = "reductions/s"
draw = true
"#;

const PIPE: &str = r#"
jq -c 'select(.kind == "Run" or .kind == "Job")' run/records.ndjson |
  capture-prom --out own --profile own.toml |
  render-report --out own --profile own.toml --quiet --expect "$EXPECT"
"#;

/// Captures the window of the run in `run/` again with such a profile, and holds the report against `prometheus`.
pub fn a_profile_of_ones_own_draws_and_judges_any_query(shell: &Shell, prometheus: &Prometheus) {
    let default = std::fs::read_to_string(root().join("profiles/autorag.toml")).unwrap();
    let (before, rest) = default.split_once("[[prometheus.queries]]\nname = \"rabbitmq_queue_ready\"").unwrap();
    let (_, after) = rest.split_once("by = [\"queue\"]\n").unwrap();
    std::fs::write(shell.path("own.toml"), format!("{before}{QUERIES}{after}")).unwrap();

    let expect = "query.messages.max<=16,query.messages.min<=0,query.work.increase>=1";
    let done = shell.run(&format!("EXPECT='{expect}'\n{PIPE}"));
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let report = &shell.json("own/report.json")["status"];
    let stream = shell.read("own/records.ndjson");
    let spec = |name: &str| {
        let all = records(&stream, "Series");
        all.into_iter().find(|record| record["metadata"]["name"] == name).unwrap()["spec"].clone()
    };

    // The largest value among the samples is what the server finds in the same window.
    let (query, end) = (spec("messages"), seconds(&spec("messages")["end"]));
    let window = format!("{}ms", ((end - seconds(&query["start"])) * 1000.0).round());
    for (figure, function) in [("max", "max_over_time"), ("min", "min_over_time")] {
        let text = format!("{function}(rabbitmq_detailed_queue_messages{{queue='stage.l1'}}[{window}])");
        let answer: Value = serde_json::from_str(&prometheus.instant(&text, end)).unwrap();
        let expected: f64 = answer["data"]["result"][0]["value"][1].as_str().unwrap().parse().unwrap();
        assert_eq!(report["figures"][format!("query.messages.{figure}")], expected, "{answer}");
    }
    let depth = shell.json("run/report.json")["status"]["figures"]["queues.stage.l1.readyMax"].clone();
    assert_eq!(
        (&report["figures"]["queues.stage.l1.readyMax"], report["queries"]["queue-depth"].as_str()),
        (&depth, Some("ready"))
    );
    let page = shell.read("own/report.html");
    for drawn in ["messages, messages", "work, reductions/s", "Counters show their growth per second"] {
        assert!(page.contains(drawn), "{drawn}");
    }
    let work = criterion(report, "query.work.increase>=1");
    let text =
        format!("last_over_time(rabbitmq_detailed_queue_process_reductions_total{{queue='stage.l1'}}[{window}])");
    let last: Value = serde_json::from_str(&prometheus.instant(&text, end)).unwrap();
    let last: f64 = last["data"]["result"][0]["value"][1].as_str().unwrap().parse().unwrap();
    let actual = work["actual"].as_str().unwrap();
    let increase: f64 = actual.split(|c: char| !c.is_ascii_digit()).find_map(|digits| digits.parse().ok()).unwrap();
    assert!(work["verdict"] == "Passed" && (1.0..=last).contains(&increase), "{work}");

    let failed = shell.run(&format!("EXPECT='query.messages.max<1'\n{}", PIPE.replace("own ", "judged ")));
    assert_eq!(failed.code, Some(3), "{}", failed.stderr);
}

fn criterion<'a>(report: &'a Value, name: &str) -> &'a Value {
    report["criteria"].as_array().unwrap().iter().find(|criterion| criterion["name"] == name).unwrap()
}
