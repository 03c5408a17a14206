//! The lifecycle of a temporary grant, as a pure function.
//!
//! The Amigo API creates one permission grant per `POST`. It has no idempotency key. It cannot revoke, shorten or delete
//! a grant, and a response can be lost after the grant was created. [`step`] therefore records what it is about to do,
//! does it, and later determines the outcome.
//!
//! # Expected flow
//! Resolve ids, reserve rate limit, read the object from the store, write the *intent* to its status, send one `POST`
//! per permission, write the outcome to the status. After the access ends, delete the object. [`step`] returns one
//! [`Effect`] at a time; the caller performs it and passes the result back as the next [`Input`].
//!
//! # Guarantees
//! - A slot has at most one live record at a time.
//! - No record outlasts the duration by more than the send window plus the commit time.
//! - Every `POST` has its own committed intent and is sent at most once.
//! - `Active` requires ids that Amigo returned.
//!
//! # Assumptions
//! A sent `POST` commits within [`Timing::commit`] or never. The listing shows a committed record after
//! [`Timing::list_lag`]. The store of the Kubernetes API is linearizable.
//!
//! # Caveats
//! Exactly-once delivery is impossible here. If an assumption breaks, a duplicate can be live. It carries the
//! operator's tags, the sweep reports it, and it ends at its own expiry.

mod adopt;
mod apply_input;
pub mod assumptions;
mod backoff;
mod conditions;
mod duration;
mod effect;
pub mod remaining_access;
mod schedule;
mod spec;
mod status;
mod step;
pub mod sweep;
mod tags;
#[cfg(test)]
mod tests;

pub use conditions::{FINAL_REASONS, final_reason};
pub use effect::{Effect, Fresh, Input, ListedGrant, Post, PostOutcome, Query, ReadFailed, Resolved, WriteOutcome};
pub use spec::{Now, PermissionRequest, Request, Spec, Timing};
pub use status::{Memory, Status};
pub use step::step;
pub use tags::{CLUSTER, MANAGED_BY, MANAGED_BY_VALUE, NONCE, Origin, UID, compact_uid, slot_from_tags};
