//! `kubectl amigo role diff`, for an object and for files.

use std::io::Write as _;

use serde_json::{Value, json};
use tempfile::NamedTempFile;
use test_support::{ENGINEER, Run, STRANGER, TestEnv};

use super::users::{amigo, amigo_as, let_request};

const READER: &str = "apiVersion: permissions.amigo.ai/v1alpha1
kind: Role
metadata: {name: reader}
spec:
  organizationRef: {name: ORGANIZATION}
  description: Reads messages
  permissionGrants:
  - permissionName: Conversation:GetConversation
    conditions: {org_id: {type: Equals, value: '{self_org_id}'}}
";

const MORE: &str = "  - permissionName: Conversation:GetMessage
    conditions: {org_id: {type: Equals, value: '{self_org_id}'}}
";

async fn env() -> TestEnv {
    let env = TestEnv::ready("compared").await;
    let_request(&env, ENGINEER).await;
    env.apply(READER).await;
    env.until_ready("amrole", "reader").await;
    env
}

fn diff_file(env: &TestEnv, text: &str, arguments: &[&str]) -> Run {
    let mut file = NamedTempFile::with_suffix(".yaml").expect("a file");
    file.write_all(text.replace("ORGANIZATION", &env.organization).as_bytes()).expect("written");
    let path = file.path().display().to_string();
    amigo(env, &[&["role", "diff", "-f", &path], arguments].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn applied_role_is_in_sync_until_it_drifts() {
    let env = env().await;
    let same = amigo(&env, &["role", "diff", "reader"]);
    assert_eq!(same.code, 0, "{same:?}");
    assert!(same.stdout.starts_with("role reader (Role ") && same.stdout.contains("): in sync\n"), "{same:?}");
    env.patch("amrole", "reader", json!({ "spec": { "driftPolicy": "Report" } })).await;
    env.change_out_of_band("/role/reader", json!({ "description": "Changed" })).await;
    env.until_reason("amrole", "reader", "Ready", "Drifted").await;
    let drifted = amigo(&env, &["role", "diff", "reader"]);
    assert_eq!(drifted.code, 1, "{drifted:?}");
    assert!(drifted.stdout.contains("not in sync: Drifted: "), "{drifted:?}");
    let warned = diff_file(&env, READER, &[]);
    assert!(warned.stderr.contains("is not in sync with Amigo: Drifted"), "{warned:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn file_diff_shows_what_applying_changes() {
    let env = env().await;
    let same = diff_file(&env, READER, &[]);
    assert_eq!((same.code, same.stdout.ends_with(": no difference\n")), (0, true), "{same:?}");
    let more = diff_file(&env, &format!("{READER}{MORE}"), &[]);
    assert_eq!(more.code, 1, "{more:?}");
    for part in [
        "+ Allow Conversation:GetMessage where",
        "a new role document replaces the role",
        "newly allows Conversation:GetMessage on org_id = \"acme\"",
    ] {
        assert!(more.stdout.contains(part), "{part}: {more:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn file_diff_of_a_new_role_prints_json() {
    let env = env().await;
    let new = diff_file(&env, &READER.replace("name: reader", "name: newcomer"), &["-o", "json"]);
    let json: Value = serde_json::from_str(&new.stdout).expect("JSON");
    assert_eq!((new.code, &json[0]["isNew"], &json[0]["atAmigo"]), (1, &json!(true), &json!("New")), "{new:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn diff_errors_do_not_exit_with_1() {
    let env = env().await;
    assert_eq!(amigo(&env, &["role", "diff", "nobody"]).code, 2);
    assert_eq!(amigo(&env, &["role", "diff"]).code, 2);
    assert_eq!(diff_file(&env, &READER.replace("permissionName", "permision"), &[]).code, 2);
    assert_eq!(amigo_as(&env, STRANGER, &["role", "diff", "reader"]).code, 3);
}
