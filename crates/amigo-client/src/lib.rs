#![doc = include_str!("../README.md")]
//!
//! # Expected flow
//! Create one [`Transport`] for the program, one [`RateLimiter`] for each organization, and one [`Client`] for each set
//! of credentials. When credentials change, keep the transport and the rate limiter.
//!
//! # Guarantees
//! - In every sliding minute, the requests to an endpoint stay within the share of the documented limit ([`RateLimiter`]).
//! - [`Client::create_grant`] sends at most one request; no layer below repeats it.
//! - An error says whether the server may have made the change ([`Error`]).
//! - A listing is complete, or an error.
//! - No key, token, header or body appears in a log, an error or a `Debug` text.
//!
//! # Assumptions
//! The API document of 2026. The client ignores members that the document does not name.
//!
//! # Caveats
//! Lists contain what the service user may see: a missing object may exist.
#![warn(missing_docs)]

mod access;
#[cfg(feature = "http")]
mod client;
mod credentials;
mod endpoint;
mod error;
mod excerpt;
mod model;

pub use access::{AddressError, DOCUMENTED_HOSTS, UnusableKey, address};
pub use amigo_permissions::{FrontendView, PermissionModel};
#[cfg(any(test, feature = "testing"))]
pub use client::testing;
#[cfg(feature = "http")]
pub use client::{
    Client, GrantListing, LookupOptions, Observe, Precondition, RateLimiter, Reservation, ServerClock, Start,
    Transport, TransportError, TransportOptions, Turn, Unobserved, Usage, sliding_window,
};
pub use credentials::{ApiAddress, Credentials};
pub use endpoint::{Endpoint, UnknownEndpoint};
pub use error::{Cause, Error, ErrorKind};
pub use excerpt::Excerpt;
pub use model::{
    ApiKey, CreatedGrant, GrantFilter, NewGrant, NewRole, OrganizationInfo, RemoteConversation, RemoteGrant,
    RemoteGrants, RemotePermissionGrant, RemoteRole, RemoteUser, RoleChange, permission_model,
};
