//! The grants of one permission, with their indexes in the role.

use super::{Action, PermissionGrant};

/// A grant with its index in the role.
pub(super) type IndexedGrant<'a> = (usize, &'a PermissionGrant);

/// The grants of one permission.
pub(super) struct PermissionGrants<'a> {
    pub(super) allows: Vec<IndexedGrant<'a>>,
    pub(super) denies: Vec<IndexedGrant<'a>>,
}

impl<'a> PermissionGrants<'a> {
    pub(super) fn with_name(grants: impl IntoIterator<Item = &'a PermissionGrant>, name: &str) -> Self {
        let named = grants.into_iter().enumerate().filter(|(_, grant)| grant.permission_name == name);
        let (allows, denies) = named.partition(|(_, grant)| grant.action == Action::Allow);
        Self { allows, denies }
    }

    pub(super) fn all(&self) -> Vec<&'a PermissionGrant> {
        self.allows.iter().chain(&self.denies).map(|(_, grant)| *grant).collect()
    }
}

/// The grants without their indexes.
pub(super) fn without_indexes<'a>(grants: &[IndexedGrant<'a>]) -> Vec<&'a PermissionGrant> {
    grants.iter().map(|(_, grant)| *grant).collect()
}
