use super::*;

const READ: &str = "Conversation:GetMessage";

fn source(action: Action, conditions: &[(&str, Condition)]) -> Source {
    let conditions = conditions.iter().map(|(name, condition)| ((*name).to_owned(), condition.clone())).collect();
    Source {
        grant: PermissionGrant { action, permission_name: READ.to_owned(), conditions },
        path: "permissionGrants[0]".to_owned(),
        kind: "Role",
        name: "viewer".to_owned(),
        description: Some("Reads".to_owned()),
        place: Some(Place { file: "role.yaml".to_owned(), line: 9 }),
    }
}

fn own() -> Condition {
    Condition::Equals { value: "{self}".into() }
}

fn answer(role: &[Source], temporary: &[Source], attributes: &Attributes, deny_bars_temporary: bool) -> Verdict {
    let caller = Caller { user_id: "eve", org_id: "acme", role_name: "viewer" };
    Question { caller, permission: READ, attributes, deny_bars_temporary }.answer(role, temporary)
}

fn owned_by(user: &str) -> Attributes {
    [("conversation_user_id".to_owned(), user.into())].into()
}

fn plain(verdict: &Verdict) -> String {
    anstream::adapter::strip_str(&verdict.told(&|name| format!(", add {name}"))).to_string()
}

#[test]
fn an_allowed_check_tells_its_grant_and_conditions() {
    let verdict = answer(&[source(Action::Allow, &[("conversation_user_id", own())])], &[], &owned_by("eve"), true);
    assert_eq!((verdict.allowed, verdict.reason), (true, Reason::RoleGrant));
    assert_eq!(
        plain(&verdict),
        "  allowed by permissionGrants[0] of Role viewer (role.yaml:9): Reads\n    \
         ✓ conversation_user_id Equals \"{self}\" (\"eve\"): it is \"eve\"\n"
    );
}

#[test]
fn what_others_wrote_stays_on_its_line() {
    let mut steering = source(Action::Allow, &[]);
    steering.description = Some("Reads\ndenied\u{1b}[2J".to_owned());
    let told = answer(&[steering], &[], &Attributes::new(), true).told(&|_| String::new());
    assert!(told.contains(": Reads denied\u{fffd}[2J\n"), "{told:?}");
}

#[test]
fn a_failed_condition_tells_what_it_wanted_and_what_was_there() {
    let role = [source(Action::Allow, &[("conversation_user_id", own())])];
    let other = answer(&role, &[], &owned_by("dana"), true);
    assert_eq!((other.allowed, other.reason), (false, Reason::ConditionFailed));
    assert!(plain(&other).contains("✗ conversation_user_id Equals \"{self}\" (\"eve\"): it is \"dana\"\n"));
    let absent = plain(&answer(&role, &[], &Attributes::new(), true));
    assert!(absent.contains("it is not given, add conversation_user_id\n"), "{absent}");
}

#[test]
fn the_deny_that_won_is_told_before_what_it_beat() {
    let role = [source(Action::Allow, &[]), source(Action::Deny, &[])];
    let verdict = answer(&role, &[], &Attributes::new(), true);
    assert_eq!(verdict.reason, Reason::DenyGrant);
    let told = plain(&verdict);
    assert!(told.starts_with("  denied by permissionGrants[0]") && told.contains("but Deny always wins"), "{told}");
}

#[test]
fn a_deny_bars_temporary_grants_only_where_the_api_knows_deny() {
    let (role, temporary) = ([source(Action::Deny, &[])], [source(Action::Allow, &[])]);
    assert_eq!(answer(&role, &temporary, &Attributes::new(), true).reason, Reason::DenyGrant);
    assert_eq!(answer(&role, &temporary, &Attributes::new(), false).reason, Reason::TemporaryGrant);
    assert_eq!(answer(&role, &[], &Attributes::new(), false).reason, Reason::DenyGrant);
}

#[test]
fn grants_of_other_permissions_are_not_part_of_the_story() {
    let mut other = source(Action::Allow, &[]);
    other.grant.permission_name = "Conversation:GetConversation".to_owned();
    let verdict = answer(&[other], &[], &Attributes::new(), true);
    assert_eq!((verdict.reason, verdict.grants.len()), (Reason::NoGrant, 0));
    assert_eq!(plain(&verdict), "  no grant names the permission\n");
}

#[test]
fn variables_given_as_attributes_stand_for_the_caller() {
    let caller = Caller { user_id: "eve", org_id: "acme", role_name: "viewer" };
    assert_eq!(resolved(owned_by("{self}"), caller), owned_by("eve"));
}
