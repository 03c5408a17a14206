//! Who writes status.

use serde_json::json;
use test_support::policies::{House, policies};
use test_support::{CHARTS_OPERATOR, ENGINEER, Run};

use super::requesters::request;

/// One object of each kind.
async fn one_of_each(house: &House) -> [(&'static str, String); 4] {
    let name = house.cluster.namespace.clone();
    let objects = format!(
        "
apiVersion: permissions.amigo.ai/v1alpha1
kind: Organization
metadata: {{name: {name}}}
spec: {{organization: acme, credentialsSecretRef: {{name: acme}}}}
---
apiVersion: permissions.amigo.ai/v1alpha1
kind: Role
metadata: {{name: reader}}
spec: {{organizationRef: {{name: {name}}}, description: Reads}}
---
apiVersion: permissions.amigo.ai/v1alpha1
kind: RoleAssignment
metadata: {{name: colleague}}
spec: {{organizationRef: {{name: {name}}}, user: {{email: colleague@example.com}}, roleName: reader}}
"
    );
    house.cluster.apply(&objects).await.expect("objects");
    let mut grant = request();
    grant["metadata"] = json!({"name": "request"});
    house.cluster.apply(&grant.to_string()).await.expect("a request");
    [
        ("organization", name),
        ("roles.permissions.amigo.ai", "reader".to_owned()),
        ("roleassignment", "colleague".to_owned()),
        ("tpg", "request".to_owned()),
    ]
}

fn write_status(house: &House, who: &[&str], kind: &str, name: &str) -> Run {
    let patch = r#"{"status": {"observedGeneration": 1}}"#;
    let write = ["patch", kind, name, "--subresource=status", "--type=merge", "--patch", patch];
    house.cluster.kubectl(&[who, write.as_slice()].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_the_operator_writes_status_of_any_kind() {
    let house = House::bare("status").await;
    let objects = one_of_each(&house).await;
    let writers = format!("--set=admission.status.writers={{{CHARTS_OPERATOR},admin}}");
    house.cluster.kubectl_with(&["apply", "-f", "-"], &policies(&house.cluster.namespace, &[&writers])).expect("it");
    let operator = format!("system:serviceaccount:{}:amigo-operator", house.cluster.namespace);
    let message = format!("only the operator ({operator}) can write status: change the spec instead");
    // A cluster administrator who is not on the list is no exception.
    let administrator = ["--as=root", "--as-group=system:masters"];
    for (kind, name) in &objects {
        house.until_refused(&message, || write_status(&house, &administrator, kind, name)).await;
        write_status(&house, &[&format!("--as={operator}"), "--as-group=system:masters"], kind, name).expect("it");
        write_status(&house, &[], kind, name).expect("one of the list");
    }
    let (kind, name) = &objects[3];
    house.until_refused(&message, || write_status(&house, &["--context", ENGINEER], kind, name)).await;
}
