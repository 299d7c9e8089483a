//! The target and its profile: the arguments that `await-idle`, `submit-jobs` and `poll-jobs` share.

use std::path::PathBuf;

use crate::cli::Failure;
use crate::http::{BaseUrl, HttpArgs, same_origin};
use crate::profile::{Profile, Request, TemplateValues};
use crate::record::Job;

/// The target, and how to reach it.
#[derive(Clone, Debug, clap::Args)]
pub struct TargetArgs {
    /// Base URL of the target [default: the one in the Run record, else the profile's]
    #[arg(long, value_name = "URL", env = "TARGET")]
    pub target: Option<String>,
    /// Read the target's profile from this file [default: the built-in one for AutoRAG's audio pipeline]
    #[arg(long, value_name = "FILE")]
    pub profile: Option<PathBuf>,
    /// Set a value for the profile's templates, `{set.NAME}` (repeatable)
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    pub set: Vec<(String, String)>,
    /// The HTTP flags.
    #[command(flatten)]
    pub http: HttpArgs,
}

/// Reads `NAME=VALUE`.
fn setting(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    pair.map(|(name, value)| (name.to_owned(), value.to_owned())).ok_or_else(|| format!("`{text}` is not NAME=VALUE"))
}

impl TargetArgs {
    /// Loads the profile that `--profile` names, or the default one.
    pub fn profile(&self) -> Result<Profile, Failure> {
        Profile::load(self.profile.as_deref())
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
    set: &[(String, String)],
) -> Result<Request, String> {
    let values = TemplateValues::of_set(set).with_job(job).with_id(id);
    if !profile.polls_url() {
        return profile.poll.request().fill(base, &values);
    }
    let url = same_origin(&base.join("/"), id);
    let url = url.ok_or_else(|| format!("the id `{id}` is not a URL on {}", base.as_str()))?;
    profile.poll.request().fill_for(url, &values)
}
