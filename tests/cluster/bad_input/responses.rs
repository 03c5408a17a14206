//! Every bad answer to the request for a grant: told in the condition, never twice issued, served when it is over.

use std::time::Duration;

use amigo_sandbox::{Effect, Fault, Operation};

use test_support::{TestEnv, grant};

const POST: Operation = Operation::CreateTemporaryPermissionGrant;
const REQUEST: &str = "  conversation: {ownerUserId: user-owner-7f3a}";

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_is_told_and_asked_for_seldom() {
    let env = refused("forbidden", Effect::status(403)).await;
    let why = env.until_reason("tpg", "request", "Ready", "Forbidden").await;
    assert!(why.contains("403") && why.contains("give the operator's Amigo user a role"), "{why}");
    serves_when_over(&env).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_request_fails_for_good() {
    let env = refused("malformed", Effect::status(422)).await;
    let why = env.until_reason("tpg", "request", "Ready", "InvalidRequest").await;
    assert!(why.contains("422") && why.contains("Conversation:Get"), "{why}");
    assert_eq!(env.member("tpg", "request", "/status/phase").await, "Failed");
    env.sandbox().clear_faults();
    env.assert_idle("tpg", "request").await;
    assert!(env.issued().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_without_retry_after_is_waited_out() {
    let env = refused("limited", Effect::status(429)).await;
    let why = env.until_reason("tpg", "request", "Ready", "RateLimited").await;
    assert!(why.contains("429"), "{why}");
    serves_when_over(&env).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_is_obeyed() {
    let env = TestEnv::ready("retryafter").await;
    let effect = Effect::Status { status: 429, retry_after: Some("5".to_owned()), body: None };
    env.sandbox().add_fault(Fault::new(POST, effect).times(Some(3)));
    env.apply(&grant("request", REQUEST)).await;
    env.until_ready("tpg", "request").await;
    let posts = env.sandbox().requests().log.into_iter().filter(|request| request.operation == Some(POST));
    let times: Vec<_> = posts.map(|request| request.at).collect();
    let waited = times[2].duration_until(times[3]);
    assert!(times.len() == 6 && waited.as_secs() >= 4, "{times:?}");
    assert_eq!(env.issued().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_waited_out() {
    let env = ambiguous("outage", Effect::status(503)).await;
    recovers_with_one_each(&env).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed() {
    let env = ambiguous("redirect", Effect::Redirect { location: "https://elsewhere.example/".to_owned() }).await;
    recovers_with_one_each(&env).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_body_is_not_read() {
    let env = ambiguous("huge", Effect::HugeBody { bytes: 10_000_000 }).await;
    recovers_with_one_each(&env).await;
}

/// A env with a request that Amigo refuses, and goes on to refuse.
async fn refused(prefix: &str, effect: Effect) -> TestEnv {
    let env = TestEnv::ready(prefix).await;
    env.fail_always(POST, effect);
    env.apply(&grant("request", REQUEST)).await;
    env
}

/// A env with a request of which nobody knows whether it arrived; it did not.
async fn ambiguous(prefix: &str, effect: Effect) -> TestEnv {
    let env = refused(prefix, effect).await;
    let why = env.until_reason("tpg", "request", "Ready", "OutcomeUnknown").await;
    assert!(why.contains("outcome unknown") && why.contains("checking Amigo before retrying"), "{why}");
    let ready = env.condition("tpg", "request", "Ready").await.expect("a condition");
    assert_eq!(ready.status, "Unknown", "a status never claims what is not known");
    env
}

async fn serves_when_over(env: &TestEnv) {
    assert_bounded(env).await;
    assert!(env.issued().is_empty());
    env.sandbox().clear_faults();
    env.until_ready("tpg", "request").await;
    assert_eq!(env.issued().len(), 3);
}

async fn recovers_with_one_each(env: &TestEnv) {
    assert_bounded(env).await;
    env.sandbox().clear_faults();
    env.until_ready("tpg", "request").await;
    assert_eq!(env.issued().len(), 3, "{:#?}", env.issued());
}

/// With a tick of one second: a few attempts of three requests each, no more.
async fn assert_bounded(env: &TestEnv) {
    let posts = env.sandbox().requests().count(POST);
    let (requests, _) = env.activity("tpg", "request", Duration::from_secs(3)).await;
    let posted = env.sandbox().requests().count(POST) - posts;
    assert!(posted <= 15 && requests <= 30, "{posted} posts of {requests} requests in three seconds");
}
