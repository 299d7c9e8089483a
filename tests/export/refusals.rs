//! Runs that cannot be exported, or not whole.

use std::fs;

use serde_json::json;

use crate::run::{Scenario, export, job, unix};

#[test]
fn a_directory_without_a_run_is_refused() {
    let empty = tempfile::tempdir().unwrap();
    let ran = export(&[empty.path()], &["--as", "openmetrics"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("there is no records.ndjson in it or below it"), "{}", ran.stderr);
    let ran = export(&[&empty.path().join("x")], &["--as", "openmetrics"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("no such directory"), "{}", ran.stderr);
}

#[test]
fn scenarios_that_nothing_tells_apart_are_refused() {
    let scenario = Scenario::new(1).with(job("soak-001", 0.0, 4.0)).write();
    let ran = export(&[&scenario.directory, &scenario.directory], &["--as", "openmetrics"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert!(ran.stderr.contains("both have the labels run=r, scenario=soak"), "{}", ran.stderr);
}

#[test]
fn a_missing_or_cut_file_is_named_and_the_rest_is_exported() {
    let values = json!([{"metric": {"__name__": "x"}, "values": [[unix(1.0), "1"]]}]);
    let scenario = Scenario::new(1)
        .with(job("soak-001", 0.0, 4.0))
        .with_samples("cut", "cut", &values)
        .with_samples("gone", "gone", &values)
        .with_samples("there", "there", &json!([{"metric": {"__name__": "y"}, "values": [[unix(1.0), "1"]]}]))
        .write();
    let file = |name: &str| scenario.directory.join(format!("prometheus/{name}.raw.json"));
    fs::remove_file(file("gone")).unwrap();
    let text = fs::read_to_string(file("cut")).unwrap();
    fs::write(file("cut"), &text[..text.len() - 5]).unwrap();
    let ran = scenario.export(&["--as", "openmetrics"]);
    assert_eq!(ran.code, 74, "{}", ran.stderr);
    assert!(ran.stderr.contains("gone.raw.json: No such file") && ran.stderr.contains("cut.raw.json: not a whole"));
    assert!(ran.stdout.contains("\ny{") && ran.stdout.ends_with("# EOF\n"), "{}", ran.stdout);
}

#[test]
fn a_record_that_names_a_file_elsewhere_does_not_have_it_read() {
    let scenario = Scenario::new(1);
    fs::write(
        scenario.root.path().join("secret.json"),
        r#"{"status":"success","data":{"resultType":"matrix","result":[
        {"metric":{"__name__":"secret"},"values":[[1,"1"]]}]}}"#,
    )
    .unwrap();
    let scenario = scenario
        .with(json!({"apiVersion": "stress/v1", "kind": "Series", "metadata": {"name": "q", "run": "r"},
            "spec": {"query": "q"}, "status": {"result": "ok", "rawFile": "../secret.json", "file": "../secret.json"}}))
        .write();
    let ran = scenario.export(&["--as", "openmetrics"]);
    assert_eq!(ran.code, 74);
    assert!(ran.stderr.contains("outside of the run directory") && !ran.stdout.contains("secret"), "{}", ran.stderr);
}

#[test]
fn broken_lines_are_named_and_left_out() {
    let scenario = Scenario::new(1).with(job("soak-001", 0.0, 4.0)).write();
    let path = scenario.directory.join("records.ndjson");
    fs::write(&path, format!("{{\"a\":}}\n{}", fs::read_to_string(&path).unwrap())).unwrap();
    let ran = scenario.export(&["--as", "openmetrics"]);
    assert_eq!(ran.code, 65, "{}", ran.stderr);
    assert!(ran.stderr.contains("records.ndjson line 1:") && ran.stdout.contains("stress_jobs_submitted_total"));
}

#[test]
fn a_file_has_its_name_only_when_it_is_whole() {
    let scenario = Scenario::new(1).with(job("soak-001", 0.0, 4.0)).write();
    let out = scenario.root.path().join("run.om");
    let ran = scenario.export(&["--as", "openmetrics", "--out", out.to_str().unwrap()]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{}", ran.stderr);
    assert!(fs::read_to_string(&out).unwrap().ends_with("# EOF\n"));
    let lost = scenario.export(&["--as", "openmetrics", "--out", "/nowhere/run.om"]);
    assert_eq!(lost.code, 74);
    assert!(lost.stderr.contains("--out /nowhere/run.om"), "{}", lost.stderr);
    for argv in [&["--as", "csv"][..], &["--as", "openmetrics", "--table", "jobs"]] {
        assert_eq!(scenario.export(argv).code, 2, "{argv:?}");
    }
}
