//! The client of Amigo's access API: sign-in, rate budgets, batched look-ups, roles and temporary grants.
//!
//! # Expected flow
//! One [`Transport`] for the program. For each organization one [`Budgets`], which stays, and one [`Client`], which
//! is made anew when the credentials change.
//!
//! # Guarantees
//! - In every sliding minute and endpoint, calls stay within the share of the documented limit ([`budget::Bucket`]).
//! - A grant is asked for at most once by each call of [`Client::create_grant`]; nothing below it repeats.
//! - An error says whether the server may have acted ([`Error`]).
//! - A listing is whole or an error.
//! - No key, token, header or body appears in a log, an error or a `Debug` text.
//!
//! # Assumptions
//! The API document of 2026; members it does not name are ignored.
//!
//! # Caveats
//! Lists show what the service user may see: an empty answer is no proof of absence.
//!
//! # Errors
//! [`Error`], one type for all calls.

mod access;
#[cfg(feature = "http")]
mod client;
mod credentials;
mod endpoint;
mod error;
mod excerpt;
mod model;

pub use access::{AddressError, DOCUMENTED_HOSTS, UnusableKey, address};
#[cfg(feature = "testing")]
pub use client::testing;
#[cfg(feature = "http")]
pub use client::{
    Budgets, Client, Holds, LookupOptions, Observe, Reservation, Transport, TransportError, TransportOptions,
    Unobserved, Usage, budget,
};
pub use credentials::{ApiAddress, Credentials};
pub use endpoint::{Endpoint, UnknownEndpoint};
pub use error::{Cause, Error, ErrorKind};
pub use excerpt::Excerpt;
pub use model::{
    ApiKey, CreatedGrant, FrontendView, GrantFilter, NewGrant, NewRole, OrganizationInfo, PermissionModel,
    RemoteConversation, RemoteGrant, RemoteGrants, RemotePermissionGrant, RemoteRole, RemoteUser, RoleChange,
    permission_model,
};
