//! Advice on roles: the guide's best practices, and the traps of the API (guide to role-based permissions, "Best
//! Practices").
//!
//! # Guarantees
//! The order of the findings is stable: the role's own first, then grant by grant. What is said of grants that cover
//! or take one another is proven by [`excess`](super::excess); where that is too large to settle, nothing is said.

mod code;
mod grant;
mod role;
mod spelling;
#[cfg(test)]
mod tests;

use std::fmt;

pub use self::{
    code::{Code, Severity},
    spelling::nearest,
};
use super::DescribedGrant;

/// A role as it is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    /// Its name at Amigo.
    pub name: &'a str,
    /// What the role is for.
    pub description: &'a str,
    /// What it allows and denies.
    pub grants: &'a [DescribedGrant],
}

/// One piece of advice that a role does not follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is about; gives the severity.
    pub code: Code,
    /// Where it is.
    pub place: Place,
    /// What is the matter.
    pub message: String,
    /// What to do about it.
    pub advice: String,
}

/// Where a finding is. Displayed as the path in a Role's spec, such as `permissionGrants[2].conditions.org_id`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// The role's name.
    RoleName,
    /// The role's description.
    RoleDescription,
    /// A grant.
    Grant {
        /// Which, counted from 0.
        index: usize,
        /// What of it.
        member: Member,
    },
}

/// What of a grant a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Member {
    /// The grant as a whole.
    Whole,
    /// Allow or Deny.
    Action,
    /// The permission's name.
    PermissionName,
    /// All conditions together.
    Conditions,
    /// The condition on this attribute.
    Condition(String),
    /// Why the grant is there.
    Description,
}

/// What a role does not follow.
#[must_use]
pub fn lint(draft: &Draft<'_>) -> Vec<Finding> {
    let mut findings = role::itself(draft);
    let relations = role::relations(draft.grants);
    for (index, line) in draft.grants.iter().enumerate() {
        findings.extend(grant::findings(index, line));
        findings.extend(relations.iter().filter(|finding| finding.place.grant() == Some(index)).cloned());
    }
    findings
}

impl Finding {
    /// How much it weighs.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        self.code.severity()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}: {}: {}", self.place, self.code, self.message, self.advice)
    }
}

impl Place {
    /// The grant's index, if it is in a grant.
    #[must_use]
    pub const fn grant(&self) -> Option<usize> {
        match self {
            Self::Grant { index, .. } => Some(*index),
            Self::RoleName | Self::RoleDescription => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (index, member) = match self {
            Self::RoleName => return formatter.write_str("roleName"),
            Self::RoleDescription => return formatter.write_str("description"),
            Self::Grant { index, member } => (index, member),
        };
        write!(formatter, "permissionGrants[{index}]")?;
        match member {
            Member::Whole => Ok(()),
            Member::Action => formatter.write_str(".action"),
            Member::PermissionName => formatter.write_str(".permissionName"),
            Member::Conditions => formatter.write_str(".conditions"),
            Member::Condition(attribute) => write!(formatter, ".conditions.{attribute}"),
            Member::Description => formatter.write_str(".description"),
        }
    }
}
