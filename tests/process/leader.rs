//! Leader election against a real API server.

use std::time::Duration;

use amigo_dev::ControlPlane;
use amigo_operator::controller::{
    Settings,
    leader::{Election, Leadership, unique_identity},
};
use amigo_runtime::clock::SystemClock;
use amigo_runtime::kubernetes::client_no_retry;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::{Api, Config};
use test_support::{TestEnv, assets, eventually, turn};
use tokio::{
    runtime::Runtime,
    time::{Instant, timeout},
};

const SECOND: Duration = Duration::from_secs(1);
/// What a lease of 1.5 s promises to others: whole seconds. The leader renews it every 200 ms, and steps down after 1 s.
const LEASE: Duration = Duration::from_secs(2);

fn settings(namespace: &str, host: &str) -> Settings {
    Settings {
        lease_duration: Duration::from_millis(1500),
        lease_name: "operator".to_owned(),
        ..Settings::new(namespace, unique_identity(host))
    }
}

fn stand(config: Config, namespace: &str, host: &str) -> Election {
    let client = client_no_retry(config, SECOND).expect("a client");
    Election::start(client, SystemClock::shared(), settings(namespace, host)).expect("valid settings")
}

async fn replica(env: &TestEnv, host: &str) -> Election {
    stand(env.plane().config().await.expect("a configuration"), &env.namespace, host)
}

async fn record(env: &TestEnv) -> LeaseSpec {
    let leases: Api<Lease> = Api::namespaced(env.client.clone(), &env.namespace);
    leases.get("operator").await.expect("a lease").spec.expect("a record")
}

fn leaders(replicas: &[Leadership]) -> usize {
    replicas.iter().filter(|replica| replica.is_leader()).count()
}

#[tokio::test]
async fn of_many_candidates_exactly_one_leads() {
    let _turn = turn().await;
    let env = TestEnv::new("many").await;
    let mut replicas = Vec::new();
    for index in 0..5 {
        replicas.push(replica(&env, &format!("replica-{index}")).await);
    }
    let views: Vec<_> = replicas.iter().map(Election::leadership).collect();
    eventually(5 * SECOND, "a leader", || async { (leaders(&views) > 0).then_some(()) }).await;
    let watched_until = Instant::now() + LEASE;
    while Instant::now() < watched_until {
        assert_eq!(leaders(&views), 1);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn standby_leads_after_the_lease_of_a_dead_leader() {
    let _turn = turn().await;
    let env = TestEnv::new("death").await;
    let doomed = Runtime::new().unwrap();
    let config = env.plane().config().await.unwrap();
    let namespace = env.namespace.clone();
    let first = doomed.spawn(async move { stand(config, &namespace, "first") }).await.unwrap();
    let term = first.leadership().won().await.unwrap();
    let second = replica(&env, "second").await;
    tokio::time::sleep(SECOND).await;
    doomed.shutdown_background();
    let died = Instant::now();
    timeout(3 * LEASE, second.leadership().won()).await.unwrap().unwrap();
    // The last renewal was at most one retry period old, and not seen before it was made.
    assert!(died.elapsed() >= LEASE.mul_f64(0.75), "taken after {:?}", died.elapsed());
    assert!(term.is_cancelled());
    assert_eq!(record(&env).await.lease_transitions, Some(1));
}

#[tokio::test]
async fn leader_renews_its_lease() {
    let _turn = turn().await;
    let env = TestEnv::new("renewed").await;
    let leader = replica(&env, "leader").await;
    leader.leadership().won().await.unwrap();
    let first = record(&env).await;
    for _ in 0..3 {
        let before = record(&env).await.renew_time;
        eventually(SECOND, "a renewal", || async { (record(&env).await.renew_time > before).then_some(()) }).await;
    }
    let last = record(&env).await;
    assert_eq!((last.holder_identity, last.acquire_time), (first.holder_identity, first.acquire_time));
    assert_eq!((last.lease_transitions, leader.leadership().is_leader()), (first.lease_transitions, true));
    leader.stop().await.unwrap();
}

#[tokio::test]
async fn a_leader_that_stops_hands_over_at_once() {
    let _turn = turn().await;
    let env = TestEnv::new("handover").await;
    let first = replica(&env, "first").await;
    let term = first.leadership().won().await.unwrap();
    let second = replica(&env, "second").await;
    first.stop().await.unwrap();
    let stopped = Instant::now();
    assert!(term.is_cancelled());
    timeout(SECOND, second.leadership().won()).await.unwrap().unwrap();
    assert!(stopped.elapsed() < Duration::from_millis(2 * 240 + 200), "after {:?}", stopped.elapsed());
    second.stop().await.unwrap();
    let released = record(&env).await;
    assert_eq!((released.holder_identity.as_deref(), released.lease_duration_seconds), (Some(""), Some(1)));
}

#[tokio::test]
async fn a_leader_whose_lease_was_taken_steps_down() {
    let _turn = turn().await;
    let env = TestEnv::new("taken").await;
    let first = replica(&env, "first").await;
    let term = first.leadership().won().await.unwrap();
    let patch = r#"{"spec": {"holderIdentity": "thief", "leaseDurationSeconds": 60}}"#;
    let taken = env.kubectl(&["patch", "lease", "operator", "--type=merge", "--patch", patch]);
    assert!(taken.success, "{taken:?}");
    timeout(SECOND, term.cancelled()).await.unwrap();
    assert!(!first.leadership().is_leader());
    first.stop().await.unwrap();
    assert_eq!(record(&env).await.holder_identity.as_deref(), Some("thief"));
}

#[tokio::test]
async fn leader_without_api_server_steps_down_in_time() {
    let _turn = turn().await;
    let plane = ControlPlane::start(assets().await).await.unwrap();
    let leader = stand(plane.config().await.unwrap(), "default", "alone");
    let term = leader.leadership().won().await.unwrap();
    plane.stop().unwrap();
    timeout(SECOND + Duration::from_millis(500), term.cancelled()).await.unwrap();
    let error = leader.stop().await.unwrap_err().to_string();
    assert!(error.starts_with("cannot read lease default/operator"), "{error}");
}
