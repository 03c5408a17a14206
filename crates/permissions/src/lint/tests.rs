use super::*;
use crate::{Action, Condition, Conditions, PermissionGrant, Value};

const READ: &str = "Conversation:GetConversation";
const OWNER: &str = "conversation_user_id";
const VISIBLE: &str = "conversation_visible_to_admin";

fn equals(value: impl Into<Value>) -> Condition {
    Condition::Equals { value: value.into() }
}

fn any_of(values: &[&str]) -> Condition {
    Condition::In { values: values.iter().copied().map(Value::from).collect() }
}

fn with(action: Action, permission_name: &str, conditions: Conditions) -> DescribedGrant {
    let grant = PermissionGrant { action, permission_name: permission_name.to_owned(), conditions };
    DescribedGrant { grant, description: Some("why".to_owned()) }
}

/// An Allow within the own organization.
fn allow(permission_name: &str) -> DescribedGrant {
    with(Action::Allow, permission_name, [("org_id".to_owned(), equals("{self_org_id}"))].into())
}

fn deny(permission_name: &str) -> DescribedGrant {
    with(Action::Deny, permission_name, Conditions::new())
}

fn when(mut line: DescribedGrant, attribute: &str, condition: Condition) -> DescribedGrant {
    line.grant.conditions.insert(attribute.to_owned(), condition);
    line
}

fn findings(grants: &[DescribedGrant]) -> Vec<Finding> {
    lint(&Draft { name: "reader", description: "Reads", grants })
}

/// Place and code of each finding.
fn found(grants: &[DescribedGrant]) -> Vec<String> {
    findings(grants).iter().map(|finding| format!("{} {}", finding.place, finding.code)).collect()
}

/// The codes of one grant.
fn codes(line: DescribedGrant) -> Vec<Code> {
    findings(&[line]).iter().map(|finding| finding.code).collect()
}

/// The only finding of one grant.
fn only(line: DescribedGrant) -> Finding {
    let mut findings = findings(&[line]);
    assert_eq!(findings.len(), 1, "{findings:#?}");
    findings.remove(0)
}

#[test]
fn a_scoped_known_described_grant_is_fine() {
    assert_eq!(found(&[allow(READ)]), [""; 0]);
}

#[test]
fn missing_conditions_scope_and_texts_are_found() {
    let unscoped = with(Action::Allow, READ, [(VISIBLE.to_owned(), equals(true))].into());
    let elsewhere = Condition::NotEquals { value: "other".into() };
    assert_eq!(codes(with(Action::Allow, READ, Conditions::new())), [Code::NoConditions]);
    assert_eq!(codes(unscoped), [Code::MissingOrganizationScope]);
    assert_eq!(codes(when(allow(READ), "org_id", elsewhere)), [Code::MissingOrganizationScope]);
    let several = any_of(&["acme", "globex"]);
    assert_eq!(codes(when(allow(READ), "org_id", several)), [Code::MissingOrganizationScope]);
    assert_eq!(codes(when(allow(READ), "org_id", any_of(&["acme"]))), [Code::SingleIn]);
    assert_eq!(codes(DescribedGrant { description: Some("  ".to_owned()), ..allow(READ) }), [Code::NoDescription]);
}

#[test]
fn names_of_roles_are_checked() {
    let codes = |name, description| {
        let findings = lint(&Draft { name, description, grants: &[] });
        findings.iter().map(|finding| (finding.code, finding.place.to_string())).collect::<Vec<_>>()
    };
    assert_eq!(codes("DefaultUserRole", "x"), [(Code::ReservedName, "roleName".to_owned())]);
    assert_eq!(codes("a/b", "x"), [(Code::UnusableName, "roleName".to_owned())]);
    assert_eq!(codes("a", " "), [(Code::NoDescription, "description".to_owned())]);
}

#[test]
fn a_dotted_permission_is_told_with_its_colon() {
    let finding = only(allow("Conversation.GetConversation"));
    assert_eq!((finding.code, finding.severity()), (Code::MalformedPermission, Severity::Error));
    assert_eq!(finding.advice, "write Conversation:GetConversation");
    assert_eq!(finding.place.to_string(), "permissionGrants[0].permissionName");
}

#[test]
fn an_unknown_permission_is_told_with_the_nearest_known() {
    let finding = only(allow("Conversation:GetConversations"));
    assert_eq!((finding.code, finding.severity()), (Code::UnknownPermission, Severity::Warning));
    assert_eq!(finding.advice, "was Conversation:GetConversation meant?");
    assert_eq!(only(allow("Telepathy:Read")).advice, "check the spelling");
    assert_eq!(only(allow("GetMessage")).advice, "write it like Conversation:GetMessage");
    assert_eq!(only(allow("Billing:Read_All")).advice, "write letters and digits around one colon");
    assert_eq!(only(allow("Telepathy.Read")).advice, "write Telepathy:Read");
}

#[test]
fn the_users_preference_is_not_the_attribute() {
    let finding = only(when(allow(READ), "conversations_visible_to_admins", equals(true)));
    assert_eq!((finding.code, finding.severity()), (Code::PreferenceAsAttribute, Severity::Error));
    assert_eq!(finding.advice, "write conversation_visible_to_admin");
    assert_eq!(finding.place.to_string(), "permissionGrants[0].conditions.conversations_visible_to_admins");
}

