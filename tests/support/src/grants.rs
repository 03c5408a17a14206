//! Grants in numbers, as the tests of the operator's process create and count them.

use std::{collections::BTreeMap, fmt::Debug, fs, ops::Range, time::Duration};

use amigo_api::{ENDPOINTS, Phase, TemporaryPermissionGrant};
use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use kube::{
    Api, Resource,
    api::{ListParams, PostParams},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{TestEnv, fault_proxy::FaultProxy, operator_process::OperatorProcess};

/// Whether the documented rate limits are in force.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Limits {
    /// As documented, and the operator keeps to its default share.
    Documented,
    /// Nobody limits anything.
    Lifted,
}

impl TestEnv {
    /// This namespace's grants.
    pub fn grants(&self) -> Api<TemporaryPermissionGrant> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Starts an operator with short times that stands for election.
    pub fn operator(&self, flags: &[&str]) -> OperatorProcess {
        let lease = format!("--lease-name={}", self.namespace);
        OperatorProcess::start(self.plane(), &[&[lease.as_str()], flags].concat())
    }

    /// As `operator`, with a proxy before the API server.
    pub fn operator_through(&self, proxy: &FaultProxy, flags: &[&str]) -> OperatorProcess {
        OperatorProcess::start_with(&proxy.kubeconfig, flags, &[])
    }

    /// Asks for one grant of so many permissions.
    pub async fn create_grant(&self, name: &str, permissions: usize, duration: &str) -> TemporaryPermissionGrant {
        create(&self.grants(), self.grant_manifest(name, permissions, duration)).await
    }

    /// Asks for many grants of one permission at once.
    pub async fn create_grants(&self, count: usize, permissions: usize, duration: &str) {
        stream::iter(0..count)
            .for_each_concurrent(16, |index| async move {
                self.create_grant(&format!("grant-{index:05}"), permissions, duration).await;
            })
            .await;
    }

    /// Makes copies of a grant, with its status, as if they had been issued together.
    pub async fn copy_grant(&self, grant: &TemporaryPermissionGrant, copies: Range<usize>) {
        let copy = |index: usize| async move {
            let name = format!("copy-{index:05}");
            let mut copy = TemporaryPermissionGrant::new(&name, grant.spec.clone());
            copy.metadata.namespace.clone_from(&grant.metadata.namespace);
            let mut created = self.grants().create(&PostParams::default(), &copy).await.expect("a copy");
            created.status.clone_from(&grant.status);
            self.grants().replace_status(&name, &PostParams::default(), &created).await.expect("its status");
        };
        stream::iter(copies).for_each_concurrent(16, copy).await;
    }

    /// What operators asked the API server about the grants of this namespace, oldest first.
    pub fn audited(&self) -> Vec<Audited> {
        let log = fs::read_to_string(self.plane().audit_log()).expect("the API server's audit log");
        // The last line may be half written.
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Audited>(line).ok());
        lines
            .filter(|line| {
                let Target { resource, namespace, .. } = &line.object_ref;
                resource == "temporarypermissiongrants" && *namespace == self.namespace
            })
            .collect()
    }

    /// The manifest of a grant.
    pub fn grant_manifest(&self, name: &str, permissions: usize, duration: &str) -> Value {
        let names = ["GetConversation", "GetMessage", "GetInteractionInsights"];
        let conditions = json!({"org_id": {"type": "Equals", "value": "acme"}});
        let permission =
            |name: &&str| json!({"permissionName": format!("Conversation:{name}"), "conditions": conditions});
        json!({
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "organizationRef": {"name": self.organization}, "user": {"userId": "user-eng-2c91"}, "duration": duration,
                "justification": "a test asks for it", "permissions": names[..permissions].iter().map(permission).collect::<Vec<_>>(),
            },
        })
    }

    /// The grants of this namespace.
    pub async fn list(&self) -> Vec<TemporaryPermissionGrant> {
        self.grants().list(&ListParams::default()).await.expect("a list").items
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

/// The Organization's `rateLimit`.
pub fn rate_limit(limits: Limits) -> Value {
    match limits {
        Limits::Documented => json!({}),
        Limits::Lifted => {
            json!({"limits": ENDPOINTS.map(|name| (name, 10_000)).into_iter().collect::<BTreeMap<_, _>>()})
        }
    }
}
