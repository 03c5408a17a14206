//! What every command shares: found by kubectl, usage errors, version, the kubeconfig.

use std::{fs, path::Path, process::Command};

use test_support::{ENGINEER, Run, TestEnv, grant, kubectl_command, run};

use super::users::{amigo, let_request};

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_finds_the_plugin() {
    let env = TestEnv::ready("found").await;
    let version = amigo(&env, &["version"]);
    assert_eq!((version.code, version.stdout.trim()), (0, concat!("kubectl amigo ", env!("CARGO_PKG_VERSION"))));
    assert_eq!(amigo(&env, &["no-such-verb"]).code, 2);
    let help = run(kubectl_command(env.plane()).args(["amigo", "--help"]));
    assert!(help.success && help.stdout.contains("kubectl amigo"), "{help:?}");
}

/// The plugin with this `$KUBECONFIG`, in what looks like a pod.
fn with_kubeconfig(kubeconfig: &str, arguments: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-amigo"));
    command.args(arguments).env_clear().env("HOME", "/nonexistent").env("NO_PROXY", "127.0.0.1");
    command.env("KUBECONFIG", kubeconfig);
    run(command.envs([("KUBERNETES_SERVICE_HOST", "192.0.2.1"), ("KUBERNETES_SERVICE_PORT", "1")]))
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).expect("a file");
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn kubeconfig_list_is_read_as_kubectl_reads_it() {
    let env = TestEnv::ready("kubeconfig").await;
    let folder = tempfile::tempdir().expect("a folder");
    let good = env.plane().kubeconfig_path().display().to_string();
    let doubled = env.plane().kubeconfig() + "\ncurrent-context: admin\n";
    let doubled = write(folder.path(), "doubled", &doubled);
    let object = format!("organization/{}", env.organization);
    for list in [format!("/nonexistent/config:{good}"), doubled, format!("{good}:/nonexistent/config")] {
        let status = with_kubeconfig(&list, &["status", &object]);
        assert!(status.code == 0 && status.stdout.contains("Ready is True"), "{list}: {status:?}");
    }
    let bad = write(folder.path(), "bad", "{ bad: [");
    for list in [format!("{bad}:{good}"), bad.clone()] {
        let refused = with_kubeconfig(&list, &["status", &object]);
        assert!(refused.code == 1 && refused.stderr.contains(&format!("cannot read kubeconfig {bad}")), "{refused:?}");
    }
    let missing = with_kubeconfig("/nonexistent/config", &["status", &object]);
    assert!(missing.stderr.contains("no cluster is configured"), "{missing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn token_with_a_newline_works_from_a_file_only() {
    let env = TestEnv::ready("token").await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut kubeconfig: serde_json::Value = serde_saphyr::from_str(&env.plane().kubeconfig()).expect("a kubeconfig");
    let users = kubeconfig["users"].as_array_mut().expect("users");
    let token = users[0]["user"]["token"].as_str().expect("a token").to_owned() + "\n";
    let name = users[0]["name"].clone();
    write(folder.path(), "token", &token);
    users.clear();
    users.push(serde_json::json!({"name": name, "user": {"tokenFile": "token"}}));
    let from_file = write(folder.path(), "file", &kubeconfig.to_string());
    let object = format!("organization/{}", env.organization);
    let status = with_kubeconfig(&from_file, &["status", &object]);
    assert_eq!(status.code, 0, "{status:?}");
    kubeconfig["users"][0]["user"] = serde_json::json!({ "token": token });
    let refused = with_kubeconfig(&write(folder.path(), "inline", &kubeconfig.to_string()), &["status", &object]);
    assert!(refused.code == 1 && refused.stderr.contains("the user's token contains a line break"), "{refused:?}");
    assert!(!refused.stderr.contains(token.trim()), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_namespace_is_the_namespace_of_the_context() {
    let env = TestEnv::ready("empty").await;
    let missing = run(kubectl_command(env.plane()).args(["amigo", "status", "tpg/x", "-n", ""]));
    assert!(missing.stderr.contains("request x does not exist in namespace default"), "{missing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn socks_proxy_is_used() {
    let env = TestEnv::ready("socks").await;
    let proxied = env.plane().kubeconfig().replace("server:", "proxy-url: socks5://127.0.0.1:1\n    server:");
    let folder = tempfile::tempdir().expect("a folder");
    let kubeconfig = write(folder.path(), "proxied", &proxied);
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-amigo"));
    command.args(["status", "tpg/x"]).env_clear().env("KUBECONFIG", &kubeconfig);
    let refused = run(&mut command);
    assert!(refused.stderr.contains("check the connection") && !refused.stderr.contains("feature"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hidden_text_is_marked() {
    let env = TestEnv::ready("hidden").await;
    let odd = grant("hidden", "  conversation: {ownerUserId: user-owner-7f3a}");
    let odd = odd.replace("justification: ", "requestedBy: \"a\\u202Eb\\u200Bc\"\n  justification: ");
    env.apply(&odd).await;
    env.until_ready("tpg", "hidden").await;
    let_request(&env, ENGINEER).await;
    let status = amigo(&env, &["status", "hidden"]);
    assert!(status.stdout.contains("a\u{fffd}b\u{fffd}c") && !status.stdout.contains('\u{202e}'), "{status:?}");
}
