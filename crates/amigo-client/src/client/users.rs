//! Users by email address or ID.

use super::Client;
use crate::{Cause, Endpoint, Error, RemoteUser};

impl Client {
    /// The user with exactly this address, ignoring case; `None` if there is none that the service user may see. The
    /// result, including the role, may be as old as [`super::LookupOptions::cache_for`].
    ///
    /// # Errors
    /// `InvalidInput` if it is not an email address; `NotUnique` if several users have it; any request error.
    pub async fn user_by_email(&self, email: &str) -> Result<Option<RemoteUser>, Error> {
        let endpoint = Endpoint::Users;
        let email = email.trim();
        if !is_email(email) {
            return Err(Error::invalid_input(endpoint, "this is not an email address"));
        }
        match self.lookups.users_by_email.look_up(email.to_owned()).await?.as_deref() {
            None | Some([]) => Ok(None),
            Some([user]) => Ok(Some(user.clone())),
            Some(users) => Err(Error::new(endpoint, Cause::NotUnique { count: users.len() })),
        }
    }

    /// The user with this ID, never from a cache; `None` if there is none that the service user may see.
    ///
    /// # Errors
    /// `InvalidInput` if the ID is empty; any request error.
    pub async fn user_by_id(&self, user_id: &str) -> Result<Option<RemoteUser>, Error> {
        if user_id.is_empty() {
            return Err(Error::invalid_input(Endpoint::Users, "the user ID is empty"));
        }
        self.lookups.users_by_id.look_up(user_id.to_owned()).await
    }
}

/// Whether the server is likely to accept the format. One bad address would fail the whole batch.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|character| character.is_alphanumeric() || character == '-')
    };
    let local_fits = (1..=64).contains(&local.len())
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && local.chars().all(|character| character.is_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(character));
    text.len() <= 254 && local_fits && domain.contains('.') && domain.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn email_accepts_addresses_only() {
        for good in ["eng@example.com", "a.b+c@sub.example.co", "o'neil@example.com", "é@exämple.de"] {
            assert!(is_email(good), "{good}");
        }
        for bad in ["", "eng", "@example.com", "eng@", "eng@localhost", "a b@example.com", "a@b@example.com", ".a@b.co"]
        {
            assert!(!is_email(bad), "{bad}");
        }
    }
}
