//! `kubectl amigo revoke`: what it deletes, and what it reports about access that continues.

use amigo_sandbox::{Effect, Operation};
use serde_json::Value;
use test_support::{ENGINEER, STRANGER, TestEnv, fixture, grant};

use super::users::{amigo, amigo_as, let_request};

const OWNER: &str = "  conversation: {ownerUserId: user-owner-7f3a}";

async fn env(prefix: &str) -> TestEnv {
    let env = TestEnv::ready(prefix).await;
    let_request(&env, ENGINEER).await;
    env
}

#[tokio::test(flavor = "multi_thread")]
async fn irrevocable_access_continues_until_its_end() {
    let env = env("revoke").await;
    env.apply(&grant("live", OWNER)).await;
    env.until_ready("tpg", "live").await;
    let revoked = amigo(&env, &["revoke", "live"]);
    assert_eq!((revoked.code, revoked.stdout.as_str()), (0, told_as_kubectl("live").as_str()), "{revoked:?}");
    let until = env.issued().iter().map(|grant| grant.expires_at).max().expect("a grant");
    let until = amigo_api::conditions::whole_second(until).to_string();
    assert!(revoked.stderr.contains(&format!("continues until {until}")), "{revoked:?}");
    assert!(revoked.stderr.contains("cannot revoke"), "{revoked:?}");
    env.until_gone("tpg", "live").await;
    assert_eq!(env.sandbox().live_grants("acme").len(), 3, "it does go on");
}

#[tokio::test(flavor = "multi_thread")]
async fn lease_expires_and_json_has_the_time() {
    let env = env("lease").await;
    env.apply(&grant("leased", &format!("  revokeWithin: PT5M\n{OWNER}"))).await;
    env.until_ready("tpg", "leased").await;
    let expires = env.member("tpg", "leased", "/status/expiresAt").await;
    let revoked = amigo(&env, &["revoke", "leased", "--json"]);
    let told: Value = serde_json::from_str(&revoked.stdout).expect("JSON");
    assert_eq!((&told["access"], &told["accessUntil"], &told["name"]), (&"until".into(), &expires, &"leased".into()));
    assert!(revoked.stderr.contains("is not renewed"), "{revoked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unserved_request_leaves_no_access() {
    let env = env("nothing").await;
    env.apply(&grant("nobody", OWNER).replace("eng@", "nobody@")).await;
    env.until_reason("tpg", "nobody", "Ready", "UserNotFound").await;
    let revoked = amigo(&env, &["revoke", "nobody", "--wait"]);
    assert_eq!(revoked.code, 0, "{revoked:?}");
    assert!(revoked.stderr.contains("Nothing was issued"), "{revoked:?}");
    assert_eq!(amigo(&env, &["revoke", "role/nobody"]).code, 2);
    let again = amigo(&env, &["revoke", "temporarypermissiongrant.permissions.amigo.ai/nobody"]);
    assert!(again.code == 1 && again.stderr.contains("list-access"), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unconfirmed_access_is_unknown() {
    let env = env("open").await;
    // Neither the answers nor the listing that would tell: the intent stays open.
    env.fail_always(Operation::CreateTemporaryPermissionGrant, Effect::status(500));
    env.fail_always(Operation::GetTemporaryPermissionGrants, Effect::status(500));
    env.apply(&grant("open", OWNER)).await;
    env.until_reason("tpg", "open", "Ready", "OutcomeUnknown").await;
    let revoked = amigo(&env, &["revoke", "open", "--json"]);
    let told: Value = serde_json::from_str(&revoked.stdout).expect("JSON");
    assert_eq!(told["access"], "unknown", "{revoked:?}");
    assert!(told["accessUntil"].is_string() && revoked.stderr.contains("at the latest"), "{revoked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wait_ends_at_its_timeout() {
    let env = env("timeout").await;
    env.apply(&grant("long", OWNER)).await;
    env.until_ready("tpg", "long").await;
    let waited = amigo(&env, &["revoke", "long", "--wait", "--timeout", "1s"]);
    assert!(waited.code == 124 && waited.stderr.contains("continues for another 1h"), "{waited:?}");
    env.until_gone("tpg", "long").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wait_ends_with_the_access() {
    let env = env("awaited").await;
    env.apply(&grant("minute", &format!("  duration: PT1M\n{OWNER}"))).await;
    env.until_ready("tpg", "minute").await;
    let waited = amigo(&env, &["revoke", "minute", "--wait", "--timeout", "3m"]);
    assert!(waited.code == 0 && waited.stderr.contains("Access has ended."), "{waited:?}");
    env.until("nothing is live at Amigo", || env.sandbox().live_grants("acme").is_empty().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn revoke_without_delete_rights_changes_nothing() {
    let env = env("refused").await;
    env.apply(&grant("kept", OWNER)).await;
    let refused = amigo_as(&env, STRANGER, &["revoke", "kept"]);
    assert!(refused.code == 3 && refused.stderr.contains("kubectl auth can-i"), "{refused:?}");
    let read_only = "{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: requester}, rules: \
                     [{apiGroups: [permissions.amigo.ai], resources: [temporarypermissiongrants], verbs: [get]}]}";
    env.apply(read_only).await;
    let refused = amigo(&env, &["revoke", "kept"]);
    assert!(refused.code == 3 && refused.stderr.contains("delete request kept"), "{refused:?}");
    assert!(env.object("tpg", "kept").await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn api_server_warnings_are_printed() {
    let env = env("warned").await;
    let namespace = &env.namespace;
    let policy = fixture("warning-policy.yaml", &[("NAMESPACE", namespace)]);
    env.apply(&policy).await;
    // Policies take effect some moments after they were stored.
    let mut round = 0;
    let warned = test_support::eventually(test_support::TIMEOUT, "the policy warns", || {
        round += 1;
        let (name, env) = (format!("round-{round}"), &env);
        async move {
            env.apply(&grant(&name, OWNER)).await;
            let revoked = amigo(env, &["revoke", &name]);
            assert_eq!(revoked.code, 0, "{revoked:?}");
            revoked.stderr.contains("warning: ").then_some(revoked.stderr)
        }
    });
    assert!(warned.await.contains("the test warns of \"this\""));
}

fn told_as_kubectl(name: &str) -> String {
    format!("temporarypermissiongrant.permissions.amigo.ai \"{name}\" deleted\n")
}
