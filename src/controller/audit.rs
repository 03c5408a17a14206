//! The audit trail: one JSON line for every change of access, on a stream of its own.

use std::{
    fmt,
    io::Write,
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;
use serde::Serialize;

/// One change of access.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditLine {
    /// When the operator observed the change.
    pub at: Option<Timestamp>,
    /// One of `amigo_api::reasons`.
    pub event: String,
    pub kind: String,
    /// `namespace/name` of the object.
    pub object: String,
    pub uid: String,
    pub organization: String,
    /// The requester, as recorded in the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<String>,
    /// E-mail address or id of the user, as in the object's spec.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The user's id at Amigo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The permissions, or the role.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub access: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_owner_user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub justification: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Ids of the records at Amigo.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remote_ids: Vec<String>,
    /// The message of the condition.
    pub message: String,
}

/// Writes audit lines to one stream.
pub struct Audit(Mutex<Box<dyn Write + Send>>);

impl Audit {
    /// The operator uses standard output; its logs go to standard error.
    #[must_use]
    pub fn new(stream: impl Write + Send + 'static) -> Self {
        Self(Mutex::new(Box::new(stream)))
    }

    pub fn write(&self, line: &AuditLine) {
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let written = serde_json::to_string(line)
            .map_err(std::io::Error::from)
            .and_then(|text| writeln!(stream, "{text}"))
            .and_then(|()| stream.flush());
        if let Err(error) = written {
            tracing::error!(%error, event = line.event, object = line.object, "cannot write an audit line");
        }
    }
}

impl fmt::Debug for Audit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Audit")
    }
}
