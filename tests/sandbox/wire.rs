//! Over a real connection: what cannot be seen in process.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use amigo_sandbox::{Effect, Fault, Operation, Sandbox};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle, time::timeout};

use crate::support::*;

struct Served {
    sandbox: Sandbox,
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

async fn served() -> Served {
    let sandbox = world().sandbox;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = sandbox.clone();
    let task = tokio::spawn(async move { serving.serve(listener, async { drop(stopped.await) }).await });
    Served { sandbox, address, stop, task }
}

impl Served {
    /// Everything the sandbox sends before it closes.
    fn ask(&self) -> JoinHandle<Vec<u8>> {
        let address = self.address;
        tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            let request = "GET /v1/acme/organization/ HTTP/1.1\r\nhost: sandbox\r\nconnection: close\r\n\r\n";
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = Vec::new();
            drop(stream.read_to_end(&mut answer));
            answer
        })
    }

    fn fault(&self, effect: Effect) {
        self.sandbox.add_fault(Fault::new(Operation::GetOrganization, effect));
    }
}

#[tokio::test]
async fn a_dropped_connection_carries_no_answer() {
    let served = served().await;
    served.fault(Effect::Drop);
    assert!(served.ask().await.unwrap().is_empty());
    assert!(served.ask().await.unwrap().starts_with(b"HTTP/1.1 200"));
    let log = served.sandbox.requests().log;
    assert_eq!((log[0].status, log[1].status), (None, Some(200)));
}

#[tokio::test]
async fn a_cut_answer_is_shorter_than_declared() {
    let served = served().await;
    served.fault(Effect::CutBody);
    let answer = String::from_utf8(served.ask().await.unwrap()).unwrap();
    assert!(answer.contains("content-length: ") && !answer.ends_with('}'), "{answer}");
}

#[tokio::test]
async fn date_follows_the_sandbox_clock() {
    let served = served().await;
    let answer = String::from_utf8(served.ask().await.unwrap()).unwrap();
    assert!(answer.contains("date: Sun, 22 Nov 2026 10:00:00 GMT\r\n"), "{answer}");
}

#[tokio::test]
async fn a_hanging_request_ends_with_the_sandbox() {
    let served = served().await;
    served.fault(Effect::Hang);
    let mut request = served.ask();
    assert!(timeout(Duration::from_millis(200), &mut request).await.is_err());
    served.stop.send(()).unwrap();
    assert!(timeout(Duration::from_secs(5), served.task).await.unwrap().unwrap().is_ok());
}
