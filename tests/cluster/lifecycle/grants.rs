//! Grants from their request to their end.

use std::time::Duration;

use amigo_runtime::clock::{Clock as _, SystemClock};
use amigo_sandbox::{Effect, Operation};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use test_support::{
    eventually,
    test_env::{Stage, grant},
};

const SHORT: &str = "  duration: PT1M\n  conversation: {ownerUserId: user-owner-7f3a}";
const PERMISSIONS: &str = "
  permissions:
    - permissionName: Conversation:GetMessage
      conditions: {org_id: {type: Equals, value: acme}, conversation_user_id: {type: In, values: [user-owner-7f3a, user-private-33b2]}}
    - permissionName: User:GetUserInfo
      conditions: {org_id: {type: Equals, value: acme}, user_id: {type: NotEquals, value: user-admin-90aa}}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_minute_later_access_and_object_are_gone() {
    let stage = Stage::new("minute").await;
    let created = stage.apply(&grant("brief", SHORT)).await;
    stage.apply(&grant("kept", &format!("  ttlAfterExpiry: PT1H\n{SHORT}"))).await;
    let never = grant("never", &format!("  activationDeadline: PT1M\n{SHORT}")).replace("eng@", "nobody@");
    stage.apply(&never).await;
    stage.until_ready("tpg", "brief").await;
    stage.until_ready("tpg", "kept").await;
    let end = time(&stage.member("tpg", "brief", "/status/expiresAt").await);
    let gone = eventually(Duration::from_secs(70), "brief is deleted", || async {
        stage.object("tpg", "brief").await.is_none().then(|| SystemClock.now())
    });
    let late = end.duration_until(gone.await);
    assert!(late >= SignedDuration::ZERO && late < SignedDuration::from_secs(1), "deleted {late:?} after its end");
    assert_eq!(stage.writes(&created[0]).await, ["MODIFIED", "MODIFIED", "DELETED"]);
    assert!(stage.until_event("brief", "Expired").await.contains("access ended at"));
    let kept = stage.until_reason("tpg", "kept", "Ready", "Expired").await;
    assert!(kept.contains("access ended at"), "{kept}");
    assert_eq!(stage.member("tpg", "kept", "/status/phase").await, "Expired");
    let never = stage.until_reason("tpg", "never", "Ready", "ActivationDeadlineExceeded").await;
    assert!(never.contains("not issued by its activation deadline") && never.contains("nobody@example.com"), "{never}");
    assert_eq!(stage.member("tpg", "never", "/status/phase").await, "Failed");
    stage.until("nothing is live at Amigo", || stage.sandbox.live_grants("acme").is_empty().then_some(())).await;
    assert!(stage.audit("brief").await.iter().any(|line| line["event"] == "Expired"), "the end is audited");
    assert_eq!(stage.audit("brief").await.len(), 3, "issuing, active, expired: {:#?}", stage.audit("brief").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn explicit_permissions_are_issued_as_written() {
    let stage = Stage::new("explicit").await;
    stage.apply(&grant("explicit", PERMISSIONS)).await;
    stage.until_ready("tpg", "explicit").await;
    let issued: Vec<_> =
        stage.issued().iter().map(|grant| (grant.permission_name.clone(), json!(grant.conditions))).collect();
    let here = json!({"type": "Equals", "value": "acme"});
    let owners = json!({"type": "In", "values": ["user-owner-7f3a", "user-private-33b2"]});
    let message = json!({"org_id": here, "conversation_user_id": owners});
    let info = json!({"org_id": here, "user_id": {"type": "NotEquals", "value": "user-admin-90aa"}});
    assert!(issued.contains(&("Conversation:GetMessage".to_owned(), message)), "{issued:?}");
    assert!(issued.contains(&("User:GetUserInfo".to_owned(), info)), "{issued:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocable_grant_is_a_short_lease() {
    let stage = Stage::new("lease").await;
    stage.apply(&grant("lease", "  revokeWithin: PT5M\n  conversation: {ownerUserId: user-owner-7f3a}")).await;
    stage.until_ready("tpg", "lease").await;
    let asked = &stage.issued()[0].duration;
    assert_eq!(asked, "PT4M56S", "five minutes less the margins of the test's timing");
    let deadline = time(&stage.member("tpg", "lease", "/status/deadline").await);
    assert!(deadline > SystemClock.now() + SignedDuration::from_mins(115), "the whole duration is the deadline");
}

#[tokio::test(flavor = "multi_thread")]
async fn removed_default_keeps_leases_of_running_requests() {
    let stage = Stage::bare("defaultlease").await;
    stage.connect("  grants: {revokeWithin: PT5M}").await;
    stage.apply(&grant("lease", "  conversation: {ownerUserId: user-owner-7f3a}")).await;
    stage.until_ready("tpg", "lease").await;
    stage.patch("amorg", &stage.name, json!({"spec": {"grants": null}})).await;
    stage.until_ready("amorg", &stage.name).await;
    assert_eq!(stage.issued()[0].duration, "PT4M56S");
    assert_eq!(stage.member("tpg", "lease", "/status/revokeWithin").await, "PT5M");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_missing_permission_is_issued_later() {
    let stage = Stage::new("partial").await;
    stage.fault(Operation::CreateTemporaryPermissionGrant, Effect::status(429));
    stage.apply(&grant("partial", "  conversation: {ownerUserId: user-owner-7f3a}")).await;
    stage.until_ready("tpg", "partial").await;
    let issued = stage.issued();
    assert_eq!(issued.len(), 3, "{issued:#?}");
    let (first, last) = (&issued[0], &issued[2]);
    assert_ne!(first.duration, last.duration, "the late one asks for the rest");
    let apart = first.expires_at.duration_until(last.expires_at).abs();
    assert!(apart < SignedDuration::from_secs(4), "a bundle ends together, not {apart:?} apart");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_end_is_the_organizations_longest() {
    let stage = Stage::bare("cut").await;
    stage.connect("  grants: {maxDuration: PT30M, defaultDuration: PT10M}").await;
    stage.apply(&grant("long", "  duration: P1D\n  conversation: {ownerUserId: user-owner-7f3a}")).await;
    stage.apply(&grant("default", "  conversation: {ownerUserId: user-owner-7f3a}")).await;
    stage.until_ready("tpg", "long").await;
    stage.until_ready("tpg", "default").await;
    let mut asked: Vec<_> = stage.issued().into_iter().map(|grant| grant.duration).collect();
    asked.sort();
    asked.dedup();
    assert_eq!(asked, ["PT10M", "PT30M"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_not_after_nothing_is_issued() {
    let stage = Stage::new("toolate").await;
    stage
        .apply(&grant("late", "  notAfter: 2026-01-01T00:00:00Z\n  conversation: {ownerUserId: user-owner-7f3a}"))
        .await;
    let why = stage.until_reason("tpg", "late", "Ready", "NotAfterPassed").await;
    assert!(why.contains("2026-01-01T00:00:00Z") && why.contains("nothing was issued"), "{why}");
    assert_eq!(stage.member("tpg", "late", "/status/phase").await, "Failed");
    assert!(stage.issued().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_early_leaves_residual_access_that_is_told() {
    let stage = Stage::new("orphaned").await;
    stage.apply(&grant("early", "  conversation: {ownerUserId: user-owner-7f3a}")).await;
    stage.apply(&grant("stays", PERMISSIONS)).await;
    stage.until_ready("tpg", "early").await;
    stage.until_ready("tpg", "stays").await;
    let until = stage.member("tpg", "early", "/status/expiresAt").await;
    stage.delete("tpg", "early").await;
    stage.until_gone("tpg", "early").await;
    let counted = json!({"active": 5, "managed": 2, "orphaned": 3, "unmanaged": 0});
    eventually(Duration::from_secs(20), "the sweep counts the orphaned grants", || async {
        (stage.member("amorg", &stage.name, "/status/grants").await == counted).then_some(())
    })
    .await;
    let lines = stage.audit("early").await;
    let told: Vec<_> = lines.iter().filter(|line| line["event"] == "DeletedWhileLive").collect();
    assert_eq!(told.len(), 1, "{lines:#?}");
    assert_eq!(told[0]["until"], until);
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_waits_for_nobody() {
    let stage = Stage::new("nowait").await;
    stage.fail(Operation::CreateTemporaryPermissionGrant, Effect::Hang);
    stage.apply(&grant("stuck", "  conversation: {ownerUserId: user-owner-7f3a}")).await;
    stage.until_reason("tpg", "stuck", "Ready", "Issuing").await;
    stage.delete("tpg", "stuck").await;
    assert!(stage.object("tpg", "stuck").await.is_none(), "no finalizer holds it");
}

#[tokio::test(flavor = "multi_thread")]
async fn terminating_request_is_not_issued() {
    let stage = Stage::new("held").await;
    stage.fail(Operation::CreateTemporaryPermissionGrant, Effect::status(429));
    stage.apply(&grant("held", "  conversation: {ownerUserId: user-owner-7f3a}")).await;
    stage.until_reason("tpg", "held", "Ready", "RateLimited").await;
    stage.patch("tpg", "held", json!({"metadata": {"finalizers": ["example.com/hold"]}})).await;
    stage.delete("tpg", "held").await;
    let why = stage.until_reason("tpg", "held", "Ready", "Terminating").await;
    assert_eq!(why, "the object is being deleted, and nothing more is issued");
    // The quorum read rests on this: a plan made before the deletion is one for another generation.
    assert_eq!(stage.member("tpg", "held", "/metadata/generation").await, 2);
    stage.sandbox.clear_faults();
    stage.assert_quiet("tpg", "held").await;
    stage.patch("tpg", "held", json!({"metadata": {"finalizers": null}})).await;
    stage.until_gone("tpg", "held").await;
    assert!(stage.issued().is_empty());
}

fn time(value: &Value) -> Timestamp {
    value.as_str().expect("a time").parse().expect("a timestamp")
}
