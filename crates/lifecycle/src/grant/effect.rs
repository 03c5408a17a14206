//! Effects that a step requests, and their results.

use std::{collections::BTreeMap, time::Duration};

use amigo_api::TemporaryPermissionGrantStatus;
use amigo_permissions::Conditions;
use jiff::Timestamp;

use super::spec::PermissionRequest;
use crate::Failure;

/// One operation for the caller of [`step`](super::step) to perform.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Resolve the id of the user and, for a conversation, of its owner.
    Resolve,
    /// Reserve rate limit for this many `POST` requests, without waiting.
    Reserve {
        /// The number of requests.
        posts: u32,
        /// Whether they renew live access. Renewals precede first requests.
        renewal: bool,
    },
    /// Read the object from the store itself, not from the cache.
    Read,
    /// Write `Status::record` with the resource version last read.
    WriteStatus,
    /// Send these requests, each at most once and none after the window has closed.
    Post {
        /// The requests.
        posts: Vec<Post>,
        /// The boot time after which no first byte may leave.
        window_closes: Duration,
    },
    /// List records of the object at Amigo.
    Lookup(Query),
    /// Delete the object, if it is unchanged since it was last read.
    Delete,
    /// Wait until then, or until the object or its Organization changes.
    WaitUntil(Timestamp),
}

/// The records that a look-up lists.
///
/// The longer an object with leases lives, the more records it has, and a page of the listing has ten. So only an object
/// without history lists all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// Those of one attempt, by its nonce.
    Attempt(String),
    /// Those of the object that are live.
    Live,
    /// Those of the object, expired ones included.
    All,
}

/// One grant to create.
#[derive(Clone, Debug, PartialEq)]
pub struct Post {
    /// The index of the permission in the request.
    pub slot: u32,
    /// The user who receives the grant.
    pub user_id: String,
    /// The permission and its conditions.
    pub permission: PermissionRequest,
    /// The duration, in ISO 8601.
    pub duration: String,
    /// The tags that identify the record in a listing.
    pub tags: BTreeMap<String, String>,
}

/// The result of an effect, or the start of a reconcile.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one value per effect, passed on immediately")]
pub enum Input {
    /// A reconcile begins; the status is from the cache or from this process.
    Start,
    /// Of [`Effect::Resolve`].
    Resolved(Result<Resolved, Failure>),
    /// Of [`Effect::Reserve`]: reserved, or the boot time until which the grant is queued.
    Reserved(Result<(), Duration>),
    /// Of [`Effect::Read`]; the caller reports the error.
    Read(Result<Fresh, ReadFailed>),
    /// Of [`Effect::WriteStatus`] and [`Effect::Delete`].
    Written(WriteOutcome),
    /// Of [`Effect::Post`]: one outcome per slot.
    Posted(Vec<(u32, PostOutcome)>),
    /// Of [`Effect::Lookup`]: a complete listing.
    LookedUp(Result<Vec<ListedGrant>, Failure>),
}

/// The ids that a request needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// The user who receives the access.
    pub user_id: String,
    /// The owner of the conversations, for a conversation request.
    pub owner_user_id: Option<String>,
}

/// The object as read from the store.
#[derive(Clone, Debug, PartialEq)]
pub struct Fresh {
    /// The generation of its spec.
    pub generation: i64,
    /// Its status.
    pub record: TemporaryPermissionGrantStatus,
    /// Whether another client changed it since this process last read or wrote it.
    pub is_changed: bool,
    /// The boot time at which the read began.
    pub began: Duration,
}

/// The object could not be read. A missing object is not a failure: it ends the reconcile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadFailed;

/// The outcome of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteOutcome {
    /// Stored.
    Done,
    /// Another client changed the object first.
    Conflict,
    /// It may or may not be stored.
    Unknown,
}

/// The outcome of one `POST` request.
#[derive(Clone, Debug, PartialEq)]
pub enum PostOutcome {
    /// Created.
    Created {
        /// The record's id.
        id: String,
        /// When the record ends, by the server's clock.
        expires_at: Timestamp,
    },
    /// This process sent no byte of the request.
    NotSent(Failure),
    /// The server rejected the request.
    Rejected(Failure),
    /// The record may or may not have been created.
    Unknown(Failure),
}

impl PostOutcome {
    /// Why the record was not, or may not have been, created.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Created { .. } => None,
            Self::NotSent(failure) | Self::Rejected(failure) | Self::Unknown(failure) => Some(failure),
        }
    }
}

/// A record in Amigo's listing.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedGrant {
    /// The record's id.
    pub id: String,
    /// The user who has the grant.
    pub user_id: String,
    /// The permission, as `Category:Action`.
    pub permission_name: String,
    /// The conditions of the permission.
    pub conditions: Conditions,
    /// When the record ends.
    pub expires_at: Timestamp,
    /// When the record was created, if the server returns it.
    pub created_at: Option<Timestamp>,
    /// The user who created the record.
    pub creator_user_id: String,
    /// The tags of the record.
    pub tags: BTreeMap<String, String>,
}
