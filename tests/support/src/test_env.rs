//! A fresh namespace for one test, and what the test asks for beside it.

use std::{mem, time::Duration};

use amigo_api::{Organization, Role, RoleAssignment, TemporaryPermissionGrant};
use amigo_dev::{ApplyError, ControlPlane};
use amigo_runtime::clock::{Clock as _, SharedClock, SystemClock};
use amigo_sandbox::{PermissionModel, Sandbox, Seed};
use futures::{StreamExt as _, pin_mut};
use jiff::Timestamp;
use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{Event, Namespace},
    apimachinery::pkg::apis::meta::v1::Condition,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ApiResource, DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchParams},
    core::{DynamicObject, WatchEvent},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::{
    sync::MutexGuard,
    time::{sleep, timeout},
};

use crate::{
    Limits, POLL, Run, SharedControlPlane,
    amigo::ServedSandbox,
    control_plane::shared,
    crds::install_crds,
    eventually, fixtures, kubectl, kubectl_with,
    operator::{BACKGROUND, operator},
    rate_limit, turn,
};

/// The namespace of the operator and of its Secrets.
pub const OPERATOR_NAMESPACE: &str = "default";

/// The longest wait of a test for one thing.
pub const TIMEOUT: Duration = Duration::from_secs(20);

const FIELD_MANAGER: &str = "test";

/// A fresh namespace, and clients for it.
pub struct TestEnv {
    /// `admin`'s client, on this test's runtime.
    pub client: Client,
    /// The namespace, which no other test uses.
    pub namespace: String,
    /// The name of the Organization object and of its Secret: the namespace's name by default.
    pub organization: String,
    plane: &'static ControlPlane,
    amigo: Option<ServedSandbox>,
    spec: Value,
    operator: bool,
    _turn: Option<MutexGuard<'static, ()>>,
}

/// What a [`TestEnv`] has beside its namespace.
pub struct Builder {
    prefix: String,
    plane: &'static SharedControlPlane,
    kinds: bool,
    operator: bool,
    exclusive: bool,
    sandbox: Option<(Seed, Limits)>,
    clock: SharedClock,
    random_seed: u64,
}

impl Builder {
    /// Another control plane than the binary's shared one.
    #[must_use]
    pub fn on(self, plane: &'static SharedControlPlane) -> Self {
        Self { plane, ..self }
    }

    /// The CRDs.
    #[must_use]
    pub fn kinds(self) -> Self {
        Self { kinds: true, ..self }
    }

    /// A sandbox with the example's seed.
    #[must_use]
    pub fn sandbox(self, limits: Limits, change: impl FnOnce(&mut Seed)) -> Self {
        let mut seed = Seed::example().expect("the example seed");
        change(&mut seed);
        Self { sandbox: Some((seed, limits)), ..self }
    }

    /// The sandbox's clock.
    #[must_use]
    pub fn clock(self, clock: SharedClock) -> Self {
        Self { clock, ..self }
    }

    /// The random seed of the sandbox, which decides its IDs and its faults.
    #[must_use]
    pub fn random_seed(self, random_seed: u64) -> Self {
        Self { random_seed, ..self }
    }

    /// The operator in this process.
    #[must_use]
    pub fn operator(self) -> Self {
        Self { operator: true, ..self }
    }

    /// The control plane for this test alone: no other test that takes a turn, no objects of earlier ones.
    #[must_use]
    pub fn exclusive(self) -> Self {
        Self { exclusive: true, ..self }
    }

    /// Creates the namespace and starts the rest.
    pub async fn start(self) -> TestEnv {
        let turn = if self.exclusive { Some(turn().await) } else { None };
        let plane = self.plane.get().await;
        let client = plane.client().await.expect("a client");
        if self.operator {
            operator().await;
        } else if self.kinds {
            install_crds(&client).await;
        }
        if self.exclusive {
            clear(&client).await;
        }
        let namespace = format!("{}-{:08x}", self.prefix, rand::random::<u32>());
        let mut object = Namespace::default();
        object.meta_mut().name = Some(namespace.clone());
        let namespaces = Api::<Namespace>::all(client.clone());
        namespaces.create(&PostParams::default(), &object).await.expect("a fresh namespace");
        let organization = if self.exclusive { "acme".to_owned() } else { namespace.clone() };
        let (mut amigo, mut spec) = (None, json!({}));
        if let Some((seed, limits)) = self.sandbox {
            spec = json!({ "allowedNamespaces": [namespace], "rateLimit": rate_limit(limits) });
            let multiplier = u32::from(limits == Limits::Documented);
            amigo = Some(ServedSandbox::start(seed, multiplier, self.clock, self.random_seed).await);
        }
        if self.exclusive {
            spec["allowedNamespaces"] = json!(["*"]);
        }
        TestEnv { client, namespace, organization, plane, amigo, spec, operator: self.operator, _turn: turn }
    }
}

