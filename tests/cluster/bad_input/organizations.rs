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

use test_support::{OPERATOR_NAMESPACE, TestEnv, grant};

const REQUEST: &str = "  conversation: {ownerUserId: user-owner-7f3a}";
const SIGN_IN: Operation = Operation::SignInWithApiKey;

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_secret_is_named() {
    let env = waiting("nosecret", |env| env.organization_at(&plain(env), "")).await;
    let why = broken(&env, "SecretNotFound").await;
    let secret = format!("Secret {OPERATOR_NAMESPACE}/{} does not exist", env.organization);
    assert!(why.contains(&secret) && why.contains("apiKey, apiKeyId and userId"), "{why}");
    assert_eq!(env.sandbox().requests().total(), 0);
    env.apply(&env.secret("sandbox-api-key")).await;
    recovered(&env).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_key_of_the_secret_is_named() {
    let secret = |env: &TestEnv| env.secret("sandbox-api-key").replace("userId: user-operator-0001", "other: x");
    let env = waiting("nokey", |env| secret(env) + "\n---\n" + &env.organization_at(&plain(env), "")).await;
    let why = broken(&env, "SecretIncomplete").await;
    assert!(why.contains("key userId") && !why.contains("sandbox-api-key"), "{why}");
    env.apply(&env.secret("sandbox-api-key")).await;
    recovered(&env).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_stops_all_calls() {
    let env = waiting("wrongkey", |env| env.secret("wrong") + "\n---\n" + &env.organization_at(&plain(env), "")).await;
    let why = broken(&env, "CredentialsRejected").await;
    assert!(why.contains("401") && why.contains("put a valid key into Secret"), "{why}");
    let valid = env.condition("amorg", &env.organization, "CredentialsValid").await.expect("a condition");
    assert_eq!(valid.status, "False");
    let requests = env.sandbox().requests();
    assert_eq!(requests.total(), requests.count(SIGN_IN), "nothing but sign-ins");
    env.apply(&env.secret("sandbox-api-key")).await;
    recovered(&env).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_region_is_told() {
    let env = failing("region", Some(SIGN_IN), Effect::status(404)).await;
    let why = broken(&env, "NotFound").await;
    assert!(why.contains("wrong region or organization?") && why.contains("apiUrl"), "{why}");
    env.sandbox().clear_faults();
    recovered(&env).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_user_without_rights_is_told() {
    let env = failing("norights", Some(Operation::GetRoles), Effect::status(403)).await;
    let why = broken_alone(&env, "Forbidden").await;
    assert!(why.contains("list_roles") && why.contains("give the operator's Amigo user a role"), "{why}");
    env.sandbox().clear_faults();
    recovered(&env).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_told_and_over_when_it_is_over() {
    let env = failing("down", None, Effect::status(503)).await;
    let why = broken_alone(&env, "Unavailable").await;
    assert!(why.contains("503") && why.contains("retrying"), "{why}");
    env.sandbox().clear_faults();
    recovered(&env).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_is_told() {
    let env = failing("limit", None, Effect::status(429)).await;
    broken_alone(&env, "RateLimited").await;
    env.sandbox().clear_faults();
    recovered(&env).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_told_and_not_followed() {
    let env = failing("moved", None, Effect::Redirect { location: "https://elsewhere.example/".to_owned() }).await;
    let why = broken_alone(&env, "InvalidResponse").await;
    assert!(why.contains("does not follow redirects"), "{why}");
    env.sandbox().clear_faults();
    recovered(&env).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_answer_is_told() {
    let env = failing("big", None, Effect::HugeBody { bytes: 10_000_000 }).await;
    let why = broken_alone(&env, "InvalidResponse").await;
    assert!(why.contains("larger than 1048576 bytes"), "{why}");
    env.sandbox().clear_faults();
    recovered(&env).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn https_to_a_plain_port_is_told() {
    let env = waiting("plain", |env| connected(env, &env.amigo_url().replace("http:", "https:"))).await;
    let why = broken_alone(&env, "Unreachable").await;
    assert!(why.contains("TLS handshake failed") && why.contains("apiUrl"), "{why}");
    env.patch("amorg", &env.organization, json!({"spec": {"apiUrl": plain(&env)}})).await;
    recovered(&env).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_nobody_vouches_for_is_told() {
    let address = self_signed();
    let env = waiting("selfsigned", |env| connected(env, &format!("https://{address}"))).await;
    let why = broken_alone(&env, "Unreachable").await;
    assert!(why.contains("TLS handshake failed") && why.contains("certificate"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_port_is_told() {
    let address = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port");
    let env = waiting("closed", |env| connected(env, &format!("http://{address}"))).await;
    let why = broken_alone(&env, "Unreachable").await;
    assert!(why.contains("cannot connect") && why.contains("apiUrl"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_not_allowed_is_never_called() {
    let env = waiting("host", |env| connected(env, "https://evil.example")).await;
    let why = broken(&env, "ApiUrlNotAllowed").await;
    assert!(why.contains("https://evil.example") && why.contains("--allowed-api-host"), "{why}");
}

/// A env with a request that waits for what `broken` makes of its connection.
async fn waiting(prefix: &str, broken: impl FnOnce(&TestEnv) -> String) -> TestEnv {
    let env = TestEnv::with_operator(prefix).await;
    env.apply(&broken(&env)).await;
    env.apply(&grant("request", REQUEST)).await;
    env
}

/// A env whose sandbox answers an operation, or all, badly for ever.
async fn failing(prefix: &str, operation: Option<Operation>, effect: Effect) -> TestEnv {
    let env = TestEnv::with_operator(prefix).await;
    for operation in operation.map_or(Operation::ALL.to_vec(), |one| vec![one]) {
        env.fail_always(operation, effect.clone());
    }
    env.connect("").await;
    env.apply(&grant("request", REQUEST)).await;
    env
}

/// The Organization's message; its objects repeat it and stay in peace.
async fn broken(env: &TestEnv, reason: &str) -> String {
    let why = broken_alone(env, reason).await;
    let repeated = env.until_reason("tpg", "request", "Ready", "OrganizationNotReady").await;
    assert!(repeated.contains(&why) && repeated.contains(&env.organization), "{repeated}");
    why
}

/// The Organization's message; nobody asks again and again.
async fn broken_alone(env: &TestEnv, reason: &str) -> String {
    let why = env.until_reason("amorg", &env.organization, "Ready", reason).await;
    env.assert_idle("amorg", &env.organization).await;
    why
}

async fn recovered(env: &TestEnv) {
    env.until_ready("amorg", &env.organization).await;
    env.until_ready("tpg", "request").await;
    assert_eq!(env.issued().len(), 3);
}

fn plain(env: &TestEnv) -> String {
    env.amigo_url().to_owned()
}

fn connected(env: &TestEnv, url: &str) -> String {
    env.secret("sandbox-api-key") + "\n---\n" + &env.organization_at(url, "")
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
