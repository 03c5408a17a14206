//! Compares the live grants of an organization with the objects of the cluster, and with the protocol's assumptions.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use amigo_api::{GrantCounts, IssuedGrant, TemporaryPermissionGrant};
use amigo_client::RemoteGrant;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;

use super::{CLUSTER, MANAGED_BY, MANAGED_BY_VALUE, Timing, UID, assumptions::committed_late, compact_uid};

/// The result of a sweep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// When the sweep ended.
    pub at: Timestamp,
    /// The number of live grants by kind.
    pub counts: GrantCounts,
    /// Objects with more than one live record of a slot, as `namespace/name`.
    pub duplicates: BTreeSet<String>,
    /// Live records of this operator without an object, as `namespace/name` from their tags.
    pub orphaned: BTreeSet<String>,
    /// Objects with a live record that ends later than the deadline allows, as `namespace/name`.
    pub over_granted: BTreeSet<String>,
    /// Records that were listed as live although they had ended before the listing began.
    pub overdue: u32,
    /// Records that were created after their attempt could no longer take effect.
    pub late: u32,
    /// Records of an object's status that were live during the whole listing, but not listed.
    pub unlisted: u32,
    /// Records of an object's status that were listed with the tags of another object.
    pub retagged: u32,
}

/// The organization and the time of a listing.
///
/// Each page shows the grants that are live when it is read, and a listing of thousands of grants can take hours. A
/// listed grant is overdue only if it had ended before the first page. A missing grant counts only if it was created
/// before the first page and ends after the last.
pub struct Listing<'a> {
    /// The name of the Organization object.
    pub name: &'a str,
    /// The organization's id at Amigo.
    pub organization: &'a str,
    /// The scheme, host and port of the organization's API.
    pub origin: &'a str,
    /// The cluster's identity.
    pub cluster: &'a str,
    /// When the first page was requested.
    pub began: Timestamp,
    /// When the last page was received.
    pub ended: Timestamp,
    /// The durations of the protocol.
    pub timing: Timing,
}

