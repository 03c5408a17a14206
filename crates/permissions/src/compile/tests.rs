use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};

use super::*;
use crate::{
    Condition,
    arbitrary::{allows, requests, role},
    excess,
};

const OWN: &str = "{self_org_id}";

fn equals(value: impl Into<Value>) -> Condition {
    Condition::Equals { value: value.into() }
}

fn not(value: impl Into<Value>) -> Condition {
    Condition::NotEquals { value: value.into() }
}

fn any_of(values: &[&str]) -> Condition {
    Condition::In { values: values.iter().copied().map(Value::from).collect() }
}

fn grant(action: Action, conditions: &[(&str, Condition)]) -> PermissionGrant {
    let conditions = conditions.iter().map(|(name, condition)| ((*name).to_owned(), condition.clone())).collect();
    PermissionGrant { action, permission_name: "P".to_owned(), conditions }
}

fn allow(conditions: &[(&str, Condition)]) -> PermissionGrant {
    grant(Action::Allow, conditions)
}

fn deny(conditions: &[(&str, Condition)]) -> PermissionGrant {
    grant(Action::Deny, conditions)
}

fn compiled(role: &[PermissionGrant]) -> Vec<PermissionGrant> {
    compile(role).unwrap().grants
}

fn rejected(role: &[PermissionGrant]) -> NoEquivalent {
    compile(role).unwrap_err()
}

fn intersects(allow: &PermissionGrant, deny: &PermissionGrant) -> bool {
    has_no_excess(&[allow], &[allow, deny], &mut Steps::new(MAX_STEPS)) == Some(false)
}

#[test]
fn unknown_variable_in_a_deny_is_rejected() {
    let role = [allow(&[("x", equals("team-a"))]), deny(&[("x", equals("{self_team}"))])];
    let refusal = rejected(&role);
    let (attribute, text) = ("x".to_owned(), "{self_team}".to_owned());
    assert_eq!((refusal.allow, refusal.deny), (0, 1));
    assert_eq!(refusal.why, Inexpressible::UnknownVariable { attribute, text });
    let composed = [deny(&[("y", equals(1))]), allow(&[("x", any_of(&["a", "u-{self}"]))])];
    assert_eq!((rejected(&composed).allow, rejected(&composed).deny), (1, 0));
}

#[test]
fn unknown_variable_without_a_deny_is_kept() {
    let role = [allow(&[("x", equals("{self_team}"))])];
    assert_eq!(compiled(&role), role);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn compiled_role_allows_what_the_original_allows(
        role in role(), start in any::<u8>()
    ) {
        if let Ok(compiled) = compile(&role) {
            prop_assert!(compiled.grants.iter().all(|grant| grant.action == Action::Allow));
            for request in requests(start) {
                prop_assert_eq!(allows(&compiled.grants, request), allows(&role, request), "{:?}", request);
            }
        }
    }

    #[test]
    fn compile_is_idempotent(role in role()) {
        if let Ok(compiled) = compile(&role) {
            let again = compile(&compiled.grants).unwrap();
            prop_assert_eq!(again.grants, compiled.grants);
            prop_assert_eq!((again.denies, again.narrowed), (0, vec![]));
        }
    }

    #[test]
    fn rejected_role_has_deny_that_restricts_an_allow(role in role()) {
        if let Err(refusal) = compile(&role) {
            let (allow, deny) = (&role[refusal.allow], &role[refusal.deny]);
            prop_assert_eq!((allow.action, deny.action), (Action::Allow, Action::Deny));
            prop_assert!(intersects(allow, deny), "{}", refusal);
            prop_assert!(refusal.why != Inexpressible::TooLarge);
        }
    }

    #[test]
    fn allow_without_intersecting_deny_is_unchanged(role in role()) {
        if let Ok(compiled) = compile(&role) {
            let denies: Vec<_> = role.iter().filter(|grant| grant.action == Action::Deny).collect();
            for (index, allow) in role.iter().enumerate().filter(|(_, grant)| grant.action == Action::Allow) {
                if !denies.iter().any(|deny| deny.permission_name == allow.permission_name && intersects(allow, deny)) {
                    prop_assert!(compiled.grants.contains(allow) && !compiled.narrowed.contains(&index));
                }
            }
        }
    }
}

