//! Validate: whether the object may manage its role now.

use amigo_api::{ManagementPolicy, Role, reasons};
use amigo_lifecycle::{Failure, RetryClass};
use kube::ResourceExt as _;

use crate::controller::{
    access::{Access, Target},
    context::Context,
    ownership::{object_name, older_owner},
};

/// Whether the object changes its role. Any number of objects may observe one role.
fn manages(role: &Role) -> bool {
    role.spec.management_policy == ManagementPolicy::Manage
}

/// The connection to use, if the object is the oldest one for its role.
pub fn validate<'a>(role: &Role, access: &'a Access, context: &Context) -> Result<Target<'a>, Failure> {
    let target = access.target(role, &role.spec.organization_ref.name)?;
    let name = role.remote_name();
    if !manages(role) {
        return Ok(target);
    }
    let roles = context.stores.roles.state();
    let rivals = roles
        .iter()
        .map(AsRef::as_ref)
        .filter(|rival: &&Role| rival.remote_name() == name && manages(rival))
        .filter(|rival| rival.spec.organization_ref.name == target.connection.name)
        // An object whose namespace may not use the Organization manages nothing there.
        .filter(|rival| target.connection.admits(&rival.namespace().unwrap_or_default()));
    match older_owner(role, rivals) {
        None => Ok(target),
        Some(owner) => {
            let message =
                format!("the older Role {} manages role {name}. Delete one of the two objects", object_name(owner));
            Err(Failure::new(reasons::CONFLICT, RetryClass::Persistent, message))
        }
    }
}
