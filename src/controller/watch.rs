//! One watch per kind, with a store. An unreadable object does not stop it.

use std::{collections::HashSet, fmt::Debug, hash::Hash, sync::Arc};

use amigo_api::{Stored, Unreadable};
use futures::{StreamExt as _, stream::BoxStream};
use kube::{
    Api, Client, Resource, ResourceExt,
    runtime::{
        PredicateConfig, WatchStreamExt as _, predicates,
        reflector::{self, Store},
        utils::Predicate as _,
        watcher::{self, Event},
    },
};
use serde::de::DeserializeOwned;

use super::{
    context::Reconciled,
    unreadable::{Reader, UnreadableObjects},
};

/// A change of such an annotation triggers a reconcile.
const OWN_ANNOTATIONS: &str = "permissions.amigo.ai/";

/// Whether a store contains the first complete list.
///
/// `Store::wait_until_ready` wakes only the last of several waiting tasks.
#[derive(Clone, Debug)]
pub struct Filled(tokio::sync::watch::Receiver<bool>);

impl Filled {
    /// Waits for the first list; `false` if the watch ended before.
    pub async fn wait(&self) -> bool {
        self.0.clone().wait_for(|filled| *filled).await.is_ok()
    }
}

#[cfg(test)]
impl Filled {
    /// A filled store.
    pub fn already() -> Self {
        Self(tokio::sync::watch::channel(true).1)
    }

    /// A store that the sender fills, or never fills once it is dropped.
    pub fn later() -> (tokio::sync::watch::Sender<bool>, Self) {
        let (fill, filled) = tokio::sync::watch::channel(false);
        (fill, Self(filled))
    }
}

/// One kind's objects.
pub struct Watched<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    pub store: Store<K>,
    pub filled: Filled,
    /// The objects with a change that concerns a controller.
    pub stream: BoxStream<'static, Result<K, watcher::Error>>,
}

/// What is called during a watch.
pub struct Handlers<D, U> {
    /// With the last state of each deleted object, after the store has removed it.
    pub deleted: D,
    /// With each unreadable version of an object, once.
    pub unreadable: U,
}

/// Watches one kind. The stream and the store contain readable objects only.
pub fn objects<K, D, U>(client: Client, unreadable: UnreadableObjects, handlers: Handlers<D, U>) -> Watched<K>
where
    K: Reconciled + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    K::DynamicType: Hash + Eq + Clone + Default,
    D: Fn(&K) + Send + 'static,
    U: Fn(&Unreadable) + Send + 'static,
{
    let (store, writer) = reflector::store();
    let (filled, is_filled) = tokio::sync::watch::channel(false);
    let api: Api<Stored<K>> = Api::all(client);
    let Handlers { deleted, unreadable: report } = handlers;
    let mut reader = Reader::new(store.clone(), unreadable, report);
    let (now, mut before) = (store.clone(), Vec::new());
    let stream = watcher::watcher(api, watcher::Config::default())
        .default_backoff()
        .filter_map(move |event| {
            let read = match event {
                Ok(event) => reader.read(event).map(Ok),
                Err(error) => Some(Err(error)),
            };
            std::future::ready(read)
        })
        .reflect(writer)
        .inspect(move |event| match event {
            Ok(Event::Delete(object)) => deleted(object),
            // The store keeps its objects until the new list is complete.
            Ok(Event::Init) => before = now.state(),
            Ok(Event::InitDone) => {
                missed(&before, &now.state()).for_each(&deleted);
                before.clear();
                filled.send_replace(true);
            }
            _ => {}
        })
        .applied_objects()
        .predicate_filter(
            predicates::generation.combine(predicates::finalizers).combine(own_annotations),
            PredicateConfig::default(),
        );
    Watched { store, filled: Filled(is_filled), stream: stream.boxed() }
}

/// Objects deleted while the watch was down: only the next list shows their absence.
fn missed<'a, K: Resource>(before: &'a [Arc<K>], now: &[Arc<K>]) -> impl Iterator<Item = &'a K> {
    let present: HashSet<String> = now.iter().filter_map(|object| object.uid()).collect();
    let is_missing = move |object: &&K| object.uid().is_some_and(|uid| !present.contains(&uid));
    before.iter().map(AsRef::as_ref).filter(is_missing)
}

#[expect(clippy::unnecessary_wraps, reason = "the signature is the filter's")]
fn own_annotations<K: Resource>(object: &K) -> Option<u64> {
    use std::hash::{DefaultHasher, Hasher};
    let mut hasher = DefaultHasher::new();
    // Annotations that skip a cleanup take effect at once, too.
    for annotation in object.annotations().iter().filter(|(name, _)| name.starts_with(OWN_ANNOTATIONS)) {
        annotation.hash(&mut hasher);
    }
    Some(hasher.finish())
}

#[cfg(test)]
mod tests {
    use amigo_api::Organization;
    use kube::core::ObjectMeta;

    use super::*;

    fn organization(name: &str, uid: &str) -> Arc<Organization> {
        let metadata = ObjectMeta { name: Some(name.to_owned()), uid: Some(uid.to_owned()), ..ObjectMeta::default() };
        Arc::new(Organization { metadata, ..Organization::new(name, amigo_api::OrganizationSpec::default()) })
    }

    #[test]
    fn missed_objects_are_absent_or_have_another_uid() {
        let before = [organization("stays", "1"), organization("deleted", "2"), organization("recreated", "3")];
        let now = [organization("stays", "1"), organization("recreated", "4"), organization("new", "5")];
        let missed: Vec<_> = missed(&before, &now).map(ResourceExt::name_any).collect();
        assert_eq!(missed, ["deleted", "recreated"]);
    }
}