/// Deterministic random roles in which a Deny restricts an Allow.
fn roles_with_effective_deny() -> impl Iterator<Item = Vec<PermissionGrant>> {
    let mut runner = TestRunner::deterministic();
    let roles = std::iter::from_fn(move || Some(role().new_tree(&mut runner).unwrap().current()));
    roles.filter(|role| {
        let (allows, denies): (Vec<_>, Vec<_>) = role.iter().partition(|grant| grant.action == Action::Allow);
        let same = |one: &PermissionGrant, other: &PermissionGrant| one.permission_name == other.permission_name;
        allows.iter().any(|allow| denies.iter().any(|deny| same(allow, deny) && intersects(allow, deny)))
    })
}

#[test]
fn half_of_random_roles_with_deny_compile() {
    let compiled = roles_with_effective_deny().take(500).filter(|role| compile(role).is_ok()).count();
    assert!(compiled >= 240, "{compiled} of 500");
}

/// Tries all grants with the values of the random roles: together they do not equal the role.
#[test]
fn rejected_role_has_no_equivalent() {
    let values = || [Value::from("a"), "b".into(), "{self}".into(), OWN.into(), true.into()];
    let conditions =
        || values().into_iter().flat_map(|value| [equals(value.clone()), not(value)]).map(Some).chain([None]);
    let expressible: Vec<PermissionGrant> = conditions()
        .flat_map(|x| conditions().map(move |y| [("x", x.clone()), ("y", y)]))
        .map(|named| named.into_iter().filter_map(|(name, condition)| Some((name, condition?))).collect::<Vec<_>>())
        .map(|conditions| allow(&conditions))
        .collect();
    let rejected = roles_with_effective_deny().filter_map(|role| Some((compile(&role).err()?, role))).take(100);
    for (NoEquivalent { permission_name, .. }, role) in rejected {
        let of_it = role.into_iter().filter(|grant| grant.permission_name == permission_name);
        let role: Vec<_> = of_it.map(|grant| PermissionGrant { permission_name: "P".to_owned(), ..grant }).collect();
        let within = |grant: &&PermissionGrant| excess(std::slice::from_ref(*grant), &role) == Excess::Nothing;
        let all: Vec<_> = expressible.iter().filter(within).cloned().collect();
        assert!(matches!(excess(&role, &all), Excess::Request(_)), "{role:#?}");
    }
}

#[test]
fn role_without_deny_is_unchanged() {
    let role = [allow(&[("x", any_of(&["a", "a"]))]), allow(&[]), allow(&[("x", any_of(&["a"]))])];
    assert_eq!(compile(&role).unwrap(), Compiled { grants: role.to_vec(), denies: 0, narrowed: Vec::new() });
}

#[test]
fn deny_without_allow_is_removed() {
    let other = PermissionGrant { permission_name: "Q".to_owned(), ..allow(&[("org_id", equals(OWN))]) };
    let compiled = compile(&[deny(&[]), other.clone()]).unwrap();
    assert_eq!(compiled, Compiled { grants: vec![other], denies: 1, narrowed: Vec::new() });
}

#[test]
fn unconditional_deny_removes_all_allows() {
    let compiled = compile(&[allow(&[("x", equals("a"))]), deny(&[])]).unwrap();
    assert_eq!(compiled, Compiled { grants: Vec::new(), denies: 1, narrowed: vec![0] });
}

#[test]
fn denied_values_are_removed_from_list() {
    let left = |denied| compiled(&[allow(&[("x", any_of(&["a", "b", "c"]))]), deny(&[("x", denied)])]);
    assert_eq!(left(equals("b")), [allow(&[("x", any_of(&["a", "c"]))])]);
    assert_eq!(left(any_of(&["a", "b"])), [allow(&[("x", equals("c"))])]);
    assert_eq!(left(not("b")), [allow(&[("x", equals("b"))])]);
    assert_eq!(left(equals("z")), [allow(&[("x", any_of(&["a", "b", "c"]))])]);
}

#[test]
fn two_exclusions_leave_one_value() {
    let role = [allow(&[("x", not("a")), ("org_id", equals(OWN))]), deny(&[("x", not("b"))])];
    assert_eq!(compiled(&role), [allow(&[("x", equals("b")), ("org_id", equals(OWN))])]);
}

