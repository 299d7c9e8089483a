//! The report on captures: literal Series and Traces records, and small envelopes beside them.

use crate::support::{Ran, Scratch, good, tool};

/// 2026-05-20T22:30:00Z.
const EPOCH: f64 = 1_779_316_200.0;

/// A Series record of that name with these labels and this status, over the window of `good`.
pub(crate) fn series(name: &str, by: &str, status: &str) -> String {
    format!(
        r#"{{"apiVersion":"stress/v1","kind":"Series","metadata":{{"name":"{name}","run":"r1"}},"spec":{{"query":"{name}{{}}","by":[{by}],"window":{{"start":"2026-05-20T22:30:01Z","end":"2026-05-20T22:30:14Z"}},"start":"2026-05-20T22:29:50Z","end":"2026-05-20T22:30:25Z","stepSeconds":5}},"status":{status}}}"#
    )
}

/// A query that came whole, with its file.
pub(crate) fn whole(scratch: &Scratch, name: &str, by: &str, result: &str) -> String {
    let envelope = format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{result}]}}}}"#);
    write(scratch, &format!("prometheus/{name}.json"), &envelope);
    series(name, by, &format!(r#"{{"result":"ok","file":"prometheus/{name}.json","series":2,"samples":6}}"#))
}

pub(crate) fn write(scratch: &Scratch, name: &str, text: &str) {
    let path = scratch.out().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// A series of an envelope; times count from 22:30.
pub(crate) fn points(labels: &str, points: &[(f64, f64)]) -> String {
    let values: Vec<String> = points.iter().map(|(at, value)| format!(r#"[{:.3},"{value}"]"#, EPOCH + at)).collect();
    format!(r#"{{"metric":{{{labels}}},"values":[{}]}}"#, values.join(","))
}

pub(crate) fn traces(service: &str, stages: &str) -> String {
    format!(
        r#"{{"apiVersion":"stress/v1","kind":"Traces","metadata":{{"name":"{service}","run":"r1"}},"spec":{{"service":"{service}","start":"2026-05-20T22:29:51Z","end":"2026-05-20T22:30:24Z"}},"status":{{"result":"ok","file":"jaeger/{service}.json","traces":3,"spans":9,"stages":[{stages}]}}}}"#
    )
}

pub(crate) const STAGE: &str = r#""stage""#;

/// The counters of the stages: whisper counted before the window, l0 began in it.
pub(crate) fn stages(scratch: &Scratch) -> Vec<String> {
    let label = |stage: &str| format!(r#""__name__":"x_seconds","stage":"{stage}""#);
    let of = |whisper: &[(f64, f64)], l0: &[(f64, f64)]| {
        [points(&label("whisper"), whisper), points(&label("l0"), l0)].join(",")
    };
    let durations = of(&[(-10.0, 40.0), (0.0, 50.0), (5.0, 51.0), (25.0, 53.1)], &[(10.0, 4.0), (25.0, 11.2)]);
    let counts = of(&[(-10.0, 90.0), (0.0, 100.0), (25.0, 103.0)], &[(10.0, 1.0), (25.0, 3.0)]);
    vec![
        whole(scratch, "stage_duration_sum", STAGE, &durations),
        whole(scratch, "stage_duration_count", STAGE, &counts),
        whole(scratch, "queue_wait_sum", STAGE, &durations),
        whole(scratch, "queue_wait_count", STAGE, &counts),
    ]
}

pub(crate) fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("## {heading}\n\n")).unwrap_or_else(|| panic!("no {heading}:\n{page}"));
    rest.split("\n## ").next().unwrap()
}

pub(crate) fn table<'a>(page: &'a str, heading: &str) -> &'a str {
    section(page, heading).split("\n\n").find(|part| part.starts_with('|')).unwrap().trim_end()
}

pub(crate) fn doubts(ran: &Ran) -> Vec<String> {
    ran.report().status.doubts
}

#[test]
fn tenancies_that_do_not_fit_into_the_window_are_doubted_and_not_shown() {
    let scratch = Scratch::new();
    // Milliseconds in a metric whose name does not say so.
    let bucket =
        |le: &str, count: f64| points(&format!(r#""tenant":"whisper","le":"{le}""#), &[(0.0, 0.0), (25.0, count)]);
    let buckets = [bucket("1000", 0.0), bucket("5000", 12.0), bucket("+Inf", 12.0)].join(",");
    let line = whole(&scratch, "gpu_tenancy_bucket", r#""tenant""#, &buckets);
    let ran = scratch.report(&[good(), vec![line]].concat(), &[]);
    let page = scratch.read("report.md");
    assert!(!page.contains("| whisper | 12 |"), "{page}");
    let doubts = ran.stdout.contains("do not fit into the") || page.contains("do not fit into the");
    assert!(doubts, "{page}");
}

#[test]
fn three_sources_stand_side_by_side() {
    let scratch = Scratch::new();
    let spans = [
        traces("api", ""),
        traces("gpu", r#"{"name":"whisper","count":2,"meanSeconds":1.01},{"name":"l0","count":3,"meanSeconds":3.74}"#),
        traces("io", r#"{"name":"whisper","count":1,"meanSeconds":1.04}"#),
    ];
    let ran = scratch.report(&[good(), stages(&scratch), spans.to_vec()].concat(), &[]);
    let page = scratch.read("report.md");
    assert_eq!(
        table(&page, "Stage durations from three sources"),
        "\
| Stage | Jobs | Mean by job documents | Spans | Mean by spans | Counted | Mean by histograms | Largest difference |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| whisper | 3 | 1.00 s | 3 | 1.02 s | 3 | 1.03 s | 33 ms (3.2 %) |
| l0 | 3 | 3.73 s | 3 | 3.74 s | 3 | 3.73 s | 7 ms (0.2 %) |"
    );
    assert_eq!(
        table(&page, "Waits from two sources"),
        "\
| Stage | Jobs | Mean wait by job documents | Counted | Mean queue wait by histograms | Difference | Why |
| --- | ---: | ---: | ---: | ---: | ---: | --- |
| whisper | 3 | 1.00 s | 3 | 1.03 s | 33 ms (3.2 %) | – |
| l0 | 3 | 500 ms | 3 | 3.73 s | 3.23 s (86.6 %) | same events: documents count from the end of the stage before, histograms from the queueing of a message |"
    );
    assert!(page.contains(" 4 of them had no sample before the window and count from zero.\n"), "{page}");
    assert_eq!(doubts(&ran), Vec::<String>::new());
    let figures = ran.report().status.figures;
    for (name, value) in [
        ("stages.whisper.spansMeanSeconds", 1.02),
        ("stages.whisper.histogramCount", 3.0),
        ("stages.whisper.histogramMeanSeconds", 3.1 / 3.0),
        ("stages.whisper.witnessSpreadSeconds", 0.1 / 3.0),
        ("stages.l0.queueWaitMeanSeconds", 11.2 / 3.0),
        ("witnessSpreadMaxRatio", 0.1 / 3.1),
    ] {
        assert!((figures[name] - value).abs() < 1e-5, "{name}: {}", figures[name]);
    }
}

#[test]
fn the_same_page_is_made_again_from_the_records_and_their_files() {
    let scratch = Scratch::new();
    let lines =
        [good(), stages(&scratch), vec![traces("gpu", r#"{"name":"l0","count":3,"meanSeconds":3.7}"#)]].concat();
    scratch.report(&lines, &[]);
    let before = ["report.md", "report.json"].map(|name| scratch.read(name));
    assert!(before[0].contains("from three sources"));
    let out = scratch.out().display().to_string();
    tool(&["--out", &out, "--replay"], std::io::empty());
    assert_eq!(["report.md", "report.json"].map(|name| scratch.read(name)), before);
}

#[test]
fn silence_other_counts_resets_and_disagreement_are_doubtful() {
    let scratch = Scratch::new();
    let label = r#""__name__":"x_milliseconds","stage":"whisper","instance":"a:1""#;
    let restart = r#""restarts":[{"instance":"a:1","seenAt":"2026-05-20T22:30:05Z"}],"series":2"#;
    let lines = [
        whole(&scratch, "stage_duration_sum", STAGE, &points(label, &[(0.0, 9e3), (5.0, 5e2), (25.0, 8e3)])),
        whole(&scratch, "stage_duration_count", STAGE, &points(label, &[(0.0, 9.0), (5.0, 1.0), (25.0, 4.0)])),
        traces("gpu", ""),
    ]
    .map(|line| line.replace(r#""series":2"#, restart));
    let ran = scratch.report(&[good(), lines.to_vec()].concat(), &[]);
    assert_eq!(ran.code, 0, "doubts change no verdict");
    assert_eq!(
        doubts(&ran),
        [
            "counters of stage_duration_sum restarted in the window, once: their last counts before that are lost",
            "counters of stage_duration_count restarted in the window, once: their last counts before that are lost",
            "the spans contain no stage at all",
            "the histograms of stage durations lack stages that the jobs went through: l0",
            "the histograms of stage durations count different events than the job documents: whisper 4 against 3",
            "the sources of stage durations disagree: whisper by 1.00 s (50 %)",
        ]
    );
    assert!(!ran.report().status.figures.contains_key("stages.l0.histogramMeanSeconds"), "what is missing is no zero");
}

#[test]
fn samples_as_they_were_scraped_are_the_better_baseline() {
    let scratch = Scratch::new();
    let label = r#""stage":"whisper""#;
    // The step before the window still shows what was scraped earlier; an event of somebody before us is in neither figure.
    let lines = ["stage_duration_sum", "stage_duration_count"].map(|name| {
        let steps = points(label, &[(-5.0, 7.0), (0.0, 7.0), (5.0, 9.0), (25.0, 11.0)]);
        let line = whole(&scratch, name, STAGE, &steps);
        let raw = points(label, &[(0.5, 8.0), (6.0, 9.0), (24.0, 11.0)]);
        let raw = format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{raw}]}}}}"#);
        write(&scratch, &format!("prometheus/{name}.raw.json"), &raw);
        line.replace(r#","series":2"#, &format!(r#","rawFile":"prometheus/{name}.raw.json","series":2"#))
    });
    let figures = scratch.report(&[good(), lines.to_vec()].concat(), &[]).report().status.figures;
    assert!((figures["stages.whisper.histogramCount"] - 3.0).abs() < 1e-9, "{figures:?}");
}

#[test]
fn a_sum_without_its_count_gives_no_means() {
    let scratch = Scratch::new();
    let lines = [good(), stages(&scratch)[..1].to_vec()].concat();
    let ran = scratch.report(&lines, &[]);
    assert_eq!(doubts(&ran), ["no means are computed from stage_duration_sum: the histogram's count is missing"]);
    assert!(!scratch.read("report.md").contains("three sources"));
}

#[test]
fn files_that_are_absent_or_broken_are_doubts() {
    let scratch = Scratch::new();
    let broken = whole(&scratch, "stage_duration_sum", STAGE, "");
    write(&scratch, "prometheus/stage_duration_sum.json", r#"{"status":"success","data":{"resultType":"matrix","resu"#);
    let absent = whole(&scratch, "stage_duration_count", STAGE, "");
    std::fs::remove_file(scratch.out().join("prometheus/stage_duration_count.json")).unwrap();
    let directory = whole(&scratch, "queue_wait_sum", STAGE, "");
    std::fs::remove_file(scratch.out().join("prometheus/queue_wait_sum.json")).unwrap();
    std::fs::create_dir(scratch.out().join("prometheus/queue_wait_sum.json")).unwrap();
    let word = whole(&scratch, "queue_wait_count", STAGE, r#"{"metric":{"stage":"l0"},"values":[[1,"many"]]}"#);
    let native = whole(&scratch, "gpu_tenancy_bucket", r#""tenant""#, r#"{"metric":{},"histograms":[[1,{}]]}"#);
    let unlabelled = whole(&scratch, "gpu_tenancy_transitions", "", &points("", &[(5.0, 1.0)]));
    let outside = series("rabbitmq_queue_ready", r#""queue""#, r#"{"result":"ok","file":"../x.json","series":1}"#);
    let ran =
        scratch.report(&[good(), vec![broken, absent, directory, word, native, unlabelled, outside]].concat(), &[]);
    assert_eq!(ran.code, 0);
    assert_eq!(
        doubts(&ran),
        [
            "prometheus/stage_duration_sum.json is not an envelope of Prometheus: the text ends in the middle",
            "prometheus/stage_duration_count.json cannot be read: No such file or directory (os error 2)",
            "prometheus/queue_wait_sum.json is not a file",
            "prometheus/queue_wait_count.json is not an envelope of Prometheus: a sample's value is not a number at line 1 column 108",
            "prometheus/gpu_tenancy_bucket.json holds native histograms, and figures are computed only from plain samples",
            "no figures are computed from gpu_tenancy_transitions: its record names no labels to add it up by",
            "no figures are computed from rabbitmq_queue_ready: its record names a file outside of the run directory",
        ]
    );
}

#[test]
fn the_gpu_and_the_queues_are_told_of() {
    let scratch = Scratch::new();
    let bucket = |tenant: &str, le: &str, value: f64| {
        points(&format!(r#""tenant":"{tenant}","le":"{le}""#), &[(0.0, 0.0), (25.0, value)])
    };
    let buckets = [
        bucket("llm", "1", 1.0),
        bucket("llm", "2.5", 3.0),
        bucket("llm", "+Inf", 3.0),
        bucket("whisper", "2.5", 0.0),
        bucket("whisper", "+Inf", 2.0),
    ];
    let sums = points(r#""tenant":"whisper""#, &[(0.0, 0.0), (25.0, 9.0)]);
    let way = |from: &str, to: &str, count: f64| {
        points(&format!(r#""from":"{from}","to":"{to}""#), &[(0.0, 4.0), (25.0, 4.0 + count)])
    };
    let depth = |queue: &str, values: &[(f64, f64)]| points(&format!(r#""queue":"{queue}""#), values);
    let depths = [
        depth("stage.l1", &[(-5.0, 50.0), (2.0, 3.0), (7.0, 8.0), (9.0, 8.0), (20.0, 70.0)]),
        depth("a|b", &[(2.0, 0.0)]),
    ];
    let lines = [
        whole(&scratch, "gpu_tenancy_bucket", r#""tenant""#, &buckets.join(",")),
        whole(&scratch, "gpu_tenancy_sum", r#""tenant""#, &sums),
        whole(
            &scratch,
            "gpu_tenancy_transitions",
            r#""from","to""#,
            &[way("llm", "whisper", 2.0), way("none", "whisper", 1.0)].join(","),
        ),
        whole(&scratch, "rabbitmq_queue_ready", r#""queue""#, &depths.join(",")),
    ];
    let ran = scratch.report(&[good(), lines.to_vec()].concat(), &[]);
    let page = scratch.read("report.md");
    assert_eq!(
        table(&page, "Tenants of the GPU"),
        "\
| Tenant | Tenancies | Total time | Mean |
| --- | ---: | ---: | ---: |
| llm | 3 | 2.00 s to 6.00 s (by buckets) | 667 ms to 2.00 s (by buckets) |
| whisper | 2 | 9.00 s | 4.50 s |"
    );
    assert!(page.contains("Transitions: 3 in all: llm→whisper 2, none→whisper 1.\n"), "{page}");
    assert_eq!(
        table(&page, "Highest queue depth"),
        "\
| Queue | Messages ready | First seen (UTC, Prometheus' clock) |
| --- | ---: | --- |
| a\\|b | 0 | – |
| stage.l1 | 8 | 22:30:07.000 |"
    );
    let figures = ran.report().status.figures;
    for (name, value) in [
        ("gpu.llm.tenancyCount", 3.0),
        ("gpu.llm.tenancyLowSeconds", 2.0),
        ("gpu.llm.tenancyHighSeconds", 6.0),
        ("gpu.whisper.tenancyMeanSeconds", 4.5),
        ("gpu.transitions", 3.0),
        ("gpu.transitions.llm.whisper", 2.0),
        ("queues.stage.l1.readyMax", 8.0),
        ("queuesReadyMax", 8.0),
        ("samples.rabbitmq_queue_ready.widestGapSeconds", 11.0),
        ("samples.gpu_tenancy_transitions.widestGapSeconds", 25.0),
    ] {
        assert!((figures[name] - value).abs() < 1e-9, "{name}: {}", figures[name]);
    }
    assert!(!figures.contains_key("gpu.whisper.tenancyHighSeconds"), "nobody knows how long the longest was");
}

#[test]
fn the_depth_of_a_queue_is_added_up_over_the_nodes_of_a_cluster_and_its_row_says_so() {
    let scratch = Scratch::new();
    let node = |queue: &str, labels: &str, values: &[(f64, f64)]| {
        points(&format!(r#""__name__":"rabbitmq_queue_messages_ready","queue":"{queue}",{labels}"#), values)
    };
    let depths = [
        node("stage.l1", r#""instance":"rmq-0:15692""#, &[(2.0, 1.0), (7.0, 21.0), (12.0, 3.0)]),
        node("stage.l1", r#""instance":"rmq-1:15692""#, &[(3.0, 8.0), (8.0, 14.0), (13.0, 12.0)]),
        node("stage.l2", r#""replica":"a""#, &[(2.0, 4.0), (7.0, 6.0)]),
        node("stage.l2", r#""replica":"b""#, &[(3.0, 4.0), (8.0, 6.0)]),
    ];
    let line = whole(&scratch, "rabbitmq_queue_ready", r#""queue""#, &depths.join(","));
    let ran = scratch.report(&[good(), vec![line]].concat(), &["--expect", "all-done,queue.stage.l1.max<30"]);
    assert_eq!(ran.code, 3, "{}", ran.stdout);
    let page = scratch.read("report.md");
    let rows = table(&page, "Highest queue depth");
    assert!(rows.contains("| stage.l1 | 35 (added up over 2 nodes, which differ in instance) |"), "{rows}");
    assert!(rows.contains("| stage.l2 | 6 (the highest of 2 series, which differ in replica) |"), "{rows}");
    assert!(page.contains("35 messages (added up over 2 nodes"), "{page}");
}
