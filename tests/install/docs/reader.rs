//! A reader who types every command, on a cluster without nodes.
//!
//! In place of nodes, [`Reader`] runs what Deployments say as processes of this machine. As no Service leads there, its
//! `helm` tells the chart where the sandbox is; nothing else differs from what the pages say.

use std::{
    fs::{self, File},
    os::unix::{
        fs::{PermissionsExt as _, symlink},
        process::CommandExt as _,
    },
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;
use test_support::{eventually, operator_process::binary};
use test_support::{helm::tools, repository};
use tokio::{
    sync::{Mutex, MutexGuard},
    task::AbortHandle,
    time::sleep,
};

use super::pages::{blocks, page};
use crate::e2e::cluster::Cluster;
use crate::e2e::release::{NAMESPACE, RELEASE};
use crate::e2e::running::Running;

const WITHIN: Duration = Duration::from_mins(2);

/// What the pages leave to the reader to fill in: what the sandbox takes.
const VARIABLES: [(&str, &str); 2] =
    [("API_KEY_ID", "5b1d7c1e-0c55-4c0f-9a57-7f2f0e3c9b11"), ("USER_ID", "user-operator-0001")];

// One control plane is enough for this machine.
static TURN: Mutex<()> = Mutex::const_new(());

struct Reader {
    cluster: Arc<Cluster>,
    folder: TempDir,
    in_place_of_nodes: AbortHandle,
    _turn: MutexGuard<'static, ()>,
}

impl Reader {
    /// With a cluster and a sandbox that nobody used before.
    async fn new() -> Self {
        let turn = TURN.lock().await;
        let cluster = Arc::new(Cluster::find().await);
        let running = Running::prepare(&cluster);
        let sandbox = running.sandbox_url().expect("a cluster without nodes");
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["charts", "crds", "examples", "gitops"] {
            symlink(repository(name), folder.path().join(name)).expect("a link");
        }
        fs::write(folder.path().join("apiKey"), "sandbox-api-key").expect("a key");
        fs::create_dir(folder.path().join("bin")).expect("a folder");
        program(&folder.path().join("bin/helm"), &helm(&sandbox));
        let in_place_of_nodes = tokio::spawn(stand_in(Arc::clone(&cluster), running)).abort_handle();
        Self { cluster, folder, in_place_of_nodes, _turn: turn }
    }

    /// Types a page's commands, block by block.
    fn follows(&self, name: &str) {
        for block in blocks(&page(name)).into_iter().filter(|block| block.kind == "sh") {
            self.types(&block.text, name);
        }
    }

    /// Applies the page's first manifest, and sees what the page says it shows.
    fn sees(&self, name: &str) {
        let blocks = blocks(&page(name));
        let first = |kind: &str| &blocks.iter().find(|block| block.kind == kind).expect("a block").text;
        self.types(&format!("kubectl apply -f - <<'END'\n{}END", first("yaml")), name);
        self.types("kubectl wait --for=condition=Ready tpg/sup-4711 --timeout=1m", name);
        let (command, expected) = first("console").split_once('\n').expect("a command and its output");
        let printed = self.types(command.strip_prefix("$ ").expect("a command"), name);
        assert_eq!(shape(&printed), shape(expected), "{printed}");
    }

    /// Types commands into a shell that stops at the first that fails, and returns what they print. What they leave
    /// running ends with the block.
    fn types(&self, commands: &str, why: &str) -> String {
        let output = self.folder.path().join("output");
        let file = File::create(&output).expect("a file");
        let mut shell = self.cluster.with_programs(Command::new("sh"), &self.folder.path().join("bin"));
        shell.args(["-euc", commands]).current_dir(self.folder.path()).envs(VARIABLES);
        shell.stdin(Stdio::null()).stdout(file.try_clone().expect("the file")).stderr(file).process_group(0);
        let mut child = shell.spawn().expect("a shell");
        let status = child.wait().expect("its end");
        let group = Pid::from_raw(i32::try_from(child.id()).expect("a process id")).expect("not zero");
        // Most blocks leave nothing behind.
        let _ = kill_process_group(group, Signal::TERM);
        let printed = fs::read_to_string(&output).expect("what it printed");
        assert!(status.success(), "{why}:\n{commands}\n{status}\n{printed}");
        printed
    }

    /// Leaves the cluster as it was before the page. Objects with finalizers go while somebody takes those off.
    async fn tidies_up(&self) {
        let kinds = "temporarypermissiongrants,roleassignments,roles.permissions.amigo.ai";
        if self.cluster.kubectl(&["get", kinds]).success {
            self.cluster.kubectl(&["delete", kinds, "--all", "--namespace=default"]).expect("no objects");
        }
        if !arguments(&self.cluster).is_empty() {
            self.cluster.helm(&["uninstall", RELEASE, "--namespace", NAMESPACE]);
        }
        eventually(WITHIN, "nothing is installed", || async { arguments(&self.cluster).is_empty().then_some(()) })
            .await;
        let definitions = self.cluster.kubectl(&["get", "customresourcedefinitions", "--output=name"]).expect("a list");
        for definition in definitions.lines().filter(|name| name.ends_with(".permissions.amigo.ai")) {
            self.cluster.kubectl(&["delete", definition]).expect("no definition");
        }
    }

    /// An installation that the page presupposes, and a request to look at.
    fn has_installed(&self) {
        let install = blocks(&page("docs/install.md")).into_iter().next().expect("how to install");
        self.types(&install.text, "docs/install.md");
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.in_place_of_nodes.abort();
    }
}

/// What nodes would do: run the operator as its Deployment says, as long as there is one.
async fn stand_in(cluster: Arc<Cluster>, mut running: Running) {
    let mut before = String::new();
    loop {
        let now = arguments(&cluster);
        if now != before {
            if now.is_empty() {
                running.stop();
            } else {
                cluster.until_requests_are_judged().await;
                running.start(&cluster).await;
            }
            before = now;
        }
        sleep(Duration::from_millis(300)).await;
    }
}

fn arguments(cluster: &Cluster) -> String {
    let path = "--output=jsonpath={.spec.template.spec.containers[0].args}";
    cluster.kubectl(&["get", "deployment", RELEASE, "--namespace", NAMESPACE, "--ignore-not-found", path]).stdout
}

fn helm(sandbox: &str) -> String {
    let helm = tools().join("helm").display().to_string();
    format!(
        "#!/bin/sh\ncase \"$1\" in\ninstall | upgrade) exec {helm} \"$@\" --set sandbox.apiUrl={sandbox} ;;\n\
         *) exec {helm} \"$@\" ;;\nesac\n"
    )
}

/// Words of a table, with times and ages left out.
fn shape(table: &str) -> Vec<&str> {
    let varies = |word: &&str| word.starts_with(|letter: char| letter.is_ascii_digit());
    table.split_whitespace().filter(|word| !varies(word)).collect()
}

fn program(path: &Path, text: &str) {
    fs::write(path, text).expect("a program");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("one that runs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_can_type_the_commands_of_the_front_pages() {
    assert!(binary().ends_with("amigo-operator"), "the shell finds the programs by their names");
    let reader = Reader::new().await;
    reader.follows("charts/amigo-operator/README.md");
    // That page ends when helm does; what takes the place of nodes is not done yet.
    reader.types("kubectl wait --for=condition=Ready amorg/acme --timeout=2m", "it runs");
    reader.tidies_up().await;
    reader.follows("README.md");
    reader.sees("README.md");
    reader.tidies_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_can_type_the_commands_of_an_installation() {
    let reader = Reader::new().await;
    reader.follows("docs/install.md");
    reader.tidies_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_can_type_the_commands_of_daily_work() {
    let reader = Reader::new().await;
    reader.has_installed();
    reader.follows("docs/first-request.md");
    reader.types("kubectl create namespace argocd && kubectl --namespace argocd create configmap argocd-cm", "Argo CD");
    reader.follows("docs/gitops.md");
    reader.types("kubectl apply -f examples/grant-conversation.yaml", "a request to look at");
    for kind in ["servicemonitors", "podmonitors"] {
        let definition = tools().join(format!("crds/monitoring.coreos.com_{kind}.yaml"));
        reader.types(&format!("kubectl create -f {}", definition.display()), "the kinds of monitoring.coreos.com");
    }
    reader.follows("docs/operations.md");
    reader.tidies_up().await;
}
