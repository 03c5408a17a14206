//! `kubectl amigo conversation request-access`: what it asks for, how it waits, what it prints.

use std::{
    io::Read,
    process::{Child, Stdio},
    time::Duration,
};

use amigo_runtime::clock::{Clock as _, SystemClock};
use amigo_sandbox::{Effect, Operation};
use jiff::{SignedDuration, Unit};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use test_support::{ENGINEER, Run, TestEnv, eventually, finished, fixture, kubectl_command};

use super::users::{amigo_as, let_request};

const ID: &str = "abc123def456abc123def456";

/// A env whose engineer may ask.
async fn env(prefix: &str) -> TestEnv {
    let env = TestEnv::ready(prefix).await;
    let_request(&env, ENGINEER).await;
    env
}

/// Asks as the engineer, of the env's Organization.
pub fn request(env: &TestEnv, conversation: &str, options: &[&str]) -> Run {
    request_as(env, ENGINEER, conversation, options)
}

/// Asks as any user.
pub fn request_as(env: &TestEnv, user: &str, conversation: &str, options: &[&str]) -> Run {
    let command = ["conversation", "request-access", conversation, "-j", "Debugging reported issue #42"];
    amigo_as(env, user, &[&command, ["-e", &env.organization].as_slice(), options].concat())
}

fn parsed(output: &Run) -> Value {
    serde_json::from_str(&output.stdout).expect(&output.stderr)
}

