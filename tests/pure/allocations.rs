//! A check that allows takes no memory from the heap.

use amigo_permissions::{Action, Attributes, Caller, Condition, PermissionGrant, evaluate};

const READ: &str = "Conversation:GetMessage";

fn allow(permission_name: &str, conditions: &[(&str, Condition)]) -> PermissionGrant {
    let conditions = conditions.iter().map(|(name, condition)| ((*name).to_owned(), condition.clone())).collect();
    PermissionGrant { action: Action::Allow, permission_name: permission_name.to_owned(), conditions }
}

#[test]
fn an_allow_decision_allocates_nothing() {
    let own = ("org_id", Condition::Equals { value: "{self_org_id}".into() });
    let owner = |values: &[&str]| Condition::In { values: values.iter().copied().map(Into::into).collect() };
    let mut role = vec![allow(READ, &[own.clone(), ("conversation_user_id", owner(&["u1", "u2"]))]); 48];
    role.push(allow("User:GetUserInfo", std::slice::from_ref(&own)));
    role.push(allow(READ, &[own, ("conversation_user_id", owner(&["u9", "{self}"]))]));
    let attributes: Attributes =
        [("org_id".to_owned(), "acme".into()), ("conversation_user_id".to_owned(), "eve".into())].into();
    let caller = Caller { user_id: "eve", org_id: "acme", role_name: "reader" };

    let mut allowed = false;
    let counted = allocation_counter::measure(|| {
        allowed = evaluate(&role, &[], caller, READ, &attributes).is_allowed();
    });
    assert_eq!((allowed, counted.count_total), (true, 0));

    let counted = allocation_counter::measure(|| drop(evaluate(&role[..48], &[], caller, READ, &attributes)));
    assert!(counted.count_total > 0, "the counter counts");
}
