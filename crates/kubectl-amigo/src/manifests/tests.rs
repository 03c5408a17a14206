use super::*;

const ROLE: &str = "# a comment
apiVersion: permissions.amigo.ai/v1alpha1
kind: Role
metadata: { name: viewer }
spec:
  organizationRef: { name: acme }
  description: Sees
  permissionGrants:
    - permissionName: Conversation:GetConversation
      conditions:
        org_id: { type: Equals, value: acme }
    - permissionName: Conversation:GetMessage
";

fn parse(text: &str) -> Result<Manifests, Vec<Problem>> {
    Manifests::parse(&[SourceFile { name: "role.yaml".to_owned(), text: text.to_owned() }])
}

fn problems(text: &str) -> Vec<String> {
    parse(text).unwrap_err().iter().map(Problem::to_string).collect()
}

#[test]
fn every_field_has_its_line() {
    let manifests = parse(&format!("---\nkind: Other\napiVersion: v1\n---\n{ROLE}")).unwrap();
    let lines = [
        "",
        "/spec/permissionGrants/0",
        "/spec/permissionGrants/0/conditions/org_id",
        "/spec/permissionGrants/1/conditions",
    ]
    .map(|pointer| manifests.roles[0].location_of(pointer).line);
    assert_eq!((lines, manifests.skipped), ([6, 13, 15, 16], 1));
    assert_eq!(manifests.roles[0].location_of("").to_string(), "role.yaml:6");
}

#[test]
fn misspelled_field_is_an_error_with_its_line() {
    let expected = "role.yaml:10: unknown field spec.permissionGrants.0.condtions: check the spelling";
    assert_eq!(problems(&ROLE.replace("conditions:", "condtions:")), [expected]);
    let nested = ROLE.replace("name: viewer", "name: viewer, lables: {}");
    assert_eq!(problems(&nested), ["role.yaml:4: unknown field metadata.lables: check the spelling"]);
}

#[test]
fn invalid_value_names_its_field_and_line() {
    let wrong = problems(&ROLE.replace("description: Sees", "description: 7"));
    assert_eq!(wrong, ["role.yaml:7: spec.description: invalid type: integer `7`, expected a string"]);
    let condition = problems(&ROLE.replace("value: acme", "values: acme"));
    assert!(condition[0].starts_with("role.yaml:11: spec.permissionGrants.0.conditions.org_id"), "{condition:?}");
    let missing = problems(&ROLE.replace("  description: Sees\n", ""));
    assert!(missing[0].contains("missing field `description`"), "{missing:?}");
}

#[test]
fn all_problems_are_reported_at_once() {
    let text = ROLE.replace("conditions:", "condtions:").replace("Conversation:GetMessage", "7");
    assert_eq!(problems(&format!("{text}---\n{}", ROLE.replace("name: viewer", ""))).len(), 3);
}

#[test]
fn invalid_documents_are_reported_with_their_line() {
    let broken = problems(&ROLE.replace("{ name: viewer }", "{ name: viewer"));
    assert!(broken[0].starts_with("role.yaml:5: invalid YAML: "), "{broken:?}");
    assert!(problems("a: 1\na: 2\n")[0].starts_with("role.yaml:2: invalid YAML: "));
    assert!(problems(&ROLE.replace("apiVersion", "apiVerson"))[0].contains("role.yaml:2: not a Kubernetes object"));
    assert_eq!(parse("image: {tag: v1}").unwrap().skipped, 1);
    assert!(problems("just text")[0].contains("not a Kubernetes object"));
    assert!(problems(&ROLE.replace("v1alpha1", "v2"))[0].contains("unknown version permissions.amigo.ai/v2"));
    assert!(problems(&ROLE.replace("kind: Role", "kind: Roles"))[0].contains("unknown kind Roles"));
    assert!(problems(&ROLE.replace("name: viewer", "labels: {}"))[0].contains("role.yaml:4: metadata.name is missing"));
}

#[test]
fn lists_and_json_are_read() {
    let role = parse(ROLE).unwrap().roles.remove(0).document.tree.to_json();
    let list = serde_json::json!({ "apiVersion": "v1", "kind": "List", "items": [role, role] });
    assert_eq!(parse(&serde_json::to_string_pretty(&list).unwrap()).unwrap().roles.len(), 2);
    let tabs = serde_json::to_string_pretty(&list).unwrap().replace("  ", "\t");
    assert_eq!(parse(&tabs).unwrap().roles.len(), 2);
    let typed = "apiVersion: permissions.amigo.ai/v1alpha1\nkind: RoleList\nitems:\n- metadata: {name: x}\n  spec: {organizationRef: {name: a}, description: d}\n";
    assert_eq!(parse(typed).unwrap().roles[0].location_of("").line, 4);
}

#[test]
fn kinds_of_other_groups_are_skipped() {
    let rbac = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: x}\nrules: []\n";
    let manifests = parse(rbac).unwrap();
    assert_eq!((manifests.roles.len(), manifests.skipped), (0, 1));
}

#[test]
fn folders_are_read_without_following_links() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("tests")).unwrap();
    std::os::unix::fs::symlink(folder.path(), folder.path().join("tests/up")).unwrap();
    for name in ["b.yaml", "a.json", "c.txt", "tests/d.test.yaml", "tests/e.yml"] {
        std::fs::write(folder.path().join(name), name).unwrap();
    }
    let options = |recursive| FileOptions { files: vec![folder.path().display().to_string()], recursive };
    let texts = |sources: Result<Vec<SourceFile>, _>| {
        sources.unwrap().into_iter().map(|source| source.text).collect::<Vec<_>>()
    };
    assert_eq!(texts(options(false).sources()), ["a.json", "b.yaml"]);
    assert_eq!(texts(options(true).sources()), ["a.json", "b.yaml", "tests/d.test.yaml", "tests/e.yml"]);
    let include = |name: &str| name.ends_with(".test.yaml");
    assert_eq!(texts(options(false).sources_and(include)), ["a.json", "b.yaml", "tests/d.test.yaml"]);
}

#[test]
fn unreadable_files_are_reported() {
    let missing = FileOptions { files: vec!["no/such.yaml".to_owned()], recursive: false }.sources().unwrap_err();
    assert_eq!(missing.exit.code(), 2);
    assert!(missing.message.contains("cannot read no/such.yaml"), "{missing}");
    let empty = tempfile::tempdir().unwrap();
    let none = FileOptions { files: vec![empty.path().display().to_string()], recursive: false }.sources();
    assert!(none.unwrap_err().message.contains("contains no *.yaml"));
}
