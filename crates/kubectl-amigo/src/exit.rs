//! How a command ends, for scripts.

use std::process::{ExitCode, Termination};

/// The exit codes of every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The access is there, the answer is yes, nothing was found wrong.
    Granted,
    /// Something failed, or the answer is no.
    Failed,
    /// The command line makes no sense; clap ends with the same.
    Usage,
    /// The request was refused: by the API server, the operator or Amigo.
    Refused,
    /// The request stands and nobody has decided on it yet.
    Pending,
    /// The time of `--timeout` passed.
    TimedOut,
    /// The user pressed Ctrl-C.
    Interrupted,
}

impl Exit {
    /// The code as a number.
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
