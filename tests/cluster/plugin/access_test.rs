//! `kubectl amigo test`, on the examples and on broken files, without a cluster.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use test_support::{Run, control_plane, kubectl_command, run};

use super::users::offline;

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");

/// The example viewer and a test of it, in a folder of their own.
fn folder(test: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::copy(Path::new(EXAMPLES).join("role-viewer.yaml"), folder.path().join("viewer.yaml")).expect("a copy");
    fs::create_dir(folder.path().join("tests")).expect("a folder");
    let header = "apiVersion: permissions.amigo.ai/v1alpha1\nkind: AccessTest\nrole: viewer\ncases:\n";
    fs::write(folder.path().join("tests/viewer.test.yaml"), format!("{header}{test}")).expect("written");
    folder
}

fn test_of(folder: &tempfile::TempDir, arguments: &[&str]) -> Run {
    let arguments = [&["test", "-f", "."], arguments].concat();
    run(offline(&arguments).current_dir(folder.path()))
}

const BEGINS: &str =
    "- { name: begins conversations, permission: 'Conversation:CreateConversation', expect: Allowed }\n";

#[test]
fn tests_of_the_examples_pass() {
    let tested = run(&mut offline(&["test", "-f", EXAMPLES]));
    assert_eq!(tested.code, 0, "{tested:?}");
    assert!(tested.stdout.ends_with("11 passed, 0 failed\n"), "{}", tested.stdout);
    assert!(tested.stdout.contains("viewer.test.yaml:9 viewer: sees the own conversations\n"), "{}", tested.stdout);
    let one = run(&mut offline(&["test", "-f", EXAMPLES, "--run", "hands out"]));
    assert!(one.stdout.ends_with("1 passed, 0 failed\n"), "{}", one.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_runs_access_tests() {
    let tested = run(kubectl_command(control_plane().await).args(["amigo", "test", "-f", EXAMPLES]));
    assert!(tested.code == 0 && tested.stdout.ends_with("11 passed, 0 failed\n"), "{tested:?}");
}

#[test]
fn failed_case_shows_the_grant_and_its_line() {
    let tested = test_of(&folder(BEGINS), &[]);
    assert_eq!(
        (tested.code, tested.stdout.as_str()),
        (
            1,
            "✗ ./tests/viewer.test.yaml:5 viewer: begins conversations\n    \
             expected Allowed, got Denied\n      \
             role viewer, Conversation:CreateConversation, attributes org_id=\"acme\"\n      \
             denied by permissionGrants[1] of Role viewer (./viewer.yaml:21): Begins no conversation\n        \
             no conditions\n\
             0 passed, 1 failed\n"
        ),
        "{tested:?}"
    );
}

#[test]
fn test_prints_json_and_junit() {
    let folder = folder(BEGINS);
    let json: serde_json::Value = serde_json::from_str(&test_of(&folder, &["-o", "json"]).stdout).expect("JSON");
    assert_eq!((&json["failed"], &json["cases"][0]["verdict"]["reason"]), (&1.into(), &"DenyGrant".into()));
    let junit = test_of(&folder, &["-o", "junit"]);
    assert_eq!(junit.code, 1);
    assert!(
        junit
            .stdout
            .contains(r#"<testsuites name="kubectl amigo test" tests="1" skipped="0" failures="1" errors="0">"#),
        "{junit:?}"
    );
    assert!(junit.stdout.contains(r#"<failure message="expected Allowed, got Denied">"#), "{junit:?}");
}

#[test]
fn test_without_cases_fails() {
    let folder = folder("  []\n");
    let empty = test_of(&folder, &[]);
    assert_eq!((empty.code, empty.stderr.contains("no access test found in .")), (1, true), "{empty:?}");
    let unmatched = run(&mut offline(&["test", "-f", EXAMPLES, "--run", "no such case"]));
    assert!(unmatched.code == 1 && unmatched.stderr.contains("no case name in"), "{unmatched:?}");
    let unnamed = run(&mut offline(&["test"]));
    assert!(unnamed.code == 2 && unnamed.stderr.contains("-f FILE|DIR"), "{unnamed:?}");
}

#[test]
fn invalid_files_exit_with_2_and_name_lines() {
    let misspelt = test_of(&folder(&BEGINS.replace("expect:", "expects:")), &[]);
    let said = "./tests/viewer.test.yaml:5: unknown field cases.0.expects: check the spelling";
    assert!(misspelt.code == 2 && misspelt.stderr.contains(said), "{misspelt:?}");
    let role = run(&mut offline(&["test", "-f", &format!("{EXAMPLES}/tests/viewer.test.yaml")]));
    assert!(role.code == 2 && role.stderr.contains("Role viewer is not in the files"), "{role:?}");
}

#[test]
fn plugin_reads_manifests_from_stdin() {
    let text = fs::read_to_string(Path::new(EXAMPLES).join("role-viewer.yaml")).expect("a role");
    let mut command: Command = offline(&["can-i", "Conversation:CreateConversation", "-f", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("runs");
    std::io::Write::write_all(&mut child.stdin.take().expect("stdin"), text.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("an end");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.code() == Some(1) && said.contains("of Role viewer (stdin:21)"), "{said}");
}
