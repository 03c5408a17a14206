//! What a person reads who deletes a request.

use amigo_sandbox::{Effect, Operation};
use test_support::policies::{WITHIN, install, let_work};
use test_support::{ENGINEER, Run, TestEnv, eventually, grant};

use super::page::page;

const CONVERSATION: &str = "  conversation: {ownerUserId: user-owner-7f3a}";

async fn env(prefix: &str) -> TestEnv {
    let env = TestEnv::ready(prefix).await;
    let_work(&env).await;
    install(&env, &["--set=admission.ownRequests.enabled=false,admission.requestedBy.enabled=false"]);
    env
}

fn delete(env: &TestEnv, name: &str, flags: &[&str]) -> Run {
    let delete = ["delete", "tpg", name, "--wait=false"];
    let run = env.kubectl_as(ENGINEER, &[delete.as_slice(), flags].concat());
    assert!(run.success, "{run:?}");
    run
}

/// Waits until the policy is in force: until it says of a live request what it says of all.
async fn until_warned(env: &TestEnv, name: &str) -> String {
    eventually(WITHIN, "a warning", || async {
        let run = delete(env, name, &["--dry-run=server"]);
        run.stderr.contains("Warning: ").then_some(run.stderr)
    })
    .await
}

async fn live(env: &TestEnv, name: &str, extra: &str) {
    env.apply(&grant(name, &format!("{CONVERSATION}\n{extra}"))).await;
    env.until_ready("tpg", name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_of_a_live_request_warns_of_its_end() {
    let env = env("warned").await;
    live(&env, "live", "").await;
    until_warned(&env, "live").await;
    let end = env.member("tpg", "live", "/status/expiresAt").await;
    let warning = delete(&env, "live", &[]).stderr;
    let as_documented =
        warning.replace(end.as_str().expect("a time"), "2026-11-24T16:20:00Z").replace(&env.namespace, "amigo-system");
    assert!(page().contains(as_documented.trim()), "{warning}");
    env.until_gone("tpg", "live").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_warned_of_what_ends_or_never_began() {
    let env = env("unwarned").await;
    live(&env, "live", "").await;
    live(&env, "revocable", "  revokeWithin: PT5M").await;
    live(&env, "over", "  duration: PT1M\n  ttlAfterExpiry: PT1H").await;
    env.fail_always(Operation::CreateTemporaryPermissionGrant, Effect::status(403));
    env.apply(&grant("refused", CONVERSATION)).await;
    until_warned(&env, "live").await;
    let over = std::time::Duration::from_mins(2);
    eventually(over, "the short one is over", || async {
        (env.member("tpg", "over", "/status/phase").await == "Expired").then_some(())
    })
    .await;
    for name in ["revocable", "over", "refused"] {
        assert_eq!(delete(&env, name, &[]).stderr, "", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_answer_is_told_with_the_latest_end() {
    let env = env("open").await;
    live(&env, "live", "").await;
    until_warned(&env, "live").await;
    env.fail_always(Operation::CreateTemporaryPermissionGrant, Effect::Drop);
    env.apply(&grant("open", CONVERSATION)).await;
    env.until_reason("tpg", "open", "Ready", "OutcomeUnknown").await;
    let deadline = env.member("tpg", "open", "/status/deadline").await;
    let warning = delete(&env, "open", &[]).stderr;
    assert!(
        warning.contains(&format!("remains live until {} at the latest", deadline.as_str().expect("a time"))),
        "{warning}"
    );
}
