//! Conversations by ID.

use super::Client;
use crate::{Endpoint, Error, RemoteConversation};

impl Client {
    /// The conversation with this ID; `None` if there is none that the service user may see. The result may be as old as
    /// [`super::LookupOptions::cache_for`].
    ///
    /// # Errors
    /// `InvalidInput` unless the ID is 24 hexadecimal digits; any request error.
    pub async fn conversation(&self, id: &str) -> Result<Option<RemoteConversation>, Error> {
        if id.len() != 24 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let detail = "a conversation ID has 24 hexadecimal digits";
            return Err(Error::invalid_input(Endpoint::Conversations, detail));
        }
        self.lookups.conversations.look_up(id.to_ascii_lowercase()).await
    }
}
