//! Stories of answers lost, requests refused, writes in doubt, and processes that end.

use amigo_api::Phase;
use jiff::SignedDuration;

use super::{
    amigo::Fate,
    fixtures::{grant, minutes, seconds},
};

#[test]
fn a_lost_answer_is_found_and_taken_over() {
    let mut world = grant().world().meeting("post", &[Fate::LostAfter]);
    assert_eq!(world.effects(), "resolve reserve read write post write");
    assert_eq!(world.summary(), "Issuing, Ready Unknown OutcomeUnknown, Issued Unknown OutcomeUnknown, Stalled none");
    assert_eq!(world.effects_for(seconds(15)), "read lookup write");
    assert!(world.is_active());
    assert_eq!(world.ledger.posts, 3);
}

#[test]
fn a_lost_request_is_repeated_only_after_the_quarantine() {
    let mut world = grant().world().meeting("post", &[Fate::LostBefore]);
    world.work();
    let before = world.effects_for(seconds(119));
    assert!(!before.contains("post"), "{before}");
    assert_eq!(world.effects_for(seconds(1)), "read lookup reserve write post write");
    assert_eq!(world.asked(), ["PT1H58M"; 3]);
    assert_eq!(world.record().attempts, 2);
}

#[test]
fn a_retry_keeps_to_the_committed_end_whatever_the_default_has_become() {
    let mut world = grant().world().meeting("post", &[Fate::Mixed]);
    world.work();
    world.replicas[0].spec.duration = SignedDuration::from_hours(24);
    world.replicas[0].spec.duration_text = "P1D".to_owned();
    world.run_until(seconds(30));
    assert_eq!(world.asked()[2], "PT1H59M57S");
}

#[test]
fn a_late_commit_is_found() {
    let mut world = grant().world().meeting("post", &[Fate::Late(60_000)]);
    world.run_until(seconds(125));
    assert!(world.is_active());
    assert_eq!(world.ledger.posts, 3);
}

#[test]
fn after_a_partial_refusal_only_the_missing_are_asked_for() {
    let mut world = grant().world().meeting("post", &[Fate::Mixed]);
    world.work();
    assert_eq!(world.summary(), "Active, Ready False PartiallyIssued, Issued False Unavailable, Stalled none");
    world.run_until(seconds(30));
    assert_eq!(world.condition("Ready"), "True Active");
    assert_eq!(world.ledger.posts, 4);
    assert_eq!(world.asked()[2], "PT1H59M57S");
}

#[test]
fn a_permanent_refusal_fails_for_good() {
    let mut world = grant().world().meeting("post", &[Fate::Hopeless]);
    assert_eq!(world.effects(), "resolve reserve read write post write");
    assert_eq!(world.summary(), "Failed, Ready False Refused, Issued False Refused, Stalled True Refused");
    assert_eq!(world.effects_for(minutes(500)), "");
}

#[test]
fn what_cannot_be_resolved_for_good_fails_for_good() {
    let mut world = grant().world().meeting("resolve", &[Fate::Hopeless]);
    assert_eq!(world.effects(), "resolve write");
    assert_eq!(world.phase(), Some(Phase::Failed));
}

#[test]
fn a_permission_refused_for_good_does_not_stop_the_others() {
    let mut world = grant().world().meeting("post", &[Fate::InconsistentPages]);
    world.work();
    assert_eq!(world.summary(), "Issuing, Ready Unknown OutcomeUnknown, Issued Unknown OutcomeUnknown, Stalled none");
    world.run_until(minutes(2));
    assert_eq!(world.condition("Ready"), "True Active");
}

#[test]
fn the_server_says_when_to_come_back() {
    let mut world = grant().world().meeting("post", &[Fate::Limited(40)]);
    world.work();
    assert_eq!(world.condition("Ready"), "False RateLimited");
    assert_eq!(world.effects_for(seconds(39)), "");
    assert_eq!(world.effects_for(seconds(1)), "reserve read write post write");
}

#[test]
fn the_listing_is_not_asked_before_the_server_allows_it() {
    let mut world = grant().world().meeting("post", &[Fate::LostAfter]).meeting("lookup", &[Fate::Limited(90)]);
    world.run_until(seconds(15));
    assert_eq!(world.effects_for(seconds(89)), "");
    assert_eq!(world.effects_for(seconds(1)), "read lookup write");
}

#[test]
fn a_refused_key_stalls_and_is_tried_again_rarely() {
    let mut world = grant().world().meeting("post", &[Fate::Forbidden]);
    world.work();
    assert_eq!(world.condition("Stalled"), "True Forbidden");
    assert_eq!(world.effects_for(seconds(59)), "");
    world.run_until(minutes(2));
    assert_eq!(world.summary(), "Active, Ready True Active, Issued True Active, Stalled none");
}

