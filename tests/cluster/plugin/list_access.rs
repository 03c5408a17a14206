//! `kubectl amigo conversation list-access`: whose access is listed, from where, and how it goes on.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use amigo_sandbox::{Effect, Operation};
use serde_json::{Value, json};
use test_support::{ENGINEER, OPERATOR_NAMESPACE, Run, STRANGER, TestEnv, grant};

use super::users::{amigo, amigo_as, let_read_secret, let_request};

const OWNER: &str = "  conversation: {ownerUserId: user-owner-7f3a}";

/// A env where the engineer and a colleague have access.
async fn env(prefix: &str) -> TestEnv {
    let env = TestEnv::ready(prefix).await;
    let_request(&env, ENGINEER).await;
    env.apply(&grant("mine", OWNER)).await;
    env.apply(&grant("theirs", OWNER).replace("email: eng@", "email: colleague@")).await;
    env.until_ready("tpg", "mine").await;
    env.until_ready("tpg", "theirs").await;
    env
}

/// Lists as the engineer.
fn list(env: &TestEnv, options: &[&str]) -> Run {
    amigo(env, &[&["conversation", "list-access", "-e", &env.organization], options].concat())
}

/// Lets the engineer read the Organization's Secret, and says where the key may go.
async fn let_ask_amigo(env: &TestEnv) -> [&'static str; 1] {
    let_read_secret(env, ENGINEER).await;
    ["--allowed-api-host=http://127.0.0.1"]
}

const AT_DEFAULT: [&str; 2] = ["--operator-namespace", OPERATOR_NAMESPACE];

fn rows(listed: &Run) -> Vec<Value> {
    assert_eq!(listed.code, 0, "{listed:?}");
    serde_json::from_str(&listed.stdout).expect("JSON")
}

