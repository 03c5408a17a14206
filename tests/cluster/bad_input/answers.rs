//! Every bad answer to the request for a grant: told in the condition, never twice issued, served when it is over.

use std::time::Duration;

use amigo_sandbox::{Effect, Fault, Operation};

use test_support::test_env::{Stage, grant};

const POST: Operation = Operation::CreateTemporaryPermissionGrant;
const REQUEST: &str = "  conversation: {ownerUserId: user-owner-7f3a}";

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_is_told_and_asked_for_seldom() {
    let stage = refused("forbidden", Effect::status(403)).await;
    let why = stage.until_reason("tpg", "request", "Ready", "Forbidden").await;
    assert!(why.contains("403") && why.contains("the role of the operator's user"), "{why}");
    serves_when_over(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_request_fails_for_good() {
    let stage = refused("malformed", Effect::status(422)).await;
    let why = stage.until_reason("tpg", "request", "Ready", "InvalidRequest").await;
    assert!(why.contains("422") && why.contains("Conversation:Get"), "{why}");
    assert_eq!(stage.member("tpg", "request", "/status/phase").await, "Failed");
    stage.sandbox.clear_faults();
    stage.assert_quiet("tpg", "request").await;
    assert!(stage.issued().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_without_retry_after_is_waited_out() {
    let stage = refused("limited", Effect::status(429)).await;
    let why = stage.until_reason("tpg", "request", "Ready", "RateLimited").await;
    assert!(why.contains("429"), "{why}");
    serves_when_over(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_is_obeyed() {
    let stage = Stage::new("retryafter").await;
    let effect = Effect::Status { status: 429, retry_after: Some("5".to_owned()), body: None };
    stage.sandbox.add_fault(Fault::new(POST, effect).times(Some(3)));
    stage.apply(&grant("request", REQUEST)).await;
    stage.until_ready("tpg", "request").await;
    let posts = stage.sandbox.requests().log.into_iter().filter(|request| request.operation == Some(POST));
    let times: Vec<_> = posts.map(|request| request.at).collect();
    let waited = times[2].duration_until(times[3]);
    assert!(times.len() == 6 && waited.as_secs() >= 4, "{times:?}");
    assert_eq!(stage.issued().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_waited_out() {
    let stage = ambiguous("outage", Effect::status(503)).await;
    recovers_with_one_each(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed() {
    let stage = ambiguous("redirect", Effect::Redirect { location: "https://elsewhere.example/".to_owned() }).await;
    recovers_with_one_each(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_body_is_not_read() {
    let stage = ambiguous("huge", Effect::HugeBody { bytes: 10_000_000 }).await;
    recovers_with_one_each(&stage).await;
}

/// A stage with a request that Amigo refuses, and goes on to refuse.
async fn refused(prefix: &str, effect: Effect) -> Stage {
    let stage = Stage::new(prefix).await;
    stage.fail(POST, effect);
    stage.apply(&grant("request", REQUEST)).await;
    stage
}

/// A stage with a request of which nobody knows whether it arrived; it did not.
async fn ambiguous(prefix: &str, effect: Effect) -> Stage {
    let stage = refused(prefix, effect).await;
    let why = stage.until_reason("tpg", "request", "Ready", "OutcomeUnknown").await;
    assert!(why.contains("is not known") && why.contains("nothing is sent before it is clear"), "{why}");
    let ready = stage.condition("tpg", "request", "Ready").await.expect("a condition");
    assert_eq!(ready.status, "Unknown", "a status never claims what is not known");
    stage
}

async fn serves_when_over(stage: &Stage) {
    assert_bounded(stage).await;
    assert!(stage.issued().is_empty());
    stage.sandbox.clear_faults();
    stage.until_ready("tpg", "request").await;
    assert_eq!(stage.issued().len(), 3);
}

async fn recovers_with_one_each(stage: &Stage) {
    assert_bounded(stage).await;
    stage.sandbox.clear_faults();
    stage.until_ready("tpg", "request").await;
    assert_eq!(stage.issued().len(), 3, "{:#?}", stage.issued());
}

/// With a tick of one second: a few attempts of three requests each, no more.
async fn assert_bounded(stage: &Stage) {
    let posts = stage.sandbox.requests().count(POST);
    let (requests, _) = stage.activity("tpg", "request", Duration::from_secs(3)).await;
    let posted = stage.sandbox.requests().count(POST) - posts;
    assert!(posted <= 15 && requests <= 30, "{posted} posts of {requests} requests in three seconds");
}
