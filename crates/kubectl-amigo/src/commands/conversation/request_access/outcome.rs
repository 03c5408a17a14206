//! How a wait ends without the access.

use std::time::Duration;

/// A running operator processes a request within this time.
pub const FIRST_LOOK: Duration = Duration::from_secs(15);

/// Why the access is not granted; texts are reasons for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WaitFailure {
    /// The operator gave up.
    Refused(String),
    /// The request needs a change first.
    Stalled(String),
    /// The operator never processed the request.
    NotProcessed,
    /// `--timeout` passed.
    TimedOut(String),
    Expired,
    Deleted,
    /// The user may not read the request.
    Unreadable(String),
    /// The user pressed Ctrl-C.
    Interrupted,
}
