//! The forms in which commands print objects.

use clap::ValueEnum;
use kube::{Resource, ResourceExt as _};
use serde::Serialize;
use serde_json::json;

use super::Failure;

/// `-o`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Columns for people.
    #[default]
    Table,
    /// JSON, indented.
    Json,
    /// YAML.
    Yaml,
    /// `resource/name`, a line each.
    Name,
}

/// Indented JSON with a line end.
///
/// # Errors
/// When the value has no form in JSON.
pub fn json(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::failed(format!("cannot print as JSON: {error}")))?;
    Ok(text + "\n")
}

/// YAML.
///
/// # Errors
/// When the value has no form in YAML.
pub fn yaml(value: &impl Serialize) -> Result<String, Failure> {
    serde_saphyr::to_string(value).map_err(|error| Failure::failed(format!("cannot print as YAML: {error}")))
}

/// `resource.group/name`, as kubectl names an object.
#[must_use]
pub fn name<K: Resource<DynamicType = ()>>(object: &K) -> String {
    format!("{}.{}/{}", K::kind(&()).to_lowercase(), K::group(&()), object.name_any())
}

/// A Kubernetes object as kubectl prints it: without `managedFields`, which are nobody's to read. A table has no form
/// that all kinds share: it is the name here.
///
/// # Errors
/// When the object has no such form.
pub fn object<K>(object: &K, format: Format) -> Result<String, Failure>
where
    K: Resource<DynamicType = ()> + Clone + Serialize,
{
    match format {
        Format::Json => json(&without_managed_fields(object)),
        Format::Yaml => yaml(&without_managed_fields(object)),
        Format::Name | Format::Table => Ok(name(object) + "\n"),
    }
}

/// Kubernetes objects as kubectl prints several: a List, or a name a line. A table has no form that all kinds share.
///
/// # Errors
/// When an object has no such form.
pub fn list<K>(objects: &[K], format: Format) -> Result<String, Failure>
where
    K: Resource<DynamicType = ()> + Clone + Serialize,
{
    let items: Vec<K> = objects.iter().map(without_managed_fields).collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": items});
    match format {
        Format::Json => json(&list),
        Format::Yaml => yaml(&list),
        Format::Name | Format::Table => Ok(objects.iter().map(|object| name(object) + "\n").collect()),
    }
}

fn without_managed_fields<K: Resource + Clone>(object: &K) -> K {
    let mut shown = object.clone();
    shown.meta_mut().managed_fields = None;
    shown
}
