//! `amigo-dev tour`: a local API server, the sandbox, the operator and the examples, in one process.

use std::{
    borrow::Cow,
    env,
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use amigo_api::{Role, RoleAssignment, TemporaryPermissionGrant, conditions, reasons::condition};
use amigo_client::{Transport, TransportError, TransportOptions};
use amigo_operator::controller::{self, Audit, Environment, RunError, Settings};
use amigo_operator::telemetry::{Health, Metrics};
use amigo_runtime::clock::SharedClock;
use amigo_runtime::kubernetes::client_no_retry;
use amigo_sandbox::{Change, Sandbox, Seed, SeedError};
use clap::Args;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client, ResourceExt as _, api::ListParams, runtime::wait};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Assets, AssetsError, ControlPlane,
    apply::{ApplyError, apply},
    control_plane,
    table::LiveTable,
};

const OPERATOR_NAMESPACE: &str = "amigo-system";
const NAMESPACE: &str = "default";
const FIELD_MANAGER: &str = "amigo-dev";
const ORGANIZATION: &str = include_str!("../../../examples/organization.yaml");
const ROLE: &str = include_str!("../../../examples/role-conversation-reviewer.yaml");
const ASSIGNMENT: &str = include_str!("../../../examples/role-assignment.yaml");
const GRANT: &str = include_str!("../../../examples/grant-conversation.yaml");
const GRANT_NAME: &str = "conversation-abc123";
const EXAMPLES: &str = "\
[4/5] Applying four objects from examples/:
        Organization              acme                   connects the operator to the sandbox
        Role                      conversation-reviewer  creates the role in the sandbox
        RoleAssignment            colleague              gives the role to colleague@example.com
        TemporaryPermissionGrant  conversation-abc123    gives eng@example.com access for one minute";
/// A conversation request needs three permissions: conversation, messages and insights.
const GRANTED_PERMISSIONS: usize = 3;

/// Enough for a grant of one minute on a slow machine.
const TIMEOUT: Duration = Duration::from_mins(4);
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(30);
const CRD_TIMEOUT: Duration = Duration::from_mins(1);

#[derive(Args)]
pub struct TourOptions {
    /// Exit after the grant expires. The exit code is 0 if the tour ran as expected.
    #[arg(long)]
    once: bool,

    /// Script that builds etcd, kube-apiserver and kubectl if KUBEBUILDER_ASSETS is not set.
    #[arg(long, value_name = "FILE", default_value = "tests/control-plane/build.sh")]
    build_script: PathBuf,
}

