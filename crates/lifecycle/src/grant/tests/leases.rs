//! Grants with `revokeWithin`: short leases and their renewals.

use super::{
    fixtures::{grant, minutes, seconds},
    server::Fate,
    world::at,
};

#[test]
fn lease_is_revoke_within_minus_margin() {
    let world = grant().revoked_within("PT10M").issued();
    assert_eq!(world.requested_durations(), ["PT8M55S"; 3]);
}

#[test]
fn next_lease_starts_at_half_of_the_lifetime() {
    let mut world = grant().revoked_within("PT10M").issued();
    assert_eq!(world.effects_for(seconds(267)), "");
    assert_eq!(world.effects_for(seconds(1)), "reserve read write post write");
    assert_eq!(world.record().grants.iter().map(|grant| grant.lease).max(), Some(1));
}

#[test]
fn long_leases_renew_six_minutes_before_their_end() {
    let mut world = grant().revoked_within("PT1H1M5S").lasting("P1D").issued();
    assert_eq!(world.effects_for(seconds(54 * 60 - 1)), "");
    assert_eq!(world.effects_for(seconds(1)), "reserve read write post write");
}

#[test]
fn leases_have_no_gap_and_end_by_the_deadline() {
    let mut world = grant().revoked_within("PT10M").lasting("PT1H").issued();
    for _ in 0..57 {
        world.run_until(world.now + minutes(1));
        assert!(world.amigo.live(world.now) >= 3, "a gap at {:?}", world.now);
    }
    let last = world.amigo.own().map(|entry| entry.ends).max().unwrap();
    assert!(at(last) <= world.deadline());
    world.run_until(minutes(60));
    assert!(world.store.is_none());
}

#[test]
fn deleted_grant_ends_within_revoke_within() {
    let mut world = grant().revoked_within("PT10M").issued();
    world.run_until(minutes(33));
    world.delete();
    world.run_until(minutes(43));
    assert_eq!(world.amigo.live(world.now), 0);
}

#[test]
fn grant_being_deleted_is_not_renewed() {
    let mut world = grant().revoked_within("PT10M").issued();
    world.begin_deletion();
    world.run_until(minutes(10));
    assert_eq!((world.history.posts, world.amigo.live(world.now)), (3, 0));
    assert_eq!(world.condition("Ready"), "False Expired");
}

#[test]
fn lease_shortened_by_server_is_renewed_in_time() {
    let mut world = grant().revoked_within("PT1H").shortened_by_server(minutes(10)).issued();
    assert_eq!(world.effects_for(seconds(299)), "");
    assert_eq!(world.effects_for(seconds(1)), "reserve read write post write");
}

#[test]
fn server_far_behind_does_not_cause_renewal_loop() {
    let mut world = grant().revoked_within("PT5M").with_server_ahead(-3_600_000).issued();
    world.run_until(minutes(10));
    assert!(world.history.posts <= 33, "{} requests", world.history.posts);
}

#[test]
fn lost_renewal_is_retried() {
    let mut world = grant().revoked_within("PT15M").world().with_fates("post", &[Fate::Fine, Fate::LostBefore]);
    world.run_until(minutes(14));
    assert_eq!(world.condition("Ready"), "True Active");
    assert!(world.record().grants.iter().all(|grant| grant.lease == 1));
}

#[test]
fn short_lease_survives_a_lost_renewal() {
    let mut world = grant().revoked_within("PT5M").world().with_fates("post", &[Fate::Fine, Fate::LostBefore]);
    for _ in 0..600 {
        world.run_until(world.now + seconds(1));
        assert!(world.amigo.live(world.now) >= 3, "a gap at {:?}", world.now);
    }
}

#[test]
fn duration_of_at_most_one_lease_needs_none() {
    for (duration, within) in [("PT1M", "PT5M"), ("PT3M55S", "PT5M"), ("PT2M4S", "PT10M")] {
        let world = grant().lasting(duration).revoked_within(within).issued();
        assert_eq!(world.requested_durations(), [duration; 3]);
        assert_eq!(world.record().revoke_within, None);
    }
}

