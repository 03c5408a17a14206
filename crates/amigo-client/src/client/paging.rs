//! Listings in pages (facts on pagination): all pages or an error, never a part.

use std::collections::BTreeSet;

use super::{rate_limiter::Permit, request::ApiRequest, response::ApiResponse, session::Session};
use crate::{Cause, Error};

/// More pages than any real listing has: 10,000 grants of three records take 3,000 pages of ten. A repeated token is an
/// error at once, so this ends only a server that creates new tokens forever.
const MOST_PAGES: usize = 20_000;

/// One page of a listing.
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) has_more: bool,
    pub(super) continuation_token: Option<i64>,
}

/// How much of the endpoint's rate limit a listing may use.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pace {
    /// All of it.
    Full,
    /// This many percent, shared with all other paced listings.
    Share(u32),
}

/// Every item of every page, or an error: a failed page, a page that announces more without a token, a repeated token,
/// or more than 20,000 pages.
///
/// `request` must sort by a total order in which items that disappear meanwhile come last. An item that moves between
/// pages may appear twice; the caller removes duplicates by ID.
pub(super) async fn all_pages<T>(
    session: &Session,
    request: ApiRequest,
    read: fn(&ApiResponse) -> Result<Page<T>, Error>,
    pace: Pace,
    permit: Option<Permit>,
) -> Result<Vec<T>, Error> {
    first_pages(session, request, read, (pace, usize::MAX), permit).await.map(|(items, _)| items)
}

/// The same, but reads no further page once there are `enough` items; returns whether these are all.
pub(super) async fn first_pages<T>(
    session: &Session,
    request: ApiRequest,
    read: fn(&ApiResponse) -> Result<Page<T>, Error>,
    (pace, enough): (Pace, usize),
    mut permit: Option<Permit>,
) -> Result<(Vec<T>, bool), Error> {
    let endpoint = request.endpoint;
    let inconsistent = |detail| Error::new(endpoint, Cause::InconsistentPages { detail });
    let mut items = Vec::new();
    let mut seen = BTreeSet::from([0]);
    let mut next = request.clone();
    for _ in 0..MOST_PAGES {
        if let Pace::Share(percent) = pace {
            session.sender.rate_limiter.pace(endpoint, percent).await;
        }
        let current = read(&session.send_with_permit(next, permit.take()).await?)?;
        items.extend(current.items);
        if !current.has_more || items.len() >= enough {
            return Ok((items, !current.has_more));
        }
        let Some(token) = current.continuation_token else {
            return Err(inconsistent("a page announces more items but has no continuation token"));
        };
        if !seen.insert(token) {
            return Err(inconsistent("a continuation token appears twice"));
        }
        next = request.clone().query("continuation_token", &token.to_string());
    }
    Err(inconsistent("the listing has too many pages"))
}
