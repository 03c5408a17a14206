//! Why something did not work, and whether to try again.

use std::time::Duration;

/// Why something did not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// One of `amigo_api::reasons`.
    pub reason: &'static str,
    /// What happened, to which object, and what to do.
    pub message: String,
    /// Whether trying again can help.
    pub class: RetryClass,
    /// Not before this much time, where the server said so.
    pub retry_after: Option<Duration>,
}

/// Whether trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryClass {
    /// Soon, by itself.
    Transient,
    /// Only when somebody changes something elsewhere; tried again rarely.
    Persistent,
    /// Never, for this object.
    Permanent,
}

impl Failure {
    /// A failure that the operator found itself.
    #[must_use]
    pub fn new(reason: &'static str, class: RetryClass, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), class, retry_after: None }
    }
}
