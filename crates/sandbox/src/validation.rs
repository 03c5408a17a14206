//! Validates request bodies and collects all problems of a request.

use std::{collections::BTreeMap, ops::RangeInclusive, sync::LazyLock};

use jiff::SignedDuration;
use regex::Regex;
use serde_json::{Map, Value, json};

use super::{
    context::ApiRequest,
    errors::{ApiError, Problem},
    time,
};

const NOT_AN_OBJECT: &str = "Input should be a valid dictionary or object to extract fields from";

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

/// The body as JSON. The framework of the API reads a body as JSON only if its content type says so.
pub(super) fn parse_body(request: &ApiRequest) -> Result<Value, ApiError> {
    let mut problems = Problems::default();
    if request.body.is_empty() {
        problems.add(vec![json!("body")], "missing", "Field required");
        return Err(problems.into_error());
    }
    if !request.is_json() {
        problems.add(vec![json!("body")], "model_attributes_type", NOT_AN_OBJECT);
        return Err(problems.into_error());
    }
    serde_json::from_slice(&request.body).map_err(|error| {
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
        problems.add(location, "model_attributes_type", NOT_AN_OBJECT);
        return None;
    };
    Some(Object { members, location })
}

/// A text. Trims surrounding white space if the rule has a minimum.
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

    /// The location of a key itself.
    pub(super) fn at_key(&self, key: &str) -> Vec<Value> {
        [self.at(key), vec![json!("[key]")]].concat()
    }

    pub(super) fn at_index(&self, name: &str, index: usize) -> Vec<Value> {
        [self.at(name), vec![json!(index)]].concat()
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

    /// Rejects null for a member that may be absent, but not null.
    pub(super) fn reject_null(&self, name: &str, kind: &'static str, expected: &str, problems: &mut Problems) {
        if self.members.get(name).is_some_and(Value::is_null) {
            problems.add(self.at(name), kind, format!("Input should be a valid {expected}"));
        }
    }

    pub(super) fn optional_boolean(&self, name: &str, problems: &mut Problems) -> Option<bool> {
        let value = self.optional(name)?;
        if !value.is_boolean() {
            problems.add(self.at(name), "bool_type", "Input should be a valid boolean");
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
            problems.add(self.at(name), "enum", "Input should be one of the permitted values");
        }
        choice
    }

    /// A text that `is_permitted`, unless it is absent or null.
    pub(super) fn optional_choice(
        &self,
        name: &str,
        is_permitted: impl Fn(&str) -> bool,
        problems: &mut Problems,
    ) -> Option<String> {
        let value = self.optional(name)?;
        let permitted = value.as_str().filter(|text| is_permitted(text));
        if permitted.is_none() {
            problems.add(self.at(name), "enum", "Input should be one of the permitted values");
        }
        permitted.map(str::to_owned)
    }

    pub(super) fn optional_texts(&self, name: &str, rule: TextRule, problems: &mut Problems) -> Option<Vec<String>> {
        let value = self.optional(name)?;
        let Value::Array(items) = value else {
            problems.add(self.at(name), "list_type", "Input should be a valid list");
            return None;
        };
        items.iter().enumerate().map(|(index, item)| text(item, rule, self.at_index(name, index), problems)).collect()
    }

    /// A required duration, as written and parsed. `unit` describes `range`.
    pub(super) fn required_duration(
        &self,
        name: &str,
        range: &RangeInclusive<SignedDuration>,
        unit: &str,
        problems: &mut Problems,
    ) -> Option<(String, SignedDuration)> {
        let value = self.required(name, problems)?;
        let Ok(duration) = time::read_duration(value).map_err(|kind| {
            problems.add(self.at(name), kind, "Input should be a valid duration");
        }) else {
            return None;
        };
        if !range.contains(&duration) {
            problems.out_of_range(self.at(name), "value_error", format!("Value should be between {unit}"));
        }
        Some((value.as_str().map_or_else(|| value.to_string(), str::to_owned), duration))
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
            problems.add(self.at(name), "dict_type", "Input should be a valid dictionary");
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
    static PATTERN: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[\w\s]+$"));
    let text = text(value, TextRule::NOT_BLANK, location.clone(), problems)?;
    matches_pattern(&text, &PATTERN, location, problems).then_some(text)
}

/// A pattern of the API document, in the dialect that the API's framework uses.
#[expect(clippy::unwrap_used, reason = "the patterns are constants, and tests use each")]
pub(super) fn pattern(text: &str) -> Regex {
    Regex::new(text).unwrap()
}

pub(super) fn matches_pattern(text: &str, pattern: &Regex, location: Vec<Value>, problems: &mut Problems) -> bool {
    let matches = pattern.is_match(text);
    if !matches {
        problems.add(location, "string_pattern_mismatch", format!("String should match pattern '{pattern}'"));
    }
    matches
}
