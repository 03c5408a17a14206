//! Answers of the Kubernetes API that never came: what was written is told all the same, and once.

use std::time::Duration;

use amigo_sandbox::{Effect, Operation};
use serde_json::json;
use test_support::{TestEnv, eventually, grant};

const REQUEST: &str = "  conversation: {ownerUserId: user-owner-7f3a}";
const BRIEF: &str = "  duration: PT1M\n  conversation: {ownerUserId: user-owner-7f3a}";

#[tokio::test(flavor = "multi_thread")]
async fn an_issue_whose_write_was_not_answered_is_told_once() {
    let env = TestEnv::ready("lostwrite").await;
    env.fail_once(Operation::CreateTemporaryPermissionGrant, Effect::Delay { milliseconds: 1000 });
    env.apply(&grant("request", REQUEST)).await;
    env.until_reason("tpg", "request", "Ready", "Issuing").await;
    env.lose_write("request");
    env.until_ready("tpg", "request").await;
    assert!(env.until_event("request", "Active").await.contains("access is live until"));
    env.delete("tpg", "request").await;
    until_told(&env, "request", "DeletedWhileLive").await;
    assert_eq!(events(&env, "request").await, ["Issuing", "Active", "DeletedWhileLive"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_intent_write_is_closed_and_retried() {
    let env = TestEnv::ready("lostintent").await;
    env.lose_write("request");
    env.apply(&grant("request", REQUEST)).await;
    env.until_ready("tpg", "request").await;
    until_told(&env, "request", "Active").await;
    assert_eq!(events(&env, "request").await, ["Issuing", "Active"]);
    assert_eq!((env.issued().len(), env.member("tpg", "request", "/status/attempts").await), (3, json!(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_deletion_response_reports_the_end_once() {
    let env = TestEnv::ready("lostend").await;
    env.apply(&grant("brief", BRIEF)).await;
    env.apply(&grant("held", BRIEF)).await;
    env.patch("tpg", "held", json!({"metadata": {"finalizers": ["example.com/hold"]}})).await;
    env.until_ready("tpg", "brief").await;
    env.lose_deletion("brief");
    let over = || async { env.object("tpg", "brief").await.is_none().then_some(()) };
    eventually(Duration::from_secs(75), "brief is deleted", over).await;
    until_told(&env, "brief", "Expired").await;
    // What a finalizer holds is not gone: its end is in its status.
    env.until_reason("tpg", "held", "Ready", "Expired").await;
    env.patch("tpg", "held", json!({"metadata": {"finalizers": null}})).await;
    env.until_gone("tpg", "held").await;
    until_told(&env, "held", "Expired").await;
    for name in ["brief", "held"] {
        assert_eq!(events(&env, name).await, ["Issuing", "Active", "Expired"], "{name}");
    }
}

/// What the audit trail tells of a grant, in order.
async fn events(env: &TestEnv, name: &str) -> Vec<String> {
    let lines = env.audit(name).await;
    lines.iter().map(|line| line["event"].as_str().expect("an event").to_owned()).collect()
}

async fn until_told(env: &TestEnv, name: &str, event: &str) {
    let told = || async { events(env, name).await.iter().any(|told| told == event).then_some(()) };
    eventually(Duration::from_secs(20), &format!("{event} of {name} is told"), told).await;
}
