//! One watch a kind: trimmed, kept in a store, and never stopped by one bad object.

use std::{collections::HashSet, fmt::Debug, hash::Hash, sync::Arc};

use futures::{Stream, StreamExt as _};
use kube::{
    Api, Client, Resource, ResourceExt,
    core::DeserializeGuard,
    runtime::{
        PredicateConfig, WatchStreamExt as _, predicates,
        reflector::{self, Store},
        utils::Predicate as _,
        watcher::{self, Event},
    },
};
use serde::de::DeserializeOwned;

/// Setting this annotation to another value makes the operator look at the object again.
pub const RESYNC_ANNOTATION: &str = "permissions.amigo.ai/resync";

const OWN_ANNOTATIONS: &str = "permissions.amigo.ai/";

/// Whether a store holds all that there was when the watch began.
///
/// `Store::wait_until_ready` says the same, but of several tasks that wait it wakes only the last.
#[derive(Clone, Debug)]
pub struct Filled(tokio::sync::watch::Receiver<bool>);

impl Filled {
    /// Waits for it; `false` when the watch ended before.
    pub async fn wait(&self) -> bool {
        self.0.clone().wait_for(|filled| *filled).await.is_ok()
    }
}

#[cfg(test)]
impl Filled {
    /// Of a store that is filled.
    pub fn already() -> Self {
        Self(tokio::sync::watch::channel(true).1)
    }

    /// Of a store that will be filled when somebody says so, and never once nobody can any more.
    pub fn later() -> (tokio::sync::watch::Sender<bool>, Self) {
        let (fill, filled) = tokio::sync::watch::channel(false);
        (fill, Self(filled))
    }
}

/// The store of a kind, whether it is filled, and the objects that changed in a way that concerns a controller.
/// `gone` is told of every deletion, with the object's last state, once the store has noticed it.
pub fn objects<K>(
    client: Client,
    gone: impl Fn(&K) + Send + 'static,
) -> (Store<K>, Filled, impl Stream<Item = Result<K, watcher::Error>> + Send + 'static)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    K::DynamicType: Hash + Eq + Clone + Default,
{
    let (store, writer) = reflector::store();
    let (filled, is_filled) = tokio::sync::watch::channel(false);
    let api: Api<DeserializeGuard<K>> = Api::all(client);
    let (now, mut before) = (store.clone(), Vec::new());
    let stream = watcher::watcher(api, watcher::Config::default())
        .default_backoff()
        .filter_map(|event| async move { understood(event) })
        .modify(|object| object.managed_fields_mut().clear())
        .reflect(writer)
        .inspect(move |event| match event {
            Ok(Event::Delete(object)) => gone(object),
            // The store keeps what it had until the new list is whole.
            Ok(Event::Init) => before = now.state(),
            Ok(Event::InitDone) => {
                missed(&before, &now.state()).for_each(&gone);
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
    (store, Filled(is_filled), stream)
}

/// What went while nobody watched: no event tells of it, only its absence from the next list.
fn missed<'a, K: Resource>(before: &'a [Arc<K>], now: &[Arc<K>]) -> impl Iterator<Item = &'a K> {
    let present: HashSet<String> = now.iter().filter_map(|object| object.uid()).collect();
    let is_missing = move |object: &&K| object.uid().is_some_and(|uid| !present.contains(&uid));
    before.iter().map(AsRef::as_ref).filter(is_missing)
}

#[expect(clippy::unnecessary_wraps, reason = "the signature is the filter's")]
fn own_annotations<K: Resource>(object: &K) -> Option<u64> {
    use std::hash::{DefaultHasher, Hasher};
    let mut hasher = DefaultHasher::new();
    // Those that let an object go are obeyed at once, too.
    for annotation in object.annotations().iter().filter(|(name, _)| name.starts_with(OWN_ANNOTATIONS)) {
        annotation.hash(&mut hasher);
    }
    Some(hasher.finish())
}

/// Passes on what can be read; what cannot is told once in the log and left alone.
fn understood<K>(event: Result<Event<DeserializeGuard<K>>, watcher::Error>) -> Option<Result<Event<K>, watcher::Error>>
where
    K: Resource<DynamicType = ()>,
{
    let read = |guard: DeserializeGuard<K>| match guard.0 {
        Ok(object) => Some(object),
        Err(invalid) => {
            let (namespace, name) = (invalid.metadata.namespace, invalid.metadata.name);
            tracing::error!(
                kind = %K::kind(&()), namespace, name, error = invalid.error,
                "this object cannot be read and is left alone; compare it with the installed CRD"
            );
            None
        }
    };
    Some(match event {
        Ok(Event::Apply(object)) => Ok(Event::Apply(read(object)?)),
        Ok(Event::Delete(object)) => Ok(Event::Delete(read(object)?)),
        Ok(Event::InitApply(object)) => Ok(Event::InitApply(read(object)?)),
        Ok(Event::Init) => Ok(Event::Init),
        Ok(Event::InitDone) => Ok(Event::InitDone),
        Err(error) => Err(error),
    })
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
    fn what_a_new_list_lacks_was_missed_and_so_was_what_it_has_anew() {
        let before = [organization("stays", "1"), organization("went", "2"), organization("remade", "3")];
        let now = [organization("stays", "1"), organization("remade", "4"), organization("new", "5")];
        let missed: Vec<_> = missed(&before, &now).map(ResourceExt::name_any).collect();
        assert_eq!(missed, ["went", "remade"]);
    }
}
