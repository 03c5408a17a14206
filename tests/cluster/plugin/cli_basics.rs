//! What every command shares: found by kubectl, usage errors, version.

use test_support::{TestEnv, kubectl_command, run};

use super::users::amigo;

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_finds_the_plugin() {
    let env = TestEnv::ready("found").await;
    let version = amigo(&env, &["version"]);
    assert_eq!((version.code, version.stdout.trim()), (0, concat!("kubectl amigo ", env!("CARGO_PKG_VERSION"))));
    assert_eq!(amigo(&env, &["no-such-verb"]).code, 2);
    let help = run(kubectl_command(env.plane()).args(["amigo", "--help"]));
    assert!(help.success && help.stdout.contains("kubectl amigo"), "{help:?}");
}
