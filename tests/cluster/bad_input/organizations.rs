//! Connections that cannot work: the Organization says why and what to do, its objects name it, and both recover.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use amigo_sandbox::{Effect, Operation};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{ServerConfig, ServerConnection, StreamOwned, crypto::ring, pki_types::PrivatePkcs8KeyDer};
use serde_json::json;

use test_support::test_env::{OPERATOR_NAMESPACE, Stage, grant};

const REQUEST: &str = "  conversation: {ownerUserId: user-owner-7f3a}";
const SIGN_IN: Operation = Operation::SignInWithApiKey;

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_secret_is_named() {
    let stage = waiting("nosecret", |stage| stage.organization(&plain(stage), "")).await;
    let why = broken(&stage, "SecretNotFound").await;
    let secret = format!("Secret {OPERATOR_NAMESPACE}/{} does not exist", stage.name);
    assert!(why.contains(&secret) && why.contains("apiKey, apiKeyId and userId"), "{why}");
    assert_eq!(stage.sandbox.requests().total(), 0);
    stage.apply(&stage.secret("sandbox-api-key")).await;
    recovered(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_key_of_the_secret_is_named() {
    let secret = |stage: &Stage| stage.secret("sandbox-api-key").replace("userId: user-operator-0001", "other: x");
    let stage = waiting("nokey", |stage| secret(stage) + "\n---\n" + &stage.organization(&plain(stage), "")).await;
    let why = broken(&stage, "SecretIncomplete").await;
    assert!(why.contains("key userId") && !why.contains("sandbox-api-key"), "{why}");
    stage.apply(&stage.secret("sandbox-api-key")).await;
    recovered(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_stops_all_calls() {
    let stage =
        waiting("wrongkey", |stage| stage.secret("wrong") + "\n---\n" + &stage.organization(&plain(stage), "")).await;
    let why = broken(&stage, "CredentialsRejected").await;
    assert!(why.contains("401") && why.contains("put a valid key into Secret"), "{why}");
    let valid = stage.condition("amorg", &stage.name, "CredentialsValid").await.expect("a condition");
    assert_eq!(valid.status, "False");
    let requests = stage.sandbox.requests();
    assert_eq!(requests.total(), requests.count(SIGN_IN), "nothing but sign-ins");
    stage.apply(&stage.secret("sandbox-api-key")).await;
    recovered(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_region_is_told() {
    let stage = failing("region", Some(SIGN_IN), Effect::status(404)).await;
    let why = broken(&stage, "NotFound").await;
    assert!(why.contains("wrong region or organization?") && why.contains("apiUrl"), "{why}");
    stage.sandbox.clear_faults();
    recovered(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_user_without_rights_is_told() {
    let stage = failing("norights", Some(Operation::GetRoles), Effect::status(403)).await;
    let why = broken_alone(&stage, "Forbidden").await;
    assert!(why.contains("list_roles") && why.contains("the role of the operator's user"), "{why}");
    stage.sandbox.clear_faults();
    recovered(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_told_and_over_when_it_is_over() {
    let stage = failing("down", None, Effect::status(503)).await;
    let why = broken_alone(&stage, "Unavailable").await;
    assert!(why.contains("503") && why.contains("tried again"), "{why}");
    stage.sandbox.clear_faults();
    recovered(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_is_told() {
    let stage = failing("limit", None, Effect::status(429)).await;
    broken_alone(&stage, "RateLimited").await;
    stage.sandbox.clear_faults();
    recovered(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_told_and_not_followed() {
    let stage = failing("moved", None, Effect::Redirect { location: "https://elsewhere.example/".to_owned() }).await;
    let why = broken_alone(&stage, "InvalidResponse").await;
    assert!(why.contains("redirects are not followed"), "{why}");
    stage.sandbox.clear_faults();
    recovered(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_answer_is_told() {
    let stage = failing("big", None, Effect::HugeBody { bytes: 10_000_000 }).await;
    let why = broken_alone(&stage, "InvalidResponse").await;
    assert!(why.contains("larger than 1048576 bytes"), "{why}");
    stage.sandbox.clear_faults();
    recovered(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn https_to_a_plain_port_is_told() {
    let stage = waiting("plain", |stage| connected(stage, &format!("https://{}", stage.address))).await;
    let why = broken_alone(&stage, "Unreachable").await;
    assert!(why.contains("no secure connection") && why.contains("apiUrl"), "{why}");
    stage.patch("amorg", &stage.name, json!({"spec": {"apiUrl": plain(&stage)}})).await;
    recovered(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_nobody_vouches_for_is_told() {
    let address = self_signed();
    let stage = waiting("selfsigned", |stage| connected(stage, &format!("https://{address}"))).await;
    let why = broken_alone(&stage, "Unreachable").await;
    assert!(why.contains("no secure connection") && why.contains("certificate"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_port_is_told() {
    let address = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port");
    let stage = waiting("closed", |stage| connected(stage, &format!("http://{address}"))).await;
    let why = broken_alone(&stage, "Unreachable").await;
    assert!(why.contains("cannot connect") && why.contains("apiUrl"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_not_allowed_is_never_called() {
    let stage = waiting("host", |stage| connected(stage, "https://evil.example")).await;
    let why = broken(&stage, "ApiUrlNotAllowed").await;
    assert!(why.contains("https://evil.example") && why.contains("--allowed-api-host"), "{why}");
}

/// A stage with a request that waits for what `broken` makes of its connection.
async fn waiting(prefix: &str, broken: impl FnOnce(&Stage) -> String) -> Stage {
    let stage = Stage::bare(prefix).await;
    stage.apply(&broken(&stage)).await;
    stage.apply(&grant("request", REQUEST)).await;
    stage
}

/// A stage whose sandbox answers an operation, or all, badly for ever.
async fn failing(prefix: &str, operation: Option<Operation>, effect: Effect) -> Stage {
    let stage = Stage::bare(prefix).await;
    for operation in operation.map_or(Operation::ALL.to_vec(), |one| vec![one]) {
        stage.fail(operation, effect.clone());
    }
    stage.connect("").await;
    stage.apply(&grant("request", REQUEST)).await;
    stage
}

/// The Organization's message; its objects repeat it and stay in peace.
async fn broken(stage: &Stage, reason: &str) -> String {
    let why = broken_alone(stage, reason).await;
    let repeated = stage.until_reason("tpg", "request", "Ready", "OrganizationNotReady").await;
    assert!(repeated.contains(&why) && repeated.contains(&stage.name), "{repeated}");
    why
}

/// The Organization's message; nobody asks again and again.
async fn broken_alone(stage: &Stage, reason: &str) -> String {
    let why = stage.until_reason("amorg", &stage.name, "Ready", reason).await;
    stage.assert_quiet("amorg", &stage.name).await;
    why
}

async fn recovered(stage: &Stage) {
    stage.until_ready("amorg", &stage.name).await;
    stage.until_ready("tpg", "request").await;
    assert_eq!(stage.issued().len(), 3);
}

fn plain(stage: &Stage) -> String {
    format!("http://{}", stage.address)
}

fn connected(stage: &Stage, url: &str) -> String {
    stage.secret("sandbox-api-key") + "\n---\n" + &stage.organization(url, "")
}

/// A server whose certificate only it believes in.
fn self_signed() -> SocketAddr {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key.into())
        .expect("a configuration");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let config = Arc::new(config);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = ServerConnection::new(Arc::clone(&config)).expect("a connection");
            let mut stream = StreamOwned::new(connection, stream);
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        }
    });
    address
}
