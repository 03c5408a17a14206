//! `kubectl amigo role export`: its manifests adopt roles without a change at Amigo.

use amigo_sandbox::{Change, PermissionModel};
use test_support::{ENGINEER, Run, STRANGER, TestEnv};

use super::users::{amigo, amigo_as, let_read_secret, let_request};

/// Runs the export as the engineer, against the sandbox's address.
fn export(env: &TestEnv, arguments: &[&str]) -> Run {
    let sandbox = ["--allowed-api-host=http://127.0.0.1", "--operator-namespace=default"];
    amigo(env, &[&["role", "export", "-e", &env.organization], sandbox.as_slice(), arguments].concat())
}

fn role_changes(env: &TestEnv) -> usize {
    let is_of_role = |change: &Change| matches!(change, Change::RoleCreated { .. } | Change::RoleModified { .. });
    env.sandbox().journal().iter().filter(|commit| is_of_role(&commit.change)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn exported_role_is_adopted_without_a_change() {
    let env = TestEnv::ready("exported").await;
    let_request(&env, ENGINEER).await;
    let_read_secret(&env, ENGINEER).await;
    let printed = export(&env, &[]);
    assert_eq!(printed.code, 0, "{printed:?}");
    assert!(printed.stderr.contains("omitted 4 built-in roles, named Default*"), "{printed:?}");
    env.apply(&printed.stdout).await;
    for name in ["amigo-operator", "engineer"] {
        env.until_ready("amrole", name).await;
    }
    assert_eq!(role_changes(&env), 0, "{:#?}", env.sandbox().journal());
}

#[tokio::test(flavor = "multi_thread")]
async fn allow_deny_api_exports_actions() {
    let env = TestEnv::seeded("exported-deny", |seed| {
        seed.organizations[0].model = PermissionModel::AllowDeny;
    })
    .await;
    env.connect("").await;
    env.until_ready("amorg", &env.organization).await;
    let_request(&env, ENGINEER).await;
    let_read_secret(&env, ENGINEER).await;
    let printed = export(&env, &["Engineer"]);
    assert!(printed.stdout.contains("action: Allow"), "{printed:?}");
    env.apply(&printed.stdout).await;
    env.until_ready("amrole", "engineer").await;
    assert_eq!(role_changes(&env), 0, "{:#?}", env.sandbox().journal());
}

#[tokio::test(flavor = "multi_thread")]
async fn export_prints_json_objects_and_lists() {
    let env = TestEnv::ready("exported-json").await;
    let_request(&env, ENGINEER).await;
    let_read_secret(&env, ENGINEER).await;
    let kind = |arguments: &[&str]| {
        let printed = export(&env, arguments);
        serde_json::from_str::<serde_json::Value>(&printed.stdout).expect("JSON")["kind"].clone()
    };
    assert_eq!((kind(&["Engineer", "-o", "json"]), kind(&["-o", "json"])), ("Role".into(), "List".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_roles_are_reported() {
    let env = TestEnv::ready("exported-not").await;
    let_request(&env, ENGINEER).await;
    let_read_secret(&env, ENGINEER).await;
    let unknown = export(&env, &["engineer"]);
    assert_eq!(unknown.code, 1);
    assert!(
        unknown.stderr.contains("role engineer does not exist") && unknown.stderr.contains("Engineer"),
        "{unknown:?}"
    );
    assert_eq!(export(&env, &["DefaultUserRole"]).code, 3);
    // The rights are one user's at a time.
    let_request(&env, STRANGER).await;
    let arguments = ["role", "export", "-e", &env.organization, "--allowed-api-host=http://127.0.0.1"];
    let forbidden = amigo_as(&env, STRANGER, &[arguments.as_slice(), &["--operator-namespace=default"]].concat());
    assert_eq!(forbidden.code, 3);
    assert!(forbidden.stderr.contains("you need `get` on Secret"), "{forbidden:?}");
}
