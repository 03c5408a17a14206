//! `amigo-operator run`: from flags to running controllers, and an orderly end.

use std::{path::PathBuf, time::Duration};

use amigo_client::{DOCUMENTED_HOSTS, Transport, TransportOptions};
use amigo_lifecycle::grant::Timing;
use amigo_operator::controller::{self, Audit, Environment, Settings, leader};
use amigo_operator::telemetry::{Health, LogFormat, Metrics, Traces, health, logs};
use amigo_runtime::clock::{SharedClock, SystemClock};
use amigo_runtime::kubernetes::client_no_retry;
use anyhow::{Context as _, ensure};
use clap::Args;
use jiff::SignedDuration;
use kube::{Client, Config};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

/// Silence of the main loop after which the process is better started anew.
const STALLED_AFTER: Duration = Duration::from_secs(30);

/// What `amigo-operator run` is told.
#[derive(Args)]
pub struct RunOptions {
    /// The operator's own namespace: its Secrets and its lease. Default: that of the pod or of the kubeconfig.
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAME")]
    namespace: Option<String>,

    /// The name of this replica in the lease, in Events and in intents.
    #[arg(long, env = "POD_NAME", value_name = "NAME", default_value = "amigo-operator")]
    identity: String,

    /// A host that Organizations may name in apiUrl. Repeatable; given once, Amigo's documented hosts are no default
    /// any more.
    #[arg(long, value_name = "HOST", default_values = DOCUMENTED_HOSTS)]
    allowed_api_host: Vec<String>,

    /// Allow apiUrl to be plain http, as the sandbox is.
    #[arg(long)]
    allow_plain_http: bool,

    /// PEM file with certificates to trust for the Amigo API, beside those of the system.
    #[arg(long, value_name = "FILE")]
    root_certificates: Option<PathBuf>,

    /// Where /livez, /readyz and /metrics are served.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8080")]
    listen: String,

    /// Work without a lease: only for one replica.
    #[arg(long)]
    no_leader_election: bool,

    /// The name of the lease.
    #[arg(long, value_name = "NAME", default_value = "amigo-operator")]
    lease_name: String,

    /// How long other replicas wait for the leader's renewal before they take the lease.
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = duration)]
    lease_duration: Duration,

    /// How long the leader leads on without a renewal; less than the lease duration.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    renew_deadline: Duration,

    /// How often the lease is looked at.
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration)]
    retry_period: Duration,

    /// How long one call of the Amigo API may take, answer included.
    #[arg(long, value_name = "DURATION", default_value = "20s", value_parser = duration)]
    call_deadline: Duration,

    /// How often all live grants at Amigo are compared with the objects.
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration)]
    sweep_interval: Duration,

    /// How often refused credentials are tried again while their Secret stays the same.
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration)]
    probe_interval: Duration,

    /// How many objects of a kind are worked on at a time.
    #[arg(long, value_name = "COUNT", default_value_t = 512)]
    concurrency: u16,

    /// Grant protocol: from the quorum read to the last request's first byte.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration)]
    send_window: Duration,

    /// Grant protocol: how long a request that was sent may still take effect.
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = duration)]
    commit_time: Duration,

    /// Grant protocol: how long a grant that was made may be missing from listings.
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = duration)]
    list_lag: Duration,

    /// Grant protocol: the pace of retries.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    tick: Duration,

    /// Grant protocol: how long "not found" must hold before it means "not created".
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = duration)]
    quarantine: Duration,

    /// How log lines look.
    #[arg(long, value_enum, default_value_t = LogFormat::Json)]
    log_format: LogFormat,

    /// What is logged, in the syntax of RUST_LOG.
    #[arg(long, value_name = "FILTER", env = "RUST_LOG", default_value = "info")]
    log_filter: String,

    /// Where traces go: a collector that takes OTLP over HTTP, such as `http://collector:4318`.
    #[cfg(feature = "otlp")]
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    otlp_endpoint: Option<String>,
}

/// Reads a duration given as a flag.
///
/// # Errors
/// With what to write instead.
pub fn duration(text: &str) -> Result<Duration, String> {
    let parsed: SignedDuration = text.parse().map_err(|_| "write a duration such as 90s, 10m or PT2H".to_owned())?;
    Duration::try_from(parsed).map_err(|_| "a duration cannot be negative".to_owned())
}

/// Runs the operator until it is told to stop, or loses the lead.
///
/// # Errors
/// When it cannot start, or another replica took the lead: the process then ends, so that nothing it remembers is
/// mistaken for knowledge later.
pub async fn run(options: RunOptions) -> anyhow::Result<()> {
    let traces = options.traces()?;
    logs::init_with(options.log_format, &options.log_filter, traces.layer())?;
    let ended = work(&options).await;
    traces.finish().await;
    ended
}

