use amigo_api::Role;
use amigo_client::{FrontendView, RemoteGrants, RemotePermissionGrant};
use amigo_permissions::{Action, Condition};

use super::*;

fn role(name: &str) -> RemoteRole {
    let grant = RemotePermissionGrant {
        permission_name: "Conversation:GetMessage".to_owned(),
        conditions: [("org_id".to_owned(), Condition::Equals { value: "{self_org_id}".into() })].into(),
        action: None,
        description: None,
    };
    RemoteRole {
        id: "66f1c0ab12de34f056789d00".to_owned(),
        name: name.to_owned(),
        description: "Reads".to_owned(),
        frontend_view: Some(FrontendView::Admin),
        grants: RemoteGrants::Understood(vec![grant]),
    }
}

fn target(model: PermissionModel) -> Target {
    Target { organization: "acme".to_owned(), namespace: None, model }
}

fn manifest(role: &RemoteRole, model: PermissionModel) -> String {
    let exported = export(role, &target(model), &mut ObjectNames::default()).unwrap();
    render(&[exported.manifest], OutputFormat::Yaml, true).unwrap()
}

fn omission(change: impl FnOnce(&mut RemoteRole)) -> String {
    let mut role = role("moderator");
    change(&mut role);
    match export(&role, &target(PermissionModel::AllowOnly), &mut ObjectNames::default()).unwrap_err() {
        Omission::Unsupported(reason) => reason,
        Omission::BuiltIn => "built-in".to_owned(),
    }
}

#[test]
fn exported_manifest_adopts_the_role() {
    let expected = "apiVersion: permissions.amigo.ai/v1alpha1
kind: Role
metadata:
  name: content-moderator
spec:
  adoption: IfMatches
  description: Reads
  frontendView: admin
  managementPolicy: Manage
  organizationRef:
    name: acme
  permissionGrants:
  - conditions:
      org_id:
        type: Equals
        value: \"{self_org_id}\"
    permissionName: Conversation:GetMessage
  roleName: content_moderator
";
    assert_eq!(manifest(&role("content_moderator"), PermissionModel::AllowOnly), expected);
}

#[test]
fn allow_deny_exports_actions_and_descriptions() {
    let mut denied = role("moderator");
    let RemoteGrants::Understood(grants) = &mut denied.grants else { unreachable!() };
    grants[0].action = Some(Action::Deny);
    grants[0].description = Some("No messages".to_owned());
    let text = manifest(&denied, PermissionModel::AllowDeny);
    assert!(text.contains("action: Deny") && text.contains("description: No messages"), "{text}");
    let read: Role = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(read.spec.role_name, None);
}

#[test]
fn object_names_are_valid_and_unique() {
    let mut names = ObjectNames::default();
    let given = ["Content_Moderator", "content moderator", "–", "AmigoOperator", "QATeam2", &"long ".repeat(40)]
        .map(|role| names.for_role(role));
    assert_eq!(given[..5], ["content-moderator", "content-moderator-2", "role", "amigo-operator", "qateam2"]);
    assert!(given[5].len() <= 63 && given[5].ends_with(char::is_alphanumeric), "{}", given[5]);
}

#[test]
fn unsupported_roles_are_omitted_with_the_reason() {
    assert_eq!(omission(|role| role.name = "DefaultUserRole".to_owned()), "built-in");
    assert!(omission(|role| role.frontend_view = None).contains("frontendView"));
    assert!(omission(|role| role.name = "a/b".to_owned()).contains("slash"));
    assert!(omission(|role| role.description = "x".repeat(1025)).contains("1024"));
    let dotted = |role: &mut RemoteRole| {
        let RemoteGrants::Understood(grants) = &mut role.grants else { unreachable!() };
        grants[0].permission_name = "Conversation.GetMessage".to_owned();
    };
    assert!(omission(dotted).contains("Category:Action"));
}

#[test]
fn missing_description_gets_a_warning() {
    let mut silent = role("moderator");
    silent.description = " ".to_owned();
    let exported = export(&silent, &target(PermissionModel::AllowOnly), &mut ObjectNames::default()).unwrap();
    assert!(exported.warnings[0].contains("Override"), "{:?}", exported.warnings);
    assert_eq!(
        exported.manifest["spec"]["description"],
        "No description at Amigo: describe the purpose of the role here"
    );
}

#[test]
fn later_document_of_a_name_wins() {
    let [old, mut new, other] = [role("b"), role("b"), role("a")];
    new.id = "66f1c0ab12de34f056789d99".to_owned();
    let listed = [old, new, other];
    let ids: Vec<_> = current_roles(&listed).iter().map(|role| (role.name.as_str(), role.id.ends_with("99"))).collect();
    assert_eq!(ids, [("a", false), ("b", true)]);
}

#[test]
fn unknown_name_lists_available_roles() {
    let listed = [role("a"), role("b"), role("DefaultUserRole")];
    let failure = role_by_name(&listed, "c", "acme").unwrap_err().to_string();
    assert!(failure.ends_with("available roles: a, b"), "{failure}");
    assert_eq!(role_by_name(&listed, "DefaultUserRole", "acme").unwrap_err().exit, Exit::Refused);
}
