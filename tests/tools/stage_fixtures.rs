//! `stage-fixtures`: which files it stages, what it refuses, and the records it makes.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use stress_suite::tools::stage_fixtures::run;

use crate::support::{Ran, root, tool};

/// A directory with two media files, one of them in a folder, and something else.
fn media() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("b")).unwrap();
    fs::write(dir.path().join("a.webm"), "one").unwrap();
    fs::write(dir.path().join("b/c.WEBM"), "three").unwrap();
    fs::write(dir.path().join("notes.txt"), "no media").unwrap();
    dir
}

fn stage(from: &Path, into: &Path, more: &[&str]) -> Ran {
    let argv = ["--from", from.to_str().unwrap(), "--into", into.to_str().unwrap()];
    tool(run, &argv.into_iter().chain(more.iter().copied()).collect::<Vec<_>>(), "")
}

#[test]
fn stages_one_file_a_job_and_reuses_sources_in_turn() {
    let (from, into) = (media(), tempfile::tempdir().unwrap());
    let ran = stage(from.path(), into.path(), &["--jobs", "3", "--run", "r1", "--label", "level=04"]);
    let records = ran.records();
    assert_eq!(records.len(), 4);
    assert_eq!(records[0]["kind"], "Run");
    assert_eq!(records[0]["spec"], serde_json::json!({"scenario": "soak", "prefix": "soak", "jobs": 3}));
    assert_eq!(records[0]["metadata"]["labels"], serde_json::json!({"level": "04", "scenario": "soak"}));
    let contents: Vec<_> = ["001", "002", "003"]
        .map(|name| fs::read_to_string(into.path().join(format!("soak/{name}.webm"))).unwrap())
        .to_vec();
    assert_eq!(contents, ["one", "three", "one"]);
    assert_eq!(records[2]["metadata"]["name"], "soak-002");
    assert_eq!(records[2]["spec"]["source"], "/data/fixtures/soak/002.webm");
    assert_eq!(records[2]["spec"]["bytes"], 5);
    assert_eq!(records[2]["status"]["phase"], "Staged");
    let sources: BTreeSet<_> = records[1..].iter().map(|record| record["spec"]["source"].to_string()).collect();
    assert_eq!(sources.len(), 3, "no two jobs share a source");
}

#[test]
fn a_directory_that_another_run_uses_is_left_to_it() {
    let (from, into) = (media(), tempfile::tempdir().unwrap());
    let source = |run: &str| {
        let ran = stage(from.path(), into.path(), &["--jobs", "1", "--run", run]);
        ran.records()[1]["spec"]["source"].as_str().unwrap().to_owned()
    };
    assert_eq!(source("r1"), "/data/fixtures/soak/001.webm");
    let mut claims = stress_suite::staging::Claims::default();
    assert_eq!(claims.hold(&into.path().join("soak/001.webm"), "r1"), Ok(()));
    assert_eq!(source("r2"), "/data/fixtures/soak-2/001.webm");
    assert_eq!(source("r1"), "/data/fixtures/soak/001.webm", "another shard of the same run");
    drop(claims);
    assert_eq!(source("r3"), "/data/fixtures/soak/001.webm");
}

#[test]
fn warm_up_jobs_come_first_with_names_labels_and_files_of_their_own() {
    let (from, into) = (media(), tempfile::tempdir().unwrap());
    let ran = stage(from.path(), into.path(), &["--jobs", "2", "--warmup", "3", "--run", "r1"]);
    let records = ran.records();
    let of = |key: fn(&serde_json::Value) -> &serde_json::Value| -> Vec<String> {
        records[1..].iter().map(|record| key(record).as_str().unwrap_or("").to_owned()).collect()
    };
    let names = ["soak-warmup-001", "soak-warmup-002", "soak-warmup-003", "soak-001", "soak-002"];
    assert_eq!(of(|record| &record["metadata"]["name"]), names);
    assert_eq!(of(|record| &record["metadata"]["labels"]["warmup"]), ["true", "true", "true", "", ""]);
    assert_eq!((&records[0]["spec"]["jobs"], &records[0]["spec"]["warmup"]), (&2.into(), &3.into()));
    assert_eq!(records[3]["spec"]["source"], "/data/fixtures/soak/warmup-003.webm");
    let sources: BTreeSet<_> = of(|record| &record["spec"]["source"]).into_iter().collect();
    let files: BTreeSet<_> =
        of(|record| &record["spec"]["path"]).into_iter().filter(|path| Path::new(path).is_file()).collect();
    assert_eq!((sources.len(), files.len()), (5, 5), "no two jobs share a file");
    let share = stage(from.path(), into.path(), &["--jobs", "2", "--warmup", "3", "--run", "r1", "--shard", "1/2"]);
    let share: Vec<_> = share.records()[1..].iter().map(|record| record["metadata"]["name"].clone()).collect();
    assert_eq!(share, ["soak-warmup-002", "soak-002"]);
}

