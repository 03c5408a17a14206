//! Requests for the tests of the commands.

use amigo_api::{
    ConversationReference, IssuedGrant, NameReference, TemporaryPermissionGrant, TemporaryPermissionGrantSpec,
    TemporaryPermissionGrantStatus, UserReference,
    conditions::{self, Change, ConditionStatus, Stamp},
};
use amigo_lifecycle::grant::Request;
use jiff::Timestamp;

/// A time in seconds after 1970.
pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A record of the conversation permissions that ends at a second.
pub fn issued(slot: u32, ends: i64) -> IssuedGrant {
    IssuedGrant {
        permission_name: Request::Conversation.permission_name(slot).unwrap().to_owned(),
        id: format!("grant-{slot}-{ends}"),
        issued_at: at(0),
        expires_at: at(ends),
        slot,
        lease: 0,
    }
}

/// The engineer's request for the conversations of `user-owner-7f3a`, in namespace `team`, of Organization `acme`.
pub fn request(name: &str, known: impl FnOnce(&mut TemporaryPermissionGrantStatus)) -> TemporaryPermissionGrant {
    let owner_user_id = Some("user-owner-7f3a".to_owned());
    let spec = TemporaryPermissionGrantSpec {
        organization_ref: NameReference { name: "acme".to_owned() },
        user: UserReference { email: Some("eng@example.com".to_owned()), user_id: None },
        justification: "Debugging reported issue #42".to_owned(),
        conversation: Some(ConversationReference { owner_user_id, ..ConversationReference::default() }),
        ..TemporaryPermissionGrantSpec::default()
    };
    let mut object = TemporaryPermissionGrant::new(name, spec);
    object.metadata.namespace = Some("team".to_owned());
    let mut status = TemporaryPermissionGrantStatus::default();
    known(&mut status);
    object.status = Some(status);
    object
}

pub fn set_condition(
    status: &mut TemporaryPermissionGrantStatus,
    kind: &str,
    condition_status: ConditionStatus,
    reason: &str,
    message: &str,
) {
    let change = Change { type_: kind, status: condition_status, reason, message: message.to_owned() };
    conditions::set(&mut status.conditions, change, Stamp { generation: 1, now: at(0) });
}
