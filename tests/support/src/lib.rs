//! What the tests against a real API server share: one control plane a test binary, a namespace a test.

#![expect(clippy::missing_panics_doc, reason = "a fixture that fails should fail its test")]
#![allow(clippy::must_use_candidate, reason = "tests call these for what they do")]

pub mod helm;
pub mod operator_process;
pub mod policies;
pub mod process_env;
pub mod test_env;

use std::{
    env,
    future::Future,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::Duration,
};

use amigo_dev::{ApplyError, Assets, ControlPlane, Identity, Options};
use k8s_openapi::{
    api::core::v1::Namespace, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DynamicObject, Patch, PatchParams, PostParams},
    runtime::wait::{await_condition, conditions::is_crd_established},
};
use tokio::{
    sync::OnceCell,
    time::{Instant, sleep, timeout},
};

/// The user that operators of their own process are to the API server, which writes down what they ask.
pub const OPERATOR: &str = "operator";
/// An engineer, without rights until a test gives some.
pub const ENGINEER: &str = "eng@example.com";
/// Another user without rights.
pub const STRANGER: &str = "stranger@example.com";
/// The user that the chart's operator is in namespace `default`; written down as well.
pub const CHARTS_OPERATOR: &str = "system:serviceaccount:default:amigo-operator";

const FIELD_MANAGER: &str = "test";
const POLL: Duration = Duration::from_millis(50);

/// A control plane that starts on first use. Never dropped: its guardian ends it with this process.
pub struct SharedControlPlane(OnceCell<ControlPlane>);

impl SharedControlPlane {
    /// For tests whose objects, or whose cluster-wide changes, other tests must not meet.
    #[expect(clippy::new_without_default, reason = "only a static has a use for it")]
    pub const fn new() -> Self {
        Self(OnceCell::const_new())
    }

    /// The control plane, started by the first test that asks.
    pub async fn get(&self) -> &ControlPlane {
        self.0.get_or_init(start_control_plane).await
    }
}

static SHARED: SharedControlPlane = SharedControlPlane::new();

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

/// The programs of the control plane; built on first use.
pub async fn assets() -> Assets {
    Assets::find(&repository("tests/control-plane/build.sh")).await.expect("the programs of the control plane")
}

/// The control plane all tests of this binary share.
pub async fn control_plane() -> &'static ControlPlane {
    SHARED.get().await
}

async fn start_control_plane() -> ControlPlane {
    let identities =
        vec![Identity::new(OPERATOR, &["system:masters"]), Identity::new(ENGINEER, &[]), Identity::new(STRANGER, &[])];
    let options = Options { identities, audited: [OPERATOR, CHARTS_OPERATOR].map(str::to_owned).to_vec() };
    ControlPlane::start_with(assets().await, options).await.expect("a control plane")
}

/// A fresh namespace on the shared control plane, and the means to work in it.
pub struct Cluster {
    /// `admin`'s client, on this test's runtime.
    pub client: Client,
    /// The namespace, which no other test uses.
    pub namespace: String,
    plane: &'static ControlPlane,
}

impl Cluster {
    /// A fresh namespace whose name starts with `prefix`.
    pub async fn new(prefix: &str) -> Self {
        Self::on(&SHARED, prefix).await
    }

    /// As `new`, on another control plane.
    pub async fn on(plane: &'static SharedControlPlane, prefix: &str) -> Self {
        let plane = plane.get().await;
        let client = plane.client().await.expect("a client");
        let namespace = format!("{prefix}-{:08x}", rand::random::<u32>());
        let mut object = Namespace::default();
        object.meta_mut().name = Some(namespace.clone());
        let namespaces = Api::<Namespace>::all(client.clone());
        namespaces.create(&PostParams::default(), &object).await.expect("a fresh namespace");
        Self { client, namespace, plane }
    }

    /// As `new`, on a control plane that serves the kinds of this operator.
    pub async fn with_kinds(prefix: &str) -> Self {
        Self::with_kinds_on(&SHARED, prefix).await
    }

