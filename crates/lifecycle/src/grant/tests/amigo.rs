//! Amigo as the simulator has it: a journal that is the truth, a listing that lags, answers that get lost.

use std::{collections::BTreeMap, time::Duration};

use amigo_api::reasons;
use amigo_permissions::Conditions;
use jiff::Timestamp;

use super::world::{MILLISECOND, at};
use crate::grant::{Found, Post, PostOutcome};
use crate::{Failure, RetryClass};

pub(super) const SERVICE_USER: &str = "operator";

/// What the world does to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It works, and the answer arrives.
    Fine,
    /// It is lost on its way; nothing happens.
    LostBefore,
    /// It works, and the answer is lost.
    LostAfter,
    /// It works after so many milliseconds, long after its caller gave up.
    Late(u64),
    /// No byte of it leaves.
    NotSent,
    /// It is refused, for now.
    Refused,
    /// Too many calls: again after so many seconds.
    Limited(u64),
    /// It is refused until somebody changes something.
    Forbidden,
    /// It is refused for good.
    Hopeless,
    /// Every second permission is refused for now, the others work.
    Mixed,
    /// Every second permission's answer is lost after the commit, the others are refused for good.
    InconsistentPages,
}

/// One record that was or will be made.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub found: Found,
    pub slot: u32,
    pub lease: u32,
    pub committed: Duration,
    pub listed: Duration,
    /// When it really ends, whatever the server's clock says.
    pub ends: Duration,
}

/// The server.
#[derive(Clone, Debug)]
pub(super) struct Amigo {
    pub journal: Vec<Entry>,
    /// How far its clock is ahead, in milliseconds.
    pub skew: i64,
    /// How long a record stays out of the listing.
    pub lag: Duration,
    pub tells_creation: bool,
    /// The longest life it gives, where that is shorter than asked.
    pub longest: Option<Duration>,
}

impl Amigo {
    pub fn post(&mut self, post: &Post, fate: Fate, now: Duration) -> PostOutcome {
        let fate = match fate {
            Fate::Mixed if post.slot % 2 == 1 => Fate::Refused,
            Fate::InconsistentPages if post.slot.is_multiple_of(2) => Fate::LostAfter,
            Fate::InconsistentPages => Fate::Hopeless,
            Fate::Mixed => Fate::Fine,
            fate => fate,
        };
        match fate {
            Fate::LostBefore => PostOutcome::Ambiguous(failure(fate)),
            Fate::LostAfter => {
                self.commit(post, now);
                PostOutcome::Ambiguous(failure(fate))
            }
            Fate::Late(delay) => {
                self.commit(post, now + MILLISECOND * u32::try_from(delay).unwrap());
                PostOutcome::Ambiguous(failure(fate))
            }
            Fate::NotSent => PostOutcome::NotSent(failure(fate)),
            Fate::Refused | Fate::Limited(_) | Fate::Forbidden | Fate::Hopeless => PostOutcome::Refused(failure(fate)),
            Fate::Fine | Fate::Mixed | Fate::InconsistentPages => {
                let found = self.commit(post, now);
                PostOutcome::Created { id: found.id, expires_at: found.expires_at }
            }
        }
    }

    pub fn list(&self, uid: &str, now: Duration) -> Vec<Found> {
        let listed = |entry: &&Entry| entry.listed <= now && entry.found.tags["uid"] == uid;
        self.journal.iter().filter(listed).map(|entry| entry.found.clone()).collect()
    }

    pub fn commit(&mut self, post: &Post, committed: Duration) -> Found {
        let asked = amigo_api::duration::parse(&post.duration).unwrap().unsigned_abs();
        let life = self.longest.map_or(asked, |longest| asked.min(longest));
        let server = |time: Duration| at(time).checked_add(jiff::SignedDuration::from_millis(self.skew)).unwrap();
        let (slot, lease) = crate::grant::slot_of(&post.tags).unwrap();
        let found = Found {
            id: format!("{:024x}", self.journal.len() + 1),
            user_id: post.user_id.clone(),
            permission_name: post.permission.permission_name.clone(),
            conditions: post.permission.conditions.clone(),
            expires_at: server(committed + life),
            created_at: self.tells_creation.then(|| server(committed)),
            creator_user_id: SERVICE_USER.to_owned(),
            tags: post.tags.clone(),
        };
        self.journal.push(Entry {
            found: found.clone(),
            slot,
            lease,
            committed,
            listed: committed + self.lag,
            ends: committed + life,
        });
        found
    }

    /// Somebody else makes a record that carries tags like ours.
    pub fn forge(&mut self, tags: BTreeMap<String, String>, expires_at: Timestamp, now: Duration) {
        let found = Found {
            id: format!("{:024x}", self.journal.len() + 1),
            user_id: "user".to_owned(),
            permission_name: "Conversation:GetMessage".to_owned(),
            conditions: Conditions::new(),
            expires_at,
            created_at: Some(at(now)),
            creator_user_id: "somebody".to_owned(),
            tags,
        };
        self.journal.push(Entry { found, slot: 0, lease: 0, committed: now, listed: now, ends: now });
    }

    /// Our own records.
    pub fn ours(&self) -> impl Iterator<Item = &Entry> {
        self.journal.iter().filter(|entry| entry.found.creator_user_id == SERVICE_USER)
    }

    pub fn live(&self, now: Duration) -> usize {
        self.ours().filter(|entry| entry.committed <= now && now < entry.ends).count()
    }
}

/// Why a call of this fate did not work.
pub(super) fn failure(fate: Fate) -> Failure {
    let (reason, class, retry_after) = match fate {
        Fate::Limited(after) => (reasons::RATE_LIMITED, RetryClass::Transient, Some(Duration::from_secs(after))),
        Fate::Forbidden => (reasons::FORBIDDEN, RetryClass::Persistent, None),
        Fate::Hopeless => (reasons::INVALID_REQUEST, RetryClass::Permanent, None),
        _ => (reasons::UNAVAILABLE, RetryClass::Transient, None),
    };
    Failure { reason, message: format!("{fate:?}"), class, retry_after }
}
