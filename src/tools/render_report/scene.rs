//! Everything that the files of a run directory are made from.

use std::path::Path;

use super::evaluation::Evaluation;
use super::input::Input;
use crate::http::BaseUrl;
use crate::markup::{Content, Format};
use crate::record::{Jobs, RunSpec};

/// The base URLs of other tools whose pages show the run.
#[derive(Debug, Default)]
pub(super) struct Linked {
    pub(super) jaeger: Option<BaseUrl>,
    pub(super) grafana: Option<BaseUrl>,
    pub(super) prometheus: Option<BaseUrl>,
}

/// Everything that files are made from.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) input: &'a Input,
    /// The jobs, without the words of the target where those shall not be shown.
    pub(super) jobs: &'a dyn Jobs,
    pub(super) asked: &'a RunSpec,
    pub(super) out: &'a Path,
    pub(super) evaluation: &'a Evaluation,
    /// The files that the run directory will hold.
    pub(super) files: &'a [String],
    /// The pages of other tools to link; none for a page that has no links.
    pub(super) linked: Option<&'a Linked>,
    /// There shall be a page without the words of the target.
    pub(super) redact: bool,
    /// This scene is for that page.
    pub(super) redacted: bool,
}

impl Scene<'_> {
    /// The content that `write` adds, for a page in HTML.
    pub(super) fn content(&self, write: impl FnOnce(&mut Content)) -> Content {
        let mut content = Content::new(if self.redacted { Format::RedactedHtml } else { Format::Html });
        write(&mut content);
        content
    }
}
