//! The Dockerfile: what a build without a registry of Docker's needs.

use std::fs;

fn dockerfile() -> String {
    fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Dockerfile")).expect("the Dockerfile")
}

#[test]
fn image_build_fetches_no_frontend() {
    let directive = dockerfile().lines().any(|line| line.to_lowercase().replace(' ', "").starts_with("#syntax="));
    assert!(!directive, "BuildKit fetches the frontend that `# syntax=` names from a registry, and fails offline");
}

#[test]
fn released_programs_have_no_crash_points() {
    let manifest = include_str!("../../Cargo.toml");
    assert!(manifest.contains("\ncrash-points = [") && !manifest.contains("\ndefault = ["));
    let released = [include_str!("../../.github/workflows/release.yml"), &dockerfile()].concat();
    assert!(!released.contains("crash-points") && !released.contains("all-features"));
}

#[test]
fn image_trusts_no_certificate_of_its_build() {
    let text = dockerfile();
    let (_, stages) = text.split_once("\nFROM scratch").expect("the images");
    assert!(text.contains("ARG BUILD_CA") && !stages.contains("BUILD_CA"));
    let bundle = text.lines().find(|line| line.contains("/image/etc/ssl/certs/") && line.contains("cp "));
    assert!(bundle.expect("the bundle of the image").contains("cp /etc/ssl/certs/ca-certificates.crt"));
}
