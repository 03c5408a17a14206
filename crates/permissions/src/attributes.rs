//! The known condition attributes. The API document lists none; the guides show these three.

/// The type of an attribute's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// Text.
    Text,
    /// `true` or `false`.
    Boolean,
}

/// An attribute of the object of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// The name of the attribute in conditions.
    pub name: &'static str,
    /// The type of its values.
    pub value_type: ValueType,
    /// The variable with the same kind of value.
    pub variable: Option<&'static str>,
    /// The category of permissions that have the attribute; `None` if all have it.
    pub category: Option<&'static str>,
}

/// The attribute that limits a permission to one organization.
pub const ORGANIZATION: &str = "org_id";

/// Every attribute that the guides show.
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
