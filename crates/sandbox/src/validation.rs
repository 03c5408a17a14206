//! What the schema refuses: request bodies, member by member, with every problem reported at once.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::errors::{Problem, Refusal};

/// The problems found so far in one request.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Problem>);

/// A JSON object of the body and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Object<'a> {
    pub(super) members: &'a Map<String, Value>,
    location: Vec<Value>,
}

/// How many characters a text has, after trimming.
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

    /// Refuses the request if there is any problem.
    pub(super) fn refuse_if_any(self) -> Result<(), Refusal> {
        if self.0.is_empty() { Ok(()) } else { Err(Refusal::Invalid(self.0)) }
    }

    /// The refusal, for where a required member turned out missing.
    pub(super) fn refusal(self) -> Refusal {
        Refusal::Invalid(self.0)
    }
}

/// The body as JSON.
pub(super) fn parse_body(body: &Bytes) -> Result<Value, Refusal> {
    let mut problems = Problems::default();
    if body.is_empty() {
        problems.add(vec![json!("body")], "missing", "Field required");
        return Err(problems.refusal());
    }
    serde_json::from_slice(body).map_err(|error| {
        problems.add(vec![json!("body"), json!(error.column())], "json_invalid", "JSON decode error");
        problems.refusal()
    })
}

/// The body's outermost object.
pub(super) fn body_object(body: &Value) -> Result<Object<'_>, Refusal> {
    let mut problems = Problems::default();
    let location = vec![json!("body")];
    object(body, location, &mut problems).ok_or_else(|| problems.refusal())
}

/// `value` as an object.
pub(super) fn object<'a>(value: &'a Value, location: Vec<Value>, problems: &mut Problems) -> Option<Object<'a>> {
    let Value::Object(members) = value else {
        problems.add(location, "model_attributes_type", "Input should be a valid object");
        return None;
    };
    Some(Object { members, location })
}

/// `value` as a text; surrounding white space is dropped.
pub(super) fn text(value: &Value, rule: TextRule, location: Vec<Value>, problems: &mut Problems) -> Option<String> {
    let Value::String(text) = value else {
        problems.add(location, "string_type", "Input should be a valid string");
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

    /// A member that must be there, be it null.
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
            problems.add(self.at(name), "bool_type", "Input should be a valid boolean");
        }
        value.as_bool()
    }

    /// One of a fixed set of texts.
    pub(super) fn choice<T: serde::de::DeserializeOwned>(
        &self,
        name: &str,
        value: &Value,
        problems: &mut Problems,
    ) -> Option<T> {
        let choice = serde_json::from_value(value.clone()).ok();
        if choice.is_none() {
            problems.add(self.at(name), "enum", "Input should be one of the permitted values");
        }
        choice
    }

    pub(super) fn optional_texts(&self, name: &str, rule: TextRule, problems: &mut Problems) -> Option<Vec<String>> {
        let value = self.optional(name)?;
        let Value::Array(items) = value else {
            problems.add(self.at(name), "list_type", "Input should be a valid list");
            return None;
        };
        let location = |index: usize| [self.at(name), vec![json!(index)]].concat();
        items.iter().enumerate().map(|(index, item)| text(item, rule, location(index), problems)).collect()
    }

    /// A map of tags: letters, digits, underscores and white space, values may be null.
    pub(super) fn tags(
        &self,
        name: &str,
        value: &Value,
        problems: &mut Problems,
    ) -> Option<BTreeMap<String, Option<String>>> {
        const MOST: usize = 20;
        let Value::Object(members) = value else {
            problems.add(self.at(name), "dict_type", "Input should be a valid dictionary");
            return None;
        };
        if members.len() > MOST {
            problems.add(self.at(name), "too_long", format!("Dictionary should have at most {MOST} items"));
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

    /// Refuses every member not in `known`.
    pub(super) fn refuse_unknown(&self, known: &[&str], problems: &mut Problems) {
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
