//! `kubectl amigo role diff`: what the operator says of a role, and what applying another would change.

use std::io::Write as _;

use serde_json::{Value, json};
use tempfile::NamedTempFile;
use test_support::{ENGINEER, Run, STRANGER, test_env::Stage};

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

async fn stage() -> Stage {
    let stage = Stage::new("compared").await;
    let_request(&stage, ENGINEER).await;
    stage.apply(READER).await;
    stage.until_ready("amrole", "reader").await;
    stage
}

fn diff_file(stage: &Stage, text: &str, arguments: &[&str]) -> Run {
    let mut file = NamedTempFile::with_suffix(".yaml").expect("a file");
    file.write_all(text.replace("ORGANIZATION", &stage.name).as_bytes()).expect("written");
    let path = file.path().display().to_string();
    amigo(stage, &[&["role", "diff", "-f", &path], arguments].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn applied_role_is_in_sync_until_it_drifts() {
    let stage = stage().await;
    let same = amigo(&stage, &["role", "diff", "reader"]);
    assert_eq!(same.code, 0, "{same:?}");
    assert!(same.stdout.starts_with("role reader (Role ") && same.stdout.contains("): in sync\n"), "{same:?}");
    stage.patch("amrole", "reader", json!({ "spec": { "driftPolicy": "Report" } })).await;
    stage.by_hand("/role/reader", json!({ "description": "Changed" })).await;
    stage.until_reason("amrole", "reader", "Ready", "Drifted").await;
    let drifted = amigo(&stage, &["role", "diff", "reader"]);
    assert_eq!(drifted.code, 1, "{drifted:?}");
    assert!(drifted.stdout.contains("not in sync: Drifted: "), "{drifted:?}");
    let warned = diff_file(&stage, READER, &[]);
    assert!(warned.stderr.contains("may not be what is at Amigo: Drifted"), "{warned:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_shows_what_applying_it_would_change() {
    let stage = stage().await;
    let same = diff_file(&stage, READER, &[]);
    assert_eq!((same.code, same.stdout.ends_with(": no difference\n")), (0, true), "{same:?}");
    let more = diff_file(&stage, &format!("{READER}{MORE}"), &[]);
    assert_eq!(more.code, 1, "{more:?}");
    for part in [
        "+ Allow Conversation:GetMessage where",
        "a new role document",
        "would newly allow Conversation:GetMessage on org_id = \"acme\"",
    ] {
        assert!(more.stdout.contains(part), "{part}: {more:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_role_and_programs_are_served() {
    let stage = stage().await;
    let new = diff_file(&stage, &READER.replace("name: reader", "name: newcomer"), &["-o", "json"]);
    let json: Value = serde_json::from_str(&new.stdout).expect("JSON");
    assert_eq!((new.code, &json[0]["isNew"], &json[0]["atAmigo"]), (1, &json!(true), &json!("New")), "{new:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_is_no_difference() {
    let stage = stage().await;
    assert_eq!(amigo(&stage, &["role", "diff", "nobody"]).code, 2);
    assert_eq!(amigo(&stage, &["role", "diff"]).code, 2);
    assert_eq!(diff_file(&stage, &READER.replace("permissionName", "permision"), &[]).code, 2);
    assert_eq!(amigo_as(&stage, STRANGER, &["role", "diff", "reader"]).code, 3);
}
