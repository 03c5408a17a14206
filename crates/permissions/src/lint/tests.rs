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

/// The path and code of each finding.
fn located(grants: &[DescribedGrant]) -> Vec<String> {
    findings(grants).iter().map(|finding| format!("{} {}", finding.path, finding.code)).collect()
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
fn scoped_known_described_grant_has_no_findings() {
    assert_eq!(located(&[allow(READ)]), [""; 0]);
}

#[test]
fn missing_conditions_scope_and_texts_are_reported() {
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
fn role_names_are_checked() {
    let codes = |name, description| {
        let findings = lint(&Draft { name, description, grants: &[] });
        findings.iter().map(|finding| (finding.code, finding.path.to_string())).collect::<Vec<_>>()
    };
    assert_eq!(codes("DefaultUserRole", "x"), [(Code::ReservedName, "roleName".to_owned())]);
    assert_eq!(codes("a/b", "x"), [(Code::UnusableName, "roleName".to_owned())]);
    assert_eq!(codes("a", " "), [(Code::NoDescription, "description".to_owned())]);
}

#[test]
fn dotted_permission_is_reported_with_colon() {
    let finding = only(allow("Conversation.GetConversation"));
    assert_eq!((finding.code, finding.severity()), (Code::MalformedPermission, Severity::Error));
    assert_eq!(finding.advice, "write Conversation:GetConversation");
    assert_eq!(finding.path.to_string(), "permissionGrants[0].permissionName");
}

#[test]
fn unknown_permission_suggests_nearest_known() {
    let finding = only(allow("Conversation:GetConversations"));
    assert_eq!((finding.code, finding.severity()), (Code::UnknownPermission, Severity::Warning));
    assert_eq!(finding.advice, "did you mean Conversation:GetConversation?");
    assert_eq!(only(allow("Telepathy:Read")).advice, "check the spelling");
    assert_eq!(only(allow("GetMessage")).advice, "use the form of Conversation:GetMessage");
    assert_eq!(only(allow("Billing:Read_All")).advice, "use letters and digits around one colon");
    assert_eq!(only(allow("Telepathy.Read")).advice, "write Telepathy:Read");
}

#[test]
fn user_preference_suggests_attribute() {
    let finding = only(when(allow(READ), "conversations_visible_to_admins", equals(true)));
    assert_eq!((finding.code, finding.severity()), (Code::PreferenceAsAttribute, Severity::Error));
    assert_eq!(finding.advice, "write conversation_visible_to_admin");
    assert_eq!(finding.path.to_string(), "permissionGrants[0].conditions.conversations_visible_to_admins");
}

#[test]
fn unknown_and_misplaced_attributes_are_reported() {
    let misspelt = only(when(allow(READ), "conversation_userid", equals("u1")));
    assert_eq!(
        (misspelt.code, misspelt.advice.as_str()),
        (Code::UnknownAttribute, "did you mean conversation_user_id?")
    );
    let other = only(when(allow(READ), "service", equals("premium")));
    assert!(other.advice.ends_with("org_id, conversation_user_id, conversation_visible_to_admin"));
    assert_eq!(codes(when(allow("User:GetUserInfo"), OWNER, equals("u1"))), [Code::MisplacedAttribute]);
}

#[test]
fn values_of_wrong_type_are_reported() {
    let quoted = only(when(allow(READ), VISIBLE, equals("true")));
    assert_eq!((quoted.code, quoted.advice.as_str()), (Code::WrongValueType, "write true without quotes"));
    let bare = only(when(allow(READ), OWNER, equals(7)));
    assert_eq!((bare.code, bare.advice.as_str()), (Code::WrongValueType, "write \"7\" in quotes"));
    assert_eq!(codes(when(allow(READ), VISIBLE, equals("{self}"))), [Code::WrongValueType]);
    assert_eq!(codes(when(allow(READ), VISIBLE, equals(true))), []);
}

#[test]
fn unknown_and_mismatched_variables_are_reported() {
    let unknown = only(when(allow(READ), "org_id", equals("{self_organization}")));
    assert_eq!((unknown.code, unknown.advice.as_str()), (Code::UnknownVariable, "write {self_org_id}"));
    assert_eq!(only(when(allow(READ), OWNER, equals("{user_id}"))).advice, "write {self}");
    assert_eq!(codes(when(allow(READ), OWNER, equals("{self_org_id}"))), [Code::MismatchedVariable]);
    assert_eq!(codes(when(allow(READ), OWNER, equals("u-{self}"))), [Code::VariableInText]);
}

#[test]
fn unusual_lists_are_reported() {
    assert_eq!(codes(when(allow(READ), OWNER, any_of(&[]))), [Code::EmptyIn]);
    assert_eq!(only(when(allow(READ), OWNER, any_of(&["u1"]))).advice, "write Equals \"u1\"");
    assert_eq!(codes(when(allow(READ), OWNER, any_of(&["u1", "u2", "u1"]))), [Code::RepeatedValue]);
    assert_eq!(codes(when(allow(READ), OWNER, any_of(&["u1", "u2"]))), []);
}

#[test]
fn deny_without_effect_is_idle() {
    assert_eq!(located(&[deny(READ)]), ["permissionGrants[0].action BroadDeny", "permissionGrants[0] IdleDeny"]);
    let apart = [when(allow(READ), OWNER, equals("u1")), when(deny(READ), OWNER, equals("u2"))];
    assert_eq!(located(&apart), ["permissionGrants[1] IdleDeny"]);
}

#[test]
fn fully_denied_allow_is_an_error() {
    let located = located(&[allow(READ), deny(READ)]);
    assert_eq!(located, ["permissionGrants[0] DeniedAllow", "permissionGrants[1].action BroadDeny"]);
}

#[test]
fn partial_deny_suggests_narrower_allow() {
    let role = [allow(READ), when(deny(READ), OWNER, equals("u1"))];
    assert_eq!(located(&role), ["permissionGrants[1].action PreferAllow"]);
}

#[test]
fn one_of_two_equal_grants_is_redundant() {
    let narrow = when(allow(READ), OWNER, equals("u1"));
    assert_eq!(located(&[narrow, allow(READ)]), ["permissionGrants[0] RedundantGrant"]);
    let twice = findings(&[allow(READ), allow(READ)]);
    assert_eq!(twice.len(), 1);
    assert_eq!(
        twice[0].to_string(),
        "permissionGrants[1] RedundantGrant: permissionGrants[0] already covers this: remove the grant"
    );
}

#[test]
fn grants_covering_another_together_are_reported() {
    let not = Condition::NotEquals { value: "u1".into() };
    let role = [
        when(allow(READ), OWNER, equals("u1")),
        when(allow(READ), OWNER, not),
        when(allow(READ), OWNER, any_of(&["u1", "u2"])),
    ];
    let findings = findings(&role);
    assert_eq!(findings.len(), 1);
    assert!(findings[0].message.starts_with("the other grants together"));
}

#[test]
fn missing_companion_permissions_are_reported() {
    let insights = "Conversation:GetInteractionInsights";
    let missing = |grants: &[DescribedGrant]| {
        let findings = findings(grants);
        findings.iter().map(|finding| (finding.code, finding.advice.clone())).collect::<Vec<_>>()
    };
    let add = |name: &str| (Code::MissingCompanion, format!("also allow {name}"));
    let state_machine = "Organization:GetServiceHierarchicalStateMachine";
    assert_eq!(missing(&[allow("Conversation:GetMessage")]), [add(READ)]);
    assert_eq!(missing(&[allow(insights)]), [add(state_machine), add("Conversation:GetMessage")]);
    let all = [allow(insights), allow(state_machine), allow("Conversation:GetMessage"), allow(READ)];
    assert_eq!(missing(&all), []);
}

#[test]
fn comparisons_beyond_limits_have_no_findings() {
    let denies = (0..40).map(|index| {
        let both = when(deny(READ), &format!("x{index}"), equals("a"));
        when(both, &format!("y{index}"), equals("a"))
    });
    let role: Vec<_> = std::iter::once(allow(READ)).chain(denies).collect();
    assert!(findings(&role).iter().all(|finding| finding.code == Code::UnknownAttribute));
}
