//! Stories of `revokeWithin`: short leases, renewed.

use super::{
    amigo::Fate,
    fixtures::{grant, minutes, seconds},
    world::at,
};

#[test]
fn a_lease_is_what_revoke_within_leaves() {
    let world = grant().revoked_within("PT10M").issued();
    assert_eq!(world.asked(), ["PT8M55S"; 3]);
}

#[test]
fn the_next_lease_begins_at_half_the_life_granted() {
    let mut world = grant().revoked_within("PT10M").issued();
    assert_eq!(world.effects_for(seconds(267)), "");
    assert_eq!(world.effects_for(seconds(1)), "reserve read write post write");
    assert_eq!(world.record().grants.iter().map(|grant| grant.lease).max(), Some(1));
}

#[test]
fn long_leases_are_renewed_six_minutes_before_their_end() {
    let mut world = grant().revoked_within("PT1H1M5S").lasting("P1D").issued();
    assert_eq!(world.effects_for(seconds(54 * 60 - 1)), "");
    assert_eq!(world.effects_for(seconds(1)), "reserve read write post write");
}

#[test]
fn access_has_no_gap_and_the_last_lease_ends_by_the_deadline() {
    let mut world = grant().revoked_within("PT10M").lasting("PT1H").issued();
    for _ in 0..57 {
        world.run_until(world.now + minutes(1));
        assert!(world.amigo.live(world.now) >= 3, "a gap at {:?}", world.now);
    }
    let last = world.amigo.ours().map(|entry| entry.ends).max().unwrap();
    assert!(at(last) <= world.deadline());
    world.run_until(minutes(60));
    assert!(world.store.is_none());
}

#[test]
fn a_deleted_grant_ends_within_the_time_promised() {
    let mut world = grant().revoked_within("PT10M").issued();
    world.run_until(minutes(33));
    world.delete();
    world.run_until(minutes(43));
    assert_eq!(world.amigo.live(world.now), 0);
}

#[test]
fn a_grant_that_is_being_deleted_is_not_renewed() {
    let mut world = grant().revoked_within("PT10M").issued();
    world.begin_deletion();
    world.run_until(minutes(10));
    assert_eq!((world.ledger.posts, world.amigo.live(world.now)), (3, 0));
    assert_eq!(world.condition("Ready"), "False Expired");
}

#[test]
fn a_lease_cut_by_the_server_is_renewed_by_its_own_end() {
    let mut world = grant().revoked_within("PT1H").cut_by_server(minutes(10)).issued();
    assert_eq!(world.effects_for(seconds(299)), "");
    assert_eq!(world.effects_for(seconds(1)), "reserve read write post write");
}

#[test]
fn a_server_far_behind_does_not_make_it_renew_without_end() {
    let mut world = grant().revoked_within("PT5M").server_ahead(-3_600_000).issued();
    world.run_until(minutes(10));
    assert!(world.ledger.posts <= 33, "{} requests", world.ledger.posts);
}

#[test]
fn a_lost_renewal_is_made_up_for() {
    let mut world = grant().revoked_within("PT15M").world().meeting("post", &[Fate::Fine, Fate::LostBefore]);
    world.run_until(minutes(14));
    assert_eq!(world.condition("Ready"), "True Active");
    assert!(world.record().grants.iter().all(|grant| grant.lease == 1));
}

#[test]
fn a_lease_partly_filled_is_completed() {
    let mut world = grant().revoked_within("PT10M").world().meeting("post", &[Fate::Fine, Fate::Mixed]);
    world.run_until(minutes(5));
    assert!(world.record().grants.iter().all(|grant| grant.lease == 1));
    assert_eq!(world.ledger.posts, 3 + 3 + 1);
}

#[test]
fn what_was_never_issued_is_given_up_and_the_rest_renewed() {
    let mut world = grant().revoked_within("PT10M").world();
    world.script.insert("post", [Fate::Mixed, Fate::Hopeless].into());
    world.run_until(minutes(30));
    assert_eq!(world.condition("Ready"), "False PartiallyIssued");
    assert_eq!(world.condition("Stalled"), "True Refused");
    let leases: Vec<u32> = world.record().grants.iter().map(|grant| grant.lease).collect();
    assert_eq!(leases, [6, 6]);
}

#[test]
fn a_refused_renewal_gives_nothing_up() {
    let mut world = grant().revoked_within("PT10M").world().meeting("post", &[Fate::Fine, Fate::Hopeless]);
    world.run_until(minutes(5));
    assert_eq!(world.summary(), "Active, Ready True Active, Issued True Active, Stalled none");
    world.run_until(minutes(20));
    assert_eq!(world.summary(), "Active, Ready True Active, Issued True Active, Stalled none");
}

#[test]
fn a_renewal_whose_intent_is_in_doubt_is_made_again_at_once() {
    let writes = [Fate::Fine, Fate::Fine, Fate::LostAfter];
    let mut world = grant().revoked_within("PT5M").world().meeting("write", &writes);
    for _ in 0..600 {
        world.run_until(world.now + seconds(1));
        assert!(world.amigo.live(world.now) >= 3, "a gap at {:?}", world.now);
    }
}

#[test]
fn leases_go_on_when_the_default_they_come_from_goes() {
    let mut world = grant().revoked_within("PT10M").issued();
    world.replicas[0].spec.revoke_within = None;
    world.run_until(minutes(33));
    assert_eq!(world.condition("Ready"), "True Active");
    assert_eq!(world.record().revoke_within.as_deref(), Some("PT10M"));
}

#[test]
fn a_default_that_comes_later_changes_nothing() {
    let mut world = grant().issued();
    world.replicas[0].spec.revoke_within = Some(jiff::SignedDuration::from_mins(10));
    world.act(0, Fate::Fine);
    assert_eq!(world.effects_for(minutes(119)), "");
    assert_eq!(world.effects_for(minutes(2)), "delete");
}

#[test]
fn a_lease_that_ends_during_an_outage_is_not_called_active() {
    let mut world = grant().revoked_within("PT10M").issued();
    world.script.insert("post", vec![Fate::Forbidden; 100].into());
    world.run_until(seconds(536));
    assert!(world.summary().starts_with("Pending"), "{}", world.summary());
}

#[test]
fn after_an_outage_the_next_lease_is_issued() {
    let mut world = grant().revoked_within("PT10M").issued();
    world.script.insert("post", vec![Fate::Refused; 20].into());
    world.run_until(minutes(60));
    assert_eq!(world.condition("Ready"), "True Active");
}
