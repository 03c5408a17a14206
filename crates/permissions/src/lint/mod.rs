//! Lints roles for the guide's best practices and for pitfalls of the API (guide to role-based permissions, "Best
//! Practices").
//!
//! The order of the findings is stable: the role first, then grant by grant. Findings about grants that cover or deny each
//! other are proven by [`excess`](super::excess); comparisons that exceed its limits give no findings.

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

/// A role to lint.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    /// The name at Amigo.
    pub name: &'a str,
    /// The description of the role.
    pub description: &'a str,
    /// The grants of the role.
    pub grants: &'a [DescribedGrant],
}

/// One rule that a role violates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule, which defines the severity.
    pub code: Code,
    /// The field of the role.
    pub path: FieldPath,
    /// The problem.
    pub message: String,
    /// How to fix it.
    pub advice: String,
}

/// The field that a finding is about, displayed as a path in the Role's spec, such as `permissionGrants[2].conditions.org_id`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FieldPath {
    /// The role's name.
    RoleName,
    /// The role's description.
    RoleDescription,
    /// A grant.
    Grant {
        /// The index of the grant.
        index: usize,
        /// The part of the grant.
        member: Member,
    },
}

/// The part of a grant that a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Member {
    /// The grant as a whole.
    Whole,
    /// Allow or Deny.
    Action,
    /// The name of the permission.
    PermissionName,
    /// All conditions.
    Conditions,
    /// The condition on this attribute.
    Condition(String),
    /// The description of the grant.
    Description,
}

/// Lints a role.
#[must_use]
pub fn lint(draft: &Draft<'_>) -> Vec<Finding> {
    let mut findings = role::findings(draft);
    let relations = role::relations(draft.grants);
    for (index, line) in draft.grants.iter().enumerate() {
        findings.extend(grant::findings(index, line));
        findings.extend(relations.iter().filter(|finding| finding.path.grant() == Some(index)).cloned());
    }
    findings
}

impl Finding {
    /// The severity of the finding.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        self.code.severity()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}: {}: {}", self.path, self.code, self.message, self.advice)
    }
}

impl FieldPath {
    /// The index of the grant, if the field belongs to one.
    #[must_use]
    pub const fn grant(&self) -> Option<usize> {
        match self {
            Self::Grant { index, .. } => Some(*index),
            Self::RoleName | Self::RoleDescription => None,
        }
    }
}

impl fmt::Display for FieldPath {
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
