//! The sandbox as a client sees it.

#![expect(clippy::unwrap_used, reason = "a fixture that fails should fail its test")]

mod api_keys;
mod bodies;
mod client;
mod conversations;
mod faults;
mod grants;
mod limits;
mod roles;
mod schema;
mod sdk;
mod seeds;
mod support;
mod users;
mod validation;
mod wire;
