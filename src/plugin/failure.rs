//! Why a command failed: what happened, to what, and what to do.

use std::{error::Error as StdError, fmt, io};

use kube::core::Status;

use super::Exit;

/// A failure as the user reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How the command ends.
    pub exit: Exit,
    /// What happened, and to what.
    pub message: String,
    /// What to do about it.
    pub advice: Option<String>,
}

impl Failure {
    /// Something failed.
    pub fn failed(message: impl Into<String>) -> Self {
        Self { exit: Exit::Failed, message: message.into(), advice: None }
    }

    /// The command line makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, ..Self::failed(message) }
    }

    /// The same with another way to end.
    #[must_use]
    pub fn exiting(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }

    /// Somebody refused.
    pub fn refused(message: impl Into<String>) -> Self {
        Self { exit: Exit::Refused, ..Self::failed(message) }
    }

    /// The same, with what to do.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// What the API server, or the way to it, said to `doing`, such as "list Organizations".
    #[must_use]
    pub fn of_kube(doing: &str, error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::of_status(doing, status),
            other => Self::failed(format!("cannot {doing}: {}", chain(other)))
                .advise("check the connection to the cluster: `kubectl version` must answer"),
        }
    }

    fn of_status(doing: &str, status: &Status) -> Self {
        let said = format!("cannot {doing}: {}", status.message);
        match (status.code, status.reason.as_str()) {
            (401, _) => Self::failed(said).advise("sign in to the cluster anew, then repeat the command"),
            (403, _) => Self::refused(said)
                .advise("ask whoever runs the cluster for the rights; `kubectl auth can-i --list` shows yours"),
            (422, _) => Self::refused(said),
            // An unknown kind has no details, an unknown object has a name.
            (404, _) if status.details.as_ref().is_none_or(|details| details.name.is_empty()) => Self::failed(said)
                .advise("is amigo-operator installed here? `kubectl get crd | grep amigo` shows its kinds"),
            _ => Self::failed(said),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)?;
        self.advice.as_ref().map_or(Ok(()), |advice| write!(formatter, "\n{advice}"))
    }
}

impl StdError for Failure {}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::failed(format!("cannot write the output: {error}"))
    }
}

/// An error and all it rests on, in one line; what a cause repeats is said once.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}
