//! Reads objects of the cluster. An object that cannot be read spoils no list.

use std::fmt::Debug;

use amigo_api::{Stored, Unreadable};
use kube::{Api, Resource, api::ListParams};
use serde::de::DeserializeOwned;

use super::{Failure, kubernetes::Kubernetes};

impl Kubernetes {
    /// Lists objects. Warns of the unreadable ones and leaves them out.
    ///
    /// # Errors
    /// When the API server does not list them.
    pub async fn list<K>(&self, api: &Api<Stored<K>>, limit: Option<u32>, doing: &str) -> Result<Vec<K>, Failure>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let listed = api.list(&ListParams { limit, ..ListParams::default() }).await;
        let stored = listed.map_err(|error| Failure::from_kube(doing, &error))?.items;
        Ok(stored.into_iter().filter_map(|stored| self.readable_or_warn(stored)).collect())
    }

    fn readable_or_warn<K: Resource<DynamicType = ()>>(&self, stored: Stored<K>) -> Option<K> {
        let warn = |unreadable: &Unreadable| self.warnings.add(left_out::<K>(unreadable));
        stored.0.inspect_err(warn).ok()
    }

    /// Reads one object.
    ///
    /// # Errors
    /// When the API server does not return it, or it cannot be read.
    pub async fn find<K>(&self, api: &Api<Stored<K>>, name: &str, doing: &str) -> Result<Option<K>, Failure>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let found = api.get_opt(name).await.map_err(|error| Failure::from_kube(doing, &error))?;
        found.map(readable).transpose()
    }
}

/// The object.
///
/// # Errors
/// When it cannot be read; the failure names the field.
pub fn readable<K: Resource<DynamicType = ()>>(stored: Stored<K>) -> Result<K, Failure> {
    stored.0.map_err(|unreadable| {
        Failure::failed(format!("cannot read {}: {unreadable}", name::<K>(&unreadable)))
            .advise(remedy::<K>(&unreadable))
    })
}

/// The warning about an object that a list leaves out.
pub fn left_out<K: Resource<DynamicType = ()>>(unreadable: &Unreadable) -> String {
    format!("left out {}: it cannot be read: {unreadable}; {}", name::<K>(unreadable), remedy::<K>(unreadable))
}

fn name<K: Resource<DynamicType = ()>>(unreadable: &Unreadable) -> String {
    let metadata = &unreadable.metadata;
    let namespace = metadata.namespace.as_ref().map_or_else(String::new, |namespace| format!("{namespace}/"));
    format!("{} {namespace}{}", K::kind(&()), metadata.name.as_deref().unwrap_or_default())
}

fn remedy<K: Resource<DynamicType = ()>>(unreadable: &Unreadable) -> String {
    let metadata = &unreadable.metadata;
    let namespace = metadata.namespace.as_ref().map_or_else(String::new, |namespace| format!(" -n {namespace}"));
    let name = metadata.name.as_deref().unwrap_or_default();
    format!(
        "correct the field, or delete the object with `kubectl delete {}.{} {name}{namespace}`",
        K::plural(&()),
        K::group(&())
    )
}

#[cfg(test)]
mod tests {
    use amigo_api::{Organization, TemporaryPermissionGrant};
    use kube::core::ObjectMeta;

    use super::*;

    fn unreadable(namespace: Option<&str>) -> Unreadable {
        let metadata = ObjectMeta {
            name: Some("never".to_owned()),
            namespace: namespace.map(str::to_owned),
            ..ObjectMeta::default()
        };
        Unreadable { error: "spec.notAfter: out of range".to_owned(), metadata }
    }

    #[test]
    fn warning_names_the_object_and_a_command() {
        let text = left_out::<TemporaryPermissionGrant>(&unreadable(Some("team")));
        assert!(text.starts_with("left out TemporaryPermissionGrant team/never: it cannot be read: spec.notAfter"));
        assert!(
            text.ends_with("`kubectl delete temporarypermissiongrants.permissions.amigo.ai never -n team`"),
            "{text}"
        );
        assert!(left_out::<Organization>(&unreadable(None)).contains("Organization never: "));
    }
}
