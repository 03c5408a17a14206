//! Lost responses, rejected requests, unknown writes, and crashes.

use amigo_api::Phase;
use jiff::SignedDuration;

use super::{
    fixtures::{grant, minutes, seconds},
    server::Fate,
};

#[test]
fn record_of_lost_response_is_adopted() {
    let mut world = grant().world().with_fates("post", &[Fate::LostAfter]);
    assert_eq!(world.effects(), "resolve reserve read write post write");
    assert_eq!(world.summary(), "Issuing, Ready Unknown OutcomeUnknown, Issued Unknown OutcomeUnknown, Stalled none");
    assert_eq!(world.effects_for(seconds(15)), "read lookup write");
    assert!(world.is_active());
    assert_eq!(world.history.posts, 3);
}

#[test]
fn lost_request_is_retried_after_the_quarantine() {
    let mut world = grant().world().with_fates("post", &[Fate::LostBefore]);
    world.work();
    let before = world.effects_for(seconds(119));
    assert!(!before.contains("post"), "{before}");
    assert_eq!(world.effects_for(seconds(1)), "read lookup reserve write post write");
    assert_eq!(world.requested_durations(), ["PT1H58M"; 3]);
    assert_eq!(world.record().attempts, 2);
}

#[test]
fn retry_keeps_the_committed_deadline() {
    let mut world = grant().world().with_fates("post", &[Fate::PartlyRejected]);
    world.work();
    world.replicas[0].spec.duration = SignedDuration::from_hours(24);
    world.replicas[0].spec.duration_text = "P1D".to_owned();
    world.run_until(seconds(30));
    assert_eq!(world.requested_durations()[2], "PT1H59M57S");
}

#[test]
fn late_commit_is_adopted() {
    let mut world = grant().world().with_fates("post", &[Fate::Late(60_000)]);
    world.run_until(seconds(125));
    assert!(world.is_active());
    assert_eq!(world.history.posts, 3);
}

#[test]
fn partial_rejection_retries_only_missing_slots() {
    let mut world = grant().world().with_fates("post", &[Fate::PartlyRejected]);
    world.work();
    assert_eq!(world.summary(), "Active, Ready False PartiallyIssued, Issued False Unavailable, Stalled none");
    world.run_until(seconds(30));
    assert_eq!(world.condition("Ready"), "True Active");
    assert_eq!(world.history.posts, 4);
    assert_eq!(world.requested_durations()[2], "PT1H59M57S");
}

#[test]
fn permanent_rejection_fails_the_grant() {
    let mut world = grant().world().with_fates("post", &[Fate::Invalid]);
    assert_eq!(world.effects(), "resolve reserve read write post write");
    assert_eq!(
        world.summary(),
        "Failed, Ready False InvalidRequest, Issued False InvalidRequest, Stalled True InvalidRequest"
    );
    assert_eq!(world.effects_for(minutes(500)), "");
}

#[test]
fn permanent_resolve_failure_fails_the_grant() {
    let mut world = grant().world().with_fates("resolve", &[Fate::Invalid]);
    assert_eq!(world.effects(), "resolve write");
    assert_eq!(world.phase(), Some(Phase::Failed));
}

#[test]
fn rejected_permission_does_not_stop_the_others() {
    let mut world = grant().world().with_fates("post", &[Fate::PartlyInvalid]);
    world.work();
    assert_eq!(world.summary(), "Issuing, Ready Unknown OutcomeUnknown, Issued Unknown OutcomeUnknown, Stalled none");
    world.run_until(minutes(2));
    assert_eq!(world.condition("Ready"), "True Active");
}

#[test]
fn retry_after_delays_the_next_request() {
    let mut world = grant().world().with_fates("post", &[Fate::RateLimited(40)]);
    world.work();
    assert_eq!(world.condition("Ready"), "False RateLimited");
    assert_eq!(world.effects_for(seconds(39)), "");
    assert_eq!(world.effects_for(seconds(1)), "reserve read write post write");
}

