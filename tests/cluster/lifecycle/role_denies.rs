//! Roles with Deny grants where the API knows only Allow: compiled, refused, and recovered.

use amigo_sandbox::{Change, PermissionModel, Strictness};
use serde_json::{Value, json};
use test_support::TestEnv;

const LISTED: &str =
    "{org_id: {type: Equals, value: '{self_org_id}'}, conversation_user_id: {type: In, values: [u1, u2, u3]}}";
const U2: &str = "{conversation_user_id: {type: Equals, value: u2}}";
const U9: &str = "{conversation_user_id: {type: Equals, value: u9}}";

#[tokio::test(flavor = "multi_thread")]
async fn a_deny_is_compiled_away_and_only_allows_are_sent() {
    let env = strict("compiled").await;
    let denies = [("Deny", "Conversation:GetMessage", U2), ("Deny", "User:GetUserInfo", "{}")];
    env.apply(&role(&[&[("Allow", "Conversation:GetMessage", LISTED)], &denies[..]].concat())).await;
    let told = env.until_reason("amrole", "reader", "Ready", "Ready").await;
    assert!(told.contains("compiled 2 Deny grants into Allow grants") && told.contains("Temporary grants"), "{told}");
    assert_eq!(journal(&env), [json!([grant(&json!({"type": "In", "values": ["u1", "u3"]}))])]);
    let why = env.until_reason("amrole", "reader", "LintPassed", "Findings").await;
    assert!(why.contains("permissionGrants[1].action PreferAllow"), "{why}");
    env.assert_idle("amrole", "reader").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn uncompilable_deny_is_named_and_blocks_the_role() {
    let env = strict("inexpressible").await;
    let everywhere = ("Allow", "Conversation:GetMessage", "{}");
    env.apply(&role(&[everywhere, ("Deny", "Conversation:GetMessage", U9)])).await;
    let why = env.until_reason("amrole", "reader", "Ready", "DenyNotSupported").await;
    for part in ["permissionGrants[1] denies Conversation:GetMessage", "permissionGrants[0]", "NotEquals \"u9\""] {
        assert!(why.contains(part), "{why}");
    }
    env.assert_idle("amrole", "reader").await;
    assert_eq!(journal(&env), [json!(null); 0]);

    env.apply(&role(&[("Allow", "Conversation:GetMessage", LISTED), ("Deny", "Conversation:GetMessage", U9)])).await;
    env.until_ready("amrole", "reader").await;
    let listed = grant(&json!({"type": "In", "values": ["u1", "u2", "u3"]}));
    assert_eq!(journal(&env), [json!([listed])]);

    // A role that is there stays as it is while its spec cannot be sent.
    env.apply(&role(&[everywhere, ("Deny", "Conversation:GetMessage", U9)])).await;
    env.until_reason("amrole", "reader", "Ready", "DenyNotSupported").await;
    env.assert_idle("amrole", "reader").await;
    assert_eq!(journal(&env), [json!([listed])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn role_equal_to_the_compiled_spec_is_adopted() {
    let env = TestEnv::with_operator("compiledadopt").await;
    let there = json!({"name": "reader", "description": "Reads", "frontend_view": "client",
        "permission_grants": [grant(&json!({"type": "In", "values": ["u1", "u3"]}))]});
    env.sandbox().add_role("acme", serde_json::from_value(there).expect("a role")).expect("a role");
    env.connect("").await;
    env.apply(&role(&[("Allow", "Conversation:GetMessage", LISTED), ("Deny", "Conversation:GetMessage", U2)])).await;
    env.until_ready("amrole", "reader").await;
    env.until_event("reader", "Adopted").await;
    assert_eq!(journal(&env), [json!(null); 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_model_changes_what_is_sent() {
    let env = TestEnv::allow_deny("model").await;
    env.apply(&role(&[("Allow", "Conversation:GetMessage", LISTED), ("Deny", "Conversation:GetMessage", U2)])).await;
    env.until_ready("amrole", "reader").await;
    let sent = journal(&env).pop().expect("a commit");
    assert_eq!(sent.as_array().map(Vec::len), Some(2), "{sent}");

    env.patch("amorg", &env.organization, json!({"spec": {"permissionModel": "AllowOnly"}})).await;
    let compiled = env.until("the role is compiled", || journal(&env).pop().filter(|grants| grants != &sent)).await;
    assert_eq!(compiled.as_array().map(Vec::len), Some(1), "{compiled}");
    assert_eq!(compiled[0]["conditions"]["conversation_user_id"]["values"], json!(["u1", "u3"]));
    env.until_ready("amrole", "reader").await;
}

/// A env whose API refuses whatever its document does not name, `action` included.
async fn strict(prefix: &str) -> TestEnv {
    let env = TestEnv::seeded(prefix, |seed| {
        seed.organizations[0].model = PermissionModel::AllowOnly;
        seed.organizations[0].behavior.unknown_members = Strictness::Reject;
    });
    let env = env.await;
    env.connect("").await;
    env.until_ready("amorg", &env.organization).await;
    env
}

/// A Role `reader` with these lines: action, permission, conditions.
fn role(lines: &[(&str, &str, &str)]) -> String {
    let line = |(action, name, conditions): &(&str, &str, &str)| {
        format!("  - {{action: {action}, permissionName: '{name}', conditions: {conditions}}}\n")
    };
    format!(
        "apiVersion: permissions.amigo.ai/v1alpha1\nkind: Role\nmetadata: {{name: reader}}\nspec:\n  organizationRef: \
         {{name: ORGANIZATION}}\n  description: Reads\n  permissionGrants:\n{}",
        lines.iter().map(line).collect::<String>()
    )
}

/// An Allow of messages, as the API has it.
fn grant(owner: &Value) -> Value {
    let conditions = json!({"org_id": {"type": "Equals", "value": "{self_org_id}"}, "conversation_user_id": owner});
    json!({"permission_name": "Conversation:GetMessage", "conditions": conditions})
}

/// The grants of each role that was sent.
fn journal(env: &TestEnv) -> Vec<Value> {
    let sent = env.sandbox().journal().into_iter().filter_map(|commit| match commit.change {
        Change::RoleCreated { permission_grants, .. } | Change::RoleModified { permission_grants, .. } => {
            Some(json!(permission_grants))
        }
        _ => None,
    });
    sent.collect()
}
