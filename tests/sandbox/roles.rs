use amigo_sandbox::{Change, ErrorStyle, Hierarchy, Strictness};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::*;

const REVIEWER: &str = "/role/message%20reviewer";

fn deny() -> Value {
    json!({ "action": "Deny", "permission_name": "Conversation:FinishConversation", "conditions": {},
        "description": "never" })
}

#[tokio::test]
async fn created_role_is_listed_with_grants_on_request() {
    let world = world();
    let operator = world.operator().await;
    let created = operator.post("/role/", reviewer()).await;
    let listed = operator.role("message reviewer").await;
    let bare = operator.get("/role/?name=message+reviewer").await.body["roles"][0].clone();

    assert_eq!((created.status, &created.body["role_id"]), (201, &listed["id"]));
    assert_eq!(listed["permission_grants"], reviewer()["permission_grants"]);
    assert_eq!(bare["permission_grants"], json!([]));
    assert_eq!(operator.post("/role/", reviewer()).await.status, 409);
}

#[tokio::test]
async fn new_grants_create_a_new_role_document() {
    let world = world();
    let operator = world.operator().await;
    let first = operator.post("/role/", reviewer()).await.body["role_id"].clone();
    operator.post(&format!("{REVIEWER}/assign"), json!({ "user_id": ENGINEER })).await;

    let described = operator.post(REVIEWER, json!({ "description": "Reads on" })).await.body["role_id"].clone();
    let emptied = operator.post(REVIEWER, json!({ "permission_grants": [] })).await.body["role_id"].clone();

    assert_eq!(described, first);
    assert_ne!(emptied, first);
    let engineer = world.sandbox.users("acme").into_iter().find(|user| user.user_id == ENGINEER).unwrap();
    assert_eq!(json!(engineer.role_id), emptied);
    assert_eq!(operator.role("message reviewer").await["description"], "Reads on");
}

#[tokio::test]
async fn replaced_role_is_listed_for_a_day_if_configured() {
    let world = world().with(|behavior| behavior.old_role_visible = true).without_limits();
    let operator = world.operator().await;
    operator.post("/role/", reviewer()).await;
    operator.post(REVIEWER, json!({ "frontend_view": "client" })).await;
    let shown = async || {
        let listed = world.operator().await.get("/role/?name=message+reviewer").await;
        listed.body["roles"].as_array().unwrap().len()
    };

    assert_eq!(shown().await, 2);
    world.pass(SignedDuration::from_hours(24));
    assert_eq!(shown().await, 1);
}

#[tokio::test]
async fn unchanged_grants_make_a_document_if_configured() {
    let world = world();
    let operator = world.operator().await;
    let first = operator.post("/role/", reviewer()).await.body["role_id"].clone();
    let same = json!({ "permission_grants": reviewer()["permission_grants"] });

    let resent = operator.post(REVIEWER, same.clone()).await.body["role_id"].clone();
    let world = world.with(|behavior| behavior.unchanged_immutable_makes_document = false);
    let again = world.operator().await.post(REVIEWER, same).await.body["role_id"].clone();

    assert_ne!(resent, first);
    assert_eq!(again, resent);
}

#[tokio::test]
async fn nobody_handles_a_role_of_equal_rank() {
    let world = world();
    let operator = world.operator().await;
    let own = operator.role("AmigoOperator").await["permission_grants"].clone();
    let twin = altered(reviewer(), "", "permission_grants", own.clone());

    assert_eq!(operator.post("/role/", twin).await.status, 201);
    let assign = operator.post(&format!("{REVIEWER}/assign"), json!({ "user_id": ENGINEER })).await;
    assert_eq!(assign.status, 403);
    assert_eq!(operator.post(REVIEWER, json!({ "permission_grants": own })).await.status, 403);
    let world = world.with(|behavior| behavior.role_hierarchy = Hierarchy::EqualAllowed);
    let assign = world.operator().await.post(&format!("{REVIEWER}/assign"), json!({ "user_id": ENGINEER })).await;
    assert_eq!(assign.status, 200);
    assert_eq!(world.sandbox.user_role("acme", ENGINEER).unwrap(), "message reviewer");
}

