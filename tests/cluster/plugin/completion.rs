//! Completion: kubectl and bash ask the plugin, which answers with the names that are in the cluster.

use std::{env, fs, os::unix::fs::PermissionsExt as _, process::Command};

use tempfile::TempDir;
use test_support::{TestEnv, grant, kubectl_command, run};

use super::users::amigo;

/// A kubectl that finds `kubectl_complete-amigo` as `completion kubectl` prints it.
fn completing_kubectl(env: &TestEnv) -> (Command, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("kubectl_complete-amigo");
    fs::write(&program, amigo(env, &["completion", "kubectl"]).stdout).expect("a program");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("an executable program");
    let mut command = kubectl_command(env.plane());
    let plugins = command.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, path)| path).expect("a path");
    let path = env::join_paths([folder.path().to_owned()].into_iter().chain(env::split_paths(plugins)));
    command.env("PATH", path.expect("a path"));
    (command, folder)
}

/// What kubectl offers after `kubectl amigo`, in the env's namespace.
fn offered(env: &TestEnv, words: &[&str]) -> String {
    let (mut command, _folder) = completing_kubectl(env);
    let namespace = ["-n", &env.namespace];
    let offered = run(command.args(["__complete", "amigo"]).args(namespace).args(words));
    assert!(offered.success, "{offered:?}");
    offered.stdout
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_completes_commands_and_live_names() {
    let env = TestEnv::ready("completed").await;
    env.apply(&grant("sup-4711", "  conversation: {id: abc123def456abc123def456}")).await;
    let requests = offered(&env, &["revoke", ""]);
    assert_eq!(requests, "sup-4711\tDebugging reported issue #42\n:4\n");
    let organizations = offered(&env, &["role", "export", "-e", &env.organization]);
    assert_eq!(organizations, format!("{}\thttps://acme.amigo.ai\n:4\n", env.organization));
    assert!(offered(&env, &["can-i", "Conversation:GetM"]).starts_with("Conversation:GetMessage\n"), "permissions");
    assert!(offered(&env, &["revo"]).starts_with("revoke\tDelete a request"), "commands");
    assert!(offered(&env, &["--name"]).starts_with("--namespace\t"), "options");
    assert!(offered(&env, &["version", "--namespace", "completed-"]).contains(&env.namespace), "namespaces");
    assert!(offered(&env, &["version", "--context", ""]).contains("admin\n"), "contexts");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_cluster_there_are_no_names_and_no_error() {
    let env = TestEnv::ready("completed").await;
    let (mut command, _folder) = completing_kubectl(&env);
    let nothing = run(command.env("KUBECONFIG", "/does/not/exist").args(["__complete", "amigo", "version", "-n", ""]));
    assert_eq!((nothing.code, nothing.stdout.as_str()), (0, ":4\n"), "{nothing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bash_completes_the_plugin_by_its_own_name() {
    let env = TestEnv::ready("completed").await;
    let path = kubectl_command(env.plane());
    let path = path.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, path)| path).expect("a path");
    let typed = format!(
        "eval \"$(kubectl-amigo completion bash)\"
         COMP_WORDS=(kubectl-amigo version --namespace {0}); COMP_CWORD=3
         _clap_complete_kubectl_amigo kubectl-amigo {0} --namespace
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        env.namespace
    );
    let mut bash = Command::new("bash");
    bash.args(["-c", &typed]).env("PATH", path).env("KUBECONFIG", env.plane().kubeconfig_path());
    let offered = run(&mut bash);
    assert_eq!(offered.stdout.trim(), env.namespace, "{offered:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_shell_has_its_script() {
    let env = TestEnv::ready("completed").await;
    for (shell, part) in
        [("bash", "complete -o"), ("zsh", "#compdef kubectl-amigo"), ("fish", "--command kubectl-amigo")]
    {
        assert!(amigo(&env, &["completion", shell]).stdout.contains(part), "{shell}");
    }
    assert_eq!(amigo(&env, &["completion", "tcsh"]).code, 2);
}
