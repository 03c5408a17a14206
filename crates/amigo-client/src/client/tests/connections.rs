//! Failures of connections, and whether the request was sent.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use amigo_runtime::clock::SystemClock;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{ServerConfig, ServerConnection, StreamOwned, crypto::ring, pki_types::PrivatePkcs8KeyDer};
use serde_json::json;

use crate::testing::{Server, address_of, client, client_with, created, credentials, new_grant, quick, respond};
use crate::{Client, Endpoint, Error, ErrorKind, RateLimiter, Transport, TransportOptions, Turn};

async fn failed_grant(client: &Client) -> Error {
    client.create_grant(&new_grant(), &client.reserve_grant_posts(1, Turn::default())).await.unwrap_err()
}

#[tokio::test]
async fn refused_connection_is_never_sent() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = client(address).organization_info().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.never_sent() && !error.ambiguous());
}

#[tokio::test]
async fn refused_connection_does_not_count() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = client(address);
    for _ in 0..9 {
        client.probe().await.unwrap_err();
        failed_grant(&client).await;
        client.organization_info().await.unwrap_err();
    }
    for endpoint in [Endpoint::SignIn, Endpoint::CreateGrant, Endpoint::Organization] {
        assert_eq!(client.rate_limiter().usage(endpoint).used, 0, "{endpoint}");
    }
}

#[tokio::test]
async fn unknown_host_is_never_sent() {
    let clock = SystemClock::shared();
    let rate_limiter = Arc::new(RateLimiter::new(80, &[].into(), clock.clone()));
    let nowhere = address_of("http://nowhere.invalid");
    let client = Client::new(Transport::new(&quick()).unwrap(), nowhere, credentials(), rate_limiter, clock);
    let error = client.organization_info().await.unwrap_err();
    assert!(error.never_sent() && error.kind() == ErrorKind::Connect, "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_response_is_ambiguous() {
    let (release, wait) = mpsc::channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    let server = Server::signed_in(move |_| {
        // Ends when the test drops its end. `block_in_place` hands this thread's timers to another one.
        assert!(tokio::task::block_in_place(|| wait.lock().unwrap().recv()).is_err());
        created()
    })
    .await;
    // Long enough for a busy machine to sign in and send.
    let options = TransportOptions { request_deadline: Duration::from_secs(4), ..quick() };
    let error = failed_grant(&client_with(server.address, SystemClock::shared(), &options)).await;
    drop(release);
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.ambiguous());
}

#[tokio::test]
async fn truncated_response_is_ambiguous() {
    for response in [&b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"org_id\""[..], b"", b"nonsense\r\n\r\n"] {
        let address = Server::raw(response);
        let error = client(address).organization_info().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
        assert!(error.ambiguous());
    }
}

#[tokio::test]
async fn oversized_response_is_ambiguous() {
    let server = Server::signed_in(|_| respond(201, &json!({"padding": "x".repeat(10_000_000)}))).await;
    let error = failed_grant(&server.client()).await;
    assert_eq!(error.kind(), ErrorKind::BodyTooLarge);
    assert!(error.ambiguous());
}

#[tokio::test]
async fn rejection_with_oversized_body_is_refused() {
    let server = Server::signed_in(|_| respond(422, &json!({"detail": "x".repeat(10_000_000)}))).await;
    let error = failed_grant(&server.client()).await;
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.refused());
}

#[tokio::test]
async fn unexpected_success_is_ambiguous() {
    for (status, body) in [(200, json!({})), (204, json!({})), (201, json!({"id": 1})), (201, json!("ok"))] {
        let server = Server::signed_in(move |_| respond(status, &body)).await;
        let error = failed_grant(&server.client()).await;
        assert!(error.ambiguous(), "{status}: {error}");
    }
}

#[tokio::test]
async fn grant_with_rejected_token_is_not_repeated() {
    let server = Server::signed_in(|_| respond(401, &json!({}))).await;
    let client = server.client();
    assert!(failed_grant(&client).await.refused());
    assert_eq!((server.sign_ins(), server.others().len()), (1, 1));
    client.sign_in().await.unwrap();
    assert_eq!(server.sign_ins(), 2);
}

#[tokio::test]
async fn untrusted_server_gets_no_request() {
    let (address, _) = tls_server();
    let error = tls_client(address, Vec::new()).organization_info().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
    assert!(error.never_sent() && error.to_string().contains("certificate"));
}

#[tokio::test]
async fn extra_root_certificate_is_trusted() {
    let (address, certificate) = tls_server();
    let info = tls_client(address, certificate.into_bytes()).organization_info().await.unwrap();
    assert_eq!(info.org_id, "acme");
}

#[tokio::test]
async fn tls_request_to_plain_server_is_never_sent() {
    let address = Server::raw(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    let error = tls_client(address, Vec::new()).organization_info().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
}

#[test]
fn malformed_root_certificates_are_an_error() {
    let pem = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec();
    let options = TransportOptions { extra_root_certificates: pem, ..quick() };
    assert!(Transport::new(&options).is_err());
}

fn tls_client(address: SocketAddr, extra_root_certificates: Vec<u8>) -> Client {
    let clock = SystemClock::shared();
    let rate_limiter = Arc::new(RateLimiter::new(80, &[(Endpoint::Organization, 100)].into(), clock.clone()));
    let transport = Transport::new(&TransportOptions { extra_root_certificates, ..quick() }).unwrap();
    let base = address_of(&format!("https://localhost:{}", address.port()));
    Client::new(transport, base, credentials(), rate_limiter, clock)
}

/// A TLS server that responds with an organization, and its certificate.
fn tls_server() -> (SocketAddr, String) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key.into())
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream);
            // A client that does not trust this server closes the connection here.
            if stream.read(&mut [0; 4096]).is_ok() {
                let body = r#"{"org_id":"acme","org_name":"Acme"}"#;
                let response = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                stream.write_all(response.as_bytes()).unwrap();
                stream.conn.send_close_notify();
                stream.flush().unwrap();
            }
        }
    });
    (address, cert.pem())
}
