//! Failures and their retry classes.

use std::time::Duration;

/// A failure, as a condition reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// One of `amigo_api::reasons`.
    pub reason: &'static str,
    /// What happened to which object, and what to do.
    pub message: String,
    /// Whether a retry can succeed.
    pub class: RetryClass,
    /// The minimum delay that the server requested, if any.
    pub retry_after: Option<Duration>,
}

/// Whether a retry can succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryClass {
    /// A retry can succeed soon.
    Transient,
    /// A retry can succeed after a change elsewhere; retries are rare.
    Persistent,
    /// A retry of this object cannot succeed.
    Permanent,
}

impl Failure {
    /// A failure that the operator detected.
    #[must_use]
    pub fn new(reason: &'static str, class: RetryClass, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), class, retry_after: None }
    }
}
