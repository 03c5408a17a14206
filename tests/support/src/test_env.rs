//! A stage for one test: a sandbox of its own, an Organization that points to it, and a namespace. One operator
//! serves all tests of a binary, in this process.

use std::{
    io::Write,
    net::SocketAddr,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use amigo_api::{Organization, Role, RoleAssignment, TemporaryPermissionGrant};
use amigo_client::{Transport, TransportOptions};
use amigo_lifecycle::grant::Timing;
use amigo_operator::controller::{self, Audit, Environment, Settings};
use amigo_operator::telemetry::{Health, Metrics};
use amigo_runtime::clock::{Clock as _, SystemClock};
use amigo_runtime::kubernetes::client_no_retry;
use amigo_sandbox::{Change, Effect, Fault, GrantCreated, Operation, PermissionModel, Sandbox, Seed};
use axum::body::Body;
use futures::{StreamExt as _, pin_mut};
use http::{Method, Request};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DeleteParams, ListParams, Patch, PatchParams, WatchParams},
    core::{DynamicObject, WatchEvent},
    runtime::{conditions, wait::await_condition},
};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    runtime::Runtime,
    sync::OnceCell,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::{Cluster, POLL, control_plane, eventually};

/// Where the operator of the tests reads Secrets.
pub const OPERATOR_NAMESPACE: &str = "default";

/// The protocol's times, short: a lost answer is settled in seconds.
pub const TIMING: Timing = Timing {
    send_window: Duration::from_secs(2),
    commit: Duration::from_millis(1500),
    list_lag: Duration::from_millis(500),
    tick: Duration::from_secs(1),
    quarantine: Duration::from_secs(4),
};

/// How many objects of one kind the operator of the tests works on at a time.
pub const CONCURRENCY: u16 = 64;

/// The id of the sandbox's API key.
pub const KEY: &str = "5b1d7c1e-0c55-4c0f-9a57-7f2f0e3c9b11";

/// How long a test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(20);

