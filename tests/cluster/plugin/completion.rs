//! Completion: kubectl and bash ask the plugin, which answers with the names that are in the cluster.

use std::{env, fs, os::unix::fs::PermissionsExt as _, process::Command};

use tempfile::TempDir;
use test_support::{
    kubectl_command, run,
    test_env::{Stage, grant},
};

use super::users::amigo;

/// A kubectl that finds `kubectl_complete-amigo` as `completion kubectl` prints it.
fn completing_kubectl(stage: &Stage) -> (Command, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("kubectl_complete-amigo");
    fs::write(&program, amigo(stage, &["completion", "kubectl"]).stdout).expect("a program");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("an executable program");
    let mut command = kubectl_command(stage.cluster.plane());
    let plugins = command.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, path)| path).expect("a path");
    let path = env::join_paths([folder.path().to_owned()].into_iter().chain(env::split_paths(plugins)));
    command.env("PATH", path.expect("a path"));
    (command, folder)
}

/// What kubectl offers after `kubectl amigo`, in the stage's namespace.
fn offered(stage: &Stage, words: &[&str]) -> String {
    let (mut command, _folder) = completing_kubectl(stage);
    let namespace = ["-n", &stage.cluster.namespace];
    let offered = run(command.args(["__complete", "amigo"]).args(namespace).args(words));
    assert!(offered.success, "{offered:?}");
    offered.stdout
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_completes_commands_and_live_names() {
    let stage = Stage::new("completed").await;
    stage.apply(&grant("sup-4711", "  conversation: {id: abc123def456abc123def456}")).await;
    let requests = offered(&stage, &["revoke", ""]);
    assert_eq!(requests, "sup-4711\tDebugging reported issue #42\n:4\n");
    let organizations = offered(&stage, &["role", "export", "-e", &stage.name]);
    assert_eq!(organizations, format!("{}\thttps://acme.amigo.ai\n:4\n", stage.name));
    assert!(offered(&stage, &["can-i", "Conversation:GetM"]).starts_with("Conversation:GetMessage\n"), "permissions");
    assert!(offered(&stage, &["revo"]).starts_with("revoke\tDelete a request"), "commands");
    assert!(offered(&stage, &["--name"]).starts_with("--namespace\t"), "options");
    assert!(
        offered(&stage, &["version", "--namespace", "completed-"]).contains(&stage.cluster.namespace),
        "namespaces"
    );
    assert!(offered(&stage, &["version", "--context", ""]).contains("admin\n"), "contexts");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_cluster_there_are_no_names_and_no_error() {
    let stage = Stage::new("completed").await;
    let (mut command, _folder) = completing_kubectl(&stage);
    let nothing = run(command.env("KUBECONFIG", "/does/not/exist").args(["__complete", "amigo", "version", "-n", ""]));
    assert_eq!((nothing.code, nothing.stdout.as_str()), (0, ":4\n"), "{nothing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bash_completes_the_plugin_by_its_own_name() {
    let stage = Stage::new("completed").await;
    let path = kubectl_command(stage.cluster.plane());
    let path = path.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, path)| path).expect("a path");
    let typed = format!(
        "eval \"$(kubectl-amigo completion bash)\"
         COMP_WORDS=(kubectl-amigo version --namespace {0}); COMP_CWORD=3
         _clap_complete_kubectl_amigo kubectl-amigo {0} --namespace
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        stage.cluster.namespace
    );
    let mut bash = Command::new("bash");
    bash.args(["-c", &typed]).env("PATH", path).env("KUBECONFIG", stage.cluster.plane().kubeconfig_path());
    let offered = run(&mut bash);
    assert_eq!(offered.stdout.trim(), stage.cluster.namespace, "{offered:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_shell_has_its_script() {
    let stage = Stage::new("completed").await;
    for (shell, part) in
        [("bash", "complete -o"), ("zsh", "#compdef kubectl-amigo"), ("fish", "--command kubectl-amigo")]
    {
        assert!(amigo(&stage, &["completion", shell]).stdout.contains(part), "{shell}");
    }
    assert_eq!(amigo(&stage, &["completion", "tcsh"]).code, 2);
}
