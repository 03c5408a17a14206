//! What every reconciler is given.

use std::{fmt::Debug, sync::Arc, time::Duration};

use amigo_api::{Organization, Role, RoleAssignment, TemporaryPermissionGrant};
use amigo_client::Precondition;
use amigo_runtime::clock::SharedClock;
use kube::{
    Api, Client, Resource, ResourceExt,
    api::PostParams,
    runtime::reflector::{ObjectRef, Store},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio_util::sync::CancellationToken;

use super::{
    audit::Audit,
    connection::{Connection, ConnectionRegistry},
    events::Announcer,
    lookup_limiter::LookupLimiter,
    settings::Settings,
    triggers::Triggers,
    watch::Filled,
};
use crate::telemetry::{
    Metrics,
    labels::{Kind, Verb},
};

pub use super::events::Announcement;

/// What every reconciler is given.
pub struct Context {
    /// Watches.
    pub client: Client,
    /// Reads and writes that must end in time and never be repeated below us.
    pub client_no_retry: Client,
    /// Time.
    pub clock: SharedClock,
    /// Counters.
    pub metrics: Metrics,
    /// What the operator was told.
    pub settings: Settings,
    /// The identity of this cluster: the uid of `kube-system`, 32 hexadecimal digits.
    pub cluster: String,
    /// The connections to Amigo.
    pub connections: ConnectionRegistry,
    /// Reasons to look again.
    pub triggers: Arc<Triggers>,
    /// Where audit lines go.
    pub audit: Audit,
    /// Kubernetes Events.
    pub announcer: Announcer,
    /// How many passes may wait for Amigo at a time.
    pub lookup_limiter: LookupLimiter,
    /// Every object of every kind.
    pub stores: Stores,
    /// Whether the first list of Organizations is there.
    pub organizations_filled: Filled,
    /// Whether the first list of Roles is there.
    pub roles_filled: Filled,
    /// Whether the first list of grants is there.
    pub grants_filled: Filled,
    /// Cancelled when nothing new may begin.
    pub stop: CancellationToken,
}

/// The stores behind the watches.
#[derive(Clone)]
pub struct Stores {
    /// Every Organization.
    pub organizations: Store<Organization>,
    /// Every Role.
    pub roles: Store<Role>,
    /// Every `RoleAssignment`.
    pub assignments: Store<RoleAssignment>,
    /// Every `TemporaryPermissionGrant`.
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
    /// The Kubernetes API did not do as asked.
    #[error("cannot {verb} {kind} {name}: {source}")]
    Kubernetes {
        /// What was tried.
        verb: &'static str,
        /// The object's kind.
        kind: String,
        /// The object's name.
        name: String,
        /// What the API server, or the way to it, said.
        source: Box<kube::Error>,
    },
    /// The pass took longer than it may.
    #[error("the pass over {name} did not end within {deadline:?}")]
    TimedOut {
        /// The object's name.
        name: String,
        /// How long it may take.
        deadline: Duration,
    },
}

impl ReconcileError {
    /// The Kubernetes API did not do as asked.
    pub fn kubernetes<K: Resource<DynamicType = ()>>(verb: &'static str, object: &K, source: kube::Error) -> Self {
        Self::Kubernetes {
            verb,
            kind: K::kind(&()).into_owned(),
            name: super::ownership::object_name(object),
            source: Box::new(source),
        }
    }

    /// Whether somebody else wrote in between, which another look settles.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Kubernetes { source, .. } if is_status(source, 409))
    }
}

/// Whether the API server answered with this HTTP status.
#[must_use]
pub fn is_status(error: &kube::Error, code: u16) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == code)
}

impl Context {
    /// What is known of an Organization. Waits for the first list of Organizations, so that a start does not
    /// take all of them for missing. A connection whose object went is not used any more, whoever made it.
    pub async fn organization(&self, name: &str) -> Lookup {
        if !self.organizations_filled.wait().await {
            return Lookup::NotReady;
        }
        let Some(object) = self.stores.organizations.get(&ObjectRef::new(name)) else { return Lookup::Missing };
        let connection =
            self.connections.get(name).filter(|connection| object.metadata.uid.as_ref() == Some(&connection.uid));
        connection.map_or(Lookup::NotReady, Lookup::Found)
    }

    /// A scoped API for the object's kind and namespace.
    pub fn api_of<K>(&self, object: &K) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.client_no_retry.clone(), &object.namespace().unwrap_or_default())
    }

    /// Writes a whole object's status under the version it was read at.
    ///
    /// # Errors
    /// Those of the Kubernetes API.
    pub async fn write_status<K>(&self, api: &Api<K>, object: &K) -> Result<K, ReconcileError>
    where
        K: Reconciled + Clone + Debug + Serialize + DeserializeOwned,
    {
        let written = api.replace_status(&object.name_any(), &PostParams::default(), object).await;
        self.metrics.kubernetes_written(K::KIND, Verb::ReplaceStatus);
        written.map_err(|source| ReconcileError::kubernetes("write the status of", object, source))
    }

    /// Tells of something about an object in a Kubernetes Event, without waiting for it.
    pub fn announce<K: Resource<DynamicType = ()>>(&self, object: &K, announcement: Announcement) {
        self.announcer.announce(object.object_ref(&()), announcement);
    }
}

/// Says whether a pass may still send what it decided: its connection is the one that it began with, neither suspended
/// nor edited since, and the object was neither edited nor deleted.
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

/// What is known of an Organization that an object names.
pub enum Lookup {
    /// It is there.
    Found(Arc<Connection>),
    /// Its object is there, and was not looked at yet.
    NotReady,
    /// There is no such object.
    Missing,
}

/// How long an Organization that was not looked at yet is waited for; its first look is announced earlier.
pub const NOT_READY_RETRY: Duration = Duration::from_secs(1);

/// Shared by all reconcilers.
pub type SharedContext = Arc<Context>;
