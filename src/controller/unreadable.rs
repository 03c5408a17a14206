//! Objects that the operator cannot read, for example because they were created under an older CRD.
//!
//! The operator works with the last version that it could read, if there is one. It never blocks their deletion.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use amigo_api::{GROUP, Stored, Unreadable, VERSION, reasons};
use k8s_openapi::{NamespaceResourceScope, api::core::v1::ObjectReference};
use kube::{
    Resource,
    core::ObjectMeta,
    runtime::{
        reflector::{ObjectRef, Store},
        watcher::Event,
    },
};
use serde::de::DeserializeOwned;

use super::{
    context::{Announcement, Context, Reconciled},
    ownership::object_name_of,
};
use crate::telemetry::labels::Kind;

/// Namespace and name.
type Key = (String, String);

fn key(metadata: &ObjectMeta) -> Key {
    (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
}

/// The unreadable objects that exist, of all kinds.
#[derive(Clone, Debug, Default)]
pub struct UnreadableObjects(Arc<Mutex<BTreeMap<(Kind, Key), Unreadable>>>);

impl UnreadableObjects {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<(Kind, Key), Unreadable>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the present version of an object is unreadable.
    pub fn contains(&self, kind: Kind, metadata: &ObjectMeta) -> bool {
        let all = self.lock();
        !all.is_empty() && all.contains_key(&(kind, key(metadata)))
    }

    /// The number of unreadable objects by kind.
    pub fn counts(&self) -> BTreeMap<Kind, u32> {
        let mut counts = BTreeMap::new();
        self.lock().keys().for_each(|(kind, _)| *counts.entry(*kind).or_default() += 1);
        counts
    }

    /// Whether this version was not known.
    fn insert(&self, kind: Kind, unreadable: &Unreadable) -> bool {
        let before = self.lock().insert((kind, key(&unreadable.metadata)), unreadable.clone());
        before.is_none_or(|before| before.metadata.resource_version != unreadable.metadata.resource_version)
    }

    fn remove(&self, kind: Kind, metadata: &ObjectMeta) {
        self.lock().remove(&(kind, key(metadata)));
    }

    fn retain(&self, kind: Kind, listed: &BTreeSet<Key>) {
        self.lock().retain(|(other, key), _| *other != kind || listed.contains(key));
    }

    fn terminating(&self, kind: Kind) -> Vec<Unreadable> {
        let is_terminating = |unreadable: &&Unreadable| unreadable.metadata.deletion_timestamp.is_some();
        let all = self.lock();
        let of_kind = all.iter().filter(|((other, _), _)| *other == kind).map(|(_, unreadable)| unreadable);
        of_kind.filter(is_terminating).cloned().collect()
    }
}

/// Turns the events of one kind's watch into events of readable objects.
pub struct Reader<K, R>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    store: Store<K>,
    objects: UnreadableObjects,
    /// Called once for every unreadable version of an object.
    report: R,
    /// The unreadable objects of the list that is being read.
    listed: BTreeSet<Key>,
}

