#![doc = include_str!("../README.md")]
#![warn(missing_docs)]
#![expect(clippy::duplicated_attributes, reason = "printcolumn repeats its keys once a column")]

pub mod annotations;
pub mod conditions;
pub mod console;
pub mod duration;
mod export;
mod kind;
mod management_policy;
mod organization;
mod permissions;
pub mod reasons;
mod references;
mod role;
mod role_assignment;
mod rules;
mod stored;
mod temporary_permission_grant;
pub mod text;

pub use amigo_permissions::{FrontendView, PermissionModel};
pub use export::{all, manifest};
pub use kind::Kind;
pub use management_policy::ManagementPolicy;
pub use organization::*;
pub use permissions::PermissionSpec;
pub use references::{NameReference, UserReference};
pub use role::*;
pub use role_assignment::*;
pub use rules::ENDPOINTS;
pub use stored::{Stored, Unreadable};
pub use temporary_permission_grant::*;

/// The API group of every kind.
pub const GROUP: &str = "permissions.amigo.ai";

/// The served and stored version.
pub const VERSION: &str = "v1alpha1";
