//! Records in the listing: adopted, ignored, or mismatched.

use std::time::Duration;

use amigo_api::Phase;

use super::{
    fixtures::{Grant, grant, minutes, seconds},
    server::Fate,
    world::World,
};

/// An issued object whose status and operator process were lost.
fn restored(grant: Grant, after: Duration) -> World {
    let mut world = grant.issued();
    world.advance(after);
    world.wipe();
    world.crash(0);
    world
}

/// A grant whose first response was lost, and whose records then changed.
fn with_changed_records(change: impl Fn(&mut crate::grant::ListedGrant)) -> World {
    let mut world = grant().world().with_fates("post", &[Fate::LostAfter]);
    world.work();
    world.amigo.journal.iter_mut().for_each(|entry| change(&mut entry.grant));
    world
}

#[test]
fn restored_object_adopts_its_live_records() {
    let mut world = restored(grant(), minutes(20));
    world.run_until(minutes(21));
    assert_eq!((world.is_active(), world.history.posts), (true, 3));
    assert_eq!(world.record().attempts, 1);
}

#[test]
fn restored_object_requests_only_missing_records() {
    let mut world = restored(grant(), minutes(20));
    world.amigo.journal.pop();
    world.run_until(minutes(21));
    assert_eq!((world.is_active(), world.history.posts), (true, 4));
    assert_eq!(world.requested_durations()[2], "PT1H40M");
}

#[test]
fn restored_object_past_its_end_is_not_reissued() {
    let mut world = restored(grant().kept("P1D"), minutes(121));
    world.replicas[0].spec.activation_deadline = jiff::SignedDuration::from_hours(100);
    world.run_until(minutes(200));
    assert_eq!((world.phase(), world.history.posts), (Some(Phase::Expired), 3));
}

#[test]
fn restored_records_survive_a_conflict() {
    let mut world = restored(grant(), minutes(20));
    world.amigo.journal.pop();
    while world.log.last().map(String::as_str) != Some("write") {
        world.act(0, Fate::Fine);
    }
    world.touch();
    world.run_until(minutes(21));
    assert_eq!((world.is_active(), world.history.posts), (true, 4));
}

#[test]
fn restored_object_with_mismatched_record_fails() {
    let mut world = restored(grant(), minutes(20));
    world.amigo.journal.iter_mut().for_each(|entry| entry.grant.user_id = "another".to_owned());
    world.run_until(minutes(30));
    assert_eq!(world.summary(), "Failed, Ready False Conflict, Issued False Conflict, Stalled True Conflict");
    assert_eq!(world.history.posts, 3);
}

#[test]
fn old_object_is_looked_up_and_issued() {
    let mut world = grant().created_before(minutes(5)).world();
    assert_eq!(world.effects(), "resolve lookup reserve read write post write");
    assert!(world.is_active());
}

#[test]
fn old_object_waits_for_the_listing() {
    let mut world = grant().created_before(minutes(5)).world().with_fates("lookup", &[Fate::Rejected; 3]);
    world.work();
    assert_eq!(world.history.posts, 0);
    world.run_until(minutes(1));
    assert!(world.is_active());
}

#[test]
fn wiped_status_is_rebuilt_from_the_listing() {
    let mut world = grant().issued();
    world.run_until(minutes(1));
    world.wipe();
    world.run_until(minutes(2));
    assert_eq!((world.is_active(), world.history.posts), (true, 3));
}

#[test]
fn forged_records_are_not_adopted() {
    let mut world = with_changed_records(|grant| grant.creator_user_id = "another".to_owned());
    world.run_until(minutes(30));
    assert_eq!((world.record().grants.len(), world.record().attempts), (0, 1));
    assert_eq!(
        world.summary(),
        "Issuing, Ready Unknown OutcomeUnknown, Issued Unknown OutcomeUnknown, Stalled True OutcomeUnknown"
    );
}

#[test]
fn forged_records_without_nonce_are_ignored() {
    let mut world = with_changed_records(|grant| {
        grant.creator_user_id = "another".to_owned();
        grant.tags.insert("nonce".to_owned(), "f".repeat(16));
    });
    world.run_until(minutes(30));
    assert_eq!((world.is_active(), world.record().attempts), (true, 2));
}

#[test]
fn records_of_other_objects_are_not_adopted() {
    for tag in ["cluster", "uid"] {
        let mut world = with_changed_records(|grant| {
            grant.tags.insert(tag.to_owned(), "d".repeat(32));
        });
        // To the invariants they belong to another object as well.
        world.amigo.journal.iter_mut().for_each(|entry| entry.slot += 10);
        world.run_until(minutes(30));
        assert_eq!(world.record().attempts, 2, "{tag}");
    }
}

