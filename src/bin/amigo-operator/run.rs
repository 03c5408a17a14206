//! `amigo-operator run`: starts the controllers from flags, and stops them in order.

use std::{path::PathBuf, time::Duration};

use amigo_client::{Transport, TransportOptions};
use amigo_operator::controller::{self, Audit, Environment, Settings, leader};
use amigo_operator::telemetry::{Health, LogFormat, Metrics, Traces, health, logs};
use amigo_runtime::clock::SystemClock;
use amigo_runtime::kubernetes::client_no_retry;
use anyhow::{Context as _, ensure};
use clap::Args;
use kube::{Client, Config};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

/// Silence of the main loop after which /livez fails, so that the kubelet restarts the container.
const STALLED_AFTER: Duration = Duration::from_secs(30);

/// Flags of `amigo-operator run`. The last of a repeated flag counts, so that `extraArgs` of the chart can replace one.
#[derive(Args)]
#[command(args_override_self = true)]
pub struct RunOptions {
    /// Namespace of the operator, its Secrets and its Lease. Default: the namespace of the pod or of the kubeconfig.
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAME")]
    namespace: Option<String>,

    /// Name of this replica in the Lease, in Events and in intents.
    #[arg(long, env = "POD_NAME", value_name = "NAME", default_value = "amigo-operator", hide = true)]
    identity: String,

    #[command(flatten)]
    settings: Settings,

    /// PEM file with additional certificates to trust for the Amigo API.
    #[arg(long, value_name = "FILE")]
    root_certificates: Option<PathBuf>,

    /// Address that serves /livez, /readyz and /metrics. `[::]` serves IPv6 and IPv4, or only IPv4 if the node has no IPv6.
    #[arg(long, value_name = "ADDRESS", default_value = "[::]:8080")]
    listen: String,

    /// Run without a Lease. Use it only if there is one replica.
    #[arg(long, hide = true)]
    no_leader_election: bool,

    /// Log format.
    #[arg(long, value_enum, default_value_t = LogFormat::Json)]
    log_format: LogFormat,

    /// Log level or filter, in the syntax of RUST_LOG.
    #[arg(long, value_name = "FILTER", env = "RUST_LOG", default_value = "info")]
    log_filter: String,

    /// Collector that accepts traces as OTLP over HTTP, such as `http://collector:4318`.
    #[cfg(feature = "otlp")]
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    otlp_endpoint: Option<String>,
}

/// Runs the operator until it receives a signal or another replica becomes the leader.
///
/// # Errors
/// If it cannot start, or is no longer the leader. The process then ends, because another leader may have changed what
/// this one remembers.
pub async fn run(options: RunOptions) -> anyhow::Result<()> {
    let traces = options.traces()?;
    logs::init_with(options.log_format, &options.log_filter, traces.layer())?;
    let result = serve(&options).await;
    traces.finish().await;
    result
}

async fn serve(options: &RunOptions) -> anyhow::Result<()> {
    let config = Config::infer().await.context("cannot find a Kubernetes API: set KUBECONFIG, or run in a cluster")?;
    let environment = options.environment(config)?;
    let stop = CancellationToken::new();
    tokio::spawn(stop_on_signal(stop.clone()));
    let listener = bind(&options.listen).await.with_context(|| format!("cannot listen on {}", options.listen))?;
    let router = health::router(environment.health.clone(), environment.metrics.clone());
    let server = tokio::spawn(health::serve(listener, router, stop.clone()));
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        namespace = environment.settings.namespace,
        identity = environment.settings.identity,
        "amigo-operator started"
    );
    if options.no_leader_election {
        environment.metrics.set_leader(true);
        controller::run(environment, stop.clone()).await?;
    } else {
        run_as_leader(environment, &stop).await?;
    }
    stop.cancel();
    server.await??;
    tracing::info!("amigo-operator stopped");
    Ok(())
}

