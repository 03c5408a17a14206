use amigo_sandbox::{Strictness, WrongSlash};
use serde_json::{Value, json};

use crate::support::*;

fn grant() -> Value {
    access("Conversation:GetMessage")
}

#[tokio::test]
async fn the_schema_refuses_bad_grants() {
    let world = world();
    let operator = world.operator().await;
    let condition = |condition: Value| altered(grant(), "/permission_grant/conditions", "org_id", condition);
    let set = |member: &str, value: Value| altered(grant(), "", member, value);
    for (body, problem) in [
        (set("tags", json!({ "note": "A-1" })), "body.tags.note"),
        (set("tags", json!({ "a.b": "x" })), "body.tags.a.b.[key]"),
        (set("tags", json!(null)), "body.tags"),
        (set("justification", json!(" too few ")), "body.justification"),
        (set("duration", json!("90m")), "body.duration"),
        (set("duration", json!("PT59S")), "body.duration"),
        (set("duration", json!("P3DT1S")), "body.duration"),
        (set("permission_grant", json!([])), "body.permission_grant"),
        (condition(json!({ "value": "acme" })), "body.permission_grant.conditions.org_id.type"),
        (condition(json!({ "type": "In", "value": "acme" })), "body.permission_grant.conditions.org_id.values"),
        (condition(json!({ "type": "Equals", "value": true })), "body.permission_grant.conditions.org_id.value"),
        (condition(json!({ "type": "Like", "value": "a" })), "body.permission_grant.conditions.org_id.type"),
    ] {
        assert_eq!(operator.post(GRANT, body).await.problem(), problem);
    }
    assert!(world.sandbox.live_grants("acme").is_empty());
}

#[tokio::test]
async fn the_smallest_good_grant_passes() {
    let world = world();
    let body = altered(altered(grant(), "", "duration", json!("PT1M")), "", "justification", json!("ten chars!"));
    assert_eq!(world.operator().await.post(GRANT, body).await.status, 201);
}

#[tokio::test]
async fn the_schema_refuses_bad_roles() {
    let world = world();
    let operator = world.operator().await;
    let set = |member: &str, value: Value| altered(reviewer(), "", member, value);
    for (body, problem) in [
        (set("description", json!("  ")), "body.description"),
        (set("frontend_view", json!("both")), "body.frontend_view"),
        (set("frontend_view", json!(null)), "body.frontend_view"),
        (set("role_name", json!("x".repeat(257))), "body.role_name"),
        (set("permission_grants", json!({})), "body.permission_grants"),
        (set("permission_grants", json!([{ "conditions": {} }])), "body.permission_grants.0.permission_name"),
    ] {
        assert_eq!(operator.post("/role/", body).await.problem(), problem);
    }
    assert_eq!(operator.post("/role/", json!(null)).await.problem(), "body");
}

#[tokio::test]
async fn the_schema_refuses_bad_queries() {
    let world = world();
    let operator = world.operator().await;
    for (path, problem) in [
        ("/role/?id=ABC", "query.id.0"),
        ("/role/?return_permission_grants=maybe", "query.return_permission_grants"),
        ("/role/temporary_permission_grants/?limit=11", "query.limit"),
        ("/role/temporary_permission_grants/?sort_by=+user_id", "query.sort_by.0"),
        ("/conversation/?limit=0", "query.limit"),
        ("/conversation/?continuation_token=next", "query.continuation_token"),
        ("/conversation/?tag=loose", "query.tag.0"),
        ("/user/?email=nobody", "query.email.0"),
        ("/user/search/", "query.query"),
    ] {
        assert_eq!(operator.get(path).await.problem(), problem);
    }
}

#[tokio::test]
async fn unknown_names_are_rejected_if_configured() {
    let world = world();
    let operator = world.operator().await;
    let unknown = altered(reviewer(), "/permission_grants/0", "permission_name", json!("Conversation:Whisper"));
    assert_eq!(operator.post("/role/", unknown.clone()).await.status, 403, "known or not, it outranks the caller");
    let _world = world.with(|behavior| behavior.unknown_names = Strictness::Reject);
    assert_eq!(operator.post("/role/", unknown).await.problem(), "body.permission_grants.0.permission_name");
}

#[tokio::test]
async fn a_wrong_slash_is_not_found_or_redirected() {
    let world = world();
    let operator = world.operator().await;
    assert_eq!(operator.get("/role").await.status, 404);
    assert_eq!(operator.post("/role/Engineer/assign/", json!({})).await.status, 404);
    let _world = world.with(|behavior| behavior.wrong_slash = WrongSlash::Redirect);
    let redirected = operator.get("/role?name=Engineer").await;
    assert_eq!(
        (redirected.status, &redirected.headers["location"]),
        (307, &"/v1/acme/role/?name=Engineer".parse().unwrap())
    );
    assert_eq!(operator.get("/roles").await.status, 404);
    assert_eq!(operator.delete("/role/").await.status, 405);
}
