use super::*;
use crate::{manifests::SourceFile, output::json};

const ROLE: &str = "apiVersion: permissions.amigo.ai/v1alpha1
kind: Role
metadata: { name: viewer }
spec:
  organizationRef: { name: acme }
  description: Sees
  permissionGrants:
    - permissionName: Conversation:GetConversation
      description: Own ones
      conditions: { conversation_user_id: { type: Equals, value: '{self}' } }
    - action: Deny
      permissionName: Conversation:InteractWithConversation
";

const OPEN: &str = "apiVersion: permissions.amigo.ai/v1alpha1
kind: TemporaryPermissionGrant
metadata: { name: open }
spec:
  organizationRef: { name: acme }
  user: { userId: eve }
  justification: Debugging it
  conversation: { id: abc123def456abc123def456 }
";

fn run(cases: &str) -> Result<Vec<Outcome>, Vec<String>> {
    let test = format!(
        "apiVersion: permissions.amigo.ai/v1alpha1\nkind: AccessTest\nmetadata: {{ name: viewer }}\nrole: viewer\n\
         caller: {{ userId: eve }}\ncases:\n{cases}"
    );
    let sources = [("role.yaml", ROLE), ("open.yaml", OPEN), ("viewer.test.yaml", &test)]
        .map(|(name, text)| SourceFile { name: name.to_owned(), text: text.to_owned() });
    let messages = |problems: Vec<Problem>| problems.iter().map(Problem::to_string).collect();
    let manifests = Manifests::parse(&sources).map_err(messages)?;
    outcomes(manifests, None).map_err(messages)
}

fn case(expect: &str, extra: &str) -> String {
    format!("  - {{ name: a case, permission: 'Conversation:GetConversation', expect: {expect}, {extra} }}\n")
}

fn failure_of(cases: &str) -> Option<String> {
    run(cases).unwrap().remove(0).failure
}

const OWN: &str = "attributes: { conversation_user_id: '{self}' }";

#[test]
fn case_passes_with_the_expected_result() {
    let outcomes =
        run(&(case("Allowed", OWN) + &case("Denied", "attributes: { conversation_user_id: dana }"))).unwrap();
    let passed: Vec<_> =
        outcomes.iter().map(|outcome| (outcome.location.to_string(), outcome.failure.is_none())).collect();
    assert_eq!(passed, [("viewer.test.yaml:7".to_owned(), true), ("viewer.test.yaml:8".to_owned(), true)]);
}

#[test]
fn case_fails_on_other_result_reason_or_grant() {
    assert_eq!(failure_of(&case("Denied", OWN)).as_deref(), Some("expected Denied, got Allowed"));
    let reason = failure_of(&case("Denied", "because: NoGrant, attributes: { conversation_user_id: dana }")).unwrap();
    assert!(reason.contains("expected reason NoGrant, got ConditionFailed"), "{reason}");
    let by = failure_of(&case("Denied", "by: org_id, attributes: { conversation_user_id: dana }")).unwrap();
    assert!(by.contains("not decided by \"org_id\""), "{by}");
}

#[test]
fn by_names_a_grant_or_the_failed_attribute() {
    for by in ["permissionGrants[0]", "Own ones", "viewer"] {
        assert_eq!(failure_of(&case("Allowed", &format!("by: '{by}', {OWN}"))), None, "{by}");
    }
    assert_eq!(failure_of(&case("Denied", "by: conversation_user_id, attributes: {}")), None);
}

#[test]
fn temporary_grant_needs_its_user_and_the_owner() {
    let dana = "attributes: { conversation_user_id: dana }";
    let open =
        |rest: &str| case("Allowed", &format!("grants: [{{ name: open{rest} }}], because: TemporaryGrant, {dana}"));
    assert_eq!(failure_of(&open(", ownerUserId: dana")), None);
    assert!(
        run(&open("")).unwrap_err()[0]
            .contains("viewer.test.yaml:7: TemporaryPermissionGrant open does not name the owner")
    );
    let other = format!("caller: {{ userId: pat }}, grants: [{{ name: open, ownerUserId: dana }}], {dana}");
    assert!(run(&case("Allowed", &other)).unwrap_err()[0].contains("is for eve: set caller.userId"));
    let inline = "grants: [{ permissionName: 'Conversation:GetConversation' }], because: TemporaryGrant";
    assert_eq!(failure_of(&case("Allowed", inline)), None);
}

#[test]
fn null_removes_the_default_organization() {
    let attributes = |text| run(&case("Denied", text)).unwrap().remove(0).attributes;
    assert_eq!(attributes("attributes: {}").keys().collect::<Vec<_>>(), ["org_id"]);
    assert!(attributes("attributes: { org_id: null }").is_empty());
}

