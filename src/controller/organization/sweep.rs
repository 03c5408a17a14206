//! The sweep: every live grant at Amigo against the objects of this cluster. It reports and never repairs.
//!
//! # Expected flow
//! Once the store is filled: one complete listing of live grants within a fifth of the listing's budget, then one look at
//! the store. One sweep at a time: of 30,000 records the listing takes hours.
//!
//! # Guarantees
//! A torn or failing listing concludes nothing, and neither does a store that was never filled.
//!
//! # Assumptions
//! The store is not older than the listing's beginning; it is looked at after the listing's end.
//!
//! # Caveats
//! Only what the operator's user may see is counted. An object deleted while the listing ran counts as gone, and so
//! does a record that ended meanwhile.
//!
//! # Errors
//! Those of the listing.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use amigo_api::{TemporaryPermissionGrant, reasons};
use amigo_client::{Client, Error, GrantFilter};
use amigo_lifecycle::grant::sweep::{Listing, SweepReport};
use amigo_runtime::clock::Clock;
use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;

use crate::controller::connection::Connection;
use crate::{
    controller::{
        context::{Announcement, SharedContext},
        watch::Filled,
    },
    telemetry::labels::Assumption,
};

/// Percent of the listing's budget that sweeps use.
const SHARE: u32 = 20;

/// How many objects an Event names.
const MOST_NAMES: usize = 10;

/// Sweeps, unless a stop comes first or the Organization goes or moves elsewhere.
pub async fn run(connection: &Arc<Connection>, context: &SharedContext) {
    let swept = tokio::select! {
        swept = sweep(connection, context) => swept,
        () = context.stop.cancelled() => return,
        () = until_moved(connection, context) => return,
    };
    if let Err(error) = swept {
        tracing::warn!(%error, organization = connection.name, "the sweep could not be finished and concludes nothing");
    }
}

