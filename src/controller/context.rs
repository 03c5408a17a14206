//! The context of every reconciler.

use std::{fmt::Debug, sync::Arc, time::Duration};

use amigo_api::{Organization, Role, RoleAssignment, Stored, TemporaryPermissionGrant};
use amigo_client::Precondition;
use amigo_runtime::{clock::SharedClock, crash_points::Effect};
use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{Patch, PatchParams, PostParams},
    core::{ObjectMeta, Request},
    runtime::reflector::{ObjectRef, Store},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{
    audit::Audit,
    connection::{Connection, ConnectionRegistry, throttle::Turns},
    events::Announcer,
    lookup_limiter::LookupLimiter,
    served_schema::ServedSchema,
    settings::Settings,
    triggers::Triggers,
    unreadable::{UnreadableObjects, readable_or_last},
    watch::Filled,
};
use crate::telemetry::{
    Metrics,
    labels::{Kind, Verb},
};

pub use super::events::Announcement;

/// The context of every reconciler.
pub struct Context {
    /// For watches.
    pub client: Client,
    /// For reads and writes, which must end in time, and which only the operator itself retries.
    pub client_no_retry: Client,
    pub clock: SharedClock,
    pub metrics: Metrics,
    pub settings: Settings,
    /// The identity of this cluster: the uid of `kube-system`, 32 hexadecimal digits.
    pub cluster: String,
    pub connections: ConnectionRegistry,
    pub triggers: Arc<Triggers>,
    pub audit: Audit,
    pub announcer: Announcer,
    pub lookup_limiter: LookupLimiter,
    pub served_schema: ServedSchema,
    /// The Roles that wait for the rate limit of their change.
    pub role_turns: Turns,
    pub stores: Stores,
    pub organizations_filled: Filled,
    pub roles_filled: Filled,
    pub grants_filled: Filled,
    pub unreadable: UnreadableObjects,
    /// Cancelled when the operator shuts down.
    pub stop: CancellationToken,
}

/// The stores behind the watches.
#[derive(Clone)]
pub struct Stores {
    pub organizations: Store<Organization>,
    pub roles: Store<Role>,
    pub assignments: Store<RoleAssignment>,
    pub grants: Store<TemporaryPermissionGrant>,
}

/// A kind that the operator reconciles.
pub trait Reconciled: Resource<DynamicType = ()> {
    /// The label of its metrics.
    const KIND: Kind;
}

impl Reconciled for Organization {
    const KIND: Kind = Kind::Organization;
}

impl Reconciled for Role {
    const KIND: Kind = Kind::Role;
}

impl Reconciled for RoleAssignment {
    const KIND: Kind = Kind::RoleAssignment;
}

impl Reconciled for TemporaryPermissionGrant {
    const KIND: Kind = Kind::TemporaryPermissionGrant;
}

/// A failed reconcile. A failure that an object's status can report is not an error.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    #[error("cannot {verb} {kind} {name}: {source}")]
    Kubernetes { verb: &'static str, kind: String, name: String, source: Box<kube::Error> },
    #[error("reconcile of {name} did not finish within {deadline:?}")]
    TimedOut { name: String, deadline: Duration },
}

impl ReconcileError {
    pub fn kubernetes<K: Resource<DynamicType = ()>>(verb: &'static str, object: &K, source: kube::Error) -> Self {
        Self::Kubernetes {
            verb,
            kind: K::kind(&()).into_owned(),
            name: super::ownership::object_name(object),
            source: Box::new(source),
        }
    }

    /// Whether another client wrote in between. A retry resolves it.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Kubernetes { source, .. } if is_status(source, 409))
    }
}

#[must_use]
pub fn is_status(error: &kube::Error, code: u16) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == code)
}

impl Context {
    /// Waits for the first list of Organizations, because before it every Organization looks missing. Ignores the
    /// connection of a deleted object.
    pub async fn organization(&self, name: &str) -> Lookup {
        if !self.organizations_filled.wait().await {
            return Lookup::NotReady;
        }
        let Some(object) = self.stores.organizations.get(&ObjectRef::new(name)) else { return Lookup::Missing };
        let connection =
            self.connections.get(name).filter(|connection| object.metadata.uid.as_ref() == Some(&connection.uid));
        connection.map_or(Lookup::NotReady, Lookup::Found)
    }

    /// The wall clock, or Amigo's if both differ: the server ends access by its own clock.
    #[must_use]
    pub fn amigo_time(&self, connection: Option<&Connection>) -> Timestamp {
        let now = self.clock.now();
        let offset = connection.map(|connection| connection.server_clock.offset()).unwrap_or_default();
        if offset.unsigned_abs() > self.settings.tick { now.saturating_add(offset).unwrap_or(now) } else { now }
    }

