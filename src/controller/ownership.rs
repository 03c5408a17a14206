//! Which of several objects for one remote thing is in charge: the oldest.

use kube::{Resource, ResourceExt, core::ObjectMeta};

/// Whether `one` is in charge rather than `other`. Total: creation time, then uid, so nothing flaps.
#[must_use]
pub fn is_older<K: Resource>(one: &K, other: &K) -> bool {
    let rank = |object: &K| (object.creation_timestamp().map(|time| time.0), object.uid());
    rank(one) < rank(other)
}

/// The object in charge before `object`, if it is not in charge itself.
pub fn older_owner<'a, K: Resource + 'a>(object: &K, rivals: impl IntoIterator<Item = &'a K>) -> Option<&'a K> {
    let senior = rivals.into_iter().filter(|rival| rival.uid() != object.uid() && is_older(*rival, object));
    senior.reduce(|first, second| if is_older(first, second) { first } else { second })
}

/// `namespace/name`, for messages.
#[must_use]
pub fn object_name<K: Resource>(object: &K) -> String {
    object_name_of(object.meta())
}

/// The same, from the metadata.
#[must_use]
pub fn object_name_of(metadata: &ObjectMeta) -> String {
    let name = metadata.name.as_ref().or(metadata.generate_name.as_ref()).map_or("", String::as_str);
    match &metadata.namespace {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name.to_owned(),
    }
}