impl Listing<'_> {
    /// Compares the listed grants with all objects of the cluster.
    #[must_use]
    pub fn compare(&self, grants: &[RemoteGrant], objects: &[Arc<TemporaryPermissionGrant>]) -> SweepReport {
        let by_uid: BTreeMap<String, &TemporaryPermissionGrant> =
            objects.iter().map(|object| (compact_uid(&object.uid().unwrap_or_default()), &**object)).collect();
        let mut report = SweepReport { at: self.ended, ..SweepReport::default() };
        let mut slots = BTreeSet::new();
        for grant in grants {
            let is_overdue = self.is_overdue(grant);
            // The grant ended while the listing was read; its object may be gone as well.
            if grant.expires_at <= self.ended && !is_overdue {
                continue;
            }
            report.counts.active += 1;
            report.overdue += u32::from(is_overdue);
            if grant.tag(MANAGED_BY) != MANAGED_BY_VALUE || grant.tag(CLUSTER) != self.cluster {
                report.counts.unmanaged += 1;
                continue;
            }
            // An object of any Organization counts: two may have named the same organization one after the other.
            let Some(object) = by_uid.get(grant.tag(UID)) else {
                report.counts.orphaned += 1;
                report.orphaned.insert(format!("{}/{}", grant.tag("k8s_namespace"), grant.tag("k8s_name")));
                continue;
            };
            report.counts.managed += 1;
            let is_second = !slots.insert((grant.tag(UID), grant.tag("slot")));
            self.compare_with_object(object, grant, is_second, &mut report);
        }
        self.count_unlisted(grants, &by_uid, &mut report);
        report
    }

    fn is_overdue(&self, grant: &RemoteGrant) -> bool {
        grant.expires_at.checked_add(self.timing.margin()).is_ok_and(|end| end < self.began)
    }

    fn compare_with_object(
        &self,
        object: &TemporaryPermissionGrant,
        grant: &RemoteGrant,
        is_second: bool,
        report: &mut SweepReport,
    ) {
        let name = || format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any());
        if is_second {
            report.duplicates.insert(name());
        }
        let Some(status) = &object.status else { return };
        let latest = status.deadline.and_then(|deadline| deadline.checked_add(self.timing.margin()).ok());
        if latest.is_some_and(|latest| grant.expires_at > latest) {
            report.over_granted.insert(name());
        }
        report.late += u32::from(committed_late(status, grant, &self.timing));
    }

    fn count_unlisted(
        &self,
        grants: &[RemoteGrant],
        by_uid: &BTreeMap<String, &TemporaryPermissionGrant>,
        report: &mut SweepReport,
    ) {
        let listed: BTreeMap<&str, &str> = grants.iter().map(|grant| (grant.id.as_str(), grant.tag(UID))).collect();
        for (uid, object) in by_uid.iter().filter(|(_, object)| self.belongs_to(object)) {
            let issued = object.status.iter().flat_map(|status| &status.grants);
            for grant in issued.filter(|grant| self.must_be_listed(grant)) {
                match listed.get(grant.id.as_str()) {
                    None => report.unlisted += 1,
                    Some(tagged) if tagged != uid => report.retagged += 1,
                    Some(_) => {}
                }
            }
        }
    }

    /// Whether the object requested its grants from this organization.
    fn belongs_to(&self, object: &TemporaryPermissionGrant) -> bool {
        let status = object.status.as_ref();
        let organization = status.and_then(|status| status.organization.as_deref());
        let origin = status.and_then(|status| status.api_origin.as_deref());
        object.spec.organization_ref.name == self.name
            && organization.is_none_or(|organization| organization == self.organization)
            && origin.is_none_or(|origin| origin == self.origin)
    }

    fn must_be_listed(&self, grant: &IssuedGrant) -> bool {
        let margin = self.timing.margin();
        let list_lag = SignedDuration::try_from(self.timing.list_lag).unwrap_or(SignedDuration::MAX);
        let listed_by = grant.issued_at.saturating_add(margin).and_then(|created| created.saturating_add(list_lag));
        let ends_after = self.ended.saturating_add(margin);
        listed_by.is_ok_and(|time| time < self.began) && ends_after.is_ok_and(|time| time < grant.expires_at)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// One object with one record, and a listing from ten to twelve o'clock.
    struct Cluster {
        grants: Vec<RemoteGrant>,
        objects: Vec<TemporaryPermissionGrant>,
    }

    fn at(time: &str) -> Timestamp {
        format!("2026-01-01T{time}:00Z").parse().unwrap()
    }

    /// An object that was issued at nine, until one o'clock.
    fn issued() -> Cluster {
        Cluster { grants: vec![record("record", "0a")], objects: vec![request("0a", "record")] }
    }

    /// A live record for the object with this uid.
    fn record(id: &str, uid: &str) -> RemoteGrant {
        let tags = [
            (MANAGED_BY, MANAGED_BY_VALUE),
            (CLUSTER, "cluster"),
            (UID, uid),
            ("slot", "0_0"),
            ("attempt", "1"),
            ("k8s_namespace", "team"),
            ("k8s_name", "gone"),
        ];
        RemoteGrant {
            id: id.to_owned(),
            created_at: Some(at("09:00")),
            expires_at: at("13:00"),
            tags: tags.map(|(key, value)| (key.to_owned(), Some(value.to_owned()))).into(),
            ..RemoteGrant::default()
        }
    }

    fn request(uid: &str, record: &str) -> TemporaryPermissionGrant {
        let object = json!({
            "metadata": {"namespace": "team", "name": "request", "uid": uid},
            "spec": {"organizationRef": {"name": "acme"}, "user": {"userId": "ann"}, "justification": "a test request"},
            "status": {
                "organization": "acme-at-amigo", "activatedAt": at("09:00"), "deadline": at("13:00"),
                "grants": [{"permissionName": "A:B", "id": record, "issuedAt": at("09:00"), "expiresAt": at("13:00")}],
            },
        });
        serde_json::from_value(object).unwrap()
    }

    impl Cluster {
        fn with(mut self, grant: RemoteGrant) -> Self {
            self.grants.push(grant);
            self
        }

        fn without_records(self) -> Self {
            Self { grants: Vec::new(), ..self }
        }

        fn without_objects(self) -> Self {
            Self { objects: Vec::new(), ..self }
        }

        fn tagged(mut self, key: &str, value: &str) -> Self {
            self.grants[0].tags.insert(key.to_owned(), Some(value.to_owned()));
            self
        }

        /// Both at Amigo and in the status.
        fn ending(mut self, time: &str) -> Self {
            self.grants[0].expires_at = at(time);
            self.objects.iter_mut().for_each(|object| first(object).expires_at = at(time));
            self
        }

        fn issued_since(mut self, time: &str) -> Self {
            self.objects.iter_mut().for_each(|object| first(object).issued_at = at(time));
            self
        }

        fn in_organization(mut self, name: &str, organization: &str) -> Self {
            self.objects[0].spec.organization_ref.name = name.to_owned();
            self.objects[0].status.as_mut().unwrap().organization = Some(organization.to_owned());
            self
        }

        fn sweep(self) -> SweepReport {
            let objects: Vec<_> = self.objects.into_iter().map(Arc::new).collect();
            let (name, organization, origin) = ("acme", "acme-at-amigo", "https://api.amigo.ai");
            let (cluster, timing) = ("cluster", Timing::default());
            let (began, ended) = (at("10:00"), at("12:00"));
            Listing { name, organization, origin, cluster, began, ended, timing }.compare(&self.grants, &objects)
        }

        /// Active, managed, orphaned, unmanaged.
        fn counts(self) -> [u32; 4] {
            let GrantCounts { active, managed, orphaned, unmanaged } = self.sweep().counts;
            [active, managed, orphaned, unmanaged]
        }
    }

    fn first(object: &mut TemporaryPermissionGrant) -> &mut IssuedGrant {
        &mut object.status.as_mut().unwrap().grants[0]
    }

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn issued_grants_count_as_managed_only() {
        let counts = GrantCounts { active: 1, managed: 1, ..GrantCounts::default() };
        assert_eq!(issued().sweep(), SweepReport { at: at("12:00"), counts, ..SweepReport::default() });
    }

    #[test]
    fn second_record_of_slot_is_duplicate_unless_renewed() {
        let second = record("second", "0a");
        let mut next_lease = second.clone();
        next_lease.tags.insert("slot".to_owned(), Some("0_1".to_owned()));
        assert_eq!(issued().with(second).sweep().duplicates, names(&["team/request"]));
        assert_eq!(issued().with(next_lease).sweep().duplicates, names(&[]));
    }

    #[test]
    fn records_ending_after_deadline_are_over_granted() {
        assert_eq!(issued().ending("13:01").sweep().over_granted, names(&[]));
        assert_eq!(issued().ending("13:02").sweep().over_granted, names(&["team/request"]));
    }

    #[test]
    fn live_records_missing_from_listing_are_unlisted() {
        assert_eq!(issued().without_records().sweep().unlisted, 1);
        assert_eq!(issued().sweep().unlisted, 0);
    }

    #[test]
    fn grants_live_for_part_of_listing_may_be_missing() {
        for end in ["10:30", "11:59", "12:01"] {
            assert_eq!(issued().ending(end).without_records().sweep().unlisted, 0, "{end}");
        }
        for begin in ["09:59", "10:30", "12:00"] {
            assert_eq!(issued().issued_since(begin).without_records().sweep().unlisted, 0, "{begin}");
        }
    }

    #[test]
    fn grants_of_other_organizations_are_not_unlisted() {
        assert_eq!(issued().in_organization("another", "another-at-amigo").without_records().sweep().unlisted, 0);
        assert_eq!(issued().in_organization("acme", "another-at-amigo").without_records().sweep().unlisted, 0);
    }

    #[test]
    fn listed_records_with_other_uid_are_retagged() {
        let report = issued().tagged(UID, "0b").sweep();
        assert_eq!((report.retagged, report.unlisted, report.counts.orphaned), (1, 0, 1));
    }

    #[test]
    fn own_records_without_object_are_orphaned() {
        assert_eq!(issued().without_objects().counts(), [1, 0, 1, 0]);
        assert_eq!(issued().without_objects().sweep().orphaned, names(&["team/gone"]));
    }

    #[test]
    fn objects_of_any_organization_own_their_records() {
        assert_eq!(issued().in_organization("older", "acme-at-amigo").counts(), [1, 1, 0, 0]);
    }

    #[test]
    fn records_of_other_clusters_are_unmanaged() {
        assert_eq!(issued().tagged(CLUSTER, "another").counts(), [1, 0, 0, 1]);
        assert_eq!(issued().tagged(MANAGED_BY, "another").counts(), [1, 0, 0, 1]);
    }

    #[test]
    fn records_created_after_their_attempt_are_late() {
        let mut late = issued().tagged("attempt", "1");
        late.grants[0].created_at = Some(at("09:02"));
        assert_eq!((late.sweep().late, issued().sweep().late), (1, 0));
    }

    #[test]
    fn only_grants_ended_before_listing_are_overdue() {
        for (end, active, overdue) in [("11:00", 0, 0), ("09:59", 0, 0), ("09:58", 1, 1), ("12:30", 1, 0)] {
            let report = issued().without_objects().ending(end).sweep();
            assert_eq!(
                (report.counts.active, report.counts.orphaned, report.overdue),
                (active, active, overdue),
                "{end}"
            );
        }
    }
}
