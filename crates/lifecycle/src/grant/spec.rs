//! What a grant's object and its Organization ask for, with every default filled in.

use std::time::Duration;

use amigo_api::{PermissionSpec, TemporaryPermissionGrantSpec};
use amigo_permissions::{Condition, Conditions};
use jiff::{SignedDuration, Timestamp};

use super::{Resolved, tags::Origin};
use crate::Failure;

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// Where the records come from: the tags they carry.
    pub origin: Origin,
    /// Who this process is, for intents.
    pub holder: String,
    /// The generation of the object this was read from.
    pub generation: i64,
    /// When the object was created.
    pub created_at: Timestamp,
    /// The permissions.
    pub request: Request,
    /// Amigo's id of the organization, as conditions name it.
    pub org_id: String,
    /// The user the operator signs in as: the creator of our records.
    pub service_user_id: String,
    /// The duration asked for, cut to the Organization's maximum.
    pub duration: SignedDuration,
    /// The same as the manifest writes it.
    pub duration_text: String,
    /// Deleting the object ends access within this time; counts until the first intent commits it.
    pub revoke_within: Option<SignedDuration>,
    /// Issued by creation plus this, or never.
    pub activation_deadline: SignedDuration,
    /// No access after this moment.
    pub not_after: Option<Timestamp>,
    /// How long the ended object is kept.
    pub ttl_after_expiry: SignedDuration,
    /// Whether the object is being deleted, and something holds it: nothing more is issued; expiry goes on.
    pub being_deleted: bool,
    /// Why nothing can be asked of Amigo at present; expiry goes on.
    pub obstacle: Option<Failure>,
    /// The protocol's times.
    pub timing: Timing,
}

/// The permissions asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// The three that read the conversations of one owner (guide to temporary grants, "How It Works").
    Conversation,
    /// As the manifest lists them.
    Permissions(Vec<PermissionRequest>),
}

/// One permission asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermissionRequest {
    /// `Category:Action`.
    pub permission_name: String,
    /// When it applies.
    pub conditions: Conditions,
}

impl From<&PermissionSpec> for PermissionRequest {
    fn from(spec: &PermissionSpec) -> Self {
        Self { permission_name: spec.permission_name.clone(), conditions: spec.conditions.clone() }
    }
}

/// The permissions a conversation request stands for.
const CONVERSATION_PERMISSIONS: [&str; 3] =
    ["Conversation:GetConversation", "Conversation:GetMessage", "Conversation:GetInteractionInsights"];

impl Request {
    /// What an object asks for; `None` unless it names exactly one of conversation and permissions.
    #[must_use]
    pub fn of(spec: &TemporaryPermissionGrantSpec) -> Option<Self> {
        match (&spec.conversation, &spec.permissions) {
            (Some(_), None) => Some(Self::Conversation),
            (None, Some(permissions)) if !permissions.is_empty() => {
                Some(Self::Permissions(permissions.iter().map(PermissionRequest::from).collect()))
            }
            _ => None,
        }
    }

    /// How many permissions are asked for.
    #[must_use]
    pub fn slots(&self) -> u32 {
        let count = match self {
            Self::Conversation => CONVERSATION_PERMISSIONS.len(),
            Self::Permissions(permissions) => permissions.len(),
        };
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// The name of one permission asked for.
    #[must_use]
    pub fn permission_name(&self, slot: u32) -> Option<&str> {
        let slot = usize::try_from(slot).ok()?;
        match self {
            Self::Conversation => CONVERSATION_PERMISSIONS.get(slot).copied(),
            Self::Permissions(permissions) => permissions.get(slot).map(|request| request.permission_name.as_str()),
        }
    }

    /// One permission with the conditions it is asked under in an organization; `None` past the last, or where the
    /// owner of the conversation is needed and missing.
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
    /// One permission with the conditions it is asked under; `None` past the last, or without an owner.
    #[must_use]
    pub fn permission(&self, slot: u32, resolved: &Resolved) -> Option<PermissionRequest> {
        self.request.permission(slot, &self.org_id, resolved.owner_user_id.as_deref())
    }
}

/// The protocol's times. Measured on the boot-time clock, except where they meet a wall-clock end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// `w`: from the quorum read to the first byte of the last `POST` that rests on it.
    pub send_window: Duration,
    /// `d`: how long a sent `POST` may still commit.
    pub commit: Duration,
    /// `l`: how long a committed record may be missing from the listing.
    pub list_lag: Duration,
    /// `c`: an object younger than this when first seen has no history that we could have missed.
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
    /// `w + d`: how much later than asked a record can end.
    #[must_use]
    pub fn margin(&self) -> SignedDuration {
        signed(self.send_window + self.commit)
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

/// The moment of a step: the only source of time and chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Wall-clock time.
    pub wall: Timestamp,
    /// Boot-time clock.
    pub boot: Duration,
    /// A fresh random number, for nonces and jitter.
    pub random: u64,
}

/// A span of the boot-time clock as the wall clock counts it.
pub(super) fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

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
