//! Who runs the plugin in the tests, and what they may do.

use std::process::Command;

use test_support::{ENGINEER, OPERATOR_NAMESPACE, Run, TestEnv, fixture, kubectl_command, run};

/// Runs `kubectl amigo` as the engineer, in the env's namespace.
pub fn amigo(env: &TestEnv, arguments: &[&str]) -> Run {
    amigo_as(env, ENGINEER, arguments)
}

/// Runs `kubectl amigo` as any user of the control plane, in the env's namespace.
pub fn amigo_as(env: &TestEnv, user: &str, arguments: &[&str]) -> Run {
    let context = ["--context", user, "--namespace", &env.namespace];
    run(kubectl_command(env.plane()).arg("amigo").args(arguments).args(context))
}

/// Lets a user ask for temporary access in the env's namespace, and read what is there.
pub async fn let_request(env: &TestEnv, user: &str) {
    let namespace = &env.namespace;
    let rules = fixture("requester-rbac.yaml", &[("NAMESPACE", namespace), ("USER", user)]);
    env.apply(&rules).await;
}

/// Lets a user read the Secret of the env's Organization.
pub async fn let_read_secret(env: &TestEnv, user: &str) {
    let (namespace, name) = (OPERATOR_NAMESPACE, &env.organization);
    let rules = fixture("secret-reader-rbac.yaml", &[("NAMESPACE", namespace), ("NAME", name), ("USER", user)]);
    env.apply(&rules).await;
}

/// The plugin where no cluster is configured: an empty kubeconfig, and no home to look for one in.
pub fn offline(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-amigo"));
    command.args(arguments).env_clear().env("KUBECONFIG", "/dev/null").env("HOME", "/nonexistent");
    command
}
