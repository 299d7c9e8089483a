//! The stand-in's own test of its queues, which wants a broker.

use std::process::Command;

use crate::stack::RabbitMq;
use crate::support::root;

#[test]
fn the_stand_ins_queues_lie_on_a_real_broker() {
    let broker = RabbitMq::start();
    // As they were built for this test, so that cargo has nothing to do but to run it.
    let output = Command::new(std::env::var_os("CARGO").expect("cargo says where it is"))
        .args(["test", "--locked", "--quiet", "--workspace", "--features", "real-stack,pipeline-sim/amqp"])
        .args(["--test", "amqp"])
        .env("SIM_TEST_AMQP", broker.url())
        .current_dir(root())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("1 passed"), "{text}");
}
