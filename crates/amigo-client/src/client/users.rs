//! Users by e-mail address or id (API document, get-users), many callers to one call.

use std::{collections::BTreeMap, sync::Arc};

use futures::{FutureExt, future::BoxFuture};

use super::{
    Cause, Client, Endpoint, Error, RemoteUser,
    budgets::Permit,
    call::{Core, Request},
    lookup::Capacity,
    paging::{Pace, all_pages},
    wire,
};

/// The documented page size; the bytes keep the address within what load balancers accept.
pub(super) const CAPACITY: Capacity = Capacity { keys: 100, bytes: 5_000 };

impl Client {
    /// The user who has exactly this address, upper and lower case aside; `None` if there is none the service user may
    /// see. The answer may be as old as [`super::LookupOptions::remember`], and so may its role.
    ///
    /// # Errors
    /// `InvalidInput` if it is no e-mail address; `NotUnique` if several users have it; any call error.
    pub async fn user_by_email(&self, email: &str) -> Result<Option<RemoteUser>, Error> {
        let endpoint = Endpoint::Users;
        let email = email.trim();
        if !is_email(email) {
            return Err(Error::invalid_input(endpoint, "this is not an e-mail address"));
        }
        match self.lookups.emails.ask(email.to_owned()).await?.as_deref() {
            None | Some([]) => Ok(None),
            Some([user]) => Ok(Some(user.clone())),
            Some(users) => Err(Error::new(endpoint, Cause::NotUnique { count: users.len() })),
        }
    }

    /// The user with this id, always asked anew; `None` if there is none the service user may see.
    ///
    /// # Errors
    /// `InvalidInput` if the id is empty; any call error.
    pub async fn user_by_id(&self, user_id: &str) -> Result<Option<RemoteUser>, Error> {
        if user_id.is_empty() {
            return Err(Error::invalid_input(Endpoint::Users, "the user id is empty"));
        }
        self.lookups.users.ask(user_id.to_owned()).await
    }
}

/// Asks for users by address. More than one may answer to one address.
pub(super) fn fetch_by_email(
    core: Arc<Core>,
    emails: Vec<String>,
    permit: Permit,
) -> BoxFuture<'static, Result<BTreeMap<String, Vec<RemoteUser>>, Error>> {
    async move {
        let users = fetch(&core, "email", &emails, permit).await?;
        let matching = |email: &String| {
            let found = users.values().filter(|user| user.email.to_lowercase() == email.to_lowercase());
            found.cloned().collect::<Vec<_>>()
        };
        let found = emails.iter().map(|email| (email.clone(), matching(email)));
        Ok(found.filter(|(_, users)| !users.is_empty()).collect())
    }
    .boxed()
}

/// Asks for users by id.
pub(super) fn fetch_by_id(
    core: Arc<Core>,
    ids: Vec<String>,
    permit: Permit,
) -> BoxFuture<'static, Result<BTreeMap<String, RemoteUser>, Error>> {
    async move { fetch(&core, "user_id", &ids, permit).await }.boxed()
}

async fn fetch(
    core: &Core,
    key: &str,
    values: &[String],
    permit: Permit,
) -> Result<BTreeMap<String, RemoteUser>, Error> {
    let request = Request::get(Endpoint::Users, "user/").queries(key, values).query("limit", "100");
    let users = all_pages(core, request, wire::users, Pace::Full, Some(permit)).await?;
    Ok(users.into_iter().map(|user| (user.user_id.clone(), user)).collect())
}

/// Whether the server's check of the form has a chance to pass. One bad address would fail all that are asked with it.
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
    fn addresses_are_told_from_other_text() {
        for good in ["eng@example.com", "a.b+c@sub.example.co", "o'neil@example.com", "é@exämple.de"] {
            assert!(is_email(good), "{good}");
        }
        for bad in ["", "eng", "@example.com", "eng@", "eng@localhost", "a b@example.com", "a@b@example.com", ".a@b.co"]
        {
            assert!(!is_email(bad), "{bad}");
        }
    }
}
