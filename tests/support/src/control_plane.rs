//! The control planes of a test binary, and their users.

use amigo_dev::{Assets, ControlPlane, Identity, Options};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use crate::repository;

/// The API server's name for operators that run as a process. The audit log has their requests.
pub const OPERATOR: &str = "operator";
/// An engineer, without rights until a test grants some.
pub const ENGINEER: &str = "eng@example.com";
/// Another user without rights.
pub const STRANGER: &str = "stranger@example.com";
/// The ServiceAccount of the chart's operator in namespace `default`. The audit log has its requests.
pub const CHARTS_OPERATOR: &str = "system:serviceaccount:default:amigo-operator";

static SHARED: SharedControlPlane = SharedControlPlane::new();
static TURN: Mutex<()> = Mutex::const_new(());

/// A control plane that starts on first use. Never dropped: its guardian ends it with this process.
pub struct SharedControlPlane(OnceCell<ControlPlane>);

impl SharedControlPlane {
    /// For tests whose objects or cluster-wide changes would disturb other tests.
    #[expect(clippy::new_without_default, reason = "only a static has a use for it")]
    pub const fn new() -> Self {
        Self(OnceCell::const_new())
    }

    /// The control plane. The first call starts it.
    pub async fn get(&self) -> &ControlPlane {
        self.0.get_or_init(start).await
    }
}

/// The control plane that most tests of this binary share.
pub fn shared() -> &'static SharedControlPlane {
    &SHARED
}

/// As `shared`, started.
pub async fn control_plane() -> &'static ControlPlane {
    SHARED.get().await
}

/// The programs of the control plane; built on first use.
pub async fn assets() -> Assets {
    Assets::find(&repository("tests/control-plane/build.sh")).await.expect("the programs of the control plane")
}

/// Excludes other tests that take a turn, for as long as the guard lives.
pub async fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().await
}

async fn start() -> ControlPlane {
    let identities =
        vec![Identity::new(OPERATOR, &["system:masters"]), Identity::new(ENGINEER, &[]), Identity::new(STRANGER, &[])];
    let options = Options { identities, audited: [OPERATOR, CHARTS_OPERATOR].map(str::to_owned).to_vec() };
    ControlPlane::start_with(assets().await, options).await.expect("a control plane")
}
