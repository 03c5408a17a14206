use super::*;
use crate::manifests::Location;

const READ: &str = "Conversation:GetMessage";

fn grant(action: Action, conditions: &[(&str, Condition)]) -> LocatedGrant {
    let conditions = conditions.iter().map(|(name, condition)| ((*name).to_owned(), condition.clone())).collect();
    LocatedGrant {
        grant: PermissionGrant { action, permission_name: READ.to_owned(), conditions },
        origin: Origin {
            path: "permissionGrants[0]".to_owned(),
            kind: "Role",
            name: "viewer".to_owned(),
            description: Some("Reads".to_owned()),
            location: Some(Location { file: "role.yaml".to_owned(), line: 9 }),
        },
    }
}

fn own() -> Condition {
    Condition::Equals { value: "{self}".into() }
}

fn check(
    role: &[LocatedGrant],
    temporary: &[LocatedGrant],
    attributes: &Attributes,
    deny_limits_temporary: bool,
) -> Verdict {
    let caller = Caller { user_id: "eve", org_id: "acme", role_name: "viewer" };
    PermissionCheck { caller, permission: READ, attributes, deny_limits_temporary }.evaluate(role, temporary)
}

fn owned_by(user: &str) -> Attributes {
    [("conversation_user_id".to_owned(), user.into())].into()
}

fn plain(verdict: &Verdict) -> String {
    anstream::adapter::strip_str(&verdict.render(&|name| format!("; add {name}"))).to_string()
}

#[test]
fn allowed_check_shows_grant_and_conditions() {
    let verdict = check(&[grant(Action::Allow, &[("conversation_user_id", own())])], &[], &owned_by("eve"), true);
    assert_eq!((verdict.allowed, verdict.reason), (true, Reason::RoleGrant));
    assert_eq!(
        plain(&verdict),
        "  allowed by permissionGrants[0] of Role viewer (role.yaml:9): Reads\n    \
         ✓ conversation_user_id Equals \"{self}\" (\"eve\"): got \"eve\"\n"
    );
}

#[test]
fn description_with_control_characters_is_escaped() {
    let mut steering = grant(Action::Allow, &[]);
    steering.origin.description = Some("Reads\ndenied\u{1b}[2J".to_owned());
    let text = check(&[steering], &[], &Attributes::new(), true).render(&|_| String::new());
    assert!(text.contains(": Reads denied\u{fffd}[2J\n"), "{text:?}");
}

#[test]
fn failed_condition_shows_expected_and_actual_value() {
    let role = [grant(Action::Allow, &[("conversation_user_id", own())])];
    let other = check(&role, &[], &owned_by("dana"), true);
    assert_eq!((other.allowed, other.reason), (false, Reason::ConditionFailed));
    assert!(plain(&other).contains("✗ conversation_user_id Equals \"{self}\" (\"eve\"): got \"dana\"\n"));
    let absent = plain(&check(&role, &[], &Attributes::new(), true));
    assert!(absent.contains("not set; add conversation_user_id\n"), "{absent}");
}

#[test]
fn deciding_deny_is_listed_before_the_allow() {
    let role = [grant(Action::Allow, &[]), grant(Action::Deny, &[])];
    let verdict = check(&role, &[], &Attributes::new(), true);
    assert_eq!(verdict.reason, Reason::DenyGrant);
    let text = plain(&verdict);
    assert!(
        text.starts_with("  denied by permissionGrants[0]") && text.contains("but Deny takes precedence"),
        "{text}"
    );
}

#[test]
fn deny_limits_temporary_grants_if_api_supports_deny() {
    let (role, temporary) = ([grant(Action::Deny, &[])], [grant(Action::Allow, &[])]);
    assert_eq!(check(&role, &temporary, &Attributes::new(), true).reason, Reason::DenyGrant);
    assert_eq!(check(&role, &temporary, &Attributes::new(), false).reason, Reason::TemporaryGrant);
    assert_eq!(check(&role, &[], &Attributes::new(), false).reason, Reason::DenyGrant);
}

#[test]
fn verdict_omits_grants_of_other_permissions() {
    let mut other = grant(Action::Allow, &[]);
    other.grant.permission_name = "Conversation:GetConversation".to_owned();
    let verdict = check(&[other], &[], &Attributes::new(), true);
    assert_eq!((verdict.reason, verdict.grants.len()), (Reason::NoGrant, 0));
    assert_eq!(plain(&verdict), "  no grant for this permission\n");
}

#[test]
fn attribute_variables_resolve_to_the_caller() {
    let caller = Caller { user_id: "eve", org_id: "acme", role_name: "viewer" };
    assert_eq!(resolve_variables(owned_by("{self}"), caller), owned_by("eve"));
}
