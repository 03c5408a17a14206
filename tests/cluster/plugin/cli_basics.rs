//! What every command shares: found by kubectl, usage errors, version.

use test_support::{kubectl_command, run, test_env::Stage};

use super::users::amigo;

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_finds_the_plugin() {
    let stage = Stage::new("found").await;
    let version = amigo(&stage, &["version"]);
    assert_eq!((version.code, version.stdout.trim()), (0, concat!("kubectl amigo ", env!("CARGO_PKG_VERSION"))));
    assert_eq!(amigo(&stage, &["no-such-verb"]).code, 2);
    let help = run(kubectl_command(stage.cluster.plane()).args(["amigo", "--help"]));
    assert!(help.success && help.stdout.contains("kubectl amigo"), "{help:?}");
}
