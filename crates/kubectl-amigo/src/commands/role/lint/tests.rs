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

fn remarks(text: &str) -> Vec<Remark> {
    let source = SourceFile { name: "my roles/viewer.yaml".to_owned(), text: text.to_owned() };
    match Manifests::parse(&[source]) {
        Ok(manifests) => of_role(&manifests.roles[0].object, |pointer| Some(manifests.roles[0].location_of(pointer))),
        Err(problems) => problems.into_iter().map(Remark::from).collect(),
    }
}

fn variable() -> Remark {
    let found = remarks(ROLE).into_iter().find(|remark| remark.code == "UnknownVariable");
    found.expect("an unknown variable")
}

#[test]
fn a_remark_names_the_line_and_the_place() {
    let remark = variable();
    let line = remark.line.clone().expect("a line").to_string();
    assert_eq!((line.as_str(), remark.severity), ("my roles/viewer.yaml:11", Severity::Error));
    assert_eq!(remark.place, "spec.permissionGrants[0].conditions.org_id");
    let text = printed(&[remark], OutputFormat::Table).unwrap();
    assert!(text.contains("my roles/viewer.yaml:11: ") && text.contains("UnknownVariable: "), "{text}");
}

#[test]
fn the_objects_name_is_the_place_of_a_bad_role_name() {
    let reserved = remarks(&ROLE.replace("name: viewer", "name: Default-x"));
    assert_eq!((reserved[0].code, reserved[0].place.as_str()), ("ReservedName", "metadata.name"));
    let named = remarks(&ROLE.replace("  description: Sees", "  description: Sees\n  roleName: Default-x"));
    assert_eq!((named[0].place.as_str(), named[0].line.as_ref().unwrap().line), ("spec.roleName", 7));
}

#[test]
fn a_file_that_cannot_be_read_is_a_finding() {
    let invalid = remarks(&ROLE.replace("conditions:", "condtions:"));
    assert_eq!((invalid[0].code, invalid[0].severity), ("InvalidManifest", Severity::Error));
    assert_eq!(text::summary(0, &invalid), "1 error; no role was checked, as the files must be valid first");
}

#[test]
fn json_has_the_line_and_stable_codes() {
    let printed: Value = serde_json::from_str(&printed(&[variable()], OutputFormat::Json).unwrap()).unwrap();
    let part = ["file", "line", "role", "severity", "code"].map(|member| printed[0][member].clone());
    assert_eq!(json!(part), json!(["my roles/viewer.yaml", 11, "viewer", "error", "UnknownVariable"]));
}

#[test]
fn sarif_names_file_line_and_rule() {
    let log = sarif::log(&[variable()]);
    let (run, result) = (&log["runs"][0], &log["runs"][0]["results"][0]);
    let physical = &result["locations"][0]["physicalLocation"];
    assert_eq!(physical["artifactLocation"]["uri"], "my%20roles/viewer.yaml");
    assert_eq!((&physical["region"]["startLine"], &result["level"]), (&json!(11), &json!("error")));
    let rule = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
    assert_eq!(run["tool"]["driver"]["rules"][rule]["id"], result["ruleId"]);
}

#[test]
fn github_shows_it_beside_the_line() {
    let command = github::command(&Remark { message: "50% of\nit".to_owned(), advice: "x".to_owned(), ..variable() });
    let expected = "::error file=my roles/viewer.yaml,line=11,title=UnknownVariable::role viewer, \
                    spec.permissionGrants[0].conditions.org_id: 50%25 of%0Ait: x\n";
    assert_eq!(command, expected);
}

#[test]
fn the_summary_counts() {
    let note = Remark { severity: Severity::Note, ..variable() };
    assert_eq!(text::summary(2, &[variable(), note.clone(), note]), "1 error, 0 warnings, 2 notes in 2 roles");
}