/// All addresses of both families, where a node has both.
async fn bind(address: &str) -> std::io::Result<TcpListener> {
    match (TcpListener::bind(address).await, address.strip_prefix("[::]:")) {
        (Err(error), Some(port)) if error.kind() != std::io::ErrorKind::AddrInUse => {
            tracing::info!(%error, "cannot listen on IPv6; listening on IPv4 only");
            TcpListener::bind(format!("0.0.0.0:{port}")).await
        }
        (bound, _) => bound,
    }
}

/// Waits until this replica is the leader, runs the controllers while it is, and releases the Lease.
async fn run_as_leader(mut environment: Environment, stop: &CancellationToken) -> anyhow::Result<()> {
    let (metrics, health) = (environment.metrics.clone(), environment.health.clone());
    let (client, clock) = (environment.client_no_retry.clone(), environment.clock.clone());
    let election = leader::Election::start(client, clock, environment.settings.clone())?;
    let mut leadership = election.leadership();
    let waiting = async {
        loop {
            tokio::select! {
                term = leadership.won() => break term,
                () = tokio::time::sleep(Duration::from_secs(1)) => health.beat(),
            }
        }
    };
    let Some(term) = stop.run_until_cancelled(waiting).await.flatten() else {
        return Ok(election.stop().await?);
    };
    metrics.set_leader(true);
    environment.after_brief_leader = leadership.follows_brief_leader();
    let stop_controllers = CancellationToken::new();
    let _stops = stop_controllers.clone().drop_guard();
    let term_or_stop = async {
        tokio::select! {
            () = stop.cancelled() => {}
            () = term.cancelled() => {}
        }
        stop_controllers.cancel();
    };
    let controllers = async {
        let result = controller::run(environment, stop_controllers.clone()).await;
        if result.is_err() {
            stop.cancel();
        }
        result
    };
    let (result, ()) = tokio::join!(controllers, term_or_stop);
    metrics.set_leader(false);
    // Also after a lost term: the election may have won the Lease again, and nobody would use it.
    let released = election.stop().await;
    result?;
    ensure!(stop.is_cancelled(), "this replica is no longer the leader; it exits to drop its local state");
    Ok(released?)
}

async fn stop_on_signal(stop: CancellationToken) {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("cannot receive signals: only SIGKILL can stop this process");
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping after the reconciles in progress");
    stop.cancel();
}

impl RunOptions {
    fn environment(&self, config: Config) -> anyhow::Result<Environment> {
        let clock = SystemClock::shared();
        let settings = Settings {
            namespace: self.namespace.clone().unwrap_or_else(|| config.default_namespace.clone()),
            identity: leader::unique_identity(&self.identity),
            ..self.settings.clone()
        };
        Ok(Environment {
            client_no_retry: client_no_retry(config.clone(), Duration::from_secs(10))?,
            client: Client::try_from(config)?,
            transport: self.transport()?,
            settings,
            audit: Audit::new(std::io::stdout()),
            metrics: Metrics::new(),
            health: Health::new(clock.clone(), STALLED_AFTER),
            after_brief_leader: false,
            clock,
        })
    }

    fn transport(&self) -> anyhow::Result<Transport> {
        let extra_root_certificates = match &self.root_certificates {
            Some(path) => std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?,
            None => Vec::new(),
        };
        let request_deadline = self.settings.call_deadline;
        let options = TransportOptions { extra_root_certificates, request_deadline, ..TransportOptions::default() };
        Ok(Transport::new(&options)?)
    }

    #[cfg(feature = "otlp")]
    fn traces(&self) -> anyhow::Result<Traces> {
        let traces = |endpoint: &String| Traces::new(endpoint, &self.identity);
        Ok(self.otlp_endpoint.as_ref().map(traces).transpose()?.unwrap_or_default())
    }

    #[cfg(not(feature = "otlp"))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "as with the feature")]
    fn traces(&self) -> anyhow::Result<Traces> {
        Ok(Traces::default())
    }
}
