//! What can go wrong in a request, sorted by what the caller must conclude from it.

use std::{fmt, time::Duration};

use super::{Endpoint, excerpt::Excerpt};

/// A request that failed. No error ever contains a header, a key or a token.
///
/// # Expected flow
/// Check [`Error::never_sent`] first, then [`Error::refused`]; every other error is [`Error::ambiguous`].
///
/// # Guarantees
/// For a request that changes something exactly one of the three is true. `never_sent` is true only when the
/// request cannot have been complete at the server: the connection was never made, or the connection got no byte of
/// the body and will get none.
///
/// # Assumptions
/// A server that responds with 400, 401, 403, 404, 422 or 429 has changed nothing; nor one that responds with 409, where
/// the document lists that status. The creation of a grant has no 409, so it may not be Amigo that sends it.
///
/// # Caveats
/// Texts from the server are excerpts: at most 300 characters, no control characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{endpoint}: {cause}{}", hint(*endpoint, cause))]
pub struct Error {
    /// The operation that failed; for a failed sign-in, the one that needed it.
    pub endpoint: Endpoint,
    /// Why it failed.
    pub cause: Cause,
}

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// The name did not resolve, or no connection was made in time.
    #[error("cannot connect: {detail}")]
    Connect {
        /// The cause, as told by the operating system.
        detail: Excerpt,
    },
    /// The connection was made, but the server did not prove who it is.
    #[error("no secure connection: {detail}")]
    Tls {
        /// The cause, as told by the TLS library.
        detail: Excerpt,
    },
    /// No complete answer within the total deadline.
    #[error("no complete answer within {deadline:?}")]
    Timeout {
        /// The deadline of the whole call.
        deadline: Duration,
        /// Whether the request may have reached the server.
        begun: bool,
    },
    /// The connection ended before the answer did.
    #[error("the connection broke: {detail}")]
    Interrupted {
        /// The cause.
        detail: Excerpt,
        /// Whether the request may have reached the server.
        begun: bool,
    },
    /// The server answered with a status that is no success.
    #[error("the server answered {status}: {message}")]
    Answered {
        /// The HTTP status.
        status: u16,
        /// What the server said, read leniently.
        message: Excerpt,
        /// How long the server asks to wait.
        retry_after: Option<Duration>,
    },
    /// A success whose body is larger than this client reads.
    #[error("the answer ({status}) is larger than {cap} bytes")]
    BodyTooLarge {
        /// The HTTP status.
        status: u16,
        /// The most bytes that are read.
        cap: usize,
    },
    /// A success whose body is not what the document says.
    #[error("the answer ({status}) cannot be understood: {detail}")]
    Malformed {
        /// The HTTP status.
        status: u16,
        /// What is wrong with it.
        detail: Excerpt,
    },
    /// The pages of a listing do not fit together; nothing may be concluded from what was read.
    #[error("the listing is torn: {detail}")]
    InconsistentPages {
        /// What does not fit.
        detail: &'static str,
    },
    /// The rate budget does not allow the call yet. Nothing was sent.
    #[error("the rate budget allows the call in {wait:?}")]
    Budget {
        /// How long until its turn.
        wait: Duration,
    },
    /// The moment after which the call must not start had passed. Nothing was sent.
    #[error("too late to send")]
    TooLate,
    /// The server refused the credentials before, and they have not changed: no call is made.
    #[error("not called, because the credentials were refused: {message}")]
    CredentialsRejected {
        /// What the server said when it refused.
        message: Excerpt,
    },
    /// No token could be had, so the call was not made.
    #[error("not called: {0}")]
    SignIn(Box<Error>),
    /// More than one user has the address, so it names nobody.
    #[error("{count} users have the same e-mail address")]
    NotUnique {
        /// How many users were found.
        count: usize,
    },
    /// The request makes no sense to the API, so it was not sent.
    #[error("not sent: {detail}")]
    InvalidInput {
        /// What is wrong with it.
        detail: Excerpt,
    },
    /// The request needs the `AllowDeny` model. Sent to a server of the other model it could widen access.
    #[error("not sent: {what} is not understood by a server of the AllowOnly permission model")]
    Unsupported {
        /// What the server would not understand.
        what: &'static str,
    },
}

