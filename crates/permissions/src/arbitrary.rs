//! Random roles and requests: few names and values, so that they meet.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::{Action, Attributes, Condition, PermissionGrant, Request, Value, evaluate};

fn condition() -> impl Strategy<Value = Condition> {
    let value = prop_oneof![
        Just(Value::from("a")),
        Just(Value::from("b")),
        Just(Value::from("{self}")),
        Just(Value::from("{self_org_id}")),
        Just(Value::from(true)),
    ];
    let values = prop::collection::vec(value.clone(), 0..3);
    prop_oneof![
        value.clone().prop_map(|value| Condition::Equals { value }),
        value.prop_map(|value| Condition::NotEquals { value }),
        values.prop_map(|values| Condition::In { values }),
    ]
}

fn grant() -> impl Strategy<Value = PermissionGrant> {
    let conditions = prop::collection::btree_map("[xy]", condition(), 0..3);
    (any::<bool>(), "[PQ]", conditions).prop_map(|(deny, permission_name, conditions)| {
        let action = if deny { Action::Deny } else { Action::Allow };
        PermissionGrant { action, permission_name, conditions }
    })
}

pub(super) fn role() -> impl Strategy<Value = Vec<PermissionGrant>> {
    prop::collection::vec(grant(), 0..5)
}

/// One in sixteen of all requests that can make a difference to such roles; `start` says which.
pub(super) fn requests(start: u8) -> impl Iterator<Item = &'static Request> {
    static ALL: LazyLock<Vec<Request>> = LazyLock::new(all_requests);
    ALL.iter().skip(usize::from(start % 16)).step_by(16)
}

fn all_requests() -> Vec<Request> {
    let values = [None, Some("a".into()), Some("b".into()), Some("c".into()), Some(true.into()), Some(false.into())];
    let mut all = Vec::new();
    for (x, y) in values.iter().flat_map(|x| values.iter().map(move |y| (x, y))) {
        for (user_id, org_id) in ["a", "b", "c"].into_iter().flat_map(|user| ["a", "b", "c"].map(|org| (user, org))) {
            let named = [("x", x), ("y", y)].into_iter();
            let attributes: Attributes = named
                .filter_map(|(name, value): (_, &Option<Value>)| Some((name.to_owned(), value.clone()?)))
                .collect();
            all.extend(["P", "Q"].map(|permission_name| Request {
                permission_name: permission_name.to_owned(),
                attributes: attributes.clone(),
                user_id: user_id.to_owned(),
                org_id: org_id.to_owned(),
                role_name: "r".to_owned(),
            }));
        }
    }
    all
}

/// Whether the role allows the request.
pub(super) fn allows(role: &[PermissionGrant], request: &Request) -> bool {
    evaluate(role, &[], request.caller(), &request.permission_name, &request.attributes).is_allowed()
}
