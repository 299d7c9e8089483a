//! Shared by the tests: a stand-in over a few small files, and a client.
#![allow(dead_code, reason = "each test binary uses its share")]

use std::path::Path;
use std::time::{Duration, Instant};

use pipeline_sim::{Options, Sim, Stats};
use serde_json::Value;
use tempfile::TempDir;
use ureq::Agent;
use ureq::http::Response;

/// A stand-in whose data root holds `fixtures/1.webm` to `fixtures/30.webm`.
pub(crate) struct Rig {
    pub(crate) sim: Sim,
    pub(crate) agent: Agent,
    data: TempDir,
}

/// An answer taken apart.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: Response<()>,
    pub(crate) body: String,
}

impl Rig {
    /// Starts one a hundred to a thousand times as fast as the real pipeline, with these flags.
    pub(crate) fn new(flags: &[&str]) -> Self {
        Self::with(|_| {}, flags)
    }

    pub(crate) fn with(change: impl FnOnce(&mut Options), flags: &[&str]) -> Self {
        let data = data();
        let mut options = Options::from_flags(["--time-scale", "0.002"].iter().chain(flags).copied()).unwrap();
        data.path().clone_into(&mut options.data);
        change(&mut options);
        Self { sim: Sim::start(options).unwrap(), agent: agent(PATIENCE), data }
    }

    pub(crate) fn stats(&self) -> Stats {
        self.sim.stats()
    }

    pub(crate) fn data(&self) -> &Path {
        self.data.path()
    }

    /// Asks the Prometheus query API.
    pub(crate) fn prometheus(&self, path: &str) -> Answer {
        take_apart(self.agent.get(format!("{}{path}", self.sim.prometheus_url())).call().unwrap()).unwrap()
    }

    /// Asks the Jaeger query API.
    pub(crate) fn jaeger(&self, path: &str) -> Answer {
        take_apart(self.agent.get(format!("{}{path}", self.sim.jaeger_url())).call().unwrap()).unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.try_get(path).unwrap()
    }

    pub(crate) fn try_get(&self, path: &str) -> Result<Answer, ureq::Error> {
        take_apart(self.agent.get(format!("{}{path}", self.sim.url())).call()?)
    }

    pub(crate) fn post(&self, body: &str) -> Answer {
        self.try_post(body, &[]).unwrap()
    }

    pub(crate) fn try_post(&self, body: &str, headers: &[(&str, &str)]) -> Result<Answer, ureq::Error> {
        let mut request = self.agent.post(format!("{}/jobs/audio", self.sim.url()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        take_apart(request.content_type("application/json").send(body)?)
    }

    /// Submits file `n` and returns the job's id.
    pub(crate) fn submit(&self, n: u64) -> String {
        let answer = self.post(&source(n));
        assert_eq!(answer.status, 202, "{}", answer.body);
        answer.text("/job_id")
    }

    pub(crate) fn job(&self, id: &str) -> Value {
        let answer = self.get(&format!("/jobs/{id}"));
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }

    /// Polls until the job is done or failed.
    pub(crate) fn ended(&self, id: &str) -> Value {
        self.until(id, |job| matches!(job["status"].as_str(), Some("done" | "failed")))
    }

    /// Polls until the job looks like that.
    pub(crate) fn until(&self, id: &str, condition: impl Fn(&Value) -> bool) -> Value {
        until(|| Some(self.job(id)).filter(&condition))
    }

    pub(crate) fn log(&self, service: &str) -> String {
        std::fs::read_to_string(self.sim.logs().join(format!("{service}.log"))).unwrap()
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub(crate) fn text(&self, pointer: &str) -> String {
        let json = self.json();
        let found = json.pointer(pointer).and_then(Value::as_str);
        found.unwrap_or_else(|| panic!("no text at {pointer}: {json}")).to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.headers().get(name).and_then(|value| value.to_str().ok())
    }
}

/// The body that submits file `n`.
pub(crate) fn source(n: u64) -> String {
    format!(r#"{{"source": "/data/fixtures/{n}.webm"}}"#)
}

/// A data root with thirty files to submit.
pub(crate) fn data() -> TempDir {
    let data = tempfile::tempdir().unwrap();
    let fixtures = data.path().join("fixtures");
    std::fs::create_dir(&fixtures).unwrap();
    for n in 1..=30 {
        std::fs::write(fixtures.join(format!("{n}.webm")), [0; 4096]).unwrap();
    }
    data
}

/// Asks again until there is an answer; a minute is far beyond any of the waits here.
pub(crate) fn until<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "it never came");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The longest time that an answer may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A client that takes no status for an error and no proxy from the environment.
pub(crate) fn agent(patience: Duration) -> Agent {
    Agent::config_builder().http_status_as_error(false).proxy(None).timeout_recv_response(Some(patience)).build().into()
}

pub(crate) fn take_apart(response: Response<ureq::Body>) -> Result<Answer, ureq::Error> {
    let (parts, mut body) = response.into_parts();
    let head = Response::from_parts(parts, ());
    Ok(Answer { status: head.status().as_u16(), body: body.read_to_string()?, head })
}
