use amigo_api::{Organization, PermissionModel};
use clap::Parser as _;
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::*;
use crate::{
    manifests::{Manifests, SourceFile},
    verdict::LoadedObject,
};

#[derive(Debug, clap::Parser)]
struct CommandLine {
    #[command(flatten)]
    arguments: Arguments,
}

fn arguments(line: &str) -> Arguments {
    CommandLine::try_parse_from(format!("can-i {line}").split_whitespace()).unwrap().arguments
}

fn object(kind: &str, name: &str, spec: &Json, status: &Json) -> Json {
    json!({ "apiVersion": "permissions.amigo.ai/v1alpha1", "kind": kind,
            "metadata": { "name": name, "namespace": "team" }, "spec": spec, "status": status })
}

fn role(name: &str) -> Json {
    let equals = |value: &str| json!({ "type": "Equals", "value": value });
    let own = json!({ "org_id": equals("{self_org_id}"), "conversation_user_id": equals("{self}") });
    let grants = json!([
        { "permissionName": "Conversation:GetConversation", "conditions": own },
        { "permissionName": "Conversation:CreateConversation", "action": "Deny" },
    ]);
    let spec =
        json!({ "organizationRef": { "name": "production" }, "description": "Sees", "permissionGrants": grants });
    object("Role", name, &spec, &json!({ "conditions": [ready()] }))
}

fn ready() -> Json {
    json!({ "type": "Ready", "status": "True", "reason": "Synced", "message": "", "lastTransitionTime": "2026-11-23T10:00:00Z" })
}

fn assignment(name: &str, email: &str, role: &Json) -> Json {
    let mut spec = json!({ "organizationRef": { "name": "production" }, "user": { "email": email } });
    spec.as_object_mut().unwrap().extend(role.as_object().unwrap().clone());
    object("RoleAssignment", name, &spec, &json!({ "userId": "user-eve", "conditions": [ready()] }))
}

fn temporary(email: &str, phase: &str, expires_at: &str) -> Json {
    let permission =
        json!([{ "permissionName": "Conversation:CreateConversation" }, { "permissionName": "User:GetUserInfo" }]);
    let spec = json!({ "organizationRef": { "name": "production" }, "user": { "email": email },
                       "justification": "Debugging it", "permissions": permission });
    let issued = json!([{ "permissionName": "User:GetUserInfo", "id": "1", "slot": 1,
                          "issuedAt": "2026-11-23T11:00:00Z", "expiresAt": expires_at }]);
    object("TemporaryPermissionGrant", "tg", &spec, &json!({ "phase": phase, "grants": issued, "userId": "user-eve" }))
}

fn read(objects: &[Json]) -> Manifests {
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects });
    Manifests::parse(&[SourceFile { name: "all.json".to_owned(), text: list.to_string() }]).unwrap()
}

/// A namespace with these objects, at noon.
fn cluster(objects: &[Json]) -> Inventory {
    let manifests = read(objects);
    Inventory {
        roles: manifests.roles.into_iter().map(|manifest| LoadedObject::Cluster(manifest.object)).collect(),
        assignments: manifests.assignments.into_iter().map(|manifest| manifest.object).collect(),
        grants: manifests.grants.into_iter().map(|manifest| LoadedObject::Cluster(manifest.object)).collect(),
        organizations: Vec::new(),
        now: Some("2026-11-23T12:00:00Z".parse::<Timestamp>().unwrap()),
    }
}

fn files(objects: &[Json]) -> Inventory {
    Inventory::from_manifests(read(objects))
}

fn check(inventory: &Inventory, line: &str) -> Result<Json, Failure> {
    check_with_model(inventory, line, None)
}

fn check_with_model(inventory: &Inventory, line: &str, model: Option<PermissionModel>) -> Result<Json, Failure> {
    let arguments = arguments(line);
    let query = arguments.query();
    let selection = select_role(inventory, &query)?;
    let mut organization = Organization::new("production", amigo_api::OrganizationSpec::default());
    organization.spec.organization = "acme".to_owned();
    organization.status = Some(amigo_api::OrganizationStatus { permission_model: model, ..Default::default() });
    let subject = Subject::new(inventory, &query, &selection, Some(&organization));
    let permission = parse_permission(&arguments.permission)?;
    let report = Report::new(&subject, &permission, &arguments.attributes)?;
    Ok(serde_json::to_value(&report).unwrap())
}

const EVE: &str = "--user eve@example.com";
const OWN: &str = "Conversation:GetConversation --attr conversation_user_id=";

fn assigned() -> Vec<Json> {
    vec![
        role("viewer"),
        role("other"),
        assignment("eve", "eve@example.com", &json!({ "roleRef": { "name": "viewer" } })),
    ]
}

