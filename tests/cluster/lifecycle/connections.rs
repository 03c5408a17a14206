//! Organizations: their Secrets, who may use them, and what they say of themselves.

use std::time::Duration;

use amigo_runtime::clock::{Clock as _, SystemClock};
use amigo_sandbox::{ApiKeySeed, Effect, Operation};
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{Event, Secret};
use kube::{
    Api,
    api::{DeleteParams, ListParams},
};
use secrecy::SecretString;
use serde_json::json;
use tokio::time::timeout;

use test_support::operator::CONCURRENCY;
use test_support::{API_KEY_ID, OPERATOR_NAMESPACE, TIMEOUT, TestEnv, eventually, grant, role};

const NEXT_KEY: &str = "6c2e8d2f-1d66-4d10-8b68-8a3a1f4d0c22";
const REQUEST: &str = "  conversation: {ownerUserId: user-owner-7f3a}";

#[tokio::test(flavor = "multi_thread")]
async fn a_connected_organization_tells_what_it_sees() {
    let env = TestEnv::ready("connected").await;
    let shown = env.member("amorg", &env.organization, "/status").await;
    assert_eq!((shown["orgId"].as_str(), shown["orgName"].as_str()), (Some("acme"), Some("Acme Health")));
    assert_eq!(
        (shown["serviceUserId"].as_str(), shown["permissionModel"].as_str()),
        (Some("user-operator-0001"), Some("AllowOnly"))
    );
    let seeded = env.sandbox().roles("acme").len();
    assert_eq!(shown["roles"], json!({"visible": seeded, "managed": 0}));
    let valid = env.condition("amorg", &env.organization, "CredentialsValid").await.expect("a condition");
    assert_eq!((valid.status.as_str(), valid.message.as_str()), ("True", "signed in as user-operator-0001"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_key_is_picked_up_within_seconds() {
    let env = TestEnv::ready("rotate").await;
    env.sandbox().set_api_key_secret("acme", API_KEY_ID, SecretString::from("another-key")).expect("a key");
    env.apply(&grant("request", REQUEST)).await;
    let why = env.until_reason("amorg", &env.organization, "Ready", "CredentialsRejected").await;
    let secret = format!("put a valid key into Secret {OPERATOR_NAMESPACE}/{}", env.organization);
    assert!(why.contains(&secret), "{why}");
    env.apply(&env.secret("another-key")).await;
    env.until_ready("amorg", &env.organization).await;
    env.until_ready("tpg", "request").await;
    assert_eq!(env.issued().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn suspended_organization_changes_nothing() {
    let env = TestEnv::ready("pause").await;
    env.patch("amorg", &env.organization, json!({"spec": {"suspend": true}})).await;
    let why = env.until_reason("amorg", &env.organization, "Ready", "Suspended").await;
    assert!(why.contains("the operator changes nothing at Amigo"), "{why}");
    env.apply(&grant("request", REQUEST)).await;
    env.apply(&role("triage", "")).await;
    let why = env.until_reason("tpg", "request", "Ready", "Suspended").await;
    assert!(why.contains(&env.organization), "{why}");
    env.until_reason("amrole", "triage", "Ready", "Suspended").await;
    assert!(env.sandbox().journal().is_empty());
    env.patch("amorg", &env.organization, json!({"spec": {"suspend": false}})).await;
    env.until_ready("tpg", "request").await;
    env.until_ready("amrole", "triage").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_is_served_once_it_is_allowed() {
    let env = TestEnv::ready("allowed").await;
    env.patch("amorg", &env.organization, json!({"spec": {"allowedNamespaces": ["another"]}})).await;
    env.apply(&grant("request", REQUEST)).await;
    let why = env.until_reason("tpg", "request", "Ready", "NamespaceNotAllowed").await;
    assert!(why.contains("allowedNamespaces") && why.contains(&env.organization), "{why}");
    assert!(env.issued().is_empty());
    env.patch("amorg", &env.organization, json!({"spec": {"allowedNamespaces": ["*"]}})).await;
    env.until_ready("tpg", "request").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_follow_a_recreated_organization() {
    let env = TestEnv::ready("gone").await;
    env.apply(&grant("before", REQUEST)).await;
    env.until_ready("tpg", "before").await;
    env.delete("amorg", &env.organization).await;
    env.until_gone("amorg", &env.organization).await;
    env.apply(&grant("after", REQUEST)).await;
    let why = env.until_reason("tpg", "after", "Ready", "OrganizationNotFound").await;
    assert!(why.contains("kubectl get organizations"), "{why}");
    let live = env.condition("tpg", "before", "Ready").await.expect("a condition");
    assert_eq!(live.status, "True", "access that is live goes on: {live:?}");
    env.connect("").await;
    env.until_ready("tpg", "after").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_secret_is_told_and_its_return_noticed() {
    let env = TestEnv::ready("secret").await;
    let secrets: Api<Secret> = Api::namespaced(env.client.clone(), OPERATOR_NAMESPACE);
    secrets.delete(&env.organization, &DeleteParams::default()).await.expect("deleted");
    let why = env.until_reason("amorg", &env.organization, "Ready", "SecretNotFound").await;
    assert!(why.contains(&format!("{OPERATOR_NAMESPACE}/{}", env.organization)), "{why}");
    env.apply(&env.secret("sandbox-api-key")).await;
    env.until_ready("amorg", &env.organization).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_ends_within_two_weeks_warns() {
    let end = SystemClock.now() + SignedDuration::from_hours(13 * 24);
    let env = TestEnv::seeded("expiring", |seed| {
        let keys = &mut seed.organizations[0].api_keys;
        let next = ApiKeySeed { id: NEXT_KEY.to_owned(), ..keys[0].clone() };
        keys[0].expires_at = Some(end);
        keys.push(next);
    })
    .await;
    env.connect("").await;
    env.until_ready("amorg", &env.organization).await;
    let why = env.until_reason("amorg", &env.organization, "CredentialsValid", "CredentialsExpireSoon").await;
    assert!(why.contains("put a new key into the Secret"), "{why}");
    assert!(env.member("amorg", &env.organization, "/status/apiKeyExpiresAt").await.is_string());
    env.apply(&env.secret("sandbox-api-key").replace(API_KEY_ID, NEXT_KEY)).await;
    env.until_reason("amorg", &env.organization, "CredentialsValid", "CredentialsValid").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forced_permission_model_overrides_detection() {
    let env = TestEnv::allow_deny("forced").await;
    assert_eq!(env.member("amorg", &env.organization, "/status/permissionModel").await, "AllowDeny");
    env.patch("amorg", &env.organization, json!({"spec": {"permissionModel": "AllowOnly"}})).await;
    env.until_member("amorg", &env.organization, "/status/permissionModel", json!("AllowOnly")).await;
    // No Allow says "anything but": the Deny cannot be compiled away.
    let lines = "  - {permissionName: 'Conversation:GetMessage', action: Deny, conditions: {conversation_user_id: {type: Equals, value: \
                 another}}}";
    env.apply(&role("denies", lines)).await;
    env.until_reason("amrole", "denies", "Ready", "DenyNotSupported").await;
    env.patch("amorg", &env.organization, json!({"spec": {"permissionModel": "Detect"}})).await;
    env.until_ready("amrole", "denies").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sweep_counts_what_is_not_ours() {
    let env = TestEnv::ready("sweep").await;
    let grant = json!({
        "user_id": "user-eng-2c91", "duration": "PT1H", "justification": "By hand at the console", "tags": {},
        "permission_grant": {
            "permission_name": "Conversation:GetMessage",
            "conditions": {"org_id": {"type": "Equals", "value": "acme"}},
        },
    });
    env.change_out_of_band("/role/temporary_permission_grant/", grant).await;
    let counted = json!({"active": 1, "managed": 0, "orphaned": 0, "unmanaged": 1});
    env.until_member("amorg", &env.organization, "/status/grants", counted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l4_an_organization_that_hangs_slows_no_other() {
    let (hanging, prompt) = (TestEnv::ready("hangs").await, TestEnv::ready("prompt").await);
    hanging.fail_always(Operation::GetUsers, Effect::Hang);
    // Whoever is not in the first call waits for the next minute.
    hanging.patch("amorg", &hanging.organization, json!({"spec": {"rateLimit": {"limits": {"users": 1}}}})).await;
    let many: Vec<_> = (0..2 * CONCURRENCY).map(|number| grant(&format!("waits-{number}"), REQUEST)).collect();
    hanging.apply(&many.join("---\n")).await;
    hanging.until_reason("tpg", &format!("waits-{}", 2 * CONCURRENCY - 1), "Ready", "Queued").await;
    prompt.apply(&grant("request", REQUEST)).await;
    let served = timeout(Duration::from_secs(5), prompt.until_ready("tpg", "request")).await;
    assert!(served.is_ok(), "{}", prompt.describe("tpg", "request"));
    hanging.delete("amorg", &hanging.organization).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn live_grants_and_settled_objects_rest_in_silence() {
    let env = TestEnv::with_operator("rest").await;
    env.connect("").await;
    env.patch("amorg", &env.organization, json!({"spec": {"roles": {"resyncInterval": "PT1H"}}})).await;
    for number in 0..5 {
        env.apply(&grant(&format!("grant-{number}"), REQUEST)).await;
        env.apply(&role(&format!("role-{number}"), "")).await;
    }
    for number in 0..5 {
        env.until_ready("tpg", &format!("grant-{number}")).await;
        env.until_ready("amrole", &format!("role-{number}")).await;
    }
    let sweeps = |env: &TestEnv| env.sandbox().requests().count(Operation::GetTemporaryPermissionGrants);
    let (before, swept) = (env.sandbox().requests().total(), sweeps(&env));
    let (_, written) = env.activity("tpg", "grant-0", Duration::from_secs(6)).await;
    let others = env.sandbox().requests().total() - before - (sweeps(&env) - swept);
    assert_eq!((others, written), (0, false), "{:#?}", env.sandbox().requests().counts);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_older_duplicate_organization_connects() {
    let env = TestEnv::ready("twice").await;
    env.until_older("amorg", &env.organization).await;
    let younger = format!("{}-younger", env.organization);
    let manifest = env.organization_at(&format!("{}/", env.amigo_url()), "");
    let mut duplicate: serde_json::Value = serde_json::from_str(&manifest).expect("an object");
    duplicate["metadata"]["name"] = json!(younger);
    env.apply(&duplicate.to_string()).await;
    let why = env.until_reason("amorg", &younger, "Ready", "Conflict").await;
    assert!(why.contains(&format!("the older Organization {}", env.organization)), "{why}");
    let older = env.condition("amorg", &env.organization, "Ready").await.expect("a condition");
    assert_eq!(older.status, "True", "{older:?}");
    env.delete("amorg", &env.organization).await;
    env.until_ready("amorg", &younger).await;
    env.delete("amorg", &younger).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_organizations_serve_their_own_objects() {
    let (staging, production) = (TestEnv::ready("staging").await, TestEnv::ready("production").await);
    for env in [&staging, &production] {
        env.patch("amorg", &env.organization, json!({"spec": {"allowedNamespaces": ["*"]}})).await;
    }
    // Objects of both in one namespace.
    let own = |env: &TestEnv, object: String| object.replace("ORGANIZATION", &env.organization);
    staging.apply(&own(&staging, role("tester", ""))).await;
    staging.apply(&own(&production, role("approver", "  managementPolicy: Observe"))).await;
    staging.apply(&own(&production, grant("request", REQUEST))).await;
    staging.until_ready("amrole", "tester").await;
    staging.until_ready("tpg", "request").await;
    staging.until_reason("amrole", "approver", "Ready", "Drifted").await;
    assert_eq!((staging.issued().len(), production.issued().len()), (0, 3));
    let has = |env: &TestEnv, name: &str| env.sandbox().roles("acme").iter().any(|role| role.name == name);
    assert!(has(&staging, "tester") && !has(&production, "tester") && !has(&production, "approver"));
    // An outage of one is not the other's.
    staging.fail_always(Operation::GetRoles, Effect::status(503));
    staging.until_reason("amorg", &staging.organization, "Ready", "Unavailable").await;
    production.apply(&role("unaffected", "")).await;
    production.until_ready("amrole", "unaffected").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn organization_made_again_connects_again() {
    let env = TestEnv::ready("recreated").await;
    for _ in 0..3 {
        let uid = env.member("amorg", &env.organization, "/metadata/uid").await;
        env.delete("amorg", &env.organization).await;
        env.connect("").await;
        assert_ne!(env.member("amorg", &env.organization, "/metadata/uid").await, uid);
        env.until_ready("amorg", &env.organization).await;
    }
    env.apply(&grant("request", REQUEST)).await;
    env.until_ready("tpg", "request").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_ends_the_warning_about_the_old_one() {
    let end = SystemClock.now() + SignedDuration::from_hours(13 * 24);
    let another = API_KEY_ID.replace('5', "6");
    let env = TestEnv::seeded("renewed", |seed| {
        let keys = &mut seed.organizations[0].api_keys;
        let mut key = keys[0].clone();
        key.id.clone_from(&another);
        keys[0].expires_at = Some(end);
        keys.push(key);
    })
    .await;
    env.connect("").await;
    env.until_reason("amorg", &env.organization, "CredentialsValid", "CredentialsExpireSoon").await;
    env.apply(&env.secret("sandbox-api-key").replace(API_KEY_ID, &another)).await;
    env.until_reason("amorg", &env.organization, "CredentialsValid", "CredentialsValid").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unrelated_edit_triggers_no_sign_in() {
    let env = TestEnv::ready("edited").await;
    let sign_ins = || env.sandbox().requests().count(Operation::SignInWithApiKey);
    let before = sign_ins();
    for allowed in ["one", "two", "three"] {
        env.patch("amorg", &env.organization, json!({"spec": {"allowedNamespaces": [allowed, env.organization]}}))
            .await;
        let generation = env.member("amorg", &env.organization, "/metadata/generation").await;
        env.until_member("amorg", &env.organization, "/status/observedGeneration", generation).await;
        env.apply(&grant(allowed, REQUEST)).await;
        env.until_ready("tpg", allowed).await;
    }
    assert_eq!(sign_ins(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn orphaned_grants_are_told_once_with_their_names() {
    let env = TestEnv::ready("left").await;
    env.apply(&grant("early", REQUEST)).await;
    env.until_ready("tpg", "early").await;
    env.delete("tpg", "early").await;
    let events: Api<Event> = Api::namespaced(env.client.clone(), "default");
    let about = ListParams::default().fields(&format!("involvedObject.name={},reason=Orphaned", env.organization));
    let told = || async { events.list(&about).await.expect("Events").items };
    let first = eventually(TIMEOUT, "an Event about orphaned grants", || async { told().await.pop() }).await;
    let note = first.message.clone().unwrap_or_default();
    let tagged = format!("{}/early", env.namespace.replace('-', "_"));
    assert!(note.contains("3 live grants") && note.contains(&tagged), "{note}");
    assert_eq!(first.type_.as_deref(), Some("Warning"));
    // Longer than from one sweep to the next.
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert_eq!(told().await, [first]);
}
