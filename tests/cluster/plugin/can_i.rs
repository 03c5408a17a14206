//! `kubectl amigo can-i`, of the cluster and of files.

use serde_json::Value;
use test_support::{ENGINEER, STRANGER, TestEnv, fixture, grant, run};

use super::users::{amigo, amigo_as, let_request, offline};

const VIEWER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/role-viewer.yaml");

/// The engineer has the role viewer.
async fn env(prefix: &str) -> TestEnv {
    let env = TestEnv::allow_deny(prefix).await;
    let_request(&env, ENGINEER).await;
    let viewer = std::fs::read_to_string(VIEWER).expect("a role");
    let viewer = viewer.replace("name: acme", "name: ORGANIZATION").replace("  namespace: default\n", "");
    env.apply(&viewer).await;
    env.apply(&fixture(
        "role-assignment.yaml",
        &[("NAME", "eng"), ("USER", "email: eng@example.com"), ("EXTRA", "  roleRef: {name: viewer}")],
    ))
    .await;
    env.until_ready("amrole", "viewer").await;
    env.until_ready("amra", "eng").await;
    env
}

#[tokio::test(flavor = "multi_thread")]
async fn can_i_explains_the_result_in_a_cluster() {
    let env = env("cani").await;
    let own = amigo(&env, &["can-i", "Conversation:GetConversation", "--attr", "conversation_user_id={self}"]);
    assert_eq!(
        (own.code, own.stdout.as_str(), own.stderr.as_str()),
        (
            0,
            "yes: role viewer of eng@example.com allows Conversation:GetConversation\n  \
             attributes: conversation_user_id=\"user-eng-2c91\", org_id=\"acme\" (org_id defaults to the user's organization)\n  \
             allowed by permissionGrants[0] of Role viewer: Lists the own conversations\n    \
             ✓ conversation_user_id Equals \"{self}\" (\"user-eng-2c91\"): got \"user-eng-2c91\"\n    \
             ✓ org_id Equals \"{self_org_id}\" (\"acme\"): got \"acme\"\n",
            ""
        )
    );
    let others = amigo(&env, &["can-i", "Conversation:GetConversation"]);
    assert!(others.code == 1 && others.stdout.contains("add --attr conversation_user_id="), "{others:?}");
    let denied = amigo(&env, &["can-i", "Conversation:CreateConversation", "-o", "json"]);
    let answer: Value = serde_json::from_str(&denied.stdout).expect("JSON");
    assert_eq!((denied.code, &answer["reason"], &answer["allowed"]), (1, &"DenyGrant".into(), &false.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn can_i_counts_active_temporary_grants() {
    let env = env("cani-live").await;
    let message = ["can-i", "Conversation:GetMessage", "--attr", "conversation_user_id=user-owner-7f3a"];
    let before = amigo(&env, &message);
    assert!(before.code == 1 && before.stdout.contains("no grant for this permission"), "{before:?}");
    env.apply(&grant("look", "  conversation: {id: abc123def456abc123def456}")).await;
    env.until_ready("tpg", "look").await;
    let live = amigo(&env, &message);
    assert_eq!(live.code, 0, "{live:?}");
    assert!(live.stdout.contains("allowed by conversation of TemporaryPermissionGrant look: until 20"), "{live:?}");
    let as_role = amigo(&env, &[&message[..], &["--as-role", "viewer"]].concat());
    assert_eq!(as_role.code, 1, "a role alone has no temporary grants: {as_role:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_or_unreadable_objects_are_reported() {
    let env = env("cani-unknown").await;
    let colleague = amigo(&env, &["can-i", "User:GetUserInfo", "--user", "colleague@example.com"]);
    assert!(colleague.code == 1 && colleague.stderr.contains("no RoleAssignment exists for"), "{colleague:?}");
    assert!(colleague.stderr.contains("--as-role NAME; available Roles: viewer"), "{colleague:?}");
    let none = amigo(&env, &["can-i", "User:GetUserInfo", "--as-role", "Engineer"]);
    assert!(none.code == 1 && none.stderr.contains("Role Engineer does not exist"), "{none:?}");
    let stranger = amigo_as(&env, STRANGER, &["can-i", "User:GetUserInfo"]);
    assert!(stranger.code == 3 && stranger.stderr.contains("cannot list Roles in namespace"), "{stranger:?}");
    let usage = amigo(&env, &["can-i", "Conversation.GetMessage"]);
    assert!(usage.code == 2 && usage.stderr.contains("did you mean Conversation:GetMessage?"), "{usage:?}");
}

#[test]
fn can_i_with_files_needs_no_cluster() {
    let line = ["can-i", "Conversation:GetConversation", "-f", VIEWER];
    let own = run(offline(&line).args(["--attr", "conversation_user_id={self}"]));
    assert_eq!(own.code, 0, "{own:?}");
    assert!(own.stdout.contains("examples/role-viewer.yaml:15): Lists the own conversations"), "{own:?}");
    assert!(own.stderr.contains("using the name of the Organization, \"acme\", as the organization's id"), "{own:?}");
    let other =
        ["--attr", "conversation_user_id=user-2", "--attr", "org_id=acme", "--user", "user-1", "--org-id", "acme"];
    let denied = run(offline(&line).args(other));
    assert!(denied.code == 1 && denied.stderr.is_empty(), "{denied:?}");
    assert!(
        denied.stdout.contains("✗ conversation_user_id Equals \"{self}\" (\"user-1\"): got \"user-2\""),
        "{denied:?}"
    );
    let unknown = run(offline(&line).args(["--attr", "conversation_user_id=user-2", "--user", "dana@example.com"]));
    assert!(unknown.code == 1 && unknown.stderr.contains("--user-id ID"), "{unknown:?}");
}

#[test]
fn can_i_rejects_a_misspelled_conditions_field() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("role.yaml");
    let text = std::fs::read_to_string(VIEWER).expect("a role").replace("conditions:", "condtions:");
    std::fs::write(&file, text).expect("written");
    let asked = run(offline(&["can-i", "Conversation:GetConversation", "-f"]).arg(&file));
    assert_eq!((asked.code, asked.stdout.as_str()), (2, ""));
    assert!(asked.stderr.contains("role.yaml:18: unknown field spec.permissionGrants.0.condtions"), "{asked:?}");
}

#[test]
fn can_i_without_files_needs_a_cluster() {
    let asked = run(&mut offline(&["can-i", "User:GetUserInfo"]));
    assert!(asked.code == 1 && asked.stderr.contains("no cluster is configured"), "{asked:?}");
}
