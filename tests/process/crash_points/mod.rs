//! The operator crashes before and after each of its effects. Objects and Amigo end as without a crash.
//!
//! A run without a crash records the points that the operator passes. Then the scenario runs once for each of them, and once
//! for each of some random pairs. Each run has a namespace and a sandbox of its own. `make faults` runs these tests.

#![expect(clippy::print_stdout, reason = "figures are for whoever runs this")]

use std::{env, sync::Arc, time::Duration};

use futures::{StreamExt as _, stream};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use tokio::time::{Instant, sleep};

use outcome::{Outcome, unexplained};
use run::{install_short_leases, run};
use scenarios::Scenario;

mod outcome;
mod run;
mod scenarios;

/// How many pairs of crashes a scenario has.
const PAIRS: usize = 10;
/// Between the starts of two runs, so that no operator waits for the processor longer than its send window.
const APART: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes long: make faults"]
async fn grant_survives_a_crash_at_every_effect() {
    // A run lasts minutes and is idle for most of them.
    survives_every_crash(Scenario::Grant, 100).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes long: make faults"]
async fn role_survives_a_crash_at_every_effect() {
    survives_every_crash(Scenario::Role, 6).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes long: make faults"]
async fn assignment_survives_a_crash_at_every_effect() {
    survives_every_crash(Scenario::Assignment, 6).await;
}

async fn survives_every_crash(scenario: Scenario, parallel: usize) {
    install_short_leases().await;
    let began = Instant::now();
    let expected = Arc::new(run(scenario, &[]).await.expect("the run without a crash"));
    let seed = env::var("AMIGO_FAULTS_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().expect("a number"));
    let crashes: Vec<_> =
        expected.points.iter().map(|point| vec![point.clone()]).chain(pairs(&expected, seed)).collect();
    let (points, runs) = (expected.points.len(), crashes.len());
    println!("{scenario:?}: {points} points, {runs} runs, AMIGO_FAULTS_SEED={seed}: {:#?}", expected.points);
    let outcomes = stream::iter(crashes.into_iter().enumerate()).map(|(index, crashes)| {
        let expected = Arc::clone(&expected);
        tokio::spawn(async move {
            sleep(APART * u32::try_from(index % parallel).expect("few runs")).await;
            check(scenario, &crashes, &expected).await
        })
    });
    let outcomes: Vec<_> = outcomes.buffer_unordered(parallel).map(|outcome| outcome.expect("a run")).collect().await;
    let missed = outcomes.iter().filter(|outcome| matches!(outcome, Ok(0))).count();
    let failures: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    println!("{scenario:?}: {} of {runs} failed, {missed} did not crash, in {:?}", failures.len(), began.elapsed());
    assert!(failures.is_empty(), "AMIGO_FAULTS_SEED={seed}: {}", failures.join("\n\n"));
    // An Organization's own status write depends on the time, not on the scenario.
    assert!(missed * 10 <= runs, "{missed} of {runs} runs did not pass their point");
}

/// Two points. The second one counts from the restart, so it is the first pass.
fn pairs(expected: &Outcome, seed: u64) -> impl Iterator<Item = Vec<String>> {
    let mut random = StdRng::seed_from_u64(seed);
    (0..PAIRS).map(move |_| {
        let first = expected.points.choose(&mut random).expect("a point").clone();
        let second = &expected.points[random.random_range(0..expected.points.len())];
        let (second, _) = second.split_once(" #").expect("a number");
        vec![first, format!("{second} #1")]
    })
}

/// Returns how many crashes there were, or what is wrong after them.
async fn check(scenario: Scenario, crashes: &[String], expected: &Outcome) -> Result<usize, String> {
    let outcome = run(scenario, crashes).await;
    let problem = match outcome.as_ref().map(|outcome| unexplained(expected, outcome).map(|what| (what, &outcome.log)))
    {
        Ok(None) => return outcome.map(|outcome| outcome.crashes),
        Ok(Some((what, log))) => format!("{what}\n{log}"),
        Err(problem) => problem.clone(),
    };
    Err(format!("crash {crashes:?} of {scenario:?}: {problem}"))
}
