//! What the operator costs: requests to the API server, memory, delays. `make budgets` measures a release build; a
//! debug build is held to the counts only, and to fewer objects.

#![expect(clippy::print_stdout, reason = "figures are for whoever runs this")]

use std::{collections::BTreeMap, time::Duration};

use amigo_runtime::clock::{Clock as _, SystemClock};
use jiff::Timestamp;
use test_support::{
    Limits, TestEnv, eventually,
    operator_process::{OperatorProcess, is_release},
};
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);
const SETTLED_DONE: &str = r#"amigo_operator_reconcile_total{kind="TemporaryPermissionGrant",outcome="done"}"#;

/// Starts an operator as it is shipped, with a lease that nobody held before.
fn shipped(env: &TestEnv, name: &str) -> OperatorProcess {
    let lease = format!("--lease-name={}-{name}", env.namespace);
    OperatorProcess::start_as_shipped(env.plane(), &[&lease])
}

/// Prints a figure, and holds a release build to its bound.
fn figure(what: &str, measured: f64, bound: f64) {
    println!("{what}: {measured:.3} (bound {bound})");
    assert!(!is_release() || measured <= bound, "{what}: {measured:.3} is over {bound}");
}

fn requests_about(env: &TestEnv, name: &str) -> BTreeMap<String, usize> {
    let mut requests = BTreeMap::new();
    for request in env.audited().iter().filter(|request| request.object_ref.name == name) {
        *requests
            .entry(format!("{} {}", request.verb, request.object_ref.subresource).trim().to_owned())
            .or_default() += 1;
    }
    requests
}

async fn until_all_are_gone(env: &TestEnv, within: Duration) {
    eventually(within, "all grants are gone", || async { env.list().await.is_empty().then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn grant_costs_one_read_and_at_most_four_writes() {
    let env = TestEnv::exclusive("writes", Limits::Lifted).await;
    // One call in the first minute, four in each later one.
    env.connect("{roles: {resyncInterval: PT10M}, rateLimit: {limits: {create_grant: 4}}}").await;
    let operator = env.operator(&["--no-leader-election"]);
    env.create_grant("straight", 1, "PT1M").await;
    env.until_active(1, 20 * SECOND).await;
    env.create_grant("queued", 1, "PT1M").await;
    env.create_grant("bundle", 3, "PT1M").await;
    eventually(20 * SECOND, "the others have a status", || async {
        env.list().await.iter().all(|grant| grant.status.is_some()).then_some(())
    })
    .await;
    until_all_are_gone(&env, 240 * SECOND).await;
    let expected = |status_writes: usize| {
        BTreeMap::from(
            [("get", 1), ("update status", status_writes), ("delete", 1)].map(|(verb, count)| (verb.to_owned(), count)),
        )
    };
    assert_eq!(requests_about(&env, "straight"), expected(2), "{}", operator.audit());
    assert_eq!(requests_about(&env, "queued"), expected(3), "{}", operator.audit());
    assert_eq!(requests_about(&env, "bundle"), expected(3), "{}", operator.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_and_start() {
    let env = TestEnv::exclusive("memory", Limits::Lifted).await;
    // The first start of a machine reads the program from the disk.
    drop(until_issued(&env, "warm").await.0);
    let (mut operator, delay) = until_issued(&env, "first").await;
    figure("seconds from the start of the process to the first issue", delay, 1.0);
    tokio::time::sleep(5 * SECOND).await;
    figure("MiB resident when idle", mebibytes(operator.memory().resident), 30.0);
    operator.kill();
    let (grants, settled) = (env.list().await, if is_release() { 10_000 } else { 500 });
    env.copy_grant(&grants[0], 0..settled).await;
    let operator = shipped(&env, "settled");
    eventually(120 * SECOND, "all settled grants were looked at", || async {
        (operator.metric(SETTLED_DONE).await? >= count(settled)).then_some(())
    })
    .await;
    println!("seconds until {settled} settled grants were looked at: {:.3}", operator.started.elapsed().as_secs_f64());
    tokio::time::sleep(5 * SECOND).await;
    let memory = operator.memory();
    println!("MiB resident at most: {:.1}", mebibytes(memory.peak));
    figure(&format!("MiB resident with {settled} settled grants"), mebibytes(memory.resident), 120.0);
    let touched = env.audited().iter().filter(|request| request.object_ref.name.starts_with("copy-")).count();
    assert_eq!(touched, 0, "settled grants are neither read nor written");
}

/// Starts an operator that finds a new grant; returns it with the seconds until Amigo issued it.
async fn until_issued(env: &TestEnv, name: &str) -> (OperatorProcess, f64) {
    let before = env.issued().len();
    env.create_grant(name, 1, "P3D").await;
    let started = SystemClock.now();
    let operator = shipped(env, name);
    let issued = eventually(30 * SECOND, "a grant is issued", || async {
        let journal = env.sandbox().journal();
        (env.issued().len() > before).then(|| journal.last().map(|commit| commit.at)).flatten()
    })
    .await;
    env.until_active(before + 1, 10 * SECOND).await;
    (operator, started.duration_until(issued).as_secs_f64())
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_are_issued_soon_and_end_on_time() {
    if !is_release() {
        // Only its figures matter, and those of a debug build say nothing.
        return;
    }
    let env = TestEnv::exclusive("many", Limits::Lifted).await;
    let mut operator = env.operator(&["--no-leader-election"]);
    env.create_grant("first", 1, "PT1H").await;
    env.until_active(1, 20 * SECOND).await;
    let began = Instant::now();
    env.create_grants(300, 1, "PT1H").await;
    env.until_active(301, 60 * SECOND).await;
    figure("seconds until 300 grants asked for at once are Active", began.elapsed().as_secs_f64(), 20.0);
    env.create_grant("ending", 1, "PT1M").await;
    env.until_active(302, 20 * SECOND).await;
    let ending = env.grants().get("ending").await.expect("an object");
    operator.kill();
    env.copy_grant(&ending, 0..200).await;
    let _operator = env.operator(&["--no-leader-election"]);
    let end = ending.status.and_then(|status| status.expires_at).expect("an end");
    eventually(90 * SECOND, "200 grants ended", || async { (deletions(&env, end).len() > 200).then_some(()) }).await;
    let mut delays = deletions(&env, end);
    delays.sort_by(f64::total_cmp);
    assert!(delays[0] >= 0.0, "deleted early: {delays:?}");
    figure("seconds from the end of 200 grants to their deletion, p99", delays[delays.len() * 99 / 100], 1.0);
}

fn deletions(env: &TestEnv, end: Timestamp) -> Vec<f64> {
    let deleted = env.audited().into_iter().filter(|request| request.verb == "delete");
    deleted.map(|request| end.duration_until(request.stage_timestamp).as_secs_f64()).collect()
}

fn mebibytes(kibibytes: u64) -> f64 {
    count(usize::try_from(kibibytes).expect("a size")) / 1024.0
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).expect("a small number"))
}
