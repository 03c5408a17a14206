//! Why a command failed: what happened, to which object, and what to do.

use std::{error::Error as StdError, fmt, io};

use kube::core::Status;

use super::Exit;

/// A failure as the user sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub exit: Exit,
    /// What happened, and to which object.
    pub message: String,
    /// What to do.
    pub advice: Option<String>,
}

impl Failure {
    pub fn failed(message: impl Into<String>) -> Self {
        Self { exit: Exit::Failed, message: message.into(), advice: None }
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, ..Self::failed(message) }
    }

    #[must_use]
    pub fn with_exit(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }

    pub fn refused(message: impl Into<String>) -> Self {
        Self { exit: Exit::Refused, ..Self::failed(message) }
    }

    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// A failed call to the API server; `doing` is such as "list Organizations".
    #[must_use]
    pub fn from_kube(doing: &str, error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::from_status(doing, status),
            other => Self::failed(format!("cannot {doing}: {}", chain(other)))
                .advise("check the connection to the cluster with `kubectl version`"),
        }
    }

    fn from_status(doing: &str, status: &Status) -> Self {
        let said = format!("cannot {doing}: {}", status.message);
        match (status.code, status.reason.as_str()) {
            (401, _) => Self::failed(said).advise("sign in to the cluster again, then repeat the command"),
            (403, _) if is_rbac_denial(status) => Self::refused(said).advise(
                "ask a cluster administrator for permission; to list your permissions, run `kubectl auth can-i --list`",
            ),
            // An admission rule, whose message says what to do.
            (403 | 422, _) => Self::refused(said),
            // An unknown kind has no details, an unknown object has a name.
            (404, _) if status.details.as_ref().is_none_or(|details| details.name.is_empty()) => Self::failed(said)
                .advise("check that amigo-operator is installed: `kubectl get crd | grep amigo` lists its kinds"),
            _ => Self::failed(said),
        }
    }
}

/// Whether the API server refused because RBAC does not permit it, and not because of an admission rule: both are 403
/// Forbidden, and only the messages differ.
#[must_use]
pub fn is_rbac_denial(status: &Status) -> bool {
    let said = &status.message;
    let authorization = said.contains("\" cannot ") && (said.contains(" resource \"") || said.contains(" path \""));
    status.code == 403 && authorization && !said.contains("denied request") && !said.contains("denied the request")
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

/// An error and its causes in one line, without repetitions.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(message: &str) -> Failure {
        let status =
            Status { code: 403, reason: "Forbidden".to_owned(), message: message.to_owned(), ..Status::default() };
        Failure::from_kube("create request one", &kube::Error::Api(Box::new(status)))
    }

    #[test]
    fn only_rbac_denials_advise_asking_for_permission() {
        let right = refused(
            "tpg is forbidden: User \"eng\" cannot create resource \"tpg\" in API group \"permissions.amigo.ai\"",
        );
        assert_eq!((right.exit, right.advice.is_some()), (Exit::Refused, true));
        for rule in [
            "tpg \"one\" is forbidden: ValidatingAdmissionPolicy 'own' with binding 'own' denied request: ask for yourself",
            "admission webhook \"own\" denied the request: user \"eng\" cannot use resource \"tpg\"",
            "tpg \"one\" is forbidden: exceeded quota: few",
        ] {
            assert_eq!((refused(rule).exit, refused(rule).advice), (Exit::Refused, None), "{rule}");
        }
    }
}
