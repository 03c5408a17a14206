//! What happens when: a function of a seed and a time.

use std::{collections::BTreeMap, time::Duration};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};

pub const GRANTS: usize = 1000;
pub const ROLES: usize = 100;
pub const REPLICAS: usize = 3;

/// Short lives. One lost attempt leaves too little of a minute to try again, so some requests of a minute fail.
const LIVES: [Request; 5] = [
    Request { seconds: 60, permissions: 1, revoke_within: None },
    Request { seconds: 90, permissions: 2, revoke_within: None },
    Request { seconds: 120, permissions: 1, revoke_within: None },
    Request { seconds: 120, permissions: 3, revoke_within: None },
    // One renewal.
    Request { seconds: 180, permissions: 1, revoke_within: Some("PT2M") },
];

/// What a grant asks for.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    pub seconds: u32,
    pub permissions: usize,
    pub revoke_within: Option<&'static str>,
}

#[derive(Clone, Debug)]
pub enum Event {
    CreateGrant(String, Request),
    DeleteGrant(String),
    CreateRole(String),
    ChangeRole(String),
    DeleteRole(String),
    /// Gently, as the kubelet stops a pod, or not.
    Stop {
        replica: usize,
        gently: bool,
    },
    Start {
        replica: usize,
    },
    MeasureMemory,
}

/// The events of a load that lasts so long, in order. Replicas stop in its first two thirds. Then their memory is measured
/// twice, with a quarter of the load between.
pub fn schedule(seed: u64, load: Duration) -> Vec<(Duration, Event)> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut events = Vec::new();
    for index in 0..GRANTS {
        let at = load.mul_f64(random.random());
        let (name, request) = (format!("grant-{index:04}"), *LIVES.choose(&mut random).expect("not empty"));
        events.push((at, Event::CreateGrant(name.clone(), request)));
        if random.random_bool(0.1) {
            events.push((at + seconds(&mut random, 1.0, 30.0), Event::DeleteGrant(name)));
        }
    }
    for index in 0..ROLES {
        let (created, name) = (load.mul_f64(random.random()), format!("role-{index:03}"));
        let changed = created + seconds(&mut random, 1.0, 20.0);
        let deleted = changed + seconds(&mut random, 1.0, 40.0);
        events.push((created, Event::CreateRole(name.clone())));
        events.push((changed, Event::ChangeRole(name.clone())));
        events.push((deleted, Event::DeleteRole(name)));
    }
    for replica in 0..REPLICAS {
        stops(replica, load * 2 / 3, &mut random, &mut events);
    }
    events.push((load * 3 / 4, Event::MeasureMemory));
    events.push((load, Event::MeasureMemory));
    events.sort_by_key(|(at, _)| *at);
    events
}

fn stops(replica: usize, until: Duration, random: &mut StdRng, events: &mut Vec<(Duration, Event)>) {
    let mut at = seconds(random, 10.0, 90.0);
    while at < until {
        events.push((at, Event::Stop { replica, gently: random.random_bool(0.25) }));
        let started = at + seconds(random, 0.0, 8.0);
        events.push((started, Event::Start { replica }));
        at = started + seconds(random, 10.0, 90.0);
    }
}

fn seconds(random: &mut StdRng, least: f64, most: f64) -> Duration {
    Duration::from_secs_f64(random.random_range(least..most))
}

/// The requests of a schedule, by name, and whether somebody deletes them early.
pub fn requests(events: &[(Duration, Event)]) -> BTreeMap<String, (Request, bool)> {
    let deleted =
        |name: &String| events.iter().any(|(_, event)| matches!(event, Event::DeleteGrant(one) if one == name));
    let requested = events.iter().filter_map(|(_, event)| match event {
        Event::CreateGrant(name, request) => Some((name.clone(), (*request, deleted(name)))),
        _ => None,
    });
    requested.collect()
}

#[test]
fn schedule_repeats_with_its_seed() {
    let events = |seed| format!("{:?}", schedule(seed, Duration::from_mins(10)));
    assert_eq!(events(1), events(1));
    assert_ne!(events(1), events(2));
}
