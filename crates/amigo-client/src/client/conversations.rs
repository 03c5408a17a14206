//! Owners of conversations (API document, get-conversations), many callers to one call.

use std::{collections::BTreeMap, sync::Arc};

use futures::{FutureExt, future::BoxFuture};

use super::{
    Client, Endpoint, Error, RemoteConversation,
    budgets::Permit,
    call::{Core, Request},
    lookup::Capacity,
    paging::{Pace, all_pages},
    wire,
};

/// The documented page size.
pub(super) const CAPACITY: Capacity = Capacity { keys: 150, bytes: 5_000 };

impl Client {
    /// The conversation with this id; `None` if there is none the service user may see. The answer may be as old as
    /// [`super::LookupOptions::remember`].
    ///
    /// # Errors
    /// `InvalidInput` unless the id is 24 hexadecimal digits; any call error.
    pub async fn conversation(&self, id: &str) -> Result<Option<RemoteConversation>, Error> {
        if id.len() != 24 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let detail = "a conversation id is 24 hexadecimal digits";
            return Err(Error::invalid_input(Endpoint::Conversations, detail));
        }
        self.lookups.conversations.ask(id.to_ascii_lowercase()).await
    }
}

/// Asks for conversations by id.
pub(super) fn fetch(
    core: Arc<Core>,
    ids: Vec<String>,
    permit: Permit,
) -> BoxFuture<'static, Result<BTreeMap<String, RemoteConversation>, Error>> {
    async move {
        let request = Request::get(Endpoint::Conversations, "conversation/").queries("id", &ids).query("limit", "150");
        let found = all_pages(&core, request, wire::conversations, Pace::Full, Some(permit)).await?;
        Ok(found.into_iter().map(|conversation| (conversation.id.clone(), conversation)).collect())
    }
    .boxed()
}
