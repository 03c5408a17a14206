//! One token for all, renewed in time, and silence after a refusal.

use std::{io::Read, net::TcpListener, sync::Arc, time::Duration};

use amigo_runtime::clock::TestClock;
use axum::response::IntoResponse;
use futures::future::join_all;
use serde_json::json;

use crate::testing::{API_KEY, Server, TOKEN, client, client_with, ok, quick, respond, token_for};
use crate::{Cause, Endpoint, ErrorKind};

fn no_roles() -> axum::response::Response {
    ok(&json!({"roles": []}))
}

#[tokio::test]
async fn fifty_callers_share_one_sign_in() {
    let server = Server::signed_in(|_| no_roles()).await;
    let client = server.client();
    let results = join_all((0..50).map(|_| client.roles())).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!((server.sign_ins(), server.others().len()), (1, 50));
}

#[tokio::test]
async fn sign_in_sends_three_headers_and_no_body() {
    let server = Server::signed_in(|_| no_roles()).await;
    server.client().sign_in().await.unwrap();
    let request = &server.requests()[0];
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/v1/acme/user/signin_with_api_key"));
    assert_eq!(request.headers["x-api-key"], API_KEY);
    assert_eq!(request.headers["x-api-key-id"], "key-id");
    assert_eq!(request.headers["x-user-id"], "user-operator");
    assert!(request.body.is_empty() && !request.headers.contains_key("authorization"));
}

#[tokio::test]
async fn sign_in_states_that_its_body_is_empty() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = client(listener.local_addr().unwrap());
    let received = std::thread::spawn(move || {
        let mut head = vec![0; 4096];
        let length = listener.accept().unwrap().0.read(&mut head).unwrap();
        String::from_utf8_lossy(&head[..length]).to_ascii_lowercase()
    });
    client.sign_in().await.unwrap_err();
    let head = received.join().unwrap();
    assert!(
        head.starts_with("post /v1/acme/user/signin_with_api_key ") && head.contains("\r\ncontent-length: 0\r\n"),
        "{head}"
    );
}

#[tokio::test]
async fn token_is_renewed_before_it_expires() {
    let server = Server::signed_in(|_| no_roles()).await;
    let clock = Arc::new(TestClock::running());
    let client = client_with(server.address, clock.clone(), &quick());
    client.roles().await.unwrap();
    clock.advance(Duration::from_mins(54));
    client.roles().await.unwrap();
    assert_eq!(server.sign_ins(), 1);
    clock.advance(Duration::from_mins(2));
    client.roles().await.unwrap();
    assert_eq!(server.sign_ins(), 2);
    assert_eq!(server.others()[0].headers["authorization"], format!("Bearer {TOKEN}"));
}

#[tokio::test]
async fn short_token_is_renewed_after_four_fifths() {
    let server =
        Server::start(|request, _| if request.is_sign_in() { token_for(TOKEN, 100) } else { no_roles() }).await;
    let clock = Arc::new(TestClock::running());
    let client = client_with(server.address, clock.clone(), &quick());
    client.roles().await.unwrap();
    clock.advance(Duration::from_secs(70));
    client.roles().await.unwrap();
    assert_eq!(server.sign_ins(), 1);
    clock.advance(Duration::from_secs(15));
    client.roles().await.unwrap();
    assert_eq!(server.sign_ins(), 2);
}

#[tokio::test]
async fn token_serves_until_expiry_if_renewal_fails() {
    let server = Server::start(|request, number| match (request.is_sign_in(), number) {
        (true, 0) => token_for(TOKEN, 3600),
        (true, _) => respond(503, &json!({})),
        _ => no_roles(),
    })
    .await;
    let clock = Arc::new(TestClock::running());
    let client = client_with(server.address, clock.clone(), &quick());
    client.roles().await.unwrap();
    clock.advance(Duration::from_mins(57));
    client.roles().await.unwrap();
    clock.advance(Duration::from_mins(4));
    let error = client.roles().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.endpoint == Endpoint::ListRoles && matches!(error.cause, Cause::SignIn(_)));
}

