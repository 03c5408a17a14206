use serde_json::json;

use crate::support::*;

const INSIGHTS: &str = "/conversation/abc123def456abc123def456/interaction/66f1c0ab12de34f056789b01/insights";

#[tokio::test]
async fn messages_hide_inner_thoughts_unless_asked() {
    let world = world();
    let operator = world.operator().await;
    let path = format!("/conversation/{CONVERSATION}/messages/");
    let usual = operator.get(&path).await.body;
    let thoughts = operator.get(&format!("{path}?message_type=agent-inner-thought")).await.body;

    assert_eq!(usual["messages"].as_array().unwrap().len(), 3);
    assert_eq!(thoughts["messages"][0]["message_type"], "agent-inner-thought");
    assert_eq!(operator.get("/conversation/abc/messages/").await.problem(), "path.conversation_id");
    let none = "/conversation/000000000000000000000000/messages/";
    assert_eq!(operator.get(none).await.status, 404);
}

#[tokio::test]
async fn unreadable_messages_are_dropped_in_silence() {
    let world = world();
    let answer = world.client(ENGINEER).await.get(&format!("/conversation/{CONVERSATION}/messages/")).await;
    assert_eq!((answer.status, &answer.body["messages"]), (200, &json!([])));
}

#[tokio::test]
async fn insights_need_the_state_machine_too() {
    let world = world();
    let (operator, engineer) = (world.operator().await, world.client(ENGINEER).await);
    operator.post(GRANT, access("Conversation:GetInteractionInsights")).await;
    assert_eq!(engineer.get(INSIGHTS).await.status, 403);

    let machine = json!({ "permission_name": "Organization:GetServiceHierarchicalStateMachine",
        "conditions": { "org_id": { "type": "Equals", "value": "acme" } } });
    operator.post(GRANT, altered(access("x"), "", "permission_grant", machine)).await;

    assert_eq!(engineer.get(INSIGHTS).await.body["reflections"], json!([]));
    operator.post(GRANT, access("Conversation:GetMessage")).await;
    assert_eq!(engineer.get(INSIGHTS).await.body["reflections"], json!(["The tone was friendly."]));
}

#[tokio::test]
async fn tags_are_set_and_removed_up_to_twenty() {
    let world = world();
    let operator = world.operator().await;
    let path = format!("/conversation/{CONVERSATION}/tags/");
    let change = json!({ "updates": { "review": null }, "deletes": ["channel"] });
    assert_eq!(operator.post(&path, change).await.status, 204);
    let tags = operator.get("/conversation/?tag=review:").await.body["conversations"][0]["tags"].clone();
    assert_eq!(tags, json!({ "review": null }));
    let many: serde_json::Map<_, _> = (0..20).map(|index| (format!("t{index}"), json!("x"))).collect();
    assert_eq!(operator.post(&path, json!({ "updates": many })).await.status, 400);
}

#[tokio::test]
async fn the_organization_tells_more_to_those_who_may() {
    let world = world();
    let anonymous = world.plain("GET", "/v1/acme/organization/", json!(null)).await;
    let operator = world.operator().await.get("/organization/").await;
    assert_eq!((anonymous.status, &anonymous.body["tenant_id"]), (200, &json!(null)));
    assert_eq!(operator.body["tenant_id"], "acme-x1y2z");
    assert_eq!(world.plain("GET", "/v1/other/organization/", json!(null)).await.status, 404);
}
