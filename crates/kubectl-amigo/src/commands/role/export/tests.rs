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

fn place(model: PermissionModel) -> Place {
    Place { organization: "acme".to_owned(), namespace: None, model }
}

fn manifest(role: &RemoteRole, model: PermissionModel) -> String {
    let exported = export(role, &place(model), &mut Names::default()).unwrap();
    text(&[exported.manifest], OutputFormat::Yaml, true).unwrap()
}

fn refusal(change: impl FnOnce(&mut RemoteRole)) -> String {
    let mut role = role("moderator");
    change(&mut role);
    match export(&role, &place(PermissionModel::AllowOnly), &mut Names::default()).unwrap_err() {
        manifest::Refusal::Unmanageable(why) => why,
        manifest::Refusal::Own => "own".to_owned(),
    }
}

#[test]
fn a_role_becomes_a_manifest_that_adopts_it() {
    let expected = "apiVersion: permissions.amigo.ai/v1alpha1
kind: Role
metadata:
  name: content-moderator
spec:
  adoption: IfMatches
  description: Reads
  frontendView: admin
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
fn actions_and_descriptions_are_kept_where_the_api_has_them() {
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
fn names_are_valid_and_distinct() {
    let mut names = Names::default();
    let given = ["Content_Moderator", "content moderator", "–", "AmigoOperator", "QATeam2", &"long ".repeat(40)]
        .map(|role| names.after(role));
    assert_eq!(given[..5], ["content-moderator", "content-moderator-2", "role", "amigo-operator", "qateam2"]);
    assert!(given[5].len() <= 63 && given[5].ends_with(char::is_alphanumeric), "{}", given[5]);
}

#[test]
fn what_no_role_can_say_is_refused_with_the_reason() {
    assert_eq!(refusal(|role| role.name = "DefaultUserRole".to_owned()), "own");
    assert!(refusal(|role| role.frontend_view = None).contains("front end"));
    assert!(refusal(|role| role.name = "a/b".to_owned()).contains("slash"));
    assert!(refusal(|role| role.description = "x".repeat(1025)).contains("1024"));
    let dotted = |role: &mut RemoteRole| {
        let RemoteGrants::Understood(grants) = &mut role.grants else { unreachable!() };
        grants[0].permission_name = "Conversation.GetMessage".to_owned();
    };
    assert!(refusal(dotted).contains("Category:Action"));
}

#[test]
fn a_missing_description_is_remarked() {
    let mut silent = role("moderator");
    silent.description = " ".to_owned();
    let exported = export(&silent, &place(PermissionModel::AllowOnly), &mut Names::default()).unwrap();
    assert!(exported.remarks[0].contains("Override"), "{:?}", exported.remarks);
    assert_eq!(exported.manifest["spec"]["description"], "Has no description at Amigo: say here what the role is for");
}

#[test]
fn of_two_documents_of_one_name_the_later_one_counts() {
    let [old, mut new, other] = [role("b"), role("b"), role("a")];
    new.id = "66f1c0ab12de34f056789d99".to_owned();
    let listed = [old, new, other];
    let ids: Vec<_> = present(&listed).iter().map(|role| (role.name.as_str(), role.id.ends_with("99"))).collect();
    assert_eq!(ids, [("a", false), ("b", true)]);
}

#[test]
fn a_name_that_is_not_there_tells_those_that_are() {
    let listed = [role("a"), role("b"), role("DefaultUserRole")];
    let failure = named(&listed, "c", "acme").unwrap_err().to_string();
    assert!(failure.ends_with("there are: a, b"), "{failure}");
    assert_eq!(named(&listed, "DefaultUserRole", "acme").unwrap_err().exit, Exit::Refused);
}
