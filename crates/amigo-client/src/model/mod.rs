//! The types of the API.

mod grant;
mod organization;
mod role;
mod user;

pub use grant::{CreatedGrant, GrantFilter, NewGrant, RemoteGrant};
pub use organization::{ApiKey, OrganizationInfo};
pub use role::{NewRole, RemoteGrants, RemotePermissionGrant, RemoteRole, RoleChange, permission_model};
pub use user::{RemoteConversation, RemoteUser};
