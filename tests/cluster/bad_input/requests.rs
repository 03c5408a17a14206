//! Requests that the API server lets pass and that cannot be served: told, left in peace, and served once they can be.

use amigo_sandbox::{ConversationSeed, RoleSeed, UserSeed};
use serde_json::json;

use test_support::{TestEnv, grant};

const OWNER: &str = "  conversation: {ownerUserId: user-owner-7f3a}";

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_user_is_served_once_invited() {
    let env = TestEnv::ready("nobody").await;
    env.apply(&grant("lost", OWNER).replace("eng@", "nobody@")).await;
    let why = env.until_reason("tpg", "lost", "Ready", "UserNotFound").await;
    assert!(why.contains("nobody@example.com") && why.contains("invite the user first"), "{why}");
    env.assert_idle("tpg", "lost").await;
    let user = json!({"id": "user-late", "email": "nobody@example.com", "first_name": "N", "last_name": "O", "role": "Engineer"});
    env.sandbox().add_user("acme", serde_json::from_value::<UserSeed>(user).expect("a user")).expect("added");
    env.until_ready("tpg", "lost").await;
    assert!(env.issued().iter().all(|grant| grant.user_id == "user-late"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_user_id_is_amigos_to_refuse() {
    let env = TestEnv::ready("noid").await;
    env.apply(&grant("lost", OWNER).replace("email: eng@example.com", "userId: user-nobody")).await;
    let why = env.until_reason("tpg", "lost", "Ready", "NotFound").await;
    assert!(why.contains("404") && why.contains("user-nobody"), "{why}");
    env.assert_idle("tpg", "lost").await;
    assert!(env.issued().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unseen_conversation_is_served_once_it_is_seen() {
    let env = TestEnv::ready("unseen").await;
    env.apply(&grant("lost", "  conversation: {id: ffffffffffffffffffffffff}")).await;
    let why = env.until_reason("tpg", "lost", "Ready", "ConversationNotVisible").await;
    assert!(why.contains("ffffffffffffffffffffffff") && why.contains("set conversation.ownerUserId"), "{why}");
    env.assert_idle("tpg", "lost").await;
    let seed = json!({"id": "ffffffffffffffffffffffff", "user_id": "user-owner-7f3a"});
    env.sandbox()
        .add_conversation("acme", serde_json::from_value::<ConversationSeed>(seed).expect("a conversation"))
        .expect("added");
    env.until_ready("tpg", "lost").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_of_another_organization_fails_for_good() {
    let env = TestEnv::ready("foreign").await;
    let url = "https://other.amigo.ai/admin/conversation/abc123def456abc123def456";
    env.apply(&grant("foreign", &format!("  conversation: {{url: '{url}'}}"))).await;
    let why = env.until_reason("tpg", "foreign", "Ready", "OrganizationMismatch").await;
    assert!(why.contains(url) && why.contains("https://acme.amigo.ai"), "{why}");
    assert_eq!(env.member("tpg", "foreign", "/status/phase").await, "Failed");
    env.assert_idle("tpg", "foreign").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_organization_is_awaited() {
    let env = TestEnv::with_operator("noorg").await;
    env.apply(&grant("early", OWNER)).await;
    let why = env.until_reason("tpg", "early", "Ready", "OrganizationNotFound").await;
    assert!(why.contains(&env.organization) && why.contains("kubectl get organizations"), "{why}");
    env.assert_idle("tpg", "early").await;
    env.connect("").await;
    env.until_ready("tpg", "early").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn amigo_saying_no_to_a_role_is_told() {
    let env = TestEnv::ready("taken").await;
    let seed = json!({"name": "triage", "description": "Somebody else's", "permission_grants": []});
    env.sandbox().add_role("acme", serde_json::from_value::<RoleSeed>(seed).expect("a role")).expect("added");
    env.apply(ROLE).await;
    env.until_reason("amrole", "triage", "Ready", "AdoptionRefused").await;
    env.assert_idle("amrole", "triage").await;
}

const ROLE: &str = "{apiVersion: permissions.amigo.ai/v1alpha1, kind: Role, metadata: {name: triage}, spec: {organizationRef: \
    {name: ORGANIZATION}, description: Triage}}";
