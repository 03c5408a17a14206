//! The guide's own examples, end to end: its conversation request, its two roles, and all of `examples/`.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use amigo_api::RoleSpec;
use amigo_permissions::{Action, PermissionGrant};
use amigo_sandbox::{GrantCreated, Operation};
use jiff::Timestamp;
use kube::ResourceExt as _;
use serde_json::json;
use test_support::{OPERATOR_NAMESPACE, TestEnv, grant};

const CONVERSATION: &str = "  conversation: {id: abc123def456abc123def456}";
const URL: &str = "  conversation: {url: https://acme.amigo.ai/admin/conversation/abc123def456abc123def456}";
const OWNER: &str = "  conversation: {ownerUserId: user-owner-7f3a}";

#[tokio::test(flavor = "multi_thread")]
async fn one_conversation_request_becomes_three_grants() {
    let env = TestEnv::ready("guide").await;
    env.apply(&grant("request", CONVERSATION)).await;
    env.until_ready("tpg", "request").await;
    assert_guide_grants(&env).await;
    assert_eq!(env.issued().len(), 3, "nothing more in the journal");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_names_the_same_conversation() {
    let env = TestEnv::ready("url").await;
    env.apply(&grant("request", URL)).await;
    env.until_ready("tpg", "request").await;
    assert_guide_grants(&env).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_needs_no_look_up() {
    let env = TestEnv::ready("owner").await;
    env.apply(&grant("request", OWNER)).await;
    env.until_ready("tpg", "request").await;
    assert_guide_grants(&env).await;
    assert_eq!(env.sandbox().requests().count(Operation::GetConversations), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn status_shows_what_the_journal_has() {
    let env = TestEnv::ready("status").await;
    env.apply(&grant("request", CONVERSATION)).await;
    env.until_ready("tpg", "request").await;
    let mut issued = env.issued();
    issued.sort_by(|one, other| one.permission_name.cmp(&other.permission_name));
    let shown = env.member("tpg", "request", "/status").await;
    assert_eq!(shown["userId"], "user-eng-2c91");
    assert_eq!(shown["conversationOwnerUserId"], "user-owner-7f3a");
    let mut grants = shown["grants"].as_array().expect("grants").clone();
    grants.sort_by_key(|grant| grant["permissionName"].to_string());
    assert_eq!(grants.len(), 3);
    for (grant, issued) in grants.iter().zip(&issued) {
        let end: Timestamp = grant["expiresAt"].as_str().expect("an end").parse().expect("a time");
        // The API's timestamps have milliseconds.
        let told = (&grant["id"], end.as_millisecond());
        assert_eq!(told, (&json!(issued.id), issued.expires_at.as_millisecond()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_grant_cost_two_writes_and_three_posts() {
    let env = TestEnv::ready("cost").await;
    let created = env.apply(&grant("request", CONVERSATION)).await;
    env.until_ready("tpg", "request").await;
    let requests = env.sandbox().requests();
    assert_eq!(env.writes(&created[0]).await, ["MODIFIED", "MODIFIED"]);
    assert_eq!(requests.count(Operation::CreateTemporaryPermissionGrant), 3);
    assert_eq!((requests.count(Operation::GetUsers), requests.count(Operation::GetConversations)), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_and_audit_lines_have_all_details() {
    let env = TestEnv::ready("audit").await;
    env.apply(&grant("request", &format!("  requestedBy: erin\n{CONVERSATION}"))).await;
    env.until_event("request", "Active").await;
    let lines = env.audit("request").await;
    let active = lines.iter().find(|line| line["event"] == "Active").expect("an audit line");
    let wanted = json!({
        "kind": "TemporaryPermissionGrant", "organization": env.organization, "requestedBy": "erin", "user": "eng@example.com",
        "userId": "user-eng-2c91", "conversationOwnerUserId": "user-owner-7f3a",
        "justification": "Debugging reported issue #42", "access": PERMISSIONS,
        "until": env.member("tpg", "request", "/status/expiresAt").await,
    });
    let told: serde_json::Map<_, _> =
        wanted.as_object().expect("an object").keys().map(|key| (key.clone(), active[key].clone())).collect();
    assert_eq!(json!(told), wanted);
    let ids: Vec<_> = env.issued().into_iter().map(|grant| json!(grant.id)).collect();
    assert!(ids.iter().all(|id| active["remoteIds"].as_array().expect("ids").contains(id)), "{active:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_tells_a_person_how_things_stand() {
    let env = TestEnv::ready("people").await;
    env.apply(&grant("request", CONVERSATION)).await;
    let waited = env.kubectl(&["wait", "--for=condition=Ready", "--timeout=20s", "tpg/request"]);
    assert!(waited.success, "{waited:?}");
    env.until_event("request", "Active").await;
    let list = env.kubectl(&["get", "amigo", "-A"]).stdout;
    let row = list.lines().find(|line| line.contains(&env.organization) && line.contains("/request"));
    let row: Vec<_> = row.expect(&list).split_whitespace().collect();
    assert_eq!(row[2..6], ["eng@example.com", "Active", "True", "Active"]);
    let told = env.describe("tpg", "request");
    assert!(told.contains("access is live until") && told.contains("3 of 3 permissions issued"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn guide_roles_lose_denies_under_allow_only() {
    let env = TestEnv::ready("allowonly").await;
    for (file, object, name, denies) in [
        ("role-content-moderator", "content-moderator", "content_moderator", "compiled 1 Deny grant into"),
        ("role-viewer", "viewer", "viewer", "compiled 2 Deny grants into"),
    ] {
        env.apply(&example(file, &env)).await;
        let told = env.until_reason("amrole", object, "Ready", "Ready").await;
        assert!(
            told.contains(denies) && told.contains("Temporary grants are not subject to compiled Deny grants"),
            "{told}"
        );
        let made = env.sandbox().roles("acme").into_iter().find(|role| role.name == name).expect("the role");
        let spec: RoleSpec = serde_json::from_value(env.member("amrole", object, "/spec").await).expect("a spec");
        let allows = spec.permission_grants.iter().filter(|line| line.action == Action::Allow);
        assert_eq!(made.permission_grants, allows.map(PermissionGrant::from).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn guide_roles_are_created_under_allow_deny() {
    let env = TestEnv::allow_deny("allowdeny").await;
    for (file, object, name) in
        [("role-content-moderator", "content-moderator", "content_moderator"), ("role-viewer", "viewer", "viewer")]
    {
        env.apply(&example(file, &env)).await;
        env.until_ready("amrole", object).await;
        let made = env.sandbox().roles("acme").into_iter().find(|role| role.name == name).expect("the role");
        let asked = env.member("amrole", object, "/spec").await;
        assert_eq!(json!(made.description), asked["description"]);
        assert_eq!(json!(made.frontend_view), asked["frontendView"]);
        let spec: RoleSpec = serde_json::from_value(asked).expect("a spec");
        assert_eq!(
            made.permission_grants,
            spec.permission_grants.iter().map(PermissionGrant::from).collect::<Vec<_>>()
        );
        assert_eq!(env.member("amrole", object, "/status/roleId").await, json!(made.id));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_examples_become_ready() {
    let env = TestEnv::with_operator("examples").await;
    let address = env.amigo_url().to_owned();
    let files = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")).expect("examples");
    // The sandbox has one organization; `connections::two_organizations_serve_their_own_objects` has two.
    let others = ["sandbox.yaml", "staging-and-production.yaml"];
    let applied = |file: &PathBuf| file.is_file() && !others.iter().any(|other| file.ends_with(other));
    let mut applied_objects = Vec::new();
    for file in files.map(|file| file.expect("a file").path()).filter(applied) {
        let text = std::fs::read_to_string(&file).expect("text");
        let text = text.replace("https://api.amigo.ai", &address).replace("amigo-system", OPERATOR_NAMESPACE);
        applied_objects.extend(env.apply(&text).await);
    }
    // By name: in other tests' Organizations something is wrong on purpose.
    for object in applied_objects {
        let kind = object.types.as_ref().expect("a kind").kind.to_lowercase();
        if kind != "secret" {
            let name = format!("{kind}.permissions.amigo.ai/{}", object.name_any());
            let waited = env.kubectl(&["wait", "--for=condition=Ready", "--timeout=60s", "-ndefault", &name]);
            assert!(waited.success, "{waited:?}");
        }
    }
    assert_eq!(env.sandbox().user_role("acme", "user-colleague-51d0").as_deref(), Some("conversation_reviewer"));
}

const PERMISSIONS: [&str; 3] =
    ["Conversation:GetConversation", "Conversation:GetMessage", "Conversation:GetInteractionInsights"];

/// What the guide promises for its request: three grants, scoped to owner and organization, each told where it is from.
async fn assert_guide_grants(env: &TestEnv) {
    let issued = env.issued();
    let names: BTreeSet<_> = issued.iter().map(|grant| grant.permission_name.as_str()).collect();
    assert_eq!(names, BTreeSet::from(PERMISSIONS));
    let uid = env.member("tpg", "request", "/metadata/uid").await.as_str().expect("a uid").replace('-', "");
    for grant in &issued {
        assert_eq!(grant.user_id, "user-eng-2c91");
        assert_eq!(grant.duration, "PT2H");
        assert_eq!(grant.justification, "Debugging reported issue #42");
        let scope = json!({
            "conversation_user_id": {"type": "Equals", "value": "user-owner-7f3a"},
            "org_id": {"type": "Equals", "value": "acme"},
        });
        assert_eq!(json!(grant.conditions), scope);
        assert_tags(grant, env, &uid);
    }
}

fn assert_tags(grant: &GrantCreated, env: &TestEnv, uid: &str) {
    let tag = |key: &str| grant.tags.get(key).cloned().flatten().unwrap_or_default();
    assert_eq!((tag("managed_by").as_str(), tag("uid").as_str()), ("amigo_operator", uid));
    assert_eq!((tag("k8s_namespace"), tag("k8s_name").as_str()), (env.organization.replace('-', "_"), "request"));
    assert_eq!((tag("cluster").len(), tag("nonce").len(), tag("attempt").as_str()), (32, 16, "1"));
    assert!(["0_0", "1_0", "2_0"].contains(&tag("slot").as_str()));
}

/// A file of `examples/`, in the test's namespace and Organization.
fn example(name: &str, env: &TestEnv) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(format!("{name}.yaml"));
    let text = std::fs::read_to_string(file).expect("an example");
    text.replace("namespace: default", &format!("namespace: {}", env.organization))
        .replace("name: acme", "name: ORGANIZATION")
}
