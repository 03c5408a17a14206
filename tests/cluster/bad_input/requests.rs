//! Requests that the API server lets pass and that cannot be served: told, left in peace, and served once they can be.

use amigo_sandbox::{ConversationSeed, RoleSeed, UserSeed};
use serde_json::json;

use test_support::test_env::{Stage, grant};

const OWNER: &str = "  conversation: {ownerUserId: user-owner-7f3a}";

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_user_is_served_once_invited() {
    let stage = Stage::new("nobody").await;
    stage.apply(&grant("lost", OWNER).replace("eng@", "nobody@")).await;
    let why = stage.until_reason("tpg", "lost", "Ready", "UserNotFound").await;
    assert!(why.contains("nobody@example.com") && why.contains("invite the user first"), "{why}");
    stage.assert_quiet("tpg", "lost").await;
    let user = json!({"id": "user-late", "email": "nobody@example.com", "first_name": "N", "last_name": "O", "role": "Engineer"});
    stage.sandbox.add_user("acme", serde_json::from_value::<UserSeed>(user).expect("a user")).expect("added");
    stage.until_ready("tpg", "lost").await;
    assert!(stage.issued().iter().all(|grant| grant.user_id == "user-late"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_user_id_is_amigos_to_refuse() {
    let stage = Stage::new("noid").await;
    stage.apply(&grant("lost", OWNER).replace("email: eng@example.com", "userId: user-nobody")).await;
    let why = stage.until_reason("tpg", "lost", "Ready", "NotFound").await;
    assert!(why.contains("404") && why.contains("user-nobody"), "{why}");
    stage.assert_quiet("tpg", "lost").await;
    assert!(stage.issued().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unseen_conversation_is_served_once_it_is_seen() {
    let stage = Stage::new("unseen").await;
    stage.apply(&grant("lost", "  conversation: {id: ffffffffffffffffffffffff}")).await;
    let why = stage.until_reason("tpg", "lost", "Ready", "ConversationNotVisible").await;
    assert!(why.contains("ffffffffffffffffffffffff") && why.contains("set conversation.ownerUserId"), "{why}");
    stage.assert_quiet("tpg", "lost").await;
    let seed = json!({"id": "ffffffffffffffffffffffff", "user_id": "user-owner-7f3a"});
    stage
        .sandbox
        .add_conversation("acme", serde_json::from_value::<ConversationSeed>(seed).expect("a conversation"))
        .expect("added");
    stage.until_ready("tpg", "lost").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_of_another_organization_fails_for_good() {
    let stage = Stage::new("foreign").await;
    let url = "https://other.amigo.ai/admin/conversation/abc123def456abc123def456";
    stage.apply(&grant("foreign", &format!("  conversation: {{url: '{url}'}}"))).await;
    let why = stage.until_reason("tpg", "foreign", "Ready", "OrganizationMismatch").await;
    assert!(why.contains(url) && why.contains("https://acme.amigo.ai"), "{why}");
    assert_eq!(stage.member("tpg", "foreign", "/status/phase").await, "Failed");
    stage.assert_quiet("tpg", "foreign").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_organization_is_awaited() {
    let stage = Stage::bare("noorg").await;
    stage.apply(&grant("early", OWNER)).await;
    let why = stage.until_reason("tpg", "early", "Ready", "OrganizationNotFound").await;
    assert!(why.contains(&stage.name) && why.contains("kubectl get organizations"), "{why}");
    stage.assert_quiet("tpg", "early").await;
    stage.connect("").await;
    stage.until_ready("tpg", "early").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn amigo_saying_no_to_a_role_is_told() {
    let stage = Stage::new("taken").await;
    let seed = json!({"name": "triage", "description": "Somebody else's", "permission_grants": []});
    stage.sandbox.add_role("acme", serde_json::from_value::<RoleSeed>(seed).expect("a role")).expect("added");
    stage.apply(ROLE).await;
    stage.until_reason("amrole", "triage", "Ready", "AdoptionRefused").await;
    stage.assert_quiet("amrole", "triage").await;
}

const ROLE: &str = "{apiVersion: permissions.amigo.ai/v1alpha1, kind: Role, metadata: {name: triage}, spec: {organizationRef: \
    {name: ORGANIZATION}, description: Triage}}";
