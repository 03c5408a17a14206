//! What the operator costs: requests to the API server, memory, delays. `make budgets` measures a release build; a
//! debug build is held to the counts only, and to fewer objects.

#![expect(clippy::print_stdout, reason = "figures are for whoever runs this")]

use std::{collections::BTreeMap, time::Duration};

use amigo_runtime::clock::{Clock as _, SystemClock};
use jiff::Timestamp;
use serde_json::json;
use test_support::{
    eventually,
    operator_process::{OperatorProcess, is_release},
    process_env::{Limits, Site},
};
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);
const SETTLED_DONE: &str = r#"amigo_operator_reconcile_total{kind="TemporaryPermissionGrant",outcome="done"}"#;

/// Starts an operator as it is shipped, with a lease that nobody held before.
fn shipped(site: &Site, name: &str) -> OperatorProcess {
    let lease = format!("--lease-name={}-{name}", site.cluster.namespace);
    OperatorProcess::start_as_shipped(site.cluster.plane(), &[&lease])
}

/// Prints a figure, and holds a release build to its bound.
fn figure(what: &str, measured: f64, bound: f64) {
    println!("{what}: {measured:.3} (bound {bound})");
    assert!(!is_release() || measured <= bound, "{what}: {measured:.3} is over {bound}");
}

fn requests_about(site: &Site, name: &str) -> BTreeMap<String, usize> {
    let mut requests = BTreeMap::new();
    for request in site.audited().iter().filter(|request| request.object_ref.name == name) {
        *requests
            .entry(format!("{} {}", request.verb, request.object_ref.subresource).trim().to_owned())
            .or_default() += 1;
    }
    requests
}

async fn until_all_are_gone(site: &Site, within: Duration) {
    eventually(within, "all grants are gone", || async { site.list().await.is_empty().then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn grant_costs_one_read_and_at_most_four_writes() {
    let site = Site::new("writes", Limits::Lifted).await;
    // One call in the first minute, four in each later one.
    site.connect("PT10M", json!({"limits": {"create_grant": 4}})).await;
    let operator = site.operator(&["--no-leader-election"]);
    site.ask("straight", 1, "PT1M").await;
    site.until_active(1, 20 * SECOND).await;
    site.ask("queued", 1, "PT1M").await;
    site.ask("bundle", 3, "PT1M").await;
    eventually(20 * SECOND, "the others have a status", || async {
        site.list().await.iter().all(|grant| grant.status.is_some()).then_some(())
    })
    .await;
    until_all_are_gone(&site, 240 * SECOND).await;
    let expected = |status_writes: usize| {
        BTreeMap::from(
            [("get", 1), ("update status", status_writes), ("delete", 1)].map(|(verb, count)| (verb.to_owned(), count)),
        )
    };
    assert_eq!(requests_about(&site, "straight"), expected(2), "{}", operator.audit());
    assert_eq!(requests_about(&site, "queued"), expected(3), "{}", operator.audit());
    assert_eq!(requests_about(&site, "bundle"), expected(3), "{}", operator.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_and_start() {
    let site = Site::new("memory", Limits::Lifted).await;
    // The first start of a machine reads the program from the disk.
    drop(until_issued(&site, "warm").await.0);
    let (mut operator, delay) = until_issued(&site, "first").await;
    figure("seconds from the start of the process to the first issue", delay, 1.0);
    tokio::time::sleep(5 * SECOND).await;
    figure("MiB resident when idle", mebibytes(operator.memory().resident), 30.0);
    operator.kill();
    let (grants, settled) = (site.list().await, if is_release() { 10_000 } else { 500 });
    site.copy(&grants[0], 0..settled).await;
    let operator = shipped(&site, "settled");
    eventually(120 * SECOND, "all settled grants were looked at", || async {
        (operator.metric(SETTLED_DONE).await? >= count(settled)).then_some(())
    })
    .await;
    println!("seconds until {settled} settled grants were looked at: {:.3}", operator.started.elapsed().as_secs_f64());
    tokio::time::sleep(5 * SECOND).await;
    let memory = operator.memory();
    println!("MiB resident at most: {:.1}", mebibytes(memory.peak));
    figure(&format!("MiB resident with {settled} settled grants"), mebibytes(memory.resident), 120.0);
    let touched = site.audited().iter().filter(|request| request.object_ref.name.starts_with("copy-")).count();
    assert_eq!(touched, 0, "settled grants are neither read nor written");
}

/// Starts an operator that finds a new grant; returns it with the seconds until Amigo issued it.
async fn until_issued(site: &Site, name: &str) -> (OperatorProcess, f64) {
    let before = site.issued().len();
    site.ask(name, 1, "P3D").await;
    let started = SystemClock.now();
    let operator = shipped(site, name);
    let issued = eventually(30 * SECOND, "a grant is issued", || async {
        let journal = site.sandbox.journal();
        (site.issued().len() > before).then(|| journal.last().map(|commit| commit.at)).flatten()
    })
    .await;
    site.until_active(before + 1, 10 * SECOND).await;
    (operator, started.duration_until(issued).as_secs_f64())
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_are_issued_soon_and_end_on_time() {
    if !is_release() {
        // Only its figures matter, and those of a debug build say nothing.
        return;
    }
    let site = Site::new("many", Limits::Lifted).await;
    let mut operator = site.operator(&["--no-leader-election"]);
    site.ask("first", 1, "PT1H").await;
    site.until_active(1, 20 * SECOND).await;
    let began = Instant::now();
    site.ask_many(300, 1, "PT1H").await;
    site.until_active(301, 60 * SECOND).await;
    figure("seconds until 300 grants asked for at once are Active", began.elapsed().as_secs_f64(), 20.0);
    site.ask("ending", 1, "PT1M").await;
    site.until_active(302, 20 * SECOND).await;
    let ending = site.grants.get("ending").await.expect("an object");
    operator.kill();
    site.copy(&ending, 0..200).await;
    let _operator = site.operator(&["--no-leader-election"]);
    let end = ending.status.and_then(|status| status.expires_at).expect("an end");
    eventually(90 * SECOND, "200 grants ended", || async { (deletions(&site, end).len() > 200).then_some(()) }).await;
    let mut delays = deletions(&site, end);
    delays.sort_by(f64::total_cmp);
    assert!(delays[0] >= 0.0, "deleted early: {delays:?}");
    figure("seconds from the end of 200 grants to their deletion, p99", delays[delays.len() * 99 / 100], 1.0);
}

fn deletions(site: &Site, end: Timestamp) -> Vec<f64> {
    let deleted = site.audited().into_iter().filter(|request| request.verb == "delete");
    deleted.map(|request| end.duration_until(request.stage_timestamp).as_secs_f64()).collect()
}

fn mebibytes(kibibytes: u64) -> f64 {
    count(usize::try_from(kibibytes).expect("a size")) / 1024.0
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).expect("a small number"))
}
