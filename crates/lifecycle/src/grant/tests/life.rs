//! Stories without trouble: what it costs, what it says, when it ends.

use amigo_api::Phase;

use super::{
    amigo::Fate,
    fixtures::{grant, minutes, obstacle, seconds},
    world::at,
};
use crate::RetryClass;

#[test]
fn a_grant_takes_three_writes_in_its_life() {
    let mut world = grant().world();
    assert_eq!(world.effects(), "resolve reserve read write post write");
    assert_eq!(world.summary(), "Active, Ready True Active, Issued True Active, Stalled none");
    assert_eq!(world.effects_for(minutes(121)), "delete");
    assert!(world.store.is_none());
    assert_eq!(world.ledger.writes, 2);
}

#[test]
fn a_queued_grant_takes_four_writes() {
    let mut world = grant().world().meeting("reserve", &[Fate::Limited(30), Fate::Limited(30)]);
    assert_eq!(world.effects(), "resolve reserve write");
    assert_eq!(world.summary(), "Pending, Ready False Queued, Issued False Queued, Stalled none");
    assert_eq!(world.effects_for(minutes(1)), "reserve reserve read write post write");
    assert_eq!(world.effects_for(minutes(121)), "delete");
    assert_eq!(world.ledger.writes, 3);
}

#[test]
fn an_open_intent_is_unknown_and_not_false() {
    let mut world = grant().world();
    for _ in 0..9 {
        world.act(0, Fate::Fine);
    }
    assert_eq!(world.summary(), "Issuing, Ready Unknown Issuing, Issued Unknown Issuing, Stalled none");
}

#[test]
fn the_duration_is_sent_as_the_manifest_writes_it() {
    for text in ["PT2H", "PT120M", "P1D", "PT24H", "PT60S"] {
        let world = grant().lasting(text).issued();
        let intent = world.ledger.intents.values().next().unwrap();
        assert_eq!(intent.intent.duration, text);
    }
}

#[test]
fn the_start_and_the_deadline_are_whole_seconds_and_never_before_the_read() {
    let mut world = grant().world();
    world.advance(seconds(1) / 4);
    world.work();
    assert_eq!(world.record().activated_at, Some(at(seconds(1))));
    assert_eq!(world.deadline(), at(seconds(7201)));
}

#[test]
fn an_expired_grant_is_kept_for_its_time() {
    let mut world = grant().kept("PT10M").issued();
    assert_eq!(world.effects_for(minutes(121)), "write");
    assert_eq!(world.summary(), "Expired, Ready False Expired, Issued True Active, Stalled none");
    assert_eq!(world.effects_for(minutes(10)), "delete");
}

#[test]
fn a_live_grant_that_is_being_deleted_goes_on_to_its_end_and_says_so() {
    let mut world = grant().issued();
    world.begin_deletion();
    assert_eq!(world.effects(), "write");
    assert!(world.message("Ready").ends_with("; the object is being deleted, and nothing more is issued"));
    assert_eq!(world.effects_for(minutes(121)), "write");
    assert_eq!(world.phase(), Some(Phase::Expired));
    assert_eq!(world.effects_for(minutes(500)), "");
}

#[test]
fn a_settled_grant_is_quiet() {
    let mut world = grant().issued();
    for _ in 0..3 {
        world.act(0, Fate::Fine);
        assert_eq!(world.effects_for(minutes(5)), "");
    }
}

#[test]
fn not_after_shortens_what_is_asked() {
    let world = grant().not_after(minutes(30)).issued();
    assert_eq!(world.asked(), ["PT28M55S"; 3]);
    assert_eq!(world.deadline(), at(minutes(30)));
}

#[test]
fn nothing_is_issued_after_not_after() {
    let mut world = grant().not_after(minutes(0)).world();
    assert_eq!(world.effects(), "write");
    assert_eq!(
        world.summary(),
        "Failed, Ready False NotAfterPassed, Issued False NotAfterPassed, Stalled True NotAfterPassed"
    );
}

#[test]
fn nothing_is_issued_that_would_end_within_a_minute() {
    let mut world = grant().not_after(seconds(120)).world();
    assert_eq!(world.effects(), "write");
    assert_eq!(world.condition("Stalled"), "True TooLittleTime");
}

#[test]
fn nothing_is_issued_after_the_activation_deadline() {
    let mut world = grant().old(minutes(60)).world();
    assert_eq!(world.effects(), "write");
    assert_eq!(world.condition("Stalled"), "True ActivationDeadlineExceeded");
    assert_eq!(world.effects_for(minutes(500)), "");
}

#[test]
fn an_unready_organization_is_waited_for_until_the_activation_deadline() {
    let mut world = grant().obstructed(RetryClass::Persistent).world();
    assert_eq!(world.effects(), "write");
    assert_eq!(world.condition("Ready"), "False OrganizationNotReady");
    assert_eq!(world.effects_for(minutes(60)), "write");
    assert_eq!(world.condition("Stalled"), "True ActivationDeadlineExceeded");
}

#[test]
fn an_organization_that_will_never_do_ends_it() {
    let mut world = grant().obstructed(RetryClass::Permanent).world();
    assert_eq!(world.effects(), "write");
    assert!(world.summary().starts_with("Failed"));
}

#[test]
fn a_live_grant_expires_whatever_its_organization_does() {
    let mut world = grant().issued();
    world.replicas[0].spec.obstacle = Some(obstacle(RetryClass::Persistent));
    assert_eq!(world.effects_for(minutes(119)), "");
    assert_eq!(world.effects_for(minutes(2)), "delete");
}

#[test]
fn an_organization_that_becomes_ready_lets_it_go_on() {
    let mut world = grant().obstructed(RetryClass::Persistent).world();
    world.work();
    world.replicas[0].spec.obstacle = None;
    world.act(0, Fate::Fine);
    world.work();
    assert!(world.is_active());
}

#[test]
fn a_grant_issued_to_the_end_of_a_second_still_ends_in_time() {
    let mut world = grant().world();
    world.advance(super::world::MILLISECOND * 999);
    world.work();
    assert!(world.is_active());
    assert_eq!(world.effects_for(minutes(121)), "delete");
}
