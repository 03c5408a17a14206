//! Temporary permission grants (API document: create and list; facts 4.5).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use amigo_permissions::Conditions;
use serde::Serialize;

use super::{
    Client,
    paging::{Pace, Pages},
    rate_limiter::Reservation,
    request::ApiRequest,
    session::Session,
    turn_queue::Turn,
    wire,
};
use crate::{CreatedGrant, Endpoint, Error, GrantFilter, NewGrant, RemoteGrant};

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
    /// Books `requests` grant POSTs with the rate limiter and does not wait. All of them may start at
    /// [`Reservation::ready_at`], or as many as a minute allows; dropping it releases the unused ones.
    #[must_use]
    pub fn reserve_grant_posts(&self, requests: u32, turn: Turn) -> Reservation {
        self.session.sender.rate_limiter.reserve(Endpoint::CreateGrant, requests, turn)
    }

    /// Creates one grant, with one request of the reservation, which must be due.
    ///
    /// # Expected flow
    /// 1. [`Client::sign_in`] and [`Client::reserve_grant_posts`].
    /// 2. Record the intent durably.
    /// 3. Call this function.
    ///
    /// # Guarantees
    /// It sends at most one request, and none after [`Reservation::set_send_before`]. It does not repeat a 401.
    ///
    /// # Assumptions
    /// Those of [`Error`].
    ///
    /// # Caveats
    /// After the future is dropped, the outcome is unknown, as after an ambiguous error. A request that was never sent
    /// still uses its turn. Without a valid token it signs in first.
    ///
    /// # Errors
    /// See [`Error::never_sent`], [`Error::refused`], [`Error::ambiguous`]. `Throttled` if the reservation is not due or
    /// has no request left.
    pub async fn create_grant(&self, grant: &NewGrant, reservation: &Reservation) -> Result<CreatedGrant, Error> {
        let NewGrant { user_id, duration, permission_name, conditions, tags, justification } = grant;
        let permission_grant = PermissionBody { permission_name, conditions };
        let body = CreateGrantBody { user_id, duration, permission_grant, tags, justification };
        let request = ApiRequest::post(Endpoint::CreateGrant, "role/temporary_permission_grant/", &body)?;
        let response = self.session.send_once(&request, reservation).await?;
        wire::created_grant(&response)
    }

    /// All grants that match, in no particular order.
    ///
    /// # Errors
    /// Any request error, `InconsistentPages` if the pages contradict each other; conclude nothing then.
    pub async fn grants(&self, filter: &GrantFilter) -> Result<Vec<RemoteGrant>, Error> {
        let mut listing = self.grant_listing(filter);
        listing.read_all().await?;
        Ok(listing.into_grants())
    }

    /// A listing that a caller without time for all pages can continue later.
    #[must_use]
    pub fn grant_listing(&self, filter: &GrantFilter) -> GrantListing {
        let pages = Pages::new(filter.request(), wire::grants);
        GrantListing { session: Arc::clone(&self.session), filter: filter.clone(), pages }
    }

    /// About `most` of the grants that match, latest end first, and whether these are all: for an interactive user, who
    /// does not wait for thousands.
    ///
    /// # Errors
    /// As for [`Client::grants`].
    pub async fn latest_grants(&self, filter: &GrantFilter, most: usize) -> Result<(Vec<RemoteGrant>, bool), Error> {
        let mut listing = self.grant_listing(filter);
        listing.read((Pace::Full, most)).await?;
        let complete = listing.pages.complete;
        Ok((listing.into_grants(), complete))
    }

    /// Like [`Client::grants`], but all paced listings together use at most `share_percent` of the listing's rate limit.
    ///
    /// # Errors
    /// As for [`Client::grants`].
    pub async fn grants_paced(&self, filter: &GrantFilter, share_percent: u32) -> Result<Vec<RemoteGrant>, Error> {
        let mut listing = self.grant_listing(filter);
        listing.read((Pace::Share(share_percent), usize::MAX)).await?;
        Ok(listing.into_grants())
    }
}

/// The pages of a listing of grants that were read so far.
pub struct GrantListing {
    session: Arc<Session>,
    filter: GrantFilter,
    pages: Pages<RemoteGrant>,
}

impl GrantListing {
    /// Reads the remaining pages. Dropping the future keeps the pages that were read.
    ///
    /// # Errors
    /// As for [`Client::grants`]. Start another listing then.
    pub async fn read_all(&mut self) -> Result<(), Error> {
        self.read((Pace::Full, usize::MAX)).await
    }

    /// The grants that match, in no particular order.
    #[must_use]
    pub fn into_grants(self) -> Vec<RemoteGrant> {
        let Self { session: _, filter, pages } = self;
        let mut seen = BTreeSet::new();
        pages.items.into_iter().filter(|grant| filter.admits(grant) && seen.insert(grant.id.clone())).collect()
    }

    /// Whether it lists these grants with this client.
    #[must_use]
    pub fn is_for(&self, client: &Client, filter: &GrantFilter) -> bool {
        Arc::ptr_eq(&self.session, &client.session) && self.filter == *filter
    }

    async fn read(&mut self, pages: (Pace, usize)) -> Result<(), Error> {
        self.pages.read(&self.session, pages, None).await
    }
}

impl GrantFilter {
    /// Latest end first: a grant that ends between two pages is then on the last one, and moves no other grant from an
    /// unread page to one already read.
    fn request(&self) -> ApiRequest {
        let Self { tags, user_ids, is_expired, creators } = self;
        let request = ApiRequest::get(Endpoint::ListGrants, "role/temporary_permission_grants/")
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

    /// The document does not say whether several tags mean "and" or "or"; with this filter both work.
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
