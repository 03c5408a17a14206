//! What was committed, and what was asked. Neither holds a secret or a token.

use std::collections::{BTreeMap, VecDeque};

use amigo_permissions::{Action, Conditions};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::operation::Operation;

/// One change that took place.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Commit {
    /// 1 for the first commit, then one more each.
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
    /// In which organization.
    pub organization: String,
    /// By which operation.
    pub operation: Operation,
    /// The user who called.
    pub actor: String,
    /// What changed.
    pub change: Change,
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all_fields = "snake_case")]
#[expect(missing_docs, reason = "the members are named as in the API")]
pub enum Change {
    /// A role came to be, with these grants.
    RoleCreated { role_id: String, role_name: String, permission_grants: Vec<Value> },
    /// A role changed, and has these grants now; the ids differ if a new document replaced the old.
    RoleModified { role_name: String, old_role_id: String, new_role_id: String, permission_grants: Vec<Value> },
    /// A user got a role.
    RoleAssigned { user_id: String, role_name: String, role_id: String },
    /// A temporary grant came to be.
    GrantCreated(GrantCreated),
    /// A user was invited.
    UserInvited { user_id: String, email: String, role_name: String },
    /// A user's name or preferences changed.
    UserUpdated { user_id: String },
    /// An API key came to be.
    ApiKeyCreated { api_key_id: String, role_name: String, expires_at: Timestamp },
    /// An API key is gone.
    ApiKeyDeleted { api_key_id: String },
    /// A conversation's tags changed.
    ConversationTagged { conversation_id: String },
}

/// A temporary grant, as it was asked for and as it was committed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the members are named as in the API")]
pub struct GrantCreated {
    pub id: String,
    pub user_id: String,
    pub action: Action,
    pub permission_name: String,
    pub conditions: Conditions,
    pub tags: BTreeMap<String, Option<String>>,
    /// The duration as it was written in the request.
    pub duration: String,
    pub justification: String,
    /// When access ends.
    pub expires_at: Timestamp,
}

/// One request for one of the operations, or for a path nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RequestRecord {
    /// 1 for the first request, then one more each.
    pub sequence: u64,
    /// When it arrived.
    pub at: Timestamp,
    /// The organization in the path, if the path is known.
    pub organization: Option<String>,
    /// `None` for an unknown path or method.
    pub operation: Option<Operation>,
    /// The status that was sent; `None` if no answer was, or none yet.
    pub status: Option<u16>,
}

/// How often an operation was answered with a status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RequestCount {
    /// `None` for an unknown path or method.
    pub operation: Option<Operation>,
    /// The status that was sent; `None` if no answer was.
    pub status: Option<u16>,
    /// How many requests.
    pub count: u64,
}

/// The requests so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Requests {
    /// All requests since the start, counted.
    pub counts: Vec<RequestCount>,
    /// The last requests, oldest first; at most 10,000 are kept.
    pub log: Vec<RequestRecord>,
}

impl Requests {
    /// How many requests all operations together had.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().map(|entry| entry.count).sum()
    }

    /// How many requests `operation` had, whatever the answer.
    #[must_use]
    pub fn of(&self, operation: Operation) -> u64 {
        self.counts.iter().filter(|entry| entry.operation == Some(operation)).map(|entry| entry.count).sum()
    }

    /// How many requests of `operation` were answered with `status`.
    #[must_use]
    pub fn answered(&self, operation: Operation, status: u16) -> u64 {
        let entries = self.counts.iter().filter(|entry| entry.operation == Some(operation));
        entries.filter(|entry| entry.status == Some(status)).map(|entry| entry.count).sum()
    }
}

/// The commits so far.
#[derive(Debug, Default)]
pub(super) struct Journal(Vec<Commit>);

impl Journal {
    pub(super) fn record(
        &mut self,
        at: Timestamp,
        organization: &str,
        operation: Operation,
        actor: &str,
        change: Change,
    ) {
        let sequence = self.0.last().map_or(1, |commit| commit.sequence + 1);
        self.0.push(Commit {
            sequence,
            at,
            organization: organization.to_owned(),
            operation,
            actor: actor.to_owned(),
            change,
        });
    }

    pub(super) fn commits(&self) -> &[Commit] {
        &self.0
    }
}

/// The requests so far, bounded.
#[derive(Debug, Default)]
pub(super) struct RequestLog {
    last: u64,
    counts: BTreeMap<(Option<Operation>, Option<u16>), u64>,
    log: VecDeque<RequestRecord>,
}

impl RequestLog {
    const KEPT: usize = 10_000;

    /// Records that a request arrived; gives its sequence number, for [`RequestLog::answered`].
    pub(super) fn arrived(&mut self, at: Timestamp, organization: Option<String>, operation: Option<Operation>) -> u64 {
        self.last += 1;
        *self.counts.entry((operation, None)).or_default() += 1;
        if self.log.len() == Self::KEPT {
            self.log.pop_front();
        }
        self.log.push_back(RequestRecord { sequence: self.last, at, organization, operation, status: None });
        self.last
    }

    /// Records the status with which a request was answered.
    pub(super) fn answered(&mut self, sequence: u64, operation: Option<Operation>, status: u16) {
        if let Some(open) = self.counts.get_mut(&(operation, None)) {
            *open = open.saturating_sub(1);
        }
        *self.counts.entry((operation, Some(status))).or_default() += 1;
        let entry = self.log.iter_mut().rev().find(|entry| entry.sequence == sequence);
        if let Some(entry) = entry {
            entry.status = Some(status);
        }
    }

    pub(super) fn requests(&self) -> Requests {
        let counts = self.counts.iter().filter(|(_, count)| **count > 0);
        Requests {
            counts: counts.map(|(&(operation, status), &count)| RequestCount { operation, status, count }).collect(),
            log: self.log.iter().cloned().collect(),
        }
    }
}
