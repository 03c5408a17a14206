//! The line between "never sent" and "ambiguous".

use std::{
    io::Read,
    net::{SocketAddr, TcpListener},
    sync::{Arc, mpsc},
    time::Duration,
};

use amigo_runtime::clock::{Clock, SystemClock};

use crate::testing::quick;
use crate::{
    Cause, Endpoint, Error, Transport,
    client::{gate::Gate, response::ApiResponse, secrets::Secrets, transport::Attempt},
};

const BODY: &str = "the-whole-body";

/// A server that never responds, and what it read from each connection until that was closed.
fn silent() -> (SocketAddr, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, received) = mpsc::channel();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut read = Vec::new();
            // A reset is an end, too.
            stream.read_to_end(&mut read).ok();
            sender.send(String::from_utf8_lossy(&read).into_owned()).ok();
        }
    });
    (address, received)
}

async fn post(base: &str, gate: Arc<Gate>, deadline: Duration) -> Result<ApiResponse, Error> {
    let request = http::Request::post(base).body(gate.body(Some(BODY.into()))).unwrap();
    let endpoint = Endpoint::CreateGrant;
    let attempt = Attempt { endpoint, request, gate, deadline, secrets: Secrets::default(), now: SystemClock.now() };
    Transport::new(&quick()).unwrap().send(attempt).await
}

fn gate(send_before: Option<Duration>) -> Arc<Gate> {
    Gate::new(send_before, SystemClock::shared())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_body_is_not_sent() {
    let (address, received) = silent();
    let late = gate(Some(SystemClock.boot()));
    let error = post(&format!("http://{address}"), late, Duration::from_secs(5)).await.unwrap_err();
    assert!(matches!(error.cause, Cause::TooLate), "{error:?}");
    assert!(!received.recv_timeout(Duration::from_secs(10)).unwrap().contains(BODY));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn timeout_before_body_is_never_sent() {
    let (address, received) = silent();
    let error = post(&format!("https://{address}"), gate(None), Duration::from_millis(200)).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Timeout { begun: false, .. }) && error.never_sent(), "{error:?}");
    assert!(!received.recv_timeout(Duration::from_secs(10)).unwrap().contains(BODY));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn timeout_after_body_is_ambiguous() {
    let (address, received) = silent();
    // Long enough for a busy machine to send.
    let error = post(&format!("http://{address}"), gate(None), Duration::from_secs(3)).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Timeout { begun: true, .. }) && error.ambiguous(), "{error:?}");
    assert!(received.recv_timeout(Duration::from_secs(10)).unwrap().contains(BODY));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_request_does_not_start_later() {
    let (address, _received) = silent();
    let gate = gate(None);
    let base = format!("https://{address}");
    let call = post(&base, Arc::clone(&gate), Duration::from_secs(5));
    assert!(tokio::time::timeout(Duration::from_millis(100), call).await.is_err());
    let mut body = gate.body(Some(BODY.into()));
    let frame = http_body_util::BodyExt::frame(&mut body).await;
    assert!(frame.unwrap().is_err());
}
