//! The CustomResourceDefinitions of all kinds, as `amigo-operator crds` prints them.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::{CustomResourceExt, ResourceExt};

use super::{Organization, Role, RoleAssignment, TemporaryPermissionGrant, rules};

/// The definitions of all kinds.
#[must_use]
pub fn all() -> [CustomResourceDefinition; 4] {
    [Organization::crd(), Role::crd(), RoleAssignment::crd(), TemporaryPermissionGrant::crd()].map(|mut definition| {
        for version in &mut definition.spec.versions {
            if let Some(schema) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) {
                adjust(schema);
            }
        }
        definition
    })
}

/// The file name and the YAML of one definition.
///
/// # Errors
/// When the definition cannot be written as YAML.
pub fn manifest(definition: &CustomResourceDefinition) -> Result<(String, String), serde_saphyr::ser::Error> {
    Ok((format!("{}.yaml", definition.name_any()), serde_saphyr::to_string(definition)?))
}

/// Adds what the derive macros cannot express, so that the schema rejects everything that the types cannot represent.
fn adjust(schema: &mut JSONSchemaProps) {
    // The API server drops a null that the schema does not allow. So null means absent, for rules and programs alike.
    schema.nullable = None;
    constrain_number(schema);
    constrain_time(schema);
    constrain_condition(schema);
    constrain_standard_conditions(schema);
    schema.properties.iter_mut().flat_map(BTreeMap::values_mut).for_each(adjust);
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        adjust(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        adjust(values);
    }
}

/// Bounds integers by their types. Kubernetes does not support unsigned formats.
fn constrain_number(schema: &mut JSONSchemaProps) {
    // Above 2^53 the bound itself would be inexact.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let (least, most) = match schema.format.as_deref() {
        Some("uint8") => (0.0, f64::from(u8::MAX)),
        Some("uint32") => (0.0, f64::from(u32::MAX)),
        Some("int64") => (-EXACT, EXACT),
        _ => return,
    };
    schema.format.take_if(|format| format.starts_with("uint"));
    schema.minimum.get_or_insert(least);
    schema.maximum.get_or_insert(most);
}

/// The API server accepts times that the programs cannot represent, such as the last second of the year 9999.
fn constrain_time(schema: &mut JSONSchemaProps) {
    if schema.format.as_deref() == Some("date-time") {
        schema.pattern = Some(rules::STATUS_TIME.to_owned());
    }
}

/// Ties the members of a permission condition to its `type`. It uses `oneOf` instead of CEL, because `value` may be a
/// string, number or boolean, and CEL cannot access a member without a type.
fn constrain_condition(schema: &mut JSONSchemaProps) {
    let has = |name: &str| schema.properties.as_ref().is_some_and(|properties| properties.contains_key(name));
    if has("type") && has("value") && has("values") {
        schema.one_of = Some(vec![
            alternative(&["Equals", "NotEquals"], "value", "values"),
            alternative(&["In"], "values", "value"),
        ]);
    }
}

/// Gives `status.conditions` the limits of the standard type in Kubernetes.
fn constrain_standard_conditions(schema: &mut JSONSchemaProps) {
    if schema.x_kubernetes_list_map_keys.as_deref() != Some(&["type".to_owned()]) {
        return;
    }
    schema.max_items = Some(16);
    let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items else { return };
    for (name, member) in items.properties.iter_mut().flatten() {
        match name.as_str() {
            "type" => (member.min_length, member.max_length) = (Some(1), Some(316)),
            "reason" => (member.min_length, member.max_length) = (Some(1), Some(1024)),
            "message" => member.max_length = Some(32_768),
            "status" => member.enum_ = Some(["True", "False", "Unknown"].map(|name| JSON(name.into())).to_vec()),
            "observedGeneration" => member.minimum = Some(0.0),
            _ => {}
        }
    }
}

fn alternative(types: &[&str], needed: &str, forbidden: &str) -> JSONSchemaProps {
    let kind =
        JSONSchemaProps { enum_: Some(types.iter().map(|name| JSON((*name).into())).collect()), ..Default::default() };
    JSONSchemaProps {
        properties: Some([("type".to_owned(), kind)].into()),
        required: Some(vec![needed.to_owned()]),
        not: Some(Box::new(JSONSchemaProps { required: Some(vec![forbidden.to_owned()]), ..Default::default() })),
        ..Default::default()
    }
}
