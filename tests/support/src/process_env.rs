//! A site for one test: a sandbox, an Organization, a namespace, and no operator until the test starts one. The
//! operators of a site see the whole control plane, so the tests of a binary take turns.

use std::{collections::BTreeMap, fmt::Debug, fs, net::SocketAddr, time::Duration};

use amigo_api::{ENDPOINTS, Organization, Phase, Role, RoleAssignment, TemporaryPermissionGrant};
use amigo_runtime::clock::SystemClock;
use amigo_sandbox::{Change, GrantCreated, Sandbox, Seed};
use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use k8s_openapi::{NamespaceResourceScope, api::core::v1::Secret};
use kube::{
    Api, Resource,
    api::{DeleteParams, ListParams, PostParams},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{Mutex, MutexGuard},
    time::Instant,
};

use crate::{Cluster, operator_process::OperatorProcess};

const ORGANIZATION: &str = "acme";

static TURN: Mutex<()> = Mutex::const_new(());

/// Waits for this test's turn; it lasts as long as the guard.
pub async fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().await
}

/// Whether the documented rate limits are in force.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Limits {
    /// As documented, and the operator keeps to its default share.
    Documented,
    /// Nobody limits anything.
    Lifted,
}

/// A sandbox, an Organization and a namespace.
pub struct Site {
    /// Namespace and kubectl.
    pub cluster: Cluster,
    /// The other side.
    pub sandbox: Sandbox,
    /// This namespace's grants.
    pub grants: Api<TemporaryPermissionGrant>,
    address: SocketAddr,
    _turn: MutexGuard<'static, ()>,
}

impl Site {
    /// Waits for its turn, clears the control plane, and sets up an Organization called `acme`.
    pub async fn new(prefix: &str, limits: Limits) -> Self {
        let turn = turn().await;
        let cluster = Cluster::with_kinds(prefix).await;
        clear(&cluster).await;
        let (sandbox, address) = serve_sandbox(limits).await;
        let grants = Api::namespaced(cluster.client.clone(), &cluster.namespace);
        let site = Self { cluster, sandbox, grants, address, _turn: turn };
        site.connect("PT10M", rate_limit(limits)).await;
        site
    }

    /// Sets up the Organization and its Secret, or changes them.
    pub async fn connect(&self, resync_interval: &str, rate_limit: Value) {
        let secret = json!({
            "metadata": {"name": ORGANIZATION, "namespace": "default"},
            "stringData": {
                "apiKey": "sandbox-api-key", "apiKeyId": "5b1d7c1e-0c55-4c0f-9a57-7f2f0e3c9b11",
                "userId": "user-operator-0001",
            },
        });
        let organization = json!({
            "apiVersion": "permissions.amigo.ai/v1alpha1", "kind": "Organization", "metadata": {"name": ORGANIZATION},
            "spec": {
                "organization": ORGANIZATION, "apiUrl": format!("http://{}", self.address),
                "credentialsSecretRef": {"name": ORGANIZATION}, "allowedNamespaces": ["*"],
                "roles": {"resyncInterval": resync_interval}, "rateLimit": rate_limit,
            },
        });
        let secrets: Api<Secret> = Api::namespaced(self.cluster.client.clone(), "default");
        // Left behind by the test before, perhaps.
        let _ = secrets.delete(ORGANIZATION, &DeleteParams::default()).await;
        create(&secrets, secret).await;
        self.cluster.apply(&organization.to_string()).await.expect("an Organization");
    }

    /// Starts an operator with short times that stands for election.
    pub fn operator(&self, flags: &[&str]) -> OperatorProcess {
        let lease = format!("--lease-name={}", self.cluster.namespace);
        OperatorProcess::start(self.cluster.plane(), &[&[lease.as_str()], flags].concat())
    }

    /// Asks for one grant of so many permissions.
    pub async fn ask(&self, name: &str, permissions: usize, duration: &str) -> TemporaryPermissionGrant {
        create(&self.grants, self.request(name, permissions, duration)).await
    }

    /// Asks for many grants of one permission at once.
    pub async fn ask_many(&self, count: usize, permissions: usize, duration: &str) {
        stream::iter(0..count)
            .for_each_concurrent(16, |index| async move {
                self.ask(&format!("grant-{index:05}"), permissions, duration).await;
            })
            .await;
    }

    /// Makes copies of a grant, with its status, as if they had been issued together.
    pub async fn copy(&self, grant: &TemporaryPermissionGrant, copies: std::ops::Range<usize>) {
        let copy = |index: usize| async move {
            let name = format!("copy-{index:05}");
            let mut copy = TemporaryPermissionGrant::new(&name, grant.spec.clone());
            copy.metadata.namespace.clone_from(&grant.metadata.namespace);
            let mut created = self.grants.create(&PostParams::default(), &copy).await.expect("a copy");
            created.status.clone_from(&grant.status);
            self.grants.replace_status(&name, &PostParams::default(), &created).await.expect("its status");
        };
        stream::iter(copies).for_each_concurrent(16, copy).await;
    }

