//! Three replicas under load, faults and kills: `make soak`.
//!
//! For `SOAK_MINUTES` (20) people create a thousand grants and a hundred roles with short lives. Amigo fails one request in
//! twenty, before or after it acted. Replicas are killed and stopped at random. The rate limits are lifted, because the
//! documented ones would spread this load over hours. `AMIGO_SOAK_SEED` repeats the schedule and the faults.

#![expect(clippy::print_stdout, reason = "figures are for whoever runs this")]

use std::{collections::BTreeMap, env, time::Duration};

use amigo_api::Phase;
use amigo_sandbox::{Effect, Fault, Operation};
use kube::{ResourceExt as _, api::ListParams};
use serde_json::{Value, json};
use test_support::{Limits, TestEnv, allow_short_leases, create, operator_process::OperatorProcess, phase, role};
use tokio::time::{Instant, sleep, sleep_until};

use schedule::{Event, REPLICAS, Request, schedule};
use verdict::{Seen, violations};

mod schedule;
mod verdict;

const SECOND: Duration = Duration::from_secs(1);
/// The share of Amigo's responses that are faulty.
const FAULTY: f64 = 0.05;
/// How many times the memory at three quarters of the load a replica may have at its end.
const GROWTH: f64 = 1.3;
/// The longest life, and time to recover.
const DRAIN: Duration = Duration::from_mins(5);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes long: make soak"]
async fn replicas_survive_load_faults_and_kills() {
    let seed = env::var("AMIGO_SOAK_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().expect("a number"));
    let minutes = env::var("SOAK_MINUTES").map_or(20, |minutes| minutes.parse().expect("a number of minutes"));
    let repeat = format!("AMIGO_SOAK_SEED={seed} SOAK_MINUTES={minutes}");
    println!("{repeat}");
    let events = schedule(seed, Duration::from_mins(minutes));
    let requests = schedule::requests(&events);
    let mut soak = Soak::start(seed).await;
    soak.run(events).await;
    soak.drain().await;
    let mut found = violations(&soak.env.sandbox().journal(), &soak.seen, &requests);
    found.extend(soak.left_behind().await);
    found.extend(soak.grown());
    soak.print_figures();
    assert!(found.is_empty(), "{repeat}:\n{}", found.join("\n"));
}

struct Soak {
    env: TestEnv,
    replicas: Vec<Option<OperatorProcess>>,
    /// Stopped gently; they end by themselves.
    stopping: Vec<OperatorProcess>,
    /// How often a replica was killed, was stopped, or ended by itself because it lost the lead.
    ends: BTreeMap<&'static str, u32>,
    /// By replica, its start, and whether it led: its resident memory in KiB at each measurement.
    memory: BTreeMap<(usize, Instant, bool), Vec<u64>>,
    seen: Seen,
    last_look: Instant,
}

impl Soak {
    async fn start(seed: u64) -> Self {
        let builder = TestEnv::builder("soak").kinds().sandbox(Limits::Lifted, |_| ()).random_seed(seed);
        let env = builder.exclusive().start().await;
        allow_short_leases(&env.client).await;
        env.connect("roles: {resyncInterval: PT30S}").await;
        for fault in faults() {
            env.sandbox().add_fault(fault);
        }
        let replicas = (0..REPLICAS).map(|_| Some(replica(&env))).collect();
        let (stopping, ends, memory) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        Self { env, replicas, stopping, ends, memory, seen: Seen::new(), last_look: Instant::now() }
    }

    async fn run(&mut self, events: Vec<(Duration, Event)>) {
        let began = Instant::now();
        for (at, event) in events {
            self.watch_until(began + at).await;
            self.perform(event).await;
        }
    }

    /// Looks at the objects and replicas once a second.
    async fn watch_until(&mut self, until: Instant) {
        loop {
            if self.last_look.elapsed() >= SECOND {
                self.last_look = Instant::now();
                self.look().await;
            }
            if Instant::now() >= until {
                return;
            }
            sleep_until(until.min(self.last_look + SECOND)).await;
        }
    }

    async fn look(&mut self) {
        for grant in self.env.list().await {
            self.seen.insert(grant.name_any(), grant.status.unwrap_or_default());
        }
        for process in self.replicas.iter_mut().flatten() {
            if process.exited().is_some() {
                // The kubelet starts a container again.
                *self.ends.entry("by itself").or_default() += 1;
                *process = replica(&self.env);
            }
        }
    }

    async fn perform(&mut self, event: Event) {
        let env = &self.env;
        match event {
            Event::CreateGrant(name, request) => {
                create(&env.grants(), manifest(env, &name, request)).await;
            }
            Event::DeleteGrant(name) => env.delete("tpg", &name).await,
            Event::CreateRole(name) => {
                env.apply(&role(&name, "  deletionPolicy: Disable")).await;
            }
            Event::ChangeRole(name) => {
                let own_organization = json!({"org_id": {"type": "Equals", "value": "{self_org_id}"}});
                let grants =
                    json!([{"permissionName": "Conversation:GetConversation", "conditions": own_organization}]);
                env.patch("amrole", &name, json!({"spec": {"description": "Changed", "permissionGrants": grants}}))
                    .await;
            }
            Event::DeleteRole(name) => env.delete("amrole", &name).await,
            Event::Stop { replica, gently } => self.stop(replica, gently),
            Event::Start { replica: index } => self.replicas[index] = Some(replica(&self.env)),
            Event::MeasureMemory => self.measure_memory().await,
        }
    }

    fn stop(&mut self, replica: usize, gently: bool) {
        let Some(mut process) = self.replicas[replica].take() else { return };
        *self.ends.entry(if gently { "stopped" } else { "killed" }).or_default() += 1;
        if process.exited().is_none() && gently {
            process.terminate();
            self.stopping.push(process);
        }
    }

    async fn measure_memory(&mut self) {
        for (index, process) in self.replicas.iter().enumerate() {
            let Some(process) = process else { continue };
            let key = (index, process.started, process.leads().await);
            self.memory.entry(key).or_default().push(process.memory().resident);
        }
    }

    /// Without faults, everything ends.
    async fn drain(&mut self) {
        self.env.sandbox().clear_faults();
        let deadline = Instant::now() + DRAIN;
        while !self.left_behind().await.is_empty() && Instant::now() < deadline {
            self.look().await;
            sleep(SECOND).await;
        }
    }

    /// Objects that should be gone, and access without an object.
    async fn left_behind(&self) -> Vec<String> {
        let grants = self.env.list().await.into_iter().filter(|grant| phase(grant) != Some(Phase::Failed));
        let grants = grants.map(|grant| format!("grant {} is left: {:?}", grant.name_any(), grant.status));
        let roles = self.env.api("amrole").list(&ListParams::default()).await.expect("a list").items;
        let roles = roles.into_iter().map(|role| format!("role {} is left: {:?}", role.name_any(), role.data));
        let live = self.env.sandbox().live_grants("acme").into_iter().map(|grant| format!("access is left: {grant:?}"));
        let remote = self.env.sandbox().roles("acme").into_iter();
        let remote = remote.filter(|role| role.name.starts_with("role-") && !role.permission_grants.is_empty());
        let remote = remote.map(|role| format!("role {} still allows something", role.name));
        grants.chain(roles).chain(live).chain(remote).collect()
    }

    /// Replicas with more memory at the end of the load.
    fn grown(&self) -> Vec<String> {
        #[expect(clippy::cast_precision_loss, reason = "a process has less than an exabyte")]
        let has_grown = |memory: &[u64]| memory.len() == 2 && memory[1] as f64 > memory[0] as f64 * GROWTH;
        let grown = self.memory.iter().filter(|(_, memory)| has_grown(memory));
        let mut grown: Vec<_> =
            grown.map(|((replica, ..), memory)| format!("memory of replica {replica} grew: {memory:?} KiB")).collect();
        if !self.memory.values().any(|memory| memory.len() == 2) {
            grown.push("no replica kept its part long enough to measure its memory".to_owned());
        }
        grown
    }

    fn print_figures(&self) {
        let requests = self.env.sandbox().requests();
        let failed = self.seen.values().filter(|status| status.phase == Some(Phase::Failed)).count();
        println!("records: {}, requests: {}", self.env.issued().len(), requests.total());
        println!("grant requests: {}", requests.count(Operation::CreateTemporaryPermissionGrant));
        println!("grants with a named failure: {failed}");
        println!("replicas that ended: {:?}", self.ends);
        println!("memory in KiB: {:?}", self.memory.values().collect::<Vec<_>>());
    }
}

fn replica(env: &TestEnv) -> OperatorProcess {
    // A lease of 3 s runs out on a busy machine. Then each leader is too brief to end a quarantine.
    env.operator(&["--sweep-interval=10s", "--lease-duration=10s"])
}

fn manifest(env: &TestEnv, name: &str, request: Request) -> Value {
    let mut manifest = env.grant_manifest(name, request.permissions, &format!("PT{}S", request.seconds));
    if let Some(within) = request.revoke_within {
        manifest["spec"]["revokeWithin"] = json!(within);
    }
    manifest
}

/// Every way a response can be faulty, each equally often.
fn faults() -> Vec<Fault> {
    let limited = Effect::Status { status: 429, retry_after: Some("1".to_owned()), body: None };
    let before = [Effect::status(500), Effect::status(503), limited, Effect::Drop, Effect::Delay { milliseconds: 500 }];
    let after = [Effect::status(502), Effect::Drop, Effect::CutBody];
    let fault = |effect| Fault { operation: None, ..Fault::new(Operation::GetRoles, effect) }.times(None);
    let faults: Vec<_> =
        before.into_iter().map(fault).chain(after.into_iter().map(|effect| fault(effect).after_commit())).collect();
    let count = u32::try_from(faults.len()).expect("few");
    faults.into_iter().map(|fault| fault.with_probability(FAULTY / f64::from(count))).collect()
}
