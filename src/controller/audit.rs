//! The audit trail: one JSON line for every change of access, on a stream of its own.

use std::{
    fmt,
    io::Write,
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;
use serde::Serialize;

/// Who may do what since when, why, and until when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditLine {
    /// When it was seen to happen.
    pub at: Option<Timestamp>,
    /// What happened: one of `amigo_api::reasons`.
    pub event: String,
    /// The object's kind.
    pub kind: String,
    /// `namespace/name` of the object.
    pub object: String,
    /// The object's uid.
    pub uid: String,
    /// The Organization.
    pub organization: String,
    /// Who asked, as the object says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<String>,
    /// For whom: e-mail or id as the object says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// For whom: the id at Amigo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// What: permissions, or a role.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub access: Vec<String>,
    /// Whose conversations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_owner_user_id: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub justification: Option<String>,
    /// Until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The records at Amigo.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remote_ids: Vec<String>,
    /// What the condition says.
    pub message: String,
}

/// Where audit lines go.
pub struct Audit(Mutex<Box<dyn Write + Send>>);

impl Audit {
    /// To this stream; the operator gives standard output, its logs go to standard error.
    #[must_use]
    pub fn to(stream: impl Write + Send + 'static) -> Self {
        Self(Mutex::new(Box::new(stream)))
    }

    /// Writes one line.
    pub fn write(&self, line: &AuditLine) {
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let written = serde_json::to_string(line)
            .map_err(std::io::Error::from)
            .and_then(|text| writeln!(stream, "{text}"))
            .and_then(|()| stream.flush());
        if let Err(error) = written {
            tracing::error!(%error, event = line.event, object = line.object, "an audit line could not be written");
        }
    }
}

impl fmt::Debug for Audit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Audit")
    }
}
