//! The linked pages in a real Chromium: each draws the run.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use crate::chromium::Chromium;

/// Opens `url`, waits until `drawn`, an expression in the page, is true, and keeps a picture.
fn draws(url: &str, drawn: &str, picture: &str) {
    let Some(mut browser) = Chromium::start() else { return };
    let target = browser.call(None, "Target.createTarget", json!({"url": "about:blank"}));
    let attach = json!({"targetId": target["targetId"], "flatten": true});
    let session = browser.call(None, "Target.attachToTarget", attach)["sessionId"].as_str().unwrap().to_owned();
    let metrics = json!({"width": 1400, "height": 1800, "deviceScaleFactor": 1, "mobile": false});
    browser.call(Some(&session), "Emulation.setDeviceMetricsOverride", metrics);
    browser.call(Some(&session), "Page.enable", json!({}));
    browser.call(Some(&session), "Page.navigate", json!({"url": url}));
    let start = Instant::now();
    loop {
        let evaluate = json!({"expression": drawn, "returnByValue": true});
        let answer = browser.call(Some(&session), "Runtime.evaluate", evaluate);
        if answer["result"]["value"] == true {
            break;
        }
        if start.elapsed() > Duration::from_secs(60) {
            save(&mut browser, &session, picture);
            panic!("{url}: not drawn: {answer}");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    save(&mut browser, &session, picture);
}

/// Keeps a picture of the page in the build directory, for a person to look at.
fn save(browser: &mut Chromium, session: &str, name: &str) {
    let taken = browser.call(Some(session), "Page.captureScreenshot", json!({"format": "png"}));
    let bytes = BASE64_STANDARD.decode(taken["data"].as_str().unwrap()).unwrap();
    std::fs::write(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.png")), bytes).unwrap();
}

/// Prometheus' graph page draws a line in each of its graphs.
pub fn prometheus_draws(url: &str) {
    let graphs = url.matches(".expr=").count();
    let drawn = format!(
        "document.querySelectorAll('svg path, canvas').length >= {graphs} && !document.querySelector('.alert-danger')"
    );
    draws(url, &drawn, "prometheus-graph");
}

/// VMUI's dashboard draws lines, and no panel reports an error.
pub fn vmui_draws(url: &str) {
    draws(url, "document.querySelectorAll('canvas').length >= 6", "vmui-dashboard");
}
