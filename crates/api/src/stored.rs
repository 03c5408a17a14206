//! Objects as the API server stores them, which may be older or odder than the current schema allows.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

/// An object that may be unreadable. Lists and watches of it work whatever the objects contain.
#[derive(Clone, Debug)]
pub struct Stored<K>(pub Result<K, Unreadable>);

/// An object whose content does not fit its kind, for example because it was created under an older CRD.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{error}")]
pub struct Unreadable {
    /// The field and the error.
    pub error: String,
    /// The readable part of the metadata.
    pub metadata: ObjectMeta,
}

impl<'de, K: DeserializeOwned> Deserialize<'de> for Stored<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut object = Value::deserialize(deserializer)?;
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            // No program needs them, and any client can write into them what their type cannot represent.
            metadata.remove("managedFields");
        }
        Ok(Self(serde_path_to_error::deserialize(&object).map_err(|error| Unreadable {
            error: error.to_string(),
            metadata: readable_metadata(object.get("metadata").unwrap_or(&Value::Null)),
        })))
    }
}

/// Reads each field by itself, because any of them can be the unreadable one.
fn readable_metadata(metadata: &Value) -> ObjectMeta {
    fn read<T: DeserializeOwned>(metadata: &Value, field: &str) -> Option<T> {
        metadata.get(field).and_then(|value| T::deserialize(value).ok())
    }
    ObjectMeta {
        annotations: read(metadata, "annotations"),
        creation_timestamp: read(metadata, "creationTimestamp"),
        deletion_timestamp: read(metadata, "deletionTimestamp"),
        finalizers: read(metadata, "finalizers"),
        generation: read(metadata, "generation"),
        labels: read(metadata, "labels"),
        name: read(metadata, "name"),
        namespace: read(metadata, "namespace"),
        resource_version: read(metadata, "resourceVersion"),
        uid: read(metadata, "uid"),
        ..ObjectMeta::default()
    }
}

impl<K: Resource> Resource for Stored<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(dynamic)
    }

    fn group(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::group(dynamic)
    }

    fn version(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::version(dynamic)
    }

    fn plural(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(dynamic)
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.as_ref().map_or_else(|unreadable| &unreadable.metadata, K::meta)
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0.as_mut().map_or_else(|unreadable| &mut unreadable.metadata, K::meta_mut)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::TemporaryPermissionGrant;

    fn request(change: impl FnOnce(&mut Value)) -> Stored<TemporaryPermissionGrant> {
        let mut object = json!({
            "apiVersion": "permissions.amigo.ai/v1alpha1",
            "kind": "TemporaryPermissionGrant",
            "metadata": {"name": "one", "namespace": "default", "uid": "u", "resourceVersion": "7"},
            "spec": {
                "organizationRef": {"name": "acme"}, "user": {"userId": "ann"}, "justification": "a good reason",
                "conversation": {"ownerUserId": "owner"},
            },
        });
        change(&mut object);
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn unreadable_object_names_its_field() {
        let stored = request(|object| object["spec"]["notAfter"] = json!("9999-12-31T23:59:59Z"));
        assert_eq!((stored.meta().name.as_deref(), stored.meta().uid.as_deref()), (Some("one"), Some("u")));
        assert!(stored.0.unwrap_err().error.starts_with("spec.notAfter: "));
    }

    #[test]
    fn unreadable_metadata_keeps_the_name() {
        let stored = request(|object| object["metadata"]["creationTimestamp"] = json!("9999-12-31T23:59:59Z"));
        assert_eq!(stored.meta().name.as_deref(), Some("one"));
        assert!(stored.0.is_err());
    }

    #[test]
    fn managed_fields_are_dropped() {
        let stored = request(|object| object["metadata"]["managedFields"] = json!([{"time": "never"}]));
        assert_eq!(stored.0.unwrap().metadata.managed_fields, None);
    }
}
