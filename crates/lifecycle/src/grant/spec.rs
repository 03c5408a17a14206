//! The effective request: the object's spec with the defaults and limits of its Organization.

use std::time::Duration;

use amigo_api::{PermissionSpec, TemporaryPermissionGrantSpec, duration};
use amigo_permissions::{Condition, Conditions};
use jiff::{SignedDuration, Timestamp};

use super::{Resolved, tags::Origin};
use crate::Failure;

/// The effective request.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// The origin in the tags of the records.
    pub origin: Origin,
    /// The identity of this process, for intents.
    pub holder: String,
    /// The generation of the object.
    pub generation: i64,
    /// When the object was created.
    pub created_at: Timestamp,
    /// The permissions.
    pub request: Request,
    /// The organization's id at Amigo, as conditions use it.
    pub org_id: String,
    /// The scheme, host and port of the organization's API.
    pub api_origin: String,
    /// The user that the operator signs in as, which is the creator of its records.
    pub service_user_id: String,
    /// The requested duration, limited to the Organization's maximum.
    pub duration: SignedDuration,
    /// The duration as written in the manifest.
    pub duration_text: String,
    /// Deleting the object ends access within this time. The first intent commits the value.
    pub revoke_within: Option<SignedDuration>,
    /// The time from the creation of the object within which it must be issued.
    pub activation_deadline: SignedDuration,
    /// No access after this moment.
    pub not_after: Option<Timestamp>,
    /// How long the object is kept after its access ended.
    pub ttl_after_expiry: SignedDuration,
    /// How long the object is kept after it failed; `None`: until somebody deletes it.
    pub failed_ttl: Option<SignedDuration>,
    /// Whether the object is being deleted and a finalizer holds it. Nothing more is issued; expiry continues.
    pub being_deleted: bool,
    /// Why no request can be sent to Amigo at present. Expiry continues.
    pub blocker: Option<Failure>,
    /// Identifies what somebody can change to make a retry worthwhile: the resync annotation, the Organization and its
    /// credentials. A change ends the backoff.
    pub circumstances: u64,
    /// The protocol's times.
    pub timing: Timing,
}

/// The requested permissions.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// The three permissions that read the conversations of one owner (guide to temporary grants, "How It Works").
    Conversation,
    /// The permissions that the manifest lists.
    Permissions(Vec<PermissionRequest>),
}

/// One requested permission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermissionRequest {
    /// `Category:Action`.
    pub permission_name: String,
    /// The conditions of the permission.
    pub conditions: Conditions,
}

impl From<&PermissionSpec> for PermissionRequest {
    fn from(spec: &PermissionSpec) -> Self {
        Self { permission_name: spec.permission_name.clone(), conditions: spec.conditions.clone() }
    }
}

/// The permissions of a conversation request.
const CONVERSATION_PERMISSIONS: [&str; 3] =
    ["Conversation:GetConversation", "Conversation:GetMessage", "Conversation:GetInteractionInsights"];

impl Request {
    /// The request of an object; `None` unless the spec has exactly one of `conversation` and `permissions`.
    #[must_use]
    pub fn from_spec(spec: &TemporaryPermissionGrantSpec) -> Option<Self> {
        match (&spec.conversation, &spec.permissions) {
            (Some(_), None) => Some(Self::Conversation),
            (None, Some(permissions)) if !permissions.is_empty() => {
                Some(Self::Permissions(permissions.iter().map(PermissionRequest::from).collect()))
            }
            _ => None,
        }
    }

