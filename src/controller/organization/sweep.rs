//! The sweep: compares all live grants at Amigo with the objects of this cluster. It reports and never repairs.
//!
//! # Expected flow
//! After the store is filled, the sweep lists all live grants, with at most a fifth of the rate limit. Then it reads the
//! store. Sweeps do not overlap: a list of 30,000 records takes hours.
//!
//! # Guarantees
//! The sweep draws no conclusion from a list that fails or has inconsistent pages, or from a store that was never filled.
//!
//! # Assumptions
//! The sweep reads the store after the end of the list, so the store is newer than the start of the list.
//!
//! # Caveats
//! The list contains only grants that the operator's user may see. Objects that were deleted during the list count as
//! deleted, and records that expired during the list count as expired.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use amigo_api::{TemporaryPermissionGrant, reasons};
use amigo_client::{Client, Error, GrantFilter};
use amigo_lifecycle::grant::sweep::{Listing, SweepReport};
use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;

use crate::controller::connection::{Connection, api_endpoint::ApiEndpoint};
use crate::{
    controller::{
        context::{Announcement, SharedContext},
        watch::Filled,
    },
    telemetry::labels::Assumption,
};

/// Percent of the rate limit of lists that sweeps use.
const SHARE: u32 = 20;

/// Maximum number of objects in an Event.
const MAX_NAMES: usize = 10;

/// Sweeps until the end, a stop, or a change of the remote organization.
pub async fn run(connection: &Arc<Connection>, context: &SharedContext) {
    let swept = tokio::select! {
        swept = sweep(connection, context) => swept,
        () = context.stop.cancelled() => return,
        () = connection_replaced(connection, context) => return,
    };
    if let Err(error) = swept {
        tracing::warn!(%error, organization = connection.name, "sweep failed; will retry");
    }
}

