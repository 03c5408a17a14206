//! Who runs the plugin in the tests, and what they may do.

use std::process::Command;

use test_support::{
    ENGINEER, Run, kubectl_command, run,
    test_env::{OPERATOR_NAMESPACE, Stage},
};

/// Runs `kubectl amigo` as the engineer, in the stage's namespace.
pub fn amigo(stage: &Stage, arguments: &[&str]) -> Run {
    amigo_as(stage, ENGINEER, arguments)
}

/// Runs `kubectl amigo` as any user of the control plane, in the stage's namespace.
pub fn amigo_as(stage: &Stage, user: &str, arguments: &[&str]) -> Run {
    let context = ["--context", user, "--namespace", &stage.cluster.namespace];
    run(kubectl_command(stage.cluster.plane()).arg("amigo").args(arguments).args(context))
}

/// Lets a user ask for temporary access in the stage's namespace, and read what is there.
pub async fn let_request(stage: &Stage, user: &str) {
    let namespace = &stage.cluster.namespace;
    let rules = format!(
        "
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: requester}}
rules:
- apiGroups: [permissions.amigo.ai]
  resources: [temporarypermissiongrants]
  verbs: [create, get, list, watch, delete]
- apiGroups: [permissions.amigo.ai]
  resources: [roles, roleassignments]
  verbs: [get, list, watch]
- apiGroups: ['']
  resources: [events]
  verbs: [get, list, watch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: requester}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: requester}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: {user}}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: {namespace}-organizations}}
rules:
- apiGroups: [permissions.amigo.ai]
  resources: [organizations]
  verbs: [get, list, watch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: {namespace}-organizations}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {namespace}-organizations}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: {user}}}]
"
    );
    stage.cluster.apply(&rules).await.expect("rules");
}

/// Lets a user read the Secret of the stage's Organization.
pub async fn let_read_secret(stage: &Stage, user: &str) {
    let (namespace, name) = (OPERATOR_NAMESPACE, &stage.name);
    let rules = format!(
        "
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: {name}, namespace: {namespace}}}
rules:
- apiGroups: ['']
  resources: [secrets]
  resourceNames: [{name}]
  verbs: [get]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: {name}, namespace: {namespace}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: {name}}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: {user}}}]
"
    );
    stage.cluster.apply(&rules).await.expect("rules");
}

/// The plugin where no cluster is configured: an empty kubeconfig, and no home to look for one in.
pub fn offline(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-amigo"));
    command.args(arguments).env_clear().env("KUBECONFIG", "/dev/null").env("HOME", "/nonexistent");
    command
}
