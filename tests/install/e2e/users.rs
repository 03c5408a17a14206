//! Who takes part, and what RBAC gives them: the chart's roles and nothing else.

use serde_json::json;
use test_support::Run;

use super::cluster::Cluster;
use super::release::{NAMESPACE, RELEASE};

/// The namespace people work in.
pub const TEAM: &str = "amigo-e2e-team";
/// An engineer on call; the sandbox knows the address.
pub const REQUESTER: &str = "eng@example.com";
/// Somebody else of the organization.
pub const COLLEAGUE: &str = "colleague@example.com";
/// Says what roles allow.
pub const EDITOR: &str = "editor@example.com";
/// Asks for others, and by their ids.
pub const LEAD: &str = "lead@example.com";
/// Looks on.
pub const VIEWER: &str = "viewer@example.com";
/// The chart's operator, as the API server knows it.
pub const OPERATOR: &str = "system:serviceaccount:amigo-system:amigo-operator";

/// Makes the team's namespace, and lets each person in by the chart's role for them.
pub fn let_in(cluster: &Cluster) {
    let cluster_role = |role: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": format!("{NAMESPACE}-{RELEASE}-{role}")});
    let user = |name: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name});
    let team = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": TEAM}});
    let roles: [(&str, &[&str]); 5] = [
        ("requester", &[REQUESTER, LEAD]),
        ("requester-for-others", &[LEAD]),
        ("role-editor", &[EDITOR]),
        ("role-assigner", &[EDITOR]),
        ("viewer", &[VIEWER]),
    ];
    let within = roles.map(|(role, names)| {
        let subjects: Vec<_> = names.iter().map(|name| user(name)).collect();
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": role, "namespace": TEAM}, "roleRef": cluster_role(role), "subjects": subjects,
        })
    });
    // Organizations belong to no namespace: who asks for access must see them.
    let everywhere = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": TEAM},
        "roleRef": cluster_role("viewer"), "subjects": [user(REQUESTER)],
    });
    for object in [vec![team], within.to_vec(), vec![everywhere]].concat() {
        cluster.kubectl_with(&["apply", "--filename=-"], &object.to_string()).expect("people are let in");
    }
}

/// Runs kubectl as one of them, in the team's namespace.
pub fn kubectl_as(cluster: &Cluster, person: &str, arguments: &[&str], input: &str) -> Run {
    cluster.kubectl_with(&[arguments, &["--as", person, "--namespace", TEAM]].concat(), input)
}

/// Applies manifests as one of them.
pub fn apply_as(cluster: &Cluster, person: &str, manifests: &str) -> Run {
    kubectl_as(cluster, person, &["apply", "--filename=-"], manifests)
}

/// Ends everything that is left of them.
pub fn leave(cluster: &Cluster) {
    cluster.kubectl(&["delete", "clusterrolebinding", TEAM]).expect("the binding is gone");
    cluster.kubectl(&["delete", "namespace", TEAM, "--wait=false"]).expect("the namespace goes");
}
