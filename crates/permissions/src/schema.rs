//! The JSON schema of a condition, for Kubernetes kinds.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::json;

use crate::Condition;

/// The schema is written by hand, because a structural schema has no type for "string, number or boolean". The CRD export
/// adds which member goes with which `type`, because CEL cannot read members without a type.
impl JsonSchema for Condition {
    fn schema_name() -> Cow<'static, str> {
        "Condition".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // No object and no list matches these limits.
        let scalar = json!({"maxLength": 256, "minProperties": 1, "maxProperties": 0, "minItems": 1, "maxItems": 0});
        let value = |description: &str, more: &serde_json::Value| {
            let mut schema = json!({"description": description, "x-kubernetes-preserve-unknown-fields": true});
            let members = schema.as_object_mut().into_iter();
            members.for_each(|members| members.extend(more.as_object().cloned().unwrap_or_default()));
            schema
        };
        json_schema!({
            "type": "object",
            "description": "The rule one attribute must meet. Equals and NotEquals take `value`, In takes `values`.",
            "required": ["type"],
            "properties": {
                "type": {
                    "type": "string",
                    "enum": ["Equals", "NotEquals", "In"],
                    "description": "Equals and NotEquals compare with `value`; In accepts any of `values`."
                },
                "value": value(
                    "String, number or boolean that the attribute is compared with. The variables {self_org_id}, \
                     {self} and {self_role_name} stand for the user being checked.",
                    &scalar,
                ),
                "values": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": 32,
                    "x-kubernetes-list-type": "atomic",
                    // A schema without a type accepts null. The API server replaces a null item by the default, which
                    // the list rejects. The limits are not in the items, because the API server checks the default there.
                    "items": value("One accepted string, number or boolean.", &json!({"default": {}})),
                    "allOf": [{"items": scalar}],
                    "description": "The accepted values, 1 to 32."
                }
            }
        })
    }
}
