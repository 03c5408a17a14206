//! Stories of records found at Amigo: adopted, left alone, or in the way.

use std::time::Duration;

use amigo_api::Phase;

use super::{
    amigo::Fate,
    fixtures::{Grant, grant, minutes, seconds},
    world::World,
};

/// An object that was issued, and whose status and operator were lost.
fn restored(grant: Grant, after: Duration) -> World {
    let mut world = grant.issued();
    world.advance(after);
    world.wipe();
    world.crash(0);
    world
}

/// A grant whose first attempt's answer was lost, and whose record then reads differently.
fn changed(change: impl Fn(&mut crate::grant::Found)) -> World {
    let mut world = grant().world().meeting("post", &[Fate::LostAfter]);
    world.work();
    world.amigo.journal.iter_mut().for_each(|entry| change(&mut entry.found));
    world
}

#[test]
fn a_restored_object_takes_its_live_records_over() {
    let mut world = restored(grant(), minutes(20));
    world.run_until(minutes(21));
    assert_eq!((world.is_active(), world.ledger.posts), (true, 3));
    assert_eq!(world.record().attempts, 1);
}

#[test]
fn a_restored_object_asks_only_for_what_is_missing() {
    let mut world = restored(grant(), minutes(20));
    world.amigo.journal.pop();
    world.run_until(minutes(21));
    assert_eq!((world.is_active(), world.ledger.posts), (true, 4));
    assert_eq!(world.asked()[2], "PT1H40M");
}

#[test]
fn a_restored_object_whose_time_is_over_is_never_issued_again() {
    let mut world = restored(grant().kept("P1D"), minutes(121));
    world.replicas[0].spec.activation_deadline = jiff::SignedDuration::from_hours(100);
    world.run_until(minutes(200));
    assert_eq!((world.phase(), world.ledger.posts), (Some(Phase::Expired), 3));
}

#[test]
fn what_a_restored_object_found_survives_a_conflict() {
    let mut world = restored(grant(), minutes(20));
    world.amigo.journal.pop();
    while world.log.last().map(String::as_str) != Some("write") {
        world.act(0, Fate::Fine);
    }
    world.touch();
    world.run_until(minutes(21));
    assert_eq!((world.is_active(), world.ledger.posts), (true, 4));
}

#[test]
fn a_restored_object_with_a_record_of_another_kind_is_not_issued() {
    let mut world = restored(grant(), minutes(20));
    world.amigo.journal.iter_mut().for_each(|entry| entry.found.user_id = "another".to_owned());
    world.run_until(minutes(30));
    assert_eq!(world.summary(), "Failed, Ready False Conflict, Issued False Conflict, Stalled True Conflict");
    assert_eq!(world.ledger.posts, 3);
}

#[test]
fn an_old_object_without_records_is_looked_up_and_issued() {
    let mut world = grant().old(minutes(5)).world();
    assert_eq!(world.effects(), "resolve lookup reserve read write post write");
    assert!(world.is_active());
}

#[test]
fn an_old_object_waits_for_the_listing() {
    let mut world = grant().old(minutes(5)).world().meeting("lookup", &[Fate::Refused; 3]);
    world.work();
    assert_eq!(world.ledger.posts, 0);
    world.run_until(minutes(1));
    assert!(world.is_active());
}

#[test]
fn a_wiped_status_is_looked_up_by_the_process_that_issued_it() {
    let mut world = grant().issued();
    world.run_until(minutes(1));
    world.wipe();
    world.run_until(minutes(2));
    assert_eq!((world.is_active(), world.ledger.posts), (true, 3));
}

#[test]
fn forged_tags_of_another_creator_are_not_adopted() {
    let mut world = changed(|found| found.creator_user_id = "somebody".to_owned());
    world.run_until(minutes(30));
    assert_eq!((world.record().grants.len(), world.record().attempts), (0, 1));
    assert_eq!(
        world.summary(),
        "Issuing, Ready Unknown OutcomeUnknown, Issued Unknown OutcomeUnknown, Stalled True OutcomeUnknown"
    );
}

#[test]
fn forged_tags_without_the_nonce_stop_nothing() {
    let mut world = changed(|found| {
        found.creator_user_id = "somebody".to_owned();
        found.tags.insert("nonce".to_owned(), "f".repeat(16));
    });
    world.run_until(minutes(30));
    assert_eq!((world.is_active(), world.record().attempts), (true, 2));
}

#[test]
fn records_of_other_objects_and_clusters_are_not_ours() {
    for tag in ["cluster", "uid"] {
        let mut world = changed(|found| {
            found.tags.insert(tag.to_owned(), "d".repeat(32));
        });
        // To the checks they are somebody else's as well.
        world.amigo.journal.iter_mut().for_each(|entry| entry.slot += 10);
        world.run_until(minutes(30));
        assert_eq!(world.record().attempts, 2, "{tag}");
    }
}

#[test]
fn an_odd_record_is_neither_adopted_nor_replaced() {
    let changes: [fn(&mut crate::grant::Found); 4] = [
        |found| found.user_id = "another".to_owned(),
        |found| found.conditions.clear(),
        |found| found.permission_name = "Role:GetRole".to_owned(),
        |found| found.expires_at += jiff::SignedDuration::from_secs(76),
    ];
    for change in changes {
        let mut world = changed(change);
        world.run_until(minutes(100));
        assert_eq!((world.record().grants.len(), world.ledger.posts), (0, 3));
        world.run_until(minutes(130));
        assert!(world.store.is_none(), "expiry goes on");
    }
}

#[test]
fn a_server_slightly_ahead_is_believed() {
    let mut world = grant().server_ahead(9_000).world().meeting("post", &[Fate::Late(60_000)]);
    world.run_until(minutes(3));
    assert!(world.is_active());
}

#[test]
fn an_end_that_cannot_be_ours_is_not_believed() {
    let mut world = grant().server_ahead(120_000).world();
    world.run_until(seconds(30));
    assert_eq!(world.condition("Ready"), "Unknown OutcomeUnknown");
    assert_eq!((world.record().grants.len(), world.ledger.posts), (0, 3));
}
