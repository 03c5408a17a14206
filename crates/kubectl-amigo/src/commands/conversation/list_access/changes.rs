//! Changes of a list over time: pure.

use std::collections::{BTreeMap, BTreeSet};

use amigo_api::TemporaryPermissionGrant;
use jiff::Timestamp;
use kube::ResourceExt as _;

use super::{
    rows::{Row, Selection, hint, rows_of, sort},
    table::State,
};

/// A request's namespace and name.
type Key = (String, String);

/// What was printed so far, to find what changed.
pub struct Changes {
    selection: Selection,
    /// Rows that no request explains; they expire on their own.
    remote: Vec<Row>,
    /// The last printed row and state of each grant.
    printed: BTreeMap<String, (Row, State)>,
    hinted: BTreeMap<Key, String>,
}

impl Changes {
    pub fn new(selection: Selection) -> Self {
        Self { selection, remote: Vec::new(), printed: BTreeMap::new(), hinted: BTreeMap::new() }
    }

    pub fn add_remote(&mut self, rows: Vec<Row>) {
        self.remote.extend(rows);
    }

    /// The rows that are new or differ from those printed, given all requests.
    pub fn next(&mut self, objects: &[TemporaryPermissionGrant], now: Timestamp) -> Vec<(Row, State)> {
        let mut rows: Vec<Row> = self.selection.select(objects).into_iter().flat_map(rows_of).collect();
        let explained: BTreeSet<String> = rows.iter().map(|row| row.grant_id.clone()).collect();
        rows.extend(self.remote.iter().filter(|row| !explained.contains(&row.grant_id)).cloned());
        let listed: BTreeSet<String> = rows.iter().map(|row| row.grant_id.clone()).collect();
        let with_state = |row: Row| {
            let state = State::new(&row, now);
            (row, state)
        };
        let mut current: Vec<(Row, State)> = rows.into_iter().map(with_state).collect();
        let present: BTreeSet<Key> = objects.iter().map(key).collect();
        let missing = self.printed.values().filter(|(row, _)| !listed.contains(&row.grant_id));
        current.extend(missing.map(|(row, _)| (row.clone(), state_of_missing(row, &present, now))));
        current.retain(|(row, state)| match self.printed.get(&row.grant_id) {
            Some((before, was)) => (before.expires, *was) != (row.expires, *state),
            None => self.selection.expired || *state != State::Expired,
        });
        self.printed.extend(current.iter().map(|(row, state)| (row.grant_id.clone(), (row.clone(), *state))));
        in_order(current, now)
    }

    /// The hints about requests that are new or changed.
    pub fn next_hints(&mut self, objects: &[TemporaryPermissionGrant]) -> Vec<String> {
        let selected = self.selection.select(objects).into_iter();
        let hints: BTreeMap<Key, String> = selected.filter_map(|object| Some((key(object), hint(object)?))).collect();
        let new = hints.iter().filter(|(key, hint)| self.hinted.get(*key) != Some(*hint));
        let new = new.map(|(_, hint)| hint.clone()).collect();
        self.hinted = hints;
        new
    }

    /// When the next row expires.
    pub fn next_end(&self, now: Timestamp) -> Option<Timestamp> {
        let ends = self.printed.values().filter(|(_, state)| *state != State::Expired).map(|(row, _)| row.expires);
        ends.min().map(|end| end.max(now))
    }
}

/// A request's namespace and name.
pub fn key(object: &TemporaryPermissionGrant) -> Key {
    (object.namespace().unwrap_or_default(), object.name_any())
}

fn state_of_missing(row: &Row, present: &BTreeSet<Key>, now: Timestamp) -> State {
    let key = (row.namespace.clone().unwrap_or_default(), row.name.clone().unwrap_or_default());
    match State::new(row, now) {
        State::Live if present.contains(&key) => State::Renewed,
        State::Live => State::Deleted,
        expired => expired,
    }
}

