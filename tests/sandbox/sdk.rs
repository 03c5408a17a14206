//! Amigo's official Python SDK against a served sandbox.

use std::process::Command;

use amigo_runtime::clock::SystemClock;
use amigo_sandbox::{Sandbox, Seed};
use tokio::{net::TcpListener, sync::oneshot};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Python 3.11 and, the first time, the network to install the SDK"]
async fn the_official_sdk_accepts_the_sandbox() {
    let sandbox = Sandbox::new(Seed::example().unwrap(), SystemClock::shared(), 1).unwrap();
    sandbox.set_behavior("acme", |behavior| behavior.limit_multiplier = 0).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(async move { sandbox.serve(listener, async { drop(stopped.await) }).await });

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sandbox/sdk.sh");
    let status = tokio::task::spawn_blocking(move || Command::new(script).arg(url).status()).await.unwrap();

    assert!(status.unwrap().success());
    stop.send(()).unwrap();
    served.await.unwrap().unwrap();
}