#[test]
fn what_was_never_sent_is_closed_at_once() {
    let mut world = grant().world().meeting("post", &[Fate::NotSent]);
    world.work();
    assert_eq!(world.summary(), "Pending, Ready False Unavailable, Issued False Unavailable, Stalled none");
    assert_eq!(world.effects_for(seconds(5)), "reserve read write post write");
}

#[test]
fn nothing_is_sent_when_the_window_has_closed() {
    let mut world = grant().world();
    while world.log.last().map(String::as_str) != Some("write") {
        world.act(0, Fate::Fine);
    }
    world.act(0, Fate::Fine);
    world.advance(seconds(5));
    assert_eq!(world.effects(), "write");
    assert_eq!((world.ledger.posts, world.record().intent.as_ref()), (0, None));
    world.run_until(seconds(20));
    assert!(world.is_active());
}

#[test]
fn a_conflict_means_start_over_with_another_nonce() {
    let mut world = grant().world();
    while world.log.last().map(String::as_str) != Some("write") {
        world.act(0, Fate::Fine);
    }
    world.touch();
    assert_eq!(world.effects(), "read write post write");
    assert_eq!(world.record().attempts, 1);
}

#[test]
fn an_intent_whose_write_is_in_doubt_is_never_sent() {
    let mut world = grant().world().meeting("write", &[Fate::LostAfter]);
    world.run_until(seconds(10));
    assert!(world.is_active());
    assert_eq!(world.record().attempts, 2);
    assert_eq!(world.ledger.posts, 3);
}

#[test]
fn an_outcome_survives_a_conflict() {
    let mut world = grant().world().meeting("write", &[Fate::Fine]);
    while world.log.last().map(String::as_str) != Some("post") {
        world.act(0, Fate::Fine);
    }
    world.touch();
    world.act(0, Fate::Fine);
    assert_eq!(world.effects(), "write read write");
    assert!(world.is_active());
}

#[test]
fn an_outcome_survives_a_write_in_doubt() {
    for fate in [Fate::LostBefore, Fate::LostAfter, Fate::Late(500)] {
        let mut world = grant().world().meeting("write", &[Fate::Fine, fate]);
        let effects = world.effects_for(seconds(10));
        assert!(!effects.contains("lookup"), "{effects}");
        assert!(world.is_active(), "{fate:?}");
    }
}

#[test]
fn an_outcome_survives_a_pass_cut_short() {
    let mut world = grant().world();
    while world.log.last().map(String::as_str) != Some("post") {
        world.act(0, Fate::Fine);
    }
    world.act(0, Fate::Fine);
    world.act(0, Fate::Fine);
    world.cut_short(0, true);
    assert_eq!(world.effects(), "read write");
    assert!(world.is_active());
}

#[test]
fn a_pass_cut_short_while_sending_leaves_the_question_open() {
    let mut world = grant().world();
    while world.log.last().map(String::as_str) != Some("post") {
        world.act(0, Fate::Fine);
    }
    world.act(0, Fate::Fine);
    world.cut_short(0, true);
    assert_eq!(world.effects(), "read lookup write");
    world.run_until(seconds(20));
    assert_eq!((world.is_active(), world.ledger.posts), (true, 3));
}

#[test]
fn an_object_deleted_before_the_intent_is_never_issued() {
    let mut world = grant().world();
    while world.log.last().map(String::as_str) != Some("write") {
        world.act(0, Fate::Fine);
    }
    world.delete();
    world.run_until(minutes(5));
    assert_eq!(world.ledger.posts, 0);
}

#[test]
fn an_object_that_is_being_deleted_is_not_issued() {
    let mut world = grant().world();
    while world.log.last().map(String::as_str) != Some("read") {
        world.act(0, Fate::Fine);
    }
    world.begin_deletion();
    world.run_until(minutes(200));
    assert_eq!(world.summary(), "Pending, Ready False Deleting, Issued False Deleting, Stalled none");
    assert_eq!(world.ledger.intents.len(), 0);
}

#[test]
fn an_open_question_is_answered_although_the_object_is_being_deleted() {
    let mut world = grant().world().meeting("post", &[Fate::LostAfter]);
    world.work();
    world.begin_deletion();
    world.run_until(seconds(30));
    assert_eq!(world.summary(), "Active, Ready True Active, Issued True Active, Stalled none");
    assert_eq!(world.ledger.posts, 3);
}

