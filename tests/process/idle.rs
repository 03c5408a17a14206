//! Rest is quiet: settled objects cost no status write, and no Amigo call but the resync and the sweep.
//!
//! `QUIET_SECONDS` sets how long it is watched; default 62.

#![expect(clippy::print_stdout, reason = "figures are for whoever runs this")]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use amigo_api::{Organization, Role, RoleAssignment, TemporaryPermissionGrant};
use amigo_sandbox::{Operation, UserSeed};
use kube::{Api, Resource, ResourceExt as _, api::ListParams};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use test_support::{Limits, TestEnv, create, eventually, operator_process::OperatorProcess};
use tokio::time::Instant;

const GRANTS: usize = 120;
const ROLES: usize = 40;
const ASSIGNMENTS: usize = 40;
const RESYNC: Duration = Duration::from_secs(30);
const SWEEP: Duration = Duration::from_secs(20);

fn window() -> Duration {
    let seconds = std::env::var("QUIET_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(62))
}

/// Everything the operator may write, by kind and name, at its present version.
async fn versions(env: &TestEnv) -> BTreeMap<String, String> {
    let mut versions = BTreeMap::new();
    note::<TemporaryPermissionGrant>(env, &mut versions).await;
    note::<Role>(env, &mut versions).await;
    note::<RoleAssignment>(env, &mut versions).await;
    versions
}

async fn note<K>(env: &TestEnv, versions: &mut BTreeMap<String, String>)
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
{
    let api: Api<K> = Api::all(env.client.clone());
    for object in api.list(&ListParams::default()).await.expect("a list") {
        let name = format!("{}/{}", K::kind(&()), object.name_any());
        versions.insert(name, object.resource_version().unwrap_or_default());
    }
}

/// The Organization without the status fields that each sweep writes.
async fn organization(env: &TestEnv) -> Value {
    let api: Api<Organization> = Api::all(env.client.clone());
    let mut status = serde_json::to_value(api.get("acme").await.expect("an Organization").status).expect("JSON");
    status.as_object_mut().expect("a status").remove("lastSweepTime");
    status
}

fn calls(env: &TestEnv) -> BTreeMap<Option<Operation>, u64> {
    let mut calls = BTreeMap::new();
    for entry in env.sandbox().requests().counts {
        *calls.entry(entry.operation).or_default() += entry.count;
    }
    calls
}

fn role(env: &TestEnv, index: usize) -> Value {
    json!({
        "metadata": {"name": format!("role-{index}"), "namespace": env.namespace},
        "spec": {
            "organizationRef": {"name": "acme"}, "roleName": format!("Quiet{index}"), "description": "of a test",
            "frontendView": "admin", "permissionGrants": [{
                "action": "Allow", "permissionName": "Conversation:GetConversation",
                "conditions": {"org_id": {"type": "Equals", "value": "{self_org_id}"}},
            }],
        },
    })
}

fn assignment(env: &TestEnv, index: usize) -> Value {
    json!({
        "metadata": {"name": format!("assignment-{index}"), "namespace": env.namespace},
        "spec": {
            "organizationRef": {"name": "acme"}, "roleRef": {"name": format!("role-{index}")},
            "user": {"email": format!("quiet{index}@example.com")},
        },
    })
}

fn user(index: usize) -> UserSeed {
    let seed = json!({
        "id": format!("user-quiet-{index}"), "email": format!("quiet{index}@example.com"), "first_name": "Quiet",
        "last_name": "User", "role": "Engineer",
    });
    serde_json::from_value(seed).expect("a user")
}

async fn settle(env: &TestEnv) -> OperatorProcess {
    env.connect(&format!("roles: {{resyncInterval: PT{}S}}", RESYNC.as_secs())).await;
    let (sweep, client) = (format!("--sweep-interval={}s", SWEEP.as_secs()), &env.client);
    let operator = env.operator(&[&sweep, "--no-leader-election"]);
    let (roles, assignments) =
        (Api::namespaced(client.clone(), &env.namespace), Api::namespaced(client.clone(), &env.namespace));
    for index in 0..ROLES {
        create::<Role>(&roles, role(env, index)).await;
    }
    for index in 0..ASSIGNMENTS {
        env.sandbox().add_user("acme", user(index)).expect("a new user");
        create::<RoleAssignment>(&assignments, assignment(env, index)).await;
    }
    env.create_grants(GRANTS, 1, "PT8H").await;
    env.until_active(GRANTS, Duration::from_mins(1)).await;
    eventually(Duration::from_mins(1), "all assignments are ready", || async {
        let assignments = assignments.list(&ListParams::default()).await.expect("a list").items;
        assignments.iter().all(is_ready).then_some(())
    })
    .await;
    operator
}

fn is_ready(assignment: &RoleAssignment) -> bool {
    let conditions = assignment.status.iter().flat_map(|status| &status.conditions);
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

#[tokio::test(flavor = "multi_thread")]
async fn settled_objects_cost_only_resync_and_sweep() {
    let env = TestEnv::exclusive("quiet", Limits::Lifted).await;
    let operator = settle(&env).await;
    // One interval for what was last to settle.
    tokio::time::sleep(RESYNC).await;
    let (before, organization_before, calls_before) = (versions(&env).await, organization(&env).await, calls(&env));
    assert_eq!(before.len(), GRANTS + ROLES + ASSIGNMENTS);
    let began = Instant::now();
    tokio::time::sleep(window()).await;
    assert_eq!(versions(&env).await, before);
    assert_eq!(organization(&env).await, organization_before);
    let made: BTreeMap<_, _> = calls(&env)
        .into_iter()
        .map(|(operation, count)| (operation, count - calls_before.get(&operation).copied().unwrap_or_default()))
        .filter(|(_, count)| *count > 0)
        .collect();
    println!("in {:?}: {made:?}; {:?}", began.elapsed(), operator.memory());
    assert_calls(&made, began.elapsed());
}

fn assert_calls(made: &BTreeMap<Option<Operation>, u64>, window: Duration) {
    let most = |interval: Duration| 1 + window.as_millis().div_ceil(interval.as_millis());
    // What is listed is taken for new for nine tenths of an interval.
    let listings = most(RESYNC.mul_f64(0.9));
    // Ten records a page.
    let pages = most(SWEEP) * GRANTS.div_ceil(10) as u128;
    let allowed = BTreeMap::from([
        (Operation::GetRoles, listings),
        (Operation::GetUsers, listings),
        (Operation::GetTemporaryPermissionGrants, pages),
    ]);
    let known: BTreeSet<_> = made.keys().copied().collect();
    let expected: BTreeSet<_> = allowed.keys().copied().map(Some).collect();
    assert!(known.is_subset(&expected), "calls of a kind that rest does not make: {made:?}");
    for (operation, most) in allowed {
        let count = made.get(&Some(operation)).copied().unwrap_or_default();
        assert!(u128::from(count) <= most, "{operation:?} {count} times, and not {most}: {made:?}");
    }
}