    /// The number of requested permissions.
    #[must_use]
    pub fn slots(&self) -> u32 {
        let count = match self {
            Self::Conversation => CONVERSATION_PERMISSIONS.len(),
            Self::Permissions(permissions) => permissions.len(),
        };
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// The name of one requested permission.
    #[must_use]
    pub fn permission_name(&self, slot: u32) -> Option<&str> {
        let slot = usize::try_from(slot).ok()?;
        match self {
            Self::Conversation => CONVERSATION_PERMISSIONS.get(slot).copied(),
            Self::Permissions(permissions) => permissions.get(slot).map(|request| request.permission_name.as_str()),
        }
    }

    /// One permission with its conditions in an organization; `None` past the last, or if the owner of the conversation
    /// is required and missing.
    #[must_use]
    pub fn permission(&self, slot: u32, org_id: &str, owner_user_id: Option<&str>) -> Option<PermissionRequest> {
        if let Self::Permissions(permissions) = self {
            return permissions.get(usize::try_from(slot).ok()?).cloned();
        }
        let equals = |value: &str| Condition::Equals { value: value.into() };
        Some(PermissionRequest {
            permission_name: self.permission_name(slot)?.to_owned(),
            conditions: [
                ("conversation_user_id".to_owned(), equals(owner_user_id?)),
                ("org_id".to_owned(), equals(org_id)),
            ]
            .into(),
        })
    }
}

impl Spec {
    /// One permission with its conditions; `None` past the last, or if the owner is required and missing.
    #[must_use]
    pub fn permission(&self, slot: u32, resolved: &Resolved) -> Option<PermissionRequest> {
        self.request.permission(slot, &self.org_id, resolved.owner_user_id.as_deref())
    }
}

/// The durations of the protocol, measured with the boot-time clock except when compared with a wall-clock end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// `w`: from the quorum read to the first byte of the last `POST` that relies on it.
    pub send_window: Duration,
    /// `d`: how long a sent `POST` may still commit.
    pub commit: Duration,
    /// `l`: how long a committed record may be missing from the listing.
    pub list_lag: Duration,
    /// `c`: an object younger than this when first seen has no earlier attempts. Also the tolerated clock skew.
    pub tick: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            send_window: Duration::from_secs(5),
            commit: Duration::from_mins(1),
            list_lag: Duration::from_secs(15),
            tick: Duration::from_secs(10),
        }
    }
}

impl Timing {
    /// `w + d`: how much later than requested a record can end.
    #[must_use]
    pub fn margin(&self) -> SignedDuration {
        signed(self.send_window + self.commit)
    }

    /// How long before the end of a lease with this lifetime the next one is due: half of it, at most six minutes. At least
    /// the quarantine of a lost response and the time of another attempt, so that no lease is too short to survive one.
    pub(super) fn renews_before(&self, lifetime: SignedDuration) -> SignedDuration {
        let another_attempt = signed(self.quarantine() + self.list_lag + self.send_window);
        SignedDuration::from_mins(6).min(lifetime / 2).max(another_attempt)
    }

    /// How many `POST` requests per hour the leases of a grant need. Three quarters of the rate limit may be used for
    /// renewals; the rest is for new access and for repeated attempts.
    #[must_use]
    pub fn renewals_per_hour(&self, permissions: u32, revoke_within: SignedDuration) -> u64 {
        let lease = revoke_within.saturating_sub(self.margin());
        let interval = lease.saturating_sub(self.renews_before(lease)).max(lease / 4).max(duration::SHORTEST_GRANT);
        u64::from(permissions) * 3600 / interval.unsigned_abs().as_secs().max(1)
    }

    /// `q`: time after which a grant that Amigo does not list was not created. At least `w + d + l`, rounded up to whole
    /// minutes, or to whole seconds up to a minute.
    #[must_use]
    pub fn quarantine(&self) -> Duration {
        let least = self.send_window + self.commit + self.list_lag;
        let seconds = least.as_secs() + u64::from(least.subsec_nanos() > 0);
        let unit = if seconds <= 60 { 1 } else { 60 };
        Duration::from_secs(seconds.next_multiple_of(unit))
    }
}

/// The time of a step, and its only source of randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The wall clock.
    pub wall: Timestamp,
    /// The boot-time clock.
    pub boot: Duration,
    /// A fresh random number, for nonces and jitter.
    pub random: u64,
}

impl Now {
    /// The wall-clock time at a boot time.
    pub(super) fn wall_at(&self, boot: Duration) -> Timestamp {
        self.wall.saturating_add(signed(boot.saturating_sub(self.boot))).unwrap_or(Timestamp::MAX)
    }
}

/// A duration for calculations with timestamps.
pub(super) fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shorter_leases_need_more_renewals() {
        let per_hour = |minutes| Timing::default().renewals_per_hour(3, SignedDuration::from_mins(minutes));
        assert_eq!([5, 10, 60, 24 * 60].map(per_hour), [113, 40, 3, 0]);
    }

    #[test]
    fn quarantine_covers_window_commit_and_lag() {
        assert_eq!(Timing::default().quarantine(), Duration::from_mins(2));
        for milliseconds in [0, 1, 999, 1_000, 39_999, 40_000, 40_001, 100_000, 100_001] {
            let timing = Timing { commit: Duration::from_millis(milliseconds), ..Timing::default() };
            let least = timing.send_window + timing.commit + timing.list_lag;
            assert!((least..least + Duration::from_mins(1)).contains(&timing.quarantine()), "{least:?}");
        }
    }
}