/// The kinds of error: metric labels and condition reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorKind {
    /// No connection: name, network, refused, or too slow.
    Connect,
    /// No secure connection.
    Tls,
    /// No complete answer in time.
    Timeout,
    /// 401.
    Unauthorized,
    /// 403.
    Forbidden,
    /// 404.
    NotFound,
    /// 409.
    Conflict,
    /// 422, or input this client refuses to send.
    Invalid,
    /// 400.
    BadRequest,
    /// 429.
    RateLimited,
    /// 503.
    Unavailable,
    /// Any other 5xx.
    ServerError,
    /// A redirect, which is never followed.
    Redirect,
    /// A status the document does not know.
    UnexpectedStatus,
    /// The answer is too large.
    BodyTooLarge,
    /// The answer cannot be understood, or a listing is torn.
    Malformed,
    /// The connection broke.
    Interrupted,
    /// No call is made until the credentials change.
    CredentialsRejected,
    /// The rate budget does not allow the call yet.
    Budget,
    /// Too late to send.
    TooLate,
    /// An e-mail address that names several users.
    NotUnique,
    /// The server's permission model has no word for it.
    Unsupported,
}

impl Error {
    /// An error of `endpoint`.
    #[must_use]
    pub fn new(endpoint: Endpoint, cause: Cause) -> Self {
        Self { endpoint, cause }
    }

    /// The request makes no sense to the API.
    pub(crate) fn invalid_input(endpoint: Endpoint, detail: &str) -> Self {
        Self::new(endpoint, Cause::InvalidInput { detail: Excerpt::new(detail) })
    }

    /// The kind, for metrics and conditions. A failed sign-in has the kind of its cause.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match &self.cause {
            Cause::Connect { .. } => ErrorKind::Connect,
            Cause::Tls { .. } => ErrorKind::Tls,
            Cause::Timeout { .. } => ErrorKind::Timeout,
            Cause::Interrupted { .. } => ErrorKind::Interrupted,
            Cause::Answered { status, .. } => status_kind(*status),
            Cause::BodyTooLarge { .. } => ErrorKind::BodyTooLarge,
            Cause::Malformed { .. } | Cause::InconsistentPages { .. } => ErrorKind::Malformed,
            Cause::Budget { .. } => ErrorKind::Budget,
            Cause::TooLate => ErrorKind::TooLate,
            Cause::CredentialsRejected { .. } => ErrorKind::CredentialsRejected,
            Cause::SignIn(error) => error.kind(),
            Cause::NotUnique { .. } => ErrorKind::NotUnique,
            Cause::InvalidInput { .. } => ErrorKind::Invalid,
            Cause::Unsupported { .. } => ErrorKind::Unsupported,
        }
    }

    /// How long to wait before trying again, where the server or the budget said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match &self.cause {
            Cause::Answered { retry_after, .. } => *retry_after,
            Cause::Budget { wait, .. } => Some(*wait),
            Cause::SignIn(error) => error.retry_after(),
            _ => None,
        }
    }

    /// The HTTP status, where there was an answer.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match &self.cause {
            Cause::Answered { status, .. } | Cause::BodyTooLarge { status, .. } | Cause::Malformed { status, .. } => {
                Some(*status)
            }
            Cause::SignIn(error) => error.status(),
            _ => None,
        }
    }

    /// Whether it is certain that the server never got the whole request.
    #[must_use]
    pub fn never_sent(&self) -> bool {
        match &self.cause {
            Cause::Connect { .. }
            | Cause::Tls { .. }
            | Cause::Budget { .. }
            | Cause::TooLate
            | Cause::CredentialsRejected { .. }
            | Cause::SignIn(_)
            | Cause::InvalidInput { .. }
            | Cause::Unsupported { .. } => true,
            Cause::Timeout { begun, .. } | Cause::Interrupted { begun, .. } => !begun,
            Cause::Answered { .. }
            | Cause::BodyTooLarge { .. }
            | Cause::Malformed { .. }
            | Cause::InconsistentPages { .. }
            | Cause::NotUnique { .. } => false,
        }
    }

    /// Whether the server got the request and said no: 400, 401, 403, 404, 422, 429, and 409 but for a new grant.
    #[must_use]
    pub fn refused(&self) -> bool {
        match &self.cause {
            Cause::Answered { status: 400 | 401 | 403 | 404 | 422 | 429, .. } => true,
            Cause::Answered { status: 409, .. } => self.endpoint != Endpoint::CreateGrant,
            _ => false,
        }
    }

    /// Whether the server may have done what was asked, although there is no good answer.
    #[must_use]
    pub fn ambiguous(&self) -> bool {
        !self.never_sent() && !self.refused()
    }

    /// Whether a read may be repeated at once: no answer was read, or the server says it is a passing trouble.
    #[must_use]
    pub fn passing(&self) -> bool {
        matches!(
            &self.cause,
            Cause::Connect { .. } | Cause::Interrupted { .. } | Cause::Answered { status: 502..=504, .. }
        )
    }
}

