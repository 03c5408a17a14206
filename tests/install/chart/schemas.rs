//! JSON schemas for kubeconform, which would load them from the network, made from what the API server serves.

use std::{collections::BTreeSet, fs, path::Path};

use http::Request;
use kube::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Where kubeconform finds the schema of a kind in the folder.
pub const LOCATION: &str = "{{.Group}}-{{.ResourceAPIVersion}}-{{.ResourceKind}}.json";

/// One file a kind, for every kind of these groups that the API server knows.
pub async fn write(client: &Client, groups: &BTreeSet<String>) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for group in groups {
        let path = if group.contains('/') { format!("apis/{group}") } else { format!("api/{group}") };
        let request = Request::get(format!("/openapi/v3/{path}")).body(Vec::new()).expect("a request");
        let mut document: Value = client.request(request).await.expect("the API server's description of its kinds");
        let schemas = document["components"]["schemas"].take();
        write_group(folder.path(), schemas);
    }
    folder
}

fn write_group(folder: &Path, mut schemas: Value) {
    let all = schemas.as_object_mut().expect("schemas");
    all.values_mut().for_each(forbid_unknown_members);
    for (name, schema) in all.iter() {
        for kind in schema["x-kubernetes-group-version-kind"].as_array().into_iter().flatten() {
            let text = |member: &str| kind[member].as_str().unwrap_or_default().to_lowercase();
            // To kubeconform the core group is called like its version.
            let group = Some(text("group")).filter(|group| !group.is_empty()).unwrap_or_else(|| text("version"));
            let file = format!("{group}-{}-{}.json", text("version"), text("kind"));
            let whole = json!({"$ref": format!("#/components/schemas/{name}"), "components": {"schemas": all}});
            fs::write(folder.join(file), whole.to_string()).expect("a schema");
        }
    }
}

/// As the API server's strict field validation does. What only narrows (`oneOf` and the like) stays as it is.
fn forbid_unknown_members(schema: &mut Value) {
    let Some(members) = schema.as_object_mut() else { return };
    let is_open = members.contains_key("additionalProperties")
        || members.get("x-kubernetes-preserve-unknown-fields") == Some(&json!(true));
    if members.contains_key("properties") && !is_open {
        members.insert("additionalProperties".to_owned(), json!(false));
    }
    let properties = members.get_mut("properties").and_then(Value::as_object_mut);
    properties.into_iter().flat_map(|properties| properties.values_mut()).for_each(forbid_unknown_members);
    for inner in ["items", "additionalProperties"] {
        members.get_mut(inner).into_iter().for_each(forbid_unknown_members);
    }
}
