//! `kubectl amigo role lint`, for files and for objects.

use std::{fs, path::Path};

use serde_json::Value;
use tempfile::TempDir;
use test_support::{ENGINEER, Run, TestEnv, control_plane, kubectl_command, run};

use super::users::{amigo, let_request};

const SLIP: &str = "apiVersion: permissions.amigo.ai/v1alpha1
kind: Role
metadata: {name: slip}
spec:
  organizationRef: {name: ORGANIZATION}
  description: Has a slip
  permissionGrants:
  - permissionName: Conversation:GetConversation
    description: Sees conversations
    conditions:
      org_id: {type: Equals, value: '{self_organization}'}
";

/// Runs the lint where no cluster can be reached.
async fn lint(folder: &TempDir, arguments: &[&str]) -> Run {
    let mut kubectl = kubectl_command(control_plane().await);
    kubectl.env("KUBECONFIG", "/dev/null").current_dir(folder);
    run(kubectl.args(["amigo", "role", "lint"]).args(arguments))
}

fn folder(text: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("slip.yaml"), text).expect("a file");
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn error_is_found_with_its_line_and_no_cluster() {
    let folder = folder(SLIP);
    let found = lint(&folder, &["-f", "slip.yaml"]).await;
    assert_eq!(found.code, 1, "{found:?}");
    assert!(found.stdout.starts_with("slip.yaml:11: error: UnknownVariable: "), "{found:?}");
    assert!(found.stderr.contains("1 error, "), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lint_strict_fails_on_warnings() {
    let folder =
        folder(&SLIP.replace("{type: Equals, value: '{self_organization}'}", "{type: NotEquals, value: other}"));
    assert_eq!(lint(&folder, &["-f", "."]).await.code, 0);
    assert_eq!(lint(&folder, &["-f", ".", "--strict"]).await.code, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn lint_prints_json_sarif_and_github_commands() {
    let folder = folder(SLIP);
    let json: Value = serde_json::from_str(&lint(&folder, &["-f", ".", "-o", "json"]).await.stdout).expect("JSON");
    assert_eq!(json[0]["code"], "UnknownVariable");
    let sarif: Value = serde_json::from_str(&lint(&folder, &["-f", ".", "-o", "sarif"]).await.stdout).expect("SARIF");
    assert_eq!(
        (&sarif["version"], &sarif["runs"][0]["results"][0]["ruleId"]),
        (&"2.1.0".into(), &"UnknownVariable".into())
    );
    let github = lint(&folder, &["-f", ".", "-o", "github"]).await.stdout;
    assert!(github.starts_with("::error file="), "{github}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lint_without_roles_fails() {
    let folder = folder("{apiVersion: v1, kind: ConfigMap, metadata: {name: x}}");
    for arguments in [["-f", "."].as_slice(), &["-f", "nowhere"], &[]] {
        let nothing = lint(&folder, arguments).await;
        assert_eq!(nothing.code, 2, "{nothing:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lint_of_the_examples_finds_no_errors() {
    let folder = tempfile::tempdir().expect("a folder");
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    for entry in fs::read_dir(examples).expect("examples").filter_map(Result::ok) {
        if entry.file_name().to_string_lossy().starts_with("role-") {
            fs::copy(entry.path(), folder.path().join(entry.file_name())).expect("a copy");
        }
    }
    let found = lint(&folder, &["-f", "."]).await;
    assert_eq!(found.code, 0, "{found:?}");
    assert!(!found.stdout.contains("error:"), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lint_checks_a_role_in_the_cluster() {
    let env = TestEnv::ready("linted").await;
    let_request(&env, ENGINEER).await;
    env.apply(SLIP).await;
    let found = amigo(&env, &["role", "lint", "slip"]);
    assert_eq!(found.code, 1, "{found:?}");
    assert!(found.stdout.starts_with("role/slip: error: UnknownVariable: "), "{found:?}");
    let nobody = amigo(&env, &["role", "lint", "nobody"]);
    assert!(nobody.code == 2 && nobody.stderr.contains("Role nobody does not exist"), "{nobody:?}");
}
