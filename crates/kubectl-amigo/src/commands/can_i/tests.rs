use amigo_api::{Organization, PermissionModel};
use clap::Parser as _;
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::{
    answer::{Answer, permission},
    subject::World,
    *,
};
use crate::{manifests::Manifests, manifests::Source as File, verdict::Found};

#[derive(Debug, clap::Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

fn arguments(line: &str) -> Arguments {
    Line::try_parse_from(format!("can-i {line}").split_whitespace()).unwrap().arguments
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
    Manifests::parse(&[File { name: "all.json".to_owned(), text: list.to_string() }]).unwrap()
}

/// A namespace with these objects, at noon.
fn cluster(objects: &[Json]) -> World {
    let manifests = read(objects);
    World {
        roles: manifests.roles.into_iter().map(|manifest| Found::Live(manifest.object)).collect(),
        assignments: manifests.assignments.into_iter().map(|manifest| manifest.object).collect(),
        grants: manifests.grants.into_iter().map(|manifest| Found::Live(manifest.object)).collect(),
        now: Some("2026-11-23T12:00:00Z".parse::<Timestamp>().unwrap()),
    }
}

fn files(objects: &[Json]) -> World {
    let manifests = read(objects);
    World {
        roles: manifests.roles.into_iter().map(Found::Written).collect(),
        assignments: manifests.assignments.into_iter().map(|manifest| manifest.object).collect(),
        grants: manifests.grants.into_iter().map(Found::Written).collect(),
        now: None,
    }
}

fn ask(world: &World, line: &str) -> Result<Json, Failure> {
    ask_in(world, line, None)
}

