use amigo_sandbox::{Change, Hierarchy, RangeError, TagCombination, TimestampPrecision};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::*;

const SEEN: &str = "/conversation/?id=abc123def456abc123def456";

async fn count(client: &Client, path: &str, member: &str) -> usize {
    client.get(path).await.body[member].as_array().unwrap().len()
}

#[tokio::test]
async fn grant_opens_owner_conversations_until_it_expires() {
    let world = world();
    let (operator, engineer) = (world.operator().await, world.client(ENGINEER).await);
    assert_eq!(count(&engineer, SEEN, "conversations").await, 0);

    let answer =
        operator.post(GRANT, altered(access("Conversation:GetConversation"), "", "duration", json!("PT30M"))).await;

    assert_eq!((answer.status, answer.body["expires_at"].as_str()), (201, Some("2026-11-22T10:30:00.000Z")));
    assert_eq!(count(&engineer, SEEN, "conversations").await, 1);
    assert_eq!(count(&engineer, "/conversation/?user_id=user-owner-7f3a", "conversations").await, 2);
    world.pass(minutes(30));
    assert_eq!(count(&engineer, SEEN, "conversations").await, 0);
    assert!(world.sandbox.live_grants("acme").is_empty());
}

#[tokio::test]
async fn fields_open_with_their_own_permission() {
    let world = world();
    let (operator, engineer) = (world.operator().await, world.client(ENGINEER).await);
    operator.post(GRANT, access("Conversation:GetConversation")).await;
    let before = engineer.get(SEEN).await.body["conversations"][0].clone();
    operator.post(GRANT, access("Conversation:GetMessage")).await;
    let after = engineer.get(SEEN).await.body["conversations"][0].clone();

    assert_eq!((&before["final_message"], &before["version_set_info"]), (&json!(""), &Value::Null));
    assert_eq!(after["final_message"], "Yes, that suits me.");
}

#[tokio::test]
async fn the_journal_holds_what_was_asked() {
    let world = world();
    world
        .operator()
        .await
        .post(GRANT, altered(access("Conversation:GetMessage"), "", "tags", json!({"a b": null})))
        .await;

    let [commit] = &world.sandbox.journal()[..] else { panic!("one commit") };
    let Change::GrantCreated(grant) = &commit.change else { panic!("a grant") };

    assert_eq!((commit.actor.as_str(), commit.sequence), (OPERATOR, 1));
    assert_eq!((grant.duration.as_str(), grant.user_id.as_str()), ("PT2H", ENGINEER));
    assert_eq!(grant.tags, [("a b".to_owned(), None)].into());
    assert_eq!(world.sandbox.live_grants("acme")[0].id, grant.id);
}

#[tokio::test]
async fn lists_page_filter_and_sort() {
    let world = world();
    let operator = world.operator().await;
    for duration in ["PT3H", "PT1H", "PT2H"] {
        let tagged = altered(access("Conversation:GetMessage"), "", "tags", json!({"span": duration, "all": null}));
        operator.post(GRANT, altered(tagged, "", "duration", json!(duration))).await;
    }

    let first = operator.get(&format!("{GRANTS}?sort_by=%2Bexpires_at&limit=2")).await.body;
    let rest = operator.get(&format!("{GRANTS}?sort_by=%2Bexpires_at&limit=2&continuation_token=2")).await.body;
    let spans = |page: &Value| -> Vec<String> {
        let grants = page["temporary_permission_grants"].as_array().unwrap().iter();
        grants.map(|grant| grant["tags"]["span"].as_str().unwrap().to_owned()).collect()
    };

    assert_eq!((spans(&first), spans(&rest)), (vec!["PT1H".into(), "PT2H".into()], vec!["PT3H".into()]));
    assert_eq!((&first["has_more"], &first["continuation_token"]), (&json!(true), &json!(2)));
    assert_eq!((&rest["has_more"], &rest["continuation_token"]), (&json!(false), &Value::Null));
    world.pass(minutes(90));
    let member = "temporary_permission_grants";
    for (filter, expected) in [
        ("is_expired=true", 1),
        ("is_expired=false", 2),
        ("tag=span:PT1H", 1),
        ("tag=span:*&tag=all:", 3),
        ("tag=span:PT1H&tag=all:x", 0),
        ("creator=nobody", 0),
        ("permission_grant_name=Conversation:GetMessage&user_id=user-eng-2c91", 3),
    ] {
        assert_eq!(count(&world.operator().await, &format!("{GRANTS}?{filter}"), member).await, expected, "{filter}");
        world.pass(SignedDuration::from_secs(13));
    }
}

#[tokio::test]
async fn grants_follow_the_configured_behavior() {
    let world = world().with(|behavior| {
        behavior.grant_propagation = SignedDuration::from_secs(30);
        behavior.repeated_tags = TagCombination::Any;
        behavior.expired_grants_listed_for = Some(minutes(1));
        behavior.range_error = RangeError::BadRequest;
    });
    let (operator, engineer) = (world.operator().await, world.client(ENGINEER).await);
    operator.post(GRANT, access("Conversation:GetConversation")).await;
    let too_long = operator.post(GRANT, altered(access("Conversation:GetMessage"), "", "duration", json!("P4D"))).await;

    assert_eq!(too_long.status, 400);
    assert_eq!(count(&engineer, SEEN, "conversations").await, 0);
    world.pass(SignedDuration::from_secs(30));
    assert_eq!(count(&engineer, SEEN, "conversations").await, 1);
    world.pass(minutes(121));
    assert_eq!(count(&world.operator().await, GRANTS, "temporary_permission_grants").await, 0);
}

#[tokio::test]
async fn variables_in_grants_can_be_plain_text() {
    let own = json!({ "permission_name": "Conversation:GetConversation", "conditions": {
        "org_id": { "type": "Equals", "value": "{self_org_id}" } } });
    let world = world().with(|behavior| behavior.grant_hierarchy = Hierarchy::Off);
    let (operator, engineer) = (world.operator().await, world.client(ENGINEER).await);
    operator.post(GRANT, altered(access("x"), "", "permission_grant", own)).await;
    assert_eq!(count(&engineer, "/conversation/", "conversations").await, 3);

    let world = world.with(|behavior| behavior.variables_in_temporary_grants = false);

    assert_eq!(count(&world.client(ENGINEER).await, "/conversation/", "conversations").await, 0);
}

#[tokio::test]
async fn a_grant_needs_the_permission_and_the_rank() {
    let world = world();
    let (operator, engineer) = (world.operator().await, world.client(ENGINEER).await);

    assert_eq!(engineer.post(GRANT, access("Conversation:GetMessage")).await.status, 403);
    assert_eq!(operator.post(GRANT, access("Tool:DeleteTool")).await.status, 403);
    let nobody = altered(access("Conversation:GetMessage"), "", "user_id", json!("nobody"));
    assert_eq!(operator.post(GRANT, nobody).await.status, 404);
    assert!(world.sandbox.journal().is_empty());
}

#[tokio::test]
async fn timestamps_follow_the_configured_precision() {
    for (precision, expected) in [
        (TimestampPrecision::Seconds, "2026-11-22T11:00:00Z"),
        (TimestampPrecision::Microseconds, "2026-11-22T11:00:00.000000Z"),
    ] {
        let world = world().with(|behavior| behavior.timestamp_precision = precision);
        let signed_in = world.sign_in(KEY, "sandbox-api-key", OPERATOR).await;
        assert_eq!(signed_in.body["expires_at"], expected);
    }
}