#[test]
fn retry_after_delays_the_next_lookup() {
    let mut world =
        grant().world().with_fates("post", &[Fate::LostAfter]).with_fates("lookup", &[Fate::RateLimited(90)]);
    world.run_until(seconds(15));
    assert_eq!(world.effects_for(seconds(89)), "");
    assert_eq!(world.effects_for(seconds(1)), "read lookup write");
}

#[test]
fn persistent_failure_stalls_and_retries_rarely() {
    let mut world = grant().world().with_fates("post", &[Fate::Forbidden]);
    world.work();
    assert_eq!(world.condition("Stalled"), "True Forbidden");
    assert_eq!(world.effects_for(seconds(59)), "");
    world.run_until(minutes(2));
    assert_eq!(world.summary(), "Active, Ready True Active, Issued True Active, Stalled none");
}

#[test]
fn unsent_request_is_retried_without_quarantine() {
    let mut world = grant().world().with_fates("post", &[Fate::NotSent]);
    world.work();
    assert_eq!(world.summary(), "Pending, Ready False Unavailable, Issued False Unavailable, Stalled none");
    assert_eq!(world.effects_for(seconds(5)), "reserve read write post write");
}

#[test]
fn closed_send_window_sends_nothing() {
    let mut world = grant().world();
    while world.log.last().map(String::as_str) != Some("write") {
        world.act(0, Fate::Fine);
    }
    world.act(0, Fate::Fine);
    world.advance(seconds(5));
    assert_eq!(world.effects(), "write");
    assert_eq!((world.history.posts, world.record().intent.as_ref()), (0, None));
    world.run_until(seconds(20));
    assert!(world.is_active());
}

#[test]
fn conflict_restarts_with_another_nonce() {
    let mut world = grant().world();
    while world.log.last().map(String::as_str) != Some("write") {
        world.act(0, Fate::Fine);
    }
    world.touch();
    assert_eq!(world.effects(), "read write post write");
    assert_eq!(world.record().attempts, 1);
}

#[test]
fn intent_with_unknown_write_is_never_sent() {
    let mut world = grant().world().with_fates("write", &[Fate::LostAfter]);
    world.run_until(seconds(10));
    assert!(world.is_active());
    assert_eq!(world.record().attempts, 2);
    assert_eq!(world.history.posts, 3);
}

#[test]
fn outcome_survives_a_conflict() {
    let mut world = grant().world().with_fates("write", &[Fate::Fine]);
    while world.log.last().map(String::as_str) != Some("post") {
        world.act(0, Fate::Fine);
    }
    world.touch();
    world.act(0, Fate::Fine);
    assert_eq!(world.effects(), "write read write");
    assert!(world.is_active());
}

#[test]
fn outcome_survives_an_unknown_write() {
    for fate in [Fate::LostBefore, Fate::LostAfter, Fate::Late(500)] {
        let mut world = grant().world().with_fates("write", &[Fate::Fine, fate]);
        let effects = world.effects_for(seconds(10));
        assert!(!effects.contains("lookup"), "{effects}");
        assert!(world.is_active(), "{fate:?}");
    }
}

#[test]
fn outcome_survives_a_canceled_reconcile() {
    let mut world = grant().world();
    while world.log.last().map(String::as_str) != Some("post") {
        world.act(0, Fate::Fine);
    }
    world.act(0, Fate::Fine);
    world.act(0, Fate::Fine);
    world.cancel(0, true);
    assert_eq!(world.effects(), "read write");
    assert!(world.is_active());
}

#[test]
fn reconcile_canceled_while_sending_is_looked_up() {
    let mut world = grant().world();
    while world.log.last().map(String::as_str) != Some("post") {
        world.act(0, Fate::Fine);
    }
    world.act(0, Fate::Fine);
    world.cancel(0, true);
    assert_eq!(world.effects(), "read lookup write");
    world.run_until(seconds(20));
    assert_eq!((world.is_active(), world.history.posts), (true, 3));
}