async fn work(options: &RunOptions) -> anyhow::Result<()> {
    let clock = SystemClock::shared();
    let config = Config::infer().await.context("no way to the Kubernetes API: set KUBECONFIG, or run in a cluster")?;
    let settings = options.settings(config.default_namespace.clone())?;
    let client_no_retry = client_no_retry(config.clone(), Duration::from_secs(10))?;
    let metrics = Metrics::new();
    let health = Health::new(clock.clone(), STALLED_AFTER);
    let stop = CancellationToken::new();
    tokio::spawn(stop_on_signal(stop.clone()));
    let listener =
        TcpListener::bind(&options.listen).await.with_context(|| format!("cannot listen on {}", options.listen))?;
    let served = tokio::spawn(health::serve(listener, health::router(health.clone(), metrics.clone()), stop.clone()));
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        namespace = settings.namespace,
        identity = settings.identity,
        "amigo-operator starts"
    );
    let environment = Environment {
        client: Client::try_from(config)?,
        client_no_retry: client_no_retry.clone(),
        clock: clock.clone(),
        transport: options.transport()?,
        settings: settings.clone(),
        audit: Audit::to(std::io::stdout()),
        metrics: metrics.clone(),
        health: health.clone(),
    };
    if options.no_leader_election {
        metrics.set_leader(true);
        controller::run(environment, stop.clone()).await?;
    } else {
        let election = leader::Options {
            lease_duration: options.lease_duration,
            renew_deadline: options.renew_deadline,
            retry_period: options.retry_period,
            ..leader::Options::new(&settings.namespace, &options.lease_name, &settings.identity)
        };
        lead(environment, (client_no_retry, clock), election, &stop).await?;
    }
    stop.cancel();
    served.await??;
    tracing::info!("amigo-operator ends");
    Ok(())
}

/// Waits for the lead, works while it lasts, hands it over at the end.
async fn lead(
    environment: Environment,
    (client_no_retry, clock): (Client, SharedClock),
    options: leader::Options,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let (metrics, health) = (environment.metrics.clone(), environment.health.clone());
    let election = leader::Election::start(client_no_retry, clock, options)?;
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
    let work = CancellationToken::new();
    let _ends = work.clone().drop_guard();
    let ending = async {
        tokio::select! {
            () = stop.cancelled() => {}
            () = term.cancelled() => {}
        }
        work.cancel();
    };
    let (ran, ()) = tokio::join!(
        async {
            let ran = controller::run(environment, work.clone()).await;
            if ran.is_err() {
                stop.cancel();
            }
            ran
        },
        ending
    );
    metrics.set_leader(false);
    // Also when the lead was lost: it may have been won again since, and nobody would use it.
    let released = election.stop().await;
    ran?;
    ensure!(stop.is_cancelled(), "this replica lost the lead; it starts anew to forget what it knew");
    Ok(released?)
}

async fn stop_on_signal(stop: CancellationToken) {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("signals cannot be received: only a kill will stop this process");
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping: passes under way are finished first");
    stop.cancel();
}

impl RunOptions {
    fn settings(&self, default_namespace: String) -> anyhow::Result<Settings> {
        let timing = Timing {
            send_window: self.send_window,
            commit: self.commit_time,
            list_lag: self.list_lag,
            tick: self.tick,
            quarantine: self.quarantine,
        };
        ensure!(
            timing.is_safe(),
            "--quarantine must be at least --send-window + --commit-time + --list-lag, or a grant could be issued twice"
        );
        let identity = leader::unique_identity(&self.identity);
        let namespace = self.namespace.clone().unwrap_or(default_namespace);
        Ok(Settings {
            allowed_hosts: self.allowed_api_host.clone(),
            allow_plain_http: self.allow_plain_http,
            timing,
            sweep_interval: self.sweep_interval,
            probe_interval: self.probe_interval,
            concurrency: self.concurrency,
            call_deadline: self.call_deadline,
            ..Settings::new(namespace, identity)
        })
    }

    #[cfg(feature = "otlp")]
    fn traces(&self) -> anyhow::Result<Traces> {
        let to = |endpoint: &String| Traces::to(endpoint, &self.identity);
        Ok(self.otlp_endpoint.as_ref().map(to).transpose()?.unwrap_or_default())
    }

    #[cfg(not(feature = "otlp"))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "as with the feature")]
    fn traces(&self) -> anyhow::Result<Traces> {
        Ok(Traces::default())
    }

    fn transport(&self) -> anyhow::Result<Transport> {
        let extra_root_certificates = match &self.root_certificates {
            Some(path) => std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?,
            None => Vec::new(),
        };
        let request_deadline = self.call_deadline;
        let options = TransportOptions { extra_root_certificates, request_deadline, ..TransportOptions::default() };
        Ok(Transport::new(&options)?)
    }
}
