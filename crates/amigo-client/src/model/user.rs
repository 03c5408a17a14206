//! Users and the owners of conversations, as listed.

/// A user as listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteUser {
    /// The user's ID.
    pub user_id: String,
    /// The email address.
    pub email: String,
    /// The ID of the user's role; it changes when the server replaces the role.
    pub role_id: String,
}

/// A conversation as listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteConversation {
    /// 24 hexadecimal digits.
    pub id: String,
    /// The user who owns it.
    pub user_id: String,
}
