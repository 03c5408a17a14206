//! The look-ups of a client: users and conversations (API document, get-users and get-conversations).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};

use super::{
    batcher::{Batcher, Capacity, LookupOptions},
    paging::all_pages,
    rate_limiter::Permit,
    request::ApiRequest,
    session::Session,
    wire,
};
use crate::{Endpoint, Error, RemoteConversation, RemoteUser};

/// The documented page sizes; the bytes keep the URL within what load balancers accept.
const USERS: Capacity = Capacity { keys: 100, bytes: 5_000 };
const CONVERSATIONS: Capacity = Capacity { keys: 150, bytes: 5_000 };

pub(super) struct Lookups {
    pub(super) users_by_email: Batcher<Vec<RemoteUser>>,
    pub(super) users_by_id: Batcher<RemoteUser>,
    pub(super) conversations: Batcher<RemoteConversation>,
}

impl Lookups {
    pub(super) fn new(session: &Arc<Session>, options: LookupOptions) -> Self {
        // The role of a user must be current.
        let uncached = LookupOptions { cache_for: Duration::ZERO, ..options };
        let session = || Arc::clone(session);
        Self {
            users_by_email: Batcher::new(session(), Endpoint::Users, USERS, options, fetch_users_by_email),
            users_by_id: Batcher::new(session(), Endpoint::Users, USERS, uncached, fetch_users_by_id),
            conversations: Batcher::new(
                session(),
                Endpoint::Conversations,
                CONVERSATIONS,
                options,
                fetch_conversations,
            ),
        }
    }
}

/// Several users may have one address.
fn fetch_users_by_email(
    session: Arc<Session>,
    emails: Vec<String>,
    permit: Permit,
) -> BoxFuture<'static, Result<BTreeMap<String, Vec<RemoteUser>>, Error>> {
    async move {
        let users = fetch_users(&session, "email", &emails, permit).await?;
        let matching = |email: &String| {
            let found = users.values().filter(|user| user.email.to_lowercase() == email.to_lowercase());
            found.cloned().collect::<Vec<_>>()
        };
        let found = emails.iter().map(|email| (email.clone(), matching(email)));
        Ok(found.filter(|(_, users)| !users.is_empty()).collect())
    }
    .boxed()
}

fn fetch_users_by_id(
    session: Arc<Session>,
    ids: Vec<String>,
    permit: Permit,
) -> BoxFuture<'static, Result<BTreeMap<String, RemoteUser>, Error>> {
    async move { fetch_users(&session, "user_id", &ids, permit).await }.boxed()
}

async fn fetch_users(
    session: &Session,
    key: &str,
    values: &[String],
    permit: Permit,
) -> Result<BTreeMap<String, RemoteUser>, Error> {
    let request = ApiRequest::get(Endpoint::Users, "user/").queries(key, values).query("limit", "100");
    let users = all_pages(session, request, wire::users, permit).await?;
    Ok(users.into_iter().map(|user| (user.user_id.clone(), user)).collect())
}

fn fetch_conversations(
    session: Arc<Session>,
    ids: Vec<String>,
    permit: Permit,
) -> BoxFuture<'static, Result<BTreeMap<String, RemoteConversation>, Error>> {
    async move {
        let request =
            ApiRequest::get(Endpoint::Conversations, "conversation/").queries("id", &ids).query("limit", "150");
        let found = all_pages(&session, request, wire::conversations, permit).await?;
        Ok(found.into_iter().map(|conversation| (conversation.id.clone(), conversation)).collect())
    }
    .boxed()
}
