//! What a person reads who deletes a request.

use amigo_sandbox::{Effect, Operation};
use test_support::policies::{WITHIN, install, let_work};
use test_support::{
    ENGINEER, Run, eventually,
    test_env::{Stage, grant},
};

use super::page::page;

const CONVERSATION: &str = "  conversation: {ownerUserId: user-owner-7f3a}";

async fn stage(prefix: &str) -> Stage {
    let stage = Stage::new(prefix).await;
    let_work(&stage.cluster).await;
    install(&stage.cluster, &["--set=admission.ownRequests.enabled=false,admission.requestedBy.enabled=false"]);
    stage
}

fn delete(stage: &Stage, name: &str, flags: &[&str]) -> Run {
    let delete = ["delete", "tpg", name, "--wait=false"];
    let run = stage.cluster.kubectl_as(ENGINEER, &[delete.as_slice(), flags].concat());
    assert!(run.success, "{run:?}");
    run
}

/// Waits until the policy is in force: until it says of a live request what it says of all.
async fn until_warned(stage: &Stage, name: &str) -> String {
    eventually(WITHIN, "a warning", || async {
        let run = delete(stage, name, &["--dry-run=server"]);
        run.stderr.contains("Warning: ").then_some(run.stderr)
    })
    .await
}

async fn live(stage: &Stage, name: &str, extra: &str) {
    stage.apply(&grant(name, &format!("{CONVERSATION}\n{extra}"))).await;
    stage.until_ready("tpg", name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_of_a_live_request_warns_of_its_end() {
    let stage = stage("warned").await;
    live(&stage, "live", "").await;
    until_warned(&stage, "live").await;
    let end = stage.member("tpg", "live", "/status/expiresAt").await;
    let warning = delete(&stage, "live", &[]).stderr;
    let as_documented = warning
        .replace(end.as_str().expect("a time"), "2026-11-24T16:20:00Z")
        .replace(&stage.cluster.namespace, "amigo-system");
    assert!(page().contains(as_documented.trim()), "{warning}");
    stage.until_gone("tpg", "live").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_warned_of_what_ends_or_never_began() {
    let stage = stage("unwarned").await;
    live(&stage, "live", "").await;
    live(&stage, "revocable", "  revokeWithin: PT5M").await;
    live(&stage, "over", "  duration: PT1M\n  ttlAfterExpiry: PT1H").await;
    stage.fail(Operation::CreateTemporaryPermissionGrant, Effect::status(403));
    stage.apply(&grant("refused", CONVERSATION)).await;
    until_warned(&stage, "live").await;
    let over = std::time::Duration::from_mins(2);
    eventually(over, "the short one is over", || async {
        (stage.member("tpg", "over", "/status/phase").await == "Expired").then_some(())
    })
    .await;
    for name in ["revocable", "over", "refused"] {
        assert_eq!(delete(&stage, name, &[]).stderr, "", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_answer_is_told_with_the_latest_end() {
    let stage = stage("open").await;
    live(&stage, "live", "").await;
    until_warned(&stage, "live").await;
    stage.fail(Operation::CreateTemporaryPermissionGrant, Effect::Drop);
    stage.apply(&grant("open", CONVERSATION)).await;
    stage.until_reason("tpg", "open", "Ready", "OutcomeUnknown").await;
    let deadline = stage.member("tpg", "open", "/status/deadline").await;
    let warning = delete(&stage, "open", &[]).stderr;
    assert!(
        warning.contains(&format!("remains live until {} at the latest", deadline.as_str().expect("a time"))),
        "{warning}"
    );
}
