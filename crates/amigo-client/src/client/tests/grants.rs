//! Making and listing temporary grants.

use std::{sync::Arc, time::Duration};

use amigo_runtime::clock::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::testing::{RecordedRequest, Server, address_of, created, credentials, new_grant, ok, quick, respond};
use crate::{Cause, Client, Endpoint, Error, ErrorKind, GrantFilter, RateLimiter, Transport, Turn};

fn item(id: usize) -> Value {
    json!({
        "_id": format!("{id:024x}"), "org_id": "acme", "user_id": "user-eng", "expires_at": "2126-11-22T12:00:00Z",
        "permission_grant": {"permission_name": "Conversation:GetMessage", "conditions": {}},
        "justification": "because I said", "creator": {"org_id": "acme", "user_id": "user-operator"},
        "tags": {"uid": "a b", "managed": null}, "surprise": [1]
    })
}

fn page(items: &[Value], next: Option<i64>) -> Value {
    json!({"temporary_permission_grants": items, "has_more": next.is_some(), "continuation_token": next})
}

async fn listed(respond: impl Fn(&RecordedRequest) -> Value + Clone + Send + Sync + 'static) -> Result<usize, Error> {
    let server = Server::signed_in(move |request| ok(&respond(request))).await;
    server.client().grants(&GrantFilter::default()).await.map(|grants| grants.len())
}

#[tokio::test]
async fn grant_request_matches_document() {
    let server = Server::signed_in(|_| created()).await;
    let client = server.client();
    let reservation = client.reserve_grant_posts(2, Turn::default());
    let made = client.create_grant(&new_grant(), &reservation).await.unwrap();
    assert_eq!((made.id.as_str(), reservation.remaining()), ("66f1c0ab12de34f056789e01", 1));
    let request = &server.others()[0];
    assert_eq!(
        (request.method.as_str(), request.target.as_str()),
        ("POST", "/v1/acme/role/temporary_permission_grant/")
    );
    let expected = json!({
        "user_id": "user-eng", "duration": "PT2H", "tags": {"managed_by": "amigo_operator"},
        "justification": "Looking into INC 42",
        "permission_grant": {
            "permission_name": "Conversation:GetMessage",
            "conditions": {"org_id": {"type": "Equals", "value": "acme"}}
        }
    });
    assert_eq!(request.json(), expected);
}

#[tokio::test]
async fn grant_is_not_sent_after_its_limit() {
    let server = Server::signed_in(|_| created()).await;
    let client = server.client();
    client.sign_in().await.unwrap();
    let mut reservation = client.reserve_grant_posts(1, Turn::default());
    reservation.set_send_before(SystemClock.boot());
    let error = client.create_grant(&new_grant(), &reservation).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLate);
    assert!(error.never_sent() && server.others().is_empty());
}

#[tokio::test]
async fn grant_is_not_sent_before_its_turn() {
    let server = Server::signed_in(|_| created()).await;
    let clock = SystemClock::shared();
    let rate_limiter = Arc::new(RateLimiter::new(80, &[(Endpoint::CreateGrant, 4)].into(), clock.clone()));
    let base = address_of(&format!("http://{}", server.address));
    let client = Client::new(Transport::new(&quick()).unwrap(), base, credentials(), rate_limiter, clock);
    let (first, second) =
        (client.reserve_grant_posts(1, Turn::default()), client.reserve_grant_posts(1, Turn::default()));
    client.create_grant(&new_grant(), &first).await.unwrap();
    let error = client.create_grant(&new_grant(), &second).await.unwrap_err();
    assert!(error.never_sent() && error.retry_after().unwrap() > Duration::from_secs(50), "{error}");
    assert_eq!(server.others().len(), 1);
}

#[tokio::test]
async fn listing_has_all_pages() {
    let count = listed(|request| match request.query("continuation_token").first().map(String::as_str) {
        None => page(&(0..10).map(item).collect::<Vec<_>>(), Some(10)),
        Some("10") => page(&(10..20).map(item).collect::<Vec<_>>(), Some(20)),
        // Something moved meanwhile: number 19 comes twice.
        _ => page(&[item(19), item(20)], None),
    });
    assert_eq!(count.await, Ok(21));
}

#[tokio::test]
async fn latest_grants_stops_when_there_are_enough() {
    for (enough, count, whole) in [(15, 20, false), (1000, 30, true)] {
        let server = Server::signed_in(|request| {
            let from: usize = request.query("continuation_token").first().map_or(0, |token| token.parse().unwrap());
            let next = i64::try_from(from + 10).ok().filter(|next| *next < 30);
            ok(&page(&(from..from + 10).map(item).collect::<Vec<_>>(), next))
        });
        let (grants, all) = server.await.client().latest_grants(&GrantFilter::default(), enough).await.unwrap();
        assert_eq!((grants.len(), all), (count, whole));
    }
}

#[tokio::test]
async fn listing_reads_three_thousand_pages() {
    let count = listed(|request| {
        let from: usize = request.query("continuation_token").first().map_or(0, |token| token.parse().unwrap());
        let items: Vec<_> = (from..from + 10).map(item).collect();
        page(&items, i64::try_from(from + 10).ok().filter(|next| *next < 30_000))
    });
    assert_eq!(count.await, Ok(30_000));
}

