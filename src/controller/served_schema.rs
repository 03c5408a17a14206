//! Whether the CRDs that the API server serves have every status field that the operator writes.
//!
//! The API server removes fields that it does not know, without an error. An intent without its nonce, or a role without
//! the mark of its creation, would protect nothing.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use amigo_api::{Organization, Role, RoleAssignment, TemporaryPermissionGrant, reasons};
use amigo_lifecycle::{Failure, RetryClass};
use kube::{Client, CustomResourceExt as _, Resource};
use serde_json::Value;

/// The `OpenAPI` document of the group, which every authenticated client may read.
const DOCUMENT: &str = "/openapi/v3/apis/permissions.amigo.ai/v1alpha1";

/// The status fields that the served CRDs lack, by kind; `None` until they were compared.
#[derive(Default)]
pub struct ServedSchema(Mutex<Option<BTreeMap<String, Vec<String>>>>);

impl ServedSchema {
    /// Compares the served CRDs with the operator's own; returns whether the result is another than before. After an
    /// error, the last result remains.
    pub async fn refresh(&self, client: &Client) -> bool {
        match compare(client).await {
            Ok(missing) => {
                let missing = Some(missing);
                missing != std::mem::replace(&mut *self.lock(), missing.clone())
            }
            Err(error) => {
                tracing::warn!(%error, "cannot compare the served CRDs with the operator's; will retry");
                false
            }
        }
    }

    /// The API server stored another status than the operator wrote.
    pub fn status_was_pruned<K: Resource<DynamicType = ()>>(&self) {
        self.lock().get_or_insert_default().entry(K::kind(&()).into_owned()).or_default();
    }

    /// Whether they were compared, and nothing is missing.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.lock().as_ref().is_some_and(BTreeMap::is_empty)
    }

    /// # Errors
    /// If the CRD of the kind lacks a field.
    pub fn check<K: Resource<DynamicType = ()>>(&self) -> Result<(), Failure> {
        let missing = self.lock();
        let Some(fields) = missing.as_ref().and_then(|missing| missing.get(&*K::kind(&()))) else { return Ok(()) };
        let names = if fields.is_empty() { String::new() } else { format!(": {}", fields.join(", ")) };
        let message = format!(
            "the CustomResourceDefinition of {} lacks status fields that the operator relies on{names}. Upgrade the CRDs",
            K::plural(&())
        );
        Err(Failure::new(reasons::CRD_OUTDATED, RetryClass::Persistent, message))
    }

    fn lock(&self) -> MutexGuard<'_, Option<BTreeMap<String, Vec<String>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn compare(client: &Client) -> Result<BTreeMap<String, Vec<String>>, kube::Error> {
    let request = http::Request::get(DOCUMENT).body(Vec::new()).map_err(kube::Error::HttpError)?;
    let document: Value = client.request(request).await?;
    let own = [Organization::crd(), Role::crd(), RoleAssignment::crd(), TemporaryPermissionGrant::crd()];
    let missing: BTreeMap<_, _> = own
        .iter()
        .filter_map(|crd| {
            let kind = crd.spec.names.kind.clone();
            let own = serde_json::to_value(crd).ok()?;
            let fields = missing(&own["spec"]["versions"][0]["schema"]["openAPIV3Schema"], served(&document, &kind)?);
            (!fields.is_empty()).then_some((kind, fields))
        })
        .collect();
    for (kind, fields) in &missing {
        tracing::error!(kind, ?fields, "the CustomResourceDefinition is outdated: upgrade the CRDs");
    }
    Ok(missing)
}

/// The served schema of a kind.
fn served<'a>(document: &'a Value, kind: &str) -> Option<&'a Value> {
    let suffix = format!(".{kind}");
    let schemas = document["components"]["schemas"].as_object()?;
    schemas.iter().find(|(name, _)| name.ends_with(&suffix)).map(|(_, schema)| schema)
}

/// The paths of the status fields that only `own` has.
fn missing(own: &Value, served: &Value) -> Vec<String> {
    let mut fields = Vec::new();
    collect(&own["properties"]["status"], &served["properties"]["status"], "status", &mut fields);
    fields
}

fn collect(own: &Value, served: &Value, path: &str, fields: &mut Vec<String>) {
    if !own["items"].is_null() {
        return collect(&own["items"], &served["items"], &format!("{path}[]"), fields);
    }
    for (name, schema) in own["properties"].as_object().into_iter().flatten() {
        let (path, served) = (format!("{path}.{name}"), &served["properties"][name]);
        if served.is_null() {
            fields.push(path);
        } else {
            collect(schema, served, &path, fields);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kind(status: &Value) -> Value {
        json!({"properties": {"status": status}})
    }

    #[test]
    fn missing_status_fields_are_named() {
        let own = kind(&json!({"properties": {
            "a": {}, "list": {"items": {"properties": {"b": {}, "c": {}}}}, "part": {"properties": {"d": {}}}
        }}));
        let served = kind(&json!({"properties": {
            "list": {"items": {"properties": {"b": {}}}}, "part": {"properties": {}}, "unknown": {}
        }}));
        assert_eq!(missing(&own, &served), ["status.a", "status.list[].c", "status.part.d"]);
        assert_eq!(missing(&own, &own), Vec::<String>::new());
    }

    #[test]
    fn pruned_status_blocks_its_kind_only() {
        let schema = ServedSchema::default();
        assert!(schema.check::<Role>().is_ok() && !schema.is_complete(), "unknown is checked again");
        *schema.lock() = Some(BTreeMap::new());
        assert!(schema.is_complete());
        schema.status_was_pruned::<Role>();
        assert_eq!(schema.check::<Role>().unwrap_err().reason, reasons::CRD_OUTDATED);
        assert!(schema.check::<TemporaryPermissionGrant>().is_ok() && !schema.is_complete());
    }
}