#[test]
fn object_deleted_before_its_intent_is_not_issued() {
    let mut world = grant().world();
    while world.log.last().map(String::as_str) != Some("write") {
        world.act(0, Fate::Fine);
    }
    world.delete();
    world.run_until(minutes(5));
    assert_eq!(world.history.posts, 0);
}

#[test]
fn object_being_deleted_is_not_issued() {
    let mut world = grant().world();
    while world.log.last().map(String::as_str) != Some("read") {
        world.act(0, Fate::Fine);
    }
    world.begin_deletion();
    world.run_until(minutes(200));
    assert_eq!(world.summary(), "Pending, Ready False Terminating, Issued False Terminating, Stalled none");
    assert_eq!(world.history.intents.len(), 0);
}

#[test]
fn unknown_outcome_is_resolved_during_deletion() {
    let mut world = grant().world().with_fates("post", &[Fate::LostAfter]);
    world.work();
    world.begin_deletion();
    world.run_until(seconds(30));
    assert_eq!(world.summary(), "Active, Ready True Active, Issued True Active, Stalled none");
    assert_eq!(world.history.posts, 3);
}

#[test]
fn lost_request_is_not_retried_during_deletion() {
    let mut world = grant().world().with_fates("post", &[Fate::LostBefore]);
    world.work();
    world.begin_deletion();
    world.run_until(minutes(5));
    assert_eq!(world.condition("Ready"), "False Terminating");
    assert_eq!((world.history.posts, world.effects_for(minutes(200))), (3, String::new()));
}

#[test]
fn changed_spec_gets_its_own_intent() {
    let mut world = grant().world();
    while world.log.last().map(String::as_str) != Some("read") {
        world.act(0, Fate::Fine);
    }
    world.change_spec();
    world.act(0, Fate::Fine);
    world.act(0, Fate::Fine);
    assert_eq!(world.history.intents.len(), 0);
    world.work();
    assert!(world.history.intents.values().all(|intended| intended.generation == 2));
}

#[test]
fn restart_with_open_intent_looks_it_up() {
    let mut world = grant().world().with_fates("post", &[Fate::LostAfter]);
    world.work();
    world.advance(seconds(60));
    world.crash(0);
    assert_eq!(world.effects(), "read lookup write");
    assert_eq!((world.is_active(), world.history.posts), (true, 3));
}

#[test]
fn restart_restarts_the_quarantine() {
    let mut world = grant().world().with_fates("post", &[Fate::LostBefore]);
    world.run_until(seconds(100));
    world.crash(0);
    world.run_until(seconds(219));
    assert_eq!(world.history.posts, 3);
    world.run_until(seconds(221));
    assert_eq!((world.is_active(), world.history.posts), (true, 6));
}

#[test]
fn wall_clock_ahead_does_not_end_the_quarantine() {
    let mut world = grant().world().with_fates("post", &[Fate::LostBefore]);
    world.work();
    world.crash(0);
    world.replicas[0].skew = 30 * 60 * 1000;
    assert_eq!(world.effects_for(seconds(119)).matches("post").count(), 0);
    world.run_until(seconds(121));
    assert!(world.is_active());
}

#[test]
fn wall_clock_step_back_does_not_stop_retries() {
    let mut world = grant().world().with_fates("post", &[Fate::Rejected]);
    world.work();
    world.replicas[0].skew = -60 * 60 * 1000;
    world.run_until(seconds(5));
    assert!(world.is_active());
}

#[test]
fn persistent_failure_is_retried_every_five_minutes() {
    let mut world = grant().world().with_fates("post", &[Fate::Forbidden; 9]);
    world.run_until(minutes(32));
    assert_eq!(world.condition("Ready"), "False Forbidden");
    world.run_until(minutes(38));
    assert!(world.is_active());
}

