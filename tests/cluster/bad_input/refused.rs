//! What the API server refuses by itself, and in what words.

use kube::Error;

use test_support::{TestEnv, grant};

const CONVERSATION: &str = "  conversation: {id: abc123def456abc123def456}";

#[tokio::test(flavor = "multi_thread")]
async fn durations_outside_the_rules_are_refused() {
    let env = TestEnv::with_operator("durations").await;
    for (duration, why) in [
        ("PT59S", "duration must be at least PT1M and at most P3D"),
        ("P3DT1S", "duration must be at least PT1M and at most P3D"),
        ("P1M", "ISO 8601"),
        ("2h", "ISO 8601"),
        ("-PT2H", "ISO 8601"),
    ] {
        refuses(&env, &format!("  duration: {duration}\n{CONVERSATION}"), why).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_names_one_conversation_or_permissions() {
    let env = TestEnv::with_operator("oneof").await;
    let both = format!("{CONVERSATION}\n  permissions: [{{permissionName: 'User:GetUserInfo'}}]");
    refuses(&env, &both, "set exactly one of conversation and permissions").await;
    refuses(&env, "  duration: PT1H", "set exactly one of conversation and permissions").await;
    refuses(&env, "  permissions: []", "at least 1 items").await;
    let no_url = "  conversation: {url: 'https://acme.amigo.ai/admin/users/1'}";
    refuses(&env, no_url, "https://ORGANIZATION.amigo.ai/admin/conversation/ID").await;
    refuses(&env, "  conversation: {id: ABC}", "id must be 24 lowercase hexadecimal digits").await;
    refuses(&env, "  conversation: {}", "set exactly one of conversation.id, conversation.url").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn amigos_own_roles_are_refused() {
    let env = TestEnv::with_operator("default").await;
    let role = "{apiVersion: permissions.amigo.ai/v1alpha1, kind: Role, metadata: {name: mine}, spec: {organizationRef: {name: any}, \
        description: Mine, roleName: DefaultUserRole}}";
    let refusal = env.try_apply(role).await.expect_err("refused");
    assert!(
        refusal.to_string().contains("roleName must not start with Default: Amigo reserves these names"),
        "{refusal}"
    );
}

async fn refuses(env: &TestEnv, extra: &str, why: &str) {
    let refusal = env.try_apply(&grant("refused", extra)).await.expect_err(extra);
    let told = matches!(&refusal, Error::Api(status) if status.code == 422 && status.message.contains(why));
    assert!(told, "{extra}: {refusal}");
}
