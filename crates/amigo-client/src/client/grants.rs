//! Temporary permission grants (API document: create and list; facts 4.5).

use std::collections::{BTreeMap, BTreeSet};

use amigo_permissions::Conditions;
use serde::Serialize;

use super::{
    Client, CreatedGrant, Endpoint, Error, GrantFilter, NewGrant, RemoteGrant, Reservation,
    call::Request,
    paging::{Pace, first_pages},
    wire,
};

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
    /// Any call error, `InconsistentPages` if the pages do not fit together: nothing may be concluded then.
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