#[test]
fn what_is_right_is_left_alone_and_what_differs_is_replaced() {
    let (from, into) = (media(), tempfile::tempdir().unwrap());
    stage(from.path(), into.path(), &["--jobs", "2", "--run", "r1"]);
    let (kept, changed) = (into.path().join("soak/001.webm"), into.path().join("soak/002.webm"));
    let inode = fs::metadata(&kept).unwrap().ino();
    fs::remove_file(&changed).unwrap();
    fs::write(&changed, "other").unwrap();
    assert_eq!(stage(from.path(), into.path(), &["--jobs", "2", "--run", "r1"]).code, 0);
    assert_eq!(fs::metadata(&kept).unwrap().ino(), inode);
    assert_eq!(fs::read_to_string(&changed).unwrap(), "three");
    assert_eq!(fs::read_dir(into.path().join("soak")).unwrap().count(), 2, "no temporary file is left");
}

#[test]
fn shards_are_shares_of_one_whole() {
    let (from, into) = (media(), tempfile::tempdir().unwrap());
    let mut names = Vec::new();
    for index in 0..8 {
        let ran = stage(from.path(), into.path(), &["--jobs", "20", "--run", "r1", "--shard", &format!("{index}/8")]);
        let records = ran.records();
        assert_eq!(records[0]["metadata"]["name"], format!("soak-shard-{index}"));
        assert_eq!(records[0]["spec"]["jobs"], 20, "every shard says the whole");
        assert_eq!(records[0]["spec"]["shard"], serde_json::json!({"index": index, "count": 8}));
        names.extend(records[1..].iter().map(|record| record["metadata"]["name"].as_str().unwrap().to_owned()));
    }
    names.sort();
    let whole: Vec<_> = (1..=20).map(|number| format!("soak-{number:03}")).collect();
    assert_eq!(names, whole);
}

#[test]
fn nothing_to_stage_is_an_error_that_names_the_directory() {
    let (empty, into) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ran = stage(empty.path(), into.path(), &[]);
    assert_eq!(ran.code, 74);
    assert!(ran.stderr.contains("no .webm file in it") && ran.stdout.is_empty(), "{}", ran.stderr);
    let ran = stage(&empty.path().join("missing"), into.path(), &[]);
    assert_eq!(ran.code, 74);
    assert!(ran.stderr.contains("missing: No such file"), "{}", ran.stderr);
}

#[test]
fn a_prefix_cannot_leave_the_staging_directory() {
    use clap::Parser;
    use stress_suite::tools::stage_fixtures::Args;
    for bad in ["..", ".", "/etc", "a/b", "a\\b", "", "a b", "-a", "a\u{e4}"] {
        assert!(Args::try_parse_from(["stage-fixtures", "--prefix", bad]).is_err(), "{bad}");
    }
}

#[test]
fn links_that_lead_out_of_the_staging_directory_are_refused() {
    let (from, into, outside) = (media(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    symlink(outside.path(), into.path().join("soak")).unwrap();
    let ran = stage(from.path(), into.path(), &[]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("leads out of the staging directory"), "{}", ran.stderr);
    fs::create_dir(into.path().join("b")).unwrap();
    let victim = outside.path().join("victim");
    fs::write(&victim, "mine").unwrap();
    symlink(&victim, into.path().join("b/001.webm")).unwrap();
    let ran = stage(from.path(), into.path(), &["--prefix", "b"]);
    assert_eq!(ran.code, 2);
    assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
    // A link to a neighbour is only a name: it is replaced by the file.
    fs::create_dir(into.path().join("c")).unwrap();
    symlink("elsewhere", into.path().join("c/001.webm")).unwrap();
    assert_eq!(stage(from.path(), into.path(), &["--prefix", "c", "--jobs", "1"]).code, 0);
    assert_eq!(fs::read_to_string(into.path().join("c/001.webm")).unwrap(), "one");
    assert!(!fs::symlink_metadata(into.path().join("c/001.webm")).unwrap().is_symlink());
}

#[test]
fn the_fixtures_are_real_and_small_webm_files_with_opus() {
    let mut lengths = Vec::new();
    for entry in fs::read_dir(root().join("fixtures")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ext| ext != "webm") {
            continue;
        }
        assert!(fs::metadata(&path).unwrap().len() < 200 * 1024, "{}", path.display());
        let mut webm = matroska_demuxer::MatroskaFile::open(fs::File::open(&path).unwrap()).unwrap();
        assert_eq!(webm.ebml_header().doc_type(), "webm");
        let tracks = webm.tracks();
        assert_eq!(tracks.len(), 1);
        assert_eq!(tracks[0].codec_id(), "A_OPUS");
        assert!((tracks[0].audio().unwrap().sampling_frequency() - 48_000.0).abs() < f64::EPSILON);
        let (mut frame, mut frames) = (matroska_demuxer::Frame::default(), 0);
        while webm.next_frame(&mut frame).unwrap() {
            assert!(!frame.data.is_empty());
            frames += 1;
        }
        lengths.push(frames);
    }
    lengths.sort_unstable();
    assert!(lengths.len() >= 3 && lengths.windows(2).all(|pair| pair[0] < pair[1]), "{lengths:?}");
}
