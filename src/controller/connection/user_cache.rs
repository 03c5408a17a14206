//! The users of RoleAssignments: read in batches of a hundred, once per interval.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use amigo_client::{Client, Endpoint, Error, ErrorKind, RemoteUser};
use amigo_runtime::clock::SharedClock;
use futures::future::join_all;
use tokio::sync::Mutex;

use super::throttle::fail_if_throttled;

/// Time during which failed reads are not retried.
const FAILURE_TTL: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub struct UserCache(Mutex<Cached>);

#[derive(Debug, Default)]
struct Cached {
    entries: BTreeMap<String, Entry>,
    /// The last failure that concerns all users, and until when it counts.
    failure: Option<(Error, Duration)>,
}

#[derive(Debug)]
struct Entry {
    /// `None` if the service user cannot see the user. An error if the API rejects the id.
    user: Result<Option<RemoteUser>, Error>,
    read_at: Duration,
}

impl UserCache {
    /// The user, not older than `age`. A request for it also reads those of `others` that become too old within the same
    /// interval: one request serves a hundred users.
    ///
    /// # Errors
    /// Those of the request.
    pub async fn get(
        &self,
        (client, clock): (&Client, &SharedClock),
        user_id: &str,
        age: Duration,
        others: impl FnOnce() -> BTreeSet<String>,
    ) -> Result<Option<RemoteUser>, Error> {
        // Before the wait for the lock: a read that began meanwhile is recent enough for any age.
        let oldest = clock.boot().saturating_sub(age);
        let mut cached = self.0.lock().await;
        let Cached { entries, failure } = &mut *cached;
        let read_at = clock.boot();
        let is_fresh = |entry: &Entry| entry.read_at >= oldest;
        if let Some(entry) = entries.get(user_id).filter(|entry| is_fresh(entry)) {
            return entry.user.clone();
        }
        // Everybody who waited for the lock would wait for the same failure again, one after the other.
        if let Some((error, _)) = failure.as_ref().filter(|(_, until)| read_at < *until) {
            return Err(error.clone());
        }
        fail_if_throttled(client, Endpoint::Users)?;
        *failure = None;
        let others = others();
        // A user whose object has no status yet is not among the others, but was just read.
        entries.retain(|user_id, entry| others.contains(user_id) || is_fresh(entry));
        let mut requested = others;
        requested.retain(|user_id| {
            entries.get(user_id).is_none_or(|entry| read_at.saturating_sub(entry.read_at) >= age / 2)
        });
        requested.insert(user_id.to_owned());
        let users = join_all(requested.iter().map(|user_id| client.user_by_id(user_id))).await;
        let mut own = Ok(None);
        for (requested_id, user) in requested.into_iter().zip(users) {
            if requested_id == user_id {
                own.clone_from(&user);
            }
            match &user {
                // An id that the API rejects must not fail the others, and is not requested again with each of them.
                Err(error) if !matches!(error.kind(), ErrorKind::Invalid | ErrorKind::BadRequest) => {
                    let ttl = error.retry_after().unwrap_or_default().max(FAILURE_TTL);
                    *failure = Some((error.clone(), clock.boot() + ttl));
                }
                _ => drop(entries.insert(requested_id, Entry { user, read_at })),
            }
        }
        own
    }

    /// Drops a user that may have changed since.
    pub async fn forget(&self, user_id: &str) {
        self.0.lock().await.entries.remove(user_id);
    }

    /// Adds a user that the operator just read by e-mail address, or wrote.
    pub async fn put(&self, user: RemoteUser, clock: &SharedClock) {
        let entry = Entry { user: Ok(Some(user.clone())), read_at: clock.boot() };
        self.0.lock().await.entries.insert(user.user_id, entry);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use amigo_client::{ApiAddress, Credentials, RateLimiter, Transport, TransportOptions};
    use amigo_runtime::clock::{Clock as _, SystemClock};
    use axum::{
        Json, Router,
        extract::RawQuery,
        http::StatusCode,
        routing::{get, post},
    };
    use jiff::SignedDuration;
    use serde_json::json;

    use super::*;

    /// An API that knows every user and rejects batches with the id `bad`; counts requests.
    async fn api(requests: Arc<AtomicUsize>) -> Client {
        let sign_in = || async {
            let end = SystemClock.now() + SignedDuration::from_hours(1);
            Json(json!({ "id_token": "token", "expires_at": end.to_string() }))
        };
        let users = move |RawQuery(query): RawQuery| async move {
            requests.fetch_add(1, Ordering::SeqCst);
            let query = query.unwrap_or_default();
            if query.contains("user_id=bad") {
                return (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({ "detail": "bad" })));
            }
            let ids = query.split('&').filter_map(|pair| pair.strip_prefix("user_id="));
            let users: Vec<_> =
                ids.map(|id| json!({ "user_id": id, "email": format!("{id}@example.com"), "role": "role" })).collect();
            (StatusCode::OK, Json(json!({ "users": users, "has_more": false, "continuation_token": null })))
        };
        let router =
            Router::new().route("/v1/acme/user/signin_with_api_key", post(sign_in)).route("/v1/acme/user/", get(users));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let clock = SystemClock::shared();
        Client::new(
            Transport::new(&TransportOptions::default()).unwrap(),
            ApiAddress { base_url, organization: "acme".to_owned() },
            Credentials { api_key: "key".into(), api_key_id: "id".to_owned(), user_id: "operator".to_owned() },
            Arc::new(RateLimiter::new(80, &BTreeMap::new(), clock.clone())),
            clock,
        )
    }

    #[tokio::test]
    async fn rejected_id_does_not_fail_other_users() {
        let requests = Arc::new(AtomicUsize::new(0));
        let client = api(Arc::clone(&requests)).await;
        let (user_cache, clock) = (UserCache::default(), SystemClock::shared());
        let others = || ["ann", "bad", "eve"].map(str::to_owned).into();
        let get =
            async |user_id: &str| user_cache.get((&client, &clock), user_id, Duration::from_mins(1), others).await;
        assert_eq!(get("ann").await.unwrap().unwrap().user_id, "ann");
        let before = requests.load(Ordering::SeqCst);
        assert_eq!(get("eve").await.unwrap().unwrap().user_id, "eve");
        assert_eq!(get("bad").await.unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(requests.load(Ordering::SeqCst), before, "no user is requested twice, the rejected id included");
    }
}
