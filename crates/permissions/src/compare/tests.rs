use proptest::prelude::*;

use super::*;
use crate::{
    Action,
    arbitrary::{allows, requests, role},
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn excess_request_is_allowed_by_first_role_only(first in role(), second in role()) {
        if let Excess::Request(witness) = excess(&first, &second) {
            prop_assert!(allows(&first, &witness) && !allows(&second, &witness));
        }
    }

    #[test]
    fn no_excess_means_second_role_allows_all(
        first in role(), second in role(), start in any::<u8>()
    ) {
        if excess(&first, &second) == Excess::Nothing {
            prop_assert!(requests(start).all(|request| !allows(&first, request) || allows(&second, request)));
        }
    }

    #[test]
    fn comparison_is_antisymmetric(first in role(), second in role()) {
        let mirrored = match compare(&second, &first).privilege {
            Privilege::Greater => Privilege::Less,
            Privilege::Less => Privilege::Greater,
            same => same,
        };
        prop_assert_eq!(compare(&first, &second).privilege, mirrored);
        prop_assert_eq!(compare(&first, &first).privilege, Privilege::Equal);
    }
}

fn allow_when(condition: Condition) -> Vec<PermissionGrant> {
    let conditions = [("x".to_owned(), condition)].into();
    vec![PermissionGrant { action: Action::Allow, permission_name: "P".to_owned(), conditions }]
}

fn allow_always() -> Vec<PermissionGrant> {
    vec![PermissionGrant { conditions: [].into(), ..allow_when(equals("a")).remove(0) }]
}

fn equals(value: &str) -> Condition {
    Condition::Equals { value: value.into() }
}

#[test]
fn fewer_conditions_grant_more_privileges() {
    assert_eq!(compare(&allow_always(), &allow_when(equals("a"))).privilege, Privilege::Greater);
    assert_eq!(compare(&allow_when(equals("a")), &allow_always()).privilege, Privilege::Less);
    assert_eq!(compare(&allow_when(equals("a")), &allow_when(equals("b"))).privilege, Privilege::Incomparable);
}

#[test]
fn value_and_its_opposite_require_the_attribute() {
    let mut both = allow_when(equals("a"));
    both.extend(allow_when(Condition::NotEquals { value: "a".into() }));
    assert_eq!(compare(&both, &allow_always()).privilege, Privilege::Less);
}

#[test]
fn variable_can_equal_any_text() {
    let others = allow_when(Condition::NotEquals { value: "{self}".into() });
    assert_eq!(compare(&others, &allow_when(equals("u1"))).privilege, Privilege::Incomparable);
}

#[test]
fn comparison_beyond_limits_is_incomparable() {
    // Each Deny on two attributes of its own doubles the number of regions.
    let deny = |index: usize| {
        let conditions = [(format!("x{index}"), equals("a")), (format!("y{index}"), equals("a"))].into();
        PermissionGrant { action: Action::Deny, permission_name: "P".to_owned(), conditions }
    };
    let mut narrowed = allow_always();
    narrowed.extend((0..20).map(deny));
    assert_eq!(excess(&narrowed, &[]), Excess::Unknown);
    assert_eq!(compare(&narrowed, &allow_when(equals("a"))).privilege, Privilege::Incomparable);
}

#[test]
fn bind_replaces_own_organization_with_literal() {
    let bound = bind(&allow_when(equals("{self_org_id}")), "acme", "r");
    assert_eq!(compare(&bound, &allow_when(equals("acme"))).privilege, Privilege::Equal);
}

#[test]
fn comparison_shows_requests_of_one_side_only() {
    let comparison = compare(&allow_when(equals("{self}")), &allow_when(equals("b")));
    let shown = |request: Option<Request>| request.unwrap().to_string();
    assert_eq!(shown(comparison.first_only), "P on x = \"other-user\" ({self})");
    assert_eq!(shown(comparison.second_only), "P on x = \"b\"");
    let comparison = compare(&allow_always(), &allow_when(equals("a")));
    assert_eq!((shown(comparison.first_only), comparison.second_only), ("P".to_owned(), None));
}
