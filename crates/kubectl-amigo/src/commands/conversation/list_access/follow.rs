//! What changes in a listing as time and requests go on: pure.

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

/// A listing that goes on.
pub struct Follow {
    selection: Selection,
    objects: BTreeMap<Key, TemporaryPermissionGrant>,
    /// What no request explains; it ends by itself.
    beyond: Vec<Row>,
    /// What was shown last of each record.
    shown: BTreeMap<String, (Row, State)>,
    hinted: BTreeMap<Key, String>,
}

impl Follow {
    /// Nothing yet.
    pub fn new(selection: Selection) -> Self {
        let (objects, shown, hinted) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { selection, objects, beyond: Vec::new(), shown, hinted }
    }

    /// A request is there, or is another now.
    pub fn see(&mut self, object: TemporaryPermissionGrant) {
        self.objects.insert(key(&object), object);
    }

    /// A request is gone.
    pub fn lose(&mut self, object: &TemporaryPermissionGrant) {
        self.objects.remove(&key(object));
    }

    /// Only these are there: a watch that broke began anew.
    pub fn keep(&mut self, present: &BTreeSet<Key>) {
        self.objects.retain(|key, _| present.contains(key));
    }

    /// Every request that is there.
    pub fn objects(&self) -> Vec<TemporaryPermissionGrant> {
        self.objects.values().cloned().collect()
    }

    /// Adds what no request explains.
    pub fn add_beyond(&mut self, rows: Vec<Row>) {
        self.beyond.extend(rows);
    }

    /// The lines that are new, or say something else than before.
    pub fn changes(&mut self, now: Timestamp) -> Vec<(Row, State)> {
        let objects = self.objects();
        let mut rows: Vec<Row> = self.selection.of(&objects).into_iter().flat_map(rows_of).collect();
        let explained: BTreeSet<String> = rows.iter().map(|row| row.grant_id.clone()).collect();
        rows.extend(self.beyond.iter().filter(|row| !explained.contains(&row.grant_id)).cloned());
        let listed: BTreeSet<String> = rows.iter().map(|row| row.grant_id.clone()).collect();
        let mut current: Vec<(Row, State)> = rows
            .into_iter()
            .map(|row| {
                let state = State::of(&row, now);
                (row, state)
            })
            .collect();
        let gone = self.shown.values().filter(|(row, _)| !listed.contains(&row.grant_id));
        current.extend(gone.map(|(row, _)| (row.clone(), self.state_of_gone(row, now))));
        current.retain(|(row, state)| match self.shown.get(&row.grant_id) {
            Some((before, was)) => (before.expires, *was) != (row.expires, *state),
            None => self.selection.expired || *state != State::Expired,
        });
        self.shown.extend(current.iter().map(|(row, state)| (row.grant_id.clone(), (row.clone(), *state))));
        in_order(current, now)
    }

    fn state_of_gone(&self, row: &Row, now: Timestamp) -> State {
        let key = (row.namespace.clone().unwrap_or_default(), row.name.clone().unwrap_or_default());
        match State::of(row, now) {
            State::Live if self.objects.contains_key(&key) => State::Renewed,
            State::Live => State::Deleted,
            over => over,
        }
    }

    /// What is new to say of requests that are not served.
    pub fn hints(&mut self) -> Vec<String> {
        let objects = self.objects();
        let present = self.selection.of(&objects);
        let told: BTreeMap<Key, String> =
            present.into_iter().filter_map(|object| Some((key(object), hint(object)?))).collect();
        let new = told.iter().filter(|(key, hint)| self.hinted.get(*key) != Some(*hint));
        let new = new.map(|(_, hint)| hint.clone()).collect();
        self.hinted = told;
        new
    }

    /// When the next line changes by itself.
    pub fn next_end(&self, now: Timestamp) -> Option<Timestamp> {
        let ends = self.shown.values().filter(|(_, state)| *state != State::Expired).map(|(row, _)| row.expires);
        ends.min().map(|end| end.max(now))
    }
}

/// A request's namespace and name.
pub fn key(object: &TemporaryPermissionGrant) -> Key {
    (object.namespace().unwrap_or_default(), object.name_any())
}

