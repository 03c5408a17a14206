//! Query parameters: repeated keys, pagination, sorting, tag filters.

use std::{cmp::Ordering, collections::BTreeMap, sync::LazyLock};

use percent_encoding::percent_decode_str;
use regex::Regex;
use serde_json::{Value, json};

use super::{
    behavior::TagCombination,
    ids::is_document_id,
    validation::{Problems, pattern},
};

#[derive(Clone, Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SortKey {
    pub(super) field: String,
    pub(super) descending: bool,
}

/// The requested part of a list. The continuation token is an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pagination {
    pub(super) offset: usize,
    pub(super) limit: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum TagFilter {
    AnyValue(String),
    NoValue(String),
    Value(String, String),
}

#[derive(Clone, Debug)]
pub(super) struct TagFilters(Vec<TagFilter>);

impl Query {
    pub(super) fn parse(raw: &str) -> Self {
        // An unescaped plus is a space, so `sort_by` needs `%2B`.
        let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
        let pairs = raw.split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(name, value)| (decode(name), decode(value)))
                .collect(),
        )
    }

    /// The values of a repeated parameter.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(present, _)| present == name).map(|(_, value)| value.as_str())
    }

    /// The last value of a single parameter.
    pub(super) fn one<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).last()
    }

    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        self.all(name).map(str::to_owned).collect()
    }

    /// Values that must be 24 lower-case hexadecimal digits.
    pub(super) fn document_ids(&self, name: &str, problems: &mut Problems) -> Vec<String> {
        for (index, value) in self.all(name).enumerate() {
            if !is_document_id(value) {
                let location = vec![json!("query"), json!(name), json!(index)];
                problems.add(location, "string_pattern_mismatch", "String should match pattern '^[a-f0-9]{24}$'");
            }
        }
        self.texts(name)
    }

    pub(super) fn boolean(&self, name: &str, problems: &mut Problems) -> Option<bool> {
        match self.one(name)?.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" | "t" | "y" => Some(true),
            "false" | "0" | "no" | "off" | "f" | "n" => Some(false),
            _ => {
                problems.add(at(name), "bool_parsing", "Input should be a valid boolean");
                None
            }
        }
    }

    /// `limit` (default: `largest`) and `continuation_token`.
    pub(super) fn pagination(&self, smallest: usize, largest: usize, problems: &mut Problems) -> Pagination {
        let limit = self.integer("limit", problems).unwrap_or(i64::try_from(largest).unwrap_or(i64::MAX));
        let limit = usize::try_from(limit).ok();
        if limit.is_none_or(|limit| limit < smallest) {
            problems.out_of_range(
                at("limit"),
                "greater_than_equal",
                format!("Input should be greater than or equal to {smallest}"),
            );
        }
        if limit.is_some_and(|limit| limit > largest) {
            problems.out_of_range(
                at("limit"),
                "less_than_equal",
                format!("Input should be less than or equal to {largest}"),
            );
        }
        let offset = self.integer("continuation_token", problems).unwrap_or(0);
        Pagination { offset: usize::try_from(offset).unwrap_or(0), limit: limit.unwrap_or(largest) }
    }

    fn integer(&self, name: &str, problems: &mut Problems) -> Option<i64> {
        let number = parse_integer(self.one(name)?);
        if number.is_none() {
            problems.add(at(name), "int_parsing", "Input should be a valid integer");
        }
        number
    }

    /// `sort_by` values: a sign and one of `fields`.
    pub(super) fn sort_by(&self, fields: &[&str], problems: &mut Problems) -> Vec<SortKey> {
        let mut keys = Vec::new();
        for (index, value) in self.all("sort_by").enumerate() {
            let key = match (value.strip_prefix('+'), value.strip_prefix('-')) {
                (Some(field), _) => Some((field, false)),
                (_, Some(field)) => Some((field, true)),
                _ => None,
            };
            match key.filter(|(field, _)| fields.contains(field)) {
                Some((field, descending)) => keys.push(SortKey { field: field.to_owned(), descending }),
                None => problems.add(
                    vec![json!("query"), json!("sort_by"), json!(index)],
                    "value_error",
                    format!("Value should be + or - followed by one of: {}", fields.join(", ")),
                ),
            }
        }
        keys
    }

    /// `tag` values: `key:value`, `key:*` or `key:`.
    pub(super) fn tags(&self, problems: &mut Problems) -> TagFilters {
        let mut filters = Vec::new();
        for (index, value) in self.all("tag").enumerate() {
            match value.split_once(':') {
                Some((key, "*")) => filters.push(TagFilter::AnyValue(key.to_owned())),
                Some((key, "")) => filters.push(TagFilter::NoValue(key.to_owned())),
                Some((key, value)) => filters.push(TagFilter::Value(key.to_owned(), value.to_owned())),
                None => {
                    let location = vec![json!("query"), json!("tag"), json!(index)];
                    problems.add(location, "value_error", "Value should have the form key:value");
                }
            }
        }
        TagFilters(filters)
    }
}

impl TagFilters {
    pub(super) fn matches(&self, tags: &BTreeMap<String, Option<String>>, combination: TagCombination) -> bool {
        let mut matches = self.0.iter().map(|filter| match filter {
            TagFilter::AnyValue(key) => tags.contains_key(key),
            TagFilter::NoValue(key) => tags.get(key).is_some_and(Option::is_none),
            TagFilter::Value(key, value) => tags.get(key).and_then(Option::as_ref) == Some(value),
        });
        match combination {
            TagCombination::All => matches.all(|is_match| is_match),
            TagCombination::Any => self.0.is_empty() || matches.any(|is_match| is_match),
        }
    }
}

impl Pagination {
    /// Returns the requested items, whether more follow, and the token for them.
    pub(super) fn apply<T>(self, items: Vec<T>) -> (Vec<T>, bool, Value) {
        let end = self.offset.saturating_add(self.limit);
        let has_more = items.len() > end;
        let token = if has_more { json!(end) } else { Value::Null };
        (items.into_iter().skip(self.offset).take(self.limit).collect(), has_more, token)
    }
}

/// Sorts by the keys in turn. `compare` compares one field in ascending order.
pub(super) fn sort<T>(items: &mut [T], keys: &[SortKey], compare: impl Fn(&T, &T, &str) -> Ordering) {
    items.sort_by(|left, right| {
        keys.iter().fold(Ordering::Equal, |order, key| {
            order.then_with(|| {
                let ascending = compare(left, right, &key.field);
                if key.descending { ascending.reverse() } else { ascending }
            })
        })
    });
}

/// Whether `filter` contains the value. An empty filter matches everything.
pub(super) fn matches_filter(filter: &[String], value: &str) -> bool {
    filter.is_empty() || filter.iter().any(|wanted| wanted == value)
}

/// An integer as the API's framework reads it: of any size, with an empty fraction (`1.0`), or with single underscores.
fn parse_integer(text: &str) -> Option<i64> {
    static PATTERN: LazyLock<Regex> = LazyLock::new(|| pattern(r"^([+-]?[0-9]+(?:_[0-9]+)*)(?:\.0+)?$"));
    let digits = PATTERN.captures(text.trim())?[1].replace('_', "");
    // What does not fit is out of every range, and behind every page.
    let largest = if digits.starts_with('-') { i64::MIN } else { i64::MAX };
    Some(digits.parse().unwrap_or(largest))
}

fn at(name: &str) -> Vec<Value> {
    vec![json!("query"), json!(name)]
}
