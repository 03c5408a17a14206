use amigo_api::{RoleGrant, RoleSpec};
use amigo_client::{PermissionModel, RemoteGrants, RemotePermissionGrant, RemoteRole};
use amigo_permissions::{Action, Condition, Conditions, Inexpressible};

use super::desired::*;

fn line(action: Action, permission_name: &str, conditions: Conditions) -> RoleGrant {
    RoleGrant { action, permission_name: permission_name.to_owned(), conditions, description: Some("why".to_owned()) }
}

fn owner(value: &str) -> Conditions {
    [("conversation_user_id".to_owned(), Condition::Equals { value: value.into() })].into()
}

fn spec(permission_grants: Vec<RoleGrant>) -> RoleSpec {
    RoleSpec { description: " Reads ".to_owned(), permission_grants, ..RoleSpec::default() }
}

/// Allows reading, and denies a permission that no grant allows.
fn viewer() -> RoleSpec {
    let read = line(Action::Allow, "Conversation:GetConversation", owner("{self}"));
    spec(vec![read, line(Action::Deny, "Conversation:CreateConversation", Conditions::new())])
}

/// Denies a part that no condition on an Allow can exclude.
fn inexpressible() -> RoleSpec {
    let read = |action, conditions| line(action, "Conversation:GetConversation", conditions);
    spec(vec![read(Action::Allow, Conditions::new()), read(Action::Deny, owner("u1"))])
}

#[test]
fn role_is_sent_as_written_if_deny_is_supported() {
    let desired = DesiredRole::from_spec(&viewer(), PermissionModel::AllowDeny).unwrap();
    assert_eq!((desired.grants.len(), desired.has_deny(), desired.compiled_away), (2, true, 0));
    assert_eq!((desired.description.as_str(), desired.grants[0].description.as_deref()), ("Reads", Some("why")));
}

#[test]
fn denies_are_compiled_away_for_allow_only_api() {
    let desired = DesiredRole::from_spec(&viewer(), PermissionModel::AllowOnly).unwrap();
    assert_eq!((desired.grants.len(), desired.has_deny(), desired.compiled_away), (1, false, 1));
    assert_eq!(desired.grants[0].description, None, "descriptions are not sent");
}

#[test]
fn deny_without_equivalent_needs_deny_support() {
    let refusal = DesiredRole::from_spec(&inexpressible(), PermissionModel::AllowOnly).unwrap_err();
    assert_eq!((refusal.allow, refusal.deny), (0, 1));
    assert!(matches!(refusal.why, Inexpressible::AbsentOr { .. }));
    assert!(DesiredRole::from_spec(&inexpressible(), PermissionModel::AllowDeny).is_ok());
}

#[test]
fn applied_role_has_no_differences() {
    for model in [PermissionModel::AllowDeny, PermissionModel::AllowOnly] {
        let desired = DesiredRole::from_spec(&viewer(), model).unwrap();
        assert_eq!(desired.diff(&desired.to_remote_role("viewer", "id-1".to_owned())).1, [""; 0]);
    }
}

#[test]
fn role_with_dropped_denies_differs() {
    let remote = DesiredRole::from_spec(&viewer(), PermissionModel::AllowDeny)
        .unwrap()
        .to_remote_role("viewer", "id-1".to_owned());
    let RemoteGrants::Understood(grants) = &remote.grants else { panic!("raw") };
    let without_action = grants.iter().map(|grant| RemotePermissionGrant { action: None, ..grant.clone() });
    let remote = RemoteRole { grants: RemoteGrants::Understood(without_action.collect()), ..remote };
    let (change, fields) = DesiredRole::from_spec(&viewer(), PermissionModel::AllowOnly).unwrap().diff(&remote);
    assert_eq!((fields, change.permission_grants.map(|grants| grants.len())), (vec!["permissionGrants"], Some(1)));
}

#[test]
fn content_digest_ignores_descriptions_of_grants() {
    let mut undescribed = viewer();
    undescribed.permission_grants.iter_mut().for_each(|line| line.description = None);
    let content = |spec: &RoleSpec, model| DesiredRole::from_spec(spec, model).unwrap().content_digest();
    let both = [PermissionModel::AllowOnly, PermissionModel::AllowDeny];
    assert!(both.into_iter().all(|model| content(&viewer(), model) == content(&undescribed, model)));
    assert_ne!(content(&viewer(), both[0]), content(&viewer(), both[1]), "only one has the Deny");
}

#[test]
fn digest_is_that_of_the_spec_as_written() {
    let digest = |spec: &RoleSpec| DesiredRole::uncompiled(spec).digest();
    let mut without = viewer();
    without.permission_grants.pop();
    assert_ne!(digest(&viewer()), digest(&without));
    // Stored in statuses: another digest would look like a change of every role.
    assert_eq!(digest(&without), "KRRBuybM-jnSUqfXLZlfXOFRLa8QiEj-0eFTx5uJMM8");
}
