//! `kubectl amigo conversation request-access` with bad input, without rights, and without anybody who answers.

use amigo_api::Organization;
use amigo_dev::{ControlPlane, Identity, Options};
use amigo_sandbox::{Effect, Operation};
use kube::{Api, api::ListParams};
use test_support::policies;
use test_support::{
    ENGINEER, Run, STRANGER, assets, eventually, kubectl_command, run,
    test_env::{PATIENCE, Stage, install_crds},
};

use super::request_access::{request, request_as, standing};
use super::users::{amigo_as, let_request};

const ID: &str = "abc123def456abc123def456";

/// Fails with this code, and with each of these on stderr; stdout stays empty.
fn assert_refused(ran: &Run, code: i32, told: &[&str]) {
    assert_eq!(ran.code, code, "{ran:?}");
    assert!(told.iter().all(|text| ran.stderr.contains(text)), "{told:?} in {ran:?}");
    assert!(ran.stdout.is_empty(), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_values_are_usage_errors_before_any_call() {
    let stage = Stage::bare("usage").await;
    let ask = |conversation: &str, options: &[&str]| {
        let command = ["conversation", "request-access", conversation, "--kubeconfig", "/nowhere"];
        amigo_as(&stage, ENGINEER, &[&command, options].concat())
    };
    let reason = ["-j", "Debugging reported issue #42"];
    assert_refused(&ask("abc123", &reason), 2, &["abc123", "24 hexadecimal digits"]);
    assert_refused(&ask("https://org.amigo.ai/admin/conversation/abc123", &reason), 2, &["24 hexadecimal digits"]);
    assert_refused(&ask(ID, &["-j", "too short"]), 2, &["9 characters", "write 10 to 1024"]);
    assert_refused(&ask(ID, &["-j", "             "]), 2, &["0 characters"]);
    assert_refused(&ask(ID, &[]), 2, &["--justification"]);
    let with = |option, value| ask(ID, &[reason.as_slice(), &[option, value]].concat());
    assert_refused(&with("-d", "2h"), 2, &["ISO 8601: PT2H"]);
    assert_refused(&with("-d", "P4D"), 2, &["at least PT1M and at most P3D"]);
    assert_refused(&with("--revoke-within", "PT1M"), 2, &["at least PT5M"]);
    assert_refused(&with("--user-email", "colleague"), 2, &["dana@example.com"]);
    assert_refused(&with("--timeout", "soon"), 2, &["such as 30s"]);
    assert_refused(&ask(ID, &[&reason, ["--json", "-o", "yaml"].as_slice()].concat()), 2, &["cannot be used with"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn url_of_another_console_is_refused_with_both_hosts() {
    let stage = Stage::bare("host").await;
    stage.connect("  consoleUrl: https://host.amigo.ai").await;
    stage.until_ready("amorg", &stage.name).await;
    let_request(&stage, ENGINEER).await;
    let page = format!("https://other.amigo.ai/admin/conversation/{ID}");
    assert_refused(&request(&stage, &page, &[]), 2, &["is on other.amigo.ai", "is on host.amigo.ai"]);
    let command = ["conversation", "request-access", &page, "-j", "Debugging reported issue #42"];
    let inferred = amigo_as(&stage, ENGINEER, &command);
    let known = format!("{} (https://host.amigo.ai)", stage.name);
    assert_refused(&inferred, 1, &["no Organization has the console of https://other.amigo.ai", &known]);
    assert!(standing(&stage).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_organization_lists_the_existing_ones() {
    let stage = Stage::new("unknown").await;
    let_request(&stage, ENGINEER).await;
    let command = ["conversation", "request-access", ID, "-j", "Debugging reported issue #42", "-e", "no-such"];
    let ran = amigo_as(&stage, ENGINEER, &command);
    assert_refused(&ran, 1, &["Organization no-such does not exist", &stage.name]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_that_cannot_be_used_is_not_asked() {
    let stage = Stage::bare("closed").await;
    stage.apply(&stage.organization(&format!("http://{}", stage.address), "")).await;
    stage.until_reason("amorg", &stage.name, "Ready", "SecretNotFound").await;
    let_request(&stage, ENGINEER).await;
    assert_refused(&request(&stage, ID, &[]), 3, &["is not ready: Secret", "ask whoever runs amigo-operator"]);
    stage.connect("  suspend: true").await;
    assert_refused(&request(&stage, ID, &[]), 3, &["is suspended"]);
    let elsewhere = ["conversation", "request-access", ID, "-j", "Debugging reported issue #42", "-e", &stage.name];
    let ran = run(kubectl_command(stage.cluster.plane()).arg("amigo").args(elsewhere).args(["-n", "default"]));
    assert_refused(&ran, 3, &["does not admit namespace default", "spec.allowedNamespaces"]);
    assert!(standing(&stage).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn user_without_create_rights_learns_whom_to_ask() {
    let stage = Stage::new("rights").await;
    let stranger = request_as(&stage, STRANGER, ID, &[]);
    assert_refused(&stranger, 3, &["forbidden", "stranger@example.com", "ask whoever runs the cluster"]);
    let_request(&stage, STRANGER).await;
    let role = "{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: requester}, rules: []}";
    stage.apply(role).await;
    let reader = request_as(&stage, STRANGER, ID, &[]);
    let namespace = format!("a role in namespace {}", stage.cluster.namespace);
    assert_refused(&reader, 3, &["forbidden", &namespace, "create temporarypermissiongrants.permissions.amigo.ai"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn request_for_others_shows_the_policy_message() {
    let stage = Stage::new("policies").await;
    let_request(&stage, ENGINEER).await;
    policies::install(&stage.cluster, &[]);
    // A policy is in force a moment after it was stored.
    let refused = eventually(policies::WITHIN, "a policy refuses", || async {
        let ran = request(&stage, ID, &["--user-email", "colleague@example.com", "--no-wait"]);
        (ran.code != 0).then_some(ran)
    });
    let refused = refused.await;
    assert_refused(&refused, 3, &["denied request", "request-for-others"]);
    assert!(!refused.stderr.contains("ask whoever runs the cluster"), "{refused:?}");
    assert_eq!(request(&stage, ID, &[]).code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_organization_is_named_without_list_rights() {
    let stage = Stage::new("getonly").await;
    let_request(&stage, ENGINEER).await;
    let rules = format!(
        "{{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {{name: {}-organizations}}, \
         rules: [{{apiGroups: [permissions.amigo.ai], resources: [organizations], verbs: [get]}}]}}",
        stage.cluster.namespace
    );
    stage.apply(&rules).await;
    for command in [
        ["conversation", "request-access", ID, "-j", "Debugging reported issue #42", "-e", "no-such"].as_slice(),
        &["conversation", "list-access", "-e", "no-such"],
    ] {
        assert_refused(&amigo_as(&stage, ENGINEER, command), 1, &["Organization no-such does not exist"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_user_is_refused_and_the_request_stands() {
    let stage = Stage::new("nobody").await;
    let_request(&stage, ENGINEER).await;
    let ran = request(&stage, ID, &["--user-email", "nobody@example.com"]);
    assert_refused(&ran, 3, &["nobody@example.com", "invite the user first", "(UserNotFound)", "kubectl amigo revoke"]);
    assert_eq!(standing(&stage)[0]["spec"]["user"]["email"], "nobody@example.com");
}

#[tokio::test(flavor = "multi_thread")]
async fn user_without_email_must_name_one() {
    let stage = Stage::new("noaddress").await;
    let ran = request_as(&stage, "admin", ID, &[]);
    assert_refused(&ran, 2, &["\"admin\", which is no e-mail address", "--user-email"]);
    assert!(standing(&stage).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_not_taken_twice() {
    let stage = Stage::new("twice").await;
    let_request(&stage, ENGINEER).await;
    assert_eq!(request(&stage, ID, &["--name", "mine", "--no-wait"]).code, 0);
    assert_refused(&request(&stage, ID, &["--name", "mine"]), 1, &["already exists", "choose another --name"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn amigos_refusal_is_passed_on() {
    let stage = Stage::new("forbidden").await;
    let_request(&stage, ENGINEER).await;
    let refusal = Effect::Status { status: 422, retry_after: None, body: None };
    stage.fail(Operation::CreateTemporaryPermissionGrant, refusal);
    assert_refused(&request(&stage, ID, &[]), 3, &["was refused", "(Refused)", "kubectl amigo explain"]);
}

/// Three states that the shared control plane is never in: no kinds, no Organization, no operator.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_where_nobody_answers_is_told() {
    let options = Options { identities: vec![Identity::new(ENGINEER, &["system:masters"])], audited: vec![] };
    let plane = ControlPlane::start_with(assets().await, options).await.expect("a control plane");
    let ask = |options: &[&str]| {
        let command = ["amigo", "conversation", "request-access", ID, "-j", "Debugging reported issue #42"];
        run(kubectl_command(&plane).args(command).args(["--context", ENGINEER]).args(options))
    };
    assert_refused(&ask(&["-e", "production"]), 1, &["is amigo-operator installed here?"]);
    let client = plane.client().await.expect("a client");
    install_crds(&client).await;
    // A kind is established a little before it can be listed.
    let kinds: Api<Organization> = Api::all(client.clone());
    eventually(PATIENCE, "a listing", || async { kinds.list(&ListParams::default()).await.ok() }).await;
    assert_refused(&ask(&[]), 1, &["there is no Organization in this cluster yet"]);
    assert_refused(&ask(&["-e", "production"]), 1, &["Organization production does not exist", "no Organization"]);
    let organization = "{apiVersion: permissions.amigo.ai/v1alpha1, kind: Organization, metadata: {name: production}, \
        spec: {organization: acme, credentialsSecretRef: {name: acme}, allowedNamespaces: [default]}}";
    amigo_dev::apply(&client, "default", "test", organization).await.expect("applied");
    let ran = ask(&["--name", "alone"]);
    let told = ["has not looked at request alone", "kubectl -n amigo-system get pods", "the request stands"];
    assert_refused(&ran, 4, &told);
}