#[test]
fn deny_on_two_attributes_leaves_two_grants() {
    let role = [
        allow(&[("x", any_of(&["a", "b"])), ("y", any_of(&["c", "d"]))]),
        deny(&[("x", equals("a")), ("y", equals("c"))]),
    ];
    let left = [
        allow(&[("x", equals("b")), ("y", any_of(&["c", "d"]))]),
        allow(&[("x", any_of(&["a", "b"])), ("y", equals("d"))]),
    ];
    assert_eq!(compiled(&role), left);
}

#[test]
fn deny_equal_to_allow_removes_it() {
    let own = [("org_id", equals(OWN)), ("x", equals("{self}"))];
    assert_eq!(compiled(&[allow(&own), deny(&own)]), []);
    assert_eq!(compiled(&[allow(&own), allow(&own[..1]), deny(&own[..1])]), []);
}

#[test]
fn several_allows_express_a_rest_together() {
    let role = [allow(&[("x", equals("a"))]), allow(&[("x", not("a"))]), deny(&[("x", equals("b"))])];
    assert_eq!(compiled(&role), [allow(&[("x", equals("a"))]), allow(&[("x", not("b"))])]);
}

#[test]
fn allow_without_the_attribute_has_no_equivalent() {
    let refusal = rejected(&[allow(&[("org_id", equals(OWN))]), deny(&[("x", equals("a"))])]);
    assert_eq!((refusal.deny, refusal.allow), (1, 0));
    assert!(matches!(&refusal.why, Inexpressible::AbsentOr { attribute, .. } if attribute == "x"));
    assert_eq!(refusal.advice(), "remove the Deny and add the condition x NotEquals \"a\" to permissionGrants[0]");
    assert!(refusal.to_string().starts_with("permissionGrants[1] denies P and permissionGrants[0] allows it"));
}

#[test]
fn allow_with_two_exclusions_has_no_equivalent() {
    let refusal = rejected(&[allow(&[("x", not("a"))]), deny(&[("x", equals("b"))])]);
    assert_eq!(refusal.why, Inexpressible::Excludes { attribute: "x".to_owned() });
    let advice = "remove the Deny and list the allowed values in permissionGrants[0].conditions.x";
    assert_eq!(refusal.advice(), advice);
}

#[test]
fn deny_depending_on_caller_has_no_equivalent() {
    for (allowed, denied) in [("u1", "{self}"), ("{self}", "u1"), ("{self}", "{self_org_id}")] {
        let refusal = rejected(&[allow(&[("x", equals(allowed))]), deny(&[("x", equals(denied))])]);
        assert_eq!(refusal.why, Inexpressible::DependsOnCaller { attribute: "x".to_owned() });
    }
}

#[test]
fn refusal_names_the_deny_without_equivalent() {
    let role = [
        allow(&[("x", any_of(&["a", "b"]))]),
        allow(&[("y", equals("c"))]),
        deny(&[("x", equals("a")), ("y", equals("d"))]),
        deny(&[("z", equals("e")), ("x", equals("b"))]),
    ];
    let refusal = rejected(&role);
    assert_eq!((refusal.allow, refusal.deny), (0, 2));
}

#[test]
fn role_beyond_limits_is_rejected() {
    let pair = |index: usize| deny(&[(&format!("x{index}"), not("a")), (&format!("y{index}"), not("a"))]);
    let everywhere: Vec<(String, Condition)> = (0..20)
        .flat_map(|index| [format!("x{index}"), format!("y{index}")])
        .map(|name| (name, any_of(&["a", "b"])))
        .collect();
    let conditions: Vec<_> = everywhere.iter().map(|(name, condition)| (name.as_str(), condition.clone())).collect();
    let role: Vec<_> = std::iter::once(allow(&conditions)).chain((0..20).map(pair)).collect();
    assert_eq!(rejected(&role).why, Inexpressible::TooLarge);
}

#[test]
fn lists_of_many_users_compile() {
    let users: Vec<String> = (0..64).map(|index| format!("u{index}")).collect();
    let users: Vec<&str> = users.iter().map(String::as_str).collect();
    let own = ("org_id", equals(OWN));
    let role = [
        allow(&[own.clone(), ("x", any_of(&users))]),
        deny(&[own.clone(), ("x", equals("u7"))]),
        allow(&[own, ("x", equals("{self}"))]),
    ];
    assert_eq!(compile(&role).unwrap_err().why, Inexpressible::DependsOnCaller { attribute: "x".to_owned() });
    assert_eq!(compiled(&role[..2])[0].conditions["x"].values().len(), 63);
}
