use amigo_api::{Adoption, FrontendView, RoleGrant, RoleSpec};
use amigo_client::PermissionModel;
use amigo_permissions::{Action, Condition};

use super::{
    change::{AtAmigo, Lines},
    *,
};

fn grant(permission: &str, organization: &str) -> RoleGrant {
    RoleGrant {
        permission_name: format!("Conversation:{permission}"),
        conditions: [("org_id".to_owned(), Condition::Equals { value: organization.into() })].into(),
        ..RoleGrant::default()
    }
}

fn deny(permission: &str, organization: &str) -> RoleGrant {
    RoleGrant { action: Action::Deny, ..grant(permission, organization) }
}

fn role(change: impl FnOnce(&mut RoleSpec)) -> Role {
    let mut spec = RoleSpec {
        description: "Reads".to_owned(),
        permission_grants: vec![grant("GetMessage", "{self_org_id}"), grant("GetConversation", "{self_org_id}")],
        ..RoleSpec::default()
    };
    spec.organization_ref.name = "acme".to_owned();
    change(&mut spec);
    let mut role = Role::new("reader", spec);
    role.metadata.namespace = Some("team".to_owned());
    role
}

fn setting() -> Setting {
    Setting { model: Some(PermissionModel::AllowOnly), org_id: Some("acme".to_owned()) }
}

