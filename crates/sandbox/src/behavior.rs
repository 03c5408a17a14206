//! API behavior that Amigo does not document, one field per open question. Each organization has its own.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// How the sandbox behaves where the documentation of Amigo leaves a question open.
///
/// A default follows the documentation where it gives a hint. Otherwise it is the choice that is harder for a client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent open question")]
pub struct Behavior {
    /// How long a token is valid. Default: one hour.
    pub token_lifetime: SignedDuration,
    /// The shape of error bodies.
    pub error_style: ErrorStyle,
    /// Who shares a rate limit.
    pub limit_scope: LimitScope,
    /// Multiplies every documented rate limit; 0 disables all limits. Default: 1.
    pub limit_multiplier: u32,
    /// Whether role listings contain a replaced role document for another day. Default: false.
    pub old_role_visible: bool,
    /// Whether an immutable role field creates a new document although its value is unchanged. Default: true.
    pub unchanged_immutable_makes_document: bool,
    /// The status for a value outside its range, such as a duration of four days.
    pub range_error: RangeError,
    /// Unknown permission and attribute names. Default: Accept.
    pub unknown_names: Strictness,
    /// Fields that the permission model does not have (`action`, `description`). Default: Accept, which silently
    /// drops them.
    pub unknown_members: Strictness,
    /// How repeated `tag` filters combine.
    pub repeated_tags: TagCombination,
    /// How long listings contain an expired grant. Default: unset, which means forever.
    pub expired_grants_listed_for: Option<SignedDuration>,
    /// The response to a path with a missing or extra trailing slash.
    pub wrong_slash: WrongSlash,
    /// How the caller's role must compare with the role in a request to assign, modify, invite, or create a key.
    pub role_hierarchy: Hierarchy,
    /// How the caller's role must compare with a role that the caller creates. Default: `EqualAllowed`.
    pub create_role_hierarchy: Hierarchy,
    /// How the caller's role must compare with a temporary grant that the caller creates.
    pub grant_hierarchy: Hierarchy,
    /// Whether the assigning caller's role must also outrank the user's current role. Default: false.
    pub assign_outranks_current_role: bool,
    /// How long a new grant takes to become effective. Default: zero.
    pub grant_propagation: SignedDuration,
    /// Whether temporary grants resolve variables; if not, a variable is plain text. Default: true.
    pub variables_in_temporary_grants: bool,
    /// The precision of timestamps in responses.
    pub timestamp_precision: TimestampPrecision,
}

/// The shape of error bodies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrorStyle {
    /// `{"detail": text}`.
    #[default]
    Detail,
    /// `{"error": status text, "message": text}`, as in the guide.
    ErrorAndMessage,
    /// `{"missing_permission": name}` for a 403, otherwise `{"message": text}`.
    MissingPermission,
    /// Plain text instead of JSON.
    PlainText,
}

/// Who shares a rate limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LimitScope {
    /// All users of the organization share one limit.
    #[default]
    Organization,
    /// Each user has a separate limit.
    User,
}

/// The status for a value outside its range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RangeError {
    /// 422.
    #[default]
    UnprocessableContent,
    /// 400.
    BadRequest,
}

/// Whether the sandbox accepts a questionable input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Strictness {
    #[default]
    Accept,
    /// Reject with 422.
    Reject,
}

/// How repeated `tag` filters combine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TagCombination {
    /// All filters must match.
    #[default]
    All,
    /// At least one filter must match.
    Any,
}

/// The response to a path with the wrong trailing slash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum WrongSlash {
    /// 404.
    #[default]
    NotFound,
    /// 307 to the correct path.
    Redirect,
}

/// How the privileges of one role must compare with those of another.
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

/// The precision of timestamps. All are UTC and end in `Z`.
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

impl Default for Behavior {
    fn default() -> Self {
        Self {
            token_lifetime: SignedDuration::from_hours(1),
            error_style: ErrorStyle::default(),
            limit_scope: LimitScope::default(),
            limit_multiplier: 1,
            old_role_visible: false,
            unchanged_immutable_makes_document: true,
            range_error: RangeError::default(),
            unknown_names: Strictness::Accept,
            unknown_members: Strictness::Accept,
            repeated_tags: TagCombination::default(),
            expired_grants_listed_for: None,
            wrong_slash: WrongSlash::default(),
            role_hierarchy: Hierarchy::Strict,
            create_role_hierarchy: Hierarchy::EqualAllowed,
            grant_hierarchy: Hierarchy::Strict,
            assign_outranks_current_role: false,
            grant_propagation: SignedDuration::ZERO,
            variables_in_temporary_grants: true,
            timestamp_precision: TimestampPrecision::default(),
        }
    }
}
