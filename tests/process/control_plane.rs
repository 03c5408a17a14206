//! The control plane the other tests stand on: it starts, serves, and leaves nothing behind.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use amigo_dev::{ControlPlane, Identity, Options};
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::{ConfigMap, ServiceAccount},
};
use kube::{
    Api, Client, Config,
    api::{ListParams, PostParams},
};
use test_support::{TestEnv, assets, control_plane, eventually, turn};

#[tokio::test]
async fn kubectl_sees_a_fresh_namespace() {
    let _turn = turn().await;
    let env = TestEnv::new("kubectl").await;
    let namespaces = env.kubectl(&["get", "namespaces", "--output", "name"]);
    assert!(namespaces.stdout.contains(&format!("namespace/{}\n", env.namespace)), "{namespaces:?}");
}

#[tokio::test]
async fn documents_are_applied_into_the_namespace() {
    let _turn = turn().await;
    let env = TestEnv::new("apply").await;
    let map = |name| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{key: value}}\n");
    env.apply(&[map("one"), map("two")].join("---\n")).await;
    let maps: Api<ConfigMap> = Api::namespaced(env.client.clone(), &env.namespace);
    assert_eq!(maps.get("two").await.unwrap().data.unwrap()["key"], "value");
}

#[tokio::test]
async fn mutating_admission_policies_are_served() {
    let _turn = turn().await;
    let policies =
        TestEnv::new("admission").await.kubectl(&["get", "mutatingadmissionpolicies.v1.admissionregistration.k8s.io"]);
    assert!(policies.success, "{policies:?}");
}

#[tokio::test]
async fn a_service_account_signs_in_with_a_requested_token() {
    let _turn = turn().await;
    let env = TestEnv::new("tokens").await;
    env.apply("{apiVersion: v1, kind: ServiceAccount, metadata: {name: worker}}").await;
    let accounts: Api<ServiceAccount> = Api::namespaced(env.client.clone(), &env.namespace);
    let request = TokenRequest { spec: Some(TokenRequestSpec::default()), ..TokenRequest::default() };
    let issued = accounts.create_token_request("worker", &PostParams::default(), &request).await.unwrap();
    let mut config = env.plane().config().await.unwrap();
    config.auth_info.token = issued.status.unwrap().token.map(Into::into);
    assert_eq!(list_status(config, &env.namespace).await, Some(403));
}

#[tokio::test]
async fn a_wrong_token_is_not_let_in() {
    let _turn = turn().await;
    let mut config = control_plane().await.config().await.unwrap();
    config.auth_info.token = Some("wrong".to_owned().into());
    assert_eq!(list_status(config, "default").await, Some(401));
}

#[tokio::test]
async fn other_identities_have_only_granted_rights() {
    let _turn = turn().await;
    let identities = vec![Identity::new("alice", &["developers"])];
    let plane = ControlPlane::start_with(assets().await, Options { identities, ..Options::default() }).await.unwrap();
    assert_eq!(list_status(plane.config_of("alice").await.unwrap(), "default").await, Some(403));
    let who = test_support::kubectl(&plane, &["--context", "alice", "auth", "whoami"]);
    assert!(who.stdout.contains("alice") && who.stdout.contains("developers"), "{who:?}");
}

#[tokio::test]
async fn stopping_removes_servers_and_folder() {
    let _turn = turn().await;
    let plane = ControlPlane::start(assets().await).await.unwrap();
    let (folder, processes) = (plane.folder().to_owned(), plane.process_ids());
    assert!(processes.iter().all(|id| is_alive(*id)) && folder.exists());
    plane.stop().unwrap();
    assert!(!processes.iter().any(|id| is_alive(*id)) && !folder.exists());
}

#[tokio::test]
async fn a_killed_parent_leaves_nothing_behind() {
    let _turn = turn().await;
    let (mut parent, folder, processes) = parent_process();
    assert!(processes.len() == 2 && processes.iter().all(|id| is_alive(*id)) && folder.exists());
    parent.kill().unwrap();
    parent.wait().unwrap();
    let gone = || async { (!processes.iter().any(|id| is_alive(*id)) && !folder.exists()).then_some(()) };
    eventually(Duration::from_secs(10), "both servers and the folder gone", gone).await;
}

#[tokio::test]
#[ignore = "the process that the test above starts and kills"]
async fn parent_of_a_control_plane() {
    let plane = ControlPlane::start(assets().await).await.unwrap();
    let ids: Vec<_> = plane.process_ids().iter().map(ToString::to_string).collect();
    let report = format!("\nstarted\t{}\t{}\n", plane.folder().display(), ids.join("\t"));
    std::io::Write::write_all(&mut std::io::stdout(), report.as_bytes()).unwrap();
    std::future::pending::<()>().await;
}

fn parent_process() -> (Child, PathBuf, Vec<u32>) {
    let mut parent = Command::new(std::env::current_exe().expect("the path of this test binary"))
        .args(["--exact", "control_plane::parent_of_a_control_plane", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test binary starts again");
    let output = BufReader::new(parent.stdout.take().expect("a pipe"));
    let report = output.lines().map_while(Result::ok).find(|line| line.starts_with("started\t"));
    let report = report.expect("the parent says what it started");
    let mut fields = report.split('\t').skip(1);
    let folder = Path::new(fields.next().expect("a folder")).to_owned();
    let processes = fields.map(|id| id.parse().expect("a process id")).collect();
    (parent, folder, processes)
}

fn is_alive(process: u32) -> bool {
    let probe = Command::new("sh").args(["-c", "kill -0 \"$1\" 2>/dev/null", "probe", &process.to_string()]).status();
    probe.expect("sh runs").success()
}

/// The HTTP status of the refusal, or `None` where listing is allowed.
async fn list_status(config: Config, namespace: &str) -> Option<u16> {
    let client = Client::try_from(config).expect("a client");
    let maps = Api::<ConfigMap>::namespaced(client, namespace);
    let refusal = maps.list(&ListParams::default()).await.err()?;
    let kube::Error::Api(status) = refusal else { unreachable!("no answer: {refusal}") };
    Some(status.code)
}
