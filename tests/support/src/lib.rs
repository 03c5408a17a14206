//! Support for the tests against a real API server: control planes, namespaces, sandboxes, operators, helm.

#![expect(clippy::missing_panics_doc, reason = "a fixture that fails should fail its test")]
#![allow(clippy::must_use_candidate, reason = "tests call these for what they do")]

pub mod fault_proxy;
pub mod helm;
pub mod operator;
pub mod operator_process;
pub mod policies;

mod amigo;
mod api_proxy;
mod control_plane;
mod crds;
mod fixtures;
mod grants;
mod proxy;
mod run;
mod test_env;

use std::{
    env,
    future::Future,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::{Instant, sleep};

pub use amigo::API_KEY_ID;
pub use control_plane::{
    CHARTS_OPERATOR, ENGINEER, OPERATOR, STRANGER, SharedControlPlane, assets, control_plane, turn,
};
pub use crds::{allow_short_leases, install_crds};
pub use fixtures::{fixture, grant, role};
pub use grants::{Audited, Limits, Target, create, phase, rate_limit};
pub use run::{Run, finished, kubectl, kubectl_command, kubectl_with, run};
pub use test_env::{Builder, OPERATOR_NAMESPACE, TIMEOUT, TestEnv};

const POLL: Duration = Duration::from_millis(50);

/// A file or folder of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the repository").join(path)
}

/// A program under test, which Cargo builds before the tests.
pub fn program(name: &str) -> PathBuf {
    let path = env::var_os(format!("CARGO_BIN_EXE_{name}")).expect("start the tests by Cargo");
    PathBuf::from(path)
}

/// Where tests keep files from run to run, beside the programs under test.
pub fn temporary_folder() -> PathBuf {
    program("kubectl-amigo").parent().expect("a folder").join("../tmp")
}

/// Polls until an attempt returns a value. After `within` the test fails with `what`.
pub async fn eventually<T, F>(within: Duration, what: &str, mut attempt: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + within;
    loop {
        if let Some(answer) = attempt().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {within:?}: {what}");
        sleep(POLL).await;
    }
}
