//! `kubectl amigo revoke`: what it deletes, and what it says of access that goes on.

use amigo_sandbox::{Effect, Operation};
use serde_json::Value;
use test_support::{
    ENGINEER, STRANGER,
    test_env::{Stage, grant},
};

use super::users::{amigo, amigo_as, let_request};

const OWNER: &str = "  conversation: {ownerUserId: user-owner-7f3a}";

async fn stage(prefix: &str) -> Stage {
    let stage = Stage::new(prefix).await;
    let_request(&stage, ENGINEER).await;
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn irrevocable_access_continues_until_its_end() {
    let stage = stage("revoke").await;
    stage.apply(&grant("live", OWNER)).await;
    stage.until_ready("tpg", "live").await;
    let revoked = amigo(&stage, &["revoke", "live"]);
    assert_eq!((revoked.code, revoked.stdout.as_str()), (0, told_as_kubectl("live").as_str()), "{revoked:?}");
    let until = stage.issued().iter().map(|grant| grant.expires_at).max().expect("a grant");
    let until = amigo_api::conditions::whole_second(until).to_string();
    assert!(revoked.stderr.contains(&format!("goes on until {until}")), "{revoked:?}");
    assert!(revoked.stderr.contains("cannot take back"), "{revoked:?}");
    stage.until_gone("tpg", "live").await;
    assert_eq!(stage.sandbox.live_grants("acme").len(), 3, "it does go on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_runs_out_and_json_says_when() {
    let stage = stage("lease").await;
    stage.apply(&grant("leased", &format!("  revokeWithin: PT5M\n{OWNER}"))).await;
    stage.until_ready("tpg", "leased").await;
    let expires = stage.member("tpg", "leased", "/status/expiresAt").await;
    let revoked = amigo(&stage, &["revoke", "leased", "--json"]);
    let told: Value = serde_json::from_str(&revoked.stdout).expect("JSON");
    assert_eq!((&told["access"], &told["accessUntil"], &told["name"]), (&"until".into(), &expires, &"leased".into()));
    assert!(revoked.stderr.contains("is not renewed"), "{revoked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_nobody_served_leaves_nothing() {
    let stage = stage("nothing").await;
    stage.apply(&grant("nobody", OWNER).replace("eng@", "nobody@")).await;
    stage.until_reason("tpg", "nobody", "Ready", "UserNotFound").await;
    let revoked = amigo(&stage, &["revoke", "nobody", "--wait"]);
    assert_eq!(revoked.code, 0, "{revoked:?}");
    assert!(revoked.stderr.contains("Nothing was issued"), "{revoked:?}");
    assert_eq!(amigo(&stage, &["revoke", "role/nobody"]).code, 2);
    let again = amigo(&stage, &["revoke", "temporarypermissiongrant.permissions.amigo.ai/nobody"]);
    assert!(again.code == 1 && again.stderr.contains("list-access"), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_answer_is_called_open() {
    let stage = stage("open").await;
    // Neither the answers nor the listing that would tell: the intent stays open.
    stage.fail(Operation::CreateTemporaryPermissionGrant, Effect::status(500));
    stage.fail(Operation::GetTemporaryPermissionGrants, Effect::status(500));
    stage.apply(&grant("open", OWNER)).await;
    stage.until_reason("tpg", "open", "Ready", "OutcomeUnknown").await;
    let revoked = amigo(&stage, &["revoke", "open", "--json"]);
    let told: Value = serde_json::from_str(&revoked.stdout).expect("JSON");
    assert_eq!(told["access"], "unknown", "{revoked:?}");
    assert!(told["accessUntil"].is_string() && revoked.stderr.contains("at the latest"), "{revoked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_ends_at_its_timeout() {
    let stage = stage("timeout").await;
    stage.apply(&grant("long", OWNER)).await;
    stage.until_ready("tpg", "long").await;
    let waited = amigo(&stage, &["revoke", "long", "--wait", "--timeout", "1s"]);
    assert!(waited.code == 124 && waited.stderr.contains("goes on for another 1h"), "{waited:?}");
    stage.until_gone("tpg", "long").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_ends_with_the_access() {
    let stage = stage("awaited").await;
    stage.apply(&grant("minute", &format!("  duration: PT1M\n{OWNER}"))).await;
    stage.until_ready("tpg", "minute").await;
    let waited = amigo(&stage, &["revoke", "minute", "--wait", "--timeout", "3m"]);
    assert!(waited.code == 0 && waited.stderr.contains("Access is over."), "{waited:?}");
    stage.until("nothing is live at Amigo", || stage.sandbox.live_grants("acme").is_empty().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn revoke_without_delete_rights_changes_nothing() {
    let stage = stage("refused").await;
    stage.apply(&grant("kept", OWNER)).await;
    let refused = amigo_as(&stage, STRANGER, &["revoke", "kept"]);
    assert!(refused.code == 3 && refused.stderr.contains("kubectl auth can-i"), "{refused:?}");
    let read_only = "{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: requester}, rules: \
                     [{apiGroups: [permissions.amigo.ai], resources: [temporarypermissiongrants], verbs: [get]}]}";
    stage.apply(read_only).await;
    let refused = amigo(&stage, &["revoke", "kept"]);
    assert!(refused.code == 3 && refused.stderr.contains("delete request kept"), "{refused:?}");
    assert!(stage.object("tpg", "kept").await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn api_server_warnings_are_printed() {
    let stage = stage("warned").await;
    let namespace = &stage.cluster.namespace;
    let policy = format!(
        "
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: {namespace}-warn}}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules: [{{apiGroups: [permissions.amigo.ai], apiVersions: [v1alpha1], operations: [DELETE], resources: [temporarypermissiongrants]}}]
  validations: [{{expression: 'false', message: 'the test warns of \"this\"'}}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {{name: {namespace}-warn}}
spec:
  policyName: {namespace}-warn
  validationActions: [Warn]
  matchResources: {{namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {namespace}}}}}}}
"
    );
    stage.apply(&policy).await;
    // Policies take effect some moments after they were stored.
    let mut round = 0;
    let warned = test_support::eventually(test_support::test_env::PATIENCE, "the policy warns", || {
        round += 1;
        let (name, stage) = (format!("round-{round}"), &stage);
        async move {
            stage.apply(&grant(&name, OWNER)).await;
            let revoked = amigo(stage, &["revoke", &name]);
            assert_eq!(revoked.code, 0, "{revoked:?}");
            revoked.stderr.contains("warning: ").then_some(revoked.stderr)
        }
    });
    assert!(warned.await.contains("the test warns of \"this\""));
}

fn told_as_kubectl(name: &str) -> String {
    format!("temporarypermissiongrant.permissions.amigo.ai \"{name}\" deleted\n")
}
