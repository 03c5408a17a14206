//! The annotation with which users ask for a fresh look at Amigo.

use amigo_api::annotations::RESYNC;
use kube::{Resource, ResourceExt as _};

/// Longer values are cut: they go into the status.
const MAX_CHARACTERS: usize = 253;

/// The value of the annotation.
pub fn value<K: Resource>(object: &K) -> Option<String> {
    object.annotations().get(RESYNC).map(|value| value.chars().take(MAX_CHARACTERS).collect())
}

/// Whether the annotation has a value that the status does not acknowledge.
pub fn is_requested<K: Resource>(object: &K, handled: Option<&String>) -> bool {
    value(object).is_some_and(|value| handled != Some(&value))
}

#[cfg(test)]
mod tests {
    use amigo_api::{Role, RoleSpec};

    use super::*;

    fn annotated(value: &str) -> Role {
        let mut role = Role::new("triage", RoleSpec::default());
        role.annotations_mut().insert(RESYNC.to_owned(), value.to_owned());
        role
    }

    #[test]
    fn each_new_value_requests_one_resync() {
        assert!(!is_requested(&Role::new("triage", RoleSpec::default()), None));
        assert!(is_requested(&annotated("1"), None) && is_requested(&annotated("2"), Some(&"1".to_owned())));
        assert!(!is_requested(&annotated("1"), Some(&"1".to_owned())));
    }

    #[test]
    fn long_values_are_acknowledged_in_part() {
        let long = annotated(&"é".repeat(1000));
        let handled = value(&long);
        assert!(handled.as_ref().is_some_and(|value| value.chars().count() == MAX_CHARACTERS));
        assert!(!is_requested(&long, handled.as_ref()));
    }
}