#[tokio::test]
async fn rejected_token_is_replaced_once() {
    let server = Server::start(|request, number| match (request.is_sign_in(), request.headers.get("authorization")) {
        (true, _) => token_for(&format!("token-{number}"), 3600),
        (_, Some(token)) if token == "Bearer token-0" => respond(401, &json!({"detail": "expired"})),
        _ => no_roles(),
    })
    .await;
    let client = server.client();
    client.sign_in().await.unwrap();
    let results = join_all((0..20).map(|_| client.roles())).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(server.sign_ins(), 2);
    let rejected =
        server.others().iter().filter(|request| request.headers["authorization"] == "Bearer token-0").count();
    assert_eq!(server.others().len(), 20 + rejected);
}

#[tokio::test]
async fn two_rejected_tokens_stop_all_requests() {
    let server = Server::signed_in(|_| respond(401, &json!({"detail": "no"}))).await;
    let client = server.client();
    assert_eq!(client.roles().await.unwrap_err().kind(), ErrorKind::Unauthorized);
    assert_eq!(client.roles().await.unwrap_err().kind(), ErrorKind::CredentialsRejected);
    assert_eq!((server.sign_ins(), server.others().len()), (2, 2));
}

#[tokio::test]
async fn rejected_credentials_wait_for_a_probe() {
    let server = Server::start(|request, number| match (request.is_sign_in(), number) {
        (true, 0 | 1) => respond(401, &json!({"detail": "Invalid key."})),
        (true, _) => token_for(TOKEN, 3600),
        _ => no_roles(),
    })
    .await;
    let client = server.client();
    let first = client.sign_in().await.unwrap_err();
    assert_eq!(first.kind(), ErrorKind::Unauthorized);
    assert!(first.to_string().contains("Invalid key. (the key is unknown or wrong"), "{first}");
    assert_eq!(client.roles().await.unwrap_err().kind(), ErrorKind::CredentialsRejected);
    assert_eq!(client.user_by_id("u").await.unwrap_err().kind(), ErrorKind::CredentialsRejected);
    assert_eq!(server.requests().len(), 1);
    client.probe().await.unwrap_err();
    client.probe().await.unwrap();
    client.roles().await.unwrap();
    assert_eq!(server.sign_ins(), 3);
}

#[tokio::test]
async fn failed_sign_in_is_shared_by_all_callers() {
    let server = Server::start(|_, _| respond(404, &json!({"detail": "Organization not found"}))).await;
    let client = server.client();
    let results = join_all((0..20).map(|_| client.roles())).await;
    let error = results.into_iter().find_map(Result::err).unwrap();
    assert!(error.to_string().contains("wrong region or organization?"), "{error}");
    assert!(error.never_sent());
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn retry_after_is_capped_at_ten_minutes() {
    for asked in ["86400", "18446744073709551615"] {
        let server = Server::start(move |request, number| match (request.is_sign_in(), number) {
            (true, 0) => (http::StatusCode::SERVICE_UNAVAILABLE, [("retry-after", asked)]).into_response(),
            (true, _) => token_for(TOKEN, 3600),
            _ => no_roles(),
        })
        .await;
        let clock = Arc::new(TestClock::running());
        let client = client_with(server.address, clock.clone(), &quick());
        assert_eq!(client.roles().await.unwrap_err().retry_after(), Some(Duration::from_mins(10)));
        clock.advance(Duration::from_mins(11));
        assert!(client.roles().await.is_ok());
    }
}

#[tokio::test]
async fn expiry_without_time_zone_is_malformed() {
    let server = Server::start(|_, _| ok(&json!({"id_token": TOKEN, "expires_at": "2126-01-01T00:00:00"}))).await;
    let error = server.client().sign_in().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(!format!("{error:?}").contains(TOKEN));
}
