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

/// The pages of a listing that were read so far. Dropping a read keeps them.
///
/// `request` must sort by a total order in which items that disappear meanwhile come last. An item that moves between
/// pages may appear twice; the caller removes duplicates by ID.
pub(super) struct Pages<T> {
    request: ApiRequest,
    read: fn(&ApiResponse) -> Result<Page<T>, Error>,
    pub(super) items: Vec<T>,
    /// The tokens of the pages so far; the first page has none.
    tokens: BTreeSet<i64>,
    token: Option<i64>,
    pub(super) complete: bool,
}

impl<T> Pages<T> {
    pub(super) fn new(request: ApiRequest, read: fn(&ApiResponse) -> Result<Page<T>, Error>) -> Self {
        Self { request, read, items: Vec::new(), tokens: BTreeSet::from([0]), token: None, complete: false }
    }

    /// Reads until the last page, or until there are `enough` items.
    ///
    /// # Errors
    /// A failed page, a page that announces more without a token, a repeated token, or more than 20,000 pages.
    pub(super) async fn read(
        &mut self,
        session: &Session,
        (pace, enough): (Pace, usize),
        mut permit: Option<Permit>,
    ) -> Result<(), Error> {
        while !self.complete && self.items.len() < enough {
            if let Pace::Share(percent) = pace {
                session.sender.rate_limiter.pace(self.request.endpoint, percent).await;
            }
            let response = session.send_with_permit(self.next(), permit.take()).await?;
            self.add((self.read)(&response)?)?;
        }
        Ok(())
    }

    fn next(&self) -> ApiRequest {
        let request = self.request.clone();
        self.token.iter().fold(request, |request, token| request.query("continuation_token", &token.to_string()))
    }

    fn add(&mut self, page: Page<T>) -> Result<(), Error> {
        let inconsistent = |detail| Err(Error::new(self.request.endpoint, Cause::InconsistentPages { detail }));
        match (page.has_more, page.continuation_token) {
            (false, _) => self.complete = true,
            (true, None) => return inconsistent("a page announces more items but has no continuation token"),
            (true, Some(token)) if self.tokens.contains(&token) => {
                return inconsistent("a continuation token appears twice");
            }
            (true, Some(_)) if self.tokens.len() >= MOST_PAGES => {
                return inconsistent("the listing has too many pages");
            }
            (true, Some(token)) => {
                self.tokens.insert(token);
                self.token = Some(token);
            }
        }
        self.items.extend(page.items);
        Ok(())
    }
}

/// Every item of every page.
pub(super) async fn all_pages<T>(
    session: &Session,
    request: ApiRequest,
    read: fn(&ApiResponse) -> Result<Page<T>, Error>,
    permit: Permit,
) -> Result<Vec<T>, Error> {
    let mut pages = Pages::new(request, read);
    pages.read(session, (Pace::Full, usize::MAX), Some(permit)).await?;
    Ok(pages.items)
}