async fn until_moved(connection: &Connection, context: &SharedContext) {
    while context.connections.get(&connection.name).is_some_and(|now| Arc::ptr_eq(&now.observed, &connection.observed))
    {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// # Errors
/// Those of the listing; nothing is concluded then.
async fn sweep(connection: &Arc<Connection>, context: &SharedContext) -> Result<(), Error> {
    let Some(client) = connection.client.as_ref().filter(|_| connection.closed.is_none()) else { return Ok(()) };
    let objects = (&context.grants_filled, || context.stores.grants.state());
    let (name, organization, cluster) = (&*connection.name, &*connection.spec.organization, &*context.cluster);
    let timing = context.settings.timing();
    let listing = |began, ended| Listing { name, organization, cluster, began, ended, timing };
    let Some(report) = survey(client, &*context.clock, listing, objects).await? else { return Ok(()) };
    tell(connection, context, &report);
    let before = connection.observed.snapshot().sweep;
    connection.observed.update(|known| known.sweep = Some(report.clone()));
    announce(connection, context, before.as_ref(), &report);
    context.triggers.organizations.pull();
    Ok(())
}

/// Lists and compares; `None` if the objects never come.
///
/// # Errors
/// Those of the listing.
async fn survey<'a>(
    client: &Client,
    clock: &dyn Clock,
    listing: impl FnOnce(Timestamp, Timestamp) -> Listing<'a>,
    (filled, objects): (&Filled, impl Fn() -> Vec<Arc<TemporaryPermissionGrant>>),
) -> Result<Option<SweepReport>, Error> {
    // An empty store would make all that is ours look as if nobody had asked for it.
    if !filled.wait().await {
        return Ok(None);
    }
    let began = clock.now();
    let filter = GrantFilter { is_expired: Some(false), ..GrantFilter::default() };
    let grants = client.grants_paced(&filter, SHARE).await?;
    Ok(Some(listing(began, clock.now()).compare(&grants, &objects())))
}

/// Events about what somebody should look at, once a change.
fn announce(connection: &Connection, context: &SharedContext, before: Option<&SweepReport>, after: &SweepReport) {
    let Some(object) = context.stores.organizations.get(&ObjectRef::new(&connection.name)) else { return };
    // After a restart the status still says what was told.
    let told = object.status.as_ref().and_then(|status| status.grants.as_ref()).map(|counts| counts.orphaned);
    let orphaned = before.map(|before| before.counts.orphaned).or(told).unwrap_or_default();
    for announcement in news(before, orphaned, after) {
        context.announce(&*object, announcement);
    }
}

/// What is new since the last sweep. Pure.
fn news(before: Option<&SweepReport>, orphaned_before: u32, after: &SweepReport) -> Vec<Announcement> {
    let mut news = Vec::new();
    let excess = |report: &SweepReport| (report.duplicates.clone(), report.over_granted.clone());
    let (duplicates, over_granted) = excess(after);
    if before.map(excess).unwrap_or_default() != (duplicates.clone(), over_granted.clone()) {
        let lists =
            [("more than once at Amigo", duplicates), ("for longer at Amigo than their object allows", over_granted)];
        let told = lists.into_iter().filter(|(_, names)| !names.is_empty());
        let told: Vec<_> = told.map(|(what, names)| format!("access is live {what}: {}", some_of(&names))).collect();
        if !told.is_empty() {
            let message = format!("{}; it ends by itself", told.join("; "));
            news.push(Announcement { reason: reasons::DUPLICATE, message, warning: true });
        }
    }
    if after.counts.orphaned > orphaned_before {
        let message = format!(
            "{} grants of this cluster are live at Amigo without an object and end by themselves; by their tags: {}",
            after.counts.orphaned,
            some_of(&after.orphaned)
        );
        news.push(Announcement { reason: reasons::ORPHANED, message, warning: true });
    }
    news
}

/// As many names as a person reads in an Event.
fn some_of(names: &BTreeSet<String>) -> String {
    let shown: Vec<_> = names.iter().take(MOST_NAMES).map(String::as_str).collect();
    match names.len().saturating_sub(MOST_NAMES) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn tell(connection: &Connection, context: &SharedContext, report: &SweepReport) {
    let SweepReport { counts, duplicates, orphaned, over_granted, overdue, late, unlisted, retagged, at: _ } = report;
    let violations = [
        (*late, Assumption::LateCommit),
        (*unlisted, Assumption::StaleList),
        (*retagged, Assumption::LostTags),
        (*overdue, Assumption::LateExpiry),
    ];
    for (_, assumption) in violations.into_iter().filter(|(count, _)| *count > 0) {
        context.metrics.assumption_violated(assumption);
    }
    tracing::info!(
        organization = connection.name, managed = counts.managed, orphaned = counts.orphaned, unmanaged = counts.unmanaged,
        duplicates = ?duplicates, over_granted = ?over_granted, orphaned_of = ?orphaned, late, overdue, unlisted, retagged,
        "swept the live grants"
    );
}

#[cfg(test)]
mod tests {
    use amigo_api::GrantCounts;
    use amigo_client::testing::{Server, ok, respond};
    use amigo_lifecycle::grant::Timing;
    use amigo_runtime::clock::SystemClock;
    use serde_json::json;

    use super::*;

    fn report(duplicates: &[&str], over_granted: &[&str], orphaned: &[&str]) -> SweepReport {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let counts = GrantCounts { orphaned: u32::try_from(orphaned.len()).unwrap(), ..GrantCounts::default() };
        let (duplicates, over_granted, orphaned) = (set(duplicates), set(over_granted), set(orphaned));
        SweepReport { counts, duplicates, orphaned, over_granted, ..SweepReport::default() }
    }

    fn told(before: Option<&SweepReport>, after: &SweepReport) -> Vec<&'static str> {
        let orphaned = before.map_or(0, |before| before.counts.orphaned);
        news(before, orphaned, after).into_iter().map(|announcement| announcement.reason).collect()
    }

    #[test]
    fn excess_is_told_once_a_change_and_names_the_objects() {
        let (none, one, both) = (report(&[], &[], &[]), report(&["a/b"], &[], &[]), report(&["a/b"], &["c/d"], &[]));
        assert!(
            told(None, &none).is_empty() && told(Some(&one), &one).is_empty() && told(Some(&one), &none).is_empty()
        );
        assert_eq!(told(None, &one), [reasons::DUPLICATE]);
        assert_eq!(told(Some(&one), &both), [reasons::DUPLICATE]);
        let message = &news(None, 0, &both)[0].message;
        assert!(message.contains("a/b") && message.contains("c/d"), "{message}");
    }

    #[test]
    fn orphaned_grants_are_told_when_their_number_rises() {
        let (one, two) = (report(&[], &[], &["a/b"]), report(&[], &[], &["a/b", "c/d"]));
        assert_eq!(told(None, &one), [reasons::ORPHANED]);
        assert_eq!(told(Some(&one), &two), [reasons::ORPHANED]);
        assert!(told(Some(&two), &one).is_empty());
        assert!(news(None, 2, &two).is_empty(), "a restart tells nothing twice");
    }

    #[test]
    fn an_event_names_no_more_objects_than_one_reads() {
        let names: BTreeSet<_> = (10..25).map(|number| format!("ns/{number}")).collect();
        assert!(some_of(&names).ends_with("ns/19 and 5 more"), "{}", some_of(&names));
    }

    /// Two pages of live grants of ours, the second as told.
    async fn amigo(second: (u16, &'static str)) -> Server {
        Server::signed_in(move |call| match call.query("continuation_token").len() {
            0 => ok(&json!({"temporary_permission_grants": [], "has_more": true, "continuation_token": 10})),
            _ => respond(second.0, &serde_json::from_str(second.1).unwrap()),
        })
        .await
    }

    const WHOLE: (u16, &str) = (
        200,
        r#"{"temporary_permission_grants": [{
        "_id": "record", "user_id": "ann", "expires_at": "2126-01-01T00:00:00Z", "creator": {"user_id": "operator"},
        "permission_grant": {"permission_name": "A:B", "conditions": {}},
        "tags": {"managed_by": "amigo_operator", "cluster": "cluster", "uid": "0a"}}], "has_more": false}"#,
    );

    fn object() -> Vec<Arc<TemporaryPermissionGrant>> {
        let object = json!({
            "metadata": {"name": "request", "uid": "0a"},
            "spec": {"organizationRef": {"name": "acme"}, "user": {"userId": "ann"}, "justification": "a test asks"},
        });
        vec![Arc::new(serde_json::from_value(object).unwrap())]
    }

    async fn surveyed(server: &Server, filled: &Filled) -> Result<Option<SweepReport>, Error> {
        let (name, organization, cluster, timing) = ("acme", "acme", "cluster", Timing::default());
        let listing = |began, ended| Listing { name, organization, cluster, began, ended, timing };
        survey(&server.client(), &SystemClock, listing, (filled, object)).await
    }

    #[tokio::test]
    async fn a_torn_or_failing_listing_concludes_nothing() {
        for second in [
            (500, "{}"),
            (200, r#"{"temporary_permission_grants": [], "has_more": true}"#),
            (200, r#"{"temporary_permission_grants": [], "has_more": true, "continuation_token": 10}"#),
            (200, r#"{"temporary_permission_grants": [{}], "has_more": false}"#),
        ] {
            assert!(surveyed(&amigo(second).await, &Filled::already()).await.is_err(), "{second:?}");
        }
    }

    #[tokio::test]
    async fn a_sweep_waits_for_the_objects_and_concludes_nothing_without_them() {
        let server = amigo(WHOLE).await;
        let (fill, filled) = Filled::later();
        let early = tokio::time::timeout(Duration::from_millis(200), surveyed(&server, &filled));
        assert!(early.await.is_err() && server.requests().is_empty());
        fill.send_replace(true);
        assert_eq!(surveyed(&server, &filled).await.unwrap().unwrap().counts.managed, 1);
        let (gone, never) = Filled::later();
        drop(gone);
        assert_eq!(surveyed(&server, &never).await, Ok(None));
    }
}
