//! Answers of the Kubernetes API that never came: what was written is told all the same, and once.

use std::time::Duration;

use amigo_sandbox::{Effect, Operation};
use serde_json::json;
use test_support::{
    eventually,
    test_env::{Stage, grant},
};

const REQUEST: &str = "  conversation: {ownerUserId: user-owner-7f3a}";
const BRIEF: &str = "  duration: PT1M\n  conversation: {ownerUserId: user-owner-7f3a}";

#[tokio::test(flavor = "multi_thread")]
async fn an_issue_whose_write_was_not_answered_is_told_once() {
    let stage = Stage::new("lostwrite").await;
    stage.fault(Operation::CreateTemporaryPermissionGrant, Effect::Delay { milliseconds: 1000 });
    stage.apply(&grant("request", REQUEST)).await;
    stage.until_reason("tpg", "request", "Ready", "Issuing").await;
    stage.lose_write("request");
    stage.until_ready("tpg", "request").await;
    assert!(stage.until_event("request", "Active").await.contains("access is live until"));
    stage.delete("tpg", "request").await;
    until_told(&stage, "request", "DeletedWhileLive").await;
    assert_eq!(events(&stage, "request").await, ["Issuing", "Active", "DeletedWhileLive"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_intent_write_is_closed_and_retried() {
    let stage = Stage::new("lostintent").await;
    stage.lose_write("request");
    stage.apply(&grant("request", REQUEST)).await;
    stage.until_ready("tpg", "request").await;
    until_told(&stage, "request", "Active").await;
    assert_eq!(events(&stage, "request").await, ["Issuing", "Active"]);
    assert_eq!((stage.issued().len(), stage.member("tpg", "request", "/status/attempts").await), (3, json!(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_deletion_response_reports_the_end_once() {
    let stage = Stage::new("lostend").await;
    stage.apply(&grant("brief", BRIEF)).await;
    stage.apply(&grant("held", BRIEF)).await;
    stage.patch("tpg", "held", json!({"metadata": {"finalizers": ["example.com/hold"]}})).await;
    stage.until_ready("tpg", "brief").await;
    stage.lose_deletion("brief");
    let over = || async { stage.object("tpg", "brief").await.is_none().then_some(()) };
    eventually(Duration::from_secs(75), "brief is deleted", over).await;
    until_told(&stage, "brief", "Expired").await;
    // What a finalizer holds is not gone: its end is in its status.
    stage.until_reason("tpg", "held", "Ready", "Expired").await;
    stage.patch("tpg", "held", json!({"metadata": {"finalizers": null}})).await;
    stage.until_gone("tpg", "held").await;
    until_told(&stage, "held", "Expired").await;
    for name in ["brief", "held"] {
        assert_eq!(events(&stage, name).await, ["Issuing", "Active", "Expired"], "{name}");
    }
}

/// What the audit trail tells of a grant, in order.
async fn events(stage: &Stage, name: &str) -> Vec<String> {
    let lines = stage.audit(name).await;
    lines.iter().map(|line| line["event"].as_str().expect("an event").to_owned()).collect()
}

async fn until_told(stage: &Stage, name: &str, event: &str) {
    let told = || async { events(stage, name).await.iter().any(|told| told == event).then_some(()) };
    eventually(Duration::from_secs(20), &format!("{event} of {name} is told"), told).await;
}