impl<K, R> Reader<K, R>
where
    K: Reconciled + Clone + 'static,
    R: Fn(&Unreadable),
{
    pub fn new(store: Store<K>, objects: UnreadableObjects, report: R) -> Self {
        Self { store, objects, report, listed: BTreeSet::new() }
    }

    /// The event of the object, or of its last readable version. `None` if it never was readable.
    pub fn read(&mut self, event: Event<Stored<K>>) -> Option<Event<K>> {
        Some(match event {
            Event::Init => {
                self.listed.clear();
                Event::Init
            }
            Event::InitApply(object) => Event::InitApply(self.object(object)?),
            Event::InitDone => {
                self.objects.retain(K::KIND, &self.listed);
                Event::InitDone
            }
            Event::Apply(object) => Event::Apply(self.object(object)?),
            Event::Delete(object) => {
                self.objects.remove(K::KIND, object.meta());
                Event::Delete(object.0.or_else(|unreadable| self.last_readable(&unreadable).ok_or(())).ok()?)
            }
        })
    }

    fn object(&mut self, object: Stored<K>) -> Option<K> {
        let unreadable = match object.0 {
            Ok(object) => {
                self.objects.remove(K::KIND, object.meta());
                return Some(object);
            }
            Err(unreadable) => unreadable,
        };
        self.listed.insert(key(&unreadable.metadata));
        if self.objects.insert(K::KIND, &unreadable) {
            tracing::warn!(
                kind = K::KIND.as_str(),
                object = object_name_of(&unreadable.metadata),
                error = unreadable.error,
                "cannot read this object; ignoring the change. Correct the field, or delete the object"
            );
            (self.report)(&unreadable);
        }
        self.last_readable(&unreadable)
    }

    /// The version in the store; with the new metadata if the object is being deleted, so that the deletion proceeds.
    fn last_readable(&self, unreadable: &Unreadable) -> Option<K> {
        let metadata = &unreadable.metadata;
        let last = self.store.get(&reference::<K>(metadata))?;
        if last.meta().uid != metadata.uid {
            return None;
        }
        let is_terminating = metadata.deletion_timestamp.is_some();
        Some(if is_terminating { with_metadata(&*last, metadata) } else { (*last).clone() })
    }
}

/// The object; if it is unreadable, the last readable version with the new metadata.
pub fn readable_or_last<K: Resource + Clone>(stored: Stored<K>, last: &K) -> K {
    stored.0.unwrap_or_else(|unreadable| with_metadata(last, &unreadable.metadata))
}

fn with_metadata<K: Resource + Clone>(object: &K, metadata: &ObjectMeta) -> K {
    let mut object = object.clone();
    object.meta_mut().clone_from(metadata);
    object
}

fn reference<K: Resource<DynamicType = ()>>(metadata: &ObjectMeta) -> ObjectRef<K> {
    let (namespace, name) = key(metadata);
    let reference = ObjectRef::new(&name);
    if namespace.is_empty() { reference } else { reference.within(&namespace) }
}

impl Context {
    /// Emits an Event for an unreadable object.
    pub fn announce_unreadable(&self, kind: Kind, unreadable: &Unreadable) {
        let message = format!("the operator cannot read this object, and ignores the change: {}", unreadable.error);
        self.announce_at(kind, &unreadable.metadata, message);
    }

    fn announce_at(&self, kind: Kind, metadata: &ObjectMeta, message: String) {
        let reference = ObjectReference {
            api_version: Some(format!("{GROUP}/{VERSION}")),
            kind: Some(kind.as_str().to_owned()),
            name: metadata.name.clone(),
            namespace: metadata.namespace.clone(),
            uid: metadata.uid.clone(),
            resource_version: metadata.resource_version.clone(),
            ..ObjectReference::default()
        };
        self.announcer.announce(reference, Announcement { reason: reasons::UNREADABLE, message, warning: true });
    }

    /// Removes the operator's finalizers from terminating objects of a kind that were never readable, so that nobody
    /// knows what to clean up.
    pub async fn release_unreadable<K>(&self, store: &Store<K>)
    where
        K: Reconciled<Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + DeserializeOwned + 'static,
    {
        for unreadable in self.unreadable.terminating(K::KIND) {
            let metadata = &unreadable.metadata;
            let last = store.get(&reference::<K>(metadata));
            let others: Vec<_> = metadata.finalizers.iter().flatten().filter(|name| !is_own(name)).cloned().collect();
            let is_blocked = metadata.finalizers.as_ref().is_some_and(|all| all.len() > others.len());
            if !is_blocked || last.is_some_and(|last| last.meta().uid == metadata.uid) {
                continue;
            }
            match self.replace_finalizers::<K>(metadata, others).await {
                Ok(_) => self.announce_at(K::KIND, metadata, RELEASED.to_owned()),
                Err(error) => tracing::warn!(
                    kind = K::KIND.as_str(), object = object_name_of(metadata), %error,
                    "cannot remove the finalizer of an unreadable object; will retry"
                ),
            }
        }
    }
}

