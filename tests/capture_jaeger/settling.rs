//! The end of a capture: counts that stop growing, --settle, and signals.

use super::*;

#[test]
fn a_capture_waits_until_the_counts_stand_still() {
    // One more trace comes with each search, up to five.
    let asked = AtomicUsize::new(0);
    let rig = Rig::new(store(5, SECOND), move |path, parameters, spans| {
        let seen = asked.fetch_add(1, Ordering::SeqCst) + 1;
        v3(path, parameters, &spans[..(2 * seen).min(spans.len())], 100)
    });
    let ran = rig.run(&[&WINDOW[..], &["--service", "api"]].concat(), "");
    assert_eq!((ran.code, &status(&ran, "api")["traces"]), (0, &json!(5)), "{}", ran.stderr);
    assert!(rig.server.requests() >= 6);
}

#[test]
fn counts_that_never_stand_still_are_named() {
    let asked = AtomicUsize::new(0);
    let rig = Rig::new(store(5000, 10), move |path, parameters, spans| {
        let seen = asked.fetch_add(1, Ordering::SeqCst) + 1;
        v3(path, parameters, &spans[..2 * seen], 1000)
    });
    let ran = rig.run(&[&WINDOW[..], &["--service", "api"]].concat(), "");
    let status = status(&ran, "api");
    assert_eq!(
        (ran.code, &status["result"], &status["reason"]),
        (4, &json!("partial"), &json!("NotSettled")),
        "{status}"
    );
    let once = rig.run(&[&WINDOW[..], &["--service", "api", "--settle", "0s"]].concat(), "");
    assert_eq!(once.code, 0, "one look was asked for: {}", once.stderr);
}

#[test]
fn a_signal_ends_the_waiting_and_what_there_is_is_written() {
    let rig = Rig::new(store(3, SECOND), |path, parameters, spans| v3(path, parameters, spans, 100));
    let (stop, out) = (Stop::default(), rig.out.path().display().to_string());
    // Without the signal this would wait ten minutes for the exporters.
    let argv = ["--jaeger", rig.server.url(), "--out", &out, "--service", "api", "--flush", "10m", "--settle", "20m"];
    let argv = [&argv[..], &["--start", "2026-05-20T22:30:00Z"]].concat();
    let ran = std::thread::scope(|scope| {
        let (signal, server) = (stop.clone(), &rig.server);
        scope.spawn(move || {
            wait_until("three requests", || server.requests() >= 3);
            signal.trigger(2);
        });
        tool_until(capture_jaeger::run, &argv, Box::new(Cursor::new("")), stop)
    });
    let status = status(&ran, "api");
    assert_eq!((ran.code, &status["traces"], &status["reason"]), (130, &json!(3), &json!("NotSettled")));
    assert_eq!(held(&rig.file("api")).0.len(), 3);
}

#[test]
fn a_window_that_has_not_come_or_is_reversed_is_refused_before_anything_is_asked() {
    let rig = Rig::new(Vec::new(), |path, parameters, spans| v3(path, parameters, spans, 100));
    for (start, end, said) in [
        ("-5m", "2100-01-01T00:00:00Z", "--end means 2100-01-01T00:00:00.000000Z, which is in the future (now is "),
        ("2100-01-01T00:00:00Z", "now", "--start means 2100-01-01T00:00:00.000000Z, which is in the future (now is "),
        ("2026-05-20T22:31:00Z", "2026-05-20T22:30:00Z", "before it begins"),
    ] {
        for check in [&["--check"][..], &[]] {
            let ran = rig.run(&[&["--start", start, "--end", end][..], check].concat(), "");
            assert_eq!((ran.code, ran.stderr.lines().count()), (2, 1), "{start} {end}: {}", ran.stderr);
            assert!(ran.stderr.contains(said), "{start} {end}: {}", ran.stderr);
        }
    }
    assert!(!rig.out.path().join("jaeger").exists(), "a capture that is refused leaves nothing");
}
