//! Repeats, and what the rate limiter and the observer get.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use amigo_runtime::clock::{Clock, SystemClock};
use axum::response::IntoResponse;
use serde_json::json;

use crate::testing::{Server, address_of, credentials, ok, quick, respond};
use crate::{Client, Endpoint, Error, ErrorKind, Observe, RateLimiter, Transport, Turn};

#[tokio::test]
async fn read_is_repeated_after_transient_errors() {
    let server = Server::start(|_, number| match number {
        0 | 1 => respond(503, &json!({})),
        _ => ok(&json!({"org_id": "acme", "org_name": "Acme", "title": 1})),
    })
    .await;
    let info = server.client().organization_info().await.unwrap();
    assert_eq!((info.org_name.as_str(), server.requests().len()), ("Acme", 3));
    assert!(!server.requests()[0].headers.contains_key("authorization"));
}

#[tokio::test]
async fn read_is_repeated_at_most_twice() {
    let server = Server::start(|_, _| respond(502, &json!({"message": "down"}))).await;
    let error = server.client().organization_info().await.unwrap_err();
    assert_eq!((error.kind(), server.requests().len()), (ErrorKind::ServerError, 3));
}

#[tokio::test]
async fn change_is_never_repeated() {
    let server = Server::signed_in(|_| respond(503, &json!({"detail": "maintenance"}))).await;
    let error = server.client().assign_role("reviewer", "user-eng").await.unwrap_err();
    assert_eq!((error.kind(), server.others().len()), (ErrorKind::Unavailable, 1));
    assert!(error.ambiguous());
}

#[tokio::test]
async fn redirect_is_not_followed() {
    let elsewhere = Server::start(|_, _| ok(&json!({"org_id": "evil", "org_name": "Evil"}))).await;
    let target = format!("http://{}/", elsewhere.address);
    let server =
        Server::start(move |_, _| (http::StatusCode::FOUND, [("location", target.clone())]).into_response()).await;
    let error = server.client().organization_info().await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Redirect, Some(302)));
    assert!(error.ambiguous() && elsewhere.requests().is_empty());
}

#[tokio::test]
async fn status_429_reports_retry_after() {
    let date = jiff::fmt::rfc2822::DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&(SystemClock.now() + Duration::from_secs(30)))
        .unwrap();
    for (value, least, most) in [("12".to_owned(), 12, 12), (date, 20, 30)] {
        let server = Server::start(move |_, _| {
            (http::StatusCode::TOO_MANY_REQUESTS, [("retry-after", value.clone())]).into_response()
        })
        .await;
        let client = server.client();
        let error = client.organization_info().await.unwrap_err();
        let wait = error.retry_after().unwrap().as_secs();
        assert!(error.refused() && (least..=most).contains(&wait), "{wait}");
        let paused = client.rate_limiter().reserve(Endpoint::Organization, 1, Turn::default()).ready_at();
        assert!(paused >= SystemClock.boot() + Duration::from_secs(least - 2));
    }
}

#[tokio::test]
async fn status_429_without_retry_after_pauses_briefly() {
    let server = Server::start(|_, _| respond(429, &json!({"detail": "exceeded"}))).await;
    let client = server.client();
    let error = client.organization_info().await.unwrap_err();
    assert_eq!((error.kind(), error.retry_after()), (ErrorKind::RateLimited, None));
    let wait = client.rate_limiter().reserve(Endpoint::Organization, 1, Turn::default()).ready_at();
    let wait = wait.saturating_sub(SystemClock.boot());
    assert!(wait > Duration::from_secs(3) && wait <= Duration::from_secs(5), "{wait:?}");
    assert_eq!(client.rate_limiter().usage(Endpoint::Users).waiting, 0);
}

#[tokio::test]
async fn unexpected_body_is_malformed() {
    let server = Server::start(|_, _| ok(&json!({"org": 1}))).await;
    let error = server.client().organization_info().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
}

#[tokio::test]
async fn api_keys_ignore_unknown_members() {
    let keys = json!({"api_keys": [{"key_id": "k", "expires_at": "2126-12-22T10:00:00.123Z", "new": {}}]});
    let server = Server::signed_in(move |_| ok(&keys)).await;
    let keys = server.client().api_keys().await.unwrap();
    assert_eq!((keys.len(), keys[0].key_id.as_str()), (1, "k"));
    assert_eq!(server.others()[0].target, "/v1/acme/organization/api_key/");
}

#[derive(Default)]
struct Counted(Mutex<Vec<(Endpoint, Result<u16, ErrorKind>)>>);

impl Observe for Counted {
    fn request(&self, endpoint: Endpoint, ended: Result<u16, &Error>, _: Duration) {
        self.0.lock().unwrap().push((endpoint, ended.map_err(Error::kind)));
    }

    fn rate_limit_wait(&self, _: Endpoint, _: Duration) {}
}

#[tokio::test]
async fn observer_gets_every_request() {
    let server = Server::signed_in(|_| respond(403, &json!({}))).await;
    let counted = Arc::new(Counted::default());
    let clock = SystemClock::shared();
    let rate_limiter = RateLimiter::new(80, &[].into(), clock.clone()).with_observer(counted.clone());
    let transport = Transport::new(&quick()).unwrap();
    let base = address_of(&format!("http://{}/prefix/", server.address));
    let client = Client::new(transport, base, credentials(), Arc::new(rate_limiter), clock);
    assert_eq!(client.roles().await.unwrap_err().kind(), ErrorKind::Forbidden);
    assert_eq!(
        *counted.0.lock().unwrap(),
        [(Endpoint::SignIn, Ok(200)), (Endpoint::ListRoles, Err(ErrorKind::Forbidden))]
    );
    assert_eq!(server.others()[0].target, "/prefix/v1/acme/role/?return_permission_grants=true");
}
