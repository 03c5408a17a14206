//! One operator in this process, for all tests of the binary.

use std::{
    io::Write,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use amigo_client::{Transport, TransportOptions};
use amigo_lifecycle::grant::Timing;
use amigo_operator::controller::{self, Audit, Environment, Settings};
use amigo_operator::telemetry::{Health, Metrics};
use amigo_runtime::clock::SystemClock;
use amigo_runtime::kubernetes::client_no_retry;
use http::{Method, Request};
use kube::Client;
use serde_json::Value;
use tokio::{runtime::Runtime, sync::OnceCell};
use tokio_util::sync::CancellationToken;

use crate::{OPERATOR_NAMESPACE, TestEnv, control_plane, install_crds};

/// The protocol's times, short: a lost answer is settled in seconds.
pub const TIMING: Timing = Timing {
    send_window: Duration::from_secs(2),
    commit: Duration::from_millis(1500),
    list_lag: Duration::from_millis(500),
    tick: Duration::from_secs(1),
};

/// How long a deleted object waits for its Organization.
pub const GRACE: Duration = Duration::from_secs(4);

/// How many objects of one kind the operator of the tests works on at a time.
pub const CONCURRENCY: u16 = 64;

// Outlives the runtime of each test; never dropped.
pub(crate) static BACKGROUND: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
});
static OPERATOR: OnceCell<Operator> = OnceCell::const_new();

/// The operator all tests of this binary share.
pub struct Operator {
    /// Its counters.
    pub metrics: Metrics,
    /// Its audit lines.
    pub audit: AuditTrail,
}

/// What the operator wrote to its audit stream.
#[derive(Clone, Default)]
pub struct AuditTrail(Arc<Mutex<Vec<u8>>>);

impl AuditTrail {
    /// The lines about one object, `namespace/name`.
    pub fn about(&self, object: &str) -> Vec<Value> {
        let bytes = self.0.lock().expect("the audit trail").clone();
        let lines = String::from_utf8(bytes).expect("text");
        let parsed = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("one JSON object a line"));
        parsed.filter(|line| line["object"] == object).collect()
    }
}

impl Write for AuditTrail {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("the audit trail").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The operator of this binary, started on first use.
pub async fn operator() -> &'static Operator {
    OPERATOR.get_or_init(|| async { BACKGROUND.spawn(start_operator()).await.expect("an operator") }).await
}

async fn start_operator() -> Operator {
    let config = control_plane().await.config().await.expect("a configuration");
    let client = Client::try_from(config.clone()).expect("a client");
    install_crds(&client).await;
    let clock = SystemClock::shared();
    let (metrics, audit) = (Metrics::new(), AuditTrail::default());
    let settings = Settings {
        allowed_hosts: ["127.0.0.1", "localhost", "http://127.0.0.1", "http://localhost"].map(str::to_owned).to_vec(),
        send_window: TIMING.send_window,
        commit_time: TIMING.commit,
        list_lag: TIMING.list_lag,
        tick: TIMING.tick,
        sweep_interval: Duration::from_secs(5),
        probe_interval: Duration::from_secs(5),
        release_grace: GRACE,
        // Few enough that one test can have more objects.
        concurrency: CONCURRENCY,
        ..Settings::new(OPERATOR_NAMESPACE, "test-operator")
    };
    let environment = Environment {
        after_brief_leader: false,
        client_no_retry: lossy(client_no_retry(config, Duration::from_secs(10)).expect("a client")),
        client,
        clock: clock.clone(),
        transport: Transport::new(&TransportOptions {
            request_deadline: Duration::from_secs(3),
            connect_timeout: Duration::from_secs(1),
            ..TransportOptions::default()
        })
        .expect("a transport"),
        settings,
        audit: Audit::new(audit.clone()),
        metrics: metrics.clone(),
        health: Health::new(clock, Duration::from_secs(30)),
    };
    tokio::spawn(
        async move { controller::run(environment, CancellationToken::new()).await.expect("the operator runs") },
    );
    Operator { metrics, audit }
}

/// The requests to the Kubernetes API whose responses are lost, each once: method, and how the path ends.
static LOST: Mutex<Vec<(Method, String)>> = Mutex::new(Vec::new());

/// A client whose requests arrive, and whose responses can get lost.
fn lossy(client: Client) -> Client {
    let service = tower::service_fn(move |request: Request<kube::client::Body>| {
        let client = client.clone();
        async move {
            let lost = is_lost(request.method(), request.uri().path());
            let response = client.send(request).await?;
            if lost { Err("the response was lost".into()) } else { Ok::<_, tower::BoxError>(response) }
        }
    });
    Client::new(service, "default")
}

fn is_lost(method: &Method, path: &str) -> bool {
    let mut lost = LOST.lock().expect("the lost responses");
    let hit = lost.iter().position(|(whose, end)| whose == method && path.ends_with(end));
    hit.map(|hit| lost.swap_remove(hit)).is_some()
}

impl TestEnv {
    /// Audit lines of the operator in this process about an object of the namespace.
    pub async fn audit(&self, name: &str) -> Vec<Value> {
        operator().await.audit.about(&format!("{}/{name}", self.namespace))
    }

    /// Loses the response to the operator's next status write of a grant.
    pub fn lose_write(&self, name: &str) {
        self.lose(Method::PUT, &format!("{name}/status"));
    }

    /// Loses the response to the operator's next deletion of a grant.
    pub fn lose_deletion(&self, name: &str) {
        self.lose(Method::DELETE, name);
    }

    fn lose(&self, method: Method, end: &str) {
        let path = format!("/namespaces/{}/temporarypermissiongrants/{end}", self.namespace);
        LOST.lock().expect("the lost responses").push((method, path));
    }
}