impl ErrorKind {
    /// The label in metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Invalid => "invalid",
            Self::BadRequest => "bad_request",
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "unavailable",
            Self::ServerError => "server_error",
            Self::Redirect => "redirect",
            Self::UnexpectedStatus => "unexpected_status",
            Self::BodyTooLarge => "body_too_large",
            Self::Malformed => "malformed",
            Self::Interrupted => "interrupted",
            Self::CredentialsRejected => "credentials_rejected",
            Self::Budget => "budget",
            Self::TooLate => "too_late",
            Self::NotUnique => "not_unique",
            Self::Unsupported => "unsupported",
        }
    }
}

impl ErrorKind {
    /// What a person can do about it, where that is not plain.
    #[must_use]
    pub const fn advice(self) -> Option<&'static str> {
        Some(match self {
            Self::Connect => "check the Organization's apiUrl and the network to Amigo",
            Self::Tls => {
                "check that the Organization's apiUrl is an https address and that its certificate is trusted here"
            }
            Self::Forbidden => {
                "the role of the operator's user at Amigo needs the permission for this call, and must stand above whatever it hands out"
            }
            Self::Redirect => "redirects are not followed: check the Organization's apiUrl",
            Self::BodyTooLarge | Self::UnexpectedStatus => {
                "check that the Organization's apiUrl leads to the Amigo API and not to something in between"
            }
            _ => return None,
        })
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

const fn status_kind(status: u16) -> ErrorKind {
    match status {
        300..=399 => ErrorKind::Redirect,
        400 => ErrorKind::BadRequest,
        401 => ErrorKind::Unauthorized,
        403 => ErrorKind::Forbidden,
        404 => ErrorKind::NotFound,
        409 => ErrorKind::Conflict,
        422 => ErrorKind::Invalid,
        429 => ErrorKind::RateLimited,
        503 => ErrorKind::Unavailable,
        500..=599 => ErrorKind::ServerError,
        _ => ErrorKind::UnexpectedStatus,
    }
}

/// What the two unclear answers of the sign-in usually mean (API document, sign-in; regions page).
const fn hint(endpoint: Endpoint, cause: &Cause) -> &'static str {
    match (endpoint, cause) {
        (Endpoint::SignIn, Cause::Answered { status: 404, .. }) => " (wrong region or organization?)",
        (Endpoint::SignIn, Cause::Answered { status: 401, .. }) => {
            " (key unknown or wrong, user unknown, or the user's role is not below the role of the key)"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16) -> Error {
        answered_by(Endpoint::CreateGrant, status)
    }

    fn answered_by(endpoint: Endpoint, status: u16) -> Error {
        Error::new(endpoint, Cause::Answered { status, message: Excerpt::default(), retry_after: None })
    }

    #[test]
    fn every_answer_is_exactly_one_of_refused_and_ambiguous() {
        for status in 200..=599 {
            let refused = matches!(status, 400 | 401 | 403 | 404 | 422 | 429);
            let error = answered(status);
            assert_eq!((error.never_sent(), error.refused(), error.ambiguous()), (false, refused, !refused));
        }
    }

    #[test]
    fn a_conflict_is_a_refusal_where_the_document_knows_it() {
        assert!(answered_by(Endpoint::CreateRole, 409).refused());
        assert!(answered_by(Endpoint::CreateGrant, 409).ambiguous());
    }

    #[test]
    fn a_timeout_is_ambiguous_only_once_begun() {
        let timeout =
            |begun| Error::new(Endpoint::CreateGrant, Cause::Timeout { deadline: Duration::from_secs(1), begun });
        assert!(timeout(true).ambiguous());
        assert!(timeout(false).never_sent());
    }

    #[test]
    fn a_failed_sign_in_leaves_the_call_unsent() {
        let error = Error::new(Endpoint::CreateGrant, Cause::SignIn(Box::new(answered(500))));
        assert!(error.never_sent() && !error.ambiguous());
        assert_eq!(error.kind(), ErrorKind::ServerError);
    }
}
