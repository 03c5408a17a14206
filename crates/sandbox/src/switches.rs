//! What the public documents leave open, one switch a question. An organization of the sandbox has one set.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// The answers to the open questions. Defaults are the documented behaviour where there is a hint, else the one
/// that is harder for a client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent open question")]
pub struct Switches {
    /// How long a signed-in token lives. Default one hour.
    pub token_lifetime: SignedDuration,
    /// The shape of error bodies.
    pub error_style: ErrorStyle,
    /// Who shares a rate limit.
    pub limit_scope: LimitScope,
    /// Every documented limit is multiplied by this; 0 lifts all limits. Default 1.
    pub limit_multiplier: u32,
    /// Whether `X-RateLimit-*` headers are sent. Default true.
    pub rate_limit_headers: bool,
    /// Whether a replaced role document stays listed until it expires a day later. Default false.
    pub old_role_visible: bool,
    /// Whether an immutable role member sent with its present value still makes a new document. Default true.
    pub unchanged_immutable_makes_document: bool,
    /// The status for a value outside its range, such as a duration of four days.
    pub range_error: RangeError,
    /// Whether unknown permission and attribute names are taken. Default Accept.
    pub unknown_names: Strictness,
    /// Whether members that the model does not know (`action`, `description`) are dropped. Default Accept: they
    /// are dropped in silence.
    pub unknown_members: Strictness,
    /// Whether a condition value may be of another type than its attribute. Default Refuse.
    pub mismatched_value_types: Strictness,
    /// How repeated `tag` filters combine.
    pub repeated_tags: TagCombination,
    /// How long an expired grant stays listed; unset means for ever. Default unset.
    pub expired_grants_listed_for: Option<SignedDuration>,
    /// The answer to a path whose trailing slash is missing or surplus.
    pub wrong_slash: WrongSlash,
    /// What the caller's role must be to the role it assigns, invites with or puts on a key, and to a modified role.
    pub role_hierarchy: Hierarchy,
    /// What the caller's role must be to a role it creates. Default `EqualAllowed`.
    pub create_role_hierarchy: Hierarchy,
    /// What the creator's role must be to a temporary grant.
    pub grant_hierarchy: Hierarchy,
    /// What an API key's role must be to the role of the user it signs in. Default `EqualAllowed`.
    pub sign_in_hierarchy: Hierarchy,
    /// Whether assigning also needs to outrank the user's present role. Default false.
    pub assign_outranks_current_role: bool,
    /// How long until a new grant takes effect. Default none.
    pub grant_propagation: SignedDuration,
    /// Whether variables resolve inside temporary grants; else they are plain text. Default true.
    pub variables_in_temporary_grants: bool,
    /// How exact the timestamps in replies are.
    pub timestamp_precision: TimestampPrecision,
}

/// The shape of error bodies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrorStyle {
    /// `{"detail": text}`.
    #[default]
    Detail,
    /// `{"error": status text, "message": text}`, as the guide shows.
    ErrorAndMessage,
    /// `{"missing_permission": name}` for a 403, else `{"message": text}`.
    MissingPermission,
    /// Not JSON at all.
    PlainText,
}

/// Who shares a rate limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LimitScope {
    /// All users of the organization.
    #[default]
    Organization,
    /// Each user has its own.
    User,
}

/// The status for a value out of range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RangeError {
    /// 422.
    #[default]
    UnprocessableContent,
    /// 400.
    BadRequest,
}

/// Whether something doubtful is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Strictness {
    /// Taken.
    #[default]
    Accept,
    /// Refused with 422.
    Refuse,
}

/// How repeated `tag` filters combine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TagCombination {
    /// All must match.
    #[default]
    All,
    /// One must match.
    Any,
}

/// The answer to a path with the wrong trailing slash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum WrongSlash {
    /// 404.
    #[default]
    NotFound,
    /// 307 to the right path.
    Redirect,
}

/// How one role must stand to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Hierarchy {
    /// Strictly greater.
    #[default]
    Strict,
    /// Greater or equal.
    EqualAllowed,
    /// Not compared.
    Off,
}

/// How exact timestamps are. All are UTC and end in `Z`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimestampPrecision {
    /// `…:00Z`.
    Seconds,
    /// `…:00.000Z`.
    #[default]
    Milliseconds,
    /// `…:00.000000Z`.
    Microseconds,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            token_lifetime: SignedDuration::from_hours(1),
            error_style: ErrorStyle::default(),
            limit_scope: LimitScope::default(),
            limit_multiplier: 1,
            rate_limit_headers: true,
            old_role_visible: false,
            unchanged_immutable_makes_document: true,
            range_error: RangeError::default(),
            unknown_names: Strictness::Accept,
            unknown_members: Strictness::Accept,
            mismatched_value_types: Strictness::Refuse,
            repeated_tags: TagCombination::default(),
            expired_grants_listed_for: None,
            wrong_slash: WrongSlash::default(),
            role_hierarchy: Hierarchy::Strict,
            create_role_hierarchy: Hierarchy::EqualAllowed,
            grant_hierarchy: Hierarchy::Strict,
            sign_in_hierarchy: Hierarchy::EqualAllowed,
            assign_outranks_current_role: false,
            grant_propagation: SignedDuration::ZERO,
            variables_in_temporary_grants: true,
            timestamp_precision: TimestampPrecision::default(),
        }
    }
}
