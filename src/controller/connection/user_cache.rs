//! The users whose roles are watched over: read together, a hundred a call, once an interval.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use amigo_client::{Client, Error, ErrorKind, RemoteUser};
use amigo_runtime::clock::SharedClock;
use futures::future::join_all;
use tokio::sync::Mutex;

/// What was last read of each user.
#[derive(Debug, Default)]
pub struct UserCache(Mutex<BTreeMap<String, Entry>>);

#[derive(Debug)]
struct Entry {
    /// `None`: there is none that the service user may see. An error: the API does not take this id.
    user: Result<Option<RemoteUser>, Error>,
    read_at: Duration,
}

impl UserCache {
    /// The user, as read no longer than `age` ago. Where that takes a call, all of `others` that are as old are
    /// read with it: their turn comes within the same interval, and one call serves a hundred.
    ///
    /// # Errors
    /// Those of the call.
    pub async fn get(
        &self,
        (client, clock): (&Client, &SharedClock),
        user_id: &str,
        age: Duration,
        others: impl FnOnce() -> BTreeSet<String>,
    ) -> Result<Option<RemoteUser>, Error> {
        let mut entries = self.0.lock().await;
        let read_at = clock.boot();
        let is_fresh = |entry: &Entry| read_at.saturating_sub(entry.read_at) < age;
        if let Some(entry) = entries.get(user_id).filter(|entry| is_fresh(entry)) {
            return entry.user.clone();
        }
        let watched = others();
        // A user whose object has no status yet is not among the watched, but was just read.
        entries.retain(|user_id, entry| watched.contains(user_id) || is_fresh(entry));
        let mut asked = watched;
        asked.retain(|user_id| {
            entries.get(user_id).is_none_or(|entry| read_at.saturating_sub(entry.read_at) >= age / 2)
        });
        asked.insert(user_id.to_owned());
        let users = join_all(asked.iter().map(|user_id| client.user_by_id(user_id))).await;
        let mut own = Ok(None);
        for (asked, user) in asked.into_iter().zip(users) {
            if asked == user_id {
                own.clone_from(&user);
            }
            // One id that cannot be asked for must not fail the others, nor be asked for again with each of them.
            if user
                .as_ref()
                .err()
                .is_none_or(|error| matches!(error.kind(), ErrorKind::Invalid | ErrorKind::BadRequest))
            {
                entries.insert(asked, Entry { user, read_at });
            }
        }
        own
    }

    /// Drops what was read of a user who may have been changed since.
    pub async fn forget(&self, user_id: &str) {
        self.0.lock().await.remove(user_id);
    }

    /// Puts in what this program just read by e-mail, or wrote.
    pub async fn put(&self, user: RemoteUser, clock: &SharedClock) {
        let entry = Entry { user: Ok(Some(user.clone())), read_at: clock.boot() };
        self.0.lock().await.insert(user.user_id, entry);
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

    /// An API that knows every user and takes no batch with the id `bad` in it; counts what it is asked.
    async fn api(asked: Arc<AtomicUsize>) -> Client {
        let sign_in = || async {
            let end = SystemClock.now() + SignedDuration::from_hours(1);
            Json(json!({ "id_token": "token", "expires_at": end.to_string() }))
        };
        let users = move |RawQuery(query): RawQuery| async move {
            asked.fetch_add(1, Ordering::SeqCst);
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
    async fn an_id_that_the_api_does_not_take_fails_nobody_else() {
        let asked = Arc::new(AtomicUsize::new(0));
        let client = api(Arc::clone(&asked)).await;
        let (user_cache, clock) = (UserCache::default(), SystemClock::shared());
        let watched = || ["ann", "bad", "eve"].map(str::to_owned).into();
        let look =
            async |user_id: &str| user_cache.get((&client, &clock), user_id, Duration::from_mins(1), watched).await;
        assert_eq!(look("ann").await.unwrap().unwrap().user_id, "ann");
        let calls = asked.load(Ordering::SeqCst);
        assert_eq!(look("eve").await.unwrap().unwrap().user_id, "eve");
        assert_eq!(look("bad").await.unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(asked.load(Ordering::SeqCst), calls, "nobody is asked for twice, the refused id included");
    }
}
