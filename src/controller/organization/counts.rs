//! The number of live grants that the objects show, between two sweeps.

use std::collections::BTreeMap;

use amigo_api::{GrantCounts, TemporaryPermissionGrant};
use jiff::Timestamp;
use kube::ResourceExt as _;

use crate::controller::context::Context;

/// Reconciles the Organizations whose status shows another number of managed grants than the objects.
pub fn recount(context: &Context) {
    let issued = issued(context);
    for organization in context.stores.organizations.state() {
        let name = organization.name_any();
        let counts = organization.status.as_ref().and_then(|status| status.grants);
        let shown = counts.map_or(0, |counts| counts.managed);
        if shown != issued.get(&name).copied().unwrap_or_default() {
            context.triggers.organizations.pull(&name);
        }
    }
}

/// The counts with the managed grants as they are now. The others are those of the last sweep.
pub fn current(counts: Option<GrantCounts>, name: &str, context: &Context) -> Option<GrantCounts> {
    let managed = issued(context).get(name).copied().unwrap_or_default();
    if counts.is_none() && managed == 0 {
        return None;
    }
    let counts = GrantCounts { managed, ..counts.unwrap_or_default() };
    Some(GrantCounts { active: managed.saturating_add(counts.orphaned).saturating_add(counts.unmanaged), ..counts })
}

fn issued(context: &Context) -> BTreeMap<String, u32> {
    let objects = context.stores.grants.state();
    let now = |name: &str| context.amigo_time(context.connections.get(name).as_deref());
    count(objects.iter().map(AsRef::as_ref), now)
}

/// The live records of all objects, by Organization.
fn count<'a>(
    objects: impl Iterator<Item = &'a TemporaryPermissionGrant>,
    now: impl Fn(&str) -> Timestamp,
) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for object in objects.filter(|object| object.status.as_ref().is_some_and(|status| !status.grants.is_empty())) {
        let now = now(&object.spec.organization_ref.name);
        let records = object.status.iter().flat_map(|status| &status.grants);
        let live = records.filter(|record| record.expires_at > now).count();
        if live > 0 {
            *counts.entry(object.spec.organization_ref.name.clone()).or_default() +=
                u32::try_from(live).unwrap_or(u32::MAX);
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn live_records_count_for_their_organization() {
        let record = |end: &str| json!({"permissionName": "A:B", "id": end, "issuedAt": "2026-01-01T00:00:00Z", "expiresAt": end});
        let object = |organization: &str, ends: &[&str]| -> TemporaryPermissionGrant {
            let records: Vec<_> = ends.iter().map(|end| record(end)).collect();
            let spec = json!({
                "organizationRef": {"name": organization}, "user": {"userId": "ann"}, "justification": "a test request",
            });
            serde_json::from_value(json!({"metadata": {"name": "one"}, "spec": spec, "status": {"grants": records}}))
                .unwrap()
        };
        let (past, future) = ("2026-01-01T01:00:00Z", "2026-01-01T03:00:00Z");
        let objects = [object("acme", &[past, future]), object("acme", &[future]), object("other", &[past])];
        let counts = count(objects.iter(), |_| "2026-01-01T02:00:00Z".parse().unwrap());
        assert_eq!(counts, [("acme".to_owned(), 2)].into());
    }
}
