//! Manifests in `tests/fixtures/`.

use std::fs;

use serde_json::{Map, Value};

use crate::repository;

/// A file of `tests/fixtures/`. Each `${NAME}` in it becomes the value of that name.
pub fn fixture(file: &str, values: &[(&str, &str)]) -> String {
    let mut text = fs::read_to_string(repository("tests/fixtures").join(file)).expect(file);
    for (name, value) in values {
        let variable = format!("${{{name}}}");
        assert!(text.contains(&variable), "{file} has no {variable}");
        text = text.replace(&variable, value);
    }
    assert!(!text.contains("${"), "{file} has variables without a value:\n{text}");
    text
}

/// A conversation grant for the engineer. `extra` is YAML for its spec, indented by two.
pub fn grant(name: &str, extra: &str) -> String {
    fixture("grant.yaml", &[("NAME", name), ("EXTRA", extra)])
}

/// A Role with one permission. `extra` is YAML for its spec, indented by two.
pub fn role(name: &str, extra: &str) -> String {
    fixture("role.yaml", &[("NAME", name), ("EXTRA", extra)])
}

/// An object with further fields in its spec, as JSON.
pub(crate) fn with_spec(object: &str, extra: &str) -> String {
    let mut object: Value = serde_saphyr::from_str(object).expect("an object as YAML");
    if !extra.trim().is_empty() {
        let extra: Map<String, Value> = serde_saphyr::from_str(extra).expect("fields as YAML");
        object["spec"].as_object_mut().expect("a spec").extend(extra);
    }
    object.to_string()
}