    /// As `with_kinds`, on another control plane.
    pub async fn with_kinds_on(plane: &'static SharedControlPlane, prefix: &str) -> Self {
        let cluster = Self::on(plane, prefix).await;
        let definitions = Api::<CustomResourceDefinition>::all(cluster.client.clone());
        for definition in amigo_api::all() {
            let name = definition.name_any();
            let parameters = PatchParams::apply(FIELD_MANAGER).force();
            definitions.patch(&name, &parameters, &Patch::Apply(&definition)).await.expect("a valid definition");
            let served = await_condition(definitions.clone(), &name, is_crd_established());
            timeout(Duration::from_secs(20), served).await.expect("established in time").expect("a watch");
        }
        cluster
    }

    /// The control plane behind it.
    pub fn plane(&self) -> &'static ControlPlane {
        self.plane
    }

    /// Applies every document of `yaml`; objects without a namespace go to this test's.
    ///
    /// # Errors
    /// What the API server says of the first object it refuses.
    pub async fn apply(&self, yaml: &str) -> kube::Result<Vec<DynamicObject>> {
        match amigo_dev::apply(&self.client, &self.namespace, FIELD_MANAGER, yaml).await {
            Err(ApplyError::Kubernetes(error)) => Err(error),
            applied => Ok(applied.expect("objects as YAML")),
        }
    }

    /// Runs kubectl as `admin` in this test's namespace.
    pub fn kubectl(&self, arguments: &[&str]) -> Run {
        self.kubectl_as("admin", arguments)
    }

    /// As `kubectl`, with this on its standard input.
    pub fn kubectl_with(&self, arguments: &[&str], input: &str) -> Run {
        kubectl_with(self.plane, &[["--namespace", &self.namespace].as_slice(), arguments].concat(), input)
    }

    /// Runs kubectl as another user of the control plane.
    pub fn kubectl_as(&self, user: &str, arguments: &[&str]) -> Run {
        let context = ["--context", user, "--namespace", &self.namespace];
        kubectl(self.plane, &[context.as_slice(), arguments].concat())
    }
}

/// What a run of a program gave.
#[derive(Debug)]
pub struct Run {
    /// Whether it exited with 0.
    pub success: bool,
    /// What it exited with; -1 if a signal ended it.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error: warnings and refusals.
    pub stderr: String,
}

impl Run {
    /// Runs a program to its end, with this on its standard input.
    pub fn of(command: &mut Command, input: &str) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut to_child = child.stdin.take().expect("its standard input");
        let input = input.to_owned();
        // Beside the reading: a program that answers before it has read everything would wait for us, and we for it.
        let written = thread::spawn(move || to_child.write_all(input.as_bytes()));
        let output = child.wait_with_output().expect("its output");
        // A program may end without reading; its output tells why.
        let _ = written.join().expect("the writer ends");
        ended(&output)
    }

    /// The standard output of a run that must succeed.
    pub fn expect(self, what: &str) -> String {
        assert!(self.success, "{what}: {}{}", self.stdout, self.stderr);
        self.stdout
    }
}

/// Runs kubectl with the kubeconfig of `plane`.
pub fn kubectl(plane: &ControlPlane, arguments: &[&str]) -> Run {
    kubectl_with(plane, arguments, "")
}

/// As `kubectl`, with this on its standard input.
pub fn kubectl_with(plane: &ControlPlane, arguments: &[&str], input: &str) -> Run {
    Run::of(kubectl_command(plane).args(arguments), input)
}

/// kubectl with the kubeconfig of `plane`, and the plugin on its path.
pub fn kubectl_command(plane: &ControlPlane) -> Command {
    let plugin = program("kubectl-amigo").parent().expect("a folder").to_owned();
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([plugin].into_iter().chain(env::split_paths(&path))).expect("a path");
    let mut command = Command::new(plane.kubectl());
    command
        .env("PATH", path)
        .env("KUBECONFIG", plane.kubeconfig_path())
        .env("KUBECACHEDIR", plane.folder().join("kubectl-cache"))
        .env("NO_PROXY", "127.0.0.1")
        .env_remove("AMIGO_USER_EMAIL");
    command
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Run {
    ended(&command.output().expect("the program runs"))
}

/// Waits for the end of a command whose output goes into pipes.
pub fn finished(child: Child) -> Run {
    ended(&child.wait_with_output().expect("the program ends"))
}

fn ended(output: &Output) -> Run {
    Run {
        success: output.status.success(),
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Asks again until there is an answer; fails the test, naming what it waited for, after `within`.
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
