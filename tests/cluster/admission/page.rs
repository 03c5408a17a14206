//! What docs/admission.md shows is what happens.

use std::{fs, path::Path};

use test_support::policies::{MUTATING, PolicyEnv};
use test_support::repository;
use test_support::{ENGINEER, Run, kubectl_command};

use super::requesters::request;

/// The page.
pub fn page() -> String {
    fs::read_to_string(repository("docs/admission.md")).expect("the page")
}

/// What stands between ```` ```kind ```` and the end of that block.
fn block<'a>(page: &'a str, kind: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("```{kind}\n")).expect("a block");
    rest.split_once("```").expect("its end").0
}

/// The commands of a session, and the one line each of them prints.
fn session(text: &str) -> Vec<(&str, &str)> {
    let lines: Vec<&str> = text.lines().collect();
    let pairs: Vec<(&str, &str)> =
        lines.chunks(2).map(|pair| (pair[0].strip_prefix("$ kubectl ").expect("a command"), pair[1])).collect();
    assert!(pairs.len() > 3, "{text}");
    pairs
}

/// The examples, without the namespace they name.
fn examples(folder: &Path) {
    fs::create_dir(folder.join("examples")).expect("a folder");
    for file in fs::read_dir(repository("examples")).expect("examples") {
        let path = file.expect("a file").path();
        if path.is_dir() {
            continue;
        }
        let text = fs::read_to_string(&path).expect("an example").replace("  namespace: default\n", "");
        fs::write(folder.join("examples").join(path.file_name().expect("a name")), text).expect("a copy");
    }
}

fn run(policies: &PolicyEnv, folder: &Path, command: &str) -> Run {
    let arguments: Vec<&str> = command.split(' ').collect();
    let mut kubectl = kubectl_command(policies.env.plane());
    Run::of(kubectl.current_dir(folder).args(["--namespace", &policies.env.namespace]).args(arguments), "")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_page_print_what_it_shows() {
    let folder = tempfile::tempdir().expect("a folder");
    examples(folder.path());
    let page = page();
    let values = folder.path().join("values.yaml");
    fs::write(&values, block(&page, "yaml")).expect("the values");
    let policies = PolicyEnv::new("page", &[MUTATING, "--values", &values.display().to_string()]).await;
    let dry = |flags: &str| run(&policies, folder.path(), &format!("create --dry-run=server {flags}"));
    policies.until_refused("at most PT8H", || dry("-f examples/grant-revocable.yaml")).await;
    let for_another = || dry("--as=stranger@example.com -f examples/grant-conversation.yaml");
    policies.until_refused("stranger@example.com cannot request access for", for_another).await;
    policies.until_filled(|| policies.create(ENGINEER, &request())).await;
    let release = format!("{}-amigo-operator", policies.env.namespace);
    for (command, expected) in session(block(&page, "console")) {
        let ours = |text: &str| {
            text.replace("amigo-system-amigo-operator", &release)
                .replace("namespace support", &format!("namespace {}", policies.env.namespace))
        };
        let Run { stdout, stderr, .. } = run(&policies, folder.path(), &ours(command));
        assert_eq!((stdout + &stderr).trim(), ours(expected), "{command}");
    }
}
