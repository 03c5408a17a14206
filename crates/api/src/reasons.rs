//! Condition types and reasons: the one list that controllers, docs and alerts share.

mod table;

use super::Kind;

use table::TABLE;
pub use table::*;

/// Condition types.
pub mod condition {
    /// The remote side matches the spec.
    pub const READY: &str = "Ready";
    /// The operator makes no progress until somebody acts.
    pub const STALLED: &str = "Stalled";
    /// Amigo issued every permission of a grant.
    pub const ISSUED: &str = "Issued";
    /// The operator signs in with the Organization's API key, which is valid for more than two weeks.
    pub const CREDENTIALS_VALID: &str = "CredentialsValid";
    /// The lint rules found nothing in the role.
    pub const LINT_PASSED: &str = "LintPassed";
}

/// One row of the table.
struct Reason {
    name: &'static str,
    meaning: &'static str,
    needs_action: bool,
    remedies: &'static [Remedy],
}

/// A remedy, and the kinds it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remedy {
    /// The kinds that can carry the reason and share the remedy.
    pub kinds: &'static [Kind],
    /// One to three sentences.
    pub text: &'static str,
}

fn find(reason: &str) -> Option<&'static Reason> {
    TABLE.iter().find(|row| row.name == reason)
}

/// The constant equal to the reason of a condition, if there is one.
#[must_use]
pub fn known(reason: &str) -> Option<&'static str> {
    find(reason).map(|row| row.name)
}

/// The meaning of a reason, in one sentence.
#[must_use]
pub fn meaning(reason: &str) -> Option<&'static str> {
    find(reason).map(|row| row.meaning)
}

/// What to do when an object of this kind carries the reason.
///
/// `None` if the reason is unknown, or no object of this kind carries it.
#[must_use]
pub fn remedy(kind: Kind, reason: &str) -> Option<&'static str> {
    remedies(reason).iter().find(|remedy| remedy.kinds.contains(&kind)).map(|remedy| remedy.text)
}

/// The remedies of a reason for all kinds that can carry it.
#[must_use]
pub fn remedies(reason: &str) -> &'static [Remedy] {
    find(reason).map_or(&[], |row| row.remedies)
}

/// Whether somebody must act. False for reasons of success and of progress; true for unknown reasons.
#[must_use]
pub fn needs_action(reason: &str) -> bool {
    find(reason).is_none_or(|row| row.needs_action)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn reasons_are_unique_and_camel_case() {
        let unique: BTreeSet<_> = ALL.iter().collect();
        assert_eq!(unique.len(), ALL.len());
        assert!(ALL.iter().all(|reason| reason.chars().all(char::is_alphanumeric)));
    }

    #[test]
    fn every_reason_has_a_meaning() {
        for reason in ALL {
            assert!(meaning(reason).is_some_and(is_prose), "{reason}");
        }
        assert_eq!(meaning("Suspended"), Some("The object or its Organization is suspended."));
        assert_eq!(meaning("Else"), None);
    }

    #[test]
    fn every_reason_has_one_remedy_for_each_of_its_kinds() {
        for reason in ALL {
            let kinds: Vec<Kind> = remedies(reason).iter().flat_map(|remedy| remedy.kinds).copied().collect();
            let unique: BTreeSet<_> = kinds.iter().collect();
            assert!(!kinds.is_empty() && unique.len() == kinds.len(), "{reason}: {kinds:?}");
            for kind in kinds {
                assert!(remedy(kind, reason).is_some_and(is_prose), "{reason} of {kind:?}");
            }
        }
        assert_eq!(remedy(Kind::Role, "Else"), None);
        assert_eq!(remedy(Kind::Role, USER_NOT_FOUND), None);
    }

    #[test]
    fn sentences_have_at_most_twenty_words() {
        let remedies = ALL.iter().flat_map(|reason| remedies(reason)).map(|remedy| remedy.text);
        let meanings = ALL.iter().filter_map(|reason| meaning(reason));
        for sentence in remedies.chain(meanings).flat_map(|text| text.split(". ")) {
            assert!(sentence.split_whitespace().count() <= 20, "{sentence}");
        }
    }

    #[test]
    fn invalid_request_is_fixed_in_place_but_for_grants() {
        assert_eq!(remedy(Kind::Role, INVALID_REQUEST), Some("Fix the field named in the message."));
        let grant = remedy(Kind::TemporaryPermissionGrant, INVALID_REQUEST);
        assert!(grant.is_some_and(|remedy| remedy.contains("create the grant again")), "{grant:?}");
    }

    #[test]
    fn success_and_progress_need_no_action() {
        assert!(!needs_action(ACTIVE) && !needs_action(QUEUED));
        assert!(needs_action(USER_NOT_FOUND) && needs_action(FORBIDDEN) && needs_action("Else"));
    }

    fn is_prose(text: &str) -> bool {
        text.ends_with('.') && !text.contains("  ") && text.starts_with(char::is_uppercase)
    }
}