fn in_order(changes: Vec<(Row, State)>, now: Timestamp) -> Vec<(Row, State)> {
    let states: BTreeMap<String, State> = changes.iter().map(|(row, state)| (row.grant_id.clone(), *state)).collect();
    let mut rows: Vec<Row> = changes.into_iter().map(|(row, _)| row).collect();
    sort(&mut rows, now);
    rows.into_iter()
        .map(|row| {
            let state = states[&row.grant_id];
            (row, state)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use amigo_api::{
        Phase,
        conditions::ConditionStatus,
        reasons::{self, condition},
    };

    use super::*;
    use crate::{
        commands::conversation::list_access::rows::Source,
        fixtures::{at, issued, request, say},
    };

    fn follow(expired: bool) -> Follow {
        Follow::new(Selection { organization: "acme".to_owned(), email: None, expired })
    }

    fn live(ends: i64) -> TemporaryPermissionGrant {
        request("one", |status| status.grants = vec![issued(0, ends)])
    }

    fn told(follow: &mut Follow, now: i64) -> Vec<(String, State)> {
        follow.changes(at(now)).into_iter().map(|(row, state)| (row.grant_id, state)).collect()
    }

    #[test]
    fn a_line_is_told_once() {
        let mut follow = follow(false);
        follow.see(live(2000));
        assert_eq!(told(&mut follow, 1000), [("grant-0-2000".to_owned(), State::Live)]);
        assert_eq!(follow.next_end(at(1000)), Some(at(2000)));
        follow.see(live(2000));
        assert_eq!(told(&mut follow, 1500), []);
    }

    #[test]
    fn the_end_comes_by_the_clock_or_with_the_request() {
        let mut follow = follow(false);
        follow.see(live(2000));
        told(&mut follow, 1000);
        follow.lose(&live(2000));
        assert_eq!(told(&mut follow, 2000), [("grant-0-2000".to_owned(), State::Expired)]);
        assert_eq!((told(&mut follow, 2001), follow.next_end(at(2001))), (vec![], None));
    }

    #[test]
    fn access_of_a_deleted_request_goes_on_to_its_end() {
        let mut follow = follow(false);
        follow.see(live(2000));
        told(&mut follow, 1000);
        follow.keep(&BTreeSet::new());
        assert_eq!(told(&mut follow, 1500), [("grant-0-2000".to_owned(), State::Deleted)]);
        assert_eq!(told(&mut follow, 2000), [("grant-0-2000".to_owned(), State::Expired)]);
    }

    #[test]
    fn a_record_that_another_replaces_is_renewed() {
        let mut follow = follow(false);
        follow.see(live(2000));
        told(&mut follow, 1000);
        follow.see(live(3000));
        let mut changes = told(&mut follow, 1500);
        changes.sort_by(|one, other| one.0.cmp(&other.0));
        assert_eq!(changes, [("grant-0-2000".to_owned(), State::Renewed), ("grant-0-3000".to_owned(), State::Live)]);
    }

    #[test]
    fn what_ended_before_is_told_only_when_asked_for() {
        for (expired, count) in [(false, 0), (true, 1)] {
            let mut follow = follow(expired);
            follow.see(live(900));
            assert_eq!(told(&mut follow, 1000).len(), count);
        }
    }

    #[test]
    fn what_amigo_lists_gives_way_to_the_request_that_explains_it() {
        let mut follow = follow(false);
        let row = Row { source: Source::Api, name: None, namespace: None, ..rows_of(&live(2000)).remove(0) };
        follow.add_beyond(vec![row]);
        assert_eq!(told(&mut follow, 1000).len(), 1);
        follow.see(live(2000));
        assert_eq!(told(&mut follow, 1000), []);
    }

    #[test]
    fn a_hint_is_told_once_and_again_when_it_changes() {
        let mut follow = follow(false);
        let pending = |reason: &'static str| {
            request("one", |status| {
                status.phase = Some(Phase::Pending);
                say(status, condition::READY, ConditionStatus::False, reason, "waits");
            })
        };
        follow.see(pending(reasons::PENDING));
        assert_eq!((follow.hints().len(), follow.hints().len()), (1, 0));
        follow.see(pending(reasons::QUEUED));
        assert_eq!(follow.hints(), ["Request one: Pending, Queued: waits."]);
        follow.lose(&pending(reasons::QUEUED));
        assert!(follow.hints().is_empty());
    }
}
