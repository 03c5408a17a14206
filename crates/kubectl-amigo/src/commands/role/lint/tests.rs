use serde_json::{Value, json};

use super::*;
use crate::manifests::{Manifests, SourceFile};

const ROLE: &str = "apiVersion: permissions.amigo.ai/v1alpha1
kind: Role
metadata: { name: viewer }
spec:
  organizationRef: { name: acme }
  description: Sees
  permissionGrants:
    - permissionName: Conversation:GetConversation
      description: why
      conditions:
        org_id: { type: Equals, value: '{self_organization}' }
";

fn findings(text: &str) -> Vec<LocatedFinding> {
    let source = SourceFile { name: "my roles/viewer.yaml".to_owned(), text: text.to_owned() };
    match Manifests::parse(&[source]) {
        Ok(manifests) => lint_role(&manifests.roles[0].object, |pointer| Some(manifests.roles[0].location_of(pointer))),
        Err(problems) => problems.into_iter().map(LocatedFinding::from).collect(),
    }
}

fn variable() -> LocatedFinding {
    let found = findings(ROLE).into_iter().find(|finding| finding.code == "UnknownVariable");
    found.expect("an unknown variable")
}

#[test]
fn finding_names_its_line_and_field() {
    let finding = variable();
    let line = finding.location.clone().expect("a location").to_string();
    assert_eq!((line.as_str(), finding.severity), ("my roles/viewer.yaml:11", Severity::Error));
    assert_eq!(finding.field, "spec.permissionGrants[0].conditions.org_id");
    let text = render(&[finding], OutputFormat::Table).unwrap();
    assert!(text.contains("my roles/viewer.yaml:11: ") && text.contains("UnknownVariable: "), "{text}");
}

#[test]
fn bad_role_name_is_located_at_the_objects_name() {
    let reserved = findings(&ROLE.replace("name: viewer", "name: Default-x"));
    assert_eq!((reserved[0].code, reserved[0].field.as_str()), ("ReservedName", "metadata.name"));
    let named = findings(&ROLE.replace("  description: Sees", "  description: Sees\n  roleName: Default-x"));
    assert_eq!((named[0].field.as_str(), named[0].location.as_ref().unwrap().line), ("spec.roleName", 7));
}

#[test]
fn invalid_file_is_a_finding() {
    let invalid = findings(&ROLE.replace("conditions:", "condtions:"));
    assert_eq!((invalid[0].code, invalid[0].severity), ("InvalidManifest", Severity::Error));
    assert_eq!(text::summary(0, &invalid), "1 error; fix the files first, because no role was checked");
}

#[test]
fn json_contains_lines_and_codes() {
    let document: Value = serde_json::from_str(&render(&[variable()], OutputFormat::Json).unwrap()).unwrap();
    let part = ["file", "line", "role", "severity", "code"].map(|member| document[0][member].clone());
    assert_eq!(json!(part), json!(["my roles/viewer.yaml", 11, "viewer", "error", "UnknownVariable"]));
}

#[test]
fn sarif_contains_file_line_and_rule() {
    let log = sarif::log(&[variable()]);
    let (run, result) = (&log["runs"][0], &log["runs"][0]["results"][0]);
    let physical = &result["locations"][0]["physicalLocation"];
    assert_eq!(physical["artifactLocation"]["uri"], "my%20roles/viewer.yaml");
    assert_eq!((&physical["region"]["startLine"], &result["level"]), (&json!(11), &json!("error")));
    let rule = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
    assert_eq!(run["tool"]["driver"]["rules"][rule]["id"], result["ruleId"]);
}

#[test]
fn github_command_contains_file_and_line() {
    let command =
        github::command(&LocatedFinding { message: "50% of\nit".to_owned(), advice: "x".to_owned(), ..variable() });
    let expected = "::error file=my roles/viewer.yaml,line=11,title=UnknownVariable::role viewer, \
                    spec.permissionGrants[0].conditions.org_id: 50%25 of%0Ait: x\n";
    assert_eq!(command, expected);
}

#[test]
fn summary_counts_findings_by_severity() {
    let note = LocatedFinding { severity: Severity::Note, ..variable() };
    assert_eq!(text::summary(2, &[variable(), note.clone(), note]), "1 error, 0 warnings, 2 notes in 2 roles");
}
