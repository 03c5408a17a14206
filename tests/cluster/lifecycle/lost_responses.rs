//! Answers that never came: at most one remote grant a permission, whatever happened.

use std::collections::BTreeSet;

use amigo_sandbox::{Effect, Fault, Operation};
use serde_json::json;
use test_support::operator::TIMING;
use test_support::{TestEnv, grant};

const POST: Operation = Operation::CreateTemporaryPermissionGrant;
const REQUEST: &str = "  conversation: {ownerUserId: user-owner-7f3a}";

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_answer_is_found_and_adopted() {
    adopts("dropped", Effect::Drop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_answer_is_found_and_adopted() {
    adopts("hanging", Effect::Hang).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_after_the_commit_is_found_and_adopted() {
    adopts("error", Effect::status(500)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_after_the_commit_is_found_and_adopted() {
    adopts("conflict", Effect::status(409)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_answer_is_found_and_adopted() {
    adopts("unreadable", Effect::MalformedBody).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_answer_is_found_and_adopted() {
    adopts("cut", Effect::CutBody).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_wrong_types_is_found_and_adopted() {
    let body = Some(json!({"temporary_permission_grant_id": 7, "expires_at": ["soon"]}));
    adopts("types", Effect::Status { status: 201, retry_after: None, body }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_as_the_answer_is_found_and_adopted() {
    let body = Some(json!("<html>Welcome</html>"));
    adopts("page", Effect::Status { status: 200, retry_after: None, body }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_answer_is_waited_for() {
    let env = TestEnv::ready("slow").await;
    env.sandbox().add_fault(Fault::new(POST, Effect::Delay { milliseconds: 1500 }).times(Some(3)));
    env.apply(&grant("request", REQUEST)).await;
    env.until_ready("tpg", "request").await;
    assert_one_each(&env);
    assert_eq!(
        (env.sandbox().requests().count(POST), env.member("tpg", "request", "/status/attempts").await),
        (3, json!(1))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn undelivered_request_is_retried_after_quarantine() {
    let env = TestEnv::ready("quarantine").await;
    env.sandbox().add_fault(Fault::new(POST, Effect::Drop).times(Some(3)));
    env.apply(&grant("request", REQUEST)).await;
    let why = env.until_reason("tpg", "request", "Ready", "OutcomeUnknown").await;
    assert!(why.contains("attempt 1: outcome unknown") && why.contains("checking Amigo before retrying"), "{why}");
    env.until_ready("tpg", "request").await;
    assert_one_each(&env);
    let posts = env.sandbox().requests().log.into_iter().filter(|request| request.operation == Some(POST));
    let times: Vec<_> = posts.map(|request| request.at).collect();
    assert_eq!(times.len(), 6, "three lost, three that came through");
    // The quarantine counts from the intent, whose requests leave within the send window: the rest is left for certain.
    let kept_apart = TIMING.commit + TIMING.list_lag;
    assert!(times[2].duration_until(times[3]).unsigned_abs() >= kept_apart, "{times:?}");
}

/// Every answer of a bundle is lost after its commit: each record is found, and none is made twice.
async fn adopts(prefix: &str, effect: Effect) {
    let env = TestEnv::ready(prefix).await;
    env.sandbox().add_fault(Fault::new(POST, effect).after_commit().times(Some(3)));
    env.apply(&grant("request", REQUEST)).await;
    env.until_ready("tpg", "request").await;
    assert_one_each(&env);
    assert_eq!(env.sandbox().requests().count(POST), 3);
}

fn assert_one_each(env: &TestEnv) {
    let issued = env.issued();
    let permissions: BTreeSet<_> = issued.iter().map(|grant| &grant.permission_name).collect();
    assert_eq!((issued.len(), permissions.len()), (3, 3), "{issued:#?}");
}
