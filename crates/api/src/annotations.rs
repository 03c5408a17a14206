//! Annotations that users set on objects.

/// A new value reconciles the object at once and reads Amigo again. The status then shows the value as
/// `lastHandledResync`.
pub const RESYNC: &str = "permissions.amigo.ai/resync";

/// `"true"` deletes a Role although the operator could not remove the grants of its role.
pub const SKIP_DISABLE: &str = "permissions.amigo.ai/skip-disable";

/// `"true"` deletes a `RoleAssignment` although the operator could not assign its fallback role.
pub const SKIP_FALLBACK: &str = "permissions.amigo.ai/skip-fallback";
