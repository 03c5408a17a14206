use serde_json::{Value, json};

use crate::support::*;

fn invitation() -> Value {
    json!({ "first_name": "New", "last_name": "Comer", "email": "new@example.com", "role_name": "Engineer" })
}

#[tokio::test]
async fn users_are_found_by_exact_email_or_part_of_it() {
    let world = world();
    let operator = world.operator().await;
    let exact = operator.get("/user/?email=ENG%40example.com").await.body;
    let part = operator.get("/user/search/?query=league").await.body;

    assert_eq!(exact["users"][0]["user_id"], ENGINEER);
    assert_eq!(exact["users"][0]["enable_actions_access"], false);
    assert_eq!(part["users"][0]["user_id"], COLLEAGUE);
    assert_eq!(part["users"][0].get("enable_actions_access"), None);
}

#[tokio::test]
async fn statistics_come_from_the_conversations() {
    let world = world();
    let user = world.operator().await.get("/user/?user_id=user-owner-7f3a").await.body["users"][0].clone();
    let expected = json!({ "num_conversations": 2, "num_messages": 5,
        "last_message_time": "2026-11-21T18:02:00.000Z" });
    assert_eq!(user["user_stats"], expected);
}

#[tokio::test]
async fn an_invited_user_exists_once() {
    let world = world();
    let operator = world.operator().await;
    let invited = operator.post("/user/", invitation()).await;

    assert_eq!((invited.status, &invited.body["verify_link"]), (201, &Value::Null));
    assert_eq!(operator.post("/user/", invitation()).await.status, 409);
    let id = invited.body["user_id"].as_str().unwrap();
    assert_eq!(world.sandbox.user_role("acme", id).unwrap(), "Engineer");
    let stranger = altered(invitation(), "", "role_name", json!("nothing"));
    assert_eq!(operator.post("/user/", stranger).await.status, 404);
    let equal = altered(invitation(), "", "role_name", json!("AmigoOperator"));
    assert_eq!(operator.post("/user/", equal).await.status, 403);
}

#[tokio::test]
async fn null_erases_a_language_but_empty_object_does_not() {
    let world = world();
    let operator = world.operator().await;
    let path = format!("/user/{ENGINEER}");
    let language = async || {
        let user = world.sandbox.users("acme").into_iter().find(|user| user.user_id == ENGINEER);
        user.unwrap().preferences.preferred_language
    };
    assert_eq!(operator.post(&path, json!({ "preferred_language": "eng" })).await.status, 204);
    operator.post(&path, json!({ "preferred_language": {}, "first_name": "Engine" })).await;
    assert_eq!(language().await.as_deref(), Some("eng"));
    operator.post(&path, json!({ "preferred_language": null })).await;
    assert_eq!(language().await, None);
    assert_eq!(operator.post("/user/nobody", json!({})).await.status, 404);
}
