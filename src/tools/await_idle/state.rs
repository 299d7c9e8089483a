//! The target, and its state as one source reports it.

use std::sync::Arc;

use crate::http::{BaseUrl, Client};
use crate::profile::Profile;

/// The target and how to ask it.
pub(super) struct Target {
    pub(super) profile: Arc<Profile>,
    pub(super) base: BaseUrl,
    pub(super) client: Client,
}

/// The state of the target as one source knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum IdleState {
    /// Nothing is left to do.
    Idle,
    /// This is left to do.
    Busy(String),
    /// Not known yet; another check may tell.
    Pending(String),
    /// Not known, and no check will tell.
    Unknown(String),
}
