//! Mistakes in the grant protocol that the tests must find: `tests/mistakes.yaml`.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde::Deserialize;
use test_support::repository;

#[derive(Debug, Deserialize)]
struct Mistake {
    name: String,
    file: PathBuf,
    from: String,
    to: String,
    /// The arguments of `cargo test`; by default the library tests of the file's crate.
    test: Option<String>,
}

fn mistakes() -> Vec<Mistake> {
    let text = fs::read_to_string(repository("tests/mistakes.yaml")).expect("the list");
    serde_saphyr::from_str(&text).expect("a list of mistakes")
}

impl Mistake {
    /// The source file with the mistake.
    fn text(&self) -> String {
        let text = fs::read_to_string(repository(&self.file.to_string_lossy())).expect("a source file");
        let Self { name, file, from, .. } = self;
        assert_eq!(text.matches(from).count(), 1, "{name}: {} must have once: {from}", file.display());
        assert_ne!(*from, self.to, "{name}");
        text.replace(from, &self.to)
    }

    fn arguments(&self) -> Vec<String> {
        let folder = self.file.iter().nth(1).expect("a folder").to_string_lossy();
        let default = || format!("--package amigo-{} --lib", folder.trim_start_matches("amigo-"));
        self.test.clone().unwrap_or_else(default).split(' ').map(str::to_owned).collect()
    }

    /// Runs the tests, the model only if no other finds the mistake. They must compile, or nothing was tested.
    fn test(&self, root: &Path) -> BTreeSet<String> {
        let cargo = |arguments: &[String]| {
            let mut command = Command::new("cargo");
            command.args(["test", "--locked"]).args(arguments).current_dir(root);
            command.env("CARGO_TARGET_DIR", root.join("target")).output().expect("cargo")
        };
        let arguments = self.arguments();
        let options = arguments.iter().position(|argument| argument == "--").unwrap_or(arguments.len());
        let without_run: Vec<_> = arguments[..options].iter().cloned().chain(["--no-run".to_owned()]).collect();
        let output = cargo(&without_run);
        assert!(output.status.success(), "{}: {}", self.name, String::from_utf8_lossy(&output.stderr));
        let without_model = ["--", "--skip", "grant::tests::model"].map(str::to_owned);
        let selected = arguments.iter().skip(options + 1).cloned();
        let quick: Vec<_> = arguments[..options].iter().cloned().chain(without_model).chain(selected).collect();
        let found = failed(&cargo(&quick));
        if found.is_empty() { failed(&cargo(&arguments)) } else { found }
    }
}

/// Copies the tracked files of the repository that differ: Cargo builds what is newer.
fn copy_sources(target: &Path) {
    let listed = Command::new("git").arg("ls-files").current_dir(repository(".")).output().expect("git");
    for file in String::from_utf8(listed.stdout).expect("names").lines() {
        let (copy, text) = (target.join(file), fs::read(repository(file)).expect("a file"));
        if fs::read(&copy).is_ok_and(|present| present == text) {
            continue;
        }
        fs::create_dir_all(copy.parent().expect("a folder")).expect("a folder");
        fs::copy(repository(file), copy).expect("a copy");
    }
}

/// The names of the tests that failed.
fn failed(output: &Output) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    let name = |line: &str| line.strip_prefix("test ")?.strip_suffix(" ... FAILED").map(str::to_owned);
    text.lines().filter_map(name).collect()
}

#[test]
fn mistakes_match_the_sources() {
    let mistakes = mistakes();
    assert!(mistakes.len() >= 20);
    assert!(mistakes.iter().all(|mistake| !mistake.text().is_empty()));
}

#[expect(clippy::print_stdout, reason = "the result of each mistake, shown with --nocapture")]
#[test]
#[ignore = "builds each mistake: `make mistakes` runs it"]
fn tests_find_each_mistake() {
    let root = test_support::temporary_folder().join("mistakes");
    let mut unnoticed = Vec::new();
    for mistake in mistakes() {
        copy_sources(&root);
        fs::write(root.join(&mistake.file), mistake.text()).expect("a copy of the source file");
        let found = mistake.test(&root);
        let examples: Vec<_> = found.iter().take(3).map(String::as_str).collect();
        println!("{}: {} tests fail, such as {}", mistake.name, found.len(), examples.join(", "));
        if found.is_empty() {
            unnoticed.push(mistake.name);
        }
    }
    assert!(unnoticed.is_empty(), "no test finds: {unnoticed:?}");
}
