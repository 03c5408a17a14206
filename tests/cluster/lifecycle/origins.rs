//! What was done at one Amigo API says nothing about another one.

use amigo_sandbox::{Change, Sandbox, UserSeed};
use serde_json::json;
use test_support::{TestEnv, fixture, grant, role};

#[tokio::test(flavor = "multi_thread")]
async fn connected_organization_keeps_its_api_url() {
    let env = TestEnv::ready("fixed").await;
    env.until_member("amorg", &env.organization, "/status/apiOrigin", json!(env.amigo_url())).await;
    let (_, elsewhere) = env.another_amigo().await;
    let refused = env.try_apply(&env.organization_at(&elsewhere, "")).await.expect_err("a refusal").to_string();
    assert!(refused.contains("apiUrl is immutable once the Organization has connected"), "{refused}");
    env.patch("amorg", &env.organization, json!({"spec": {"suspend": true}})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ownership_does_not_move_to_another_api() {
    let env = TestEnv::ready("moved").await;
    env.apply(&role("triage", "  deletionPolicy: Disable")).await;
    let user = ("USER", "email: colleague@example.com");
    let extra = ("EXTRA", "  roleName: DefaultUserRole\n  fallbackRoleName: Engineer");
    env.apply(&fixture("role-assignment.yaml", &[("NAME", "colleague"), user, extra])).await;
    env.until_ready("amrole", "triage").await;
    env.until_ready("amra", "colleague").await;
    let (elsewhere, url) = env.another_amigo().await;
    elsewhere.add_role("acme", somebody_elses("triage")).expect("a role");
    env.forget_organization().await;
    env.apply(&env.organization_at(&url, "suspend: true")).await;
    env.until_reason("amrole", "triage", "Ready", "AdoptionRefused").await;
    env.delete("amrole", "triage").await;
    env.delete("amra", "colleague").await;
    env.until_gone("amrole", "triage").await;
    env.until_gone("amra", "colleague").await;
    assert_eq!(changes(&elsewhere), Vec::<Change>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn n1_queued_request_follows_a_moved_organization() {
    let env = TestEnv::with_operator("queue").await;
    // The three permissions of a request have their turn after the first minute.
    env.connect("  rateLimit: {limits: {create_grant: 4}}").await;
    env.until_ready("amorg", &env.organization).await;
    env.apply(&grant("request", "  conversation: {ownerUserId: user-owner-7f3a}")).await;
    env.until_reason("tpg", "request", "Ready", "Queued").await;
    let (elsewhere, url) = env.another_amigo().await;
    elsewhere.remove_user("acme", "user-eng-2c91").expect("acme");
    elsewhere.add_user("acme", engineer("user-elsewhere")).expect("a user");
    env.forget_organization().await;
    env.apply(&env.organization_at(&url, "")).await;
    env.until_ready("tpg", "request").await;
    let user = |change| if let Change::GrantCreated(grant) = change { Some(grant.user_id) } else { None };
    let users: Vec<_> = changes(&elsewhere).into_iter().filter_map(user).collect();
    assert_eq!((env.issued().len(), users), (0, vec!["user-elsewhere".to_owned(); 3]));
}

fn engineer(id: &str) -> UserSeed {
    let seed = json!({"id": id, "email": "eng@example.com", "first_name": "E", "last_name": "N", "role": "Engineer"});
    serde_json::from_value(seed).expect("a user")
}

fn somebody_elses(name: &str) -> amigo_sandbox::RoleSeed {
    let seed = json!({
        "name": name, "description": "Somebody else's", "frontend_view": "client",
        "permission_grants": [{"permission_name": "Conversation:GetMessage", "conditions": {}}],
    });
    serde_json::from_value(seed).expect("a role")
}

fn changes(sandbox: &Sandbox) -> Vec<Change> {
    sandbox.journal().into_iter().map(|commit| commit.change).collect()
}
