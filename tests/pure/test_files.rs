//! Every test file belongs to a binary, and every test has a readable name.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use regex::Regex;
use test_support::repository;

const LONGEST_NAME: usize = 50;

#[test]
fn every_test_file_is_reachable_from_a_main() {
    let tests = repository("tests");
    let roots = ["pure", "cluster", "process", "install", "sandbox"].map(|binary| tests.join(binary).join("main.rs"));
    let mut reached = BTreeSet::from([tests.join("support/src/lib.rs")]);
    reached.extend(roots);
    let mut unread: Vec<PathBuf> = reached.iter().cloned().collect();
    while let Some(file) = unread.pop() {
        for module in modules(&file) {
            assert!(module.exists(), "{} declares {}, which does not exist", file.display(), module.display());
            if reached.insert(module.clone()) {
                unread.push(module);
            }
        }
    }
    let forgotten: Vec<_> = sources(&tests).into_iter().filter(|file| !reached.contains(file)).collect();
    assert!(forgotten.is_empty(), "no main.rs reaches {forgotten:?}: add a mod line");
}

#[test]
fn test_names_have_at_most_fifty_characters() {
    let test = Regex::new(r"#\[(?:tokio::)?test\b[^\]]*\](?:\s*#\[[^\]]*\])*\s*(?:async )?fn (\w+)").unwrap();
    let (mut count, mut long) = (0, Vec::new());
    for file in ["src", "crates", "tests"].iter().flat_map(|folder| sources(&repository(folder))) {
        for name in test.captures_iter(&read(&file)).map(|found| found[1].to_owned()) {
            count += 1;
            if name.len() > LONGEST_NAME {
                long.push(format!("{}: {name}", file.display()));
            }
        }
    }
    assert!(count > 900, "the pattern finds only {count} tests");
    assert!(long.is_empty(), "over {LONGEST_NAME} characters:\n{}", long.join("\n"));
}

/// The files that the `mod` lines of a file name.
fn modules(file: &Path) -> Vec<PathBuf> {
    let text = read(file);
    let names = text.lines().filter_map(|line| declared(line)?.strip_suffix(';'));
    names.map(|name| file_of(file, name)).collect()
}

/// What follows `mod` in a line that declares a module.
pub fn declared(line: &str) -> Option<&str> {
    let visibility = ["pub(crate) ", "pub(super) ", "pub "];
    let line = visibility.iter().find_map(|visibility| line.strip_prefix(visibility)).unwrap_or(line);
    line.strip_prefix("mod ")
}

/// The file of a module that another file declares.
pub fn file_of(file: &Path, module: &str) -> PathBuf {
    let folder = file.parent().expect("a folder");
    let is_root = ["main.rs", "lib.rs", "mod.rs"].iter().any(|name| file.ends_with(name));
    let folder = if is_root { folder.to_owned() } else { file.with_extension("") };
    let nested = folder.join(module).join("mod.rs");
    if nested.exists() { nested } else { folder.join(format!("{module}.rs")) }
}

pub fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| unreachable!("{}: {error}", file.display()))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut sources = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            sources.extend(self::sources(&entry));
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            sources.push(entry);
        }
    }
    sources
}
