//! What a step can ask of the world, and what the world can answer.

use std::{collections::BTreeMap, time::Duration};

use amigo_api::TemporaryPermissionGrantStatus;
use amigo_permissions::Conditions;
use jiff::Timestamp;

use super::spec::PermissionRequest;
use crate::Failure;

/// One thing for the shell to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Look up the user's id and, for a conversation, its owner's.
    Resolve,
    /// Reserve the budget of this many `POST`s, without waiting.
    Reserve {
        /// How many.
        posts: u32,
    },
    /// Read the object from the store itself, not from the cache.
    Read,
    /// Write `Status::record` with the resource version last read.
    WriteStatus,
    /// Send these, each at most once, and none after the window has closed.
    Post {
        /// The requests.
        posts: Vec<Post>,
        /// The boot time after which no first byte may leave.
        window_closes: Duration,
    },
    /// List the records at Amigo that carry the object's uid.
    Lookup,
    /// Delete the object, if it is still the one last seen.
    Delete,
    /// Nothing until then, unless the object or its Organization changes.
    WaitUntil(Timestamp),
}

/// One grant to create.
#[derive(Clone, Debug, PartialEq)]
pub struct Post {
    /// Which permission of the request, from 0.
    pub slot: u32,
    /// Who gets it.
    pub user_id: String,
    /// The permission and its conditions.
    pub permission: PermissionRequest,
    /// ISO 8601.
    pub duration: String,
    /// What identifies the record later.
    pub tags: BTreeMap<String, String>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "made once an effect and handed over at once")]
pub enum Input {
    /// A pass begins; the status is what the cache or this process knows.
    Start,
    /// Of [`Effect::Resolve`].
    Resolved(Result<Resolved, Failure>),
    /// Of [`Effect::Reserve`]: reserved, or the time at which it is the request's turn.
    Reserved(Result<(), Timestamp>),
    /// Of [`Effect::Read`]; an error is the shell's to report.
    Read(Result<Fresh, ReadFailed>),
    /// Of [`Effect::WriteStatus`] and [`Effect::Delete`].
    Written(WriteOutcome),
    /// Of [`Effect::Post`]: one outcome a slot.
    Posted(Vec<(u32, PostOutcome)>),
    /// Of [`Effect::Lookup`]: a complete listing, expired records included.
    Found(Result<Vec<Found>, Failure>),
}

/// The ids a request rests on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// Who gets the access.
    pub user_id: String,
    /// Whose conversations are opened, for a conversation request.
    pub owner_user_id: Option<String>,
}

/// The object as the store has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Fresh {
    /// The generation of its spec.
    pub generation: i64,
    /// Its status.
    pub record: TemporaryPermissionGrantStatus,
    /// The boot time at which the read began.
    pub began: Duration,
}

/// The object could not be read; that it is gone is no failure but the end of the pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadFailed;

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteOutcome {
    /// Stored.
    Done,
    /// Somebody else wrote in between.
    Conflict,
    /// It may or may not be stored.
    Unknown,
}

/// What became of one `POST`.
#[derive(Clone, Debug, PartialEq)]
pub enum PostOutcome {
    /// Created.
    Created {
        /// The record's id.
        id: String,
        /// When it ends, as the server says.
        expires_at: Timestamp,
    },
    /// No byte of it left this process.
    NotSent(Failure),
    /// The server refused it.
    Refused(Failure),
    /// It may or may not have been created.
    Ambiguous(Failure),
}

impl PostOutcome {
    /// Why the record was not certainly made.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Created { .. } => None,
            Self::NotSent(failure) | Self::Refused(failure) | Self::Ambiguous(failure) => Some(failure),
        }
    }
}

/// A record at Amigo that carries the object's uid.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Its id.
    pub id: String,
    /// Who has it.
    pub user_id: String,
    /// Its permission.
    pub permission_name: String,
    /// When it applies.
    pub conditions: Conditions,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was made, where the server says so.
    pub created_at: Option<Timestamp>,
    /// Who made it.
    pub creator_user_id: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}