#[test]
fn unknown_and_misplaced_attributes_are_found() {
    let misspelt = only(when(allow(READ), "conversation_userid", equals("u1")));
    assert_eq!((misspelt.code, misspelt.advice.as_str()), (Code::UnknownAttribute, "was conversation_user_id meant?"));
    let other = only(when(allow(READ), "service", equals("premium")));
    assert!(other.advice.ends_with("org_id, conversation_user_id, conversation_visible_to_admin"));
    assert_eq!(codes(when(allow("User:GetUserInfo"), OWNER, equals("u1"))), [Code::MisplacedAttribute]);
}

#[test]
fn values_of_a_wrong_type_are_found() {
    let quoted = only(when(allow(READ), VISIBLE, equals("true")));
    assert_eq!((quoted.code, quoted.advice.as_str()), (Code::WrongValueType, "write true without quotes"));
    let bare = only(when(allow(READ), OWNER, equals(7)));
    assert_eq!((bare.code, bare.advice.as_str()), (Code::WrongValueType, "write \"7\" in quotes"));
    assert_eq!(codes(when(allow(READ), VISIBLE, equals("{self}"))), [Code::WrongValueType]);
    assert_eq!(codes(when(allow(READ), VISIBLE, equals(true))), []);
}

#[test]
fn variables_that_stand_for_nothing_here_are_found() {
    let unknown = only(when(allow(READ), "org_id", equals("{self_organization}")));
    assert_eq!((unknown.code, unknown.advice.as_str()), (Code::UnknownVariable, "write {self_org_id}"));
    assert_eq!(only(when(allow(READ), OWNER, equals("{user_id}"))).advice, "write {self}");
    assert_eq!(codes(when(allow(READ), OWNER, equals("{self_org_id}"))), [Code::MismatchedVariable]);
    assert_eq!(codes(when(allow(READ), OWNER, equals("u-{self}"))), [Code::VariableInText]);
}

#[test]
fn odd_lists_are_found() {
    assert_eq!(codes(when(allow(READ), OWNER, any_of(&[]))), [Code::EmptyIn]);
    assert_eq!(only(when(allow(READ), OWNER, any_of(&["u1"]))).advice, "write Equals \"u1\"");
    assert_eq!(codes(when(allow(READ), OWNER, any_of(&["u1", "u2", "u1"]))), [Code::RepeatedValue]);
    assert_eq!(codes(when(allow(READ), OWNER, any_of(&["u1", "u2"]))), []);
}

#[test]
fn a_deny_that_takes_nothing_is_idle() {
    assert_eq!(found(&[deny(READ)]), ["permissionGrants[0].action BroadDeny", "permissionGrants[0] IdleDeny"]);
    let apart = [when(allow(READ), OWNER, equals("u1")), when(deny(READ), OWNER, equals("u2"))];
    assert_eq!(found(&apart), ["permissionGrants[1] IdleDeny"]);
}

#[test]
fn an_allow_of_which_nothing_is_left_is_an_error() {
    let found = found(&[allow(READ), deny(READ)]);
    assert_eq!(found, ["permissionGrants[0] DeniedAllow", "permissionGrants[1].action BroadDeny"]);
}

#[test]
fn a_deny_that_takes_a_part_could_be_a_narrower_allow() {
    let role = [allow(READ), when(deny(READ), OWNER, equals("u1"))];
    assert_eq!(found(&role), ["permissionGrants[1].action PreferAllow"]);
}

#[test]
fn a_grant_that_others_cover_is_redundant_but_not_both_of_a_pair() {
    let narrow = when(allow(READ), OWNER, equals("u1"));
    assert_eq!(found(&[narrow, allow(READ)]), ["permissionGrants[0] RedundantGrant"]);
    let twice = findings(&[allow(READ), allow(READ)]);
    assert_eq!(twice.len(), 1);
    assert_eq!(
        twice[0].to_string(),
        "permissionGrants[1] RedundantGrant: permissionGrants[0] says all of this: remove the grant"
    );
}

#[test]
fn grants_that_only_together_cover_another_are_named_together() {
    let not = Condition::NotEquals { value: "u1".into() };
    let role = [
        when(allow(READ), OWNER, equals("u1")),
        when(allow(READ), OWNER, not),
        when(allow(READ), OWNER, any_of(&["u1", "u2"])),
    ];
    let findings = findings(&role);
    assert_eq!(findings.len(), 1);
    assert!(findings[0].message.starts_with("other grants together"));
}

#[test]
fn permissions_that_need_another_are_found() {
    let insights = "Conversation:GetInteractionInsights";
    let missing = |grants: &[DescribedGrant]| {
        let findings = findings(grants);
        findings.iter().map(|finding| (finding.code, finding.advice.clone())).collect::<Vec<_>>()
    };
    let add = |name: &str| (Code::MissingCompanion, format!("allow {name}, too"));
    let state_machine = "Organization:GetServiceHierarchicalStateMachine";
    assert_eq!(missing(&[allow("Conversation:GetMessage")]), [add(READ)]);
    assert_eq!(missing(&[allow(insights)]), [add(state_machine), add("Conversation:GetMessage")]);
    let all = [allow(insights), allow(state_machine), allow("Conversation:GetMessage"), allow(READ)];
    assert_eq!(missing(&all), []);
}

#[test]
fn what_is_too_large_to_settle_is_not_commented_on() {
    let denies = (0..40).map(|index| {
        let both = when(deny(READ), &format!("x{index}"), equals("a"));
        when(both, &format!("y{index}"), equals("a"))
    });
    let role: Vec<_> = std::iter::once(allow(READ)).chain(denies).collect();
    assert!(findings(&role).iter().all(|finding| finding.code == Code::UnknownAttribute));
}
