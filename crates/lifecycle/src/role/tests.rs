use amigo_api::RoleGrant;
use amigo_permissions::{Condition, Conditions, Unsayable};

use super::*;

fn line(action: Action, permission_name: &str, conditions: Conditions) -> RoleGrant {
    RoleGrant { action, permission_name: permission_name.to_owned(), conditions, description: Some("why".to_owned()) }
}

fn owner(value: &str) -> Conditions {
    [("conversation_user_id".to_owned(), Condition::Equals { value: value.into() })].into()
}

fn spec(permission_grants: Vec<RoleGrant>) -> RoleSpec {
    RoleSpec { description: " Reads ".to_owned(), permission_grants, ..RoleSpec::default() }
}

/// Reads, and denies what nothing allows.
fn viewer() -> RoleSpec {
    let read = line(Action::Allow, "Conversation:GetConversation", owner("{self}"));
    spec(vec![read, line(Action::Deny, "Conversation:CreateConversation", Conditions::new())])
}

/// Denies a part that no condition can leave out.
fn inexpressible() -> RoleSpec {
    let read = |action, conditions| line(action, "Conversation:GetConversation", conditions);
    spec(vec![read(Action::Allow, Conditions::new()), read(Action::Deny, owner("u1"))])
}

#[test]
fn where_deny_is_known_all_is_wanted_as_it_is_written() {
    let wanted = wanted(&viewer(), PermissionModel::AllowDeny).unwrap();
    assert_eq!((wanted.grants.len(), wanted.denies(), wanted.compiled_away), (2, true, 0));
    assert_eq!((wanted.description.as_str(), wanted.grants[0].description.as_deref()), ("Reads", Some("why")));
}

#[test]
fn where_only_allow_is_known_the_denies_are_compiled_away() {
    let wanted = wanted(&viewer(), PermissionModel::AllowOnly).unwrap();
    assert_eq!((wanted.grants.len(), wanted.denies(), wanted.compiled_away), (1, false, 1));
    assert_eq!(wanted.grants[0].description, None, "descriptions are not sent either");
}

#[test]
fn a_deny_without_an_equivalent_is_wanted_of_no_api_that_does_not_know_it() {
    let refusal = wanted(&inexpressible(), PermissionModel::AllowOnly).unwrap_err();
    assert_eq!((refusal.allow, refusal.deny), (0, 1));
    assert!(matches!(refusal.why, Unsayable::AbsentOr { .. }));
    assert!(wanted(&inexpressible(), PermissionModel::AllowDeny).is_ok());
}

#[test]
fn what_was_applied_differs_in_nothing() {
    for model in [PermissionModel::AllowDeny, PermissionModel::AllowOnly] {
        let wanted = wanted(&viewer(), model).unwrap();
        assert_eq!(wanted.difference(&wanted.applied("viewer", "id-1".to_owned())).1, [""; 0]);
    }
}

#[test]
fn a_role_whose_denies_became_allows_differs() {
    let there = wanted(&viewer(), PermissionModel::AllowDeny).unwrap().applied("viewer", "id-1".to_owned());
    let RemoteGrants::Understood(grants) = &there.grants else { panic!("raw") };
    let forgotten = grants.iter().map(|grant| RemotePermissionGrant { action: None, ..grant.clone() });
    let there = RemoteRole { grants: RemoteGrants::Understood(forgotten.collect()), ..there };
    let (change, differs) = wanted(&viewer(), PermissionModel::AllowOnly).unwrap().difference(&there);
    assert_eq!((differs, change.permission_grants.map(|grants| grants.len())), (vec!["permissionGrants"], Some(1)));
}

#[test]
fn the_digest_is_of_what_is_sent() {
    let digest = |spec: &RoleSpec, model| wanted(spec, model).unwrap().digest();
    let mut without = viewer();
    without.permission_grants.pop();
    assert_eq!(digest(&viewer(), PermissionModel::AllowOnly), digest(&without, PermissionModel::AllowOnly));
    assert_ne!(digest(&viewer(), PermissionModel::AllowDeny), digest(&without, PermissionModel::AllowDeny));
    assert_ne!(digest(&without, PermissionModel::AllowOnly), digest(&without, PermissionModel::AllowDeny));
    // Written down in statuses, so another text would look like a change of every role.
    assert_eq!(digest(&without, PermissionModel::AllowOnly), "6uRlFlBku0x-gXbZ1ARuN_354KTSW0pos1KbKaWOCtc");
}
