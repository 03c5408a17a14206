//! One run of a scenario: operators, one after the other, each of which may crash at a point.

use std::{any::Any, ffi::OsString, fs, panic::AssertUnwindSafe, time::Duration};

use amigo_sandbox::Operation;
use futures::FutureExt as _;
use tempfile::TempDir;
use test_support::{
    Limits, TestEnv, allow_short_leases, control_plane, install_crds, operator_process::OperatorProcess,
};
use tokio::{
    sync::{Mutex, OnceCell},
    time::sleep,
};

use super::{
    outcome::{Outcome, describe},
    scenarios::Scenario,
};

/// Installs the CRDs, with leases that a test can wait for.
pub async fn install_short_leases() {
    static INSTALLED: OnceCell<()> = OnceCell::const_new();
    let install = || async {
        let client = control_plane().await.client().await.expect("a client");
        install_crds(&client).await;
        allow_short_leases(&client).await;
    };
    INSTALLED.get_or_init(install).await;
}

/// Runs a scenario. The first operator crashes at the first point, its successor at the second, and so on.
///
/// # Errors
/// With the panic of the scenario and the logs of the operators.
pub async fn run(scenario: Scenario, crashes: &[String]) -> Result<Outcome, String> {
    let env = TestEnv::builder("crash").sandbox(Limits::Lifted, |_| ()).start().await;
    scenario.prepare(&env);
    env.connect("roles: {resyncInterval: PT10M}").await;
    let operators = Operators::new(&env, crashes).await;
    let play = async {
        let played = AssertUnwindSafe(scenario.play(&env)).catch_unwind().await;
        let points = operators.points(0);
        // The scenario can see the last effect before the operator does.
        sleep(Duration::from_secs(1)).await;
        played.map(|played| (played, points)).map_err(|panic| message(&*panic))
    };
    let played = tokio::select! {
        played = play => played,
        ended = operators.replace_crashed() => Err(ended),
    };
    let (stages, points) = match played {
        Ok(played) => played,
        Err(problem) => return Err(format!("{problem}\n{}", operators.logs().await)),
    };
    let mut changes: Vec<_> = env.sandbox().journal().into_iter().map(|commit| describe(commit.change)).collect();
    if scenario == Scenario::Grant {
        // The requests of a bundle arrive in any order.
        changes.sort();
    }
    let grant_requests = env.sandbox().requests().count(Operation::CreateTemporaryPermissionGrant);
    let (crashes, log) = (operators.crashes(), operators.logs().await);
    Ok(Outcome { points, crashes, stages, grant_requests, changes, log })
}

/// The operators of a run, in order. All but the last one crashed.
struct Operators {
    lives: Mutex<Vec<OperatorProcess>>,
    crashes: Vec<String>,
    kubeconfig: String,
    folder: TempDir,
}

impl Operators {
    async fn new(env: &TestEnv, crashes: &[String]) -> Self {
        let kubeconfig = env.kubeconfig_of_own_objects().await;
        let folder = tempfile::tempdir().expect("a folder");
        let operators = Self { lives: Mutex::default(), crashes: crashes.to_vec(), kubeconfig, folder };
        operators.start().await;
        operators
    }

    async fn start(&self) {
        let mut lives = self.lives.lock().await;
        let points = self.folder.path().join(lives.len().to_string());
        let mut variables = vec![("AMIGO_CRASH_POINTS", OsString::from(points))];
        variables.extend(self.crashes.get(lives.len()).map(|point| ("AMIGO_CRASH_AT", OsString::from(point))));
        // Any free port: one that was free a moment ago can belong to a connection of another run.
        let flags = ["--no-leader-election", "--listen=127.0.0.1:0"];
        lives.push(OperatorProcess::start_with(&self.kubeconfig, &flags, &variables));
    }

    /// Starts a successor of each operator that crashes; returns why one ended otherwise.
    async fn replace_crashed(&self) -> String {
        loop {
            sleep(Duration::from_millis(50)).await;
            let mut lives = self.lives.lock().await;
            let Some(status) = lives.last_mut().expect("an operator").exited() else { continue };
            if lives.len() > self.crashes.len() {
                return format!("the operator ended: {status}");
            }
            drop(lives);
            self.start().await;
        }
    }

    /// The points that an operator passed, in order.
    fn points(&self, life: usize) -> Vec<String> {
        let points = fs::read_to_string(self.folder.path().join(life.to_string())).unwrap_or_default();
        points.lines().map(str::to_owned).collect()
    }

    fn crashes(&self) -> usize {
        let crashes = self.crashes.iter().enumerate();
        crashes.filter(|(life, point)| self.points(*life).last() == Some(point)).count()
    }

    async fn logs(&self) -> String {
        let logs: Vec<String> = self.lives.lock().await.iter().map(OperatorProcess::log).collect();
        logs.join("\n--- after the crash ---\n")
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
}
