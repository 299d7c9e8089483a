//! `--fail-if-worse`: 3 where the legs show it, 0 where they show that it is not so, 4 where they cannot tell.

use serde_json::json;

use crate::legs::{Leg, LegsOnDisk, in_turns, leg};

fn gate(legs: Vec<Leg>, percent: &str) -> (i32, String) {
    let ran = LegsOnDisk::write(legs).compare(&["--fail-if-worse", percent]);
    (ran.code, ran.stderr)
}

#[test]
fn the_whole_interval_must_lie_beyond() {
    let (ours, theirs) = ([20.0, 20.1, 19.9], [21.5, 21.6, 21.4]);
    // 21.4 is more than 1.05 times 20.1, by more than the error of 10 ms; 7.5 % on the mean is no more than 5 % for all.
    let (code, stderr) = gate(in_turns(ours, theirs), "5%");
    assert_eq!(
        (code, stderr.as_str()),
        (3, "tool: np-4 is worse than np-8 by more than 5 %: jobs per minute and end to end, median\n")
    );
    let (code, stderr) = gate(in_turns(ours, theirs), "7%");
    assert_eq!(code, 4, "the interval straddles: {stderr}");
    assert!(
        stderr.contains("it is not known whether np-4 is worse than np-8 by 7 %: these legs do not decide jobs"),
        "{stderr}"
    );
    let (code, stderr) = gate(in_turns(ours, theirs), "10%");
    assert_eq!((code, stderr.as_str()), (0, "tool: np-4 is not worse than np-8 by 10 %\n"));
    assert_eq!(gate(in_turns(theirs, ours), "0%").0, 0, "better is not worse");
    assert_eq!(gate(in_turns(ours, ours.map(|median| median + 0.001)), "5%").0, 0);
    assert_eq!(gate(in_turns(ours, ours.map(|median| median + 0.001)), "0%").0, 4);
}

#[test]
fn one_headline_figure_is_enough_to_fail_and_both_are_needed_to_pass() {
    let set = |figure: &str, factor: f64| {
        let mut legs = in_turns([20.0, 20.1, 19.9], [20.0, 20.1, 19.9]);
        for leg in legs.iter_mut().filter(|leg| leg.label.starts_with("np-4")) {
            // Its bounds move with it.
            let stem = figure.trim_end_matches("Seconds");
            for (_, value) in leg.figures().iter_mut().filter(|(name, _)| name.starts_with(stem)) {
                *value = json!(value.as_f64().unwrap() * factor);
            }
        }
        gate(legs, "5%").0
    };
    assert_eq!((set("jobsPerMinute", 0.9), set("jobsPerMinute", 0.95), set("jobsPerMinute", 1.0)), (3, 4, 0));
    assert_eq!((set("endToEndMedianSeconds", 1.1), set("endToEndMedianSeconds", 1.05)), (3, 4));
    assert_eq!(set("endToEndMaxSeconds", 2.0), 0, "other rows do not decide");
}

#[test]
fn what_cannot_be_claimed_cannot_be_told() {
    let legs = || in_turns([20.0, 20.1, 19.9], [30.0, 30.1, 29.9]);
    let (code, stderr) = gate(vec![leg("np-8", 0, 20.0), leg("np-4", 1, 30.0)], "5%");
    assert!(code == 4 && stderr.contains("1 leg of np-8 and 1 leg of np-4"), "{code} {stderr}");
    for verdict in ["Incomplete", "Failed"] {
        let mut legs = legs();
        legs[1] = legs[1].clone().report_with("/status/verdict", json!(verdict));
        let (code, stderr) = gate(legs, "5%");
        assert!(
            code == 4 && stderr.contains(&format!("np-8.2 is {verdict}, and a leg that did not pass")),
            "{code} {stderr}"
        );
    }
    let mut legs = legs();
    legs[5] = legs[5].clone().without("endToEndMedianLowSeconds").without("windowLowSeconds");
    assert_eq!(gate(legs, "5%").0, 4, "an error that is not known");
}

#[test]
fn without_the_flag_a_worse_setting_is_no_failure() {
    let ran = LegsOnDisk::write(in_turns([20.0, 20.1, 19.9], [30.0, 30.1, 29.9])).compare(&[]);
    assert!(ran.code == 0 && ran.stdout.contains("**worse**"), "{}{}", ran.stdout, ran.stderr);
}
