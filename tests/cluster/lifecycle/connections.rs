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

use super::roles::role;
use test_support::{
    eventually,
    test_env::{CONCURRENCY, KEY, OPERATOR_NAMESPACE, PATIENCE, Stage, grant},
};

const NEXT_KEY: &str = "6c2e8d2f-1d66-4d10-8b68-8a3a1f4d0c22";
const REQUEST: &str = "  conversation: {ownerUserId: user-owner-7f3a}";

#[tokio::test(flavor = "multi_thread")]
async fn a_connected_organization_tells_what_it_sees() {
    let stage = Stage::new("connected").await;
    let shown = stage.member("amorg", &stage.name, "/status").await;
    assert_eq!((shown["orgId"].as_str(), shown["orgName"].as_str()), (Some("acme"), Some("Acme Health")));
    assert_eq!(
        (shown["serviceUserId"].as_str(), shown["permissionModel"].as_str()),
        (Some("user-operator-0001"), Some("AllowOnly"))
    );
    let seeded = stage.sandbox.roles("acme").len();
    assert_eq!(shown["roles"], json!({"visible": seeded, "managed": 0}));
    let valid = stage.condition("amorg", &stage.name, "CredentialsValid").await.expect("a condition");
    assert_eq!((valid.status.as_str(), valid.message.as_str()), ("True", "signs in as user-operator-0001"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_key_is_picked_up_within_seconds() {
    let stage = Stage::new("rotate").await;
    stage.sandbox.set_api_key_secret("acme", KEY, SecretString::from("another-key")).expect("a key");
    stage.apply(&grant("request", REQUEST)).await;
    let why = stage.until_reason("amorg", &stage.name, "Ready", "CredentialsRejected").await;
    let secret = format!("put a valid key into Secret {OPERATOR_NAMESPACE}/{}", stage.name);
    assert!(why.contains(&secret), "{why}");
    stage.apply(&stage.secret("another-key")).await;
    stage.until_ready("amorg", &stage.name).await;
    stage.until_ready("tpg", "request").await;
    assert_eq!(stage.issued().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn suspended_organization_changes_nothing() {
    let stage = Stage::new("pause").await;
    stage.patch("amorg", &stage.name, json!({"spec": {"suspend": true}})).await;
    let why = stage.until_reason("amorg", &stage.name, "Ready", "Suspended").await;
    assert!(why.contains("nothing is changed at Amigo"), "{why}");
    stage.apply(&grant("request", REQUEST)).await;
    stage.apply(&role("triage", "")).await;
    let why = stage.until_reason("tpg", "request", "Ready", "Suspended").await;
    assert!(why.contains(&stage.name), "{why}");
    stage.until_reason("amrole", "triage", "Ready", "Suspended").await;
    assert!(stage.sandbox.journal().is_empty());
    stage.patch("amorg", &stage.name, json!({"spec": {"suspend": false}})).await;
    stage.until_ready("tpg", "request").await;
    stage.until_ready("amrole", "triage").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_is_served_once_it_is_allowed() {
    let stage = Stage::new("allowed").await;
    stage.patch("amorg", &stage.name, json!({"spec": {"allowedNamespaces": ["another"]}})).await;
    stage.apply(&grant("request", REQUEST)).await;
    let why = stage.until_reason("tpg", "request", "Ready", "NamespaceNotAllowed").await;
    assert!(why.contains("allowedNamespaces") && why.contains(&stage.name), "{why}");
    assert!(stage.issued().is_empty());
    stage.patch("amorg", &stage.name, json!({"spec": {"allowedNamespaces": ["*"]}})).await;
    stage.until_ready("tpg", "request").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_follow_a_recreated_organization() {
    let stage = Stage::new("gone").await;
    stage.apply(&grant("before", REQUEST)).await;
    stage.until_ready("tpg", "before").await;
    stage.delete("amorg", &stage.name).await;
    stage.until_gone("amorg", &stage.name).await;
    stage.apply(&grant("after", REQUEST)).await;
    let why = stage.until_reason("tpg", "after", "Ready", "OrganizationNotFound").await;
    assert!(why.contains("kubectl get organizations"), "{why}");
    let live = stage.condition("tpg", "before", "Ready").await.expect("a condition");
    assert_eq!(live.status, "True", "access that is live goes on: {live:?}");
    stage.connect("").await;
    stage.until_ready("tpg", "after").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_secret_is_told_and_its_return_noticed() {
    let stage = Stage::new("secret").await;
    let secrets: Api<Secret> = Api::namespaced(stage.cluster.client.clone(), OPERATOR_NAMESPACE);
    secrets.delete(&stage.name, &DeleteParams::default()).await.expect("deleted");
    let why = stage.until_reason("amorg", &stage.name, "Ready", "SecretNotFound").await;
    assert!(why.contains(&format!("{OPERATOR_NAMESPACE}/{}", stage.name)), "{why}");
    stage.apply(&stage.secret("sandbox-api-key")).await;
    stage.until_ready("amorg", &stage.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_ends_within_two_weeks_warns() {
    let end = SystemClock.now() + SignedDuration::from_hours(13 * 24);
    let stage = Stage::seeded("expiring", |seed| {
        let keys = &mut seed.organizations[0].api_keys;
        let next = ApiKeySeed { id: NEXT_KEY.to_owned(), ..keys[0].clone() };
        keys[0].expires_at = Some(end);
        keys.push(next);
    })
    .await;
    stage.connect("").await;
    stage.until_ready("amorg", &stage.name).await;
    let why = stage.until_reason("amorg", &stage.name, "CredentialsValid", "CredentialsExpireSoon").await;
    assert!(why.contains("put a new one into the Secret"), "{why}");
    assert!(stage.member("amorg", &stage.name, "/status/apiKeyExpiresAt").await.is_string());
    stage.apply(&stage.secret("sandbox-api-key").replace(KEY, NEXT_KEY)).await;
    stage.until_reason("amorg", &stage.name, "CredentialsValid", "CredentialsValid").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forced_permission_model_overrides_detection() {
    let stage = Stage::allow_deny("forced").await;
    assert_eq!(stage.member("amorg", &stage.name, "/status/permissionModel").await, "AllowDeny");
    stage.patch("amorg", &stage.name, json!({"spec": {"permissionModel": "AllowOnly"}})).await;
    stage.until_member("amorg", &stage.name, "/status/permissionModel", json!("AllowOnly")).await;
    // No Allow says "anything but": the Deny cannot be compiled away.
    let lines = "  - {permissionName: 'Conversation:GetMessage', action: Deny, conditions: {conversation_user_id: {type: Equals, value: \
                 another}}}";
    stage.apply(&role("denies", lines)).await;
    stage.until_reason("amrole", "denies", "Ready", "DenyNotSupported").await;
    stage.patch("amorg", &stage.name, json!({"spec": {"permissionModel": "Detect"}})).await;
    stage.until_ready("amrole", "denies").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sweep_counts_what_is_not_ours() {
    let stage = Stage::new("sweep").await;
    let grant = json!({
        "user_id": "user-eng-2c91", "duration": "PT1H", "justification": "By hand at the console", "tags": {},
        "permission_grant": {
            "permission_name": "Conversation:GetMessage",
            "conditions": {"org_id": {"type": "Equals", "value": "acme"}},
        },
    });
    stage.by_hand("/role/temporary_permission_grant/", grant).await;
    let counted = json!({"active": 1, "managed": 0, "orphaned": 0, "unmanaged": 1});
    stage.until_member("amorg", &stage.name, "/status/grants", counted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l4_an_organization_that_hangs_slows_no_other() {
    let (hanging, prompt) = (Stage::new("hangs").await, Stage::new("prompt").await);
    hanging.fail(Operation::GetUsers, Effect::Hang);
    // Whoever is not in the first call waits for the next minute.
    hanging.patch("amorg", &hanging.name, json!({"spec": {"rateLimit": {"limits": {"users": 1}}}})).await;
    let many: Vec<_> = (0..2 * CONCURRENCY).map(|number| grant(&format!("waits-{number}"), REQUEST)).collect();
    hanging.apply(&many.join("---\n")).await;
    hanging.until_reason("tpg", &format!("waits-{}", 2 * CONCURRENCY - 1), "Ready", "Queued").await;
    prompt.apply(&grant("request", REQUEST)).await;
    let served = timeout(Duration::from_secs(5), prompt.until_ready("tpg", "request")).await;
    assert!(served.is_ok(), "{}", prompt.describe("tpg", "request"));
    hanging.delete("amorg", &hanging.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn live_grants_and_settled_objects_rest_in_silence() {
    let stage = Stage::bare("rest").await;
    stage.connect("").await;
    stage.patch("amorg", &stage.name, json!({"spec": {"roles": {"resyncInterval": "PT1H"}}})).await;
    for number in 0..5 {
        stage.apply(&grant(&format!("grant-{number}"), REQUEST)).await;
        stage.apply(&role(&format!("role-{number}"), "")).await;
    }
    for number in 0..5 {
        stage.until_ready("tpg", &format!("grant-{number}")).await;
        stage.until_ready("amrole", &format!("role-{number}")).await;
    }
    let sweeps = |stage: &Stage| stage.sandbox.requests().count(Operation::GetTemporaryPermissionGrants);
    let (before, swept) = (stage.sandbox.requests().total(), sweeps(&stage));
    let (_, written) = stage.activity("tpg", "grant-0", Duration::from_secs(6)).await;
    let others = stage.sandbox.requests().total() - before - (sweeps(&stage) - swept);
    assert_eq!((others, written), (0, false), "{:#?}", stage.sandbox.requests().counts);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_older_duplicate_organization_connects() {
    let stage = Stage::new("twice").await;
    stage.until_older("amorg", &stage.name).await;
    let younger = format!("{}-younger", stage.name);
    let manifest = stage.organization(&format!("http://{}/", stage.address), "");
    let named = |name: &str| format!("metadata: {{name: {name}}}");
    stage.apply(&manifest.replace(&named(&stage.name), &named(&younger))).await;
    let why = stage.until_reason("amorg", &younger, "Ready", "Conflict").await;
    assert!(why.contains(&format!("the older Organization {}", stage.name)), "{why}");
    let older = stage.condition("amorg", &stage.name, "Ready").await.expect("a condition");
    assert_eq!(older.status, "True", "{older:?}");
    stage.delete("amorg", &stage.name).await;
    stage.until_ready("amorg", &younger).await;
    stage.delete("amorg", &younger).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_made_anew_is_connected_anew() {
    let stage = Stage::new("anew").await;
    for _ in 0..3 {
        let uid = stage.member("amorg", &stage.name, "/metadata/uid").await;
        stage.delete("amorg", &stage.name).await;
        stage.connect("").await;
        assert_ne!(stage.member("amorg", &stage.name, "/metadata/uid").await, uid);
        stage.until_ready("amorg", &stage.name).await;
    }
    stage.apply(&grant("request", REQUEST)).await;
    stage.until_ready("tpg", "request").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_ends_the_warning_about_the_old_one() {
    let end = SystemClock.now() + SignedDuration::from_hours(13 * 24);
    let another = KEY.replace('5', "6");
    let stage = Stage::seeded("renewed", |seed| {
        let keys = &mut seed.organizations[0].api_keys;
        let mut key = keys[0].clone();
        key.id.clone_from(&another);
        keys[0].expires_at = Some(end);
        keys.push(key);
    })
    .await;
    stage.connect("").await;
    stage.until_reason("amorg", &stage.name, "CredentialsValid", "CredentialsExpireSoon").await;
    stage.apply(&stage.secret("sandbox-api-key").replace(KEY, &another)).await;
    stage.until_reason("amorg", &stage.name, "CredentialsValid", "CredentialsValid").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unrelated_edit_triggers_no_sign_in() {
    let stage = Stage::new("edited").await;
    let sign_ins = || stage.sandbox.requests().count(Operation::SignInWithApiKey);
    let before = sign_ins();
    for allowed in ["one", "two", "three"] {
        stage.patch("amorg", &stage.name, json!({"spec": {"allowedNamespaces": [allowed, stage.name]}})).await;
        let generation = stage.member("amorg", &stage.name, "/metadata/generation").await;
        stage.until_member("amorg", &stage.name, "/status/observedGeneration", generation).await;
        stage.apply(&grant(allowed, REQUEST)).await;
        stage.until_ready("tpg", allowed).await;
    }
    assert_eq!(sign_ins(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn orphaned_grants_are_told_once_with_their_names() {
    let stage = Stage::new("left").await;
    stage.apply(&grant("early", REQUEST)).await;
    stage.until_ready("tpg", "early").await;
    stage.delete("tpg", "early").await;
    let events: Api<Event> = Api::namespaced(stage.cluster.client.clone(), "default");
    let about = ListParams::default().fields(&format!("involvedObject.name={},reason=Orphaned", stage.name));
    let told = || async { events.list(&about).await.expect("Events").items };
    let first = eventually(PATIENCE, "an Event about orphaned grants", || async { told().await.pop() }).await;
    let note = first.message.clone().unwrap_or_default();
    let tagged = format!("{}/early", stage.cluster.namespace.replace('-', "_"));
    assert!(note.contains("3 grants") && note.contains(&tagged), "{note}");
    assert_eq!(first.type_.as_deref(), Some("Warning"));
    // Longer than from one sweep to the next.
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert_eq!(told().await, [first]);
}
