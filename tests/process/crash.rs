//! The operator is killed, stopped and replaced: nothing is issued twice, nothing is forgotten.

use std::time::Duration;

use amigo_sandbox::{Effect, Fault, Operation};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api,
    api::{DeleteParams, ListParams},
};
use test_support::{
    eventually,
    operator_process::{CALL_DEADLINE, OperatorProcess, RETRY_PERIOD},
    process_env::{Limits, Site},
};
use tokio::time::Instant;

const CREATE: Operation = Operation::CreateTemporaryPermissionGrant;
const SECOND: Duration = Duration::from_secs(1);
// A lease that ran out, a quarantine, and a slow machine.
const RECOVERY: Duration = Duration::from_secs(40);

async fn until_requests(site: &Site, operation: Operation, count: u64) {
    let what = format!("{count} requests of {operation:?} arrived");
    eventually(20 * SECOND, &what, || async { (requests(site, operation) >= count).then_some(()) }).await;
}

fn requests(site: &Site, operation: Operation) -> u64 {
    let counts = site.sandbox.requests().counts;
    counts.iter().filter(|entry| entry.operation == Some(operation)).map(|entry| entry.count).sum()
}

/// Kills the operator while all requests of a bundle hang, and lets another take over.
async fn killed_while_hanging(site: &Site, fault: Fault) -> OperatorProcess {
    let mut first = site.operator(&[]);
    first.until_leading().await;
    site.sandbox.add_fault(fault.times(None));
    site.ask("bundle", 3, "PT1H").await;
    until_requests(site, CREATE, 3).await;
    first.kill();
    site.sandbox.clear_faults();
    site.operator(&[])
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_after_commit_issues_nothing_twice() {
    let site = Site::new("committed", Limits::Lifted).await;
    let _second = killed_while_hanging(&site, Fault::new(CREATE, Effect::Hang).after_commit()).await;
    let grants = site.until_active(1, RECOVERY).await;
    assert_eq!(site.issued().len(), 3);
    site.assert_exactly_once(&grants);
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_before_commit_is_retried_after_quarantine() {
    let site = Site::new("uncommitted", Limits::Lifted).await;
    let _second = killed_while_hanging(&site, Fault::new(CREATE, Effect::Hang)).await;
    assert!(site.issued().is_empty());
    let grants = site.until_active(1, RECOVERY).await;
    site.assert_exactly_once(&grants);
    assert_eq!(grants[0].status.as_ref().map(|status| status.attempts), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_stopped_finishes_and_hands_over() {
    let site = Site::new("handover", Limits::Lifted).await;
    let mut first = site.operator(&[]);
    first.until_leading().await;
    let second = site.operator(&[]);
    // The answer comes while the replica is already stopping.
    site.sandbox.add_fault(Fault::new(CREATE, Effect::Delay { milliseconds: 1000 }));
    site.ask("slow", 1, "PT1H").await;
    until_requests(&site, CREATE, 1).await;
    first.terminate();
    let status = first.ended(2 * CALL_DEADLINE).await;
    let ended = Instant::now();
    assert_eq!(status.code(), Some(0), "{}", first.log());
    // The pass under way was finished by the replica that began it.
    assert!(first.audit().contains("/slow"), "{}", first.audit());
    site.until_active(1, SECOND).await;
    second.until_leading().await;
    assert!(ended.elapsed() <= 2 * RETRY_PERIOD.mul_f64(1.2) + SECOND / 2, "taken after {:?}", ended.elapsed());
    site.ask("next", 1, "PT1H").await;
    site.assert_exactly_once(&site.until_active(2, 10 * SECOND).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn standby_takes_over_from_a_killed_leader() {
    let site = Site::new("failover", Limits::Lifted).await;
    let mut first = site.operator(&[]);
    first.until_leading().await;
    let second = site.operator(&[]);
    site.ask_many(40, 1, "PT1H").await;
    first.kill();
    second.until_leading().await;
    site.ask("afterwards", 3, "PT1H").await;
    site.assert_exactly_once(&site.until_active(41, RECOVERY).await);
    assert_eq!(leases(&site).await, 1);
}

async fn leases(site: &Site) -> usize {
    let leases: Api<Lease> = Api::namespaced(site.cluster.client.clone(), "default");
    let leases = leases.list(&ListParams::default()).await.expect("a list").items;
    leases.iter().filter(|lease| lease.metadata.name.as_deref() == Some(&site.cluster.namespace)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_restarts_stay_within_documented_limits() {
    let site = Site::new("restarts", Limits::Documented).await;
    let began = Instant::now();
    site.ask_many(40, 2, "PT1H").await;
    for round in 1..=3 {
        let mut operator = site.operator(&["--no-leader-election"]);
        until_requests(&site, CREATE, round * 10).await;
        operator.kill();
    }
    assert!(began.elapsed() < 60 * SECOND, "restarted within a minute, but for {:?}", began.elapsed());
    let _last = site.operator(&["--no-leader-election"]);
    let grants = site.until_active(40, 180 * SECOND).await;
    let refused: Vec<_> =
        site.sandbox.requests().counts.into_iter().filter(|entry| entry.status == Some(429)).collect();
    assert!(refused.is_empty(), "{refused:?}");
    site.assert_exactly_once(&grants);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_does_not_wait_for_amigo() {
    let site = Site::new("deletion", Limits::Lifted).await;
    let operator = site.operator(&[]);
    operator.until_leading().await;
    site.ask("issued", 1, "PT1H").await;
    site.until_active(1, 10 * SECOND).await;
    site.sandbox.add_fault(Fault { operation: None, ..Fault::new(CREATE, Effect::Hang) }.times(None));
    site.ask("asked", 1, "PT1H").await;
    until_requests(&site, CREATE, 2).await;
    for name in ["issued", "asked"] {
        let began = Instant::now();
        site.grants.delete(name, &DeleteParams::default()).await.expect("deleted");
        let what = format!("{name} is gone");
        eventually(2 * SECOND, &what, || async {
            site.grants.get_opt(name).await.expect("an answer").is_none().then_some(())
        })
        .await;
        assert!(began.elapsed() <= 2 * SECOND, "{name}: {:?}", began.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_while_amigo_hangs_takes_one_call_deadline() {
    let site = Site::new("hanging", Limits::Lifted).await;
    let mut operator = site.operator(&[]);
    operator.until_leading().await;
    site.ask("issued", 1, "PT1H").await;
    site.until_active(1, 10 * SECOND).await;
    site.sandbox.add_fault(Fault { operation: None, ..Fault::new(CREATE, Effect::Hang) }.times(None));
    site.ask_many(20, 3, "PT1H").await;
    until_requests(&site, CREATE, 4).await;
    operator.terminate();
    let began = Instant::now();
    let status = operator.ended(2 * CALL_DEADLINE).await;
    assert_eq!(status.code(), Some(0), "{}", operator.log());
    assert!(began.elapsed() <= CALL_DEADLINE + SECOND, "ended after {:?}", began.elapsed());
}
