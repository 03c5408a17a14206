//! The journal of commits and the log of requests. Neither contains secrets or tokens.

use std::collections::{BTreeMap, VecDeque};

use amigo_permissions::{Action, Conditions};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::operation::Operation;

/// A committed change.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Commit {
    /// Starts at 1.
    pub sequence: u64,
    pub at: Timestamp,
    pub organization: String,
    pub operation: Operation,
    /// The id of the user who sent the request.
    pub actor: String,
    pub change: Change,
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all_fields = "snake_case")]
pub enum Change {
    RoleCreated {
        role_id: String,
        role_name: String,
        permission_grants: Vec<Value>,
    },
    /// The ids differ if a new document replaced the old one.
    RoleModified {
        role_name: String,
        old_role_id: String,
        new_role_id: String,
        permission_grants: Vec<Value>,
    },
    RoleAssigned {
        user_id: String,
        role_name: String,
        role_id: String,
    },
    GrantCreated(GrantCreated),
    UserInvited {
        user_id: String,
        email: String,
        role_name: String,
    },
    /// The name or the preferences changed.
    UserUpdated {
        user_id: String,
    },
    ApiKeyCreated {
        api_key_id: String,
        role_name: String,
        expires_at: Timestamp,
    },
    ApiKeyDeleted {
        api_key_id: String,
    },
    ConversationTagged {
        conversation_id: String,
    },
}

/// A temporary grant, as requested and as committed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GrantCreated {
    pub id: String,
    pub user_id: String,
    pub action: Action,
    pub permission_name: String,
    pub conditions: Conditions,
    pub tags: BTreeMap<String, Option<String>>,
    /// The duration as written in the request.
    pub duration: String,
    pub justification: String,
    pub expires_at: Timestamp,
}

/// A request for an operation or for an unknown path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RequestRecord {
    /// Starts at 1.
    pub sequence: u64,
    pub at: Timestamp,
    /// `None` for an unknown path.
    pub organization: Option<String>,
    /// `None` for an unknown path or method.
    pub operation: Option<Operation>,
    /// The status of the response; `None` if the sandbox has not sent one.
    pub status: Option<u16>,
}

/// How many requests of an operation received a status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RequestCount {
    /// `None` for an unknown path or method.
    pub operation: Option<Operation>,
    /// `None` for requests without a response.
    pub status: Option<u16>,
    pub count: u64,
}

/// All requests since the sandbox started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Requests {
    pub counts: Vec<RequestCount>,
    /// The most recent requests, oldest first, at most 10,000.
    pub log: Vec<RequestRecord>,
}

impl Requests {
    /// The number of all requests.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().map(|entry| entry.count).sum()
    }

    /// The number of requests of `operation`.
    #[must_use]
    pub fn count(&self, operation: Operation) -> u64 {
        self.counts.iter().filter(|entry| entry.operation == Some(operation)).map(|entry| entry.count).sum()
    }

    /// The number of requests of `operation` that received `status`.
    #[must_use]
    pub fn count_with_status(&self, operation: Operation, status: u16) -> u64 {
        let entries = self.counts.iter().filter(|entry| entry.operation == Some(operation));
        entries.filter(|entry| entry.status == Some(status)).map(|entry| entry.count).sum()
    }
}

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

/// Bounded: keeps every count, but only the most recent requests.
#[derive(Debug, Default)]
pub(super) struct RequestLog {
    last: u64,
    counts: BTreeMap<(Option<Operation>, Option<u16>), u64>,
    log: VecDeque<RequestRecord>,
}

impl RequestLog {
    const CAPACITY: usize = 10_000;

    /// Returns the sequence number for [`RequestLog::record_response`].
    pub(super) fn record_request(
        &mut self,
        at: Timestamp,
        organization: Option<String>,
        operation: Option<Operation>,
    ) -> u64 {
        self.last += 1;
        *self.counts.entry((operation, None)).or_default() += 1;
        if self.log.len() == Self::CAPACITY {
            self.log.pop_front();
        }
        self.log.push_back(RequestRecord { sequence: self.last, at, organization, operation, status: None });
        self.last
    }

    pub(super) fn record_response(&mut self, sequence: u64, operation: Option<Operation>, status: u16) {
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
