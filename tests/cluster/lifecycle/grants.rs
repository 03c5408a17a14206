//! Grants from their request to their end.

use std::time::Duration;

use amigo_runtime::clock::{Clock as _, SystemClock};
use amigo_sandbox::{Effect, Operation};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use test_support::{TestEnv, eventually, grant};

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
    let env = TestEnv::ready("minute").await;
    let created = env.apply(&grant("brief", SHORT)).await;
    env.apply(&grant("kept", &format!("  ttlAfterExpiry: PT1H\n{SHORT}"))).await;
    let never = grant("never", &format!("  activationDeadline: PT1M\n{SHORT}")).replace("eng@", "nobody@");
    env.apply(&never).await;
    env.until_ready("tpg", "brief").await;
    env.until_ready("tpg", "kept").await;
    let end = time(&env.member("tpg", "brief", "/status/expiresAt").await);
    let gone = eventually(Duration::from_secs(70), "brief is deleted", || async {
        env.object("tpg", "brief").await.is_none().then(|| SystemClock.now())
    });
    let late = end.duration_until(gone.await);
    assert!(late >= SignedDuration::ZERO && late < SignedDuration::from_secs(1), "deleted {late:?} after its end");
    assert_eq!(env.writes(&created[0]).await, ["MODIFIED", "MODIFIED", "DELETED"]);
    assert!(env.until_event("brief", "Expired").await.contains("access ended at"));
    let kept = env.until_reason("tpg", "kept", "Ready", "Expired").await;
    assert!(kept.contains("access ended at"), "{kept}");
    assert_eq!(env.member("tpg", "kept", "/status/phase").await, "Expired");
    let never = env.until_reason("tpg", "never", "Ready", "ActivationDeadlineExceeded").await;
    assert!(
        never.contains("not issued before the activation deadline") && never.contains("nobody@example.com"),
        "{never}"
    );
    assert_eq!(env.member("tpg", "never", "/status/phase").await, "Failed");
    env.until("nothing is live at Amigo", || env.sandbox().live_grants("acme").is_empty().then_some(())).await;
    assert!(env.audit("brief").await.iter().any(|line| line["event"] == "Expired"), "the end is audited");
    assert_eq!(env.audit("brief").await.len(), 3, "issuing, active, expired: {:#?}", env.audit("brief").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn explicit_permissions_are_issued_as_written() {
    let env = TestEnv::ready("explicit").await;
    env.apply(&grant("explicit", PERMISSIONS)).await;
    env.until_ready("tpg", "explicit").await;
    let issued: Vec<_> =
        env.issued().iter().map(|grant| (grant.permission_name.clone(), json!(grant.conditions))).collect();
    let here = json!({"type": "Equals", "value": "acme"});
    let owners = json!({"type": "In", "values": ["user-owner-7f3a", "user-private-33b2"]});
    let message = json!({"org_id": here, "conversation_user_id": owners});
    let info = json!({"org_id": here, "user_id": {"type": "NotEquals", "value": "user-admin-90aa"}});
    assert!(issued.contains(&("Conversation:GetMessage".to_owned(), message)), "{issued:?}");
    assert!(issued.contains(&("User:GetUserInfo".to_owned(), info)), "{issued:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocable_grant_is_a_short_lease() {
    let env = TestEnv::ready("lease").await;
    env.apply(&grant("lease", "  revokeWithin: PT5M\n  conversation: {ownerUserId: user-owner-7f3a}")).await;
    env.until_ready("tpg", "lease").await;
    let asked = &env.issued()[0].duration;
    assert_eq!(asked, "PT4M56S", "five minutes less the margins of the test's timing");
    let deadline = time(&env.member("tpg", "lease", "/status/deadline").await);
    assert!(deadline > SystemClock.now() + SignedDuration::from_mins(115), "the whole duration is the deadline");
}

#[tokio::test(flavor = "multi_thread")]
async fn h5_renewals_beyond_the_rate_limit_are_refused() {
    let env = TestEnv::with_operator("overbooked").await;
    env.connect("  rateLimit: {limits: {create_grant: 2}}").await;
    env.until_ready("amorg", &env.organization).await;
    let leased = "  revokeWithin: PT5M\n  conversation: {ownerUserId: user-owner-7f3a}";
    env.apply(&grant("older", leased)).await;
    env.until_older("tpg", "older").await;
    env.apply(&grant("younger", leased)).await;
    let why = env.until_reason("tpg", "younger", "Ready", "TooManyRenewals").await;
    assert!(why.contains("of 90 requests an hour"), "{why}");
    let older = env.condition("tpg", "older", "Ready").await.map(|ready| ready.reason);
    assert_ne!(older.as_deref(), Some("TooManyRenewals"));
}

#[tokio::test(flavor = "multi_thread")]
async fn removed_default_keeps_leases_of_running_requests() {
    let env = TestEnv::with_operator("defaultlease").await;
    env.connect("  grants: {revokeWithin: PT5M}").await;
    env.apply(&grant("lease", "  conversation: {ownerUserId: user-owner-7f3a}")).await;
    env.until_ready("tpg", "lease").await;
    env.patch("amorg", &env.organization, json!({"spec": {"grants": null}})).await;
    env.until_ready("amorg", &env.organization).await;
    assert_eq!(env.issued()[0].duration, "PT4M56S");
    assert_eq!(env.member("tpg", "lease", "/status/revokeWithin").await, "PT5M");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_missing_permission_is_issued_later() {
    let env = TestEnv::ready("partial").await;
    env.fail_once(Operation::CreateTemporaryPermissionGrant, Effect::status(429));
    env.apply(&grant("partial", "  conversation: {ownerUserId: user-owner-7f3a}")).await;
    env.until_ready("tpg", "partial").await;
    let issued = env.issued();
    assert_eq!(issued.len(), 3, "{issued:#?}");
    let (first, last) = (&issued[0], &issued[2]);
    assert_ne!(first.duration, last.duration, "the late one asks for the rest");
    let apart = first.expires_at.duration_until(last.expires_at).abs();
    assert!(apart < SignedDuration::from_secs(4), "a bundle ends together, not {apart:?} apart");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_end_is_the_organizations_longest() {
    let env = TestEnv::with_operator("cut").await;
    env.connect("  grants: {maxDuration: PT30M, defaultDuration: PT10M}").await;
    env.apply(&grant("long", "  duration: P1D\n  conversation: {ownerUserId: user-owner-7f3a}")).await;
    env.apply(&grant("default", "  conversation: {ownerUserId: user-owner-7f3a}")).await;
    env.until_ready("tpg", "long").await;
    env.until_ready("tpg", "default").await;
    let mut asked: Vec<_> = env.issued().into_iter().map(|grant| grant.duration).collect();
    asked.sort();
    asked.dedup();
    assert_eq!(asked, ["PT10M", "PT30M"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_not_after_nothing_is_issued() {
    let env = TestEnv::ready("toolate").await;
    env.apply(&grant("late", "  notAfter: 2026-01-01T00:00:00Z\n  conversation: {ownerUserId: user-owner-7f3a}")).await;
    let why = env.until_reason("tpg", "late", "Ready", "NotAfterPassed").await;
    assert!(why.contains("2026-01-01T00:00:00Z") && why.contains("nothing was issued"), "{why}");
    assert_eq!(env.member("tpg", "late", "/status/phase").await, "Failed");
    assert!(env.issued().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_early_leaves_residual_access_that_is_told() {
    let env = TestEnv::ready("orphaned").await;
    env.apply(&grant("early", "  conversation: {ownerUserId: user-owner-7f3a}")).await;
    env.apply(&grant("stays", PERMISSIONS)).await;
    env.until_ready("tpg", "early").await;
    env.until_ready("tpg", "stays").await;
    let until = env.member("tpg", "early", "/status/expiresAt").await;
    env.delete("tpg", "early").await;
    env.until_gone("tpg", "early").await;
    let counted = json!({"active": 5, "managed": 2, "orphaned": 3, "unmanaged": 0});
    eventually(Duration::from_secs(20), "the sweep counts the orphaned grants", || async {
        (env.member("amorg", &env.organization, "/status/grants").await == counted).then_some(())
    })
    .await;
    let lines = env.audit("early").await;
    let told: Vec<_> = lines.iter().filter(|line| line["event"] == "DeletedWhileLive").collect();
    assert_eq!(told.len(), 1, "{lines:#?}");
    assert_eq!(told[0]["until"], until);
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_waits_for_nobody() {
    let env = TestEnv::ready("nowait").await;
    env.fail_always(Operation::CreateTemporaryPermissionGrant, Effect::Hang);
    env.apply(&grant("stuck", "  conversation: {ownerUserId: user-owner-7f3a}")).await;
    env.until_reason("tpg", "stuck", "Ready", "Issuing").await;
    env.delete("tpg", "stuck").await;
    assert!(env.object("tpg", "stuck").await.is_none(), "no finalizer holds it");
}

#[tokio::test(flavor = "multi_thread")]
async fn terminating_request_is_not_issued() {
    let env = TestEnv::ready("held").await;
    env.fail_always(Operation::CreateTemporaryPermissionGrant, Effect::status(429));
    env.apply(&grant("held", "  conversation: {ownerUserId: user-owner-7f3a}")).await;
    env.until_reason("tpg", "held", "Ready", "RateLimited").await;
    env.patch("tpg", "held", json!({"metadata": {"finalizers": ["example.com/hold"]}})).await;
    env.delete("tpg", "held").await;
    let why = env.until_reason("tpg", "held", "Ready", "Terminating").await;
    assert_eq!(why, "the object is being deleted; nothing more will be issued");
    // The quorum read rests on this: a plan made before the deletion is one for another generation.
    assert_eq!(env.member("tpg", "held", "/metadata/generation").await, 2);
    env.sandbox().clear_faults();
    env.assert_idle("tpg", "held").await;
    env.patch("tpg", "held", json!({"metadata": {"finalizers": null}})).await;
    env.until_gone("tpg", "held").await;
    assert!(env.issued().is_empty());
}

fn time(value: &Value) -> Timestamp {
    value.as_str().expect("a time").parse().expect("a timestamp")
}

#[tokio::test(flavor = "multi_thread")]
async fn longest_name_has_events() {
    let env = TestEnv::ready("longest").await;
    let name = "x".repeat(253);
    env.apply(&grant(&name, SHORT)).await;
    env.until_ready("tpg", &name).await;
    assert!(env.until_event(&name, "Active").await.contains("access is live until"));
}

#[tokio::test(flavor = "multi_thread")]
async fn default_port_and_dot_are_the_same_console() {
    let env = TestEnv::ready("console").await;
    for (name, host) in [("port", "acme.amigo.ai:443"), ("dot", "acme.amigo.ai.")] {
        let url = format!("https://{host}/admin/conversation/abc123def456abc123def456");
        env.apply(&grant(name, &format!("  duration: PT1M\n  conversation: {{url: '{url}'}}"))).await;
        env.until_ready("tpg", name).await;
    }
}
