//! The Secrets of Organizations, each watched by its name and no other.

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
    runtime::{utils::Backoff as _, watcher::DefaultBackoff},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::super::triggers::Triggers;

/// The longest wait before a broken watch is begun anew.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// One watch for every Secret that an Organization names.
pub struct SecretWatches {
    client: Client,
    namespace: String,
    triggers: Arc<Triggers>,
    watches: Mutex<HashMap<String, DropGuard>>,
}

impl SecretWatches {
    /// No watches yet.
    #[must_use]
    pub fn new(client: Client, namespace: String, triggers: Arc<Triggers>) -> Self {
        Self { client, namespace, triggers, watches: Mutex::default() }
    }

    /// Watches what these Organizations name, and nothing else any more.
    pub fn follow(&self, organizations: &[Arc<Organization>]) {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        let named = |name: &String| organizations.iter().any(|one| one.spec.credentials_secret_ref.name == *name);
        watches.retain(|name, _| named(name));
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
            triggers: Arc::clone(&self.triggers),
            version: ANY_VERSION.to_owned(),
            broke: false,
        };
        tokio::spawn(stop.clone().run_until_cancelled_owned(watch.follow()));
        stop.drop_guard()
    }
}

/// A watch from here first gives what is there, so that nobody needs the right to list.
const ANY_VERSION: &str = "0";

/// The watch of one Secret. Metadata only: the values are read when they are needed, and kept nowhere.
struct Watch {
    secrets: Api<Secret>,
    parameters: WatchParams,
    name: String,
    triggers: Arc<Triggers>,
    /// The last version seen: where the watch goes on when the API server ends it.
    version: String,
    /// Whether something may have happened that no event will tell.
    broke: bool,
}

impl Watch {
    async fn follow(mut self) {
        let mut backoff = DefaultBackoff::default();
        loop {
            match self.until_it_ends().await {
                Ok(()) => backoff.reset(),
                Err(error) => {
                    tracing::warn!(%error, secret = self.name, "the watch of a Secret broke and is begun anew");
                    ANY_VERSION.clone_into(&mut self.version);
                    self.broke = true;
                    tokio::time::sleep(backoff.next().unwrap_or(LONGEST_PAUSE)).await;
                }
            }
        }
    }

    async fn until_it_ends(&mut self) -> kube::Result<()> {
        let events = self.secrets.watch_metadata(&self.parameters, &self.version).await?;
        if std::mem::take(&mut self.broke) {
            // A deletion meanwhile is no event of the new watch.
            self.triggers.organizations.pull();
        }
        pin_mut!(events);
        while let Some(event) = events.next().await {
            match event? {
                WatchEvent::Added(secret) | WatchEvent::Modified(secret) | WatchEvent::Deleted(secret) => {
                    self.version = secret.resource_version().unwrap_or_else(|| ANY_VERSION.to_owned());
                    self.triggers.organizations.pull();
                }
                WatchEvent::Bookmark(bookmark) => self.version = bookmark.metadata.resource_version,
                WatchEvent::Error(status) => return Err(kube::Error::Api(status)),
            }
        }
        Ok(())
    }
}
