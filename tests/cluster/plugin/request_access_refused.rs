//! `kubectl amigo conversation request-access` with bad input, without rights, and without anybody who answers.

use amigo_api::Organization;
use amigo_dev::{ControlPlane, Identity, Options};
use amigo_sandbox::{Effect, Operation};
use kube::{Api, api::ListParams};
use test_support::policies;
use test_support::{
    ENGINEER, Run, STRANGER, TIMEOUT, TestEnv, assets, eventually, fixture, install_crds, kubectl_command, run,
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
    let env = TestEnv::with_operator("usage").await;
    let ask = |conversation: &str, options: &[&str]| {
        let command = ["conversation", "request-access", conversation, "--kubeconfig", "/nowhere"];
        amigo_as(&env, ENGINEER, &[&command, options].concat())
    };
    let reason = ["-j", "Debugging reported issue #42"];
    assert_refused(&ask("abc123", &reason), 2, &["abc123", "24 hexadecimal digits"]);
    assert_refused(&ask("https://org.amigo.ai/admin/conversation/abc123", &reason), 2, &["24 hexadecimal digits"]);
    assert_refused(&ask(ID, &["-j", "too short"]), 2, &["must be 10 to 1024 visible characters", "got 9"]);
    assert_refused(&ask(ID, &["-j", "             "]), 2, &["got 0"]);
    assert_refused(&ask(ID, &[]), 2, &["--justification"]);
    let with = |option, value| ask(ID, &[reason.as_slice(), &[option, value]].concat());
    assert_refused(&with("-d", "2h"), 2, &["ISO 8601 duration: PT2H"]);
    assert_refused(&with("-d", "P4D"), 2, &["at least PT1M and at most P3D"]);
    assert_refused(&with("--revoke-within", "PT1M"), 2, &["at least PT5M"]);
    assert_refused(&with("--user-email", "colleague"), 2, &["dana@example.com"]);
    assert_refused(&with("--timeout", "soon"), 2, &["such as 30s"]);
    assert_refused(&ask(ID, &[&reason, ["--json", "-o", "yaml"].as_slice()].concat()), 2, &["cannot be used with"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn url_of_another_console_is_refused_with_both_hosts() {
    let env = TestEnv::with_operator("host").await;
    env.connect("  consoleUrl: https://host.amigo.ai").await;
    env.until_ready("amorg", &env.organization).await;
    let_request(&env, ENGINEER).await;
    let page = format!("https://other.amigo.ai/admin/conversation/{ID}");
    assert_refused(&request(&env, &page, &[]), 2, &["is on other.amigo.ai", "is on host.amigo.ai"]);
    let command = ["conversation", "request-access", &page, "-j", "Debugging reported issue #42"];
    let inferred = amigo_as(&env, ENGINEER, &command);
    let known = format!("{} (https://host.amigo.ai)", env.organization);
    assert_refused(&inferred, 1, &["no Organization has the console of https://other.amigo.ai", &known]);
    assert!(standing(&env).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_organization_lists_the_existing_ones() {
    let env = TestEnv::ready("unknown").await;
    let_request(&env, ENGINEER).await;
    let command = ["conversation", "request-access", ID, "-j", "Debugging reported issue #42", "-e", "no-such"];
    let ran = amigo_as(&env, ENGINEER, &command);
    assert_refused(&ran, 1, &["Organization no-such does not exist", &env.organization]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_that_cannot_be_used_is_not_asked() {
    let env = TestEnv::with_operator("closed").await;
    env.apply(&env.organization_at(env.amigo_url(), "")).await;
    env.until_reason("amorg", &env.organization, "Ready", "SecretNotFound").await;
    let_request(&env, ENGINEER).await;
    assert_refused(&request(&env, ID, &[]), 3, &["is not ready: Secret", "ask the administrator of amigo-operator"]);
    env.connect("  suspend: true").await;
    assert_refused(&request(&env, ID, &[]), 3, &["is suspended"]);
    let elsewhere =
        ["conversation", "request-access", ID, "-j", "Debugging reported issue #42", "-e", &env.organization];
    let ran = run(kubectl_command(env.plane()).arg("amigo").args(elsewhere).args(["-n", "default"]));
    assert_refused(&ran, 3, &["does not allow namespace default", "spec.allowedNamespaces"]);
    assert!(standing(&env).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn user_without_create_rights_learns_whom_to_ask() {
    let env = TestEnv::ready("rights").await;
    let stranger = request_as(&env, STRANGER, ID, &[]);
    assert_refused(&stranger, 3, &["forbidden", "stranger@example.com", "ask a cluster administrator"]);
    let_request(&env, STRANGER).await;
    let role = "{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: requester}, rules: []}";
    env.apply(role).await;
    let reader = request_as(&env, STRANGER, ID, &[]);
    let right = format!("create temporarypermissiongrants.permissions.amigo.ai in namespace {}", env.namespace);
    assert_refused(&reader, 3, &["forbidden", &right]);
}

#[tokio::test(flavor = "multi_thread")]
async fn request_for_others_shows_the_policy_message() {
    let env = TestEnv::ready("policies").await;
    let_request(&env, ENGINEER).await;
    policies::install(&env, &[]);
    // A policy is in force a moment after it was stored.
    let refused = eventually(policies::WITHIN, "a policy refuses", || async {
        let ran = request(&env, ID, &["--user-email", "colleague@example.com", "--no-wait"]);
        (ran.code != 0).then_some(ran)
    });
    let refused = refused.await;
    assert_refused(&refused, 3, &["denied request", "request-for-others"]);
    assert!(!refused.stderr.contains("ask a cluster administrator"), "{refused:?}");
    assert_eq!(request(&env, ID, &[]).code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_organization_is_named_without_list_rights() {
    let env = TestEnv::ready("getonly").await;
    let_request(&env, ENGINEER).await;
    let rights = [("NAMESPACE", env.namespace.as_str()), ("VERBS", "[get]")];
    env.apply(&fixture("organization-rights.yaml", &rights)).await;
    for command in [
        ["conversation", "request-access", ID, "-j", "Debugging reported issue #42", "-e", "no-such"].as_slice(),
        &["conversation", "list-access", "-e", "no-such"],
    ] {
        assert_refused(&amigo_as(&env, ENGINEER, command), 1, &["Organization no-such does not exist"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_user_is_refused_and_the_request_stands() {
    let env = TestEnv::ready("nobody").await;
    let_request(&env, ENGINEER).await;
    let ran = request(&env, ID, &["--user-email", "nobody@example.com"]);
    assert_refused(&ran, 3, &["nobody@example.com", "invite the user first", "(UserNotFound)", "kubectl amigo revoke"]);
    assert_eq!(standing(&env)[0]["spec"]["user"]["email"], "nobody@example.com");
}

#[tokio::test(flavor = "multi_thread")]
async fn user_without_email_must_name_one() {
    let env = TestEnv::ready("noaddress").await;
    let ran = request_as(&env, "admin", ID, &[]);
    assert_refused(&ran, 2, &["\"admin\" is not an email address", "--user"]);
    assert!(standing(&env).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_not_taken_twice() {
    let env = TestEnv::ready("twice").await;
    let_request(&env, ENGINEER).await;
    assert_eq!(request(&env, ID, &["--name", "mine", "--no-wait"]).code, 0);
    assert_refused(&request(&env, ID, &["--name", "mine"]), 1, &["already exists", "choose another --name"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn amigos_refusal_is_passed_on() {
    let env = TestEnv::ready("forbidden").await;
    let_request(&env, ENGINEER).await;
    let refusal = Effect::Status { status: 422, retry_after: None, body: None };
    env.fail_always(Operation::CreateTemporaryPermissionGrant, refusal);
    assert_refused(&request(&env, ID, &[]), 3, &["was refused", "(InvalidRequest)", "kubectl amigo status"]);
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
    assert_refused(&ask(&["-e", "production"]), 1, &["check that amigo-operator is installed"]);
    let client = plane.client().await.expect("a client");
    install_crds(&client).await;
    // A kind is established a little before it can be listed.
    let kinds: Api<Organization> = Api::all(client.clone());
    eventually(TIMEOUT, "a listing", || async { kinds.list(&ListParams::default()).await.ok() }).await;
    assert_refused(&ask(&[]), 1, &["this cluster has no Organization yet"]);
    assert_refused(&ask(&["-e", "production"]), 1, &["Organization production does not exist", "no Organization"]);
    let organization = "{apiVersion: permissions.amigo.ai/v1alpha1, kind: Organization, metadata: {name: production}, \
        spec: {organization: acme, credentialsSecretRef: {name: acme}, allowedNamespaces: [default]}}";
    amigo_dev::apply(&client, "default", "test", organization).await.expect("applied");
    let ran = ask(&["--name", "alone"]);
    let parts = ["has not processed request alone", "kubectl -n amigo-system get pods", "the request remains"];
    assert_refused(&ran, 4, &parts);
}
