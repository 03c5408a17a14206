//! How one object reaches Amigo: its Organization's connection, as long as the decision for the object is current.

use std::sync::Arc;

use amigo_client::{Client, Precondition};
use amigo_lifecycle::Failure;
use kube::{Resource, ResourceExt as _, runtime::reflector::Store};

use super::{
    connection::{Connection, api_endpoint::ApiEndpoint, existing},
    context::{Context, Lookup, SharedContext, holds},
    lookup_limiter::LookupPermit,
};

/// The connection of an object, if its Organization exists.
pub struct Access {
    connection: Option<Arc<Connection>>,
    /// Whether object and connection are still the ones of this reconcile.
    is_current: Precondition,
}

/// An open connection, and the client for one object.
pub struct Target<'a> {
    pub connection: &'a Connection,
    /// What the object's status must describe to count.
    pub endpoint: ApiEndpoint,
    /// Sends a change only while the object and the connection stay as they were.
    pub client: Client,
}

impl Access {
    /// The connection of the Organization with this name. `None` until the operator has reconciled that Organization.
    pub async fn find<K>(object: &K, organization: &str, store: &Store<K>, context: &SharedContext) -> Option<Self>
    where
        K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
    {
        let connection = match context.organization(organization).await {
            Lookup::Found(connection) => Some(connection),
            Lookup::Missing => None,
            Lookup::NotReady => return None,
        };
        let is_current = holds(context, connection.as_ref(), object, store);
        Some(Self { connection, is_current })
    }

    /// Permission to wait for Amigo: an Organization that does not respond leaves places for the others.
    pub fn try_acquire<'c>(&self, context: &'c Context) -> Option<LookupPermit<'c>> {
        context.lookup_limiter.try_acquire(self.connection().map_or("", |connection| &connection.uid))
    }

    pub fn connection(&self) -> Option<&Connection> {
        self.connection.as_deref()
    }

    /// The connection, if the object's namespace may use it now.
    ///
    /// # Errors
    /// If there is no such Organization, it does not allow the namespace, or it is not ready.
    pub fn target<K: Resource>(&self, object: &K, organization: &str) -> Result<Target<'_>, Failure> {
        let connection = existing(self.connection(), organization)?;
        let client = connection.client_for(&object.namespace().unwrap_or_default())?;
        let endpoint = ApiEndpoint::from(client.address());
        Ok(Target { connection, endpoint, client: client.clone().with_precondition(Arc::clone(&self.is_current)) })
    }
}