#[test]
fn failure_leaves_a_try_before_the_deadline() {
    let mut world = grant().world();
    world.replicas[0].spec.activation_deadline = SignedDuration::from_mins(10);
    let mut world = world.with_fates("post", &[Fate::Forbidden; 4]);
    world.run_until(seconds(589));
    assert_eq!(world.condition("Ready"), "False Forbidden");
    world.run_until(seconds(591));
    assert!(world.is_active());
}

#[test]
fn changed_circumstances_end_the_backoff() {
    let mut world = grant().world().with_fates("post", &[Fate::Forbidden; 4]);
    world.run_until(minutes(8));
    world.replicas[0].spec.circumstances = 1;
    world.act(0, Fate::Fine);
    world.work();
    assert!(world.is_active());
}

#[test]
fn n1_queued_request_is_resolved_again_elsewhere() {
    let mut world = grant().world().with_fates("reserve", &[Fate::RateLimited(60)]);
    world.work();
    "another".clone_into(&mut world.user);
    world.replicas[0].spec.circumstances = 1;
    world.act(0, Fate::Fine);
    world.work();
    assert!(world.is_active(), "it does not wait in the queue of the former API");
    assert!(world.amigo.own().all(|entry| entry.grant.user_id == "another"));
}

#[test]
fn intent_of_another_replica_is_not_sent() {
    let mut world = grant().with_replicas(2).world();
    while world.log.last().map(String::as_str) != Some("post") {
        world.act(0, Fate::Fine);
    }
    world.replicas[1].cache = None;
    for _ in 0..8 {
        world.act(1, Fate::Fine);
    }
    assert_eq!(world.history.posts, 0);
    world.work();
    assert_eq!((world.is_active(), world.history.posts), (true, 3));
}

#[test]
fn concurrent_replicas_issue_once() {
    let mut world = grant().with_replicas(2).world();
    world.run_until(minutes(5));
    assert_eq!((world.is_active(), world.history.posts), (true, 3));
}

#[test]
fn user_id_stays_the_first_resolved() {
    let mut world = grant().world().with_fates("post", &[Fate::Rejected]);
    world.work();
    "another".clone_into(&mut world.user);
    world.crash(0);
    world.run_until(minutes(1));
    assert!(world.amigo.own().all(|entry| entry.grant.user_id == "user"));
}

#[test]
fn open_intent_ends_with_the_grant() {
    let mut world = grant().lasting("PT10M").world().with_fates("post", &[Fate::LostBefore]);
    world.script.insert("lookup", vec![Fate::Rejected; 100].into());
    world.run_until(minutes(11) + seconds(4));
    assert_eq!(world.phase(), Some(Phase::Issuing));
    world.run_until(minutes(11) + seconds(6));
    assert!(world.store.is_none());
}

#[test]
fn lookup_backoff_does_not_delay_expiry() {
    let mut world = grant().lasting("PT3M").kept("PT1H").world().with_fates("post", &[Fate::LostBefore]);
    world.script.insert("lookup", vec![Fate::RateLimited(600); 10].into());
    world.run_until(minutes(3) + seconds(66));
    assert_eq!(world.phase(), Some(Phase::Expired));
    assert_eq!(world.record().expires_at, None);
}

#[test]
fn stale_own_intent_is_not_sent() {
    let mut world = grant().world();
    while world.log.last().map(String::as_str) != Some("write") {
        world.act(0, Fate::Fine);
    }
    world.act(0, Fate::Fine);
    world.cancel(0, true);
    world.advance(seconds(30));
    // The next reconcile starts with an old copy from the cache.
    world.act(0, Fate::Rejected);
    world.work();
    assert_eq!((world.is_active(), world.record().attempts, world.history.posts), (true, 2, 3));
}

#[test]
fn lost_intent_write_causes_no_other_status() {
    let mut world = grant().world().with_fates("write", &[Fate::LostAfter]);
    world.run_until(seconds(30));
    assert_eq!((world.is_active(), world.history.writes), (true, 3));
}
