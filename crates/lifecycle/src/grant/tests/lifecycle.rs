//! Grants without faults: effects, conditions, and their end.

use amigo_api::Phase;

use super::{
    fixtures::{grant, minutes, organization_not_ready, seconds},
    server::Fate,
    world::at,
};
use crate::RetryClass;

#[test]
fn grant_takes_two_writes_and_a_delete() {
    let mut world = grant().world();
    assert_eq!(world.effects(), "resolve reserve read write post write");
    assert_eq!(world.summary(), "Active, Ready True Active, Issued True Active, Stalled none");
    assert_eq!(world.effects_for(minutes(121)), "delete");
    assert!(world.store.is_none());
    assert_eq!(world.history.writes, 2);
}

#[test]
fn queued_grant_takes_three_writes_and_a_delete() {
    let mut world = grant().world().with_fates("reserve", &[Fate::RateLimited(30), Fate::RateLimited(30)]);
    assert_eq!(world.effects(), "resolve reserve write");
    assert_eq!(world.summary(), "Pending, Ready False Queued, Issued False Queued, Stalled none");
    assert_eq!(world.effects_for(minutes(1)), "reserve reserve read write post write");
    assert_eq!(world.effects_for(minutes(121)), "delete");
    assert_eq!(world.history.writes, 3);
}

#[test]
fn open_intent_is_unknown_not_false() {
    let mut world = grant().world();
    for _ in 0..9 {
        world.act(0, Fate::Fine);
    }
    assert_eq!(world.summary(), "Issuing, Ready Unknown Issuing, Issued Unknown Issuing, Stalled none");
}

#[test]
fn duration_is_sent_as_written() {
    for text in ["PT2H", "PT120M", "P1D", "PT24H", "PT60S"] {
        let world = grant().lasting(text).issued();
        let intent = world.history.intents.values().next().unwrap();
        assert_eq!(intent.intent.duration, text);
    }
}

#[test]
fn start_and_deadline_round_up_to_whole_seconds() {
    let mut world = grant().world();
    world.advance(seconds(1) / 4);
    world.work();
    assert_eq!(world.record().activated_at, Some(at(seconds(1))));
    assert_eq!(world.deadline(), at(seconds(7201)));
}

#[test]
fn expired_grant_is_kept_for_its_ttl() {
    let mut world = grant().kept("PT10M").issued();
    assert_eq!(world.effects_for(minutes(121)), "write");
    assert_eq!(world.summary(), "Expired, Ready False Expired, Issued True Active, Stalled none");
    assert_eq!(world.effects_for(minutes(10)), "delete");
}

#[test]
fn live_grant_being_deleted_runs_to_its_end() {
    let mut world = grant().issued();
    world.begin_deletion();
    assert_eq!(world.effects(), "write");
    assert!(world.message("Ready").ends_with("; the object is being deleted; nothing more will be issued"));
    assert_eq!(world.effects_for(minutes(121)), "write");
    assert_eq!(world.phase(), Some(Phase::Expired));
    assert_eq!(world.effects_for(minutes(500)), "");
}

#[test]
fn settled_grant_has_no_effects() {
    let mut world = grant().issued();
    for _ in 0..3 {
        world.act(0, Fate::Fine);
        assert_eq!(world.effects_for(minutes(5)), "");
    }
}

#[test]
fn not_after_shortens_the_duration() {
    let world = grant().not_after(minutes(30)).issued();
    assert_eq!(world.requested_durations(), ["PT28M55S"; 3]);
    assert_eq!(world.deadline(), at(minutes(30)));
}

#[test]
fn grant_past_not_after_fails() {
    let mut world = grant().not_after(minutes(0)).world();
    assert_eq!(world.effects(), "write");
    assert_eq!(
        world.summary(),
        "Failed, Ready False NotAfterPassed, Issued False NotAfterPassed, Stalled True NotAfterPassed"
    );
}

#[test]
fn grant_with_less_than_a_minute_fails() {
    let mut world = grant().not_after(seconds(120)).world();
    assert_eq!(world.effects(), "write");
    assert_eq!(world.condition("Stalled"), "True TooLittleTime");
}

#[test]
fn grant_past_activation_deadline_fails() {
    let mut world = grant().created_before(minutes(60)).world();
    assert_eq!(world.effects(), "write");
    assert_eq!(world.condition("Stalled"), "True ActivationDeadlineExceeded");
    assert_eq!(world.effects_for(minutes(500)), "");
}

#[test]
fn unready_organization_blocks_until_the_deadline() {
    let mut world = grant().blocked(RetryClass::Persistent).world();
    assert_eq!(world.effects(), "write");
    assert_eq!(world.condition("Ready"), "False OrganizationNotReady");
    assert_eq!(world.effects_for(minutes(60)), "write");
    assert_eq!(world.condition("Stalled"), "True ActivationDeadlineExceeded");
}

#[test]
fn permanent_blocker_fails_the_grant() {
    let mut world = grant().blocked(RetryClass::Permanent).world();
    assert_eq!(world.effects(), "write");
    assert!(world.summary().starts_with("Failed"));
}

#[test]
fn live_grant_expires_despite_blocker() {
    let mut world = grant().issued();
    world.replicas[0].spec.blocker = Some(organization_not_ready(RetryClass::Persistent));
    assert_eq!(world.effects_for(minutes(119)), "");
    assert_eq!(world.effects_for(minutes(2)), "delete");
}

#[test]
fn grant_is_issued_once_organization_is_ready() {
    let mut world = grant().blocked(RetryClass::Persistent).world();
    world.work();
    world.replicas[0].spec.blocker = None;
    world.act(0, Fate::Fine);
    world.work();
    assert!(world.is_active());
}

#[test]
fn grant_issued_late_in_a_second_ends_in_time() {
    let mut world = grant().world();
    world.advance(super::world::MILLISECOND * 999);
    world.work();
    assert!(world.is_active());
    assert_eq!(world.effects_for(minutes(121)), "delete");
}

#[test]
fn failed_grant_is_deleted_after_its_ttl() {
    let mut world = grant().blocked(RetryClass::Permanent).failed_kept("PT10M").world();
    world.effects();
    assert!(world.summary().starts_with("Failed"));
    assert_eq!(world.effects_for(minutes(9)), "");
    assert_eq!(world.effects_for(minutes(2)), "delete");
    assert!(world.store.is_none());
}

#[test]
fn failed_grant_without_ttl_is_kept() {
    let mut world = grant().blocked(RetryClass::Permanent).world();
    world.effects();
    assert_eq!(world.effects_for(minutes(100_000)), "");
}
