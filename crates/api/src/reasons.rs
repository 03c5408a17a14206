//! Condition types and reasons: the one list that controllers, docs and alerts share.

/// Condition types.
pub mod condition {
    /// The object does what its spec says.
    pub const READY: &str = "Ready";
    /// No further attempt will help until somebody changes something.
    pub const STALLED: &str = "Stalled";
    /// Every permission of a grant was issued by Amigo.
    pub const ISSUED: &str = "Issued";
    /// The Organization's API key signs in, and for longer than two weeks.
    pub const CREDENTIALS_VALID: &str = "CredentialsValid";
    /// The role follows the guide's advice.
    pub const LINT_PASSED: &str = "LintPassed";
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal;)*) => {
        $($(#[doc = $doc])+ pub const $name: &str = $text;)*

        /// The constant that a text of a condition is, if it is one of ours.
        #[must_use]
        pub fn known(text: &str) -> Option<&'static str> {
            ALL.iter().copied().find(|reason| *reason == text)
        }

        /// Every reason a condition or an event can carry.
        pub const ALL: &[&str] = &[$($text),*];

        /// What a reason means, in a sentence or two.
        #[must_use]
        pub fn meaning(reason: &str) -> Option<&'static str> {
            Some(match reason {
                $($text => concat!($($doc),+).trim_ascii(),)*
                _ => return None,
            })
        }
    };
}