#[test]
fn assignment_gives_the_users_role_and_id() {
    let report = check(&cluster(&assigned()), &format!("{OWN}user-eve {EVE}")).unwrap();
    assert_eq!(
        (&report["allowed"], &report["roleName"], &report["userId"]),
        (&json!(true), &json!("viewer"), &json!("user-eve"))
    );
    assert_eq!((&report["orgId"], &report["notes"]), (&json!("acme"), &json!([])));
    let by_id = check(&cluster(&assigned()), &format!("{OWN}{{self}} --user user-eve")).unwrap();
    assert_eq!(by_id["allowed"], json!(true));
}

#[test]
fn role_without_object_is_an_error() {
    let by_name = assignment("eve", "eve@example.com", &json!({ "roleName": "DefaultUserRole" }));
    let unknown = check(&cluster(&[role("viewer"), by_name]), &format!("{OWN}x {EVE}")).unwrap_err();
    assert!(unknown.message.contains("DefaultUserRole at Amigo, but no Role describes it"), "{unknown}");
    let nobody = check(&cluster(&assigned()), &format!("{OWN}x --user pat@example.com")).unwrap_err();
    assert!(nobody.message.contains("no RoleAssignment exists for pat@example.com"), "{nobody}");
    let described = assignment("eve", "eve@example.com", &json!({ "roleName": "viewer" }));
    assert!(check(&cluster(&[role("viewer"), described]), &format!("{OWN}user-eve {EVE}")).is_ok());
}

#[test]
fn role_that_is_not_ready_gets_a_note() {
    let mut changed = assigned();
    changed[0]["metadata"]["generation"] = json!(2);
    let report = check(&cluster(&changed), &format!("{OWN}user-eve {EVE}")).unwrap();
    assert!(
        report["notes"][0].as_str().unwrap().contains("has not reconciled the latest spec of Role viewer"),
        "{report}"
    );
}

#[test]
fn assignment_that_is_not_ready_gets_a_note() {
    let note = |change: &dyn Fn(&mut Json)| {
        let mut changed = assigned();
        change(&mut changed[2]);
        check(&cluster(&changed), &format!("{OWN}user-eve {EVE}")).unwrap()["notes"].to_string()
    };
    assert_eq!(note(&|_| ()), "[]");
    let refused = note(&|assignment| {
        let ready = &mut assignment["status"]["conditions"][0];
        (ready["status"], ready["reason"], ready["message"]) = (json!("False"), json!("Conflict"), json!("403\nno"));
    });
    assert!(
        refused.contains("RoleAssignment eve is not Ready (Conflict), so") && refused.contains("403 no"),
        "{refused}"
    );
    let changed = note(&|assignment| assignment["metadata"]["generation"] = json!(2));
    assert!(changed.contains("has not reconciled the latest spec of RoleAssignment eve"), "{changed}");
}

#[test]
fn only_issued_and_active_permissions_count() {
    let with = |grant: Json| cluster(&[assigned(), vec![grant]].concat());
    let line = format!("User:GetUserInfo {EVE}");
    let alive = check(&with(temporary("eve@example.com", "Active", "2026-11-23T13:00:00Z")), &line).unwrap();
    assert_eq!((&alive["reason"], &alive["grants"][0]["path"]), (&json!("TemporaryGrant"), &json!("permissions[1]")));
    for (email, phase, expires_at) in [
        ("pat@example.com", "Pending", "2026-11-23T13:00:00Z"),
        ("eve@example.com", "Expired", "2026-11-23T13:00:00Z"),
        ("eve@example.com", "Active", "2026-11-23T12:00:00Z"),
    ] {
        let over = check(&with(temporary(email, phase, expires_at)), &line).unwrap();
        assert_eq!(over["reason"], json!("NoGrant"), "{email} {phase} {expires_at}");
    }
    let not_issued = check(
        &with(temporary("eve@example.com", "Active", "2026-11-23T13:00:00Z")),
        &line.replace("User:GetUserInfo", "Conversation:CreateConversation"),
    );
    assert_eq!(not_issued.unwrap()["grants"].as_array().unwrap().len(), 1);
}

#[test]
fn denial_names_the_namespaces_it_ignores() {
    let notes = |line: &str| check(&cluster(&assigned()), line).unwrap()["notes"].to_string();
    assert!(notes(&format!("User:GetUserInfo {EVE}")).contains("ignores temporary grants of other namespaces"));
    for settled in [format!("{OWN}user-eve {EVE}"), format!("Conversation:CreateConversation {EVE}")] {
        assert!(!notes(&settled).contains("other namespaces"), "{settled}");
    }
    assert_eq!(notes("User:GetUserInfo --as-role viewer"), "[]");
}

#[test]
fn as_role_counts_temporary_grants_of_a_given_user() {
    let inventory =
        cluster(&[assigned(), vec![temporary("eve@example.com", "Active", "2026-11-23T13:00:00Z")]].concat());
    let as_role =
        |more: &str| check(&inventory, &format!("User:GetUserInfo --as-role other {more}")).unwrap()["allowed"].clone();
    assert_eq!((as_role(""), as_role(EVE)), (json!(false), json!(true)));
}