    /// What operators asked the API server about the grants of this namespace, oldest first.
    pub fn audited(&self) -> Vec<Audited> {
        let log = fs::read_to_string(self.cluster.plane().audit_log()).expect("the API server's audit log");
        // The last line may be half written.
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Audited>(line).ok());
        lines
            .filter(|line| {
                let Target { resource, namespace, .. } = &line.object_ref;
                resource == "temporarypermissiongrants" && *namespace == self.cluster.namespace
            })
            .collect()
    }

    /// The manifest of a grant.
    pub fn request(&self, name: &str, permissions: usize, duration: &str) -> Value {
        let names = ["GetConversation", "GetMessage", "GetInteractionInsights"];
        let conditions = json!({"org_id": {"type": "Equals", "value": ORGANIZATION}});
        let permission =
            |name: &&str| json!({"permissionName": format!("Conversation:{name}"), "conditions": conditions});
        json!({
            "metadata": {"name": name, "namespace": self.cluster.namespace},
            "spec": {
                "organizationRef": {"name": ORGANIZATION}, "user": {"userId": "user-eng-2c91"}, "duration": duration,
                "justification": "a test asks for it", "permissions": names[..permissions].iter().map(permission).collect::<Vec<_>>(),
            },
        })
    }

    /// The grants of this namespace.
    pub async fn list(&self) -> Vec<TemporaryPermissionGrant> {
        self.grants.list(&ListParams::default()).await.expect("a list").items
    }

    /// Waits until so many grants are Active, and returns them.
    pub async fn until_active(&self, count: usize, within: Duration) -> Vec<TemporaryPermissionGrant> {
        let deadline = Instant::now() + within;
        loop {
            let grants = self.list().await;
            let waiting: Vec<_> = grants.iter().filter(|grant| phase(grant) != Some(Phase::Active)).collect();
            if grants.len() - waiting.len() >= count {
                return grants;
            }
            let first = waiting.first().map(|grant| &grant.status);
            assert!(Instant::now() < deadline, "{} of {count} are not Active, the first is {first:#?}", waiting.len());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Every grant that was ever issued.
    pub fn issued(&self) -> Vec<GrantCreated> {
        let journal = self.sandbox.journal().into_iter();
        let created = |change| match change {
            Change::GrantCreated(grant) => Some(grant),
            _ => None,
        };
        journal.filter_map(|commit| created(commit.change)).collect()
    }

    /// Fails unless each permission of each object was issued exactly once and the statuses hold just these ids.
    pub fn assert_exactly_once(&self, grants: &[TemporaryPermissionGrant]) {
        let issued = self.issued();
        let mut by_slot: BTreeMap<(String, String), Vec<&str>> = BTreeMap::new();
        for grant in &issued {
            let tag = |name: &str| grant.tags.get(name).cloned().flatten().unwrap_or_default();
            by_slot.entry((tag("uid"), grant.permission_name.clone())).or_default().push(&grant.id);
        }
        assert!(by_slot.values().all(|ids| ids.len() == 1), "issued twice: {by_slot:#?}");
        let mut known: Vec<String> =
            grants.iter().flat_map(|grant| grant.status.clone().unwrap_or_default().grants).map(|it| it.id).collect();
        let mut ids: Vec<String> = issued.into_iter().map(|grant| grant.id).collect();
        known.sort();
        ids.sort();
        assert_eq!(known, ids, "what statuses say and what was issued");
    }
}

/// One request, as the API server wrote it down.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Audited {
    /// Such as `get`, `update`, `delete`.
    pub verb: String,
    /// When it was answered.
    pub stage_timestamp: Timestamp,
    /// What it was about.
    pub object_ref: Target,
}

/// What a request was about.
#[derive(Debug, Deserialize)]
pub struct Target {
    /// Plural.
    pub resource: String,
    /// Empty for all.
    #[serde(default)]
    pub namespace: String,
    /// Empty for lists.
    #[serde(default)]
    pub name: String,
    /// Such as `status`.
    #[serde(default)]
    pub subresource: String,
}

/// The phase of a grant.
pub fn phase(grant: &TemporaryPermissionGrant) -> Option<Phase> {
    grant.status.as_ref().and_then(|status| status.phase)
}

/// Creates an object that the API server must accept.
pub async fn create<K>(api: &Api<K>, object: Value) -> K
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + serde::Serialize,
{
    let object: K = serde_json::from_value(object).expect("an object of this kind");
    api.create(&PostParams::default(), &object).await.expect("accepted")
}

async fn clear(cluster: &Cluster) {
    delete_all::<TemporaryPermissionGrant>(cluster).await;
    delete_all::<RoleAssignment>(cluster).await;
    delete_all::<Role>(cluster).await;
    let organizations: Api<Organization> = Api::all(cluster.client.clone());
    organizations
        .delete_collection(&DeleteParams::default(), &ListParams::default())
        .await
        .expect("no Organizations are left");
}

async fn delete_all<K>(cluster: &Cluster)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    let all: Api<K> = Api::all(cluster.client.clone());
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
        let api: Api<K> = Api::namespaced(cluster.client.clone(), &namespace);
        api.delete_collection(&DeleteParams::default(), &ListParams::default()).await.expect("nothing is left");
    }
}

async fn serve_sandbox(limits: Limits) -> (Sandbox, SocketAddr) {
    let seed = Seed::example().expect("the example seed");
    let sandbox = Sandbox::new(seed, SystemClock::shared(), rand::random()).expect("a sandbox");
    let multiplier = u32::from(limits == Limits::Documented);
    sandbox.set_behavior(ORGANIZATION, |behavior| behavior.limit_multiplier = multiplier).expect("acme is seeded");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let served = sandbox.clone();
    tokio::spawn(async move { served.serve(listener, std::future::pending()).await.expect("the sandbox serves") });
    (sandbox, address)
}

/// The Organization's `rateLimit`.
pub fn rate_limit(limits: Limits) -> Value {
    match limits {
        Limits::Documented => json!({}),
        Limits::Lifted => {
            json!({"limits": ENDPOINTS.map(|name| (name, 10_000)).into_iter().collect::<BTreeMap<_, _>>()})
        }
    }
}
