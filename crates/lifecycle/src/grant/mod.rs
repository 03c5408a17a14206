//! The life of a temporary grant, as a pure function.
//!
//! The Amigo API creates one permission grant a `POST`. It has no idempotency key, and what it made it cannot
//! revoke, shorten or delete; an answer can be lost after the grant was made. [`step`] therefore writes down
//! what it is about to do, does it, and finds out later what became of it.
//!
//! # Expected flow
//! Look-ups, budget, a quorum read, the *intent* as a status write, one `POST` a permission, the outcome as a
//! second status write; at the end of the time the object's deletion. [`step`] names one [`Effect`] at a time;
//! the shell performs it and hands its result back as the next [`Input`].
//!
//! # Guarantees
//! At most one live record of a slot at a time; no record that outlasts the duration by more than the send
//! window and the commit time; no `POST` without its own committed intent, and none sent twice; `Active` only
//! with ids that Amigo gave.
//!
//! # Assumptions
//! A sent `POST` commits within [`Timing::commit`] or never, a committed record is listed after
//! [`Timing::list_lag`], and the store of the Kubernetes API is linearizable.
//!
//! # Caveats
//! Exactly-once delivery is impossible here. If an assumption breaks, a duplicate can live; it carries our
//! tags, the sweep reports it, and it ends by itself.
//!
//! # Errors
//! None: whatever goes wrong outside comes in as a [`Failure`] and leaves as a condition.

mod absorb;
mod adopt;
mod ask;
pub mod assumptions;
mod describe;
mod effect;
mod outlook;
mod patience;
pub mod remaining_access;
mod spec;
mod status;
mod step;
pub mod sweep;
mod tags;
#[cfg(test)]
mod tests;

pub use describe::{FINAL_REASONS, given_up};
pub use effect::{Effect, Found, Fresh, Input, Post, PostOutcome, ReadFailed, Resolved, WriteOutcome};
pub use spec::{Now, PermissionRequest, Request, Spec, Timing};
pub use status::{Memory, Status};
pub use step::step;
pub use tags::{CLUSTER, MANAGED_BY, MANAGED_BY_VALUE, Origin, UID, condensed, slot_of};
