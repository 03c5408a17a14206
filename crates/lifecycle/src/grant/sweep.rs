//! Who explains which live grant, and which of the protocol's assumptions a listing contradicts. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use amigo_api::{GrantCounts, IssuedGrant, TemporaryPermissionGrant};
use amigo_client::RemoteGrant;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;

use super::{CLUSTER, MANAGED_BY, MANAGED_BY_VALUE, Timing, UID, assumptions::committed_late, condensed};

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
    pub orphaned: BTreeSet<String>,
    /// Live records that end later than their object's deadline allows: `namespace/name`.
    pub over_granted: BTreeSet<String>,
    /// Live by the listing, although they had ended before it began.
    pub overdue: u32,
    /// Made later than their attempt could still take effect.
    pub late: u32,
    /// Known from an object's status, live from the listing's beginning to its end, and not in it.
    pub unlisted: u32,
    /// Known from an object's status and listed under other tags.
    pub retagged: u32,
}

/// Whose grants were listed, and when.
///
/// Each page shows what is live when it is read, and of thousands of grants the last one is read hours after the first.
/// So what had ended before the first page was wrongly listed, and only what was made before the first page and lives on
/// after the last was wrongly left out.
pub struct Listing<'a> {
    /// The Organization's name.
    pub name: &'a str,
    /// The organization's id at Amigo.
    pub organization: &'a str,
    /// The cluster's identity.
    pub cluster: &'a str,
    /// When the first page was asked for.
    pub began: Timestamp,
    /// When the last page was there.
    pub ended: Timestamp,
    /// The protocol's times.
    pub timing: Timing,
}

