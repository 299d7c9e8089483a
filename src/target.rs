//! Which target, through which profile: the arguments that `await-idle`, `submit-jobs` and `poll-jobs` share.

use std::path::PathBuf;

use crate::cli::Failure;
use crate::http::{BaseUrl, HttpArgs};
use crate::profile::{Place, Profile, Values, fill};
use crate::record::Job;

/// Which target, and how to reach it.
#[derive(Clone, Debug, clap::Args)]
pub struct TargetArgs {
    /// The target's base URL; by default the one in the Run record, else the profile's
    #[arg(long, value_name = "URL", env = "TARGET")]
    pub target: Option<String>,
    /// The target's profile; AutoRAG's audio pipeline by default (see docs/profile.md)
    #[arg(long, value_name = "FILE")]
    pub profile: Option<PathBuf>,
    /// How to reach it.
    #[command(flatten)]
    pub http: HttpArgs,
}

impl TargetArgs {
    /// The profile that was asked for.
    pub fn profile(&self) -> Result<Profile, Failure> {
        Profile::load(self.profile.as_deref())
    }

    /// The base URL that was asked for; none where the flag and the environment are silent or empty.
    pub fn base_url(&self) -> Result<Option<BaseUrl>, Failure> {
        let given = self.target.as_deref().filter(|url| !url.trim().is_empty());
        given.map(|url| BaseUrl::parse(url, "--target")).transpose()
    }

    /// The base URL that was asked for, else the profile's.
    pub fn base_url_or(&self, profile: &Profile) -> Result<BaseUrl, Failure> {
        self.base_url()?.map_or_else(|| BaseUrl::parse(&profile.target, "the profile's target"), Ok)
    }
}

/// A poll of one job, as the profile says it.
#[derive(Debug, PartialEq, Eq)]
pub struct PollRequest {
    /// Where to ask.
    pub url: String,
    /// What goes with it.
    pub headers: Vec<(String, String)>,
}

impl PollRequest {
    /// Asks for `job`, which the target calls `id`.
    pub fn of(job: &Job, id: &str, profile: &Profile, base: &BaseUrl) -> Self {
        Self::filled(
            profile,
            base,
            &Values { run: &job.metadata.run, name: &job.metadata.name, source: &job.spec.source, id },
        )
    }

    /// Asks for what the target calls `id`, where nothing else is known of it.
    pub fn bare(id: &str, profile: &Profile, base: &BaseUrl) -> Self {
        Self::filled(profile, base, &Values { id, ..Values::default() })
    }

    fn filled(profile: &Profile, base: &BaseUrl, values: &Values<'_>) -> Self {
        let headers = profile.poll.headers.iter();
        Self {
            url: base.join(&fill(&profile.poll.path, values, Place::Path)),
            headers: headers.map(|(name, value)| (name.clone(), fill(value, values, Place::Text))).collect(),
        }
    }
}