async fn connection_replaced(connection: &Connection, context: &SharedContext) {
    while context.connections.get(&connection.name).is_some_and(|now| Arc::ptr_eq(&now.observed, &connection.observed))
    {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// # Errors
/// Those of the list.
async fn sweep(connection: &Arc<Connection>, context: &SharedContext) -> Result<(), Error> {
    let Some(client) = connection.client.as_ref().filter(|_| connection.closed.is_none()) else { return Ok(()) };
    let objects = (&context.grants_filled, || context.stores.grants.state());
    let (name, organization, cluster) = (&*connection.name, &*connection.spec.organization, &*context.cluster);
    let timing = context.settings.timing();
    let endpoint = ApiEndpoint::from(client.address());
    let origin = &*endpoint.origin;
    let listing = |began, ended| Listing { name, organization, origin, cluster, began, ended, timing };
    let now = || context.amigo_time(Some(connection));
    let Some(report) = compare(client, now, listing, objects).await? else { return Ok(()) };
    log(connection, context, &report);
    let before = connection.observed.snapshot().sweep;
    connection.observed.update(|observed| observed.sweep = Some(report.clone()));
    emit_events(connection, context, before.as_ref(), &report);
    context.triggers.organizations.pull(&connection.name);
    Ok(())
}

/// Lists and compares, by Amigo's clock. `None` if the store is never filled.
///
/// # Errors
/// Those of the list.
async fn compare<'a>(
    client: &Client,
    now: impl Fn() -> Timestamp,
    listing: impl FnOnce(Timestamp, Timestamp) -> Listing<'a>,
    (filled, objects): (&Filled, impl Fn() -> Vec<Arc<TemporaryPermissionGrant>>),
) -> Result<Option<SweepReport>, Error> {
    // With an empty store, every grant would look orphaned.
    if !filled.wait().await {
        return Ok(None);
    }
    let began = now();
    let filter = GrantFilter { is_expired: Some(false), ..GrantFilter::default() };
    let grants = client.grants_paced(&filter, SHARE).await?;
    Ok(Some(listing(began, now()).compare(&grants, &objects())))
}

/// Emits an Event for each change that a person should check.
fn emit_events(connection: &Connection, context: &SharedContext, before: Option<&SweepReport>, after: &SweepReport) {
    let Some(object) = context.stores.organizations.get(&ObjectRef::new(&connection.name)) else { return };
    // After a restart, the status shows what earlier Events reported.
    let reported = object.status.as_ref().and_then(|status| status.grants.as_ref()).map(|counts| counts.orphaned);
    let orphaned = before.map(|before| before.counts.orphaned).or(reported).unwrap_or_default();
    for announcement in new_findings(before, orphaned, after) {
        context.announce(&*object, announcement);
    }
}

/// What changed since the last sweep. Pure.
fn new_findings(before: Option<&SweepReport>, orphaned_before: u32, after: &SweepReport) -> Vec<Announcement> {
    let mut events = Vec::new();
    let excess = |report: &SweepReport| (report.duplicates.clone(), report.over_granted.clone());
    let (duplicates, over_granted) = excess(after);
    if before.map(excess).unwrap_or_default() != (duplicates.clone(), over_granted.clone()) {
        let lists = [
            ("more than one live grant at Amigo", duplicates),
            ("a live grant at Amigo that lasts longer than requested", over_granted),
        ];
        let found = lists.into_iter().filter(|(_, names)| !names.is_empty());
        let found: Vec<_> = found.map(|(what, names)| format!("{what}: {}", some_of(&names))).collect();
        if !found.is_empty() {
            let message = format!("these objects have {}. The grants expire without action", found.join("; and "));
            events.push(Announcement { reason: reasons::DUPLICATE, message, warning: true });
        }
    }
    if after.counts.orphaned > orphaned_before {
        let message = format!(
            "{} live grants of this cluster at Amigo have no object. They expire without action. Objects in their tags: {}",
            after.counts.orphaned,
            some_of(&after.orphaned)
        );
        events.push(Announcement { reason: reasons::ORPHANED, message, warning: true });
    }
    events
}

fn some_of(names: &BTreeSet<String>) -> String {
    let shown: Vec<_> = names.iter().take(MAX_NAMES).map(String::as_str).collect();
    match names.len().saturating_sub(MAX_NAMES) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn log(connection: &Connection, context: &SharedContext, report: &SweepReport) {
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
    use amigo_runtime::clock::{Clock as _, SystemClock};
    use serde_json::json;

    use super::*;

    fn report(duplicates: &[&str], over_granted: &[&str], orphaned: &[&str]) -> SweepReport {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let counts = GrantCounts { orphaned: u32::try_from(orphaned.len()).unwrap(), ..GrantCounts::default() };
        let (duplicates, over_granted, orphaned) = (set(duplicates), set(over_granted), set(orphaned));
        SweepReport { counts, duplicates, orphaned, over_granted, ..SweepReport::default() }
    }

    fn reasons_of(before: Option<&SweepReport>, after: &SweepReport) -> Vec<&'static str> {
        let orphaned = before.map_or(0, |before| before.counts.orphaned);
        new_findings(before, orphaned, after).into_iter().map(|announcement| announcement.reason).collect()
    }

    #[test]
    fn excess_is_reported_once_with_its_objects() {
        let (none, one, both) = (report(&[], &[], &[]), report(&["a/b"], &[], &[]), report(&["a/b"], &["c/d"], &[]));
        assert!(
            reasons_of(None, &none).is_empty()
                && reasons_of(Some(&one), &one).is_empty()
                && reasons_of(Some(&one), &none).is_empty()
        );
        assert_eq!(reasons_of(None, &one), [reasons::DUPLICATE]);
        assert_eq!(reasons_of(Some(&one), &both), [reasons::DUPLICATE]);
        let message = &new_findings(None, 0, &both)[0].message;
        assert!(message.contains("a/b") && message.contains("c/d"), "{message}");
    }

    #[test]
    fn orphaned_grants_are_reported_when_they_increase() {
        let (one, two) = (report(&[], &[], &["a/b"]), report(&[], &[], &["a/b", "c/d"]));
        assert_eq!(reasons_of(None, &one), [reasons::ORPHANED]);
        assert_eq!(reasons_of(Some(&one), &two), [reasons::ORPHANED]);
        assert!(reasons_of(Some(&two), &one).is_empty());
        assert!(new_findings(None, 2, &two).is_empty(), "a restart does not repeat Events");
    }

    #[test]
    fn event_names_a_limited_number_of_objects() {
        let names: BTreeSet<_> = (10..25).map(|number| format!("ns/{number}")).collect();
        assert!(some_of(&names).ends_with("ns/19 and 5 more"), "{}", some_of(&names));
    }

    /// Two pages of live grants, the second as given.
    async fn amigo(second: (u16, &'static str)) -> Server {
        Server::signed_in(move |request| match request.query("continuation_token").len() {
            0 => ok(&json!({"temporary_permission_grants": [], "has_more": true, "continuation_token": 10})),
            _ => respond(second.0, &serde_json::from_str(second.1).unwrap()),
        })
        .await
    }

    const COMPLETE: (u16, &str) = (
        200,
        r#"{"temporary_permission_grants": [{
        "_id": "record", "user_id": "ann", "expires_at": "2126-01-01T00:00:00Z", "creator": {"user_id": "operator"},
        "permission_grant": {"permission_name": "A:B", "conditions": {}},
        "tags": {"managed_by": "amigo_operator", "cluster": "cluster", "uid": "0a"}}], "has_more": false}"#,
    );

    fn object() -> Vec<Arc<TemporaryPermissionGrant>> {
        let object = json!({
            "metadata": {"name": "request", "uid": "0a"},
            "spec": {"organizationRef": {"name": "acme"}, "user": {"userId": "ann"}, "justification": "a test of the sweep"},
        });
        vec![Arc::new(serde_json::from_value(object).unwrap())]
    }

    async fn compared(server: &Server, filled: &Filled) -> Result<Option<SweepReport>, Error> {
        let (name, organization, origin) = ("acme", "acme", "https://api.amigo.ai");
        let (cluster, timing) = ("cluster", Timing::default());
        let listing = |began, ended| Listing { name, organization, origin, cluster, began, ended, timing };
        compare(&server.client(), || SystemClock.now(), listing, (filled, object)).await
    }

    #[tokio::test]
    async fn failing_or_inconsistent_list_has_no_report() {
        for second in [
            (500, "{}"),
            (200, r#"{"temporary_permission_grants": [], "has_more": true}"#),
            (200, r#"{"temporary_permission_grants": [], "has_more": true, "continuation_token": 10}"#),
            (200, r#"{"temporary_permission_grants": [{}], "has_more": false}"#),
        ] {
            assert!(compared(&amigo(second).await, &Filled::already()).await.is_err(), "{second:?}");
        }
    }

    #[tokio::test]
    async fn sweep_waits_for_the_store() {
        let server = amigo(COMPLETE).await;
        let (fill, filled) = Filled::later();
        let early = tokio::time::timeout(Duration::from_millis(200), compared(&server, &filled));
        assert!(early.await.is_err() && server.requests().is_empty());
        fill.send_replace(true);
        assert_eq!(compared(&server, &filled).await.unwrap().unwrap().counts.managed, 1);
        let (gone, never) = Filled::later();
        drop(gone);
        assert_eq!(compared(&server, &never).await, Ok(None));
    }
}
