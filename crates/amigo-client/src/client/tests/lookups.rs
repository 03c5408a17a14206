//! Batched look-ups: how many requests they need, and isolation of invalid keys.

use std::{sync::Arc, time::Duration};

use amigo_runtime::clock::TestClock;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::testing::{RecordedRequest, Server, client_with, ok, quick, respond};
use crate::{Cause, Error, ErrorKind, LookupOptions};

fn user(id: &str, email: &str) -> Value {
    json!({"user_id": id, "email": email, "role": "role-1", "org_id": "acme"})
}

fn users(users: &[Value]) -> Value {
    json!({"users": users, "has_more": false, "continuation_token": null})
}

/// Has every requested user, with an upper-case address; an address with `bad` in it fails the request.
async fn directory() -> Server {
    Server::signed_in(|request: &RecordedRequest| {
        let emails = request.query("email");
        if emails.iter().any(|email| email.contains("bad")) {
            return respond(422, &json!({"detail": [{"loc": ["query", "email"], "msg": "not valid"}]}));
        }
        let by_email = emails
            .iter()
            .filter(|email| !email.starts_with("absent"))
            .map(|email| user(email.split('@').next().unwrap(), &email.to_uppercase()));
        let by_id = request.query("user_id").into_iter().map(|id| user(&id, "x@example.com"));
        ok(&users(&by_email.chain(by_id).collect::<Vec<_>>()))
    })
    .await
}

#[tokio::test]
async fn many_addresses_need_one_request() {
    let server = directory().await;
    let client = server.client();
    let emails: Vec<_> = (0..60).map(|number| format!("user{}@example.com", number % 40)).collect();
    let found = join_all(emails.iter().map(|email| client.user_by_email(email))).await;
    assert_eq!(found[41].as_ref().unwrap().as_ref().unwrap().user_id, "user1");
    assert_eq!(server.others().len(), 1);
    assert_eq!(server.others()[0].query("email").len(), 40);
    assert!(server.others()[0].target.starts_with("/v1/acme/user/?email=user0%40example.com&email=user1%40"));
}

#[tokio::test]
async fn request_contains_at_most_a_hundred_addresses() {
    let server = directory().await;
    let client = server.client();
    let emails: Vec<_> = (0..250).map(|number| format!("u{number}@example.com")).collect();
    let found = join_all(emails.iter().map(|email| client.user_by_email(email))).await;
    assert!(found.iter().all(|found| matches!(found, Ok(Some(_)))));
    let sizes: Vec<_> = server.others().iter().map(|request| request.query("email").len()).collect();
    assert_eq!(sizes.iter().sum::<usize>(), 250);
    assert!(sizes.len() == 3 && sizes.iter().all(|size| *size <= 100), "{sizes:?}");
}

#[tokio::test]
async fn invalid_address_fails_alone() {
    let server = directory().await;
    let client = server.client();
    let emails = ["a@example.com", "bad@example.com", "b@example.com", "not an address", "absent@example.com"];
    let found = join_all(emails.map(|email| client.user_by_email(email))).await;
    assert!(matches!((&found[0], &found[2], &found[4]), (Ok(Some(_)), Ok(Some(_)), Ok(None))));
    assert_eq!(found[1].as_ref().unwrap_err().status(), Some(422));
    assert!(matches!(found[3], Err(Error { cause: Cause::InvalidInput { .. }, .. })));
}

#[tokio::test]
async fn address_of_two_users_is_not_unique() {
    let both = users(&[user("1", "Eng@example.com"), user("2", "eng@example.com"), user("3", "eng2@example.com")]);
    let server = Server::signed_in(move |_| ok(&both)).await;
    let error = server.client().user_by_email("eng@example.com").await.unwrap_err();
    assert!(matches!(error.cause, Cause::NotUnique { count: 2 }));
}

#[tokio::test]
async fn addresses_are_cached_for_a_minute_ids_never() {
    let server = directory().await;
    let clock = Arc::new(TestClock::running());
    let client = client_with(server.address, clock.clone(), &quick());
    for forward in [0, 50, 20] {
        clock.advance(Duration::from_secs(forward));
        client.user_by_email("eng@example.com").await.unwrap().unwrap();
        client.user_by_id("user-eng").await.unwrap().unwrap();
    }
    let asked = |key: &str| server.others().iter().filter(|request| !request.query(key).is_empty()).count();
    assert_eq!((asked("email"), asked("user_id")), (2, 3));
}

#[tokio::test]
async fn absent_user_is_looked_up_again() {
    let server = directory().await;
    let client = server.client();
    for _ in 0..2 {
        assert_eq!(client.user_by_email("absent@example.com").await, Ok(None));
    }
    assert_eq!(server.others().len(), 2);
}

#[tokio::test]
async fn request_contains_at_most_150_conversations() {
    let server = Server::signed_in(|request| {
        let found: Vec<_> = request.query("id").iter().map(|id| json!({"id": id, "user_id": "owner"})).collect();
        ok(&json!({"conversations": found, "has_more": false, "continuation_token": null}))
    })
    .await;
    let client = server.client();
    let ids: Vec<_> = (0..300).map(|number| format!("{number:024X}")).collect();
    let found = join_all(ids.iter().map(|id| client.conversation(id))).await;
    assert!(found.iter().all(|found| found.as_ref().unwrap().as_ref().unwrap().user_id == "owner"));
    assert_eq!(server.others().len(), 2);
    assert_eq!(client.conversation("abc123").await.unwrap_err().kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn error_reaches_all_callers_of_a_batch() {
    let server = Server::signed_in(|_| respond(403, &json!({"message": "Missing: User:GetUserInfo"}))).await;
    let client = server.client();
    let found = join_all((0..5).map(|number| client.user_by_id(if number > 2 { "b" } else { "a" }))).await;
    assert!(found.iter().all(|found| found.as_ref().unwrap_err().kind() == ErrorKind::Forbidden));
    assert_eq!(server.others().len(), 1);
}

#[tokio::test]
async fn canceled_caller_affects_no_other() {
    let server = directory().await;
    let options = LookupOptions { window: Duration::from_millis(500), ..LookupOptions::default() };
    let client = server.client().with_lookup_options(options);
    let impatient = tokio::time::timeout(Duration::from_millis(1), client.user_by_id("first"));
    let (gone, found) = tokio::join!(impatient, client.user_by_id("second"));
    assert!(gone.is_err() && found.unwrap().is_some());
    assert_eq!(server.others()[0].query("user_id"), ["second"]);
}
