//! A served sandbox, judged by Amigo's official Python SDK.

use std::process::Stdio;

use amigo_runtime::clock::SystemClock;
use amigo_sandbox::{Behavior, Sandbox, Seed};
use tokio::{io::AsyncWriteExt, net::TcpListener, process::Command};

/// Serves a sandbox from the example seed, and runs a script of this folder with its address and this input.
pub async fn judge(script: &str, behavior: impl FnOnce(&mut Behavior), input: &str) {
    let sandbox = Sandbox::new(Seed::example().unwrap(), SystemClock::shared(), 1).unwrap();
    sandbox.set_behavior("acme", behavior).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { sandbox.serve(listener, std::future::pending()).await });

    let script = format!("{}/tests/sandbox/{script}", env!("CARGO_MANIFEST_DIR"));
    let mut judge = Command::new(script).arg(url).stdin(Stdio::piped()).spawn().unwrap();
    // The judge may end without reading it; its status decides.
    judge.stdin.take().unwrap().write_all(input.as_bytes()).await.ok();
    assert!(judge.wait().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Python 3.11 and, the first time, the network to install the SDK"]
async fn the_official_sdk_accepts_the_sandbox() {
    judge("sdk.sh", |behavior| behavior.limit_multiplier = 0, "").await;
}
