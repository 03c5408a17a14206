//! No key and no token in anything that can be printed.

use serde_json::json;

use super::fixtures::{API_KEY, Server, TOKEN, answer, credentials, new_grant, ok, token_for};
use crate::amigo::Client;

fn assert_silent(text: &str) {
    assert!(!text.contains(API_KEY) && !text.contains(TOKEN), "{text}");
}

async fn errors_of(client: &Client) -> Vec<String> {
    let mut reservation = client.reserve_grant_posts(1);
    let errors = [
        client.sign_in().await.err(),
        client.roles().await.err(),
        client.user_by_id("u").await.err(),
        client.create_grant(&new_grant(), &mut reservation).await.err(),
    ];
    errors.into_iter().flatten().map(|error| format!("{error} {error:?}")).collect()
}

#[tokio::test]
async fn servers_that_echo_secrets_do_not_make_us_print_them() {
    let echo = json!({"message": format!("bad key {API_KEY}")});
    let refusing = Server::start(move |_, _| answer(401, &echo)).await;
    let echo = json!({"id_token": TOKEN, "expires_at": TOKEN});
    let confused = Server::start(move |_, _| ok(&echo)).await;
    let echo = json!({"detail": format!("{API_KEY} {TOKEN}")});
    let failing =
        Server::start(move |call, _| if call.is_sign_in() { token_for(TOKEN, 3600) } else { answer(400, &echo) }).await;
    for (server, least) in [(refusing, 4), (confused, 4), (failing, 3)] {
        let errors = errors_of(&server.client()).await;
        assert!(errors.len() >= least);
        for text in &errors {
            assert_silent(text);
        }
    }
}

#[tokio::test]
async fn nothing_prints_its_secrets() {
    let server = Server::signed_in(|_| ok(&json!({"roles": []}))).await;
    let client = server.client();
    client.roles().await.unwrap();
    let reservation = client.reserve_grant_posts(1);
    assert_silent(&format!("{client:?} {:?} {:?} {reservation:?}", credentials(), client.budgets()));
}