/// Requests that stand in the env's namespace.
pub fn standing(env: &TestEnv) -> Vec<Value> {
    let list = env.kubectl(&["get", "tpg", "-o", "json"]);
    parsed(&list)["items"].as_array().expect("items").clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guides_request_opens_the_owners_conversations() {
    let env = env("request").await;
    let granted = request(&env, ID, &[]);
    assert_eq!(granted.code, 0, "{granted:?}");
    let issued = env.issued();
    assert_eq!(issued.len(), 3);
    assert!(issued.iter().all(|grant| grant.duration == "PT2H" && grant.user_id == "user-eng-2c91"), "{issued:?}");
    assert!(issued.iter().all(|grant| granted.stdout.contains(&grant.permission_name)), "{granted:?}");
    assert!(issued.iter().all(|grant| granted.stdout.contains(&grant.id)), "{granted:?}");
    assert!(granted.stdout.starts_with("PERMISSION ") && granted.stdout.lines().count() == 4, "{granted:?}");
    assert!(granted.stderr.contains("may read all conversations of user-owner-7f3a"), "{granted:?}");
    assert!(granted.stderr.contains("Amigo cannot revoke this access"), "{granted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_request_says_who_asked_for_whom() {
    let env = env("asked").await;
    let options = ["--user-email", "colleague@example.com", "--name", "pairing", "-d", "PT4H", "-o", "json"];
    let granted = request(&env, ID, &options);
    assert_eq!(granted.code, 0, "{granted:?}");
    let object = parsed(&granted);
    let spec = json!({
        "organizationRef": {"name": env.organization}, "user": {"email": "colleague@example.com"}, "requestedBy": ENGINEER,
        "justification": "Debugging reported issue #42", "duration": "PT4H", "conversation": {"id": ID},
    });
    assert_eq!((&object["spec"], &object["metadata"]["name"]), (&spec, &json!("pairing")));
    assert_eq!(object["status"]["phase"], "Active");
    assert!(object["metadata"].get("managedFields").is_none(), "{object:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_format_names_the_same_grants() {
    let env = env("formats").await;
    let object = parsed(&request(&env, ID, &["--json", "--name", "one"]));
    let issued = env.issued();
    let row = &object["status"]["grants"][0];
    let grant = issued.iter().find(|grant| row["id"] == grant.id.as_str()).expect("a grant of this id");
    assert_eq!((&object["metadata"]["name"], &row["permissionName"]), (&json!("one"), &json!(grant.permission_name)));
    assert_eq!(object["status"]["conversationOwnerUserId"], "user-owner-7f3a");
    let yaml = request(&env, ID, &["-o", "yaml", "--name", "two"]).stdout;
    assert!(yaml.starts_with("apiVersion: permissions.amigo.ai/v1alpha1\nkind: TemporaryPermissionGrant\n"), "{yaml}");
    let name = request(&env, ID, &["-o", "name", "--name", "three"]).stdout;
    assert_eq!(name, "temporarypermissiongrant.permissions.amigo.ai/three\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_wait_leaves_the_requests_name() {
    let env = env("nowait").await;
    let asked = request(&env, ID, &["--no-wait"]);
    assert_eq!(asked.code, 0, "{asked:?}");
    let name = asked.stdout.trim().strip_prefix("temporarypermissiongrant.permissions.amigo.ai/").expect("a name");
    assert!(name.starts_with("eng-abc123-"), "{name}");
    env.until_ready("tpg", name).await;
    assert_eq!(request(&env, ID, &["--wait=false", "-o", "name"]).stdout.lines().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_owner_is_not_looked_up() {
    let env = env("owner").await;
    let granted = request(&env, ID, &["--owner-user-id", "user-private-33b2"]);
    assert_eq!(granted.code, 0, "{granted:?}");
    assert!(granted.stderr.contains("all conversations of user-private-33b2"), "{granted:?}");
    assert_eq!(env.sandbox().requests().count(Operation::GetConversations), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_can_be_ended_says_within_what_time() {
    let env = env("leases").await;
    let granted = request(&env, ID, &["--revoke-within", "PT15M", "--name", "short", "--ttl-after-expiry", "P7D"]);
    assert_eq!(granted.code, 0, "{granted:?}");
    assert!(granted.stderr.contains("`kubectl amigo revoke short -n "), "{granted:?}");
    assert!(granted.stderr.contains("ends the access within PT15M"), "{granted:?}");
    assert_eq!(env.member("tpg", "short", "/spec/revokeWithin").await, "PT15M");
    assert_eq!(env.member("tpg", "short", "/spec/ttlAfterExpiry").await, "P7D");
}

#[tokio::test(flavor = "multi_thread")]
async fn id_without_env_uses_the_only_organization() {
    let env = env("inferred").await;
    let command = ["conversation", "request-access", ID, "-j", "Debugging reported issue #42", "-o", "name"];
    let granted = amigo_as(&env, ENGINEER, &command);
    assert_eq!(granted.code, 0, "{granted:?}");
    assert!(granted.stderr.contains(&format!("Using Organization {}, the only one", env.organization)), "{granted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn excessive_duration_is_cut_with_a_warning() {
    let env = TestEnv::with_operator("cut").await;
    env.connect("  grants: {maxDuration: PT1H}").await;
    env.until_ready("amorg", &env.organization).await;
    let_request(&env, ENGINEER).await;
    let granted = request(&env, ID, &["-d", "PT4H"]);
    assert_eq!(granted.code, 0, "{granted:?}");
    assert!(granted.stderr.contains("grants at most PT1H: the requested PT4H is reduced to it"), "{granted:?}");
    assert!(env.issued().iter().all(|grant| grant.duration == "PT1H"));
}

#[tokio::test(flavor = "multi_thread")]
async fn dry_runs_leave_nothing_behind() {
    let env = env("dry").await;
    let manifest = request(&env, ID, &["--dry-run=client"]);
    assert!(manifest.code == 0 && manifest.stdout.contains("email: eng@example.com"), "{manifest:?}");
    let checked = request(&env, ID, &["--dry-run=server", "-o", "json"]);
    assert!(parsed(&checked)["metadata"]["uid"].is_string(), "{checked:?}");
    let refused = request(&env, ID, &["--dry-run=server", "--name", "Not_A_Name"]);
    assert!(refused.code == 3 && refused.stderr.contains("Not_A_Name"), "{refused:?}");
    assert!(standing(&env).is_empty());
    assert!(env.issued().is_empty());
    // What was printed can be applied.
    env.apply(&manifest.stdout).await;
    assert_eq!(standing(&env).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn complete_options_need_no_cluster_for_a_manifest() {
    let env = TestEnv::with_operator("offline").await;
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("config");
    let kubeconfig = env.plane().kubeconfig();
    let server = kubeconfig.lines().find_map(|line| line.split("server").nth(1)).expect("a server").to_owned();
    let server = server.trim_matches(|letter: char| !letter.is_ascii_alphanumeric());
    std::fs::write(&config, kubeconfig.replace(server, "https://127.0.0.1:9")).expect("a kubeconfig");
    let config = config.to_str().expect("a path");
    let options = ["--user-email", "colleague@example.com", "--dry-run=client", "--kubeconfig", config];
    let manifest = request(&env, ID, &options);
    assert!(manifest.code == 0 && manifest.stdout.contains("email: colleague@example.com"), "{manifest:?}");
    let asked = request(&env, ID, &["--kubeconfig", config]);
    assert!(asked.code == 1 && asked.stderr.contains("check the connection"), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn get_without_list_rights_is_enough_to_wait() {
    let env = TestEnv::ready("getonly").await;
    let_do(&env, "[create, get]").await;
    let granted = request(&env, ID, &[]);
    assert!(granted.code == 0 && granted.stdout.contains("Conversation:GetMessage"), "{granted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn user_without_read_rights_learns_request_exists() {
    let env = TestEnv::ready("blind").await;
    let_do(&env, "[create]").await;
    let asked = request(&env, ID, &[]);
    assert_eq!(asked.code, 4, "{asked:?}");
    assert!(asked.stderr.contains("was created, but you may not read it"), "{asked:?}");
    assert_eq!(standing(&env).len(), 1);
    assert_eq!(request(&env, ID, &["--no-wait"]).code, 0);
}

/// Gives the engineer few rights on requests.
async fn let_do(env: &TestEnv, verbs: &str) {
    let_request(env, ENGINEER).await;
    env.apply(&fixture("requester-rights.yaml", &[("VERBS", verbs)])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_ends_at_its_timeout_with_the_reason() {
    let env = env("timeout").await;
    fail_with_503(&env);
    let waited = request(&env, ID, &["--timeout", "6s"]);
    assert_eq!(waited.code, 124, "{waited:?}");
    assert!(
        waited.stderr.contains("timed out waiting for request ") && waited.stderr.contains("Unavailable"),
        "{waited:?}"
    );
    assert!(waited.stderr.contains("the request remains"), "{waited:?}");
    assert_eq!(standing(&env).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_deleted_is_no_longer_waited_for() {
    let env = env("deleted").await;
    fail_with_503(&env);
    let waiting = start(&env, "doomed");
    appears(&env, "doomed").await;
    env.delete("tpg", "doomed").await;
    let waited = finished(waiting);
    assert!(waited.code == 1 && waited.stderr.contains("was deleted during the wait"), "{waited:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_leaves_the_request_and_says_so() {
    let env = env("ctrlc").await;
    fail_with_503(&env);
    let mut waiting = start(&env, "left");
    let told = first_line(waiting.stderr.as_mut().expect("a pipe"));
    assert!(told.starts_with("Request left created"), "{told}");
    let id = Pid::from_raw(i32::try_from(waiting.id()).expect("a process id")).expect("a process id");
    kill_process(id, Signal::INT).expect("sent");
    let waited = finished(waiting);
    assert!(waited.code == 130 && waited.stderr.contains("request left remains"), "{waited:?}");
    assert_eq!(standing(&env).len(), 1);
}

fn fail_with_503(env: &TestEnv) {
    env.fail_always(Operation::GetUsers, Effect::Status { status: 503, retry_after: None, body: None });
}

/// A request that waits, in a process of its own.
fn start(env: &TestEnv, name: &str) -> Child {
    kubectl_command(env.plane())
        .args(["amigo", "conversation", "request-access", ID, "-j", "Debugging reported issue #42"])
        .args(["-e", &env.organization, "--name", name, "--context", ENGINEER, "-n", &env.namespace])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("kubectl runs")
}

/// Reads no further than the line's end: the rest is read when the process has ended.
fn first_line(from: &mut impl Read) -> String {
    let (mut line, mut byte) = (Vec::new(), [0]);
    while from.read(&mut byte).expect("a pipe") == 1 && byte != [b'\n'] {
        line.extend(byte);
    }
    String::from_utf8(line).expect("text")
}

async fn appears(env: &TestEnv, name: &str) {
    env.until_member("tpg", name, "/metadata/name", json!(name)).await;
}

/// What a GitOps tool does: it applies the manifest whenever the object is gone.
#[tokio::test(flavor = "multi_thread")]
async fn manifest_in_a_gitops_loop_is_issued_once() {
    let env = env("gitops").await;
    let now = SystemClock.now();
    let end = (now + SignedDuration::from_secs(75)).round(Unit::Second).expect("a time").to_string();
    let printed = request(&env, ID, &["--dry-run=client", "-d", "PT1M", "--not-after", &end, "--name", "loop"]);
    assert!(printed.stdout.contains(&end) && printed.stdout.contains("ttlAfterExpiry: PT"), "{printed:?}");
    let made = env.apply(&printed.stdout).await;
    env.until_ready("tpg", "loop").await;
    let gone = || async { env.object("tpg", "loop").await.is_none().then_some(()) };
    eventually(Duration::from_secs(90), "it is deleted", gone).await;
    let again = env.apply(&printed.stdout).await;
    assert_ne!(made[0].metadata.uid, again[0].metadata.uid);
    env.until_reason("tpg", "loop", "Ready", "NotAfterPassed").await;
    assert_eq!(env.issued().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn printed_manifest_has_an_end() {
    let env = env("end").await;
    let printed = request(&env, ID, &["--dry-run=client"]);
    assert!(printed.stdout.contains("notAfter: ") && printed.stdout.contains("ttlAfterExpiry: PT1H"), "{printed:?}");
    assert!(printed.stderr.contains("No access after ") && printed.stderr.contains("--not-after"), "{printed:?}");
    let given = request(&env, ID, &["--not-after", "2999-01-31T18:00:00Z", "-o", "json"]);
    assert_eq!(parsed(&given)["spec"]["notAfter"], "2999-01-31T18:00:00Z");
    assert_eq!(request(&env, ID, &["--not-after", "2999-01-31t18:00:00z"]).code, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn role_without_insights_permission_is_named() {
    let env = env("insights").await;
    let role = "{apiVersion: permissions.amigo.ai/v1alpha1, kind: Role, metadata: {name: engineer}, spec: {organizationRef: \
                {name: ORGANIZATION}, description: Reads, permissionGrants: [{permissionName: 'Conversation:GetMessage', \
                conditions: {org_id: {type: Equals, value: '{self_org_id}'}}}]}}";
    let assignment = "{apiVersion: permissions.amigo.ai/v1alpha1, kind: RoleAssignment, metadata: {name: engineer}, spec: \
                      {organizationRef: {name: ORGANIZATION}, user: {email: eng@example.com}, roleRef: {name: engineer}}}";
    env.apply(role).await;
    env.apply(assignment).await;
    let granted = request(&env, ID, &[]);
    let hint =
        "Insights also need Organization:GetServiceHierarchicalStateMachine, which role engineer of eng@example.com";
    assert!(granted.code == 0 && granted.stderr.contains(hint), "{granted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_contain_an_address_are_no_address() {
    let env = env("names").await;
    let as_name = |name: &str| {
        let command = ["conversation", "request-access", ID, "-j", "a good reason here", "-e", &env.organization];
        amigo_as(&env, "admin", &[command.as_slice(), &["--as", name, "--as-group", "system:masters"]].concat())
    };
    for name in ["arn:aws:sts::123456789012:assumed-role/dev/eng@example.com", "CN=eng@example.com,O=corp"] {
        let refused = as_name(name);
        assert!(refused.code == 2 && refused.stderr.contains("is not an email address"), "{refused:?}");
    }
    assert!(standing(&env).is_empty());
}