#[tokio::test]
async fn assigning_can_demand_rank_over_the_present_role() {
    let world = world().with(|behavior| behavior.assign_outranks_current_role = true);
    let operator = world.operator().await;
    assert_eq!(operator.post("/role/Engineer/assign", json!({ "user_id": OPERATOR })).await.status, 403);
    assert_eq!(operator.post("/role/DefaultUserRole/assign", json!({ "user_id": ENGINEER })).await.status, 200);
    let Change::RoleAssigned { user_id, role_name, .. } = &world.sandbox.journal()[0].change else { panic!() };
    assert_eq!((user_id.as_str(), role_name.as_str()), (ENGINEER, "DefaultUserRole"));
}

#[tokio::test]
async fn invisible_roles_look_absent() {
    let world = world();
    let engineer = world.client(ENGINEER).await;
    assert_eq!(engineer.get("/role/?name=Engineer").await.body, json!({ "roles": [] }));
    assert_eq!(engineer.post("/role/", reviewer()).await.status, 403);
    assert_eq!(world.operator().await.post("/role/nothing", json!({})).await.status, 404);
}

#[tokio::test]
async fn allow_only_drops_the_action_so_a_deny_allows() {
    let world = world();
    let operator = world.operator().await;
    let trap = altered(reviewer(), "", "permission_grants", json!([deny()]));
    assert_eq!(operator.post("/role/", trap.clone()).await.status, 403, "read as an unconditional allow");

    let world = world.with(|behavior| behavior.create_role_hierarchy = Hierarchy::Off);
    assert_eq!(operator.post("/role/", trap.clone()).await.status, 201);
    let stored = json!([{ "permission_name": "Conversation:FinishConversation", "conditions": {} }]);
    assert_eq!(operator.role("message reviewer").await["permission_grants"], stored);

    world.with(|behavior| behavior.unknown_members = Strictness::Reject);
    assert_eq!(operator.post("/role/", trap).await.problem(), "body.permission_grants.0.action");
}

#[tokio::test]
async fn allow_deny_keeps_action_and_description() {
    let world = allow_deny_world();
    let operator = world.operator().await;
    let grants = json!([deny()]);
    let role = altered(reviewer(), "", "permission_grants", grants.clone());
    assert_eq!(operator.post("/role/", role).await.status, 201);
    assert_eq!(operator.role("message reviewer").await["permission_grants"], grants);
}

#[tokio::test]
async fn a_deny_wins_over_a_temporary_grant() {
    let world = allow_deny_world();
    let operator = world.operator().await;
    let deny = json!([{ "action": "Deny", "permission_name": "Conversation:GetConversation", "conditions": {} }]);
    operator.post("/role/", altered(reviewer(), "", "permission_grants", deny)).await;
    operator.post(&format!("{REVIEWER}/assign"), json!({ "user_id": ENGINEER })).await;
    operator.post(GRANT, access("Conversation:GetConversation")).await;

    let seen = world.client(ENGINEER).await.get("/conversation/").await;

    assert_eq!(seen.body["conversations"], json!([]));
}

#[tokio::test]
async fn error_bodies_come_in_styles() {
    let world = world();
    let engineer = world.client(ENGINEER).await;
    let name = "Role:CreateRole";
    for (style, expected) in [
        (ErrorStyle::Detail, json!({ "detail": format!("Missing required permission: {name}") })),
        (
            ErrorStyle::ErrorAndMessage,
            json!({ "error": "Forbidden", "message": format!("Missing required permission: {name}") }),
        ),
        (ErrorStyle::MissingPermission, json!({ "missing_permission": name })),
        (ErrorStyle::PlainText, Value::Null),
    ] {
        world.sandbox.set_behavior("acme", |behavior| behavior.error_style = style).unwrap();
        assert_eq!(engineer.post("/role/", reviewer()).await.body, expected);
    }
}
