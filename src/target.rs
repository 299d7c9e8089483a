//! The target and its profile: the arguments that `await-idle`, `submit-jobs` and `poll-jobs` share.

use std::path::PathBuf;

use crate::cli::Failure;
use crate::http::{BaseUrl, HttpArgs};
use crate::profile::{Escaping, Profile, TemplateValues, fill};
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
    /// The HTTP flags.
    #[command(flatten)]
    pub http: HttpArgs,
}

impl TargetArgs {
    /// Loads the profile that `--profile` names, or the default one.
    pub fn profile(&self) -> Result<Profile, Failure> {
        Profile::load(self.profile.as_deref())
    }

    /// The base URL in `--target` or `TARGET`; none if both are absent or empty.
    pub fn base_url(&self) -> Result<Option<BaseUrl>, Failure> {
        let given = self.target.as_deref().filter(|url| !url.trim().is_empty());
        given.map(|url| BaseUrl::parse(url, "--target")).transpose()
    }

    /// The base URL in `--target` or `TARGET`, else the profile's.
    pub fn base_url_or(&self, profile: &Profile) -> Result<BaseUrl, Failure> {
        self.base_url()?.map_or_else(|| BaseUrl::parse(&profile.target, "the profile's target"), Ok)
    }
}

/// The request that polls one job, built from the profile.
#[derive(Debug, PartialEq, Eq)]
pub struct PollRequest {
    /// The URL.
    pub url: String,
    /// The headers of this poll.
    pub headers: Vec<(String, String)>,
}

impl PollRequest {
    /// A poll of `job`, whose id at the target is `id`.
    pub fn for_job(job: &Job, id: &str, profile: &Profile, base: &BaseUrl) -> Self {
        Self::build(
            profile,
            base,
            &TemplateValues { run: &job.metadata.run, name: &job.metadata.name, source: &job.spec.source, id },
        )
    }

    /// A poll of the job with this id, of which nothing else is known.
    pub fn for_id(id: &str, profile: &Profile, base: &BaseUrl) -> Self {
        Self::build(profile, base, &TemplateValues { id, ..TemplateValues::default() })
    }

    fn build(profile: &Profile, base: &BaseUrl, values: &TemplateValues<'_>) -> Self {
        let headers = profile.poll.headers.iter();
        Self {
            url: base.join(&fill(&profile.poll.path, values, Escaping::Path)),
            headers: headers.map(|(name, value)| (name.clone(), fill(value, values, Escaping::Text))).collect(),
        }
    }
}
