//! The JSON form of a permission grant, in both permission models.

use amigo_permissions::{Action, Condition, Conditions, PermissionGrant, Value as AttributeValue, names};
use serde_json::{Map, Value, json};

use super::{
    behavior::Strictness,
    state::{Organization, PermissionModel},
    validation::{Object, Problems, TextRule, object, text},
};

/// The attributes of a known type, and whether that type is boolean; if not, it is string.
const ATTRIBUTES: [(&str, bool); 5] = [
    ("org_id", false),
    ("conversation_user_id", false),
    ("conversation_visible_to_admin", true),
    ("user_id", false),
    ("role_name", false),
];

/// Precedes the JSON text of a value that is null, a list or an object. The API compares an attribute of unknown type with
/// any value; the permission engine knows only single values, and this one equals none of them.
const OPAQUE: &str = "\u{0}json:";

/// A grant from a request, with its description, which only the `AllowDeny` model keeps.
pub(super) struct SentGrant {
    pub(super) grant: PermissionGrant,
    pub(super) description: Option<String>,
}

pub(super) fn read(
    organization: &Organization,
    value: &Value,
    location: Vec<Value>,
    problems: &mut Problems,
) -> Option<SentGrant> {
    let sent = object(value, location, problems)?;
    let permission_name = sent.required_text("permission_name", TextRule::ANY, problems);
    let conditions = sent
        .required("conditions", problems)
        .and_then(|conditions| object(conditions, sent.at("conditions"), problems))
        .and_then(|conditions| read_conditions(organization, &conditions, problems));
    let (action, description) = read_model_members(organization, &sent, problems);
    let permission_name = permission_name?;
    if organization.behavior.unknown_names == Strictness::Reject && !names::is_known(&permission_name) {
        problems.add(sent.at("permission_name"), "value_error", "Value error, unknown permission");
    }
    let grant = PermissionGrant { action, permission_name, conditions: conditions? };
    Some(SentGrant { grant, description })
}

/// Under `AllowOnly` both fields are unknown. By default they are dropped, which turns a deny into an allow.
fn read_model_members(
    organization: &Organization,
    sent: &Object<'_>,
    problems: &mut Problems,
) -> (Action, Option<String>) {
    match organization.model {
        PermissionModel::AllowOnly => {
            if organization.behavior.unknown_members == Strictness::Reject {
                sent.reject_unknown(&["permission_name", "conditions"], problems);
            }
            (Action::Allow, None)
        }
        PermissionModel::AllowDeny => {
            let action = sent.optional("action").and_then(|action| sent.choice("action", action, problems));
            (action.unwrap_or_default(), sent.optional_text("description", TextRule::ANY, problems))
        }
    }
}

fn read_conditions(
    organization: &Organization,
    conditions: &Object<'_>,
    problems: &mut Problems,
) -> Option<Conditions> {
    let mut read = Conditions::new();
    for (attribute, value) in conditions.members {
        let location = conditions.at(attribute);
        if organization.behavior.unknown_names == Strictness::Reject && kind_of(attribute).is_none() {
            problems.add(location.clone(), "value_error", "Value error, unknown attribute");
        }
        let condition =
            object(value, location, problems).and_then(|value| read_condition(attribute, &value, problems))?;
        read.insert(attribute.clone(), condition);
    }
    Some(read)
}

fn read_condition(attribute: &str, sent: &Object<'_>, problems: &mut Problems) -> Option<Condition> {
    let Some(kind) = sent.members.get("type") else {
        problems.add(sent.at("type"), "union_tag_not_found", "Unable to extract tag using discriminator 'type'");
        return None;
    };
    let kind = text(kind, TextRule::ANY, sent.at("type"), problems)?;
    let value = |value: &Value, location, problems: &mut Problems| read_value(attribute, value, location, problems);
    let single = |problems: &mut Problems| value(sent.required("value", problems)?, sent.at("value"), problems);
    match kind.as_str() {
        "Equals" => Some(Condition::Equals { value: single(problems)? }),
        "NotEquals" => Some(Condition::NotEquals { value: single(problems)? }),
        "In" => {
            let Value::Array(values) = sent.required("values", problems)? else {
                problems.add(sent.at("values"), "list_type", "Input should be a valid list");
                return None;
            };
            let at = |index: usize| [sent.at("values"), vec![json!(index)]].concat();
            let values = values.iter().enumerate().map(|(index, item)| value(item, at(index), problems));
            Some(Condition::In { values: values.collect::<Option<_>>()? })
        }
        _ => {
            problems.add(sent.at("type"), "union_tag_invalid", "Input tag should be one of: Equals, In, NotEquals");
            None
        }
    }
}

fn read_value(attribute: &str, value: &Value, location: Vec<Value>, problems: &mut Problems) -> Option<AttributeValue> {
    let Ok(read) = serde_json::from_value::<AttributeValue>(value.clone()) else {
        if kind_of(attribute).is_none() {
            return Some(AttributeValue::from(format!("{OPAQUE}{value}").as_str()));
        }
        problems.add(location, "value_error", "Value error, a string, a number or a boolean is needed");
        return None;
    };
    let is_boolean = matches!(read, AttributeValue::Boolean(_));
    let is_text = matches!(read, AttributeValue::String(_));
    let mismatched = kind_of(attribute).is_some_and(|boolean| if boolean { !is_boolean } else { !is_text });
    if mismatched {
        problems.add(location, "value_error", "Value error, the value's type is not the attribute's");
        return None;
    }
    Some(read)
}

fn kind_of(attribute: &str) -> Option<bool> {
    ATTRIBUTES.iter().find(|(name, _)| *name == attribute).map(|(_, boolean)| *boolean)
}

/// Renders a grant in the form of the permission model.
pub(super) fn write(model: PermissionModel, grant: &PermissionGrant, description: Option<&str>) -> Value {
    match model {
        PermissionModel::AllowOnly => {
            json!({ "permission_name": grant.permission_name, "conditions": write_conditions(&grant.conditions) })
        }
        PermissionModel::AllowDeny => json!({
            "action": grant.action,
            "permission_name": grant.permission_name,
            "conditions": write_conditions(&grant.conditions),
            "description": description,
        }),
    }
}

fn write_conditions(conditions: &Conditions) -> Value {
    let mut written = json!(conditions);
    for condition in written.as_object_mut().into_iter().flat_map(Map::values_mut) {
        for value in condition.as_object_mut().into_iter().flat_map(Map::values_mut) {
            match value {
                Value::Array(values) => values.iter_mut().for_each(restore_opaque),
                value => restore_opaque(value),
            }
        }
    }
    written
}

/// Replaces the text that stands for an opaque value by the value.
fn restore_opaque(value: &mut Value) {
    let json = value.as_str().and_then(|text| text.strip_prefix(OPAQUE));
    if let Some(opaque) = json.and_then(|json| serde_json::from_str(json).ok()) {
        *value = opaque;
    }
}