fn change(change: impl FnOnce(&mut RoleSpec)) -> Change {
    Change::between(Some(&role(|_| ())), &role(change), &setting())
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

#[test]
fn the_same_grants_in_another_order_are_no_difference() {
    let same = change(|spec| spec.permission_grants.reverse());
    assert!(!same.differs());
    assert_eq!(plain(&same.told()), "role reader (Role team/reader, Organization acme): no difference\n");
}

#[test]
fn a_new_grant_makes_a_new_document_and_more_privileges() {
    let more = change(|spec| spec.permission_grants.push(grant("InteractWithConversation", "{self_org_id}")));
    let expected = "role reader (Role team/reader, Organization acme)
  permissionGrants
    + Allow Conversation:InteractWithConversation where org_id Equals \"{self_org_id}\"
  at Amigo: a new role document takes the old one's place: its id changes, its users and API keys move to it
  privileges: more: would newly allow Conversation:InteractWithConversation on org_id = \"acme\"
";
    assert_eq!(plain(&more.told()), expected);
}

#[test]
fn a_narrower_grant_is_less() {
    let less = change(|spec| spec.permission_grants[0] = grant("GetMessage", "other"));
    let privileges = less.privileges.unwrap();
    assert_eq!(privileges.no_longer_allowed.as_deref(), Some("Conversation:GetMessage on org_id = \"acme\""));
    assert_eq!(privileges.newly_allowed.as_deref(), Some("Conversation:GetMessage on org_id = \"other\""));
}

#[test]
fn a_description_changes_in_place_and_a_view_does_not() {
    assert_eq!(change(|spec| spec.description = "Reads all".to_owned()).at_amigo, AtAmigo::InPlace);
    let view = change(|spec| spec.frontend_view = FrontendView::Admin);
    assert_eq!(view.at_amigo, AtAmigo::NewDocument);
    assert!(plain(&view.told()).contains("    - \"client\"\n    + \"admin\"\n"), "{}", view.told());
    let policy = change(|spec| spec.adoption = Adoption::Override);
    assert_eq!((policy.at_amigo, policy.members[0].name), (AtAmigo::Unchanged, "adoption"));
}

#[test]
fn a_witness_names_the_value_beside_its_variable() {
    let about = |action, condition| RoleGrant {
        permission_name: "Conversation:GetInteractionInsights".to_owned(),
        action,
        conditions: [("conversation_user_id".to_owned(), condition)].into(),
        ..RoleGrant::default()
    };
    let bobs = change(|spec| {
        let not_own = Condition::NotEquals { value: "{self}".into() };
        spec.permission_grants.push(about(Action::Allow, Condition::Equals { value: "bob".into() }));
        spec.permission_grants.push(about(Action::Deny, not_own));
    });
    let newly = bobs.privileges.and_then(|privileges| privileges.newly_allowed).expect("more");
    assert!(newly.contains("conversation_user_id = \"bob\" ({self})"), "{newly}");
}

#[test]
fn what_others_wrote_stays_on_its_line() {
    let told = change(|spec| spec.permission_grants[0].description = Some("Reads\nall\u{1b}[2J".to_owned())).told();
    assert!(told.contains(": Reads all\u{fffd}[2J"), "{told:?}");
    let described = role(|spec| spec.description = "Reads\nall\u{1b}[2J".to_owned());
    let told = Live::of(&described, &setting()).told();
    assert!(told.contains("description: Reads all\u{fffd}[2J\n"), "{told:?}");
}

#[test]
fn what_only_people_read_changes_nothing_at_amigo() {
    let told = change(|spec| spec.permission_grants[0].description = Some("Reads messages".to_owned()));
    assert!(told.differs());
    assert_eq!(told.at_amigo, AtAmigo::Unchanged);
}

#[test]
fn members_that_cannot_change_are_named() {
    let other = change(|spec| {
        spec.organization_ref.name = "other".to_owned();
        spec.role_name = Some("reader2".to_owned());
    });
    let names: Vec<_> = other.immutable.iter().map(|member| member.name).collect();
    assert_eq!(names, ["organizationRef", "roleName"]);
    assert!(plain(&other.told()).contains("roleName nothing to \"reader2\" cannot change"), "{}", other.told());
}

#[test]
fn a_compiled_deny_shows_what_is_sent() {
    let denied = change(|spec| spec.permission_grants.push(deny("GetMessage", "{self_org_id}")));
    let sent = denied.sent.expect("compiled");
    let expected = "Allow Conversation:GetMessage where org_id Equals \"{self_org_id}\"".to_owned();
    assert_eq!(sent.grants, Lines { removed: vec![expected], added: Vec::new() });
    assert_eq!((sent.compiled_away, denied.at_amigo), (1, AtAmigo::NewDocument));
}

#[test]
fn a_deny_without_an_equivalent_is_refused() {
    let refused = change(|spec| {
        spec.permission_grants[0].conditions.clear();
        spec.permission_grants.push(deny("GetMessage", "acme"));
    });
    assert_eq!(refused.at_amigo, AtAmigo::Refused);
    assert!(plain(&refused.told()).contains("nothing is sent: this organization's API supports only Allow"));
    let knows = Setting { model: Some(PermissionModel::AllowDeny), ..setting() };
    let sent = Change::between(None, &role(|spec| spec.permission_grants.push(deny("GetMessage", "acme"))), &knows);
    assert_eq!((sent.at_amigo, sent.refusal), (AtAmigo::New, None));
}

#[test]
fn a_role_stands_as_the_operator_says_of_this_generation() {
    use amigo_api::{
        RoleStatus,
        conditions::{self, Change, ConditionStatus, Stamp},
    };
    let mut stands = role(|_| ());
    assert!(live::LiveState::of(&stands).message.contains("has not looked at it yet"));
    stands.metadata.generation = Some(2);
    let mut status = RoleStatus { observed_generation: Some(2), ..RoleStatus::default() };
    let stamp = Stamp { generation: 2, now: jiff::Timestamp::UNIX_EPOCH };
    let change = Change { type_: "Ready", status: ConditionStatus::True, reason: "Ready", message: "so".to_owned() };
    conditions::set(&mut status.conditions, change, stamp);
    stands.status = Some(status);
    assert!(live::LiveState::of(&stands).in_sync);
    let text = plain(&Live::of(&stands, &setting()).told());
    assert!(text.starts_with("role reader (Role team/reader, Organization acme): in sync\n"), "{text}");
    stands.metadata.generation = Some(3);
    assert_eq!(live::LiveState::of(&stands).message, "the operator has not looked at the present spec yet");
}