fn in_order(changes: Vec<(Row, State)>, now: Timestamp) -> Vec<(Row, State)> {
    let states: BTreeMap<String, State> = changes.iter().map(|(row, state)| (row.grant_id.clone(), *state)).collect();
    let mut rows: Vec<Row> = changes.into_iter().map(|(row, _)| row).collect();
    sort(&mut rows, now);
    let with_state = |row: Row| {
        let state = states[&row.grant_id];
        (row, state)
    };
    rows.into_iter().map(with_state).collect()
}

#[cfg(test)]
mod tests {
    use amigo_api::{
        Phase,
        conditions::ConditionStatus,
        reasons::{self, condition},
    };

    use super::{super::rows::Origin, *};
    use crate::fixtures::{at, issued, request, set_condition};

    fn changes(expired: bool) -> Changes {
        Changes::new(Selection { organization: "acme".to_owned(), email: None, expired })
    }

    fn live(ends: i64) -> [TemporaryPermissionGrant; 1] {
        [request("one", |status| status.grants = vec![issued(0, ends)])]
    }

    fn next(changes: &mut Changes, objects: &[TemporaryPermissionGrant], now: i64) -> Vec<(String, State)> {
        changes.next(objects, at(now)).into_iter().map(|(row, state)| (row.grant_id, state)).collect()
    }

    fn grant(ends: i64, state: State) -> (String, State) {
        (format!("grant-0-{ends}"), state)
    }

    #[test]
    fn unchanged_row_is_printed_once() {
        let mut changes = changes(false);
        assert_eq!(next(&mut changes, &live(2000), 1000), [grant(2000, State::Live)]);
        assert_eq!(changes.next_end(at(1000)), Some(at(2000)));
        assert_eq!(next(&mut changes, &live(2000), 1500), []);
    }

    #[test]
    fn row_expires_by_the_clock_after_its_request_is_gone() {
        let mut changes = changes(false);
        next(&mut changes, &live(2000), 1000);
        assert_eq!(next(&mut changes, &[], 2000), [grant(2000, State::Expired)]);
        assert_eq!((next(&mut changes, &[], 2001), changes.next_end(at(2001))), (vec![], None));
    }

    #[test]
    fn access_of_a_deleted_request_lasts_to_its_end() {
        let mut changes = changes(false);
        next(&mut changes, &live(2000), 1000);
        assert_eq!(next(&mut changes, &[], 1500), [grant(2000, State::Deleted)]);
        assert_eq!(next(&mut changes, &[], 2000), [grant(2000, State::Expired)]);
    }

    #[test]
    fn replaced_grant_is_renewed() {
        let mut changes = changes(false);
        next(&mut changes, &live(2000), 1000);
        let mut found = next(&mut changes, &live(3000), 1500);
        found.sort_by(|one, other| one.0.cmp(&other.0));
        assert_eq!(found, [grant(2000, State::Renewed), grant(3000, State::Live)]);
    }

    #[test]
    fn expired_rows_are_printed_with_show_expired_only() {
        for (expired, count) in [(false, 0), (true, 1)] {
            assert_eq!(next(&mut changes(expired), &live(900), 1000).len(), count);
        }
    }

    #[test]
    fn remote_row_is_replaced_by_its_request() {
        let mut changes = changes(false);
        let row = Row { source: Origin::Api, name: None, namespace: None, ..rows_of(&live(2000)[0]).remove(0) };
        changes.add_remote(vec![row]);
        assert_eq!(next(&mut changes, &[], 1000).len(), 1);
        assert_eq!(next(&mut changes, &live(2000), 1000), []);
    }

    #[test]
    fn hint_is_repeated_only_when_it_changes() {
        let mut changes = changes(false);
        let pending = |reason: &'static str| {
            [request("one", |status| {
                status.phase = Some(Phase::Pending);
                set_condition(status, condition::READY, ConditionStatus::False, reason, "waits");
            })]
        };
        let first = pending(reasons::PENDING);
        assert_eq!((changes.next_hints(&first).len(), changes.next_hints(&first).len()), (1, 0));
        assert_eq!(changes.next_hints(&pending(reasons::QUEUED)), ["Request one: Pending, Queued: waits."]);
        assert!(changes.next_hints(&[]).is_empty());
    }
}