// Outlives every test's own runtime; never dropped.
static STAGEHANDS: LazyLock<Runtime> = LazyLock::new(|| {
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

/// Installs the kinds; may be called again and again.
pub async fn install_crds(client: &Client) {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for definition in amigo_api::all() {
        let name = definition.name_any();
        api.patch(&name, &PatchParams::apply("test").force(), &Patch::Apply(&definition)).await.expect("a definition");
        let established = await_condition(api.clone(), &name, conditions::is_crd_established());
        timeout(Duration::from_secs(20), established).await.expect("in time").expect("established");
    }
}

/// The operator of this binary, started on first use.
pub async fn operator() -> &'static Operator {
    OPERATOR.get_or_init(|| async { STAGEHANDS.spawn(start_operator()).await.expect("an operator") }).await
}

async fn start_operator() -> Operator {
    let config = control_plane().await.config().await.expect("a configuration");
    let client = Client::try_from(config.clone()).expect("a client");
    install_crds(&client).await;
    let clock = SystemClock::shared();
    let (metrics, audit) = (Metrics::new(), AuditTrail::default());
    let settings = Settings {
        allow_plain_http: true,
        allowed_hosts: vec!["127.0.0.1".to_owned(), "localhost".to_owned()],
        timing: TIMING,
        sweep_interval: Duration::from_secs(5),
        probe_interval: Duration::from_secs(5),
        // Few enough that one test can have more objects.
        concurrency: CONCURRENCY,
        ..Settings::new(OPERATOR_NAMESPACE, "test-operator")
    };
    let environment = Environment {
        client_no_retry: forgetful(client_no_retry(config, Duration::from_secs(10)).expect("a client")),
        client,
        clock: clock.clone(),
        transport: Transport::new(&TransportOptions {
            request_deadline: Duration::from_secs(3),
            connect_timeout: Duration::from_secs(1),
            ..TransportOptions::default()
        })
        .expect("a transport"),
        settings,
        audit: Audit::to(audit.clone()),
        metrics: metrics.clone(),
        health: Health::new(clock, Duration::from_secs(30)),
    };
    tokio::spawn(
        async move { controller::run(environment, CancellationToken::new()).await.expect("the operator runs") },
    );
    Operator { metrics, audit }
}

/// The requests to the Kubernetes API whose answers are lost, each once: method, and how the path ends.
static LOST: Mutex<Vec<(Method, String)>> = Mutex::new(Vec::new());

/// A client whose requests arrive, and whose answers do not always.
fn forgetful(client: Client) -> Client {
    let service = tower::service_fn(move |request: Request<kube::client::Body>| {
        let client = client.clone();
        async move {
            let lost = is_lost(request.method(), request.uri().path());
            let answer = client.send(request).await?;
            if lost { Err("the answer was lost".into()) } else { Ok::<_, tower::BoxError>(answer) }
        }
    });
    Client::new(service, "default")
}

fn is_lost(method: &Method, path: &str) -> bool {
    let mut lost = LOST.lock().expect("the lost answers");
    let hit = lost.iter().position(|(whose, end)| whose == method && path.ends_with(end));
    hit.map(|hit| lost.swap_remove(hit)).is_some()
}

/// One test's sandbox, Organization and namespace.
pub struct Stage {
    /// Namespace and kubectl.
    pub cluster: Cluster,
    /// The other side.
    pub sandbox: Sandbox,
    /// Where it listens.
    pub address: SocketAddr,
    /// The name of the Organization object, its Secret, and unique to the test.
    pub name: String,
}

impl Stage {
    /// A stage with the example's seed, limits lifted, and an Organization that is Ready.
    pub async fn new(prefix: &str) -> Self {
        let stage = Self::bare(prefix).await;
        stage.connect("").await;
        stage.until_ready("amorg", &stage.name).await;
        stage
    }

    /// As `new`, in an organization whose API knows Deny.
    pub async fn allow_deny(prefix: &str) -> Self {
        let stage = Self::seeded(prefix, |seed| seed.organizations[0].model = PermissionModel::AllowDeny).await;
        stage.connect("").await;
        stage.until_ready("amorg", &stage.name).await;
        stage
    }

    /// A stage whose Organization and Secret are not there yet.
    pub async fn bare(prefix: &str) -> Self {
        Self::seeded(prefix, |_| ()).await
    }

    /// As `bare`, with a changed seed.
    pub async fn seeded(prefix: &str, change: impl FnOnce(&mut Seed)) -> Self {
        operator().await;
        let cluster = Cluster::new(prefix).await;
        let mut seed = Seed::example().expect("the example seed");
        change(&mut seed);
        let (sandbox, address) = STAGEHANDS.spawn(serve_sandbox(seed)).await.expect("a sandbox");
        let name = cluster.namespace.clone();
        Self { cluster, sandbox, address, name }
    }

    /// Applies the Secret and the Organization; `extra` is YAML for the Organization's spec, indented by two.
    pub async fn connect(&self, extra: &str) {
        self.apply(&self.secret("sandbox-api-key")).await;
        self.apply(&self.organization(&format!("http://{}", self.address), extra)).await;
    }

    /// The Secret with this API key.
    pub fn secret(&self, api_key: &str) -> String {
        format!(
            "{{apiVersion: v1, kind: Secret, metadata: {{name: {}, namespace: {OPERATOR_NAMESPACE}}}, stringData: {{apiKey: {api_key}, \
             apiKeyId: 5b1d7c1e-0c55-4c0f-9a57-7f2f0e3c9b11, userId: user-operator-0001}}}}",
            self.name
        )
    }

    /// The Organization at this address.
    pub fn organization(&self, url: &str, extra: &str) -> String {
        format!(
            "apiVersion: permissions.amigo.ai/v1alpha1\nkind: Organization\nmetadata: {{name: {name}}}\nspec:\n  organization: acme\n  \
             apiUrl: {url}\n  credentialsSecretRef: {{name: {name}}}\n  allowedNamespaces: [{namespace}]\n  roles: {{resyncInterval: PT5S}}\n  \
             rateLimit: {{limits: {lifted}}}\n{extra}\n",
            name = self.name,
            namespace = self.cluster.namespace,
            lifted = lifted()
        )
    }

    /// Applies YAML that the API server must accept. `ORGANIZATION` in it stands for the Organization's name.
    pub async fn apply(&self, yaml: &str) -> Vec<DynamicObject> {
        self.cluster.apply(&yaml.replace("ORGANIZATION", &self.name)).await.expect("accepted")
    }

    /// Waits until the object is Ready, in its present generation.
    pub async fn until_ready(&self, kind: &str, name: &str) {
        let ready = async || loop {
            let generation = self.member(kind, name, "/metadata/generation").await;
            let ready = self.condition(kind, name, "Ready").await;
            if ready.is_some_and(|ready| ready.status == "True" && json!(ready.observed_generation) == generation) {
                break;
            }
            sleep(POLL).await;
        };
        let waited = timeout(PATIENCE, ready()).await;
        assert!(waited.is_ok(), "{kind}/{name} is not ready:\n{}", self.describe(kind, name));
    }

    /// Waits until a condition has this reason, and returns its message.
    pub async fn until_reason(&self, kind: &str, name: &str, condition: &str, reason: &str) -> String {
        let what = format!("{kind}/{name} has {condition} with reason {reason}");
        eventually(PATIENCE, &what, || async {
            let found = self.condition(kind, name, condition).await?;
            (found.reason == reason).then_some(found.message)
        })
        .await
    }

    /// Waits until the object is gone.
    pub async fn until_gone(&self, kind: &str, name: &str) {
        let what = format!("{kind}/{name} is gone");
        eventually(PATIENCE, &what, || async { self.object(kind, name).await.is_none().then_some(()) }).await;
    }

    /// Waits until something holds.
    pub async fn until<T>(&self, what: &str, attempt: impl Fn() -> Option<T>) -> T {
        eventually(PATIENCE, what, || async { attempt() }).await
    }

    /// The object, if it is there.
    pub async fn object(&self, kind: &str, name: &str) -> Option<Value> {
        let found = self.api(kind).get_opt(name).await.expect("an answer");
        found.map(|object| serde_json::to_value(object).expect("an object as JSON"))
    }

    /// One member of an object by JSON pointer, null if it is not there.
    pub async fn member(&self, kind: &str, name: &str, pointer: &str) -> Value {
        self.object(kind, name).await.and_then(|object| object.pointer(pointer).cloned()).unwrap_or_default()
    }

    /// Waits until a member of an object has this value.
    pub async fn until_member(&self, kind: &str, name: &str, pointer: &str, value: Value) {
        let what = format!("{pointer} of {kind}/{name} is {value}");
        eventually(PATIENCE, &what, || async { (self.member(kind, name, pointer).await == value).then_some(()) }).await;
    }

    /// For three seconds the object is not written, and Amigo is hardly asked anything.
    pub async fn assert_quiet(&self, kind: &str, name: &str) {
        // An Organization's status tells of every sweep, and the sweeps of the tests are seconds apart.
        let said = self.member(kind, name, "/status/conditions").await;
        let (requests, written) = self.activity(kind, name, Duration::from_secs(3)).await;
        let unchanged = said == self.member(kind, name, "/status/conditions").await;
        assert!(unchanged && (!written || kind == "amorg"), "written without need: {}", self.describe(kind, name));
        assert!(requests <= 12, "{requests} requests in three seconds: {:#?}", self.sandbox.requests().counts);
    }

    /// Waits until whatever is made next is younger than this object: creation times are whole seconds.
    pub async fn until_older(&self, kind: &str, name: &str) {
        let created = self.member(kind, name, "/metadata/creationTimestamp").await;
        let created: Timestamp = created.as_str().expect("a time").parse().expect("a timestamp");
        self.until("the next second", || (SystemClock.now().as_second() > created.as_second()).then_some(())).await;
    }

    /// One of an object's conditions.
    pub async fn condition(&self, kind: &str, name: &str, condition: &str) -> Option<Condition> {
        let conditions = self.member(kind, name, "/status/conditions").await;
        let conditions: Vec<Condition> = serde_json::from_value(conditions).unwrap_or_default();
        conditions.into_iter().find(|found| found.type_ == condition)
    }

    /// Changes an object by a merge patch.
    pub async fn patch(&self, kind: &str, name: &str, patch: Value) {
        self.api(kind).patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.expect("accepted");
    }

    /// Deletes an object; waits for nothing.
    pub async fn delete(&self, kind: &str, name: &str) {
        self.api(kind).delete(name, &DeleteParams::default()).await.expect("deleted");
    }

    /// What was written to an object since it was made, in order: `MODIFIED` or `DELETED`.
    pub async fn writes(&self, created: &DynamicObject) -> Vec<&'static str> {
        let parameters = WatchParams::default().fields(&format!("metadata.name={}", created.name_any())).timeout(1);
        let api = self.api("tpg");
        let version = created.resource_version().unwrap_or_default();
        let events = api.watch(&parameters, &version).await.expect("a watch");
        pin_mut!(events);
        let mut writes = Vec::new();
        while let Some(event) = events.next().await {
            match event.expect("an event") {
                WatchEvent::Modified(_) => writes.push("MODIFIED"),
                WatchEvent::Deleted(_) => writes.push("DELETED"),
                _ => {}
            }
        }
        writes
    }

    /// The Events about an object: type, reason and note.
    pub async fn events(&self, name: &str) -> Vec<(String, String, String)> {
        let api: Api<Event> = Api::namespaced(self.cluster.client.clone(), &self.cluster.namespace);
        let fields = format!("involvedObject.name={name}");
        let mut events = api.list(&ListParams::default().fields(&fields)).await.expect("Events").items;
        events.sort_by_key(|event| event.metadata.creation_timestamp.clone());
        let told = |event: Event| {
            (event.type_.unwrap_or_default(), event.reason.unwrap_or_default(), event.message.unwrap_or_default())
        };
        events.into_iter().map(told).collect()
    }

    /// Waits until an Event with this reason was published, and returns its note.
    pub async fn until_event(&self, name: &str, reason: &str) -> String {
        let what = format!("an Event about {name} with reason {reason}");
        eventually(PATIENCE, &what, || async {
            self.events(name).await.into_iter().find(|event| event.1 == reason).map(|event| event.2)
        })
        .await
    }

    /// The operator's audit lines about an object of the namespace.
    pub async fn audit(&self, name: &str) -> Vec<Value> {
        operator().await.audit.about(&format!("{}/{name}", self.cluster.namespace))
    }

    /// The temporary grants that were ever committed, in order.
    pub fn issued(&self) -> Vec<GrantCreated> {
        let granted = |change| if let Change::GrantCreated(grant) = change { Some(grant) } else { None };
        self.sandbox.journal().into_iter().filter_map(|commit| granted(commit.change)).collect()
    }

    /// Changes something at Amigo past the operator, as a person at the console does.
    pub async fn by_hand(&self, path: &str, body: Value) {
        let sign_in = Request::post("/v1/acme/user/signin_with_api_key")
            .header("x-api-key", "sandbox-api-key")
            .header("x-api-key-id", KEY)
            .header("x-user-id", "user-operator-0001");
        let token = self.ask(sign_in, Value::Null).await["id_token"].as_str().expect("a token").to_owned();
        let request = Request::post(format!("/v1/acme{path}")).header("authorization", format!("Bearer {token}"));
        self.ask(request.header("content-type", "application/json"), body).await;
    }

    async fn ask(&self, request: http::request::Builder, body: Value) -> Value {
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let answer = self.sandbox.router().oneshot(request.body(body).expect("a request")).await.expect("an answer");
        let (head, body) = answer.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
        assert!(head.status.is_success(), "{}: {}", head.status, String::from_utf8_lossy(&bytes));
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// Lets a fault hit the next request of an operation.
    pub fn fault(&self, operation: Operation, effect: Effect) {
        self.sandbox.add_fault(Fault::new(operation, effect));
    }

    /// Lets a fault hit every request of an operation from now on.
    pub fn fail(&self, operation: Operation, effect: Effect) {
        self.sandbox.add_fault(Fault::new(operation, effect).times(None));
    }

    /// Loses the answer to the operator's next status write of a grant.
    pub fn lose_write(&self, name: &str) {
        self.lose(Method::PUT, &format!("{name}/status"));
    }

    /// Loses the answer to the operator's next deletion of a grant.
    pub fn lose_deletion(&self, name: &str) {
        self.lose(Method::DELETE, name);
    }

    fn lose(&self, method: Method, end: &str) {
        let path = format!("/namespaces/{}/temporarypermissiongrants/{end}", self.cluster.namespace);
        LOST.lock().expect("the lost answers").push((method, path));
    }

    /// How many requests reached the sandbox, and how often the object was written, within a time.
    pub async fn activity(&self, kind: &str, name: &str, within: Duration) -> (u64, bool) {
        let version = self.member(kind, name, "/metadata/resourceVersion").await;
        let requests = self.sandbox.requests().total();
        sleep(within).await;
        let written = version != self.member(kind, name, "/metadata/resourceVersion").await;
        (self.sandbox.requests().total() - requests, written)
    }

    /// `kubectl describe`, for people and failure messages.
    pub fn describe(&self, kind: &str, name: &str) -> String {
        self.cluster.kubectl(&["describe", kind, name]).stdout
    }

    /// Access to objects of a kind by its short name: amorg, amrole, amra or tpg.
    pub fn api(&self, kind: &str) -> Api<DynamicObject> {
        let (client, namespace) = (self.cluster.client.clone(), &self.cluster.namespace);
        match kind {
            "amorg" => Api::all_with(client, &ApiResource::erase::<Organization>(&())),
            "amrole" => Api::namespaced_with(client, namespace, &ApiResource::erase::<Role>(&())),
            "amra" => Api::namespaced_with(client, namespace, &ApiResource::erase::<RoleAssignment>(&())),
            _ => Api::namespaced_with(client, namespace, &ApiResource::erase::<TemporaryPermissionGrant>(&())),
        }
    }
}

/// A conversation grant for the engineer; `extra` is YAML for its spec, indented by two.
pub fn grant(name: &str, extra: &str) -> String {
    format!(
        "apiVersion: permissions.amigo.ai/v1alpha1\nkind: TemporaryPermissionGrant\nmetadata: {{name: {name}}}\nspec:\n  \
         organizationRef: {{name: ORGANIZATION}}\n  user: {{email: eng@example.com}}\n  \
         justification: 'Debugging reported issue #42'\n{extra}\n"
    )
}

/// Limits so high that a test meets its own ones only.
fn lifted() -> String {
    format!("{{{}}}", amigo_api::ENDPOINTS.map(|name| format!("{name}: 10000")).join(", "))
}

async fn serve_sandbox(seed: Seed) -> (Sandbox, SocketAddr) {
    let sandbox = Sandbox::new(seed, SystemClock::shared(), rand::random()).expect("a sandbox");
    sandbox.set_behavior("acme", |behavior| behavior.limit_multiplier = 0).expect("acme is seeded");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let served = sandbox.clone();
    tokio::spawn(async move { served.serve(listener, std::future::pending()).await.expect("the sandbox serves") });
    (sandbox, address)
}
