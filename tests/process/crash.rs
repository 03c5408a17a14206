//! The operator is killed, stopped and replaced: nothing is issued twice, nothing is forgotten.

use std::time::Duration;

use amigo_sandbox::{Effect, Fault, Operation};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api,
    api::{DeleteParams, ListParams},
};
use test_support::{
    Limits, TestEnv, eventually,
    operator_process::{CALL_DEADLINE, OperatorProcess, RETRY_PERIOD},
};
use tokio::time::Instant;

const CREATE: Operation = Operation::CreateTemporaryPermissionGrant;
const SECOND: Duration = Duration::from_secs(1);
// A lease that ran out, a quarantine, and a slow machine.
const RECOVERY: Duration = Duration::from_secs(40);

async fn until_requests(env: &TestEnv, operation: Operation, count: u64) {
    let what = format!("{count} requests of {operation:?} arrived");
    eventually(20 * SECOND, &what, || async { (requests(env, operation) >= count).then_some(()) }).await;
}

fn requests(env: &TestEnv, operation: Operation) -> u64 {
    let counts = env.sandbox().requests().counts;
    counts.iter().filter(|entry| entry.operation == Some(operation)).map(|entry| entry.count).sum()
}

/// Add it after the requests of the test arrived: the Organization's own ones may hang, too, and then no grant is issued.
fn everything_hangs() -> Fault {
    Fault { operation: None, ..Fault::new(CREATE, Effect::Hang) }.times(None)
}

/// Kills the operator while all requests of a bundle hang, and lets another take over.
async fn killed_while_hanging(env: &TestEnv, fault: Fault) -> OperatorProcess {
    let mut first = env.operator(&[]);
    first.until_leading().await;
    env.sandbox().add_fault(fault.times(None));
    env.create_grant("bundle", 3, "PT1H").await;
    until_requests(env, CREATE, 3).await;
    first.kill();
    env.sandbox().clear_faults();
    env.operator(&[])
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_after_commit_issues_nothing_twice() {
    let env = TestEnv::exclusive("committed", Limits::Lifted).await;
    let _second = killed_while_hanging(&env, Fault::new(CREATE, Effect::Hang).after_commit()).await;
    let grants = env.until_active(1, RECOVERY).await;
    assert_eq!(env.issued().len(), 3);
    env.assert_exactly_once(&grants);
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_before_commit_is_retried_after_quarantine() {
    let env = TestEnv::exclusive("uncommitted", Limits::Lifted).await;
    let _second = killed_while_hanging(&env, Fault::new(CREATE, Effect::Hang)).await;
    assert!(env.issued().is_empty());
    let grants = env.until_active(1, RECOVERY).await;
    env.assert_exactly_once(&grants);
    assert_eq!(grants[0].status.as_ref().map(|status| status.attempts), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_stopped_finishes_and_hands_over() {
    let env = TestEnv::exclusive("handover", Limits::Lifted).await;
    let mut first = env.operator(&[]);
    first.until_leading().await;
    let second = env.operator(&[]);
    // The answer comes while the replica is already stopping.
    env.sandbox().add_fault(Fault::new(CREATE, Effect::Delay { milliseconds: 1000 }));
    env.create_grant("slow", 1, "PT1H").await;
    until_requests(&env, CREATE, 1).await;
    first.terminate();
    let status = first.ended(2 * CALL_DEADLINE).await;
    let ended = Instant::now();
    assert_eq!(status.code(), Some(0), "{}", first.log());
    // The pass under way was finished by the replica that began it.
    assert!(first.audit().contains("/slow"), "{}", first.audit());
    env.until_active(1, SECOND).await;
    second.until_leading().await;
    assert!(ended.elapsed() <= 2 * RETRY_PERIOD.mul_f64(1.2) + SECOND / 2, "taken after {:?}", ended.elapsed());
    env.create_grant("next", 1, "PT1H").await;
    env.assert_exactly_once(&env.until_active(2, 10 * SECOND).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn standby_takes_over_from_a_killed_leader() {
    let env = TestEnv::exclusive("failover", Limits::Lifted).await;
    let mut first = env.operator(&[]);
    first.until_leading().await;
    let second = env.operator(&[]);
    env.create_grants(40, 1, "PT1H").await;
    first.kill();
    second.until_leading().await;
    env.create_grant("afterwards", 3, "PT1H").await;
    env.assert_exactly_once(&env.until_active(41, RECOVERY).await);
    assert_eq!(leases(&env).await, 1);
}

async fn leases(env: &TestEnv) -> usize {
    let leases: Api<Lease> = Api::namespaced(env.client.clone(), "default");
    let leases = leases.list(&ListParams::default()).await.expect("a list").items;
    leases.iter().filter(|lease| lease.metadata.name.as_deref() == Some(&env.namespace)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_restarts_stay_within_documented_limits() {
    let env = TestEnv::exclusive("restarts", Limits::Documented).await;
    let began = Instant::now();
    env.create_grants(40, 2, "PT1H").await;
    for round in 1..=3 {
        let mut operator = env.operator(&["--no-leader-election"]);
        until_requests(&env, CREATE, round * 10).await;
        operator.kill();
    }
    assert!(began.elapsed() < 60 * SECOND, "restarted within a minute, but for {:?}", began.elapsed());
    let _last = env.operator(&["--no-leader-election"]);
    let grants = env.until_active(40, 180 * SECOND).await;
    let refused: Vec<_> =
        env.sandbox().requests().counts.into_iter().filter(|entry| entry.status == Some(429)).collect();
    assert!(refused.is_empty(), "{refused:?}");
    env.assert_exactly_once(&grants);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_does_not_wait_for_amigo() {
    let env = TestEnv::exclusive("deletion", Limits::Lifted).await;
    let operator = env.operator(&[]);
    operator.until_leading().await;
    env.create_grant("issued", 1, "PT1H").await;
    env.until_active(1, 10 * SECOND).await;
    env.sandbox().add_fault(Fault::new(CREATE, Effect::Hang).times(None));
    env.create_grant("asked", 1, "PT1H").await;
    until_requests(&env, CREATE, 2).await;
    env.sandbox().add_fault(everything_hangs());
    for name in ["issued", "asked"] {
        let began = Instant::now();
        env.grants().delete(name, &DeleteParams::default()).await.expect("deleted");
        let what = format!("{name} is gone");
        eventually(2 * SECOND, &what, || async {
            env.grants().get_opt(name).await.expect("an answer").is_none().then_some(())
        })
        .await;
        assert!(began.elapsed() <= 2 * SECOND, "{name}: {:?}", began.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_while_amigo_hangs_takes_one_call_deadline() {
    let env = TestEnv::exclusive("hanging", Limits::Lifted).await;
    let mut operator = env.operator(&[]);
    operator.until_leading().await;
    env.create_grant("issued", 1, "PT1H").await;
    env.until_active(1, 10 * SECOND).await;
    env.sandbox().add_fault(Fault::new(CREATE, Effect::Hang).times(None));
    env.create_grants(20, 3, "PT1H").await;
    until_requests(&env, CREATE, 4).await;
    env.sandbox().add_fault(everything_hangs());
    operator.terminate();
    let began = Instant::now();
    let status = operator.ended(2 * CALL_DEADLINE).await;
    assert_eq!(status.code(), Some(0), "{}", operator.log());
    assert!(began.elapsed() <= CALL_DEADLINE + SECOND, "ended after {:?}", began.elapsed());
}
