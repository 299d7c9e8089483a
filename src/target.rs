//! The target and its profile: the arguments that `await-idle`, `submit-jobs` and `poll-jobs` share.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use crate::cli::{Console, Failure};
use crate::http::{BaseUrl, ClientFactory, Connections, HttpArgs};
use crate::profile::{Profile, Request, TemplateValues};
use crate::record::Job;
use crate::token::Tokens;

/// The target, and how to reach it.
#[derive(Clone, Debug, clap::Args)]
pub struct TargetArgs {
    /// Base URL of the target [default: the one in the Run record, else the profile's]
    #[arg(long, value_name = "URL", env = "TARGET")]
    pub target: Option<String>,
    /// Read the target's profile from this file [default: the built-in one for AutoRAG's audio pipeline]
    #[arg(long, value_name = "FILE")]
    pub profile: Option<PathBuf>,
    /// Set a value for the profile's templates, `{set.NAME}` (repeatable); NAME:=JSON sets a number, a boolean, a list or an object
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    pub set: Vec<(String, Value)>,
    /// Share the access token of the profile's `[token]` with the other tools of the pipe through this file (mode 0600)
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// The HTTP flags.
    #[command(flatten)]
    pub http: HttpArgs,
}

/// Reads `NAME=VALUE`, or `NAME:=JSON`.
fn setting(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("`{text}` is not NAME=VALUE"))?;
    let (name, value) = match name.strip_suffix(':') {
        Some(name) => {
            let value = serde_json::from_str(value)
                .map_err(|error| format!("`{value}` is not JSON: {error}; write NAME=VALUE for a string"))?;
            (name, value)
        }
        None => (name, Value::from(value)),
    };
    if name.is_empty() { Err(format!("`{text}` has no name before `=`")) } else { Ok((name.to_owned(), value)) }
}

/// Clients for the target, and the token with which they authorize their requests.
#[derive(Clone, Debug)]
pub struct TargetClients {
    /// Makes the clients.
    pub factory: ClientFactory,
    /// The token, if the profile has a request for one.
    pub tokens: Option<Arc<Tokens>>,
}

impl TargetArgs {
    /// Loads the profile that `--profile` names, or the default one.
    pub fn profile(&self) -> Result<Profile, Failure> {
        Profile::load(self.profile.as_deref())
    }

    /// Clients for the target, whose address is `base` if it is known.
    pub fn clients(
        &self,
        profile: &Profile,
        base: Option<&BaseUrl>,
        connections: Connections,
        console: &Console,
    ) -> Result<TargetClients, Failure> {
        let mut factory = self.http.client_factory(connections)?;
        factory.keep_secrets(console.secrets());
        let Some(request) = &profile.token else { return Ok(TargetClients { factory, tokens: None }) };
        let tokens = Tokens::new(request.clone(), &self.set, factory.client(), self.token_file.clone(), console)?;
        let tokens = Arc::new(tokens);
        if let Some(base) = base {
            tokens.set_base(base);
        }
        factory.authorize(tokens.clone());
        Ok(TargetClients { factory, tokens: Some(tokens) })
    }

    /// Returns true if requests to the target carry secrets: a stream must not choose who receives them.
    pub fn has_secrets(&self, profile: &Profile) -> bool {
        self.http.has_secrets() || profile.token.is_some()
    }

    /// The base URL in `--target` or `TARGET`; none if both are absent or `TARGET` is empty.
    pub fn base_url(&self) -> Result<Option<BaseUrl>, Failure> {
        let is_empty = |url: &str| url.trim().is_empty();
        if self.target.as_deref().is_some_and(is_empty) && !std::env::var("TARGET").is_ok_and(|url| is_empty(&url)) {
            // `--target "$URL"` with a variable that is not set must not load another server.
            return Err(Failure::usage(
                "--target is empty: give a URL, or leave the flag out to use the profile's target",
            ));
        }
        let given = self.target.as_deref().filter(|url| !url.trim().is_empty());
        given.map(|url| BaseUrl::parse(url, "--target")).transpose()
    }

    /// The base URL in `--target` or `TARGET`, else the profile's.
    pub fn base_url_or(&self, profile: &Profile) -> Result<BaseUrl, Failure> {
        self.base_url()?.map_or_else(|| BaseUrl::parse(&profile.target, "the profile's target"), Ok)
    }
}

/// The request that polls `job`, whose id at the target is `id`. The error says what cannot be filled in.
pub fn poll_request(
    job: &Job,
    id: &str,
    profile: &Profile,
    base: &BaseUrl,
    set: &[(String, Value)],
) -> Result<Request, String> {
    profile.poll.request().fill(base, &TemplateValues::of_set(set).with_job(job).with_id(id))
}
