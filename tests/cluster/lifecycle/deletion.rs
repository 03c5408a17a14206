//! Every deletion ends: what cannot be done at Amigo any more is told, and the object goes.

use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use test_support::{TestEnv, fixture, grant, operator::GRACE, role};
use tokio::time::Instant;

const COLLEAGUE: &str = "user-colleague-51d0";
const KINDS: [(&str, &str); 4] = [("amorg", ""), ("amrole", "triage"), ("amra", "colleague"), ("tpg", "request")];

#[tokio::test(flavor = "multi_thread")]
async fn assignment_of_a_missing_user_is_released() {
    let env = TestEnv::ready("left").await;
    env.apply(&assignment()).await;
    env.until_ready("amra", "colleague").await;
    env.sandbox().remove_user("acme", COLLEAGUE).expect("acme");
    // What was read before counts for two seconds.
    tokio::time::sleep(Duration::from_secs(2)).await;
    env.delete("amra", "colleague").await;
    env.until_gone("amra", "colleague").await;
    let why = env.until_event("colleague", "Released").await;
    assert!(why.contains(&format!("user {COLLEAGUE} does not exist at Amigo")), "{why}");
    assert_eq!(env.audit("colleague").await.last().expect("a line")["event"], "Released");
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_a_lost_namespace_go_after_the_grace() {
    let env = TestEnv::ready("lost").await;
    let began = all_kinds(&env).await;
    env.patch("amorg", &env.organization, json!({"spec": {"allowedNamespaces": ["another"]}})).await;
    let generation = env.member("amorg", &env.organization, "/metadata/generation").await;
    env.until_member("amorg", &env.organization, "/status/observedGeneration", generation).await;
    env.delete("amrole", "triage").await;
    env.delete("amra", "colleague").await;
    for (kind, name) in [("amrole", "triage"), ("amra", "colleague")] {
        env.until_gone(kind, name).await;
        let why = env.until_event(name, "Released").await;
        assert!(why.contains("no longer waits: Organization"), "{why}");
        assert_eq!(env.audit(name).await.last().expect("a line")["event"], "Released");
    }
    // A deletion time is in whole seconds.
    assert!(began.elapsed() + Duration::from_secs(1) >= GRACE, "after {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_all_kinds_go_in_any_order() {
    join_all(orders(&KINDS).into_iter().map(async |order| {
        let env = TestEnv::ready("order").await;
        all_kinds(&env).await;
        let name = |name: &str| if name.is_empty() { env.organization.clone() } else { name.to_owned() };
        for (kind, object) in &order {
            env.delete(kind, &name(object)).await;
        }
        for (kind, object) in &order {
            env.until_gone(kind, &name(object)).await;
        }
    }))
    .await;
}

/// Creates a Role, a RoleAssignment and a grant that all have something to do at their end.
async fn all_kinds(env: &TestEnv) -> Instant {
    env.apply(&role("triage", "  deletionPolicy: Disable")).await;
    env.apply(&assignment()).await;
    env.apply(&grant("request", "  conversation: {ownerUserId: user-owner-7f3a}")).await;
    for (kind, name) in KINDS.into_iter().filter(|(_, name)| !name.is_empty()) {
        env.until_ready(kind, name).await;
    }
    Instant::now()
}

fn assignment() -> String {
    let extra = "  roleName: DefaultUserRole\n  fallbackRoleName: Engineer";
    let values = [("NAME", "colleague"), ("USER", "email: colleague@example.com"), ("EXTRA", extra)];
    fixture("role-assignment.yaml", &values)
}

/// Every order of the items.
fn orders<T: Copy>(items: &[T]) -> Vec<Vec<T>> {
    let Some((first, rest)) = items.split_first() else { return vec![vec![]] };
    let with_first = |order: Vec<T>| {
        (0..=order.len()).map(move |index| {
            let mut order = order.clone();
            order.insert(index, *first);
            order
        })
    };
    orders(rest).into_iter().flat_map(with_first).collect()
}

#[test]
fn four_kinds_have_24_orders() {
    assert_eq!(orders(&KINDS).len(), 24);
}
