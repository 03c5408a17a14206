//! The policies' expressions fit the types of the kinds they judge.

use std::{path::PathBuf, process::Command, time::Duration};

use test_support::policies::{GITOPS, MUTATING, PolicyEnv};
use test_support::repository;
use test_support::{Run, TestEnv, eventually, fixture};

const KINDS: [&str; 3] = ["Kind=Role:", "Kind=RoleAssignment:", "Kind=TemporaryPermissionGrant:"];

fn typechecker() -> PathBuf {
    let script = repository("tests/tools/typecheck/build.sh");
    let folder = Run::of(Command::new("sh").arg(script), "").expect("the type checker");
    PathBuf::from(folder.trim()).join("typecheck")
}

fn check(typechecker: &PathBuf, env: &TestEnv) -> String {
    let plane = env.plane();
    let mut command = Command::new(typechecker);
    command.env("KUBECONFIG", plane.kubeconfig_path()).env("NO_PROXY", "127.0.0.1");
    Run::of(&mut command, "").expect("the type checker")
}

#[tokio::test(flavor = "multi_thread")]
async fn kubernetes_warns_of_no_expression() {
    let limits = "--set=admission.limits.longestDuration=PT8H,admission.limits.permissions={Conversation:*},\
                  admission.limits.justificationPattern=[A-Z]+";
    let trusted = format!("--set=admission.trustedRequesters={{{GITOPS}}}");
    let policies = PolicyEnv::new("types", &[MUTATING, limits, &trusted]).await;
    policies.env.apply(&fixture("misspelt-policy.yaml", &[])).await;
    let typechecker = typechecker();
    // The API server describes a new kind a moment after it serves it.
    let report = eventually(Duration::from_mins(1), "each kind is known", || async {
        let report = check(&typechecker, &policies.env);
        KINDS.iter().all(|kind| report.contains(kind)).then_some(report)
    })
    .await;
    for rule in [
        "requested-by",
        "own-requests",
        "delete-warning",
        "not-after-warning",
        "role-names",
        "role-assignments",
        "role-overrides",
        "assigned-roles",
        "limits",
    ] {
        let line = format!("checked {}-amigo-operator-{rule}\n", policies.env.namespace);
        assert!(report.contains(&line), "{report}");
    }
    let warnings: Vec<&str> = report.lines().filter(|line| line.starts_with("warning ")).collect();
    assert!(warnings.iter().all(|line| line.starts_with("warning misspelt ")), "{report}");
}
