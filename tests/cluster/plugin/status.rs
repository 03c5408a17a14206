//! `kubectl amigo status`: the report, and what it lacks without permissions.

use serde_json::Value;
use test_support::{ENGINEER, STRANGER, TestEnv, fixture, grant};

use super::users::{amigo, amigo_as, let_request};

const CONVERSATION: &str = "  requestedBy: eng@example.com\n  conversation: {id: abc123def456abc123def456}";

async fn env(prefix: &str) -> TestEnv {
    let env = TestEnv::ready(prefix).await;
    let_request(&env, ENGINEER).await;
    env
}

#[tokio::test(flavor = "multi_thread")]
async fn live_request_is_reported_in_full() {
    let env = env("story").await;
    env.apply(&grant("live", CONVERSATION)).await;
    env.until_ready("tpg", "live").await;
    env.until_event("live", "Active").await;
    let shown = amigo(&env, &["status", "live"]);
    assert_eq!((shown.code, shown.stderr.as_str()), (0, ""), "{shown:?}");
    for part in [
        "eng@example.com, user user-eng-2c91",
        "Debugging reported issue #42",
        "(acme), ready",
        "ALL conversations of user user-owner-7f3a, not only abc123def456abc123def456",
        "Ready is True for",
        "Amigo cannot revoke issued grants",
        "Issuing",
    ] {
        assert!(shown.stdout.contains(part), "{part} is missing:\n{}", shown.stdout);
    }
    let ids: Vec<_> = env.issued().into_iter().map(|grant| grant.id).collect();
    assert!(ids.len() == 3 && ids.iter().all(|id| shown.stdout.contains(id)), "{}", shown.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn json_report_has_the_same_parts() {
    let env = env("json").await;
    env.apply(&grant("live", CONVERSATION)).await;
    env.until_ready("tpg", "live").await;
    let shown = amigo(&env, &["status", "live", "-o", "json"]);
    let report: Value = serde_json::from_str(&shown.stdout).expect("JSON");
    assert_eq!(report["object"], "temporarypermissiongrant.permissions.amigo.ai/live");
    assert_eq!(report["permissions"].as_array().expect("permissions").len(), 3);
    assert_eq!(report["permissions"][0]["state"], "live");
    assert_eq!(report["ifDeleted"]["accessUntil"], env.member("tpg", "live", "/status/expiresAt").await);
    assert!(amigo(&env, &["status", "live", "-o", "yaml"]).stdout.contains("ifDeleted:"));
}

#[tokio::test(flavor = "multi_thread")]
async fn request_for_an_unknown_user_has_a_remedy() {
    let env = env("nobody").await;
    env.apply(&grant("nobody", CONVERSATION).replace("email: eng@", "email: nobody@")).await;
    env.until_reason("tpg", "nobody", "Ready", "UserNotFound").await;
    let shown = amigo(&env, &["status", "nobody"]).stdout;
    assert!(shown.contains("- UserNotFound: If spec.user is wrong, create the object again"), "{shown}");
    assert!(shown.contains("Nothing was issued"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_objects_are_reported() {
    let env = TestEnv::ready("few").await;
    let namespace = &env.namespace;
    let rules = fixture("grant-reader-rbac.yaml", &[("NAMESPACE", namespace), ("USER", STRANGER)]);
    env.apply(&rules).await;
    env.apply(&grant("live", CONVERSATION)).await;
    env.until_ready("tpg", "live").await;
    // The stranger's rights on Organizations may come from another test's.
    let shown = amigo_as(&env, STRANGER, &["status", "live"]);
    assert!(shown.code == 0 && shown.stderr.contains("Events are not shown"), "{shown:?}");
    let refused = amigo_as(&env, STRANGER, &["status", "live", "--namespace", "default"]);
    assert!(refused.code == 2 || refused.code == 3, "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_kinds_have_a_short_report() {
    let env = env("others").await;
    let shown = amigo(&env, &["status", &format!("organization/{}", env.organization)]);
    assert!(shown.code == 0 && shown.stdout.contains("Connects to"), "{shown:?}");
    assert!(shown.stdout.contains("Ready is True"), "{shown:?}");
    let missing = amigo(&env, &["status", "role/missing"]);
    assert!(missing.code == 1 && missing.stderr.contains("Role missing does not exist"), "{missing:?}");
    assert_eq!(amigo(&env, &["status", "pod/one"]).code, 2);
    let missing = amigo(&env, &["status", "missing"]);
    assert!(missing.code == 1 && missing.stderr.contains("list-access"), "{missing:?}");
}