#[test]
fn what_was_not_created_is_not_asked_again_once_the_object_is_being_deleted() {
    let mut world = grant().world().meeting("post", &[Fate::LostBefore]);
    world.work();
    world.begin_deletion();
    world.run_until(minutes(5));
    assert_eq!(world.condition("Ready"), "False Deleting");
    assert_eq!((world.ledger.posts, world.effects_for(minutes(200))), (3, String::new()));
}

#[test]
fn nothing_is_issued_for_another_spec() {
    let mut world = grant().world();
    while world.log.last().map(String::as_str) != Some("read") {
        world.act(0, Fate::Fine);
    }
    world.change_spec();
    world.act(0, Fate::Fine);
    world.act(0, Fate::Fine);
    assert_eq!(world.ledger.intents.len(), 0);
    world.work();
    assert!(world.ledger.intents.values().all(|intended| intended.generation == 2));
}

#[test]
fn a_restart_with_an_open_intent_asks_the_listing() {
    let mut world = grant().world().meeting("post", &[Fate::LostAfter]);
    world.work();
    world.advance(seconds(60));
    world.crash(0);
    assert_eq!(world.effects(), "read lookup write");
    assert_eq!((world.is_active(), world.ledger.posts), (true, 3));
}

#[test]
fn a_restart_begins_the_quarantine_anew() {
    let mut world = grant().world().meeting("post", &[Fate::LostBefore]);
    world.run_until(seconds(100));
    world.crash(0);
    world.run_until(seconds(219));
    assert_eq!(world.ledger.posts, 3);
    world.run_until(seconds(221));
    assert_eq!((world.is_active(), world.ledger.posts), (true, 6));
}

#[test]
fn a_crash_loop_ends_the_quarantine_by_age() {
    let mut world = grant().world().meeting("post", &[Fate::LostBefore]);
    world.work();
    for _ in 0..12 {
        world.run_until(world.now + seconds(59));
        world.crash(0);
    }
    assert_eq!(world.ledger.posts, 3);
    world.run_until(seconds(725));
    assert!(world.is_active());
}

#[test]
fn another_replicas_intent_is_left_to_it() {
    let mut world = grant().with_replicas(2).world();
    while world.log.last().map(String::as_str) != Some("post") {
        world.act(0, Fate::Fine);
    }
    world.replicas[1].cache = None;
    for _ in 0..8 {
        world.act(1, Fate::Fine);
    }
    assert_eq!(world.ledger.posts, 0);
    world.work();
    assert_eq!((world.is_active(), world.ledger.posts), (true, 3));
}

#[test]
fn two_replicas_at_once_issue_once() {
    let mut world = grant().with_replicas(2).world();
    world.run_until(minutes(5));
    assert_eq!((world.is_active(), world.ledger.posts), (true, 3));
}

#[test]
fn the_user_stays_the_one_first_resolved() {
    let mut world = grant().world().meeting("post", &[Fate::Refused]);
    world.work();
    "another".clone_into(&mut world.user);
    world.crash(0);
    world.run_until(minutes(1));
    assert!(world.amigo.ours().all(|entry| entry.found.user_id == "user"));
}

#[test]
fn the_question_is_dropped_when_the_time_is_over() {
    let mut world = grant().lasting("PT10M").world().meeting("post", &[Fate::LostBefore]);
    world.script.insert("lookup", vec![Fate::Refused; 100].into());
    world.run_until(minutes(11) + seconds(4));
    assert_eq!(world.phase(), Some(Phase::Issuing));
    world.run_until(minutes(11) + seconds(6));
    assert!(world.store.is_none());
}

#[test]
fn a_lookup_backing_off_does_not_sleep_past_the_end() {
    let mut world = grant().lasting("PT3M").kept("PT1H").world().meeting("post", &[Fate::LostBefore]);
    world.script.insert("lookup", vec![Fate::Limited(600); 10].into());
    world.run_until(minutes(3) + seconds(66));
    assert_eq!(world.phase(), Some(Phase::Expired));
    assert_eq!(world.record().expires_at, None);
}

#[test]
fn an_own_intent_seen_again_late_is_not_sent() {
    let mut world = grant().world();
    while world.log.last().map(String::as_str) != Some("write") {
        world.act(0, Fate::Fine);
    }
    world.act(0, Fate::Fine);
    world.cut_short(0, true);
    world.advance(seconds(30));
    // The next pass begins with an old copy from the cache.
    world.act(0, Fate::Refused);
    world.work();
    assert_eq!((world.is_active(), world.record().attempts, world.ledger.posts), (true, 2, 3));
}
