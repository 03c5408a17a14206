//! Temporary permission grants (API document: create and list; facts 4.5).

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::{
    Client, Endpoint, Error, Reservation,
    call::Request,
    paging::{Pace, first_pages},
    wire,
};
use crate::permission::Conditions;

/// A temporary grant to be made. It always allows: no `action` is ever sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewGrant {
    /// Who receives it.
    pub user_id: String,
    /// How long it lives, in ISO 8601; 1 minute to 3 days.
    pub duration: String,
    /// `Category:Action`.
    pub permission_name: String,
    /// When it applies; empty means always.
    pub conditions: Conditions,
    /// At most 20; keys and values match `[\w\s]+`.
    pub tags: BTreeMap<String, String>,
    /// At least 10 characters after trimming.
    pub justification: String,
}

/// What the server says about a grant it made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedGrant {
    /// The grant's id.
    pub id: String,
    /// When the server ends it.
    pub expires_at: Timestamp,
}

/// Which grants to list. What is empty or `None` does not restrict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrantFilter {
    /// Tags that must all be there; the value `*` stands for any.
    pub tags: Vec<(String, String)>,
    /// Who holds the grant, any of these.
    pub user_ids: Vec<String>,
    /// Only expired ones, only live ones, or both.
    pub is_expired: Option<bool>,
    /// Who made the grant, any of these.
    pub creators: Vec<String>,
}

/// A temporary grant as listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemoteGrant {
    /// The grant's id.
    pub id: String,
    /// Who holds it.
    pub user_id: String,
    /// `Category:Action`.
    pub permission_name: String,
    /// When it applies. `None`: in a form this client does not understand, so it equals nothing.
    pub conditions: Option<Conditions>,
    /// When the server ends it.
    pub expires_at: Timestamp,
    /// When it was made, if the server says.
    pub created_at: Option<Timestamp>,
    /// The user who made it.
    pub creator: String,
    /// Its tags; a tag may have no value.
    pub tags: BTreeMap<String, Option<String>>,
    /// Why it was made.
    pub justification: String,
}

#[derive(Serialize)]
struct CreateGrantBody<'a> {
    user_id: &'a str,
    duration: &'a str,
    permission_grant: PermissionBody<'a>,
    tags: &'a BTreeMap<String, String>,
    justification: &'a str,
}

#[derive(Serialize)]
struct PermissionBody<'a> {
    permission_name: &'a str,
    conditions: &'a Conditions,
}

impl Client {
    /// Books the budget of `calls` grant POSTs and does not wait. All of them may start at
    /// [`Reservation::ready_at`], or as many as a minute allows; dropping it gives back what was not used.
    #[must_use]
    pub fn reserve_grant_posts(&self, calls: u32) -> Reservation {
        self.core.budgets.reserve(Endpoint::CreateGrant, calls)
    }

    /// Makes one grant, with one call of the reservation, which must be due.
    ///
    /// # Expected flow
    /// [`Client::sign_in`] and [`Client::reserve_grant_posts`] first, then the record of the intent, then this.
    ///
    /// # Guarantees
    /// At most one request. With [`Reservation::set_send_before`], none that starts later. A 401 is not repeated.
    ///
    /// # Assumptions
    /// Those of [`Error`].
    ///
    /// # Caveats
    /// If the future is dropped, the request may or may not have been made, as after an ambiguous error.
    /// A call that was never sent has used its place all the same; the next one beyond those reserved is booked behind all
    /// others. Without a token at hand this signs in first.
    ///
    /// # Errors
    /// Ask [`Error::never_sent`], [`Error::refused`], [`Error::ambiguous`]. `Budget` says that the reservation is not due.
    pub async fn create_grant(&self, grant: &NewGrant, reservation: &mut Reservation) -> Result<CreatedGrant, Error> {
        let NewGrant { user_id, duration, permission_name, conditions, tags, justification } = grant;
        let permission_grant = PermissionBody { permission_name, conditions };
        let body = CreateGrantBody { user_id, duration, permission_grant, tags, justification };
        let request = Request::post(Endpoint::CreateGrant, "role/temporary_permission_grant/", &body)?;
        let answer = self.core.call_once(&request, reservation).await?;
        wire::created_grant(&answer)
    }

    /// All grants that match, in no particular order.
    ///
    /// # Errors
    /// Any call error, `Torn` if the pages do not fit together: nothing may be concluded then.
    pub async fn grants(&self, filter: &GrantFilter) -> Result<Vec<RemoteGrant>, Error> {
        self.list_grants(filter, (Pace::Full, usize::MAX)).await.map(|(grants, _)| grants)
    }

    /// About this many of the grants that match, those that end last first, and whether these are all: for people, who
    /// do not wait for thousands.
    ///
    /// # Errors
    /// As for [`Client::grants`].
    pub async fn latest_grants(&self, filter: &GrantFilter, most: usize) -> Result<(Vec<RemoteGrant>, bool), Error> {
        self.list_grants(filter, (Pace::Full, most)).await
    }

    /// The same, slowly: all paced listings together use at most `share_percent` of the budget of listing.
    ///
    /// # Errors
    /// As for [`Client::grants`].
    pub async fn grants_paced(&self, filter: &GrantFilter, share_percent: u32) -> Result<Vec<RemoteGrant>, Error> {
        self.list_grants(filter, (Pace::Share(share_percent), usize::MAX)).await.map(|(grants, _)| grants)
    }

    async fn list_grants(&self, filter: &GrantFilter, pages: (Pace, usize)) -> Result<(Vec<RemoteGrant>, bool), Error> {
        let (grants, whole) = first_pages(&self.core, filter.request(), wire::grants, pages, None).await?;
        let mut seen = BTreeSet::new();
        let ours = grants.into_iter().filter(|grant| filter.admits(grant) && seen.insert(grant.id.clone()));
        Ok((ours.collect(), whole))
    }
}

impl RemoteGrant {
    /// The value of a tag; empty where there is none.
    #[must_use]
    pub fn tag(&self, key: &str) -> &str {
        self.tags.get(key).and_then(|value| value.as_deref()).unwrap_or_default()
    }
}

impl GrantFilter {
    /// Latest end first: a grant that ends while the pages are read is then on the last one, and moves no other
    /// from a page not read yet to one already read.
    fn request(&self) -> Request {
        let Self { tags, user_ids, is_expired, creators } = self;
        let request = Request::get(Endpoint::ListGrants, "role/temporary_permission_grants/")
            .queries("user_id", user_ids)
            .queries("creator", creators)
            .queries("tag", &tags.iter().map(|(key, value)| format!("{key}:{value}")).collect::<Vec<_>>());
        let request = match is_expired {
            Some(is_expired) => request.query("is_expired", &is_expired.to_string()),
            None => request,
        };
        ["-expires_at", "+user_id", "+permission_grant.permission_name"]
            .into_iter()
            .fold(request, |request, order| request.query("sort_by", order))
            .query("limit", "10")
    }

    /// Whether the document leaves several tags to be joined by "and" or by "or" does not matter then.
    fn admits(&self, grant: &RemoteGrant) -> bool {
        let tagged = |(key, value): &(String, String)| match grant.tags.get(key) {
            Some(present) => value == "*" || present.as_deref().unwrap_or_default() == value,
            None => false,
        };
        self.tags.iter().all(tagged)
            && (self.user_ids.is_empty() || self.user_ids.contains(&grant.user_id))
            && (self.creators.is_empty() || self.creators.contains(&grant.creator))
    }
}