impl Listing<'_> {
    /// Compares what was listed with all objects of the cluster.
    #[must_use]
    pub fn compare(&self, grants: &[RemoteGrant], objects: &[Arc<TemporaryPermissionGrant>]) -> SweepReport {
        let by_uid: BTreeMap<String, &TemporaryPermissionGrant> =
            objects.iter().map(|object| (condensed(&object.uid().unwrap_or_default()), &**object)).collect();
        let mut report = SweepReport { at: self.ended, ..SweepReport::default() };
        let mut slots = BTreeSet::new();
        for grant in grants {
            let is_overdue = self.is_overdue(grant);
            // A long listing outlives some of what it lists, and their objects with it.
            if grant.expires_at <= self.ended && !is_overdue {
                continue;
            }
            report.counts.active += 1;
            report.overdue += u32::from(is_overdue);
            if grant.tag(MANAGED_BY) != MANAGED_BY_VALUE || grant.tag(CLUSTER) != self.cluster {
                report.counts.unmanaged += 1;
                continue;
            }
            // Of whatever Organization: two objects may have named one organization one after the other.
            let Some(object) = by_uid.get(grant.tag(UID)) else {
                report.counts.orphaned += 1;
                report.orphaned.insert(format!("{}/{}", grant.tag("k8s_namespace"), grant.tag("k8s_name")));
                continue;
            };
            report.counts.managed += 1;
            let is_second = !slots.insert((grant.tag(UID), grant.tag("slot")));
            self.hold_against(object, grant, is_second, &mut report);
        }
        self.find_unlisted(grants, &by_uid, &mut report);
        report
    }

    fn is_overdue(&self, grant: &RemoteGrant) -> bool {
        grant.expires_at.checked_add(self.timing.margin()).is_ok_and(|end| end < self.began)
    }

    fn hold_against(
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

    fn find_unlisted(
        &self,
        grants: &[RemoteGrant],
        by_uid: &BTreeMap<String, &TemporaryPermissionGrant>,
        report: &mut SweepReport,
    ) {
        let listed: BTreeMap<&str, &str> = grants.iter().map(|grant| (grant.id.as_str(), grant.tag(UID))).collect();
        for (uid, object) in by_uid.iter().filter(|(_, object)| self.was_asked_by(object)) {
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

    /// What was asked of another organization is not listed by this one.
    fn was_asked_by(&self, object: &TemporaryPermissionGrant) -> bool {
        let asked = object.status.as_ref().and_then(|status| status.organization.as_deref());
        object.spec.organization_ref.name == self.name && asked.is_none_or(|asked| asked == self.organization)
    }

    fn must_be_listed(&self, grant: &IssuedGrant) -> bool {
        let margin = self.timing.margin();
        let list_lag = SignedDuration::try_from(self.timing.list_lag).unwrap_or(SignedDuration::MAX);
        let shown = grant.issued_at.saturating_add(margin).and_then(|made| made.saturating_add(list_lag));
        let lasted = self.ended.saturating_add(margin);
        shown.is_ok_and(|shown| shown < self.began) && lasted.is_ok_and(|lasted| lasted < grant.expires_at)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// One request with one record, and a listing from ten to twelve o'clock.
    struct World {
        grants: Vec<RemoteGrant>,
        objects: Vec<TemporaryPermissionGrant>,
    }

    fn at(time: &str) -> Timestamp {
        format!("2026-01-01T{time}:00Z").parse().unwrap()
    }

    /// A request that was issued at nine, until one o'clock.
    fn issued() -> World {
        World { grants: vec![record("record", "0a")], objects: vec![request("0a", "record")] }
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
            "spec": {"organizationRef": {"name": "acme"}, "user": {"userId": "ann"}, "justification": "a test asks"},
            "status": {
                "organization": "acme-at-amigo", "activatedAt": at("09:00"), "deadline": at("13:00"),
                "grants": [{"permissionName": "A:B", "id": record, "issuedAt": at("09:00"), "expiresAt": at("13:00")}],
            },
        });
        serde_json::from_value(object).unwrap()
    }

    impl World {
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

        /// At Amigo and in the status.
        fn ending(mut self, time: &str) -> Self {
            self.grants[0].expires_at = at(time);
            self.objects.iter_mut().for_each(|object| first(object).expires_at = at(time));
            self
        }

        fn issued_since(mut self, time: &str) -> Self {
            self.objects.iter_mut().for_each(|object| first(object).issued_at = at(time));
            self
        }

        fn of(mut self, name: &str, organization: &str) -> Self {
            self.objects[0].spec.organization_ref.name = name.to_owned();
            self.objects[0].status.as_mut().unwrap().organization = Some(organization.to_owned());
            self
        }

        fn swept(self) -> SweepReport {
            let objects: Vec<_> = self.objects.into_iter().map(Arc::new).collect();
            let (name, organization, cluster, timing) = ("acme", "acme-at-amigo", "cluster", Timing::default());
            let (began, ended) = (at("10:00"), at("12:00"));
            Listing { name, organization, cluster, began, ended, timing }.compare(&self.grants, &objects)
        }

        /// Active, managed, orphaned, unmanaged.
        fn counted(self) -> [u32; 4] {
            let GrantCounts { active, managed, orphaned, unmanaged } = self.swept().counts;
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
    fn what_was_issued_as_asked_is_managed_and_nothing_else() {
        let counts = GrantCounts { active: 1, managed: 1, ..GrantCounts::default() };
        assert_eq!(issued().swept(), SweepReport { at: at("12:00"), counts, ..SweepReport::default() });
    }

    #[test]
    fn a_second_record_of_one_slot_is_a_duplicate_and_one_of_the_next_lease_is_not() {
        let second = record("second", "0a");
        let mut next_lease = second.clone();
        next_lease.tags.insert("slot".to_owned(), Some("0_1".to_owned()));
        assert_eq!(issued().with(second).swept().duplicates, names(&["team/request"]));
        assert_eq!(issued().with(next_lease).swept().duplicates, names(&[]));
    }

    #[test]
    fn what_ends_after_its_objects_deadline_and_the_margin_is_over_granted() {
        assert_eq!(issued().ending("13:01").swept().over_granted, names(&[]));
        assert_eq!(issued().ending("13:02").swept().over_granted, names(&["team/request"]));
    }

    #[test]
    fn what_is_live_and_not_listed_is_unlisted() {
        assert_eq!(issued().without_records().swept().unlisted, 1);
        assert_eq!(issued().swept().unlisted, 0);
    }

    #[test]
    fn what_began_or_ended_while_it_was_listed_may_be_missing() {
        for end in ["10:30", "11:59", "12:01"] {
            assert_eq!(issued().ending(end).without_records().swept().unlisted, 0, "{end}");
        }
        for begin in ["09:59", "10:30", "12:00"] {
            assert_eq!(issued().issued_since(begin).without_records().swept().unlisted, 0, "{begin}");
        }
    }

    #[test]
    fn what_was_asked_of_another_organization_is_not_missed_here() {
        assert_eq!(issued().of("another", "another-at-amigo").without_records().swept().unlisted, 0);
        assert_eq!(issued().of("acme", "another-at-amigo").without_records().swept().unlisted, 0);
    }

    #[test]
    fn what_comes_back_with_another_uid_is_retagged() {
        let swept = issued().tagged(UID, "0b").swept();
        assert_eq!((swept.retagged, swept.unlisted, swept.counts.orphaned), (1, 0, 1));
    }

    #[test]
    fn a_record_of_ours_without_an_object_is_residual() {
        assert_eq!(issued().without_objects().counted(), [1, 0, 1, 0]);
        assert_eq!(issued().without_objects().swept().orphaned, names(&["team/gone"]));
    }

    #[test]
    fn an_object_of_any_organization_explains_its_records() {
        assert_eq!(issued().of("older", "acme-at-amigo").counted(), [1, 1, 0, 0]);
    }

    #[test]
    fn what_is_of_another_cluster_or_program_is_unmanaged() {
        assert_eq!(issued().tagged(CLUSTER, "another").counted(), [1, 0, 0, 1]);
        assert_eq!(issued().tagged(MANAGED_BY, "somebody").counted(), [1, 0, 0, 1]);
    }

    #[test]
    fn what_was_made_long_after_its_attempt_is_late() {
        let mut late = issued().tagged("attempt", "1");
        late.grants[0].created_at = Some(at("09:02"));
        assert_eq!((late.swept().late, issued().swept().late), (1, 0));
    }

    #[test]
    fn what_ended_while_it_was_listed_is_nobodys_and_what_had_ended_before_is_overdue() {
        for (end, active, overdue) in [("11:00", 0, 0), ("09:59", 0, 0), ("09:58", 1, 1), ("12:30", 1, 0)] {
            let swept = issued().without_objects().ending(end).swept();
            assert_eq!((swept.counts.active, swept.counts.orphaned, swept.overdue), (active, active, overdue), "{end}");
        }
    }
}