fn ask_in(world: &World, line: &str, model: Option<PermissionModel>) -> Result<Json, Failure> {
    let arguments = arguments(line);
    let wish = arguments.wish();
    let choice = choose(world, &wish)?;
    let mut organization = Organization::new("production", amigo_api::OrganizationSpec::default());
    organization.spec.organization = "acme".to_owned();
    organization.status = Some(amigo_api::OrganizationStatus { permission_model: model, ..Default::default() });
    let subject = Subject::new(world, &wish, &choice, Some(&organization));
    let permission = permission(&arguments.permission)?;
    let answer = Answer::new(&subject, &permission, &arguments.attributes)?;
    Ok(serde_json::to_value(&answer).unwrap())
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
fn a_users_role_is_that_of_the_assignment_and_its_status_knows_the_id() {
    let answer = ask(&cluster(&assigned()), &format!("{OWN}user-eve {EVE}")).unwrap();
    assert_eq!(
        (&answer["allowed"], &answer["roleName"], &answer["userId"]),
        (&json!(true), &json!("viewer"), &json!("user-eve"))
    );
    assert_eq!((&answer["orgId"], &answer["notes"]), (&json!("acme"), &json!([])));
    let by_id = ask(&cluster(&assigned()), &format!("{OWN}{{self}} --user user-eve")).unwrap();
    assert_eq!(by_id["allowed"], json!(true));
}

#[test]
fn what_only_amigo_knows_is_never_guessed() {
    let by_name = assignment("eve", "eve@example.com", &json!({ "roleName": "DefaultUserRole" }));
    let unknown = ask(&cluster(&[role("viewer"), by_name]), &format!("{OWN}x {EVE}")).unwrap_err();
    assert!(unknown.message.contains("DefaultUserRole, which no object here describes"), "{unknown}");
    let nobody = ask(&cluster(&assigned()), &format!("{OWN}x --user pat@example.com")).unwrap_err();
    assert!(nobody.message.contains("no RoleAssignment here says which role pat@example.com has"), "{nobody}");
    let described = assignment("eve", "eve@example.com", &json!({ "roleName": "viewer" }));
    assert!(ask(&cluster(&[role("viewer"), described]), &format!("{OWN}user-eve {EVE}")).is_ok());
}

#[test]
fn a_role_that_is_not_ready_is_said_to_be_so() {
    let mut changed = assigned();
    changed[0]["metadata"]["generation"] = json!(2);
    let answer = ask(&cluster(&changed), &format!("{OWN}user-eve {EVE}")).unwrap();
    assert!(answer["notes"][0].as_str().unwrap().contains("has not seen the present Role viewer"), "{answer}");
}

#[test]
fn an_assignment_that_is_not_ready_is_said_to_be_so() {
    let note = |change: &dyn Fn(&mut Json)| {
        let mut changed = assigned();
        change(&mut changed[2]);
        ask(&cluster(&changed), &format!("{OWN}user-eve {EVE}")).unwrap()["notes"].to_string()
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
    assert!(changed.contains("has not seen the present RoleAssignment eve"), "{changed}");
}

#[test]
fn only_what_was_issued_and_lives_counts_of_a_temporary_grant() {
    let with = |grant: Json| cluster(&[assigned(), vec![grant]].concat());
    let line = format!("User:GetUserInfo {EVE}");
    let alive = ask(&with(temporary("eve@example.com", "Active", "2026-11-23T13:00:00Z")), &line).unwrap();
    assert_eq!((&alive["reason"], &alive["grants"][0]["path"]), (&json!("TemporaryGrant"), &json!("permissions[1]")));
    for (email, phase, expires_at) in [
        ("pat@example.com", "Pending", "2026-11-23T13:00:00Z"),
        ("eve@example.com", "Expired", "2026-11-23T13:00:00Z"),
        ("eve@example.com", "Active", "2026-11-23T12:00:00Z"),
    ] {
        let over = ask(&with(temporary(email, phase, expires_at)), &line).unwrap();
        assert_eq!(over["reason"], json!("NoGrant"), "{email} {phase} {expires_at}");
    }
    let not_issued = ask(
        &with(temporary("eve@example.com", "Active", "2026-11-23T13:00:00Z")),
        &line.replace("User:GetUserInfo", "Conversation:CreateConversation"),
    );
    assert_eq!(not_issued.unwrap()["grants"].as_array().unwrap().len(), 1);
}

#[test]
fn a_denial_says_which_grants_were_not_looked_at() {
    let notes = |line: &str| ask(&cluster(&assigned()), line).unwrap()["notes"].to_string();
    assert!(
        notes(&format!("User:GetUserInfo {EVE}")).contains("temporary grants of other namespaces were not looked at")
    );
    for settled in [format!("{OWN}user-eve {EVE}"), format!("Conversation:CreateConversation {EVE}")] {
        assert!(!notes(&settled).contains("other namespaces"), "{settled}");
    }
    assert_eq!(notes("User:GetUserInfo --as-role viewer"), "[]");
}

#[test]
fn temporary_grants_count_with_as_role_only_for_a_named_user() {
    let world = cluster(&[assigned(), vec![temporary("eve@example.com", "Active", "2026-11-23T13:00:00Z")]].concat());
    let as_role =
        |more: &str| ask(&world, &format!("User:GetUserInfo --as-role other {more}")).unwrap()["allowed"].clone();
    assert_eq!((as_role(""), as_role(EVE)), (json!(false), json!(true)));
}

#[test]
fn a_user_id_that_is_not_known_is_not_guessed() {
    let world = files(&[role("viewer")]);
    assert_eq!(ask(&world, &format!("{OWN}{{self}}")).unwrap()["allowed"], json!(true));
    let unknown = ask(&world, &format!("{OWN}dana {EVE}")).unwrap_err();
    assert!(
        unknown.message.contains("whether conversation_user_id \"dana\" is eve@example.com is not known"),
        "{unknown}"
    );
    assert_eq!(ask(&world, &format!("{OWN}dana {EVE} --user-id user-eve")).unwrap()["allowed"], json!(false));
}

#[test]
fn an_unknown_user_may_be_whoever_a_condition_names() {
    let mut shut = role("viewer");
    shut["spec"]["permissionGrants"][0]["conditions"] =
        json!({ "conversation_user_id": { "type": "NotEquals", "value": "user-dana" } });
    let unknown = ask(&files(&[shut]), &format!("{OWN}{{self}} {EVE}")).unwrap_err();
    assert!(unknown.message.contains("whether \"user-dana\" is eve@example.com is not known"), "{unknown}");
    assert_eq!(unknown.advice.as_deref(), Some("say the user's id with --user-id ID"));
}

#[test]
fn an_answer_that_is_the_same_for_every_user_needs_no_id() {
    let mut open = role("viewer");
    let everywhere = json!({ "permissionName": "Conversation:GetConversation" });
    open["spec"]["permissionGrants"].as_array_mut().unwrap().push(everywhere);
    let answer = ask(&files(&[open]), &format!("{OWN}dana {EVE}")).unwrap();
    assert_eq!(answer["allowed"], json!(true));
    assert!(answer["notes"].to_string().contains("the answer is the same in both cases"), "{answer}");
}

#[test]
fn of_several_roles_one_must_be_chosen() {
    let world = files(&[role("viewer"), role("other")]);
    let several = ask(&world, OWN).unwrap_err();
    assert_eq!(
        (several.exit, several.advice.as_deref()),
        (Exit::Usage, Some("choose one with --as-role; there are: other, viewer"))
    );
    assert!(ask(&world, &format!("{OWN}{{self}} --as-role viewer")).is_ok());
    let none = ask(&world, &format!("{OWN}x --as-role vewer")).unwrap_err();
    assert!(none.message.contains("no Role vewer"), "{none}");
}

#[test]
fn in_files_all_temporary_grants_count_and_are_told() {
    let world = files(&[role("viewer"), temporary("eve@example.com", "Expired", "2026-11-23T12:00:00Z")]);
    let answer = ask(&world, "User:GetUserInfo").unwrap();
    assert_eq!(answer["reason"], json!("TemporaryGrant"));
    assert!(answer["notes"][0].as_str().unwrap().contains("tg counts as live"), "{answer}");
    let other = ask(&world, "User:GetUserInfo --user pat@example.com").unwrap();
    assert!(other["notes"][0].as_str().unwrap().contains("is for eve@example.com and left out"), "{other}");
}

#[test]
fn whether_a_deny_bars_temporary_grants_depends_on_the_api() {
    let world = files(&[role("viewer"), temporary("eve@example.com", "Active", "2026-11-23T13:00:00Z")]);
    let line = "Conversation:CreateConversation";
    let reason = |model| ask_in(&world, line, model).unwrap()["reason"].clone();
    assert_eq!(reason(Some(PermissionModel::AllowDeny)), json!("DenyGrant"));
    assert_eq!(reason(Some(PermissionModel::AllowOnly)), json!("TemporaryGrant"));
    let unknown = ask(&world, line).unwrap();
    assert_eq!(unknown["reason"], json!("DenyGrant"));
    assert!(
        unknown["notes"].to_string().contains("an organization whose API knows no Deny would allow this"),
        "{unknown}"
    );
}

#[test]
fn a_role_that_cannot_be_sent_is_said_to_be_so() {
    let mut mixed = role("viewer");
    let shut = json!({ "permissionName": "Conversation:GetConversation", "action": "Deny",
                       "conditions": { "conversation_visible_to_admin": { "type": "Equals", "value": false } } });
    mixed["spec"]["permissionGrants"].as_array_mut().unwrap().push(shut);
    let notes = |role: Json| {
        let model = Some(PermissionModel::AllowOnly);
        ask_in(&files(&[role]), &format!("{OWN}{{self}}"), model).unwrap()["notes"].to_string()
    };
    assert!(notes(mixed).contains("the operator does not send the role as it is"));
    assert_eq!(notes(role("viewer")), "[]");
}

#[test]
fn a_permission_must_look_like_one_and_a_slip_is_told() {
    let dotted = permission("Conversation.GetMessage").unwrap_err();
    assert_eq!(dotted.advice.as_deref(), Some("did you mean Conversation:GetMessage?"));
    let slip = permission("Conversation:GetMesage").unwrap().note.unwrap();
    assert!(slip.contains("did you mean Conversation:GetMessage?"), "{slip}");
    assert_eq!(permission("Conversation:GetMessage").unwrap().note, None);
}
