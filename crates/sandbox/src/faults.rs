//! Faults on request: what the sandbox does wrong on purpose.

use serde::{Deserialize, Serialize};

use super::operation::Operation;

/// One fault: which requests it hits, when, and what happens.
///
/// As JSON: `{"operation": "create-role", "when": "AfterCommit", "effect": {"type": "Status", "status": 500}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The operation it hits; unset means every one.
    #[serde(default)]
    pub operation: Option<Operation>,
    /// How many requests of the operation pass before the first hit. Default 0.
    #[serde(default)]
    pub skip: u32,
    /// How many requests it hits; null means all that follow. Default 1.
    #[serde(default = "once")]
    pub times: Option<u32>,
    /// Whether the request is carried out. Default `BeforeCommit`.
    #[serde(default)]
    pub when: When,
    /// What happens.
    pub effect: Effect,
}

/// Whether the request is carried out before the effect shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum When {
    /// The request is not carried out (a delay excepted, which only comes first).
    #[default]
    BeforeCommit,
    /// The request is carried out and in the journal; its answer is lost.
    AfterCommit,
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum Effect {
    /// Answers with a status.
    Status {
        /// 100 to 999.
        status: u16,
        /// The `Retry-After` header.
        #[serde(default)]
        retry_after: Option<String>,
        /// The JSON body; default a `detail` text.
        #[serde(default)]
        body: Option<serde_json::Value>,
    },
    /// Waits, then goes on as usual.
    Delay {
        /// For how long.
        milliseconds: u64,
    },
    /// Closes the connection without an answer. Without a connection (a router called in process) the answer has a
    /// body that fails at once.
    Drop,
    /// Never answers.
    Hang,
    /// Answers 307.
    Redirect {
        /// The `Location` header.
        location: String,
    },
    /// Answers 200 with a huge JSON body.
    HugeBody {
        /// The body's size. Default 10 MB.
        #[serde(default = "huge")]
        bytes: usize,
    },
    /// Answers 200 with something that is not JSON, declared as JSON.
    MalformedBody,
    /// Sends about half of an answer, then closes the connection.
    CutBody,
}

#[expect(clippy::unnecessary_wraps, reason = "the field's type is an option")]
fn once() -> Option<u32> {
    Some(1)
}

fn huge() -> usize {
    10_000_000
}

impl Fault {
    /// The fault that hits the next request of `operation` once, before it is carried out.
    #[must_use]
    pub fn new(operation: Operation, effect: Effect) -> Self {
        Self { operation: Some(operation), skip: 0, times: Some(1), when: When::BeforeCommit, effect }
    }

    /// The same, but the request is carried out and only its answer is lost.
    #[must_use]
    pub fn after_commit(self) -> Self {
        Self { when: When::AfterCommit, ..self }
    }

    /// The same, for this many requests; `None` for all.
    #[must_use]
    pub fn times(self, times: Option<u32>) -> Self {
        Self { times, ..self }
    }

    /// The same, after this many requests passed.
    #[must_use]
    pub fn skipping(self, skip: u32) -> Self {
        Self { skip, ..self }
    }
}

impl Effect {
    /// A bare status.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Status { status, retry_after: None, body: None }
    }
}

/// The faults that are still to hit.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn pending(&self) -> &[Fault] {
        &self.0
    }

    /// The faults that hit this request of `operation`, in the order they were added.
    pub(super) fn hit(&mut self, operation: Operation) -> Vec<Fault> {
        let mut hits = Vec::new();
        for fault in &mut self.0 {
            if fault.operation.is_some_and(|wanted| wanted != operation) || fault.times == Some(0) {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            fault.times = fault.times.map(|times| times - 1);
            hits.push(fault.clone());
        }
        self.0.retain(|fault| fault.times != Some(0));
        hits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: Operation = Operation::CreateRole;

    fn faults(fault: Fault) -> Faults {
        Faults(vec![fault])
    }

    fn hits(faults: &mut Faults, requests: usize) -> Vec<bool> {
        (0..requests).map(|_| !faults.hit(ROLE).is_empty()).collect()
    }

    #[test]
    fn a_fault_hits_once() {
        let mut once = faults(Fault::new(ROLE, Effect::Drop));
        assert_eq!(hits(&mut once, 2), [true, false]);
        assert!(once.pending().is_empty());
    }

    #[test]
    fn a_fault_hits_the_nth() {
        let mut second_and_third = faults(Fault::new(ROLE, Effect::Drop).skipping(1).times(Some(2)));
        assert_eq!(hits(&mut second_and_third, 4), [false, true, true, false]);
    }

    #[test]
    fn a_fault_leaves_other_operations_alone() {
        let mut other = faults(Fault::new(Operation::GetUsers, Effect::Drop));
        assert_eq!(hits(&mut other, 1), [false]);
    }

    #[test]
    fn the_json_form_has_defaults() {
        let fault: Fault = serde_json::from_str(r#"{"effect": {"type": "Hang"}}"#).unwrap();
        assert_eq!(
            fault,
            Fault { operation: None, skip: 0, times: Some(1), when: When::BeforeCommit, effect: Effect::Hang }
        );
    }
}
