//! The policies' expressions fit the types of the kinds they judge.

use std::{path::PathBuf, process::Command, time::Duration};

use test_support::policies::{House, MUTATING};
use test_support::repository;
use test_support::{Cluster, Run, eventually};

// To see it warned of.
const MISSPELT: &str = "
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: misspelt}
spec:
  matchConstraints:
    resourceRules:
    - apiGroups: [permissions.amigo.ai]
      apiVersions: [v1alpha1]
      resources: [roles, roleassignments, temporarypermissiongrants]
      operations: [CREATE]
  validations:
  - expression: has(object.spec.organisationRef)
";

const KINDS: [&str; 3] = ["Kind=Role:", "Kind=RoleAssignment:", "Kind=TemporaryPermissionGrant:"];

fn typechecker() -> PathBuf {
    let script = repository("tests/tools/typecheck/build.sh");
    let folder = Run::of(Command::new("sh").arg(script), "").expect("the type checker");
    PathBuf::from(folder.trim()).join("typecheck")
}

fn check(typechecker: &PathBuf, cluster: &Cluster) -> String {
    let plane = cluster.plane();
    let mut command = Command::new(typechecker);
    command.env("KUBECONFIG", plane.kubeconfig_path()).env("NO_PROXY", "127.0.0.1");
    Run::of(&mut command, "").expect("the type checker")
}

#[tokio::test(flavor = "multi_thread")]
async fn kubernetes_warns_of_no_expression() {
    let limits = "--set=admission.limits.longestDuration=PT8H,admission.limits.permissions={Conversation:*},\
                  admission.limits.justificationPattern=[A-Z]+";
    let house = House::new("types", &[MUTATING, limits]).await;
    house.cluster.apply(MISSPELT).await.expect("a policy");
    let typechecker = typechecker();
    // The API server describes a new kind a moment after it serves it.
    let report = eventually(Duration::from_mins(1), "each kind is known", || async {
        let report = check(&typechecker, &house.cluster);
        KINDS.iter().all(|kind| report.contains(kind)).then_some(report)
    })
    .await;
    for rule in ["requested-by", "own-requests", "delete-warning", "role-names", "assigned-roles", "limits"] {
        let line = format!("checked {}-amigo-operator-{rule}\n", house.cluster.namespace);
        assert!(report.contains(&line), "{report}");
    }
    let warnings: Vec<&str> = report.lines().filter(|line| line.starts_with("warning ")).collect();
    assert!(warnings.iter().all(|line| line.starts_with("warning misspelt ")), "{report}");
}
