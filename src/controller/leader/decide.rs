//! The decision about the Lease. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{api::coordination::v1::LeaseSpec, apimachinery::pkg::apis::meta::v1::MicroTime};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Create,
    /// This replica holds it.
    Renew,
    /// No replica holds it, or it expired.
    Take,
    /// Another replica holds it.
    Follow,
}

/// `unchanged_for` is the time since this process first observed the record; `None` if it has observed none before. `ours`
/// is used if the record has no duration.
///
/// A process that just started leaves a free Lease to those that were waiting for it: they are warm.
pub fn decide(lease: Option<&LeaseSpec>, unchanged_for: Option<Duration>, me: &str, ours: Duration) -> Decision {
    let Some(lease) = lease else { return Decision::Create };
    match lease.holder_identity.as_deref() {
        None | Some("") if unchanged_for.is_none() => Decision::Follow,
        None | Some("") => Decision::Take,
        Some(holder) if holder == me => Decision::Renew,
        Some(_) if unchanged_for.unwrap_or_default() >= duration_of(lease).unwrap_or(ours) => Decision::Take,
        Some(_) => Decision::Follow,
    }
}

/// The record of a leader. Its times are informational: no replica compares them.
pub fn claim(lease: Option<&LeaseSpec>, me: &str, duration: Duration, now: Timestamp) -> LeaseSpec {
    let mut claim = lease.cloned().unwrap_or_default();
    if claim.holder_identity.as_deref() != Some(me) {
        claim.acquire_time = Some(MicroTime(now));
        claim.lease_transitions = Some(lease.map_or(0, |lease| lease.lease_transitions.unwrap_or(0).saturating_add(1)));
    }
    claim.holder_identity = Some(me.to_owned());
    claim.lease_duration_seconds = Some(whole_seconds(duration));
    claim.renew_time = Some(MicroTime(now));
    claim
}

/// The record after a release: another replica may take it at once.
pub fn release(lease: &LeaseSpec, now: Timestamp) -> LeaseSpec {
    LeaseSpec {
        holder_identity: Some(String::new()),
        lease_duration_seconds: Some(1),
        renew_time: Some(MicroTime(now)),
        ..lease.clone()
    }
}

/// Whether the last leader led for less than a minute, by its own clock.
pub fn led_briefly(lease: &LeaseSpec) -> bool {
    let times = lease.acquire_time.as_ref().zip(lease.renew_time.as_ref());
    times.is_some_and(|(acquired, renewed)| acquired.0.duration_until(renewed.0) < SignedDuration::from_mins(1))
}

fn duration_of(lease: &LeaseSpec) -> Option<Duration> {
    let seconds = u64::try_from(lease.lease_duration_seconds?).ok()?;
    Some(Duration::from_secs(seconds))
}

/// Rounded up: followers must not wait for less than the leader's own duration.
fn whole_seconds(duration: Duration) -> i32 {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Duration = Duration::from_secs(15);

    fn held_by(holder: &str, seconds: i32) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(holder.into()),
            lease_duration_seconds: Some(seconds),
            lease_transitions: Some(3),
            ..LeaseSpec::default()
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn each_lease_has_its_decision() {
        let nameless = LeaseSpec { holder_identity: None, ..held_by("", 15) };
        let endless = LeaseSpec { lease_duration_seconds: None, ..held_by("other", 0) };
        let table = [
            (None, 0, Decision::Create),
            (Some(nameless), 0, Decision::Take),
            (Some(held_by("", 1)), 0, Decision::Take),
            (Some(held_by("me", 15)), 0, Decision::Renew),
            (Some(held_by("me", 15)), 99, Decision::Renew),
            (Some(held_by("other", 15)), 0, Decision::Follow),
            (Some(held_by("other", 15)), 14, Decision::Follow),
            (Some(held_by("other", 15)), 15, Decision::Take),
            (Some(held_by("other", 60)), 59, Decision::Follow),
            (Some(endless.clone()), 14, Decision::Follow),
            (Some(endless), 15, Decision::Take),
        ];
        for (lease, seconds, expected) in table {
            let decision = decide(lease.as_ref(), Some(Duration::from_secs(seconds)), "me", OURS);
            assert_eq!(decision, expected, "{lease:?} unchanged for {seconds} s");
        }
    }

    #[test]
    fn wall_clock_times_in_the_record_are_ignored() {
        let long_ago = LeaseSpec { renew_time: Some(MicroTime(at(0))), ..held_by("other", 15) };
        assert_eq!(decide(Some(&long_ago), Some(Duration::ZERO), "me", OURS), Decision::Follow);
    }

    #[test]
    fn takeover_counts_a_transition_and_renewal_does_not() {
        let taken = claim(Some(&held_by("other", 15)), "me", OURS, at(10));
        assert_eq!((taken.lease_transitions, taken.acquire_time.clone()), (Some(4), Some(MicroTime(at(10)))));
        let renewed = claim(Some(&taken), "me", OURS, at(20));
        assert_eq!((renewed.lease_transitions, renewed.acquire_time), (Some(4), Some(MicroTime(at(10)))));
        assert_eq!(renewed.renew_time, Some(MicroTime(at(20))));
    }

    #[test]
    fn brief_leader_is_known_by_its_own_clock() {
        let led = |seconds: i64| {
            let times = (Some(MicroTime(at(10))), Some(MicroTime(at(10 + seconds))));
            led_briefly(&LeaseSpec { acquire_time: times.0, renew_time: times.1, ..held_by("other", 15) })
        };
        assert_eq!((led(0), led(59), led(60), led_briefly(&held_by("other", 15))), (true, true, false, false));
    }

    #[test]
    fn fractions_of_a_second_are_rounded_up() {
        let claim = claim(None, "me", Duration::from_millis(1_200), at(0));
        assert_eq!((claim.lease_duration_seconds, claim.lease_transitions), (Some(2), Some(0)));
    }

    #[test]
    fn released_lease_is_free_at_once() {
        let released = release(&held_by("me", 15), at(10));
        assert_eq!(decide(Some(&released), Some(Duration::ZERO), "other", OURS), Decision::Take);
        assert_eq!((released.lease_duration_seconds, released.lease_transitions), (Some(1), Some(3)));
    }

    #[test]
    fn new_replica_leaves_a_free_lease_to_warm_ones() {
        let released = release(&held_by("me", 15), at(10));
        assert_eq!(decide(Some(&released), None, "new", OURS), Decision::Follow);
        assert_eq!(decide(None, None, "new", OURS), Decision::Create);
    }
}
