//! No printed text contains a key or a token.

use serde_json::json;

use crate::testing::{API_KEY, Server, TOKEN, credentials, new_grant, ok, respond, token_for};
use crate::{Client, Turn};

fn assert_silent(text: &str) {
    assert!(!text.contains(API_KEY) && !text.contains(TOKEN), "{text}");
}

async fn errors_of(client: &Client) -> Vec<String> {
    let reservation = client.reserve_grant_posts(1, Turn::default());
    let errors = [
        client.sign_in().await.err(),
        client.roles().await.err(),
        client.user_by_id("u").await.err(),
        client.create_grant(&new_grant(), &reservation).await.err(),
    ];
    errors.into_iter().flatten().map(|error| format!("{error} {error:?}")).collect()
}

#[tokio::test]
async fn echoed_secrets_are_not_printed() {
    let echo = json!({"message": format!("bad key {API_KEY}")});
    let refusing = Server::start(move |_, _| respond(401, &echo)).await;
    let echo = json!({"id_token": TOKEN, "expires_at": TOKEN});
    let confused = Server::start(move |_, _| ok(&echo)).await;
    let echo = json!({"detail": format!("{API_KEY} {TOKEN}")});
    let failing = Server::start(
        move |request, _| if request.is_sign_in() { token_for(TOKEN, 3600) } else { respond(400, &echo) },
    )
    .await;
    for (server, least) in [(refusing, 4), (confused, 4), (failing, 3)] {
        let errors = errors_of(&server.client()).await;
        assert!(errors.len() >= least);
        for text in &errors {
            assert_silent(text);
        }
    }
}

#[tokio::test]
async fn unknown_token_of_a_sign_in_is_not_printed() {
    for status in [201, 202, 203, 206, 302, 502] {
        let body = json!({"id_token": TOKEN, "expires_at": "2126-11-22T12:00:00Z"});
        let error = Server::start(move |_, _| respond(status, &body)).await.client().sign_in().await.unwrap_err();
        assert_silent(&format!("{error} {error:?}"));
        assert!(error.to_string().contains(&status.to_string()), "{error}");
    }
}

#[tokio::test]
async fn malformed_response_does_not_print_secrets() {
    let echo = json!({"roles": TOKEN, "users": API_KEY, "temporary_permission_grant_id": [TOKEN]});
    for status in [200, 201, 204] {
        let echo = echo.clone();
        let server = Server::signed_in(move |_| respond(status, &echo)).await;
        let errors = errors_of(&server.client()).await;
        assert!(errors.len() >= 2 && !errors.concat().is_empty());
        assert_silent(&errors.concat());
    }
}

#[tokio::test]
async fn debug_prints_no_secrets() {
    let server = Server::signed_in(|_| ok(&json!({"roles": []}))).await;
    let client = server.client();
    client.roles().await.unwrap();
    let reservation = client.reserve_grant_posts(1, Turn::default());
    assert_silent(&format!("{client:?} {:?} {:?} {reservation:?}", credentials(), client.rate_limiter()));
}
