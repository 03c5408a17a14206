//! A permission grant: an entry of a role, or the content of a temporary grant.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Conditions;

/// Whether a grant allows or denies (guide to role-based permissions, "How Permissions Are Checked").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
pub enum Action {
    /// Allows the permission if the conditions hold.
    #[default]
    Allow,
    /// Denies the permission if the conditions hold, even if another grant allows it.
    Deny,
}

/// One permission with its conditions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PermissionGrant {
    /// Whether the grant allows or denies.
    pub action: Action,
    /// `Category:Action`, for example `Conversation:GetMessage`.
    pub permission_name: String,
    /// When the grant applies; empty means always.
    pub conditions: Conditions,
}

/// A grant of a role, with its description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedGrant {
    /// The grant.
    pub grant: PermissionGrant,
    /// The purpose of the grant.
    pub description: Option<String>,
}

impl fmt::Display for PermissionGrant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} {}", self.action, self.permission_name)?;
        for (index, (attribute, condition)) in self.conditions.iter().enumerate() {
            let link = if index == 0 { "where" } else { "and" };
            write!(formatter, " {link} {attribute} {condition}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Condition;

    #[test]
    fn grant_displays_action_and_conditions() {
        let conditions = [
            ("conversation_visible_to_admin".to_owned(), Condition::Equals { value: true.into() }),
            ("org_id".to_owned(), Condition::In { values: vec!["a".into(), "b".into()] }),
        ];
        let grant = PermissionGrant {
            action: Action::Deny,
            permission_name: "Conversation:GetMessage".to_owned(),
            conditions: conditions.into(),
        };
        let text =
            "Deny Conversation:GetMessage where conversation_visible_to_admin Equals true and org_id In [\"a\", \"b\"]";
        assert_eq!(grant.to_string(), text);
    }
}
