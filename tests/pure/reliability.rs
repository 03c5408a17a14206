//! `docs/reliability.md` names a real test for each fault.

use std::{collections::BTreeSet, path::Path};

use test_support::repository;

use super::test_files::{declared, file_of, read};

const LEAST_ROWS: usize = 90;

/// The test binaries and the crates, each with its first file.
const ROOTS: [(&str, &str); 13] = [
    ("pure", "tests/pure/main.rs"),
    ("cluster", "tests/cluster/main.rs"),
    ("process", "tests/process/main.rs"),
    ("install", "tests/install/main.rs"),
    ("sandbox", "tests/sandbox/main.rs"),
    ("amigo_operator", "src/lib.rs"),
    ("amigo_api", "crates/api/src/lib.rs"),
    ("amigo_client", "crates/amigo-client/src/lib.rs"),
    ("amigo_lifecycle", "crates/lifecycle/src/lib.rs"),
    ("amigo_permissions", "crates/permissions/src/lib.rs"),
    ("amigo_runtime", "crates/runtime/src/lib.rs"),
    ("amigo_sandbox", "crates/sandbox/src/lib.rs"),
    ("kubectl_amigo", "crates/kubectl-amigo/src/lib.rs"),
];

#[test]
fn every_fault_has_a_test_that_exists() {
    let existing: BTreeSet<String> = ROOTS.iter().flat_map(|(name, file)| tests_of(name, &repository(file))).collect();
    let rows = rows(&read(&repository("docs/reliability.md")));
    let wrong: Vec<_> = rows.iter().filter(|row| !existing.contains(test_of(row))).collect();
    assert!(wrong.is_empty(), "rows without an existing test: {wrong:#?}");
}

#[test]
fn there_are_at_least_ninety_different_faults() {
    let rows = rows(&read(&repository("docs/reliability.md")));
    let incomplete: Vec<_> = rows.iter().filter(|row| row.len() != 3 || row.iter().any(String::is_empty)).collect();
    assert!(incomplete.is_empty(), "{incomplete:#?}");
    let faults: BTreeSet<_> = rows.iter().map(|row| &row[0]).collect();
    assert!(faults.len() >= LEAST_ROWS && faults.len() == rows.len(), "{} of {} rows", faults.len(), rows.len());
}

#[test]
fn tests_of_modules_are_found() {
    let found = tests_of("pure", &repository("tests/pure/main.rs"));
    assert!(found.contains("pure::reliability::tests_of_modules_are_found"), "{found:?}");
    let nested = tests_of("amigo_lifecycle", &repository("crates/lifecycle/src/lib.rs"));
    assert!(nested.contains("amigo_lifecycle::grant::tests::random::invariants_hold_under_random_schedules"));
    assert!(nested.contains("amigo_lifecycle::release::tests::failures_that_can_end_keep_the_object"));
}

/// The cells of the tables of faults.
fn rows(page: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut is_fault = false;
    for line in page.lines() {
        is_fault = line.starts_with('|') && (is_fault || line.starts_with("| fault |"));
        if is_fault && !line.starts_with("| fault |") && !line.starts_with("| --- |") {
            rows.push(line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect());
        }
    }
    rows
}

fn test_of(row: &[String]) -> &str {
    row.last().map_or("", |cell| cell.trim_matches('`'))
}

/// The full names of the tests in a file and its modules, without the ignored ones.
fn tests_of(module: &str, file: &Path) -> BTreeSet<String> {
    let (mut tests, mut within, mut is_test) = (BTreeSet::new(), String::new(), false);
    for line in read(file).lines() {
        let code = line.trim_start();
        if let Some(name) = declared(line).and_then(|rest| rest.strip_suffix(';')) {
            tests.extend(tests_of(&format!("{module}::{name}"), &file_of(file, name)));
        } else if let Some(name) = declared(line).and_then(|rest| rest.strip_suffix(" {")) {
            within = format!("{name}::");
        } else if line == "}" {
            within.clear();
        } else if code.starts_with("#[test]") || code.starts_with("#[tokio::test") {
            is_test = true;
        } else if code.starts_with("#[ignore") {
            is_test = false;
        } else if let Some(rest) = code.strip_prefix("async ").unwrap_or(code).strip_prefix("fn ").filter(|_| is_test) {
            is_test = false;
            let name = rest.split('(').next().unwrap_or_default();
            tests.insert(format!("{module}::{within}{name}"));
        }
    }
    tests
}
