//! Checks of the protocol's assumptions against what this process observes.

use amigo_api::{TemporaryPermissionGrant, TemporaryPermissionGrantStatus};
use amigo_client::RemoteGrant;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;

use crate::grant::Timing;

/// A1: whether Amigo created a record after its request could no longer take effect, by the record's creation time.
/// Returns `false` if the start of the record's attempt is unknown.
#[must_use]
pub fn committed_late(status: &TemporaryPermissionGrantStatus, grant: &RemoteGrant, timing: &Timing) -> bool {
    let latest = latest_commit(status, grant, timing);
    grant.created_at.zip(latest).is_some_and(|(created_at, latest)| created_at > latest)
}

fn latest_commit(status: &TemporaryPermissionGrantStatus, grant: &RemoteGrant, timing: &Timing) -> Option<Timestamp> {
    let attempt: u32 = grant.tag("attempt").parse().ok()?;
    let issued = status.grants.iter().find(|issued| issued.id == grant.id);
    let (since, within) = match (&status.intent, issued) {
        (Some(intent), _) if intent.nonce == grant.tag("nonce") => (intent.opened_at, timing.margin()),
        // An attempt starts only when all earlier ones have taken effect or never will.
        (Some(intent), _) if attempt < intent.attempt => (intent.opened_at, SignedDuration::ZERO),
        (_, Some(issued)) => (issued.issued_at, timing.margin()),
        _ if attempt == 1 => (status.activated_at?, timing.margin()),
        _ => return None,
    };
    // The server's clock may be ahead by one tick.
    let skew = SignedDuration::try_from(timing.tick).unwrap_or(SignedDuration::MAX);
    since.checked_add(within).and_then(|latest| latest.checked_add(skew)).ok()
}

/// A3: whether a read from the store returned an older version of the object than this process has already seen.
///
/// Fewer attempts in a newer version do not count: any client with access to the status can write that.
#[must_use]
pub fn is_stale_read(seen: &TemporaryPermissionGrant, read: &TemporaryPermissionGrant) -> bool {
    let version = |object: &TemporaryPermissionGrant| object.resource_version()?.parse::<u64>().ok();
    seen.uid() == read.uid() && version(seen).zip(version(read)).is_some_and(|(seen, read)| read < seen)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOON: &str = "2026-01-01T12:00:00Z";

    fn after_noon(seconds: i64) -> Timestamp {
        NOON.parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
    }

    /// A record of an attempt, created so many seconds after noon.
    fn record(attempt: u32, made: i64) -> RemoteGrant {
        let tags = [("attempt", attempt.to_string()), ("nonce", format!("nonce-{attempt}"))];
        RemoteGrant {
            id: format!("record-{attempt}"),
            created_at: Some(after_noon(made)),
            tags: tags.map(|(key, value)| (key.to_owned(), Some(value))).into(),
            ..RemoteGrant::default()
        }
    }

    /// Activated at noon; the intent of attempt `open` is open since ten minutes past.
    fn status(open: Option<u32>, issued: &[u32]) -> TemporaryPermissionGrantStatus {
        let intent = open.map(|attempt| {
            json!({"attempt": attempt, "nonce": format!("nonce-{attempt}"), "holder": "me", "duration": "PT2H", "slots": [0],
                   "openedAt": after_noon(600)})
        });
        let issued: Vec<_> = issued
            .iter()
            .map(|attempt| {
                json!({"permissionName": "A:B", "id": format!("record-{attempt}"), "issuedAt": after_noon(600),
                   "expiresAt": after_noon(7_200)})
            })
            .collect();
        serde_json::from_value(json!({"activatedAt": NOON, "intent": intent, "grants": issued})).unwrap()
    }

    fn late(status: &TemporaryPermissionGrantStatus, record: &RemoteGrant) -> bool {
        committed_late(status, record, &Timing::default())
    }

    #[test]
    fn a1_open_attempt_commits_late_after_margin_and_skew() {
        let open = status(Some(2), &[]);
        assert!(!late(&open, &record(2, 600 + 5 + 60 + 10)));
        assert!(late(&open, &record(2, 600 + 5 + 60 + 11)));
    }

    #[test]
    fn a1_closed_attempt_commits_late_once_next_opens() {
        assert!(!late(&status(Some(2), &[]), &record(1, 599)));
        assert!(late(&status(Some(2), &[]), &record(1, 611)));
        assert!(late(&status(None, &[2]), &record(1, 611)), "the first attempt starts at activation");
    }

    #[test]
    fn a1_attempts_without_a_known_start_are_not_late() {
        assert!(!late(&status(None, &[3]), &record(2, 6_000)));
        assert!(!late(&status(None, &[2]), &record(2, 601)));
        assert!(!late(&status(Some(2), &[]), &RemoteGrant { created_at: None, ..record(2, 0) }));
        assert!(!late(&status(Some(2), &[]), &RemoteGrant { tags: [].into(), ..record(2, 6_000) }));
    }

    fn version(uid: &str, version: &str) -> TemporaryPermissionGrant {
        let spec =
            json!({"organizationRef": {"name": "acme"}, "user": {"userId": "ann"}, "justification": "a test request"});
        let metadata: Value = json!({"name": "one", "uid": uid, "resourceVersion": version});
        serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
    }

    #[test]
    fn a3_reads_older_than_seen_are_stale() {
        assert!(is_stale_read(&version("a", "10"), &version("a", "9")));
        for fine in [version("a", "10"), version("a", "11"), version("b", "9"), version("a", "opaque")] {
            assert!(!is_stale_read(&version("a", "10"), &fine));
        }
    }
}
