//! The Secrets of Organizations, each watched by its name and no other.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{StreamExt as _, pin_mut};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client,
    core::PartialObjectMeta,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event},
    },
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::super::triggers::Triggers;
use crate::crd::Organization;

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

    /// Metadata only: the values are read when they are needed, and kept nowhere.
    fn watch(&self, name: &str) -> DropGuard {
        let stop = CancellationToken::new();
        // A list and then a watch: not every cluster streams lists.
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let stream = watcher::watcher(
            Api::<PartialObjectMeta<Secret>>::namespaced(self.client.clone(), &self.namespace),
            config,
        );
        let (triggers, stopped, name) = (Arc::clone(&self.triggers), stop.clone(), name.to_owned());
        tokio::spawn(stopped.run_until_cancelled_owned(async move {
            let events = stream.default_backoff();
            pin_mut!(events);
            while let Some(event) = events.next().await {
                match event {
                    Ok(Event::Apply(_) | Event::Delete(_) | Event::InitDone) => triggers.organizations.pull(),
                    Ok(_) => {}
                    Err(error) => {
                        tracing::warn!(%error, secret = name, "the watch of a Secret broke and is begun anew");
                    }
                }
            }
        }));
        stop.drop_guard()
    }
}