#[test]
fn unknown_user_id_is_an_error_if_it_matters() {
    let inventory = files(&[role("viewer")]);
    assert_eq!(check(&inventory, &format!("{OWN}{{self}}")).unwrap()["allowed"], json!(true));
    let unknown = check(&inventory, &format!("{OWN}dana {EVE}")).unwrap_err();
    assert!(unknown.message.contains("unknown whether conversation_user_id \"dana\" is eve@example.com"), "{unknown}");
    assert_eq!(check(&inventory, &format!("{OWN}dana {EVE} --user-id user-eve")).unwrap()["allowed"], json!(false));
}

#[test]
fn unknown_user_may_be_the_user_of_a_condition() {
    let mut shut = role("viewer");
    shut["spec"]["permissionGrants"][0]["conditions"] =
        json!({ "conversation_user_id": { "type": "NotEquals", "value": "user-dana" } });
    let unknown = check(&files(&[shut]), &format!("{OWN}{{self}} {EVE}")).unwrap_err();
    assert!(unknown.message.contains("unknown whether \"user-dana\" is eve@example.com"), "{unknown}");
    assert_eq!(unknown.advice.as_deref(), Some("set the user's id with --user-id ID"));
}

#[test]
fn unknown_user_id_is_a_note_if_it_is_irrelevant() {
    let mut open = role("viewer");
    let everywhere = json!({ "permissionName": "Conversation:GetConversation" });
    open["spec"]["permissionGrants"].as_array_mut().unwrap().push(everywhere);
    let report = check(&files(&[open]), &format!("{OWN}dana {EVE}")).unwrap();
    assert_eq!(report["allowed"], json!(true));
    assert!(report["notes"].to_string().contains("the result is the same in both cases"), "{report}");
}

#[test]
fn several_roles_need_a_choice() {
    let inventory = files(&[role("viewer"), role("other")]);
    let several = check(&inventory, OWN).unwrap_err();
    assert_eq!(
        (several.exit, several.advice.as_deref()),
        (Exit::Usage, Some("choose one with --as-role; available Roles: other, viewer"))
    );
    assert!(check(&inventory, &format!("{OWN}{{self}} --as-role viewer")).is_ok());
    let none = check(&inventory, &format!("{OWN}x --as-role vewer")).unwrap_err();
    assert!(none.message.contains("Role vewer does not exist"), "{none}");
}

#[test]
fn temporary_grants_in_files_count_with_a_note() {
    let inventory = files(&[role("viewer"), temporary("eve@example.com", "Expired", "2026-11-23T12:00:00Z")]);
    let report = check(&inventory, "User:GetUserInfo").unwrap();
    assert_eq!(report["reason"], json!("TemporaryGrant"));
    assert!(report["notes"][0].as_str().unwrap().contains("tg counts as active"), "{report}");
    let other = check(&inventory, "User:GetUserInfo --user pat@example.com").unwrap();
    assert!(other["notes"][0].as_str().unwrap().contains("because it is for eve@example.com"), "{other}");
}

#[test]
fn deny_limits_temporary_grants_if_api_supports_deny() {
    let inventory = files(&[role("viewer"), temporary("eve@example.com", "Active", "2026-11-23T13:00:00Z")]);
    let line = "Conversation:CreateConversation";
    let reason = |model| check_with_model(&inventory, line, model).unwrap()["reason"].clone();
    assert_eq!(reason(Some(PermissionModel::AllowDeny)), json!("DenyGrant"));
    assert_eq!(reason(Some(PermissionModel::AllowOnly)), json!("TemporaryGrant"));
    let unknown = check(&inventory, line).unwrap();
    assert_eq!(unknown["reason"], json!("DenyGrant"));
    assert!(
        unknown["notes"].to_string().contains("if the organization's API does not support Deny, this is allowed"),
        "{unknown}"
    );
}

#[test]
fn role_without_allow_only_equivalent_gets_a_note() {
    let mut mixed = role("viewer");
    let shut = json!({ "permissionName": "Conversation:GetConversation", "action": "Deny",
                       "conditions": { "conversation_visible_to_admin": { "type": "Equals", "value": false } } });
    mixed["spec"]["permissionGrants"].as_array_mut().unwrap().push(shut);
    let notes = |role: Json| {
        let model = Some(PermissionModel::AllowOnly);
        check_with_model(&files(&[role]), &format!("{OWN}{{self}}"), model).unwrap()["notes"].to_string()
    };
    assert!(notes(mixed).contains("the operator does not send this role"));
    assert_eq!(notes(role("viewer")), "[]");
}

#[test]
fn malformed_and_misspelled_permissions_get_advice() {
    let dotted = parse_permission("Conversation.GetMessage").unwrap_err();
    assert_eq!(dotted.advice.as_deref(), Some("did you mean Conversation:GetMessage?"));
    let slip = parse_permission("Conversation:GetMesage").unwrap().note.unwrap();
    assert!(slip.contains("did you mean Conversation:GetMessage?"), "{slip}");
    assert_eq!(parse_permission("Conversation:GetMessage").unwrap().note, None);
}
