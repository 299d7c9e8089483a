//! The wait for an idle target, by what a real Prometheus says of a real broker's queues.

use crate::shell::{Shell, records};
use crate::stack::Stack;

#[test]
fn queues_on_a_real_broker_are_waited_for_until_they_are_empty() {
    let stack = Stack::start(&["--time-scale", "0.1"]);
    let (data, prometheus) = (stack.sim.path("data"), stack.prometheus.url());
    let shell = Shell::new(&[("TARGET", stack.sim.url()), ("PROM_URL", &prometheus)]);
    let stage = format!(r#"stage-fixtures --from "$FIXTURES" --into {}/fixtures"#, data.display());
    // The broker renews its figures each second.
    let done = shell.run(&format!(
        "{stage} --prefix earlier --jobs 8 | submit-jobs --max-posts 8 > submitted\n{stage} --jobs 1 | await-idle --lag 2s"
    ));
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let idle = records(&done.stdout, "Run")[0]["status"]["idle"].clone();
    assert_eq!(idle["idle"], true, "{idle} {}", done.stderr);
    assert!(idle["waitedSeconds"].as_f64().unwrap() > 2.0, "{idle}");
    let said = "await-idle: waiting for the target to be idle, at most 2 m 00 s: rabbitmq_";
    assert!(done.stderr.contains(said), "the queues were seen filled: {}", done.stderr);
}