    pub fn api_of<K>(&self, object: &K) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client_no_retry.clone(), &object.namespace().unwrap_or_default())
    }

    /// Replaces the status, under the `resourceVersion` of the read.
    ///
    /// # Errors
    /// Those of the Kubernetes API.
    pub async fn write_status<K>(&self, api: &Api<K>, object: &K) -> Result<K, ReconcileError>
    where
        K: Reconciled + Clone + Debug + Serialize + DeserializeOwned,
    {
        let effect = begin_write(K::KIND, Verb::ReplaceStatus);
        let written = self.replace_status(api, object).await;
        effect.end();
        self.metrics.kubernetes_written(K::KIND, Verb::ReplaceStatus);
        let written = written.map_err(|source| ReconcileError::kubernetes("write the status of", object, source))?;
        Ok(readable_or_last(written, object))
    }

    /// As `Api::replace_status`, whatever the response contains besides the status.
    async fn replace_status<K>(&self, api: &Api<K>, object: &K) -> kube::Result<Stored<K>>
    where
        K: Reconciled + Clone + Debug + Serialize + DeserializeOwned,
    {
        let body = serde_json::to_vec(object).map_err(kube::Error::SerdeError)?;
        let request = Request::new(api.resource_url());
        let request = request.replace_subresource("status", &object.name_any(), &PostParams::default(), body);
        self.client_no_retry.request(request.map_err(kube::Error::BuildRequest)?).await
    }

    /// Reads the present version of an object from the API server.
    ///
    /// # Errors
    /// Those of the Kubernetes API.
    pub async fn read<K>(&self, object: &K) -> kube::Result<Option<Stored<K>>>
    where
        K: Reconciled<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    {
        let api: Api<Stored<K>> =
            Api::namespaced(self.client_no_retry.clone(), &object.namespace().unwrap_or_default());
        api.get_opt(&object.name_any()).await
    }

    /// Replaces the finalizers of an object under the version of its metadata.
    ///
    /// # Errors
    /// Those of the Kubernetes API.
    pub async fn replace_finalizers<K>(&self, metadata: &ObjectMeta, finalizers: Vec<String>) -> kube::Result<Stored<K>>
    where
        K: Reconciled<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    {
        let namespace = metadata.namespace.as_deref().unwrap_or_default();
        let api: Api<Stored<K>> = Api::namespaced(self.client_no_retry.clone(), namespace);
        let patch = json!({"metadata": {"finalizers": finalizers, "resourceVersion": metadata.resource_version}});
        self.metrics.kubernetes_written(K::KIND, Verb::Patch);
        let name = metadata.name.as_deref().unwrap_or_default();
        let effect = begin_write(K::KIND, Verb::Patch);
        let patched = api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await;
        effect.end();
        patched
    }

    /// Emits a Kubernetes Event without waiting.
    pub fn announce<K: Resource<DynamicType = ()>>(&self, object: &K, announcement: Announcement) {
        self.announcer.announce(object.object_ref(&()), announcement);
    }
}

/// A write to the Kubernetes API begins.
pub fn begin_write(kind: Kind, verb: Verb) -> Effect {
    Effect::begin(|| format!("{} of {}", verb.as_str(), kind.as_str()))
}

/// Whether a reconcile may still send what it decided: neither its connection nor its object changed since.
pub fn holds<K>(
    context: &SharedContext,
    connection: Option<&Arc<Connection>>,
    object: &K,
    store: &Store<K>,
) -> Precondition
where
    K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    let (context, connection, store) = (Arc::clone(context), connection.cloned(), store.clone());
    let reference = ObjectRef::from_obj(object);
    let then = (object.uid(), object.meta().generation);
    Arc::new(move || {
        let is_same = |connection: &Arc<Connection>| {
            context.connections.get(&connection.name).is_some_and(|now| Arc::ptr_eq(&now, connection))
        };
        let now = store.get(&reference);
        connection.as_ref().is_some_and(is_same) && now.is_some_and(|now| (now.uid(), now.meta().generation) == then)
    })
}

/// The Organization that an object references.
pub enum Lookup {
    Found(Arc<Connection>),
    /// The operator has not reconciled it yet.
    NotReady,
    Missing,
}

/// Wait for the first reconcile of an Organization, which triggers an earlier reconcile.
pub const NOT_READY_RETRY: Duration = Duration::from_secs(1);

/// Wait of an object whose Organization has as many reconciles in progress as the others leave it.
pub const POSTPONED: Duration = Duration::from_secs(1);

pub type SharedContext = Arc<Context>;
