//! Tables: the run directory's own, and every sample.

use std::fs;

use serde_json::json;
use stress_suite::tools::render_report;

use crate::run::{Scenario, job, unix};
use crate::support::tool;

fn scenario() -> Scenario {
    Scenario::new(3)
        .with(job("soak-001", 0.0, 4.0))
        .with(job("soak-002", 1.0, 9.0))
        .with_samples(
            "up",
            "up",
            &json!([{"metric": {"__name__": "up", "job": "a"}, "values": [[unix(0.5), "1"], [unix(1.5), "NaN"]]}]),
        )
        .write()
}

#[test]
fn jobs_and_stages_are_those_of_the_run_directory() {
    let scenario = scenario();
    let directory = scenario.directory.to_str().unwrap();
    let rendered = tool(render_report::run, &["--replay", "--quiet", "--out", directory], "");
    assert_eq!(rendered.code, 4, "{}", rendered.stderr);
    for name in ["jobs", "stages"] {
        let ran = scenario.export(&["--as", "csv", "--table", name]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let own = fs::read_to_string(scenario.directory.join(format!("{name}.csv"))).unwrap();
        let expected = own
            .lines()
            .enumerate()
            .map(|(number, line)| format!("{},{line}\n", if number == 0 { "scenario,level,leg" } else { "soak,," }));
        assert_eq!(ran.stdout, expected.collect::<String>());
    }
}

#[test]
fn every_sample_is_a_row() {
    let ran = scenario().export(&["--as", "csv", "--table", "samples"]);
    assert_eq!(
        ran.stdout,
        "run,scenario,level,leg,query,metric,labels,at,value\n\
         r,soak,,,up,up,\"{\"\"job\"\":\"\"a\"\"}\",2026-05-20T22:30:00.500000Z,1\n\
         r,soak,,,up,up,\"{\"\"job\"\":\"\"a\"\"}\",2026-05-20T22:30:01.500000Z,NaN\n"
    );
}

#[test]
fn all_tables_go_to_a_directory() {
    let scenario = scenario();
    let out = scenario.root.path().join("tables");
    let ran = scenario.export(&["--as", "csv", "--out", out.to_str().unwrap()]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{}", ran.stderr);
    let mut names: Vec<_> = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["jobs.csv", "samples.csv", "stages.csv"]);
}

#[cfg(not(feature = "parquet"))]
#[test]
fn without_parquet_the_error_says_how_to_get_it() {
    let scenario = scenario();
    let out = scenario.root.path().join("tables");
    let ran = scenario.export(&["--as", "parquet", "--out", out.to_str().unwrap()]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("--features parquet") && ran.stderr.contains("make dist"), "{}", ran.stderr);
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_holds_the_rows_of_the_csv() {
    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    use parquet::record::Field;

    let scenario = scenario();
    let out = scenario.root.path().join("tables");
    let path = out.to_str().unwrap();
    for format in ["csv", "parquet"] {
        let ran = scenario.export(&["--as", format, "--out", path]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    }
    for name in ["jobs", "stages", "samples"] {
        let reader = SerializedFileReader::new(fs::File::open(out.join(format!("{name}.parquet"))).unwrap()).unwrap();
        let rows = reader.get_row_iter(None).unwrap().map(|row| {
            let cell = |field: &Field| match field {
                Field::Null => String::new(),
                Field::Str(text) => text.clone(),
                Field::TimestampMicros(micros) => stress_suite::record::Timestamp::from_micros(*micros).to_string(),
                Field::Double(number) if number.is_nan() => "NaN".to_owned(),
                Field::Double(number) if name == "samples" => number.to_string(),
                Field::Double(number) => format!("{number:.6}"),
                Field::Long(count) => count.to_string(),
                other => panic!("{other:?}"),
            };
            row.unwrap().get_column_iter().map(|(_, field)| cell(field)).collect::<Vec<_>>()
        });
        let mut table = csv::Reader::from_path(out.join(format!("{name}.csv"))).unwrap();
        let expected: Vec<Vec<String>> =
            table.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
        assert_eq!(rows.collect::<Vec<_>>(), expected, "{name}");
        assert!(!expected.is_empty());
    }
}
