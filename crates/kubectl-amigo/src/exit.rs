//! Exit codes.

use std::process::{ExitCode, Termination};

/// The exit codes of every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Access granted, the answer is yes, or no findings.
    Granted,
    /// The command failed, the answer is no, or there are findings.
    Failed,
    /// Invalid command line; the same code as clap.
    Usage,
    /// The API server, the operator or Amigo refused.
    Refused,
    /// The request is created, and the operator has not processed it.
    Pending,
    /// `--timeout` passed.
    TimedOut,
    /// The user pressed Ctrl-C.
    Interrupted,
}

impl Exit {
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Granted => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Pending => 4,
            Self::TimedOut => 124,
            Self::Interrupted => 130,
        }
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self.code())
    }
}
