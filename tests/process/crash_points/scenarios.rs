//! The lives of a grant, a role and an assignment, with what is there at each stage.

use std::{collections::BTreeSet, future::Future, time::Duration};

use amigo_sandbox::RoleSeed;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use test_support::{TestEnv, fixture, grant, operator::TIMING, role};
use tokio::time::{Instant, sleep};

use super::outcome::conditions;

const COLLEAGUE: &str = "user-colleague-51d0";
/// Two renewals, about a minute apart, and no third one, even if crashes delay them by half a minute.
const LEASED: &str = "  duration: PT3M45S
  revokeWithin: PT2M
  permissions:
    - {permissionName: 'Conversation:GetMessage', conditions: {org_id: {type: Equals, value: acme}}}
    - {permissionName: 'User:GetUserInfo', conditions: {org_id: {type: Equals, value: acme}}}
";
const DURATION: SignedDuration = SignedDuration::from_secs(225);
/// A restart, a quarantine, and many other operators.
const RECOVERY: Duration = Duration::from_mins(1);

/// What happens to the objects of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Issued, renewed twice, expired.
    Grant,
    /// Created, changed, disabled; another one adopted.
    Role,
    /// Assigned, changed, released.
    Assignment,
}

impl Scenario {
    /// What is at Amigo before.
    pub fn prepare(self, env: &TestEnv) {
        if self == Self::Role {
            let seed = json!({"name": "mine", "description": "Somebody else's", "frontend_view": "client",
                "permission_grants": []});
            let seed: RoleSeed = serde_json::from_value(seed).expect("a role");
            env.sandbox().add_role("acme", seed).expect("a role");
        }
    }

    /// Returns what is there at each stage.
    pub async fn play(self, env: &TestEnv) -> Vec<Value> {
        match self {
            Self::Grant => play_grant(env).await,
            Self::Role => play_role(env).await,
            Self::Assignment => play_assignment(env).await,
        }
    }
}

async fn play_grant(env: &TestEnv) -> Vec<Value> {
    env.apply(&grant("bundle", LEASED)).await;
    let mut stages = Vec::new();
    for lease in 0..3 {
        let object = until(&format!("lease {lease} is issued"), 2 * RECOVERY, async || {
            env.object("tpg", "bundle").await.filter(|object| is_issued(object, lease))
        })
        .await;
        assert_ids_are_issued(env, &object);
        stages.push(json!({"lease": lease, "phase": object["status"]["phase"], "conditions": conditions(&object)}));
    }
    let activated_at = env.member("tpg", "bundle", "/status/activatedAt").await;
    until("the object is gone", 4 * RECOVERY, async || env.object("tpg", "bundle").await.is_none().then_some(())).await;
    assert_ends(env, activated_at.as_str().expect("a time").parse().expect("a timestamp"));
    stages.push(connected(env).await);
    stages
}

fn is_issued(object: &Value, lease: u64) -> bool {
    let status = &object["status"];
    let grants = status["grants"].as_array().cloned().unwrap_or_default();
    let of_lease = grants.iter().filter(|grant| grant["lease"].as_u64().unwrap_or(0) == lease).count();
    of_lease == 2 && status["intent"].is_null()
}

/// S6: the status has only IDs that Amigo has.
fn assert_ids_are_issued(env: &TestEnv, object: &Value) {
    let issued: BTreeSet<String> = env.issued().into_iter().map(|grant| grant.id).collect();
    let grants = object["status"]["grants"].as_array().expect("grants");
    assert!(grants.iter().all(|grant| issued.contains(grant["id"].as_str().expect("an ID"))), "{grants:?}, {issued:?}");
}

/// S2: no access lasts longer than the duration and the margins; the object is not gone before the access.
fn assert_ends(env: &TestEnv, activated_at: Timestamp) {
    let margin = SignedDuration::try_from(TIMING.send_window + TIMING.commit).expect("short");
    for grant in env.issued() {
        let lasts = activated_at.duration_until(grant.expires_at);
        assert!(lasts <= DURATION + margin, "{lasts:?}: {grant:?}");
    }
    assert!(env.sandbox().live_grants("acme").is_empty(), "the object is gone before its access");
}

