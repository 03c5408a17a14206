//! The sweep: every live grant at Amigo against the objects of this cluster. It reports and never repairs.
//!
//! # Expected flow
//! One complete listing of live grants within a fifth of the listing's budget, then one look at the store. One sweep
//! at a time: of 30,000 records the listing takes hours.
//!
//! # Guarantees
//! A torn or failing listing concludes nothing.
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

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use kube::{ResourceExt as _, runtime::reflector::ObjectRef};

use super::Link;
use crate::{
    amigo::{Error, GrantFilter, RemoteGrant},
    controller::context::{Announcement, SharedContext},
    crd::{GrantCounts, TemporaryPermissionGrant, reasons},
    grant::{CLUSTER, MANAGED_BY, MANAGED_BY_VALUE, UID, condensed},
    telemetry::{census, labels::Assumption},
};

/// Percent of the listing's budget that sweeps use.
const SHARE: u32 = 20;

/// How many objects an Event names.
const MOST_NAMES: usize = 10;

/// What a sweep found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// When it ended.
    pub at: Timestamp,
    /// How many, of which kind.
    pub counts: GrantCounts,
    /// Live records beyond the first of one slot: `namespace/name`.
    pub duplicates: BTreeSet<String>,
    /// Live records of ours without an object: `namespace/name` as their tags say.
    pub residual: BTreeSet<String>,
    /// Live records that end later than their object's deadline allows: `namespace/name`.
    pub over_granted: BTreeSet<String>,
    /// Live by the listing and ended by their time.
    pub overdue: u32,
    /// Known from an object's status and not in the listing.
    pub unlisted: u32,
    /// Known from an object's status and listed under other tags.
    pub retagged: u32,
}

impl SweepReport {
    /// What the metrics say of it.
    #[must_use]
    pub fn tally(&self) -> census::GrantCounts {
        let GrantCounts { active: _, managed, residual, unmanaged } = self.counts;
        let count = |names: &BTreeSet<String>| u32::try_from(names.len()).unwrap_or(u32::MAX);
        let (duplicate, over_granted) = (count(&self.duplicates), count(&self.over_granted));
        census::GrantCounts { managed, residual, unmanaged, duplicate, over_granted }
    }
}

/// Sweeps, unless a stop comes first or the Organization goes or moves elsewhere.
pub async fn run(link: &Arc<Link>, context: &SharedContext) {
    let swept = tokio::select! {
        swept = sweep(link, context) => swept,
        () = context.stop.cancelled() => return,
        () = until_moved(link, context) => return,
    };
    if let Err(error) = swept {
        tracing::warn!(%error, organization = link.name, "the sweep could not be finished and concludes nothing");
    }
}