fn names(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["name"].as_str().unwrap_or("-")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn own_live_access_is_listed_a_line_each() {
    let env = env("own").await;
    let listed = list(&env, &[]);
    assert_eq!((listed.code, listed.stderr.as_str()), (0, ""), "{listed:?}");
    let lines: Vec<_> = listed.stdout.lines().collect();
    let titles: Vec<_> = lines[0].split("   ").map(str::trim).filter(|title| !title.is_empty()).collect();
    assert_eq!(titles, ["USER", "PERMISSION", "GRANT ID", "EXPIRES", "TIME LEFT", "NAME"]);
    assert_eq!(lines.len(), 4, "{listed:?}");
    let own: Vec<_> = env.issued().into_iter().filter(|grant| grant.user_id == "user-eng-2c91").collect();
    assert!(own.iter().all(|grant| listed.stdout.contains(&grant.id)), "{listed:?}");
    assert!(lines[1..].iter().all(|line| line.starts_with("eng@example.com ") && line.contains("1h59m")), "{listed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_are_listed_by_whoever_may_list_requests() {
    let env = env("all").await;
    let listed = list(&env, &["--all", "--json"]);
    let rows = rows(&listed);
    assert_eq!(rows.len(), 6, "{rows:#?}");
    assert_eq!(rows[0]["user"], "colleague@example.com");
    assert!(rows.iter().all(|row| row["source"] == "object" && row["expired"] == false), "{rows:#?}");
    // Amigo itself was not asked, and that is said.
    assert!(
        listed.stderr.contains("you need `get` on Secret") || listed.stderr.contains("cannot send the API key"),
        "{listed:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn remote_only_access_is_listed_apart() {
    let env = env("beyond").await;
    let flags = let_ask_amigo(&env).await;
    let body = json!({
        "user_id": "user-admin-90aa", "duration": "PT1H", "tags": {}, "justification": "made at the console",
        "permission_grant": {
            "permission_name": "Conversation:GetMessage",
            "conditions": {"org_id": {"type": "Equals", "value": "acme"}}
        }
    });
    env.change_out_of_band("/role/temporary_permission_grant/", body).await;
    env.delete("tpg", "theirs").await;
    let rows = rows(&list(&env, &[["--all", "--json"].as_slice(), &flags, &AT_DEFAULT].concat()));
    let told = |row: &Value| (row["user"].as_str().unwrap().to_owned(), row["source"].as_str().unwrap().to_owned());
    let told: Vec<_> = rows.iter().map(told).collect();
    let of = |user: &str, source: &str| told.iter().filter(|one| **one == (user.to_owned(), source.to_owned())).count();
    assert_eq!(told.len(), 7, "{rows:#?}");
    assert_eq!((of("eng@example.com", "object"), of("colleague@example.com", "api")), (3, 3), "{rows:#?}");
    assert_eq!(of("admin@example.com", "api"), 1, "{rows:#?}");
    assert!(rows.iter().any(|row| row["justification"] == "made at the console"), "{rows:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_access_is_listed_from_request_then_amigo() {
    let env = TestEnv::ready("expired").await;
    let_request(&env, ENGINEER).await;
    let flags = let_ask_amigo(&env).await;
    env.apply(&grant("gone", &format!("  duration: PT1M\n{OWNER}"))).await;
    env.apply(&grant("kept", &format!("  duration: PT1M\n  ttlAfterExpiry: PT1H\n{OWNER}"))).await;
    env.until_ready("tpg", "gone").await;
    env.until_ready("tpg", "kept").await;
    let ended = test_support::eventually(Duration::from_mins(2), "both have ended", || async {
        let kept = env.member("tpg", "kept", "/status/phase").await;
        (kept == "Expired" && env.object("tpg", "gone").await.is_none()).then_some(())
    });
    ended.await;
    let nothing = list(&env, &[]);
    assert!(nothing.stdout.is_empty() && nothing.stderr.contains("No live access of eng@example.com"), "{nothing:?}");
    let kept = rows(&list(&env, &["--show-expired", "--json"]));
    assert_eq!(names(&kept), ["kept"; 3]);
    let all = list(&env, &[["--show-expired", "--json"].as_slice(), &flags, &AT_DEFAULT].concat());
    let all = rows(&all);
    let sources: Vec<_> = all.iter().map(|row| row["source"].as_str().unwrap()).collect();
    assert_eq!(sources, ["object", "object", "object", "api", "api", "api"], "{all:#?}");
    assert!(all.iter().all(|row| row["expired"] == true && row["user"] == "eng@example.com"), "{all:#?}");
    let table = list(&env, &[["--show-expired"].as_slice(), &flags, &AT_DEFAULT].concat()).stdout;
    assert!(table.lines().next().unwrap().ends_with("SOURCE") && table.contains("expired"), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn api_key_stays_on_allowed_hosts_and_off_the_output() {
    let env = env("key").await;
    let flags = let_ask_amigo(&env).await;
    let asked = env.sandbox().requests().count(Operation::SignInWithApiKey);
    let refused = list(&env, &[["--all"].as_slice(), &AT_DEFAULT].concat());
    assert_eq!(refused.code, 0, "{refused:?}");
    assert!(
        refused.stderr.contains("cannot send the API key") && refused.stderr.contains("--allowed-api-host"),
        "{refused:?}"
    );
    assert_eq!(env.sandbox().requests().count(Operation::SignInWithApiKey), asked);
    env.fail_always(Operation::GetTemporaryPermissionGrants, Effect::status(403));
    let failed = list(&env, &[["--all"].as_slice(), &flags, &AT_DEFAULT].concat());
    assert!(failed.code == 0 && failed.stdout.lines().count() == 7, "{failed:?}");
    assert!(failed.stderr.contains("the list contains only requests in this cluster"), "{failed:?}");
    for output in [&refused, &failed] {
        assert!(!format!("{output:?}").contains("sandbox-api-key"), "{output:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_format_lists_the_same_access() {
    let env = env("formats").await;
    let json = list(&env, &["-o", "json"]);
    assert_eq!(json.stdout, list(&env, &["--json"]).stdout, "--json is an alias");
    let yaml = list(&env, &["-o", "yaml"]).stdout;
    assert_eq!(serde_saphyr::from_str::<Vec<Value>>(&yaml).expect("YAML"), rows(&json));
    assert_eq!(names(&rows(&json)), ["mine"; 3]);
    let every = list(&env, &["--all", "-o", "name"]).stdout;
    assert_eq!(every.lines().next(), Some("temporarypermissiongrant.permissions.amigo.ai/mine"));
    assert_eq!(every.lines().count(), 2);
    let wide = list(&env, &["-o", "wide"]).stdout;
    assert!(wide.lines().nth(1).unwrap().ends_with("Debugging reported issue #42"), "{wide}");
    assert_eq!(list(&env, &["--json", "-o", "json"]).code, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_wait_or_failed_are_hinted_at() {
    let env = TestEnv::ready("hints").await;
    let_request(&env, ENGINEER).await;
    env.apply(&grant("waits", OWNER).replace("name: ORGANIZATION", "name: nowhere")).await;
    env.apply(&grant("mine", &OWNER.replace("ownerUserId: user-owner-7f3a", "id: ffffffffffffffffffffffff"))).await;
    env.until_reason("tpg", "mine", "Ready", "ConversationNotVisible").await;
    let listed = list(&env, &[]);
    assert!(listed.code == 0 && listed.stdout.is_empty(), "{listed:?}");
    assert!(listed.stderr.contains("Request mine: Pending, ConversationNotVisible"), "{listed:?}");
    assert!(!listed.stderr.contains("waits"), "another Organization's: {listed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn everywhere_needs_the_right_to_list_everywhere() {
    let env = env("everywhere").await;
    let refused = list(&env, &["-A"]);
    assert!(refused.code == 3 && refused.stderr.contains("list requests for access"), "{refused:?}");
    let command = ["conversation", "list-access", "-e", &env.organization, "-A"];
    let impersonated = [command.as_slice(), &["--as", ENGINEER, "--as-group", "system:masters"]].concat();
    let listed = amigo_as(&env, "admin", &impersonated);
    assert_eq!(listed.code, 0, "{listed:?}");
    assert!(listed.stdout.starts_with("NAMESPACE ") && listed.stdout.lines().count() == 4, "{listed:?}");
    assert!(listed.stdout.contains(&env.namespace), "{listed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn user_without_email_or_rights_gets_an_error() {
    let env = env("rights").await;
    let command = ["conversation", "list-access", "-e", env.organization.as_str()];
    let nameless = amigo_as(&env, "admin", &command);
    assert!(nameless.code == 2 && nameless.stderr.contains("AMIGO_USER_EMAIL"), "{nameless:?}");
    assert!(nameless.stderr.contains("--all"), "{nameless:?}");
    let refused = amigo_as(&env, STRANGER, &command);
    assert_eq!(refused.code, 3, "{refused:?}");
    let unknown = amigo(&env, &["conversation", "list-access", "-e", "nowhere"]);
    assert!(unknown.code == 1 && unknown.stderr.contains("Organization nowhere does not exist"), "{unknown:?}");
}

/// A listing that goes on; ended when dropped.
struct Watch {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Watch {
    fn start(env: &TestEnv, options: &[&str]) -> Self {
        let plugin = env!("CARGO_BIN_EXE_kubectl-amigo");
        // Not through kubectl: its child would outlive it.
        let mut child = std::process::Command::new(plugin)
            .args(["conversation", "list-access", "-e", &env.organization, "--watch"])
            .args(options)
            .args(["--context", ENGINEER, "-n", &env.namespace])
            .env("KUBECONFIG", env.plane().kubeconfig_path())
            .env("NO_PROXY", "127.0.0.1")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the plugin runs");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let (sender, lines) = channel();
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines, seen: Vec::new() }
    }

    /// Waits for a line with these parts.
    fn until(&mut self, parts: &[&str]) -> String {
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(90));
            assert!(line.is_ok(), "no line with {parts:?} after {:#?}", self.seen);
            let line = line.expect("a line");
            self.seen.push(line.clone());
            if parts.iter().all(|part| line.contains(part)) {
                return line;
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.child.kill().expect("a process to end");
        self.child.wait().expect("its end");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_tells_what_comes_and_what_goes() {
    let env = env("watch").await;
    let mut watch = Watch::start(&env, &[]);
    watch.until(&["USER", "TIME LEFT"]);
    watch.until(&["GetInteractionInsights", "1h59m", "mine"]);
    env.apply(&grant("minute", &format!("  duration: PT1M\n{OWNER}"))).await;
    watch.until(&["GetMessage", "minute"]);
    env.delete("tpg", "mine").await;
    watch.until(&["mine", "request deleted"]);
    watch.until(&["minute", "expired"]);
    assert!(watch.seen.iter().all(|line| !line.contains("colleague")), "{:#?}", watch.seen);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_as_json_has_a_line_for_each_record() {
    let env = env("lines").await;
    let mut watch = Watch::start(&env, &["--json", "--all"]);
    let line: Value = serde_json::from_str(&watch.until(&["colleague"])).expect("JSON");
    assert_eq!(line["name"], "theirs");
    let mut names = Watch::start(&env, &["-o", "name"]);
    names.until(&["temporarypermissiongrant.permissions.amigo.ai/mine"]);
}