impl TestEnv {
    /// Starts with a namespace whose name begins with `prefix`.
    pub fn builder(prefix: &str) -> Builder {
        let (prefix, plane, clock) = (prefix.to_owned(), shared(), SystemClock::shared());
        let (kinds, operator, exclusive) = (false, false, false);
        Builder { prefix, plane, kinds, operator, exclusive, sandbox: None, clock, random_seed: rand::random() }
    }

    /// A namespace and nothing else.
    pub async fn new(prefix: &str) -> Self {
        Self::builder(prefix).start().await
    }

    /// A namespace and the CRDs.
    pub async fn with_kinds(prefix: &str) -> Self {
        Self::builder(prefix).kinds().start().await
    }

    /// The operator in this process, and a sandbox without rate limits. There is no Organization yet.
    pub async fn with_operator(prefix: &str) -> Self {
        Self::seeded(prefix, |_| ()).await
    }

    /// As `with_operator`, with a changed seed of the sandbox.
    pub async fn seeded(prefix: &str, change: impl FnOnce(&mut Seed)) -> Self {
        Self::builder(prefix).sandbox(Limits::Lifted, change).operator().start().await
    }

    /// As `with_operator`, with an Organization that is Ready.
    pub async fn ready(prefix: &str) -> Self {
        Self::with_operator(prefix).await.until_connected().await
    }

    /// As `ready`, in an organization whose API knows Deny.
    pub async fn allow_deny(prefix: &str) -> Self {
        let change = |seed: &mut Seed| seed.organizations[0].model = PermissionModel::AllowDeny;
        Self::seeded(prefix, change).await.until_connected().await
    }

    /// For tests that start the operator as a process: the control plane for this test alone, a sandbox, and an
    /// Organization called `acme`.
    pub async fn exclusive(prefix: &str, limits: Limits) -> Self {
        let env = Self::builder(prefix).kinds().sandbox(limits, |_| ()).exclusive().start().await;
        env.connect("roles: {resyncInterval: PT10M}").await;
        env
    }

    async fn until_connected(self) -> Self {
        self.connect("").await;
        self.until_ready("amorg", &self.organization).await;
        self
    }

