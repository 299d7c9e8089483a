//! Just enough of an HTTP client to ask the real services what the tools were told.

use std::time::Duration;

use serde_json::Value;
use ureq::Agent;
use ureq::http::Response;

/// A day's window of raw samples is some tens of megabytes.
const LIMIT: u64 = 1 << 30;

/// An answer, whatever its status.
pub struct Answer {
    pub status: u16,
    pub text: String,
}

impl Answer {
    /// The body, which must be JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}: {}", self.status, self.text))
    }

    fn read(mut answer: Response<ureq::Body>) -> Result<Self, ureq::Error> {
        let status = answer.status().as_u16();
        let text = answer.body_mut().with_config().limit(LIMIT).read_to_string()?;
        Ok(Self { status, text })
    }
}

fn agent() -> Agent {
    let config = Agent::config_builder().http_status_as_error(false).proxy(None);
    config
        .timeout_connect(Some(Duration::from_secs(5)))
        .timeout_recv_response(Some(Duration::from_secs(60)))
        .timeout_recv_body(Some(Duration::from_secs(60)))
        .build()
        .into()
}

/// Asks for `url`.
pub fn get(url: &str) -> Result<Answer, ureq::Error> {
    Answer::read(agent().get(url).call()?)
}

/// Returns true if `url` answers with 200.
pub fn is_ok(url: &str) -> bool {
    get(url).is_ok_and(|answer| answer.status == 200)
}

/// Posts a form, which must be answered.
pub fn post_form(url: &str, form: &[(&str, &str)]) -> Answer {
    Answer::read(agent().post(url).send_form(form.iter().copied()).unwrap()).unwrap()
}

/// Posts a JSON document.
pub fn post_json(url: &str, document: &str) -> Result<Answer, ureq::Error> {
    Answer::read(agent().post(url).content_type("application/json").send(document)?)
}