/// A failure of the tour.
#[derive(Debug, thiserror::Error)]
pub enum TourError {
    #[error(transparent)]
    Assets(#[from] AssetsError),
    #[error(transparent)]
    ControlPlane(#[from] control_plane::Error),
    #[error("cannot apply an example: {0}")]
    Apply(#[from] ApplyError),
    #[error("Kubernetes API request failed: {0}")]
    Kubernetes(#[from] kube::Error),
    #[error(transparent)]
    Seed(#[from] SeedError),
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error(transparent)]
    Operator(#[from] RunError),
    #[error("cannot render a CRD as YAML: {0}")]
    Crd(#[from] serde_saphyr::ser::Error),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Unexpected(String),
}

/// Runs the tour until the grant expires (`--once`) or until an interrupt.
///
/// # Errors
/// [`TourError`].
pub async fn tour(options: TourOptions, clock: SharedClock) -> Result<(), TourError> {
    print("[1/5] Starting a local control plane: etcd and kube-apiserver.")?;
    let plane = ControlPlane::start(Assets::find(&options.build_script).await?).await?;
    let client = plane.client().await?;
    print("[2/5] Starting the sandbox: a test implementation of the Amigo API. All its data is fictional.")?;
    let sandbox = Sandbox::new(Seed::example()?, clock.clone(), rand::random())?;
    let address = sandbox.spawn().await?;
    print("[3/5] Installing the CRDs and starting the operator.")?;
    install(&client).await?;
    let stop = CancellationToken::new();
    let operator = tokio::spawn(controller::run(environment(&plane, clock.clone()).await?, stop.clone()));
    print(EXAMPLES)?;
    apply_examples(&client, &format!("http://{address}")).await?;
    print(&format!(
        "[5/5] Watching the grant until it expires. To inspect the cluster, run in another shell:{}",
        shell_commands(&plane)
    ))?;
    let watched = tokio::select! {
        watched = watch(&client, &sandbox, &clock, options.once) => watched,
        _ = tokio::signal::ctrl_c() => Ok(()),
    };
    stop.cancel();
    match tokio::time::timeout(SHUTDOWN_TIMEOUT, operator).await {
        Ok(Ok(result)) => result?,
        Ok(Err(panic)) => return Err(TourError::Unexpected(format!("the operator panicked: {panic}"))),
        Err(_) => {
            return Err(TourError::Unexpected(format!("the operator did not stop within {SHUTDOWN_TIMEOUT:?}")));
        }
    }
    plane.stop()?;
    watched
}

/// The kubectl of the control plane, and the plugin beside this program.
fn shell_commands(plane: &ControlPlane) -> String {
    let kubectl = plane.kubectl();
    let plugin = env::current_exe().ok();
    let programs = [Some(kubectl.as_path()), plugin.as_deref()];
    let folders = programs.into_iter().flatten().filter_map(Path::parent).map(Path::to_string_lossy);
    let path: Vec<_> = folders.chain([Cow::from("$PATH")]).collect();
    let path = path.join(":");
    let kubeconfig = plane.kubeconfig_path();
    format!(
        "
        export KUBECONFIG={}
        export PATH=\"{path}\"
        kubectl get amigo --all-namespaces
        kubectl amigo status {GRANT_NAME}
",
        kubeconfig.display()
    )
}

async fn environment(plane: &ControlPlane, clock: SharedClock) -> Result<Environment, TourError> {
    let config = plane.config().await?;
    let settings = Settings {
        allowed_hosts: vec!["http://127.0.0.1".to_owned()],
        sweep_interval: Duration::from_secs(30),
        ..Settings::new(OPERATOR_NAMESPACE, controller::leader::unique_identity("tour"))
    };
    Ok(Environment {
        after_brief_leader: false,
        client_no_retry: client_no_retry(config.clone(), Duration::from_secs(10))?,
        client: Client::try_from(config)?,
        transport: Transport::new(&TransportOptions::default())?,
        settings,
        // Audit lines would break the table.
        audit: Audit::new(std::io::sink()),
        metrics: Metrics::new(),
        health: Health::new(clock.clone(), Duration::from_secs(30)),
        clock,
    })
}

async fn install(client: &Client) -> Result<(), TourError> {
    let crds: Api<_> = Api::all(client.clone());
    for crd in amigo_api::all() {
        apply(client, NAMESPACE, FIELD_MANAGER, &amigo_api::manifest(&crd)?.1).await?;
        let name = crd.name_any();
        let established = wait::await_condition(crds.clone(), &name, wait::conditions::is_crd_established());
        let not_established = || TourError::Unexpected(format!("CRD {name} is not established after {CRD_TIMEOUT:?}"));
        let result = tokio::time::timeout(CRD_TIMEOUT, established).await;
        result.map_err(|_| not_established())?.map_err(|_| not_established())?;
    }
    let mut namespace = Namespace::default();
    namespace.metadata.name = Some(OPERATOR_NAMESPACE.to_owned());
    Api::all(client.clone()).create(&kube::api::PostParams::default(), &namespace).await?;
    Ok(())
}

/// Applies files of `examples/`, with the URL of the sandbox and a duration of one minute.
async fn apply_examples(client: &Client, url: &str) -> Result<(), TourError> {
    let organization = ORGANIZATION.replace("https://api.amigo.ai\n", &format!("{url}\n"));
    let grant = GRANT.replace("spec:\n", "spec:\n  duration: PT1M\n");
    for manifest in [organization.as_str(), ROLE, ASSIGNMENT, grant.as_str()] {
        apply(client, NAMESPACE, FIELD_MANAGER, manifest).await?;
    }
    Ok(())
}

/// Shows the grants until the tour's grant expires; afterwards too, unless `once` is set.
async fn watch(client: &Client, sandbox: &Sandbox, clock: &SharedClock, once: bool) -> Result<(), TourError> {
    let api: Api<TemporaryPermissionGrant> = Api::all(client.clone());
    let (start, mut observed, mut is_summarized) = (Instant::now(), Observed::default(), false);
    let mut table = LiveTable::default();
    loop {
        let grants = api.list(&ListParams::default()).await?.items;
        observed.update(client, &grants).await?;
        table.draw(&grants, clock.now())?;
        let is_over = observed.grant && !grants.iter().any(|grant| grant.name_any() == GRANT_NAME);
        if is_over && !is_summarized {
            is_summarized = true;
            print(&summary(sandbox, &observed)?)?;
            table = LiveTable::default();
            if once {
                return Ok(());
            }
            print("The operator keeps running: apply your own objects. Press Ctrl-C to stop and remove everything.\n")?;
        }
        if once && start.elapsed() > TIMEOUT {
            return Err(TourError::Unexpected(format!(
                "the grant did not become Ready and expire within {TIMEOUT:?}; objects that became Ready: {observed:?}"
            )));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// The objects that became Ready.
#[derive(Debug, Default)]
struct Observed {
    role: bool,
    assignment: bool,
    grant: bool,
}

impl Observed {
    async fn update(&mut self, client: &Client, grants: &[TemporaryPermissionGrant]) -> Result<(), kube::Error> {
        let ready = |status: Option<&Vec<_>>| status.is_some_and(|list| conditions::is_true(list, condition::READY));
        self.grant |= grants.iter().any(|grant| {
            grant.name_any() == GRANT_NAME && ready(grant.status.as_ref().map(|status| &status.conditions))
        });
        let roles: Api<Role> = Api::namespaced(client.clone(), NAMESPACE);
        let assignments: Api<RoleAssignment> = Api::namespaced(client.clone(), NAMESPACE);
        if !self.role {
            let listed = roles.list(&ListParams::default()).await?;
            self.role = listed.iter().any(|role| ready(role.status.as_ref().map(|status| &status.conditions)));
        }
        if !self.assignment {
            let listed = assignments.list(&ListParams::default()).await?;
            self.assignment = listed.iter().any(|one| ready(one.status.as_ref().map(|status| &status.conditions)));
        }
        Ok(())
    }
}

/// Compares the sandbox's journal with the expected commits.
fn summary(sandbox: &Sandbox, observed: &Observed) -> Result<String, TourError> {
    let journal = sandbox.journal();
    let count = |is_counted: fn(&Change) -> bool| journal.iter().filter(|commit| is_counted(&commit.change)).count();
    let roles = count(|change| matches!(change, Change::RoleCreated { .. }));
    let assignments = count(|change| matches!(change, Change::RoleAssigned { .. }));
    let grants = count(|change| matches!(change, Change::GrantCreated(_)));
    let active = sandbox.live_grants("acme").len();
    let commits = format!(
        "Roles created: {roles}. Roles assigned: {assignments}. Temporary permissions granted: {grants}, still active: {active}."
    );
    let is_expected =
        observed.role && observed.assignment && (roles, assignments, grants, active) == (1, 1, GRANTED_PERMISSIONS, 0);
    if is_expected {
        Ok(format!("\nThe access expired, and the operator deleted the request.\nThe sandbox recorded: {commits}"))
    } else {
        Err(TourError::Unexpected(format!(
            "the sandbox recorded unexpected commits: {commits} Objects that became Ready: {observed:?}"
        )))
    }
}

fn print(text: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{text}")
}
