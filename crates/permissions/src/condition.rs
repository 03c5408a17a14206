//! Conditions: the rules that limit when a permission applies (guide to role-based permissions, "Adding Conditions").

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, Serialize};

/// Conditions by attribute name. All must hold; without conditions a grant always applies.
pub type Conditions = BTreeMap<String, Condition>;

/// The variables, which a permission check replaces with values of the caller.
pub const VARIABLES: [&str; 3] = ["{self}", "{self_org_id}", "{self_role_name}"];

/// A value that an attribute is compared with. Values of different types are never equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// `true` or `false`, as in `conversation_visible_to_admin`.
    Boolean(bool),
    /// A number; whole floats are stored as integers, so `1.0` equals `1`.
    Number(serde_json::Number),
    /// Text, possibly one of the variables `{self_org_id}`, `{self}`, `{self_role_name}`.
    String(String),
}

/// A rule for one attribute. The API and manifests tag it by `type`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum Condition {
    /// The attribute equals `value`.
    Equals {
        /// What the attribute must equal.
        value: Value,
    },
    /// The attribute is present and differs from `value`.
    NotEquals {
        /// What the attribute must differ from.
        value: Value,
    },
    /// The attribute equals one of `values`.
    In {
        /// The accepted values.
        values: Vec<Value>,
    },
}

impl Condition {
    /// The values the attribute is compared with.
    #[must_use]
    pub fn values(&self) -> &[Value] {
        match self {
            Self::Equals { value } | Self::NotEquals { value } => std::slice::from_ref(value),
            Self::In { values } => values,
        }
    }
}

impl Value {
    /// The text of a string value.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::Boolean(_) | Self::Number(_) => None,
        }
    }

    /// A normalized number, so that equal numbers compare equal: a whole float becomes an integer.
    #[must_use]
    pub fn number(number: serde_json::Number) -> Self {
        // 2^53: up to here every whole float is an exact integer.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        match number.as_f64() {
            #[expect(clippy::cast_possible_truncation, reason = "bounded by EXACT and whole")]
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() <= EXACT => {
                Self::Number((float as i64).into())
            }
            _ => Self::Number(number),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a string, a number or a boolean")]
        enum Raw {
            Boolean(bool),
            Number(serde_json::Number),
            String(String),
        }
        Ok(match Raw::deserialize(deserializer)? {
            Raw::Boolean(boolean) => Self::Boolean(boolean),
            Raw::Number(number) => Self::number(number),
            Raw::String(text) => Self::String(text),
        })
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<bool> for Value {
    fn from(boolean: bool) -> Self {
        Self::Boolean(boolean)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number.into())
    }
}

impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(boolean) => write!(formatter, "{boolean}"),
            Self::Number(number) => write!(formatter, "{number}"),
            Self::String(text) => write!(formatter, "{text:?}"),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equals { value } => write!(formatter, "Equals {value}"),
            Self::NotEquals { value } => write!(formatter, "NotEquals {value}"),
            Self::In { values } => {
                formatter.write_str("In [")?;
                for (index, value) in values.iter().enumerate() {
                    let separator = if index == 0 { "" } else { ", " };
                    write!(formatter, "{separator}{value}")?;
                }
                formatter.write_str("]")
            }
        }
    }
}
