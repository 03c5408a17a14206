//! What a soak must not leave: the violations, as sentences.

use std::collections::{BTreeMap, BTreeSet};

use amigo_api::{Phase, TemporaryPermissionGrantStatus};
use amigo_lifecycle::grant::final_reason;
use amigo_sandbox::{Change, Commit, GrantCreated};
use jiff::{SignedDuration, Timestamp};
use test_support::operator::TIMING;

use super::schedule::Request;

/// A record at Amigo.
struct Record<'a> {
    at: Timestamp,
    grant: &'a GrantCreated,
}

/// What was last seen of an object, by name.
pub type Seen = BTreeMap<String, TemporaryPermissionGrantStatus>;

/// S1, S2 and S6 in the journal, and that each request was served or its failure named.
pub fn violations(journal: &[Commit], seen: &Seen, requests: &BTreeMap<String, (Request, bool)>) -> Vec<String> {
    let mut slots: BTreeMap<(String, String), Vec<Record>> = BTreeMap::new();
    for commit in journal {
        if let Change::GrantCreated(grant) = &commit.change {
            let record = Record { at: commit.at, grant };
            slots.entry((tag(grant, "k8s_name").replace('_', "-"), tag(grant, "slot"))).or_default().push(record);
        }
    }
    let ids: BTreeSet<&str> = slots.values().flatten().map(|record| record.grant.id.as_str()).collect();
    let mut violations: Vec<String> =
        slots.iter().flat_map(|((name, slot), records)| twice(name, slot, records)).collect();
    for (name, (request, deleted)) in requests {
        let status = seen.get(name).cloned().unwrap_or_default();
        let records = slots.iter().filter(|((one, _), _)| one == name).flat_map(|(_, records)| records);
        violations.extend(records.filter_map(|record| too_long(name, *request, &status, record)));
        let unknown = status.grants.iter().filter(|grant| !ids.contains(grant.id.as_str()));
        violations.extend(unknown.map(|grant| format!("{name}: Amigo has no record {grant:?}")));
        let filled = slots.keys().filter(|(one, slot)| one == name && slot.ends_with("_0")).count();
        let named = status.phase == Some(Phase::Failed) || final_reason(&status).is_some();
        if filled < request.permissions && !named && !deleted {
            violations.push(format!("{name} has {filled} of {} permissions: {status:?}", request.permissions));
        }
    }
    violations
}

/// S1: two records of one slot live at a time.
fn twice(name: &str, slot: &str, records: &[Record]) -> Vec<String> {
    let pairs = records.windows(2).filter(|pair| pair[1].at < pair[0].grant.expires_at);
    pairs.map(|pair| format!("{name}: slot {slot} is live twice: {:?}, {:?}", pair[0].grant, pair[1].grant)).collect()
}

/// S2: a record ends later than activation, duration and margins allow. An object that nobody saw activated was deleted
/// early.
fn too_long(name: &str, request: Request, status: &TemporaryPermissionGrantStatus, record: &Record) -> Option<String> {
    let margin = SignedDuration::try_from(TIMING.send_window + TIMING.commit).expect("short");
    let latest = status.activated_at? + SignedDuration::from_secs(request.seconds.into()) + margin;
    (record.grant.expires_at > latest).then(|| format!("{name}: ends after {latest}: {:?}", record.grant))
}

fn tag(grant: &GrantCreated, name: &str) -> String {
    grant.tags.get(name).cloned().flatten().unwrap_or_default()
}
