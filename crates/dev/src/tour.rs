//! `amigo-operator demo`: a real API server, the sandbox, the operator, and the examples, on this machine.

use std::{
    io::{IsTerminal as _, Write as _},
    path::PathBuf,
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
use tokio::{net::TcpListener, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    Assets, AssetsError, ControlPlane,
    apply::{ApplyError, apply},
    control_plane,
    table::table,
};

const OPERATOR_NAMESPACE: &str = "amigo-system";
const NAMESPACE: &str = "default";
const ORGANIZATION: &str = include_str!("../../../examples/organization.yaml");
const ROLE: &str = include_str!("../../../examples/role-conversation-reviewer.yaml");
const ASSIGNMENT: &str = include_str!("../../../examples/role-assignment.yaml");
const GRANT: &str = include_str!("../../../examples/grant-conversation.yaml");
const GRANT_NAME: &str = "conversation-abc123";

/// A minute of access, the time around it, and a slow machine.
const PATIENCE: Duration = Duration::from_mins(4);
const DRAIN: Duration = Duration::from_secs(30);
const READY_WITHIN: Duration = Duration::from_mins(1);

/// What `amigo-operator demo` is told.
#[derive(Args)]
pub struct TourOptions {
    /// End when the grant has expired, with exit code 0 if all went as it should.
    #[arg(long)]
    once: bool,

    /// The script that builds kube-apiserver and etcd where KUBEBUILDER_ASSETS names no folder.
    #[arg(long, value_name = "FILE", default_value = "tests/control-plane/build.sh")]
    build_script: PathBuf,
}

/// Why the tour ended early.
#[derive(Debug, thiserror::Error)]
pub enum TourError {
    /// There is no kube-apiserver to start.
    #[error(transparent)]
    Assets(#[from] AssetsError),
    /// The control plane does not start.
    #[error(transparent)]
    ControlPlane(#[from] control_plane::Error),
    /// A manifest cannot be applied.
    #[error("cannot apply an example: {0}")]
    Apply(#[from] ApplyError),
    /// The Kubernetes API does not do as asked.
    #[error("the Kubernetes API: {0}")]
    Kubernetes(#[from] kube::Error),
    /// The sandbox's seed is wrong.
    #[error(transparent)]
    Seed(#[from] SeedError),
    /// The operator cannot reach anything.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The operator does not run.
    #[error(transparent)]
    Operator(#[from] RunError),
    /// A definition cannot be written.
    #[error("cannot write a definition: {0}")]
    Definition(#[from] serde_saphyr::ser::Error),
    /// Something else of this machine.
    #[error(transparent)]
    Machine(#[from] std::io::Error),
    /// What should have happened did not.
    #[error("{0}")]
    Disappointed(String),
}

/// Takes the tour; ends by itself with `--once`, else when interrupted.
///
/// # Errors
/// [`TourError`].
pub async fn tour(options: TourOptions, clock: SharedClock) -> Result<(), TourError> {
    say("1/5  starting etcd and kube-apiserver")?;
    let plane = ControlPlane::start(Assets::find(&options.build_script).await?).await?;
    let client = plane.client().await?;
    say("2/5  starting the sandbox: an embedded Amigo API, nothing of it is real")?;
    let (sandbox, address) = serve_sandbox(clock.clone()).await?;
    say("3/5  installing the CRDs and starting the operator")?;
    install(&client).await?;
    let stop = CancellationToken::new();
    let operator = tokio::spawn(controller::run(environment(&plane, clock.clone()).await?, stop.clone()));
    say("4/5  applying an Organization, a Role, a RoleAssignment and a grant of one minute")?;
    apply_examples(&client, &format!("http://{address}")).await?;
    say(&format!(
        "5/5  watching. In another shell:\n       export KUBECONFIG={}\n       {} get amigo -A",
        plane.kubeconfig_path().display(),
        plane.kubectl().display()
    ))?;
    let watched = tokio::select! {
        watched = watch(&client, &sandbox, &clock, options.once) => watched,
        _ = tokio::signal::ctrl_c() => Ok(()),
    };
    stop.cancel();
    match tokio::time::timeout(DRAIN, operator).await {
        Ok(Ok(ended)) => ended?,
        Ok(Err(panicked)) => return Err(TourError::Disappointed(format!("the operator ended badly: {panicked}"))),
        Err(_) => return Err(TourError::Disappointed(format!("the operator did not end within {DRAIN:?}"))),
    }
    plane.stop()?;
    watched
}

async fn serve_sandbox(clock: SharedClock) -> Result<(Sandbox, std::net::SocketAddr), TourError> {
    let sandbox = Sandbox::new(Seed::example()?, clock, rand::random())?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let served = sandbox.clone();
    tokio::spawn(async move {
        if let Err(error) = served.serve(listener, std::future::pending()).await {
            tracing::error!(%error, "the sandbox ended");
        }
    });
    Ok((sandbox, address))
}

async fn environment(plane: &ControlPlane, clock: SharedClock) -> Result<Environment, TourError> {
    let config = plane.config().await?;
    let settings = Settings {
        allow_plain_http: true,
        allowed_hosts: vec!["127.0.0.1".to_owned()],
        sweep_interval: Duration::from_secs(30),
        ..Settings::new(OPERATOR_NAMESPACE, controller::leader::unique_identity("demo"))
    };
    Ok(Environment {
        client_no_retry: client_no_retry(config.clone(), Duration::from_secs(10))?,
        client: Client::try_from(config)?,
        transport: Transport::new(&TransportOptions::default())?,
        settings,
        // The audit lines would tear the table.
        audit: Audit::to(std::io::sink()),
        metrics: Metrics::new(),
        health: Health::new(clock.clone(), Duration::from_secs(30)),
        clock,
    })
}

async fn install(client: &Client) -> Result<(), TourError> {
    let definitions: Api<_> = Api::all(client.clone());
    for definition in amigo_api::all() {
        apply(client, NAMESPACE, "demo", &amigo_api::manifest(&definition)?.1).await?;
        let name = definition.name_any();
        let established = wait::await_condition(definitions.clone(), &name, wait::conditions::is_crd_established());
        let late = || TourError::Disappointed(format!("{name} is not established"));
        tokio::time::timeout(READY_WITHIN, established).await.map_err(|_| late())?.map_err(|_| late())?;
    }
    let mut namespace = Namespace::default();
    namespace.metadata.name = Some(OPERATOR_NAMESPACE.to_owned());
    Api::all(client.clone()).create(&kube::api::PostParams::default(), &namespace).await?;
    Ok(())
}

/// The files of `examples/`, pointed to the sandbox, with a grant that ends soon.
async fn apply_examples(client: &Client, url: &str) -> Result<(), TourError> {
    let organization = ORGANIZATION.replace("https://api.amigo.ai\n", &format!("{url}\n"));
    let grant = GRANT.replace("spec:\n", "spec:\n  duration: PT1M\n");
    for manifest in [organization.as_str(), ROLE, ASSIGNMENT, grant.as_str()] {
        apply(client, NAMESPACE, "demo", manifest).await?;
    }
    Ok(())
}

/// Shows the grants until the tour's own has come and gone; goes on if it is not `once`.
async fn watch(client: &Client, sandbox: &Sandbox, clock: &SharedClock, once: bool) -> Result<(), TourError> {
    let api: Api<TemporaryPermissionGrant> = Api::all(client.clone());
    let (began, mut seen, mut told) = (Instant::now(), Seen::default(), false);
    let mut screen = Screen::default();
    loop {
        let grants = api.list(&ListParams::default()).await?.items;
        seen.look(client, &grants).await?;
        screen.draw(&table(&grants, clock.now()))?;
        let over = seen.grant && !grants.iter().any(|grant| grant.name_any() == GRANT_NAME);
        if over && !told {
            told = true;
            say(&conclusion(sandbox, &seen)?)?;
            screen = Screen::default();
            if once {
                return Ok(());
            }
            say("Apply what you like; Ctrl-C ends everything.")?;
        }
        if once && began.elapsed() > PATIENCE {
            return Err(TourError::Disappointed(format!(
                "the grant did not come and go within {PATIENCE:?}: {seen:?}"
            )));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// What was seen to become Ready.
#[derive(Debug, Default)]
struct Seen {
    role: bool,
    assignment: bool,
    grant: bool,
}

impl Seen {
    async fn look(&mut self, client: &Client, grants: &[TemporaryPermissionGrant]) -> Result<(), kube::Error> {
        let ready = |status: Option<&Vec<_>>| status.is_some_and(|list| conditions::holds(list, condition::READY));
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

/// What the other side says: its journal is the truth.
fn conclusion(sandbox: &Sandbox, seen: &Seen) -> Result<String, TourError> {
    let journal = sandbox.journal();
    let count = |of: fn(&Change) -> bool| journal.iter().filter(|commit| of(&commit.change)).count();
    let roles = count(|change| matches!(change, Change::RoleCreated { .. }));
    let assignments = count(|change| matches!(change, Change::RoleAssigned { .. }));
    let grants = count(|change| matches!(change, Change::GrantCreated(_)));
    let live = sandbox.live_grants("acme").len();
    let story = format!(
        "The sandbox's journal: {roles} role created, {assignments} role assigned, {grants} grants issued; {live} live now.\n\
         The grant expired on the server and its object was deleted."
    );
    let right = seen.role && seen.assignment && (roles, assignments, grants, live) == (1, 1, 3, 0);
    if right { Ok(story) } else { Err(TourError::Disappointed(format!("not as it should be: {story} {seen:?}"))) }
}

/// Redraws on a terminal; elsewhere prints what changed besides the countdown.
#[derive(Default)]
struct Screen {
    lines: usize,
    last: String,
}

impl Screen {
    fn draw(&mut self, table: &str) -> std::io::Result<()> {
        let mut out = std::io::stdout();
        if out.is_terminal() {
            if self.lines > 0 {
                // Up to the table's first line, and clear from there.
                write!(out, "\x1b[{}A\x1b[J", self.lines)?;
            }
            self.lines = table.lines().count();
            write!(out, "{table}")?;
        } else {
            let still: String =
                table.lines().map(|line| line.rsplit_once(' ').map_or(line, |(rest, _)| rest)).collect();
            if still != self.last {
                self.last = still;
                write!(out, "{table}")?;
            }
        }
        out.flush()
    }
}

fn say(text: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{text}")
}
