//! A namespace with the chart's policies, and people who may do everything there but what a policy refuses.

use std::time::Duration;

use serde_json::Value;

use crate::{
    ENGINEER, Run, STRANGER, SharedControlPlane, TestEnv, eventually, fixture,
    helm::{chart, helm},
};

/// The group of people without a token of their own, whom `admin` stands in for.
pub const STAFF: &str = "staff";
/// A controller that applies what is in git.
pub const GITOPS: &str = "system:serviceaccount:argocd:argocd-application-controller";
/// That an API server has `MutatingAdmissionPolicy`.
pub const MUTATING: &str = "--api-versions=admissionregistration.k8s.io/v1/MutatingAdmissionPolicy";

/// How long a test waits for a policy: it is in force a moment after it was made, of which a busy machine makes more.
pub const WITHIN: Duration = Duration::from_mins(1);

/// The policies of the chart as manifests, for a release in `namespace` that holds there only.
pub fn policies(namespace: &str, flags: &[&str]) -> String {
    let chart = chart().display().to_string();
    let here =
        format!("--set-string=admission.namespaceSelector.matchLabels.kubernetes\\.io/metadata\\.name={namespace}");
    let show = ["--show-only=templates/admission/*.yaml", "--namespace", namespace, &here];
    helm(&[&["template", "amigo-operator", &chart], show.as_slice(), flags].concat()).expect("policies")
}

/// Applies the policies to `cluster`. A status counts in every namespace, so who writes it is not their concern here.
pub fn install(env: &TestEnv, flags: &[&str]) {
    let flags = [&["--set=admission.status.enabled=false"], flags].concat();
    env.kubectl_with(&["apply", "-f", "-"], &policies(&env.namespace, &flags)).expect("policies");
}

/// Lets everybody of the tests do everything with the kinds of this operator, as far as RBAC goes.
pub async fn let_work(env: &TestEnv) {
    let subjects = [("ENGINEER", ENGINEER), ("STRANGER", STRANGER), ("GITOPS", GITOPS), ("STAFF", STAFF)];
    let rules = fixture("policies-rbac.yaml", &subjects);
    env.apply(&rules).await;
}

/// A namespace under the policies.
pub struct PolicyEnv {
    /// The namespace.
    pub env: TestEnv,
}

// The chart's tests install and remove the kinds; these tests need them all the time.
static PLANE: SharedControlPlane = SharedControlPlane::new();

impl PolicyEnv {
    /// With the policies that these flags of helm give.
    pub async fn new(prefix: &str, flags: &[&str]) -> Self {
        let policies = Self::bare(prefix).await;
        install(&policies.env, flags);
        policies
    }

    /// Without policies.
    pub async fn bare(prefix: &str) -> Self {
        let env = TestEnv::builder(prefix).on(&PLANE).kinds().start().await;
        let_work(&env).await;
        Self { env }
    }

    /// Creates an object as a user with a token; what the API server answers.
    pub fn create(&self, user: &str, object: &Value) -> Run {
        self.create_with(&["--context", user], object)
    }

    /// Creates an object as somebody of the staff.
    pub fn create_as(&self, name: &str, claims: &[&str], object: &Value) -> Run {
        let who = ["--as", name, "--as-group", STAFF];
        let claims: Vec<String> = claims.iter().map(|claim| format!("--as-user-extra={claim}")).collect();
        self.create_with(&who.into_iter().chain(claims.iter().map(String::as_str)).collect::<Vec<_>>(), object)
    }

    fn create_with(&self, who: &[&str], object: &Value) -> Run {
        let create = ["create", "--filename=-", "--output=json"];
        self.env.kubectl_with(&[who, create.as_slice()].concat(), &object.to_string())
    }

    /// Waits until a request is refused with this, which is when the policy is in force, and returns what the user
    /// reads. Another policy may be in force first.
    pub async fn until_refused(&self, message: &str, attempt: impl Fn() -> Run) -> String {
        let refused = |run: &Run| !run.success && run.stderr.contains(message);
        eventually(WITHIN, message, || async { Some(attempt()).filter(refused) }).await.stderr
    }

    /// Waits until requests that do not say who asks are filled in, which is when that policy is in force.
    pub async fn until_filled(&self, attempt: impl Fn() -> Run) -> Value {
        eventually(WITHIN, "requestedBy is filled in", || async {
            let run = attempt();
            run.success.then(|| made(run)).filter(|object| object["spec"]["requestedBy"].is_string())
        })
        .await
    }
}

/// The object of a request that was let through.
pub fn made(run: Run) -> Value {
    serde_json::from_str(&run.expect("let through")).expect("an object")
}