#[test]
fn mismatched_record_is_not_adopted_or_replaced() {
    let changes: [fn(&mut crate::grant::ListedGrant); 3] = [
        |grant| grant.user_id = "another".to_owned(),
        |grant| grant.conditions.clear(),
        |grant| grant.permission_name = "Role:GetRole".to_owned(),
    ];
    for change in changes {
        let mut world = with_changed_records(change);
        world.run_until(minutes(100));
        assert_eq!((world.record().grants.len(), world.history.posts), (0, 3));
        world.run_until(minutes(130));
        assert!(world.store.is_none(), "expiry continues");
    }
}

#[test]
fn records_of_server_slightly_ahead_are_adopted() {
    let mut world = grant().with_server_ahead(9_000).world().with_fates("post", &[Fate::Late(60_000)]);
    world.run_until(minutes(3));
    assert!(world.is_active());
}

#[test]
fn record_that_ends_late_is_kept_and_named() {
    for fate in [Fate::Fine, Fate::LostAfter] {
        let mut world = grant().with_server_ahead(600_000).world().with_fates("post", &[fate]);
        world.run_until(seconds(30));
        assert_eq!(world.condition("Ready"), "True EndDiffers");
        assert!(world.message("Ready").contains("PT10M later than requested"), "{}", world.message("Ready"));
        world.run_until(minutes(121));
        assert_eq!((world.is_active(), world.history.posts), (true, 3), "until the end that Amigo reported");
    }
}

#[test]
fn record_that_ends_early_is_named() {
    let world = grant().shortened_by_server(minutes(30)).issued();
    assert_eq!(world.condition("Ready"), "True EndDiffers");
    assert!(world.message("Ready").contains("PT1H30M earlier than requested"));
}

#[test]
fn object_outlives_access_whatever_the_clocks() {
    for (server, own) in [(90, 0), (-90, 0), (600, 0), (-600, 0), (0, 600), (0, -600), (300, -300)] {
        let mut world = grant().lasting("PT2M").with_server_ahead(server * 1000).world();
        world.amigo.sends_date = true;
        world.replicas[0].skew = own * 1000;
        world.replicas[0].spec.created_at = world.wall(0);
        world.work();
        assert_eq!(world.condition("Ready"), "True Active", "{server} {own}");
        while world.store.is_some() {
            world.run_until(world.now + seconds(1));
        }
        assert!((minutes(2)..minutes(2) + seconds(10)).contains(&world.now), "{server} {own}: {:?}", world.now);
    }
}

#[test]
fn rotated_user_adopts_records_of_the_former() {
    let mut world = grant().world().with_fates("post", &[Fate::LostAfter]);
    world.work();
    world.replicas[0].spec.service_user_id = "rotated".to_owned();
    world.run_until(minutes(1));
    assert_eq!((world.is_active(), world.history.posts), (true, 3));
}

/// A grant whose second attempt was issued, and then the status from before it is restored.
fn gone_back(first: Fate, is_before: fn(&amigo_api::TemporaryPermissionGrantStatus) -> bool) -> World {
    let mut world = grant().world().with_fates("post", &[first]);
    world.run_until(minutes(3));
    assert_eq!((world.is_active(), world.record().attempts), (true, 2));
    let before = world.past.iter().rfind(|record| is_before(record)).unwrap().clone();
    world.advance(minutes(2));
    world.restore(before);
    world
}

#[test]
fn later_attempt_is_adopted_after_a_restore() {
    for crashes in [false, true] {
        for (first, posts) in [(Fate::LostBefore, 6), (Fate::PartlyRejected, 4)] {
            let mut world = gone_back(first, |record| record.attempts == 1);
            if crashes {
                world.crash(0);
            }
            world.run_until(minutes(20));
            assert_eq!((world.is_active(), world.record().attempts), (true, 2), "{first:?}");
            assert_eq!(world.history.posts, posts, "{first:?}");
        }
    }
}

#[test]
fn unseen_attempt_of_another_process_is_adopted() {
    let mut world = grant().with_replicas(2).world().with_fates("post", &[Fate::Rejected]);
    world.reconcile(0);
    world.advance(minutes(1));
    world.reconcile(1);
    let before = world.past.iter().rfind(|record| record.attempts == 1 && record.intent.is_none()).unwrap().clone();
    world.advance(minutes(2));
    world.restore(before);
    world.reconcile(0);
    assert_eq!((world.is_active(), world.record().attempts, world.history.posts), (true, 2, 6));
}

#[test]
fn rebuilt_grant_never_lasts_longer_than_requested() {
    let mut world = grant().revoked_within("PT10M").issued();
    world.run_until(minutes(50));
    let now = world.now;
    world.amigo.journal.retain(|entry| entry.ends > now);
    world.wipe();
    world.crash(0);
    world.run_until(minutes(51));
    assert_eq!(world.deadline(), super::world::at(minutes(120)));
}