#[test]
fn lease_that_ends_no_later_is_not_requested() {
    let mut world = grant().lasting("PT5M").revoked_within("PT5M").issued();
    world.run_until(minutes(6));
    assert_eq!((world.requested_durations(), world.history.posts), (vec!["PT3M55S".to_owned(); 3], 3));
}

#[test]
fn lost_renewal_of_a_long_lived_grant_lists_little() {
    let mut world = grant().revoked_within("PT10M").lasting("P1D").issued();
    world.run_until(minutes(20 * 60));
    assert!(world.amigo.journal.len() > 800);
    let mut world = world.with_fates("post", &[Fate::LostAfter]);
    world.crash(0);
    world.run_until(world.now + minutes(10));
    assert_eq!(world.condition("Ready"), "True Active");
    assert!(world.amigo.listed <= 20, "{} records listed", world.amigo.listed);
}

#[test]
fn partly_issued_lease_is_completed() {
    let mut world = grant().revoked_within("PT10M").world().with_fates("post", &[Fate::Fine, Fate::PartlyRejected]);
    world.run_until(minutes(5));
    assert!(world.record().grants.iter().all(|grant| grant.lease == 1));
    assert_eq!(world.history.posts, 3 + 3 + 1);
}

#[test]
fn unissued_slot_is_given_up_and_others_renewed() {
    let mut world = grant().revoked_within("PT10M").world();
    world.script.insert("post", [Fate::PartlyRejected, Fate::Invalid].into());
    world.run_until(minutes(30));
    assert_eq!(world.condition("Ready"), "False PartiallyIssued");
    assert_eq!(world.condition("Stalled"), "True InvalidRequest");
    let leases: Vec<u32> = world.record().grants.iter().map(|grant| grant.lease).collect();
    assert_eq!(leases, [6, 6]);
}

#[test]
fn rejected_renewal_gives_up_no_slot() {
    let mut world = grant().revoked_within("PT10M").world().with_fates("post", &[Fate::Fine, Fate::Invalid]);
    world.run_until(minutes(5));
    assert_eq!(world.summary(), "Active, Ready True Active, Issued True Active, Stalled none");
    world.run_until(minutes(20));
    assert_eq!(world.summary(), "Active, Ready True Active, Issued True Active, Stalled none");
}

#[test]
fn renewal_with_unknown_write_is_retried_at_once() {
    let writes = [Fate::Fine, Fate::Fine, Fate::LostAfter];
    let mut world = grant().revoked_within("PT5M").world().with_fates("write", &writes);
    for _ in 0..600 {
        world.run_until(world.now + seconds(1));
        assert!(world.amigo.live(world.now) >= 3, "a gap at {:?}", world.now);
    }
}

#[test]
fn leases_continue_without_organization_default() {
    let mut world = grant().revoked_within("PT10M").issued();
    world.replicas[0].spec.revoke_within = None;
    world.run_until(minutes(33));
    assert_eq!(world.condition("Ready"), "True Active");
    assert_eq!(world.record().revoke_within.as_deref(), Some("PT10M"));
}

#[test]
fn later_organization_default_changes_nothing() {
    let mut world = grant().issued();
    world.replicas[0].spec.revoke_within = Some(jiff::SignedDuration::from_mins(10));
    world.act(0, Fate::Fine);
    assert_eq!(world.effects_for(minutes(119)), "");
    assert_eq!(world.effects_for(minutes(2)), "delete");
}

#[test]
fn lease_ended_in_outage_is_not_active() {
    let mut world = grant().revoked_within("PT10M").issued();
    world.script.insert("post", vec![Fate::Forbidden; 100].into());
    world.run_until(seconds(536));
    assert!(world.summary().starts_with("Pending"), "{}", world.summary());
}

#[test]
fn next_lease_is_issued_after_an_outage() {
    let mut world = grant().revoked_within("PT10M").issued();
    world.script.insert("post", vec![Fate::Rejected; 20].into());
    world.run_until(minutes(60));
    assert_eq!(world.condition("Ready"), "True Active");
}