#[test]
fn case_that_cannot_fail_is_an_error() {
    let misspelt = case("Denied", OWN).replace("GetConversation", "GetConversatoin");
    assert!(run(&misspelt).unwrap_err()[0].contains("viewer.test.yaml:7: unknown permission"));
    assert!(run(&case("Denied", "attributes: { orgid: x }")).unwrap_err()[0].contains("unknown attribute orgid"));
    assert!(run(&case("Denied", "role: viewr")).unwrap_err()[0].contains("Role viewr is not in the files"));
    assert!(run(&case("Denied", "expected: x")).unwrap_err()[0].contains("unknown field cases.0.expected"));
    assert!(run(&case("Maybe", OWN)).unwrap_err()[0].contains("cases.0.expect: unknown variant `Maybe`"));
    assert!(run(&case("Denied", "grants: [{}]")).unwrap_err()[0].contains("set either name"));
}

#[test]
fn role_without_allow_only_equivalent_is_an_error() {
    let deny = "    - action: Deny\n      permissionName: Conversation:GetConversation\n      conditions: { org_id: { type: Equals, value: x } }\n";
    let test = "apiVersion: permissions.amigo.ai/v1alpha1\nkind: AccessTest\nrole: viewer\npermissionModel: AllowOnly\ncases:\n";
    let source = |name: &str, text: String| SourceFile { name: name.to_owned(), text };
    let read = |role: String| {
        let sources = [source("role.yaml", role), source("a.test.yaml", format!("{test}{}", case("Allowed", OWN)))];
        outcomes(Manifests::parse(&sources).unwrap(), None)
    };
    assert_eq!(read(ROLE.to_owned()).unwrap()[0].failure, None);
    assert!(
        read(format!("{ROLE}{deny}")).unwrap_err()[0]
            .message
            .contains("with AllowOnly, the operator does not send the role")
    );
}

#[test]
fn permission_model_defaults_to_the_organizations() {
    let organization = "apiVersion: permissions.amigo.ai/v1alpha1\nkind: Organization\nmetadata: { name: acme }\nspec:\n  \
                        organization: acme\n  credentialsSecretRef: { name: acme }\n  permissionModel: AllowOnly\n";
    let deny = "    - action: Deny\n      permissionName: Conversation:GetConversation\n      conditions: { org_id: { type: Equals, value: x } }\n";
    let source = |name: &str, text: String| SourceFile { name: name.to_owned(), text };
    let read = |model: &str, deny: &str| {
        let denied = "  - { name: a case, permission: 'Conversation:InteractWithConversation', expect: Allowed, \
                      grants: [{ permissionName: 'Conversation:InteractWithConversation' }] }\n";
        let test = format!(
            "apiVersion: permissions.amigo.ai/v1alpha1\nkind: AccessTest\nrole: viewer\n{model}cases:\n{denied}"
        );
        let sources = [
            source("acme.yaml", organization.to_owned()),
            source("role.yaml", format!("{ROLE}{deny}")),
            source("a.test.yaml", test),
        ];
        outcomes(Manifests::parse(&sources).unwrap(), None)
    };
    assert_eq!(read("", "").unwrap()[0].failure, None);
    assert!(read("permissionModel: AllowDeny\n", "").unwrap()[0].failure.is_some());
    assert!(read("", deny).unwrap_err()[0].message.contains("with AllowOnly, the operator does not send the role"));
}

#[test]
fn report_explains_failed_cases() {
    let report = Report::new(
        run(&(case("Allowed", OWN) + &case("Allowed", "attributes: { conversation_user_id: dana }"))).unwrap(),
    );
    assert_eq!(
        anstream::adapter::strip_str(&report.to_table()).to_string(),
        "✓ viewer.test.yaml:7 viewer: a case\n\
         ✗ viewer.test.yaml:8 viewer: a case\n    \
             expected Allowed, got Denied\n      \
               role viewer, Conversation:GetConversation, attributes conversation_user_id=\"dana\", org_id=\"acme\"\n      \
               not allowed by permissionGrants[0] of Role viewer (role.yaml:8): Own ones\n        \
                 ✗ conversation_user_id Equals \"{self}\" (\"eve\"): got \"dana\"\n\
         1 passed, 1 failed\n"
    );
}

#[test]
fn report_has_json_and_junit_formats() {
    let report = Report::new(run(&case("Denied", OWN)).unwrap());
    let document: serde_json::Value = serde_json::from_str(&json(&report).unwrap()).unwrap();
    assert_eq!((&document["failed"], &document["cases"][0]["location"]["line"]), (&1.into(), &7.into()));
    let xml = report.to_junit().unwrap();
    for part in [r#"tests="1""#, r#"failures="1""#, r#"file="viewer.test.yaml""#, "expected Denied, got Allowed"] {
        assert!(xml.contains(part), "{part} in {xml}");
    }
}