async fn until_moved(link: &Link, context: &SharedContext) {
    while context.links.get(&link.name).is_some_and(|now| Arc::ptr_eq(&now.facts, &link.facts)) {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Lists and compares.
///
/// # Errors
/// Those of the listing; nothing is concluded then.
async fn sweep(link: &Arc<Link>, context: &SharedContext) -> Result<(), Error> {
    let Some(client) = link.client.as_ref().filter(|_| link.closed.is_none()) else { return Ok(()) };
    let began = context.clock.now();
    let filter = GrantFilter { is_expired: Some(false), ..GrantFilter::default() };
    let grants = client.grants_paced(&filter, SHARE).await?;
    let objects = context.stores.grants.state();
    let own = objects.iter().filter(|object| object.spec.organization_ref.name == link.name).map(AsRef::as_ref);
    let margin = context.settings.timing.margin();
    let report = compare(&grants, own, &context.cluster, (began, context.clock.now(), margin));
    tell(link, context, &report);
    let before = link.facts.known().sweep;
    link.facts.learn(|known| known.sweep = Some(report.clone()));
    announce(link, context, before.as_ref(), &report);
    context.triggers.organizations.pull();
    Ok(())
}

/// Events about what somebody should look at, once a change.
fn announce(link: &Link, context: &SharedContext, before: Option<&SweepReport>, after: &SweepReport) {
    let Some(object) = context.stores.organizations.get(&ObjectRef::new(&link.name)) else { return };
    // After a restart the status still says what was told.
    let told = object.status.as_ref().and_then(|status| status.grants.as_ref()).map(|counts| counts.residual);
    let residual = before.map(|before| before.counts.residual).or(told).unwrap_or_default();
    for announcement in news(before, residual, after) {
        context.announce(&*object, announcement);
    }
}

/// What is new since the last sweep. Pure.
fn news(before: Option<&SweepReport>, residual_before: u32, after: &SweepReport) -> Vec<Announcement> {
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
    if after.counts.residual > residual_before {
        let message = format!(
            "{} grants of this cluster are live at Amigo without an object and end by themselves; by their tags: {}",
            after.counts.residual,
            some_of(&after.residual)
        );
        news.push(Announcement { reason: reasons::RESIDUAL, message, warning: true });
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

fn tell(link: &Link, context: &SharedContext, report: &SweepReport) {
    let SweepReport { counts, duplicates, residual, over_granted, overdue, unlisted, retagged, at: _ } = report;
    let violations =
        [(*overdue, Assumption::EndsGrants), (*unlisted, Assumption::ListsSoon), (*retagged, Assumption::KeepsTags)];
    for (_, assumption) in violations.into_iter().filter(|(count, _)| *count > 0) {
        context.metrics.assumption_violated(assumption);
    }
    tracing::info!(
        organization = link.name, managed = counts.managed, residual = counts.residual, unmanaged = counts.unmanaged,
        duplicates = ?duplicates, over_granted = ?over_granted, residual_of = ?residual, overdue, unlisted, retagged,
        "swept the live grants"
    );
}

/// Who explains which grant. Pure.
fn compare<'a>(
    grants: &[RemoteGrant],
    objects: impl Iterator<Item = &'a TemporaryPermissionGrant>,
    cluster: &str,
    (began, ended, margin): (Timestamp, Timestamp, SignedDuration),
) -> SweepReport {
    let by_uid: BTreeMap<String, &TemporaryPermissionGrant> =
        objects.map(|object| (condensed(&object.uid().unwrap_or_default()), object)).collect();
    let mut report = SweepReport { at: ended, ..SweepReport::default() };
    let mut slots = BTreeSet::new();
    for grant in grants {
        let is_overdue = grant.expires_at.saturating_add(margin).is_ok_and(|end| end < began);
        // A long listing outlives some of what it lists, and their objects with it.
        if grant.expires_at <= ended && !is_overdue {
            continue;
        }
        report.counts.active += 1;
        report.overdue += u32::from(is_overdue);
        if tag(grant, MANAGED_BY) != MANAGED_BY_VALUE || tag(grant, CLUSTER) != cluster {
            report.counts.unmanaged += 1;
            continue;
        }
        let Some(object) = by_uid.get(tag(grant, UID)) else {
            report.counts.residual += 1;
            report.residual.insert(format!("{}/{}", tag(grant, "k8s_namespace"), tag(grant, "k8s_name")));
            continue;
        };
        report.counts.managed += 1;
        let name = format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any());
        if !slots.insert((tag(grant, UID), tag(grant, "slot"))) {
            report.duplicates.insert(name.clone());
        }
        let deadline = object.status.as_ref().and_then(|status| status.deadline);
        if deadline.and_then(|end| end.checked_add(margin).ok()).is_some_and(|end| grant.expires_at > end) {
            report.over_granted.insert(name);
        }
    }
    find_unlisted(grants, &by_uid, (began, margin), &mut report);
    report
}

fn find_unlisted(
    grants: &[RemoteGrant],
    by_uid: &BTreeMap<String, &TemporaryPermissionGrant>,
    (began, margin): (Timestamp, SignedDuration),
    report: &mut SweepReport,
) {
    let listed: BTreeMap<&str, &str> = grants.iter().map(|grant| (grant.id.as_str(), tag(grant, UID))).collect();
    for (uid, object) in by_uid {
        let issued = object.status.iter().flat_map(|status| &status.grants);
        // What began or ended around the listing may rightly be missing from it.
        let settled = |grant: &&crate::crd::IssuedGrant| {
            grant.issued_at.saturating_add(margin).is_ok_and(|since| since < began)
                && began.saturating_add(margin).is_ok_and(|until| until < grant.expires_at)
        };
        for grant in issued.filter(settled) {
            match listed.get(grant.id.as_str()) {
                None => report.unlisted += 1,
                Some(tagged) if tagged != uid => report.retagged += 1,
                Some(_) => {}
            }
        }
    }
}

fn tag<'a>(grant: &'a RemoteGrant, key: &str) -> &'a str {
    grant.tags.get(key).and_then(|value| value.as_deref()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(duplicates: &[&str], over_granted: &[&str], residual: &[&str]) -> SweepReport {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let counts = GrantCounts { residual: u32::try_from(residual.len()).unwrap(), ..GrantCounts::default() };
        let (duplicates, over_granted, residual) = (set(duplicates), set(over_granted), set(residual));
        SweepReport { counts, duplicates, residual, over_granted, ..SweepReport::default() }
    }

    fn told(before: Option<&SweepReport>, after: &SweepReport) -> Vec<&'static str> {
        let residual = before.map_or(0, |before| before.counts.residual);
        news(before, residual, after).into_iter().map(|announcement| announcement.reason).collect()
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
    fn residual_grants_are_told_when_their_number_rises() {
        let (one, two) = (report(&[], &[], &["a/b"]), report(&[], &[], &["a/b", "c/d"]));
        assert_eq!(told(None, &one), [reasons::RESIDUAL]);
        assert_eq!(told(Some(&one), &two), [reasons::RESIDUAL]);
        assert!(told(Some(&two), &one).is_empty());
        assert!(news(None, 2, &two).is_empty(), "a restart tells nothing twice");
    }

    #[test]
    fn an_event_names_no_more_objects_than_one_reads() {
        let names: BTreeSet<_> = (10..25).map(|number| format!("ns/{number}")).collect();
        assert!(some_of(&names).ends_with("ns/19 and 5 more"), "{}", some_of(&names));
    }

    #[test]
    fn what_ended_while_it_was_listed_is_nobodys() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let tags = [(MANAGED_BY, MANAGED_BY_VALUE), (CLUSTER, "cluster"), (UID, "uid")];
        let grant = |expires_at: &str| RemoteGrant {
            id: expires_at.to_owned(),
            user_id: "user".to_owned(),
            permission_name: "Conversation:GetMessage".to_owned(),
            conditions: None,
            expires_at: at(expires_at),
            created_at: None,
            creator: "operator".to_owned(),
            tags: tags.map(|(key, value)| (key.to_owned(), Some(value.to_owned()))).into(),
            justification: String::new(),
        };
        let grants = [grant("2026-01-01T09:00:00Z"), grant("2026-01-01T11:00:00Z"), grant("2026-01-01T13:00:00Z")];
        let times = (at("2026-01-01T10:00:00Z"), at("2026-01-01T12:00:00Z"), SignedDuration::from_secs(60));
        let report = compare(&grants, std::iter::empty(), "cluster", times);
        assert_eq!((report.counts.active, report.counts.residual, report.overdue), (2, 2, 1));
    }
}
