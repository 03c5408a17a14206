//! The grants of one permission.

use super::{Action, PermissionGrant};

/// A grant, and its index in the role.
pub(super) type Line<'a> = (usize, &'a PermissionGrant);

/// The grants of one permission, with their places in the role.
pub(super) struct Lines<'a> {
    pub(super) allows: Vec<Line<'a>>,
    pub(super) denies: Vec<Line<'a>>,
}

impl<'a> Lines<'a> {
    pub(super) fn named(grants: impl IntoIterator<Item = &'a PermissionGrant>, name: &str) -> Self {
        let named = grants.into_iter().enumerate().filter(|(_, grant)| grant.permission_name == name);
        let (allows, denies) = named.partition(|(_, grant)| grant.action == Action::Allow);
        Self { allows, denies }
    }

    pub(super) fn all(&self) -> Vec<&'a PermissionGrant> {
        self.allows.iter().chain(&self.denies).map(|(_, grant)| *grant).collect()
    }
}

/// The grants without their places.
pub(super) fn bare<'a>(lines: &[Line<'a>]) -> Vec<&'a PermissionGrant> {
    lines.iter().map(|(_, grant)| *grant).collect()
}
