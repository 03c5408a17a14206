//! Temporary permission grants as the API lists and takes them (API document: create and list).

use std::collections::BTreeMap;

use amigo_permissions::Conditions;
use jiff::Timestamp;

/// A temporary grant to be made. It always allows: no `action` is ever sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewGrant {
    /// Who receives it.
    pub user_id: String,
    /// How long it lives, in ISO 8601; 1 minute to 3 days.
    pub duration: String,
    /// `Category:Action`.
    pub permission_name: String,
    /// When it applies; empty means always.
    pub conditions: Conditions,
    /// At most 20; keys and values match `[\w\s]+`.
    pub tags: BTreeMap<String, String>,
    /// At least 10 characters after trimming.
    pub justification: String,
}

/// What the server says about a grant it made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedGrant {
    /// The grant's id.
    pub id: String,
    /// When the server ends it.
    pub expires_at: Timestamp,
}

/// Which grants to list. What is empty or `None` does not restrict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrantFilter {
    /// Tags that must all be there; the value `*` stands for any.
    pub tags: Vec<(String, String)>,
    /// Who holds the grant, any of these.
    pub user_ids: Vec<String>,
    /// Only expired ones, only live ones, or both.
    pub is_expired: Option<bool>,
    /// Who made the grant, any of these.
    pub creators: Vec<String>,
}

/// A temporary grant as listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemoteGrant {
    /// The grant's id.
    pub id: String,
    /// Who holds it.
    pub user_id: String,
    /// `Category:Action`.
    pub permission_name: String,
    /// When it applies. `None`: in a form this client does not understand, so it equals nothing.
    pub conditions: Option<Conditions>,
    /// When the server ends it.
    pub expires_at: Timestamp,
    /// When it was made, if the server says.
    pub created_at: Option<Timestamp>,
    /// The user who made it.
    pub creator: String,
    /// Its tags; a tag may have no value.
    pub tags: BTreeMap<String, Option<String>>,
    /// Why it was made.
    pub justification: String,
}

impl RemoteGrant {
    /// The value of a tag; empty where there is none.
    #[must_use]
    pub fn tag(&self, key: &str) -> &str {
        self.tags.get(key).and_then(|value| value.as_deref()).unwrap_or_default()
    }
}
