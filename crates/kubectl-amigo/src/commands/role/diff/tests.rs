use amigo_api::{Adoption, FrontendView, RoleGrant, RoleSpec};
use amigo_client::PermissionModel;
use amigo_permissions::{Action, Condition};

use super::{
    change::{AtAmigo, GrantChanges},
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

fn context() -> OrganizationContext {
    OrganizationContext { model: Some(PermissionModel::AllowOnly), org_id: Some("acme".to_owned()) }
}

fn change(change: impl FnOnce(&mut RoleSpec)) -> Change {
    Change::new(Some(&role(|_| ())), &role(change), &context())
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

#[test]
fn reordered_grants_are_no_difference() {
    let same = change(|spec| spec.permission_grants.reverse());
    assert!(!same.differs());
    assert_eq!(plain(&same.to_text()), "role reader (Role team/reader, Organization acme): no difference\n");
}

#[test]
fn added_grant_replaces_the_document() {
    let more = change(|spec| spec.permission_grants.push(grant("InteractWithConversation", "{self_org_id}")));
    let expected = "role reader (Role team/reader, Organization acme)
  permissionGrants
    + Allow Conversation:InteractWithConversation where org_id Equals \"{self_org_id}\"
  at Amigo: a new role document replaces the role; its id changes, and its users and API keys move to it
  privileges: more: newly allows Conversation:InteractWithConversation on org_id = \"acme\"
";
    assert_eq!(plain(&more.to_text()), expected);
}

#[test]
fn narrower_grant_reduces_privileges() {
    let less = change(|spec| spec.permission_grants[0] = grant("GetMessage", "other"));
    let privileges = less.privileges.unwrap();
    assert_eq!(privileges.no_longer_allowed.as_deref(), Some("Conversation:GetMessage on org_id = \"acme\""));
    assert_eq!(privileges.newly_allowed.as_deref(), Some("Conversation:GetMessage on org_id = \"other\""));
}

#[test]
fn description_changes_in_place_and_view_replaces() {
    assert_eq!(change(|spec| spec.description = "Reads all".to_owned()).at_amigo, AtAmigo::InPlace);
    let view = change(|spec| spec.frontend_view = FrontendView::Admin);
    assert_eq!(view.at_amigo, AtAmigo::NewDocument);
    assert!(plain(&view.to_text()).contains("    - \"client\"\n    + \"admin\"\n"), "{}", view.to_text());
    let policy = change(|spec| spec.adoption = Adoption::Override);
    assert_eq!((policy.at_amigo, policy.fields[0].name), (AtAmigo::Unchanged, "adoption"));
}

#[test]
fn example_request_shows_variable_and_value() {
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
fn control_characters_in_descriptions_are_escaped() {
    let text = change(|spec| spec.permission_grants[0].description = Some("Reads\nall\u{1b}[2J".to_owned())).to_text();
    assert!(text.contains(": Reads all\u{fffd}[2J"), "{text:?}");
    let described = role(|spec| spec.description = "Reads\nall\u{1b}[2J".to_owned());
    let text = CurrentRole::new(&described, &context()).to_text();
    assert!(text.contains("description: Reads all\u{fffd}[2J\n"), "{text:?}");
}

#[test]
fn grant_description_changes_nothing_at_amigo() {
    let described = change(|spec| spec.permission_grants[0].description = Some("Reads messages".to_owned()));
    assert!(described.differs());
    assert_eq!(described.at_amigo, AtAmigo::Unchanged);
}

#[test]
fn immutable_fields_are_listed() {
    let other = change(|spec| {
        spec.organization_ref.name = "other".to_owned();
        spec.role_name = Some("reader2".to_owned());
    });
    let names: Vec<_> = other.immutable.iter().map(|member| member.name).collect();
    assert_eq!(names, ["organizationRef", "roleName"]);
    assert!(
        plain(&other.to_text()).contains("roleName cannot change from (unset) to \"reader2\""),
        "{}",
        other.to_text()
    );
}

#[test]
fn compiled_deny_shows_the_sent_grants() {
    let denied = change(|spec| spec.permission_grants.push(deny("GetMessage", "{self_org_id}")));
    let sent = denied.sent.expect("compiled");
    let expected = "Allow Conversation:GetMessage where org_id Equals \"{self_org_id}\"".to_owned();
    assert_eq!(sent.grants, GrantChanges { removed: vec![expected], added: Vec::new() });
    assert_eq!((sent.compiled_away, denied.at_amigo), (1, AtAmigo::NewDocument));
}

#[test]
fn deny_without_equivalent_is_not_sent() {
    let refused = change(|spec| {
        spec.permission_grants[0].conditions.clear();
        spec.permission_grants.push(deny("GetMessage", "acme"));
    });
    assert_eq!(refused.at_amigo, AtAmigo::NotSent);
    assert!(
        plain(&refused.to_text())
            .contains("the operator does not send the role: this organization's API does not support Deny")
    );
    let allow_deny = OrganizationContext { model: Some(PermissionModel::AllowDeny), ..context() };
    let sent = Change::new(None, &role(|spec| spec.permission_grants.push(deny("GetMessage", "acme"))), &allow_deny);
    assert_eq!((sent.at_amigo, sent.refusal), (AtAmigo::New, None));
}

#[test]
fn sync_state_follows_ready_of_this_generation() {
    use amigo_api::{
        RoleStatus,
        conditions::{self, Change, ConditionStatus, Stamp},
    };
    let mut synced = role(|_| ());
    assert!(SyncState::new(&synced).message.contains("has not reconciled it yet"));
    synced.metadata.generation = Some(2);
    let mut status = RoleStatus { observed_generation: Some(2), ..RoleStatus::default() };
    let stamp = Stamp { generation: 2, now: jiff::Timestamp::UNIX_EPOCH };
    let change = Change { type_: "Ready", status: ConditionStatus::True, reason: "Ready", message: "so".to_owned() };
    conditions::set(&mut status.conditions, change, stamp);
    synced.status = Some(status);
    assert!(SyncState::new(&synced).in_sync);
    let text = plain(&CurrentRole::new(&synced, &context()).to_text());
    assert!(text.starts_with("role reader (Role team/reader, Organization acme): in sync\n"), "{text}");
    synced.metadata.generation = Some(3);
    assert_eq!(SyncState::new(&synced).message, "the operator has not reconciled the latest spec yet");
}
