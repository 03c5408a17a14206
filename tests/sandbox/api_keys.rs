use jiff::SignedDuration;
use serde_json::json;

use crate::support::*;

const KEYS: &str = "/organization/api_key/";

#[tokio::test]
async fn a_key_is_made_listed_used_and_deleted() {
    let world = world();
    let operator = world.operator().await;
    let body = json!({ "name": null, "duration": "P30D", "role_name": "Engineer" });
    let made = operator.post(KEYS, body).await;
    let (id, secret) = (made.body["api_key_id"].as_str().unwrap(), made.body["api_key"].as_str().unwrap());

    assert_eq!((made.status, made.body["expires_at"].as_str()), (201, Some("2026-12-22T10:00:00.000Z")));
    assert_eq!(operator.get(KEYS).await.body["api_keys"][1]["key_id"], id);
    assert_eq!(world.sign_in(id, secret, ENGINEER).await.status, 200);
    assert_eq!(world.sign_in(id, secret, OPERATOR).await.status, 401, "the operator outranks the key");
    assert_eq!(operator.delete(&format!("{KEYS}{id}/")).await.body, json!({ "deleted_key_id": id }));
    assert_eq!(world.sign_in(id, secret, ENGINEER).await.status, 401);
    assert_eq!(operator.delete(&format!("{KEYS}{id}/")).await.status, 404);
    assert!(!serde_json::to_string(&world.sandbox.journal()).unwrap().contains(secret));
}

#[tokio::test]
async fn a_key_needs_a_name_a_range_and_room() {
    let world = world().without_limits();
    let operator = world.operator().await;
    let key = json!({ "name": "k", "duration": "P1D", "role_name": "Engineer" });
    assert_eq!(operator.post(KEYS, altered(key.clone(), "", "name", json!(null))).await.problem(), "body.name");
    let long = altered(key.clone(), "", "duration", json!("P91D"));
    assert_eq!(operator.post(KEYS, long).await.problem(), "body.duration");
    for _ in 0..19 {
        assert_eq!(operator.post(KEYS, key.clone()).await.status, 201);
    }
    assert_eq!(operator.post(KEYS, key).await.status, 400);
}

#[tokio::test]
async fn tokens_end() {
    let world = world();
    let operator = world.operator().await;
    assert_eq!(operator.get("/role/").await.status, 200);
    world.pass(SignedDuration::from_hours(1));
    assert_eq!(operator.get("/role/").await.status, 401);
}

#[tokio::test]
async fn sign_in_does_not_say_what_is_wrong() {
    let world = world();
    for (key, secret, user) in
        [(KEY, "wrong", OPERATOR), ("wrong", "sandbox-api-key", OPERATOR), (KEY, "sandbox-api-key", "nobody")]
    {
        assert_eq!(world.sign_in(key, secret, user).await.status, 401);
    }
    let headless = world.plain("POST", "/v1/acme/user/signin_with_api_key", json!(null)).await;
    assert_eq!(headless.problem(), "header.x-api-key");
    assert_eq!(world.plain("POST", "/v1/other/user/signin_with_api_key", json!(null)).await.status, 404);
}

#[tokio::test]
async fn a_rotated_secret_ends_keys_and_tokens() {
    let world = world();
    let operator = world.operator().await;
    world.sandbox.set_api_key_secret("acme", KEY, "new".into()).unwrap();
    assert_eq!(operator.get("/role/").await.status, 401);
    assert_eq!(world.sign_in(KEY, "sandbox-api-key", OPERATOR).await.status, 401);
    assert_eq!(world.sign_in(KEY, "new", OPERATOR).await.status, 200);
}
