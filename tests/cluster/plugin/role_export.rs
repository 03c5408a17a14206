//! `kubectl amigo role export`: what it prints takes the roles over without a change at Amigo.

use amigo_sandbox::{Change, PermissionModel};
use test_support::{ENGINEER, Run, STRANGER, test_env::Stage};

use super::users::{amigo, amigo_as, let_read_secret, let_request};

/// Runs the export as the engineer, against the sandbox's address.
fn export(stage: &Stage, arguments: &[&str]) -> Run {
    let sandbox = ["--allow-plain-http", "--allowed-api-host=127.0.0.1", "--operator-namespace=default"];
    amigo(stage, &[&["role", "export", "-e", &stage.name], sandbox.as_slice(), arguments].concat())
}

fn role_changes(stage: &Stage) -> usize {
    let is_of_role = |change: &Change| matches!(change, Change::RoleCreated { .. } | Change::RoleModified { .. });
    stage.sandbox.journal().iter().filter(|commit| is_of_role(&commit.change)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exported_role_is_adopted_without_a_change() {
    let stage = Stage::new("exported").await;
    let_request(&stage, ENGINEER).await;
    let_read_secret(&stage, ENGINEER).await;
    let printed = export(&stage, &[]);
    assert_eq!(printed.code, 0, "{printed:?}");
    assert!(printed.stderr.contains("4 of Amigo's own roles, named Default*, are left out"), "{printed:?}");
    stage.apply(&printed.stdout).await;
    for name in ["amigo-operator", "engineer"] {
        stage.until_ready("amrole", name).await;
    }
    assert_eq!(role_changes(&stage), 0, "{:#?}", stage.sandbox.journal());
}

#[tokio::test(flavor = "multi_thread")]
async fn actions_are_exported_where_the_api_has_them() {
    let stage = Stage::seeded("exported-deny", |seed| {
        seed.organizations[0].model = PermissionModel::AllowDeny;
    })
    .await;
    stage.connect("").await;
    stage.until_ready("amorg", &stage.name).await;
    let_request(&stage, ENGINEER).await;
    let_read_secret(&stage, ENGINEER).await;
    let printed = export(&stage, &["Engineer"]);
    assert!(printed.stdout.contains("action: Allow"), "{printed:?}");
    stage.apply(&printed.stdout).await;
    stage.until_ready("amrole", "engineer").await;
    assert_eq!(role_changes(&stage), 0, "{:#?}", stage.sandbox.journal());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_role_and_all_have_forms_in_json() {
    let stage = Stage::new("exported-json").await;
    let_request(&stage, ENGINEER).await;
    let_read_secret(&stage, ENGINEER).await;
    let kind = |arguments: &[&str]| {
        let printed = export(&stage, arguments);
        serde_json::from_str::<serde_json::Value>(&printed.stdout).expect("JSON")["kind"].clone()
    };
    assert_eq!((kind(&["Engineer", "-o", "json"]), kind(&["-o", "json"])), ("Role".into(), "List".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_roles_are_reported() {
    let stage = Stage::new("exported-not").await;
    let_request(&stage, ENGINEER).await;
    let_read_secret(&stage, ENGINEER).await;
    let unknown = export(&stage, &["engineer"]);
    assert_eq!(unknown.code, 1);
    assert!(
        unknown.stderr.contains("role engineer does not exist") && unknown.stderr.contains("Engineer"),
        "{unknown:?}"
    );
    assert_eq!(export(&stage, &["DefaultUserRole"]).code, 3);
    // The rights are one user's at a time.
    let_request(&stage, STRANGER).await;
    let arguments = ["role", "export", "-e", &stage.name, "--allow-plain-http", "--allowed-api-host=127.0.0.1"];
    let forbidden = amigo_as(&stage, STRANGER, &[arguments.as_slice(), &["--operator-namespace=default"]].concat());
    assert_eq!(forbidden.code, 3);
    assert!(forbidden.stderr.contains("needs `get` on Secret"), "{forbidden:?}");
}
