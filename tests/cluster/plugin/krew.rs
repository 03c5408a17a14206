//! The manifest for krew's index, filled in as krew-release-bot does and read by krew's rules.

use std::{fs, path::Path};

use serde_json::Value;

const TAG: &str = "v1.2.3";
const SUM: &str = "539747ab82ebfec72c3340c40661fdfd62108a5d305dbf5a7e43f9ca6428748b";

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a file of the repository")
}

/// Each call of the bot's function becomes the URL and its sum; the tag and the version come last.
fn filled_in() -> Value {
    let mut text = read(".krew.yaml");
    while let Some((before, rest)) = text.split_once("{{addURIAndSha \"") {
        let (url, after) = rest.split_once("\" .TagName }}").expect("the end of the call");
        text = format!("{before}uri: {url}\n    sha256: {SUM}{after}");
    }
    let text = text.replace("{{ .TagName }}", TAG).replace("{{ .Version }}", TAG.trim_start_matches('v'));
    assert!(!text.contains("{{"), "something is left to fill in:\n{text}");
    serde_saphyr::from_str(&text).expect("YAML")
}

fn platforms(manifest: &Value) -> &Vec<Value> {
    manifest["spec"]["platforms"].as_array().expect("platforms")
}

#[test]
fn the_manifest_follows_krews_rules() {
    let manifest = filled_in();
    assert_eq!(manifest["apiVersion"], "krew.googlecontainertools.github.com/v1alpha2");
    assert_eq!((&manifest["kind"], &manifest["metadata"]["name"]), (&"Plugin".into(), &"amigo".into()));
    assert_eq!(manifest["spec"]["version"], TAG);
    let short = manifest["spec"]["shortDescription"].as_str().expect("a short description");
    assert!(short.len() <= 50 && !short.contains('\n'), "krew's index wants few words: {short}");
    for part in ["homepage", "description", "caveats"] {
        assert!(manifest["spec"][part].as_str().is_some_and(|text| text.len() > 20), "{part}");
    }
    for platform in platforms(&manifest) {
        assert_eq!((&platform["bin"], &platform["sha256"]), (&"kubectl-amigo".into(), &SUM.into()));
        assert!(platform["selector"]["matchLabels"].as_object().is_some_and(|labels| labels.len() == 2), "{platform}");
    }
}

/// What the release workflow builds is what the manifest offers.
#[test]
fn each_archive_of_a_release_has_its_platform() {
    let workflow: Value = serde_saphyr::from_str(&read(".github/workflows/release.yml")).expect("a workflow");
    let built = workflow["jobs"]["plugin"]["strategy"]["matrix"]["include"].as_array().expect("what is built");
    let name = |one: &Value| format!("{}_{}", one["os"].as_str().expect("os"), one["arch"].as_str().expect("arch"));
    let manifest = filled_in();
    let offered = platforms(&manifest).iter().map(|platform| {
        let name = name(&platform["selector"]["matchLabels"]);
        let url = format!("/releases/download/{TAG}/kubectl-amigo_1.2.3_{name}.tar.gz");
        assert!(platform["uri"].as_str().is_some_and(|uri| uri.ends_with(&url)), "{platform}");
        name
    });
    assert_eq!(offered.collect::<Vec<_>>(), built.iter().map(name).collect::<Vec<_>>());
}
