//! Temporary permission grants as the API returns and accepts them (API document: create and list).

use std::collections::BTreeMap;

use amigo_permissions::Conditions;
use jiff::Timestamp;

/// A temporary grant to create. It always allows: the client never sends an `action`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewGrant {
    /// The user who gets it.
    pub user_id: String,
    /// ISO 8601 duration; 1 minute to 3 days.
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

/// The result of a creation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedGrant {
    /// The grant's ID.
    pub id: String,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// Which grants to list. An empty list or `None` matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrantFilter {
    /// Required tags; the value `*` matches any value.
    pub tags: Vec<(String, String)>,
    /// Users of the grant, any of these.
    pub user_ids: Vec<String>,
    /// Only expired grants, only live grants, or both.
    pub is_expired: Option<bool>,
    /// Creators of the grant, any of these.
    pub creators: Vec<String>,
}

/// A temporary grant as listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemoteGrant {
    /// The grant's ID.
    pub id: String,
    /// The user who has it.
    pub user_id: String,
    /// `Category:Action`.
    pub permission_name: String,
    /// When it applies. `None` if this client does not know the format; it then equals nothing.
    pub conditions: Option<Conditions>,
    /// When it expires.
    pub expires_at: Timestamp,
    /// When it was created, if the server says so.
    pub created_at: Option<Timestamp>,
    /// The user who created it.
    pub creator: String,
    /// Its tags; a tag may have no value.
    pub tags: BTreeMap<String, Option<String>>,
    /// The reason for it.
    pub justification: String,
}

impl RemoteGrant {
    /// The value of a tag; empty if there is none.
    #[must_use]
    pub fn tag(&self, key: &str) -> &str {
        self.tags.get(key).and_then(|value| value.as_deref()).unwrap_or_default()
    }
}
