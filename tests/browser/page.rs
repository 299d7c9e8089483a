//! One page in the browser, and what is asked of it.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::chromium::Chromium;

/// The window and the theme of a reader.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// Width of the window in CSS pixels. Below 600 the browser plays a phone.
    pub width: u32,
    /// The reader prefers dark pages.
    pub dark: bool,
}

/// A desk, a phone, and both at night.
pub const VIEWS: [View; 4] = [
    View { width: 1280, dark: false },
    View { width: 390, dark: false },
    View { width: 1280, dark: true },
    View { width: 390, dark: true },
];

/// A page that has been loaded.
pub struct Page<'a> {
    browser: &'a mut Chromium,
    session: String,
}

impl<'a> Page<'a> {
    /// Opens a file and waits until it has been loaded, with everything it asks for.
    pub fn open(browser: &'a mut Chromium, file: &Path, view: View) -> Self {
        Self::visit(browser, &format!("file://{}", file.display()), view)
    }

    /// Opens an address and waits until the page has been loaded.
    pub fn visit(browser: &'a mut Chromium, url: &str, view: View) -> Self {
        browser.events();
        let target = browser.call(None, "Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = browser.call(None, "Target.attachToTarget", attach)["sessionId"].as_str().unwrap().to_owned();
        let mut page = Self { browser, session };
        for domain in ["Page", "Runtime", "Log", "Network", "DOM", "Accessibility"] {
            page.call(&format!("{domain}.enable"), json!({}));
        }
        let (width, height) = (view.width, 900);
        let metrics = json!({"width": width, "height": height, "screenWidth": width, "screenHeight": height, "deviceScaleFactor": 1, "mobile": width < 600});
        page.call("Emulation.setDeviceMetricsOverride", metrics);
        let scheme = if view.dark { "dark" } else { "light" };
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        page.call("Emulation.setEmulatedMedia", media);
        page.call("Emulation.setFocusEmulationEnabled", json!({"enabled": true}));
        page.call("Page.navigate", json!({"url": url}));
        page.browser.wait_for("Page.loadEventFired");
        page
    }

    /// Calls a method of the page's protocol.
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        let session = self.session.clone();
        self.browser.call(Some(&session), method, params)
    }

    /// The value of an expression in the page.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let mut answer = self.call("Runtime.evaluate", json!({"expression": expression, "returnByValue": true}));
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].take()
    }

    /// The number of elements that a CSS selector finds.
    pub fn count(&mut self, selector: &str) -> u64 {
        self.evaluate(&format!("document.querySelectorAll({}).length", json!(selector))).as_u64().unwrap()
    }

    /// The complaints of the page and the browser, and every file and address that was asked for beside the page itself.
    pub fn complaints(&mut self) -> Vec<String> {
        // Whatever was on its way has arrived when this has been answered.
        let own = self.evaluate("location.href");
        let mut found = Vec::new();
        for event in self.browser.events() {
            let params = &event["params"];
            match event["method"].as_str().unwrap_or_default() {
                "Runtime.exceptionThrown" => found.push(format!("exception: {}", params["exceptionDetails"])),
                "Runtime.consoleAPICalled" => found.push(format!("console: {} {}", params["type"], params["args"])),
                "Log.entryAdded" => found.push(format!("log: {}", params["entry"]["text"])),
                "Network.requestWillBeSent" if params["request"]["url"] != own => {
                    found.push(format!("request: {}", params["request"]["url"]));
                }
                "Page.javascriptDialogOpening" => found.push(format!("dialog: {}", params["message"])),
                _ => {}
            }
        }
        found
    }

    /// Opens everything that is folded away.
    pub fn unfold(&mut self) {
        self.evaluate("for (const details of document.querySelectorAll('details')) details.open = true");
    }

    /// Runs one of the checks in `checks.js`; what it gives is wrong with the page.
    pub fn check(&mut self, name: &str) -> Vec<String> {
        let found = self.evaluate(&format!("{}; checks.{name}()", include_str!("checks.js")));
        found.as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned()).collect()
    }

    /// The pictures without a name, as the browser's own accessibility tree has them.
    pub fn nameless_pictures(&mut self) -> Vec<String> {
        let mut found = Vec::new();
        for index in 0..self.count("svg, img") {
            let expression = format!("document.querySelectorAll('svg, img')[{index}]");
            let object = self.call("Runtime.evaluate", json!({"expression": expression}))["result"]["objectId"].take();
            let query = json!({"objectId": object, "fetchRelatives": false});
            let tree = self.call("Accessibility.getPartialAXTree", query);
            let node = &tree["nodes"][0];
            // What is hidden from assistive technology on purpose needs no name.
            let hidden = self.evaluate(&format!(
                "{expression}.closest('[aria-hidden=true]') !== null || !{expression}.checkVisibility()"
            ));
            if hidden != true && node["name"]["value"].as_str().is_none_or(|name| name.trim().is_empty()) {
                let head = self.evaluate(&format!("{expression}.outerHTML.slice(0, 120)"));
                found.push(format!("{head} has no name: {node}"));
            }
        }
        found
    }

    /// Presses a key, as `key` of the keyboard event names it.
    pub fn press(&mut self, key: &str) {
        let code = match key {
            "Tab" => 9,
            "Enter" => 13,
            _ => panic!("{key}: its code is not known here"),
        };
        let text = if key == "Enter" { "\r" } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let event = json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text});
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    /// Walks through the page with Tab. What it gives is wrong: a link or a summary that is not reached, or out of its order,
    /// or that does not show that it has the focus.
    pub fn walk(&mut self) -> Vec<String> {
        let reachable = "[...document.querySelectorAll('a[href], summary, button, input, select')].filter(e => e.checkVisibility())";
        let count = usize::try_from(self.evaluate(&format!("{reachable}.length")).as_u64().unwrap()).unwrap();
        let mut found = Vec::new();
        let mut next = 0;
        // A region that scrolls may take the focus too.
        for _ in 0..2 * count + 10 {
            if next == count {
                break;
            }
            self.press("Tab");
            let at = self.evaluate(&format!("{reachable}.indexOf(document.activeElement)"));
            let Some(at) = at.as_u64().and_then(|at| usize::try_from(at).ok()) else { continue };
            if at != next {
                found.push(format!("Tab went to number {at}, not {next}, of {count}"));
                next = at;
            }
            let style = "getComputedStyle(document.activeElement)";
            let ring = self.evaluate(&format!("{style}.outlineStyle !== 'none' && {style}.outlineWidth !== '0px'"));
            if ring != true {
                found.push(format!(
                    "{} shows no focus",
                    self.evaluate("document.activeElement.outerHTML.slice(0, 120)")
                ));
            }
            next += 1;
        }
        if next < count {
            found.push(format!("Tab reached {next} of {count}"));
        }
        found
    }

    /// Prints to a PDF file.
    pub fn print(&mut self, file: &Path) {
        let answer = self.call("Page.printToPDF", json!({}));
        fs::write(file, BASE64_STANDARD.decode(answer["data"].as_str().unwrap()).unwrap()).unwrap();
    }
}

impl Drop for Page<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.call("Page.close", json!({}));
        }
    }
}
