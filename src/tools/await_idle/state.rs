//! The state of the target as one source reports it.

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
