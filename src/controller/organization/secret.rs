//! Watches of the Secrets of Organizations, each by name.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use amigo_api::Organization;
use futures::{StreamExt as _, pin_mut};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, ResourceExt as _,
    api::{WatchEvent, WatchParams},
    runtime::{reflector::Store, utils::Backoff as _, watcher::DefaultBackoff},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::super::{context::Context, triggers::Triggers};

/// The longest wait before a failed watch restarts.
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// Reconciles the Organizations that use a Secret.
#[derive(Clone)]
pub struct Waker {
    organizations: Store<Organization>,
    triggers: Arc<Triggers>,
}

impl Waker {
    #[must_use]
    pub fn new(context: &Context) -> Self {
        Self { organizations: context.stores.organizations.clone(), triggers: Arc::clone(&context.triggers) }
    }

    fn secret_changed(&self, secret: &str) {
        let organizations = self.organizations.state();
        for organization in organizations.iter().filter(|one| one.spec.credentials_secret_ref.name == secret) {
            self.triggers.organizations.pull(&organization.name_any());
        }
    }
}

/// One watch for every Secret that an Organization references.
pub struct SecretWatches {
    client: Client,
    namespace: String,
    waker: Waker,
    watches: Mutex<HashMap<String, DropGuard>>,
}

impl SecretWatches {
    #[must_use]
    pub fn new(client: Client, namespace: String, waker: Waker) -> Self {
        Self { client, namespace, waker, watches: Mutex::default() }
    }

    /// Starts the watches that these Organizations need, and stops all others.
    pub fn follow(&self, organizations: &[Arc<Organization>]) {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        let is_referenced =
            |name: &String| organizations.iter().any(|one| one.spec.credentials_secret_ref.name == *name);
        watches.retain(|name, _| is_referenced(name));
        for organization in organizations {
            let name = &organization.spec.credentials_secret_ref.name;
            watches.entry(name.clone()).or_insert_with(|| self.watch(name));
        }
    }

    fn watch(&self, name: &str) -> DropGuard {
        let stop = CancellationToken::new();
        let watch = Watch {
            secrets: Api::namespaced(self.client.clone(), &self.namespace),
            parameters: WatchParams::default().fields(&format!("metadata.name={name}")),
            name: name.to_owned(),
            waker: self.waker.clone(),
            version: ANY_VERSION.to_owned(),
            failed: false,
        };
        tokio::spawn(stop.clone().run_until_cancelled_owned(watch.run()));
        stop.drop_guard()
    }
}

/// A watch from this version starts with the existing object, so that the operator needs no permission to list.
const ANY_VERSION: &str = "0";

/// The watch of one Secret. It receives metadata only; a reconcile reads the values.
struct Watch {
    secrets: Api<Secret>,
    parameters: WatchParams,
    name: String,
    waker: Waker,
    /// The last observed version, from which the watch resumes when the API server ends it.
    version: String,
    /// Whether the watch failed, and may have missed a change.
    failed: bool,
}

impl Watch {
    async fn run(mut self) {
        let mut backoff = DefaultBackoff::default();
        loop {
            match self.watch().await {
                Ok(()) => backoff.reset(),
                Err(error) => {
                    tracing::warn!(%error, secret = self.name, "Secret watch failed; restarting");
                    ANY_VERSION.clone_into(&mut self.version);
                    self.failed = true;
                    tokio::time::sleep(backoff.next().unwrap_or(MAX_BACKOFF)).await;
                }
            }
        }
    }

    async fn watch(&mut self) -> kube::Result<()> {
        let events = self.secrets.watch_metadata(&self.parameters, &self.version).await?;
        if std::mem::take(&mut self.failed) {
            // The new watch does not report a deletion that happened in between.
            self.waker.secret_changed(&self.name);
        }
        pin_mut!(events);
        while let Some(event) = events.next().await {
            match event? {
                WatchEvent::Added(secret) | WatchEvent::Modified(secret) | WatchEvent::Deleted(secret) => {
                    self.version = secret.resource_version().unwrap_or_else(|| ANY_VERSION.to_owned());
                    self.waker.secret_changed(&self.name);
                }
                WatchEvent::Bookmark(bookmark) => self.version = bookmark.metadata.resource_version,
                WatchEvent::Error(status) => return Err(kube::Error::Api(status)),
            }
        }
        Ok(())
    }
}