async fn play_role(env: &TestEnv) -> Vec<Value> {
    let mut stages = Vec::new();
    env.apply(&role("triage", "  deletionPolicy: Disable")).await;
    stages.push(role_stage(env, "triage").await);
    env.patch("amrole", "triage", json!({"spec": {"description": "Sorts reports"}})).await;
    stages.push(role_stage(env, "triage").await);
    let own_organization = json!({"org_id": {"type": "Equals", "value": "{self_org_id}"}});
    let grants = json!([{"permissionName": "Conversation:GetConversation", "conditions": own_organization}]);
    env.patch("amrole", "triage", json!({"spec": {"permissionGrants": grants}})).await;
    stages.push(role_stage(env, "triage").await);
    env.apply(&role("mine", "  adoption: Override")).await;
    stages.push(role_stage(env, "mine").await);
    env.delete("amrole", "triage").await;
    until_gone(env, "amrole", "triage").await;
    stages.push(remote_role(env, "triage"));
    stages.push(connected(env).await);
    stages
}

async fn role_stage(env: &TestEnv, name: &str) -> Value {
    let object = until_ready(env, "amrole", name).await;
    let sent = env.sandbox().roles("acme").into_iter().find(|role| role.name == name).map(|role| role.id);
    assert_eq!(object["status"]["roleId"], json!(sent), "the status names the current document");
    json!({"conditions": conditions(&object), "finalizers": object["metadata"]["finalizers"], "remote": remote_role(env, name)})
}

fn remote_role(env: &TestEnv, name: &str) -> Value {
    let role = env.sandbox().roles("acme").into_iter().find(|role| role.name == name).expect("the role");
    json!({"description": role.description, "grants": format!("{:?}", role.permission_grants)})
}

async fn play_assignment(env: &TestEnv) -> Vec<Value> {
    let mut stages = Vec::new();
    let extra = "  roleName: DefaultUserRole\n  fallbackRoleName: DefaultUserRole";
    let values = [("NAME", "colleague"), ("USER", "email: colleague@example.com"), ("EXTRA", extra)];
    env.apply(&fixture("role-assignment.yaml", &values)).await;
    stages.push(assignment_stage(env).await);
    env.patch("amra", "colleague", json!({"spec": {"roleName": "Engineer"}})).await;
    stages.push(assignment_stage(env).await);
    env.delete("amra", "colleague").await;
    until_gone(env, "amra", "colleague").await;
    stages.push(json!(env.sandbox().user_role("acme", COLLEAGUE)));
    stages.push(connected(env).await);
    stages
}

async fn assignment_stage(env: &TestEnv) -> Value {
    let object = until_ready(env, "amra", "colleague").await;
    let status = &object["status"];
    let recorded = json!([status["userId"], status["roleName"], status["assigning"]]);
    json!({"conditions": conditions(&object), "recorded": recorded, "remote": env.sandbox().user_role("acme", COLLEAGUE)})
}

/// The Organization, which must be connected.
async fn connected(env: &TestEnv) -> Value {
    json!(conditions(&until_ready(env, "amorg", &env.organization).await))
}

async fn until_gone(env: &TestEnv, kind: &str, name: &str) {
    let gone = async || env.object(kind, name).await.is_none().then_some(());
    until(&format!("{kind}/{name} is gone"), RECOVERY, gone).await;
}

async fn until_ready(env: &TestEnv, kind: &str, name: &str) -> Value {
    let is_ready = |object: &Value| {
        let observed = object["status"]["observedGeneration"] == object["metadata"]["generation"];
        observed && conditions(object).iter().any(|condition| condition.starts_with("Ready True"))
    };
    until(&format!("{kind}/{name} is ready"), RECOVERY, async || env.object(kind, name).await.filter(is_ready)).await
}

/// Polls more slowly than other tests do, because many runs share the API server.
async fn until<T, F: Future<Output = Option<T>>>(what: &str, within: Duration, attempt: impl Fn() -> F) -> T {
    let deadline = Instant::now() + within;
    loop {
        if let Some(found) = attempt().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {within:?}: {what}");
        sleep(Duration::from_millis(300)).await;
    }
}