#[tokio::test]
async fn interrupted_listing_continues_on_its_page() {
    let server = Server::signed_in(|request| match request.query("continuation_token").len() {
        0 => ok(&page(&[item(1), item(2)], Some(2))),
        _ => ok(&page(&[item(3)], None)),
    })
    .await;
    let clock = SystemClock::shared();
    let rate_limiter = Arc::new(RateLimiter::new(80, &[(Endpoint::ListGrants, 1)].into(), clock.clone()));
    let base = address_of(&format!("http://{}", server.address));
    let client = Client::new(Transport::new(&quick()).unwrap(), base, credentials(), rate_limiter.clone(), clock);
    let mut listing = client.grant_listing(&GrantFilter::default());
    // The second page has its turn in a minute.
    assert!(tokio::time::timeout(Duration::from_secs(2), listing.read_all()).await.is_err());
    assert_eq!(server.others().len(), 1);
    rate_limiter.resize(80, &[(Endpoint::ListGrants, 100)].into());
    listing.read_all().await.unwrap();
    assert_eq!((listing.into_grants().len(), server.others().len()), (3, 2));
}

#[tokio::test]
async fn listing_belongs_to_its_client_and_filter() {
    let server = Server::signed_in(|_| ok(&page(&[], None))).await;
    let (client, another) = (server.client(), server.client());
    let filter = GrantFilter { user_ids: vec!["user-eng".to_owned()], ..GrantFilter::default() };
    let listing = client.grant_listing(&filter);
    assert!(listing.is_for(&client, &filter));
    assert!(!listing.is_for(&another, &filter) && !listing.is_for(&client, &GrantFilter::default()));
}

#[tokio::test]
async fn inconsistent_pages_are_errors() {
    assert!(matches!(
        listed(|_| json!({"temporary_permission_grants": [], "has_more": true})).await,
        Err(Error { cause: Cause::InconsistentPages { .. }, .. })
    ));
    assert!(matches!(
        listed(|_| page(&[item(1)], Some(10))).await,
        Err(Error { cause: Cause::InconsistentPages { .. }, .. })
    ));
    let odd = listed(|_| json!({"temporary_permission_grants": [{"_id": "x"}], "has_more": false})).await;
    assert_eq!(odd.unwrap_err().kind(), ErrorKind::Malformed);
    assert_eq!(listed(|_| json!({"temporary_permission_grants": []})).await.unwrap_err().kind(), ErrorKind::Malformed);
}

#[tokio::test]
async fn failed_page_fails_the_listing() {
    let server = Server::signed_in(|request| {
        if request.query("continuation_token").is_empty() {
            ok(&page(&[item(1)], Some(10)))
        } else {
            respond(500, &json!({}))
        }
    })
    .await;
    let error = server.client().grants(&GrantFilter::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ServerError);
}

#[tokio::test]
async fn filters_apply_even_if_the_server_ignores_them() {
    let server = Server::signed_in(|_| ok(&page(&[item(1)], None))).await;
    let tag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let filter = GrantFilter {
        tags: vec![tag("uid", "a b"), tag("managed", "")],
        user_ids: vec!["user-eng".to_owned(), "user&2".to_owned()],
        is_expired: Some(false),
        creators: vec!["user-operator".to_owned()],
    };
    assert_eq!(server.client().grants(&filter).await.unwrap().len(), 1);
    let target = &server.others()[0].target;
    assert_eq!(
        target,
        "/v1/acme/role/temporary_permission_grants/?user_id=user-eng&user_id=user%262&creator=user-operator\
         &tag=uid%3Aa%20b&tag=managed%3A&is_expired=false&sort_by=-expires_at&sort_by=%2Buser_id\
         &sort_by=%2Bpermission_grant.permission_name&limit=10"
    );
    let other = GrantFilter { tags: vec![tag("uid", "*"), tag("slot", "*")], ..GrantFilter::default() };
    assert!(server.client().grants(&other).await.unwrap().is_empty());
}

#[tokio::test]
async fn unknown_conditions_are_none() {
    let mut odd = item(1);
    odd["permission_grant"]["conditions"] = json!({"org_id": {"type": "StartsWith", "value": "a"}});
    let server = Server::signed_in(move |_| ok(&page(&[odd.clone(), item(2)], None))).await;
    let grants = server.client().grants(&GrantFilter::default()).await.unwrap();
    assert!(grants[0].conditions.is_none() && grants[1].conditions.is_some());
}

#[tokio::test]
async fn paced_listing_waits_between_pages() {
    let server = Server::signed_in(|request| match request.query("continuation_token").len() {
        0 => ok(&page(&[item(1)], Some(1))),
        _ => ok(&page(&[item(2)], None)),
    })
    .await;
    let client = server.client();
    let started = SystemClock.boot();
    // 20 % of 16,000 a minute: one page in 18.75 ms.
    client.grants_paced(&GrantFilter::default(), 20).await.unwrap();
    assert!(SystemClock.boot() >= started + Duration::from_millis(18));
}
