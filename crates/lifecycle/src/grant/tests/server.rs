//! The simulated Amigo API: a journal of all records, a listing that lags, and responses that get lost.

use std::{collections::BTreeMap, time::Duration};

use amigo_api::reasons;
use amigo_permissions::Conditions;
use jiff::Timestamp;

use super::world::{MILLISECOND, at};
use crate::grant::{ListedGrant, Post, PostOutcome, Query};
use crate::{Failure, RetryClass};

pub(super) const SERVICE_USER: &str = "operator";

/// What happens to one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It succeeds, and the response arrives.
    Fine,
    /// The request is lost, without an effect.
    LostBefore,
    /// It takes effect, and the response is lost.
    LostAfter,
    /// It takes effect after so many milliseconds, after the caller timed out.
    Late(u64),
    /// No byte is sent.
    NotSent,
    /// It is rejected with a transient error.
    Rejected,
    /// The rate limit is reached, for so many seconds.
    RateLimited(u64),
    /// It is rejected with a persistent error.
    Forbidden,
    /// It is rejected with a permanent error.
    Invalid,
    /// Every second permission is rejected with a transient error; the others succeed.
    PartlyRejected,
    /// The response to every second permission is lost; the others are rejected with a permanent error.
    PartlyInvalid,
}

/// One record that was or will be created.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub grant: ListedGrant,
    pub slot: u32,
    pub lease: u32,
    pub committed: Duration,
    pub listed: Duration,
    /// When the record ends, in true time.
    pub ends: Duration,
}

/// The server.
#[derive(Clone, Debug, Default)]
pub(super) struct Amigo {
    pub journal: Vec<Entry>,
    /// How far the server's clock is ahead, in milliseconds.
    pub skew: i64,
    /// How long a record is missing from the listing.
    pub lag: Duration,
    pub lists_creation: bool,
    /// The longest lifetime that the server grants.
    pub longest: Option<Duration>,
    /// Whether its responses have a `Date`.
    pub sends_date: bool,
    /// How many records the listings contained.
    pub listed: usize,
}

impl Amigo {
    pub fn post(&mut self, post: &Post, fate: Fate, now: Duration) -> PostOutcome {
        let fate = match fate {
            Fate::PartlyRejected if post.slot % 2 == 1 => Fate::Rejected,
            Fate::PartlyInvalid if post.slot.is_multiple_of(2) => Fate::LostAfter,
            Fate::PartlyInvalid => Fate::Invalid,
            Fate::PartlyRejected => Fate::Fine,
            fate => fate,
        };
        match fate {
            Fate::LostBefore => PostOutcome::Unknown(failure(fate)),
            Fate::LostAfter => {
                self.commit(post, now);
                PostOutcome::Unknown(failure(fate))
            }
            Fate::Late(delay) => {
                self.commit(post, now + MILLISECOND * u32::try_from(delay).unwrap());
                PostOutcome::Unknown(failure(fate))
            }
            Fate::NotSent => PostOutcome::NotSent(failure(fate)),
            Fate::Rejected | Fate::RateLimited(_) | Fate::Forbidden | Fate::Invalid => {
                PostOutcome::Rejected(failure(fate))
            }
            Fate::Fine | Fate::PartlyRejected | Fate::PartlyInvalid => {
                let grant = self.commit(post, now);
                PostOutcome::Created { id: grant.id, expires_at: grant.expires_at }
            }
        }
    }

    pub fn list(&mut self, query: &Query, uid: &str, now: Duration) -> Vec<ListedGrant> {
        let selected = |entry: &Entry| match query {
            Query::Attempt(nonce) => entry.grant.tags["nonce"] == *nonce,
            Query::Live => entry.grant.tags["uid"] == uid && now < entry.ends,
            Query::All => entry.grant.tags["uid"] == uid,
        };
        let listed = |entry: &&Entry| entry.listed <= now && selected(entry);
        let grants: Vec<_> = self.journal.iter().filter(listed).map(|entry| entry.grant.clone()).collect();
        self.listed += grants.len();
        grants
    }

    pub fn commit(&mut self, post: &Post, committed: Duration) -> ListedGrant {
        let requested = amigo_api::duration::parse(&post.duration).unwrap().unsigned_abs();
        let lifetime = self.longest.map_or(requested, |longest| requested.min(longest));
        let server = |time: Duration| at(time).checked_add(jiff::SignedDuration::from_millis(self.skew)).unwrap();
        let (slot, lease) = crate::grant::slot_from_tags(&post.tags).unwrap();
        let grant = ListedGrant {
            id: format!("{:024x}", self.journal.len() + 1),
            user_id: post.user_id.clone(),
            permission_name: post.permission.permission_name.clone(),
            conditions: post.permission.conditions.clone(),
            expires_at: server(committed + lifetime),
            created_at: self.lists_creation.then(|| server(committed)),
            creator_user_id: SERVICE_USER.to_owned(),
            tags: post.tags.clone(),
        };
        self.journal.push(Entry {
            grant: grant.clone(),
            slot,
            lease,
            committed,
            listed: committed + self.lag,
            ends: committed + lifetime,
        });
        grant
    }

    /// Another user creates a record with the operator's tags.
    pub fn forge(&mut self, tags: BTreeMap<String, String>, expires_at: Timestamp, now: Duration) {
        let grant = ListedGrant {
            id: format!("{:024x}", self.journal.len() + 1),
            user_id: "user".to_owned(),
            permission_name: "Conversation:GetMessage".to_owned(),
            conditions: Conditions::new(),
            expires_at,
            created_at: Some(at(now)),
            creator_user_id: "another".to_owned(),
            tags,
        };
        self.journal.push(Entry {
            grant,
            slot: 0,
            lease: 0,
            committed: now,
            listed: now,
            ends: now + Duration::from_mins(30),
        });
    }

    /// The records of the operator.
    pub fn own(&self) -> impl Iterator<Item = &Entry> {
        self.journal.iter().filter(|entry| entry.grant.creator_user_id == SERVICE_USER)
    }

    pub fn live(&self, now: Duration) -> usize {
        self.own().filter(|entry| entry.committed <= now && now < entry.ends).count()
    }
}

/// The failure of an operation with this fate.
pub(super) fn failure(fate: Fate) -> Failure {
    let (reason, class, retry_after) = match fate {
        Fate::RateLimited(after) => (reasons::RATE_LIMITED, RetryClass::Transient, Some(Duration::from_secs(after))),
        Fate::Forbidden => (reasons::FORBIDDEN, RetryClass::Persistent, None),
        Fate::Invalid => (reasons::INVALID_REQUEST, RetryClass::Permanent, None),
        _ => (reasons::UNAVAILABLE, RetryClass::Transient, None),
    };
    Failure { reason, message: format!("{fate:?}"), class, retry_after }
}