const RELEASED: &str = "the operator cannot read this object, and deleted it without a cleanup: the role at Amigo is \
                        unchanged";

fn is_own(finalizer: &str) -> bool {
    finalizer.strip_prefix(GROUP).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use amigo_api::{Role, RoleSpec};
    use kube::runtime::reflector;

    use super::*;

    fn metadata(uid: &str, version: &str) -> ObjectMeta {
        ObjectMeta {
            name: Some("one".to_owned()),
            namespace: Some("default".to_owned()),
            uid: Some(uid.to_owned()),
            resource_version: Some(version.to_owned()),
            ..ObjectMeta::default()
        }
    }

    fn unreadable(metadata: ObjectMeta) -> Stored<Role> {
        Stored(Err(Unreadable { error: "spec.description: missing".to_owned(), metadata }))
    }

    fn readable(uid: &str) -> Role {
        Role { metadata: metadata(uid, "1"), ..Role::new("one", RoleSpec::default()) }
    }

    fn terminating(uid: &str) -> ObjectMeta {
        let now = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::UNIX_EPOCH);
        ObjectMeta { deletion_timestamp: Some(now), ..metadata(uid, "2") }
    }

    type Reports = Arc<Mutex<u32>>;
    type TestReader = Reader<Role, Box<dyn Fn(&Unreadable)>>;

    /// A reader whose store contains a readable Role with uid `u`, and the number of its reports.
    fn reader() -> (TestReader, Reports) {
        let (store, mut writer) = reflector::store();
        writer.apply_watcher_event(&Event::Apply(readable("u")));
        let reports = Reports::default();
        let counter = Arc::clone(&reports);
        let report = Box::new(move |_: &Unreadable| *counter.lock().unwrap() += 1);
        (Reader::new(store, UnreadableObjects::default(), report), reports)
    }

    #[test]
    fn unreadable_version_is_reported_once() {
        let (mut reader, reports) = reader();
        for version in ["2", "2", "3"] {
            reader.read(Event::Apply(unreadable(metadata("new", version))));
        }
        assert_eq!((*reports.lock().unwrap(), reader.objects.counts()[&Kind::Role]), (2, 1));
    }

    #[test]
    fn unreadable_edit_keeps_the_last_readable_version() {
        let (mut reader, _) = reader();
        let event = reader.read(Event::InitApply(unreadable(metadata("u", "2"))));
        assert!(matches!(event, Some(Event::InitApply(role)) if role == readable("u")));
        assert!(reader.read(Event::Apply(unreadable(metadata("recreated", "2")))).is_none());
    }

    #[test]
    fn deletion_of_an_unreadable_object_proceeds() {
        let (mut reader, _) = reader();
        let event = reader.read(Event::Apply(unreadable(terminating("u"))));
        assert!(matches!(event, Some(Event::Apply(role)) if role.metadata == terminating("u")));
        assert!(matches!(reader.read(Event::Delete(unreadable(terminating("u")))), Some(Event::Delete(_))));
        assert!(reader.objects.counts().is_empty());
    }

    #[test]
    fn list_without_the_object_forgets_it() {
        let (mut reader, _) = reader();
        reader.read(Event::Apply(unreadable(metadata("new", "2"))));
        reader.read(Event::Init);
        reader.read(Event::InitDone);
        assert!(reader.objects.counts().is_empty());
    }

    #[test]
    fn only_own_finalizers_are_released() {
        assert!(is_own("permissions.amigo.ai/disable-role"));
        assert!(!is_own("permissions.amigo.ai.example.com/x") && !is_own("foregroundDeletion"));
    }
}
