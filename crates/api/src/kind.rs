//! The kinds as values.

/// A kind of the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// [`Organization`](crate::Organization)
    Organization,
    /// [`Role`](crate::Role)
    Role,
    /// [`RoleAssignment`](crate::RoleAssignment)
    RoleAssignment,
    /// [`TemporaryPermissionGrant`](crate::TemporaryPermissionGrant)
    TemporaryPermissionGrant,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Organization, Self::Role, Self::RoleAssignment, Self::TemporaryPermissionGrant];

    /// The `kind` in a manifest.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Organization => "Organization",
            Self::Role => "Role",
            Self::RoleAssignment => "RoleAssignment",
            Self::TemporaryPermissionGrant => "TemporaryPermissionGrant",
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::Resource;

    use super::*;
    use crate::{Organization, Role, RoleAssignment, TemporaryPermissionGrant};

    #[test]
    fn names_match_the_definitions() {
        let names =
            [Organization::kind(&()), Role::kind(&()), RoleAssignment::kind(&()), TemporaryPermissionGrant::kind(&())];
        assert_eq!(Kind::ALL.map(Kind::as_str).to_vec(), names);
    }
}
