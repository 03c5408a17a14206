//! Listings in pages (facts on pagination): all pages or an error, never a part.

use std::collections::BTreeSet;

use super::{
    Cause, Error,
    budgets::Permit,
    call::{Core, Request},
    transport::Answer,
};

/// More pages than any honest listing has: 10,000 grants of three records take 3,000 pages of ten. A server that goes
/// round in a circle is noticed at once, so this only ends one that makes up new tokens for ever.
const MOST_PAGES: usize = 20_000;

/// One page.
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) has_more: bool,
    pub(super) continuation_token: Option<i64>,
}

/// How much of the endpoint's budget a listing may use.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pace {
    /// All of it.
    Full,
    /// This many percent, shared with all other paced listings.
    Share(u32),
}

/// Every item of every page.
///
/// # Expected flow
/// The token of each page asks for the next, until a page says there is no more.
///
/// # Guarantees
/// Either all pages were read, or the result is an error: a page that failed, that promises more without a token,
/// whose token was seen before, or more than 20,000 pages.
///
/// # Assumptions
/// `request` asks for an order in which items that vanish meanwhile stand last, and that tells all items apart.
///
/// # Caveats
/// An item that moves between pages may come twice; the caller drops doubles by id.
///
/// # Errors
/// `InconsistentPages`, and every call error.
pub(super) async fn all_pages<T>(
    core: &Core,
    request: Request,
    read: fn(&Answer) -> Result<Page<T>, Error>,
    pace: Pace,
    permit: Option<Permit>,
) -> Result<Vec<T>, Error> {
    first_pages(core, request, read, (pace, usize::MAX), permit).await.map(|(items, _)| items)
}

/// The same, but no further page once there are `enough` items; says whether these are all.
pub(super) async fn first_pages<T>(
    core: &Core,
    request: Request,
    read: fn(&Answer) -> Result<Page<T>, Error>,
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
            core.budgets.pace(endpoint, percent).await;
        }
        let current = read(&core.call_with(next, permit.take()).await?)?;
        items.extend(current.items);
        if !current.has_more || items.len() >= enough {
            return Ok((items, !current.has_more));
        }
        let Some(token) = current.continuation_token else {
            return Err(inconsistent("a page promises more but does not say where"));
        };
        if !seen.insert(token) {
            return Err(inconsistent("the pages go round in a circle"));
        }
        next = request.clone().query("continuation_token", &token.to_string());
    }
    Err(inconsistent("the listing does not end"))
}
