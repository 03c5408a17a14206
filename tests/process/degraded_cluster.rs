//! An API server that does not give the operator everything: kinds that are not installed, a Secret it may not read.

use std::{fs, time::Duration};

use amigo_dev::{ControlPlane, Identity, Options};
use test_support::{
    OPERATOR, assets, eventually,
    operator_process::{CALL_DEADLINE, OperatorProcess},
    process_env::turn,
    test_env::install_crds,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// What the operator needs, but for the Secrets.
const RIGHTS: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: all-but-secrets}
rules:
- {apiGroups: [permissions.amigo.ai], resources: ['*'], verbs: ['*']}
- {apiGroups: [''], resources: [namespaces], verbs: [get]}
- {apiGroups: ['', events.k8s.io], resources: [events], verbs: [create, patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: all-but-secrets}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: all-but-secrets}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: operator}]
";

const SECRETS: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: secrets, namespace: default}
rules: [{apiGroups: [''], resources: [secrets], verbs: [get, list, watch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: secrets, namespace: default}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: secrets}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: operator}]
";

const OBJECTS: &str = "
apiVersion: permissions.amigo.ai/v1alpha1
kind: Organization
metadata: {name: acme}
spec:
  organization: acme
  apiUrl: http://127.0.0.1:9
  credentialsSecretRef: {name: acme}
  allowedNamespaces: [default]
---
apiVersion: permissions.amigo.ai/v1alpha1
kind: TemporaryPermissionGrant
metadata: {name: request, namespace: default}
spec:
  organizationRef: {name: acme}
  user: {email: eng@example.com}
  justification: 'Debugging reported issue #42'
  conversation: {ownerUserId: user-owner-7f3a}
";

async fn plane(groups: &[&str]) -> ControlPlane {
    let options = Options { identities: vec![Identity::new(OPERATOR, groups)], ..Options::default() };
    ControlPlane::start_with(assets().await, options).await.expect("a control plane")
}

fn apply(plane: &ControlPlane, yaml: &str) {
    let file = plane.folder().join("objects.yaml");
    fs::write(&file, yaml).expect("a file");
    let applied = test_support::kubectl(plane, &["apply", "--filename", file.to_str().expect("a path")]);
    assert!(applied.success, "{applied:?}");
}

/// Waits until an object's Ready has this reason, and returns its message.
async fn until_reason(plane: &ControlPlane, object: &str, reason: &str) -> String {
    let ready = "jsonpath={.status.conditions[?(@.type=='Ready')]['reason','message']}";
    eventually(PATIENCE, &format!("{object} is not ready for {reason}"), || async {
        let shown = test_support::kubectl(plane, &["get", object, "--output", ready]);
        shown.stdout.strip_prefix(reason).map(str::to_owned)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn operator_without_crds_stops_on_sigterm() {
    let _turn = turn().await;
    let plane = plane(&["system:masters"]).await;
    let mut operator = OperatorProcess::start(&plane, &["--no-leader-election"]);
    eventually(PATIENCE, "it serves", || async { (!operator.page("/readyz").await.is_empty()).then_some(()) }).await;
    // Its watches fail meanwhile.
    tokio::time::sleep(Duration::from_secs(2)).await;
    operator.terminate();
    let status = operator.ended(CALL_DEADLINE + Duration::from_secs(2)).await;
    assert!(status.success(), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_secret_is_reported_until_readable() {
    let _turn = turn().await;
    let plane = plane(&["operators"]).await;
    install_crds(&plane.client().await.expect("a client")).await;
    apply(&plane, RIGHTS);
    apply(&plane, OBJECTS);
    let _operator = OperatorProcess::start(&plane, &["--no-leader-election"]);
    let why = until_reason(&plane, "organizations/acme", "SecretUnreadable").await;
    assert!(why.contains("default/acme") && why.contains("permit the operator's service account"), "{why}");
    let why = until_reason(&plane, "temporarypermissiongrants/request", "OrganizationNotReady").await;
    assert!(why.contains("cannot be read"), "{why}");
    apply(&plane, SECRETS);
    until_reason(&plane, "organizations/acme", "SecretNotFound").await;
}
