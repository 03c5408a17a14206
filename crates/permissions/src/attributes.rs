//! The condition attributes that are known. The API document names none; the guides show these three.

/// What values an attribute takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// Text.
    Text,
    /// `true` or `false`.
    Boolean,
}

/// An attribute of the thing a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its name in conditions.
    pub name: &'static str,
    /// What values it takes.
    pub value_type: ValueType,
    /// The variable that stands for such a value.
    pub variable: Option<&'static str>,
    /// The category of permissions on which it was seen, if not on all.
    pub category: Option<&'static str>,
}

/// The attribute that keeps a permission within one organization.
pub const ORGANIZATION: &str = "org_id";

/// Every attribute that a guide shows.
pub const KNOWN: [Attribute; 3] = [
    Attribute { name: ORGANIZATION, value_type: ValueType::Text, variable: Some("{self_org_id}"), category: None },
    Attribute {
        name: "conversation_user_id",
        value_type: ValueType::Text,
        variable: Some("{self}"),
        category: Some("Conversation"),
    },
    Attribute {
        name: "conversation_visible_to_admin",
        value_type: ValueType::Boolean,
        variable: None,
        category: Some("Conversation"),
    },
];

/// The known attribute called `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static Attribute> {
    KNOWN.iter().find(|attribute| attribute.name == name)
}
