//! Validates request bodies and collects all problems of a request.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::errors::{ApiError, Problem};

#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Problem>);

/// A JSON object of the body, with its location.
#[derive(Clone, Debug)]
pub(super) struct Object<'a> {
    pub(super) members: &'a Map<String, Value>,
    location: Vec<Value>,
}

/// How many characters a text must have after trimming.
#[derive(Clone, Copy, Debug)]
pub(super) struct TextRule {
    pub(super) min: usize,
    pub(super) max: usize,
}

impl TextRule {
    pub(super) const ANY: Self = Self { min: 0, max: usize::MAX };
    pub(super) const NOT_BLANK: Self = Self { min: 1, max: usize::MAX };
}

impl Problems {
    pub(super) fn add(&mut self, location: Vec<Value>, kind: &'static str, message: impl Into<String>) {
        self.0.push(Problem { location, message: message.into(), kind, out_of_range: false });
    }

    pub(super) fn out_of_range(&mut self, location: Vec<Value>, kind: &'static str, message: impl Into<String>) {
        self.0.push(Problem { location, message: message.into(), kind, out_of_range: true });
    }

    /// Fails if there is any problem.
    pub(super) fn into_result(self) -> Result<(), ApiError> {
        if self.0.is_empty() { Ok(()) } else { Err(ApiError::Invalid(self.0)) }
    }

    pub(super) fn into_error(self) -> ApiError {
        ApiError::Invalid(self.0)
    }
}

pub(super) fn parse_body(body: &Bytes) -> Result<Value, ApiError> {
    let mut problems = Problems::default();
    if body.is_empty() {
        problems.add(vec![json!("body")], "missing", "Field required");
        return Err(problems.into_error());
    }
    serde_json::from_slice(body).map_err(|error| {
        problems.add(vec![json!("body"), json!(error.column())], "json_invalid", "JSON decode error");
        problems.into_error()
    })
}

pub(super) fn body_object(body: &Value) -> Result<Object<'_>, ApiError> {
    let mut problems = Problems::default();
    let location = vec![json!("body")];
    object(body, location, &mut problems).ok_or_else(|| problems.into_error())
}

pub(super) fn object<'a>(value: &'a Value, location: Vec<Value>, problems: &mut Problems) -> Option<Object<'a>> {
    let Value::Object(members) = value else {
        problems.add(location, "model_attributes_type", "ApiRequest should be a valid object");
        return None;
    };
    Some(Object { members, location })
}

/// A text. Trims surrounding white space if the rule has a minimum.
pub(super) fn text(value: &Value, rule: TextRule, location: Vec<Value>, problems: &mut Problems) -> Option<String> {
    let Value::String(text) = value else {
        problems.add(location, "string_type", "ApiRequest should be a valid string");
        return None;
    };
    let text = if rule.min == 0 { text } else { text.trim() };
    let length = text.chars().count();
    if length < rule.min {
        problems.add(location, "string_too_short", format!("String should have at least {} characters", rule.min));
        return None;
    }
    if length > rule.max {
        problems.add(location, "string_too_long", format!("String should have at most {} characters", rule.max));
        return None;
    }
    Some(text.to_owned())
}

impl<'a> Object<'a> {
    pub(super) fn at(&self, name: &str) -> Vec<Value> {
        let mut location = self.location.clone();
        location.push(json!(name));
        location
    }

    /// A required member, which may be null.
    pub(super) fn required(&self, name: &str, problems: &mut Problems) -> Option<&'a Value> {
        let member = self.members.get(name);
        if member.is_none() {
            problems.add(self.at(name), "missing", "Field required");
        }
        member
    }

    /// A member, unless it is absent or null.
    pub(super) fn optional(&self, name: &str) -> Option<&'a Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn required_text(&self, name: &str, rule: TextRule, problems: &mut Problems) -> Option<String> {
        text(self.required(name, problems)?, rule, self.at(name), problems)
    }

    pub(super) fn optional_text(&self, name: &str, rule: TextRule, problems: &mut Problems) -> Option<String> {
        text(self.optional(name)?, rule, self.at(name), problems)
    }

    pub(super) fn optional_boolean(&self, name: &str, problems: &mut Problems) -> Option<bool> {
        let value = self.optional(name)?;
        if !value.is_boolean() {
            problems.add(self.at(name), "bool_type", "ApiRequest should be a valid boolean");
        }
        value.as_bool()
    }

    /// One text of a fixed set.
    pub(super) fn choice<T: serde::de::DeserializeOwned>(
        &self,
        name: &str,
        value: &Value,
        problems: &mut Problems,
    ) -> Option<T> {
        let choice = serde_json::from_value(value.clone()).ok();
        if choice.is_none() {
            problems.add(self.at(name), "enum", "ApiRequest should be one of the permitted values");
        }
        choice
    }

    pub(super) fn optional_texts(&self, name: &str, rule: TextRule, problems: &mut Problems) -> Option<Vec<String>> {
        let value = self.optional(name)?;
        let Value::Array(items) = value else {
            problems.add(self.at(name), "list_type", "ApiRequest should be a valid list");
            return None;
        };
        let location = |index: usize| [self.at(name), vec![json!(index)]].concat();
        items.iter().enumerate().map(|(index, item)| text(item, rule, location(index), problems)).collect()
    }

    /// Tags of letters, digits, underscores and white space. Values may be null.
    pub(super) fn tags(
        &self,
        name: &str,
        value: &Value,
        problems: &mut Problems,
    ) -> Option<BTreeMap<String, Option<String>>> {
        const MAX_TAGS: usize = 20;
        let Value::Object(members) = value else {
            problems.add(self.at(name), "dict_type", "ApiRequest should be a valid dictionary");
            return None;
        };
        if members.len() > MAX_TAGS {
            problems.add(self.at(name), "too_long", format!("Dictionary should have at most {MAX_TAGS} items"));
        }
        let mut tags = BTreeMap::new();
        for (key, value) in members {
            let location = [self.at(name), vec![json!(key)]].concat();
            let key = tag_text(&json!(key), [location.clone(), vec![json!("[key]")]].concat(), problems);
            let value = match value {
                Value::Null => Some(None),
                value => tag_text(value, location, problems).map(Some),
            };
            tags.extend(key.zip(value));
        }
        Some(tags)
    }

    /// Rejects every member that is not in `known`.
    pub(super) fn reject_unknown(&self, known: &[&str], problems: &mut Problems) {
        for name in self.members.keys().filter(|name| !known.contains(&name.as_str())) {
            problems.add(self.at(name), "extra_forbidden", "Extra inputs are not permitted");
        }
    }
}

fn tag_text(value: &Value, location: Vec<Value>, problems: &mut Problems) -> Option<String> {
    let text = text(value, TextRule::NOT_BLANK, location.clone(), problems)?;
    let fits =
        text.chars().all(|character| character.is_alphanumeric() || character == '_' || character.is_whitespace());
    if !fits {
        problems.add(location, "string_pattern_mismatch", r"String should match pattern '^[\w\s]+$'");
    }
    fits.then_some(text)
}

/// Whether `text` looks like `name@host.domain`.
pub(super) fn is_email(text: &str) -> bool {
    let Some((name, host)) = text.rsplit_once('@') else { return false };
    let plain = |part: &str| !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c == '@');
    plain(name) && plain(host) && host.split('.').count() > 1 && host.split('.').all(|label| !label.is_empty())
}