    /// The control plane behind it.
    pub fn plane(&self) -> &'static ControlPlane {
        self.plane
    }

    /// This test's sandbox.
    pub fn sandbox(&self) -> &Sandbox {
        &self.amigo.as_ref().expect("a sandbox").sandbox
    }

    /// The base URL of this test's sandbox.
    pub fn amigo_url(&self) -> &str {
        &self.amigo.as_ref().expect("a sandbox").url
    }

    /// Applies the Secret and the Organization. `extra` is YAML for the Organization's spec.
    pub async fn connect(&self, extra: &str) {
        self.apply(&self.secret("sandbox-api-key")).await;
        self.apply(&self.organization_at(self.amigo_url(), extra)).await;
    }

    /// Deletes the Organization of an earlier test, whose sandbox is another one.
    pub async fn forget_organization(&self) {
        if self.object("amorg", &self.organization).await.is_some() {
            self.delete("amorg", &self.organization).await;
            self.until_gone("amorg", &self.organization).await;
        }
    }

    /// The Secret with this API key.
    pub fn secret(&self, api_key: &str) -> String {
        let (name, namespace) = (self.organization.as_str(), OPERATOR_NAMESPACE);
        fixtures::fixture("secret.yaml", &[("NAME", name), ("NAMESPACE", namespace), ("API_KEY", api_key)])
    }

    /// The Organization at this URL. `extra` is YAML for its spec.
    pub fn organization_at(&self, url: &str, extra: &str) -> String {
        let organization = fixtures::fixture("organization.yaml", &[("NAME", &self.organization), ("URL", url)]);
        let organization = fixtures::with_spec(&organization, &self.spec.to_string());
        fixtures::with_spec(&organization, extra)
    }

    /// Applies YAML that the API server must accept. `ORGANIZATION` in it stands for the Organization's name.
    pub async fn apply(&self, yaml: &str) -> Vec<DynamicObject> {
        self.try_apply(&yaml.replace("ORGANIZATION", &self.organization)).await.expect("accepted")
    }

    /// Applies every document of `yaml`. Objects without a namespace go to this test's namespace.
    ///
    /// # Errors
    /// The API server's refusal of the first object that it refuses.
    pub async fn try_apply(&self, yaml: &str) -> kube::Result<Vec<DynamicObject>> {
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
        let waited = timeout(TIMEOUT, ready()).await;
        assert!(waited.is_ok(), "{kind}/{name} is not ready:\n{}", self.describe(kind, name));
    }

    /// Waits until a condition has this reason, and returns its message.
    pub async fn until_reason(&self, kind: &str, name: &str, condition: &str, reason: &str) -> String {
        let what = format!("{kind}/{name} has {condition} with reason {reason}");
        eventually(TIMEOUT, &what, || async {
            let found = self.condition(kind, name, condition).await?;
            (found.reason == reason).then_some(found.message)
        })
        .await
    }

    /// Waits until the object is gone.
    pub async fn until_gone(&self, kind: &str, name: &str) {
        let what = format!("{kind}/{name} is gone");
        eventually(TIMEOUT, &what, || async { self.object(kind, name).await.is_none().then_some(()) }).await;
    }

    /// Waits until something holds.
    pub async fn until<T>(&self, what: &str, attempt: impl Fn() -> Option<T>) -> T {
        eventually(TIMEOUT, what, || async { attempt() }).await
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
        eventually(TIMEOUT, &what, || async { (self.member(kind, name, pointer).await == value).then_some(()) }).await;
    }

    /// For three seconds the object is not written, and Amigo is hardly asked anything.
    pub async fn assert_idle(&self, kind: &str, name: &str) {
        // An Organization's status tells of every sweep, and the sweeps of the tests are seconds apart.
        let said = self.member(kind, name, "/status/conditions").await;
        let (requests, written) = self.activity(kind, name, Duration::from_secs(3)).await;
        let unchanged = said == self.member(kind, name, "/status/conditions").await;
        assert!(unchanged && (!written || kind == "amorg"), "written without need: {}", self.describe(kind, name));
        assert!(requests <= 12, "{requests} requests in three seconds: {:#?}", self.sandbox().requests().counts);
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
        let api: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
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
        eventually(TIMEOUT, &what, || async {
            self.events(name).await.into_iter().find(|event| event.1 == reason).map(|event| event.2)
        })
        .await
    }

    /// How many requests reached the sandbox, and how often the object was written, within a time.
    pub async fn activity(&self, kind: &str, name: &str, within: Duration) -> (u64, bool) {
        let version = self.member(kind, name, "/metadata/resourceVersion").await;
        let requests = self.sandbox().requests().total();
        sleep(within).await;
        let written = version != self.member(kind, name, "/metadata/resourceVersion").await;
        (self.sandbox().requests().total() - requests, written)
    }

    /// `kubectl describe`, for people and failure messages.
    pub fn describe(&self, kind: &str, name: &str) -> String {
        self.kubectl(&["describe", kind, name]).stdout
    }

    /// Access to objects of a kind by its short name: amorg, amrole, amra or tpg.
    pub fn api(&self, kind: &str) -> Api<DynamicObject> {
        let (client, namespace) = (self.client.clone(), &self.namespace);
        match kind {
            "amorg" => Api::all_with(client, &ApiResource::erase::<Organization>(&())),
            "amrole" => Api::namespaced_with(client, namespace, &ApiResource::erase::<Role>(&())),
            "amra" => Api::namespaced_with(client, namespace, &ApiResource::erase::<RoleAssignment>(&())),
            _ => Api::namespaced_with(client, namespace, &ApiResource::erase::<TemporaryPermissionGrant>(&())),
        }
    }
}

impl Drop for TestEnv {
    /// Deletes the Organization, which the shared operator would sweep until the last test ends.
    fn drop(&mut self) {
        if self.operator && self.organization == self.namespace {
            let (plane, name) = (self.plane, mem::take(&mut self.organization));
            BACKGROUND.spawn(async move {
                let organizations = Api::<Organization>::all(plane.client().await.expect("a client"));
                // Some tests have none, or delete it.
                let _ = organizations.delete(&name, &DeleteParams::default()).await;
            });
        }
    }
}

async fn clear(client: &Client) {
    delete_all::<TemporaryPermissionGrant>(client).await;
    delete_all::<RoleAssignment>(client).await;
    delete_all::<Role>(client).await;
    let organizations: Api<Organization> = Api::all(client.clone());
    organizations
        .delete_collection(&DeleteParams::default(), &ListParams::default())
        .await
        .expect("no Organizations are left");
}

async fn delete_all<K>(client: &Client)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + DeserializeOwned,
{
    let all: Api<K> = Api::all(client.clone());
    let mut namespaces: Vec<String> = all
        .list_metadata(&ListParams::default())
        .await
        .expect("a list")
        .items
        .iter()
        .filter_map(|object| object.metadata.namespace.clone())
        .collect();
    namespaces.dedup();
    for namespace in namespaces {
        let api: Api<K> = Api::namespaced(client.clone(), &namespace);
        api.delete_collection(&DeleteParams::default(), &ListParams::default()).await.expect("nothing is left");
    }
}
