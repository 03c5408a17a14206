//! Fault injection.

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde::{Deserialize, Serialize};

use super::operation::Operation;

/// An injected fault: which requests it affects, when, and how.
///
/// As JSON: `{"operation": "create-role", "when": "AfterCommit", "effect": {"type": "Status", "status": 500}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The affected operation. Default: all operations.
    #[serde(default)]
    pub operation: Option<Operation>,
    /// How many matching requests to leave alone first. Default: 0.
    #[serde(default)]
    pub skip: u32,
    /// How many requests to affect; null means all. Default: 1.
    #[serde(default = "once")]
    pub times: Option<u32>,
    /// The share of the matching requests to affect, from 0 to 1. Equal random seeds of the sandbox choose the same
    /// requests. Default: 1.
    #[serde(default = "always")]
    pub probability: f64,
    /// Whether the request commits first. Default: `BeforeCommit`.
    #[serde(default)]
    pub when: When,
    pub effect: Effect,
}

/// Whether a request commits before the effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum When {
    /// The request does not commit. Only a delay lets it continue.
    #[default]
    BeforeCommit,
    /// The request commits and the journal records it, but its response is lost.
    AfterCommit,
}

/// The effect of a fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum Effect {
    /// Returns a status.
    Status {
        /// 100 to 999.
        status: u16,
        /// The `Retry-After` header.
        #[serde(default)]
        retry_after: Option<String>,
        /// The JSON body. Default: a `detail` text.
        #[serde(default)]
        body: Option<serde_json::Value>,
    },
    /// Waits, then continues.
    Delay { milliseconds: u64 },
    /// Closes the connection without a response. A request within the process receives a response whose body fails.
    Drop,
    /// Never responds.
    Hang,
    /// Returns 307.
    Redirect {
        /// The `Location` header.
        location: String,
    },
    /// Returns 200 with a huge JSON body.
    HugeBody {
        /// The size of the body. Default: 10 MB.
        #[serde(default = "huge")]
        bytes: usize,
    },
    /// Returns 200 with content type JSON and a body that is not JSON.
    MalformedBody,
    /// Sends half of a response, then closes the connection.
    CutBody,
}

#[expect(clippy::unnecessary_wraps, reason = "serde expects the type of the field")]
fn once() -> Option<u32> {
    Some(1)
}

fn always() -> f64 {
    1.0
}

fn huge() -> usize {
    10_000_000
}

impl Fault {
    /// A fault that affects the next request of `operation`, before it commits.
    #[must_use]
    pub fn new(operation: Operation, effect: Effect) -> Self {
        Self { operation: Some(operation), skip: 0, times: Some(1), probability: 1.0, when: When::BeforeCommit, effect }
    }

    /// Lets the request commit, so that only its response is lost.
    #[must_use]
    pub fn after_commit(self) -> Self {
        Self { when: When::AfterCommit, ..self }
    }

    /// Sets how many requests to affect; `None` means all.
    #[must_use]
    pub fn times(self, times: Option<u32>) -> Self {
        Self { times, ..self }
    }

    /// Sets the share of the matching requests to affect.
    #[must_use]
    pub fn with_probability(self, probability: f64) -> Self {
        Self { probability, ..self }
    }

    /// Sets how many matching requests to leave alone first.
    #[must_use]
    pub fn skipping(self, skip: u32) -> Self {
        Self { skip, ..self }
    }
}

impl Effect {
    /// Returns a status with the default body.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Status { status, retry_after: None, body: None }
    }
}

/// The faults that still apply to future requests.
#[derive(Debug)]
pub(super) struct Faults {
    pending: Vec<Fault>,
    random: StdRng,
}

impl Faults {
    pub(super) fn new(random_seed: u64) -> Self {
        Self { pending: Vec::new(), random: StdRng::seed_from_u64(random_seed) }
    }

    pub(super) fn add(&mut self, fault: Fault) {
        self.pending.push(fault);
    }

    pub(super) fn clear(&mut self) {
        self.pending.clear();
    }

    pub(super) fn pending(&self) -> &[Fault] {
        &self.pending
    }

    /// Takes the faults for one request of `operation`, in the order of their addition.
    pub(super) fn take(&mut self, operation: Operation) -> Vec<Fault> {
        let mut hits = Vec::new();
        for fault in &mut self.pending {
            if fault.operation.is_some_and(|wanted| wanted != operation) || fault.times == Some(0) {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            if fault.probability < 1.0 && self.random.random::<f64>() >= fault.probability {
                continue;
            }
            fault.times = fault.times.map(|times| times - 1);
            hits.push(fault.clone());
        }
        self.pending.retain(|fault| fault.times != Some(0));
        hits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: Operation = Operation::CreateRole;

    fn faults(fault: Fault) -> Faults {
        let mut faults = Faults::new(7);
        faults.add(fault);
        faults
    }

    fn hits(faults: &mut Faults, requests: usize) -> Vec<bool> {
        (0..requests).map(|_| !faults.take(ROLE).is_empty()).collect()
    }

    #[test]
    fn fault_applies_once_by_default() {
        let mut once = faults(Fault::new(ROLE, Effect::Drop));
        assert_eq!(hits(&mut once, 2), [true, false]);
        assert!(once.pending().is_empty());
    }

    #[test]
    fn fault_applies_after_skipped_requests() {
        let mut second_and_third = faults(Fault::new(ROLE, Effect::Drop).skipping(1).times(Some(2)));
        assert_eq!(hits(&mut second_and_third, 4), [false, true, true, false]);
    }

    #[test]
    fn fault_ignores_other_operations() {
        let mut other = faults(Fault::new(Operation::GetUsers, Effect::Drop));
        assert_eq!(hits(&mut other, 1), [false]);
    }

    #[test]
    fn probability_chooses_a_share_by_the_random_seed() {
        let often = || hits(&mut faults(Fault::new(ROLE, Effect::Drop).with_probability(0.25).times(None)), 1000);
        let share = often().into_iter().filter(|hit| *hit).count();
        assert!((200..300).contains(&share), "{share} of 1000");
        assert_eq!(often(), often());
    }

    #[test]
    fn fault_json_has_defaults() {
        let fault: Fault = serde_json::from_str(r#"{"effect": {"type": "Hang"}}"#).unwrap();
        assert_eq!(fault, Fault { operation: None, ..Fault::new(ROLE, Effect::Hang) });
    }
}
