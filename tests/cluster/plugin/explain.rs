//! `kubectl amigo explain`: the whole story, and what is missing of it.

use serde_json::Value;
use test_support::{ENGINEER, STRANGER, TestEnv, grant};

use super::users::{amigo, amigo_as, let_request};

const CONVERSATION: &str = "  requestedBy: eng@example.com\n  conversation: {id: abc123def456abc123def456}";

async fn env(prefix: &str) -> TestEnv {
    let env = TestEnv::ready(prefix).await;
    let_request(&env, ENGINEER).await;
    env
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_request_is_told_from_who_to_events() {
    let env = env("story").await;
    env.apply(&grant("live", CONVERSATION)).await;
    env.until_ready("tpg", "live").await;
    env.until_event("live", "Active").await;
    let told = amigo(&env, &["explain", "live"]);
    assert_eq!((told.code, told.stderr.as_str()), (0, ""), "{told:?}");
    for part in [
        "eng@example.com, user user-eng-2c91",
        "Debugging reported issue #42",
        "(acme), ready",
        "ALL conversations of user user-owner-7f3a, not only abc123def456abc123def456",
        "Ready is True for",
        "Amigo cannot take back what it issued",
        "Issuing",
    ] {
        assert!(told.stdout.contains(part), "{part} is missing:\n{}", told.stdout);
    }
    let ids: Vec<_> = env.issued().into_iter().map(|grant| grant.id).collect();
    assert!(ids.len() == 3 && ids.iter().all(|id| told.stdout.contains(id)), "{}", told.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_story_as_json_has_the_same_parts() {
    let env = env("json").await;
    env.apply(&grant("live", CONVERSATION)).await;
    env.until_ready("tpg", "live").await;
    let told = amigo(&env, &["explain", "live", "-o", "json"]);
    let story: Value = serde_json::from_str(&told.stdout).expect("JSON");
    assert_eq!(story["object"], "temporarypermissiongrant.permissions.amigo.ai/live");
    assert_eq!(story["permissions"].as_array().expect("permissions").len(), 3);
    assert_eq!(story["permissions"][0]["state"], "live");
    assert_eq!(story["ifDeleted"]["accessUntil"], env.member("tpg", "live", "/status/expiresAt").await);
    assert!(amigo(&env, &["explain", "live", "-o", "yaml"]).stdout.contains("ifDeleted:"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_nobody_says_what_to_do() {
    let env = env("nobody").await;
    env.apply(&grant("nobody", CONVERSATION).replace("email: eng@", "email: nobody@")).await;
    env.until_reason("tpg", "nobody", "Ready", "UserNotFound").await;
    let told = amigo(&env, &["explain", "nobody"]).stdout;
    assert!(told.contains("- UserNotFound: Check the e-mail address"), "{told}");
    assert!(told.contains("Nothing was issued"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_objects_are_reported() {
    let env = TestEnv::ready("few").await;
    let namespace = &env.namespace;
    let rules = format!(
        "{{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {{name: reader}}, rules: \
         [{{apiGroups: [permissions.amigo.ai], resources: [temporarypermissiongrants], verbs: [get]}}]}}\n---\n\
         {{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {{name: reader, namespace: {namespace}}}, \
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}}, \
         subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: {STRANGER}}}]}}"
    );
    env.apply(&rules).await;
    env.apply(&grant("live", CONVERSATION)).await;
    env.until_ready("tpg", "live").await;
    // The stranger's rights on Organizations may come from another test's.
    let told = amigo_as(&env, STRANGER, &["explain", "live"]);
    assert!(told.code == 0 && told.stderr.contains("told without Events"), "{told:?}");
    let refused = amigo_as(&env, STRANGER, &["explain", "live", "--namespace", "default"]);
    assert!(refused.code == 2 || refused.code == 3, "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_kinds_are_told_shorter() {
    let env = env("others").await;
    let told = amigo(&env, &["explain", &format!("organization/{}", env.organization)]);
    assert!(told.code == 0 && told.stdout.contains("Connects to"), "{told:?}");
    assert!(told.stdout.contains("Ready is True"), "{told:?}");
    let missing = amigo(&env, &["explain", "role/missing"]);
    assert!(missing.code == 1 && missing.stderr.contains("Role missing does not exist"), "{missing:?}");
    assert_eq!(amigo(&env, &["explain", "pod/one"]).code, 2);
    let missing = amigo(&env, &["explain", "missing"]);
    assert!(missing.code == 1 && missing.stderr.contains("list-access"), "{missing:?}");
}