reasons! {
    /// All is as the spec says.
    READY = "Ready";
    /// The object waits for its first look or for a call's answer.
    PENDING = "Pending";
    /// The object waits for its share of Amigo's rate limit.
    QUEUED = "Queued";
    /// Grants are being created.
    ISSUING = "Issuing";
    /// Every permission was issued and is live.
    ACTIVE = "Active";
    /// Some permissions are live, the others could not be issued.
    PARTIALLY_ISSUED = "PartiallyIssued";
    /// A request may or may not have reached Amigo; the listing will tell.
    OUTCOME_UNKNOWN = "OutcomeUnknown";
    /// The duration has elapsed.
    EXPIRED = "Expired";
    /// The grant could not be issued before its activation deadline.
    ACTIVATION_DEADLINE_EXCEEDED = "ActivationDeadlineExceeded";
    /// The absolute end `notAfter` leaves no time.
    NOT_AFTER_PASSED = "NotAfterPassed";
    /// Too little time is left for the shortest grant Amigo issues.
    TOO_LITTLE_TIME = "TooLittleTime";
    /// The spec breaks a rule that the schema cannot know.
    INVALID_SPEC = "InvalidSpec";
    /// The duration is malformed or outside one minute to three days.
    INVALID_DURATION = "InvalidDuration";
    /// The Organization named does not exist.
    ORGANIZATION_NOT_FOUND = "OrganizationNotFound";
    /// The Organization does not admit this namespace.
    NAMESPACE_NOT_ALLOWED = "NamespaceNotAllowed";
    /// The Organization cannot be used at present; its own conditions say why.
    ORGANIZATION_NOT_READY = "OrganizationNotReady";
    /// The Organization or the object is suspended.
    SUSPENDED = "Suspended";
    /// The object is being deleted and something still holds it: nothing more is issued.
    TERMINATING = "Terminating";
    /// No visible user has this e-mail or id.
    USER_NOT_FOUND = "UserNotFound";
    /// The conversation does not exist or is not visible to the operator's user.
    CONVERSATION_NOT_VISIBLE = "ConversationNotVisible";
    /// The conversation URL belongs to another host than the Organization's console.
    ORGANIZATION_MISMATCH = "OrganizationMismatch";
    /// The Secret named does not exist in the operator's namespace.
    SECRET_NOT_FOUND = "SecretNotFound";
    /// The Secret cannot be read: the operator is not permitted to, or the API server did not answer.
    SECRET_UNREADABLE = "SecretUnreadable";
    /// The Secret lacks a key, or the key is empty.
    SECRET_INCOMPLETE = "SecretIncomplete";
    /// Amigo refused the API key (401).
    CREDENTIALS_REJECTED = "CredentialsRejected";
    /// The API key ends within two weeks.
    CREDENTIALS_EXPIRE_SOON = "CredentialsExpireSoon";
    /// The credentials sign in.
    CREDENTIALS_VALID = "CredentialsValid";
    /// Amigo refused the call for lack of a permission or of privilege (403).
    FORBIDDEN = "Forbidden";
    /// Amigo does not know the organization, user or role (404).
    NOT_FOUND = "NotFound";
    /// Amigo found the request's content wrong (400, 422).
    INVALID_REQUEST = "InvalidRequest";
    /// Amigo's rate limit was reached (429).
    RATE_LIMITED = "RateLimited";
    /// Amigo cannot be reached: DNS, connection or TLS.
    UNREACHABLE = "Unreachable";
    /// Amigo answered with an error of its own or not in time.
    UNAVAILABLE = "Unavailable";
    /// Amigo's answer could not be understood: a redirect, too large, or not what its document says.
    INVALID_RESPONSE = "InvalidResponse";
    /// The API URL's host or scheme is not on the operator's allow-list.
    API_URL_NOT_ALLOWED = "ApiUrlNotAllowed";
    /// An older object manages the same remote thing.
    CONFLICT = "Conflict";
    /// The organization's API knows only Allow, and a Deny of the role cannot be said in Allow grants.
    DENY_NOT_SUPPORTED = "DenyNotSupported";
    /// Amigo made Allows of the role's Deny grants; the role was emptied.
    DENY_DROPPED = "DenyDropped";
    /// Amigo says that the role's name is taken, and does not list the role.
    NAME_TAKEN = "NameTaken";
    /// The name belongs to Amigo's own roles.
    RESERVED_NAME = "ReservedName";
    /// A role of this name exists, differs, and `adoption` does not permit taking it over.
    ADOPTION_REFUSED = "AdoptionRefused";
    /// The remote role differs from the spec, and `driftPolicy` says to report only.
    DRIFTED = "Drifted";
    /// The Role object named does not exist or is not ready.
    ROLE_NOT_READY = "RoleNotReady";
    /// The remote side was changed.
    APPLIED = "Applied";
    /// The remote side was taken over as it is.
    ADOPTED = "Adopted";
    /// The user had another role before.
    ASSIGNED = "Assigned";
    /// The object went and the user's role was left as it is.
    RELEASED = "Released";
    /// The role's grants were emptied before the object went.
    DISABLED = "Disabled";
    /// A role follows all advice.
    NO_FINDINGS = "NoFindings";
    /// A role ignores some advice; the message lists it.
    FINDINGS = "Findings";
    /// A grant object was deleted while its access goes on at Amigo.
    DELETED_WHILE_LIVE = "DeletedWhileLive";
    /// The sweep found more than one live record of one slot, or one that lives longer than its object allows.
    DUPLICATE = "Duplicate";
    /// The sweep found live records of ours without an object.
    ORPHANED = "Orphaned";
    /// A further lease was issued.
    RENEWED = "Renewed";
}

#[cfg(test)]
mod tests {
    #[test]
    fn reasons_are_unique_and_camel_case() {
        let unique: std::collections::BTreeSet<_> = super::ALL.iter().collect();
        assert_eq!(unique.len(), super::ALL.len());
        assert!(super::ALL.iter().all(|reason| reason.chars().all(char::is_alphanumeric)));
    }

    #[test]
    fn every_reason_has_a_meaning() {
        for reason in super::ALL {
            assert!(super::meaning(reason).is_some_and(|meaning| meaning.ends_with('.')), "{reason}");
        }
        assert_eq!(super::meaning("Suspended"), Some("The Organization or the object is suspended."));
        assert_eq!(super::meaning("Else"), None);
    }
}
