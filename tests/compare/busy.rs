//! Legs that began on a target that was at work: described, and nothing is claimed of them.

use serde_json::json;

use crate::legs::{Leg, LegsOnDisk, compared, in_turns, sentence, word};

const MEDIAN: &str = "end to end, median";

fn began(idle: &serde_json::Value) -> Vec<Leg> {
    let mut legs = in_turns([20.0, 20.5, 19.5], [25.0, 24.5, 25.5]);
    legs[3].run["status"]["idle"] = idle.clone();
    legs
}

#[test]
fn a_leg_that_is_known_to_have_begun_busy_claims_nothing() {
    let busy = began(&json!({"idle": false, "waitedSeconds": 120.0, "busy": "stage.l1 holds 7 messages"}));
    let comparison = compared(busy.clone());
    assert_eq!(word(&comparison, MEDIAN), "");
    let why = "the target was not idle when np-4.1 began: its leftover work is in the figures";
    assert!(sentence(&comparison).ends_with(why), "{}", sentence(&comparison));
    assert_eq!(comparison["status"]["doubts"], json!(["np-4.1 started when the target was not idle"]));
    let ran = LegsOnDisk::write(busy).compare(&["--fail-if-worse", "5%"]);
    assert!(ran.code == 4 && ran.stderr.contains(why), "{} {}", ran.code, ran.stderr);
}

#[test]
fn idle_or_unseen_is_not_busy() {
    for idle in [json!({"idle": true, "waitedSeconds": 4.0}), json!({"waitedSeconds": 0.0, "unseen": "the queues"})] {
        let comparison = compared(began(&idle));
        assert_eq!(word(&comparison, MEDIAN), "Worse", "{idle}");
        assert!(comparison["status"].get("doubts").is_none(), "{idle}");
    }
}
