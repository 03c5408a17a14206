//! The tags of a record at Amigo: its object, slot and attempt.
//!
//! Keys and values match `[\w\s]+` (API document, create-temporary-permission-grant), so hyphens and dots in
//! names become underscores, and uids are written as 32 hexadecimal digits.

use std::collections::BTreeMap;

/// Key of the tag that every record of this operator has.
pub const MANAGED_BY: &str = "managed_by";
/// The value of [`MANAGED_BY`].
pub const MANAGED_BY_VALUE: &str = "amigo_operator";
/// Key of the tag with the cluster's identity.
pub const CLUSTER: &str = "cluster";
/// Key of the tag with the object's uid.
pub const UID: &str = "uid";
/// Key of the tag with the attempt's nonce.
pub const NONCE: &str = "nonce";

/// The longest value that is sent; the API document states no limit.
const MAX_VALUE_LENGTH: usize = 63;

/// The object that the records belong to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The cluster: the uid of its `kube-system` namespace, 32 hexadecimal digits.
    pub cluster: String,
    /// The object's uid, 32 hexadecimal digits.
    pub uid: String,
    /// The object's namespace.
    pub namespace: String,
    /// The object's name.
    pub name: String,
}

impl Origin {
    /// The tags of one record.
    #[must_use]
    pub fn tags(&self, slot: u32, lease: u32, attempt: u32, nonce: &str) -> BTreeMap<String, String> {
        [
            (MANAGED_BY, MANAGED_BY_VALUE.to_owned()),
            (CLUSTER, self.cluster.clone()),
            (UID, self.uid.clone()),
            ("slot", format!("{slot}_{lease}")),
            ("attempt", attempt.to_string()),
            (NONCE, nonce.to_owned()),
            ("k8s_namespace", tag_value(&self.namespace)),
            ("k8s_name", tag_value(&self.name)),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into()
    }
}

/// A Kubernetes uid without hyphens.
#[must_use]
pub fn compact_uid(uid: &str) -> String {
    uid.chars().filter(char::is_ascii_hexdigit).map(|digit| digit.to_ascii_lowercase()).collect()
}

/// The slot and the lease in a record's tags.
#[must_use]
pub fn slot_from_tags(tags: &BTreeMap<String, String>) -> Option<(u32, u32)> {
    let (slot, lease) = tags.get("slot")?.split_once('_')?;
    Some((slot.parse().ok()?, lease.parse().ok()?))
}

pub(super) fn attempt_from_tags(tags: &BTreeMap<String, String>) -> Option<u32> {
    tags.get("attempt")?.parse().ok()
}

fn tag_value(name: &str) -> String {
    let allowed = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' };
    name.chars().take(MAX_VALUE_LENGTH).map(allowed).collect()
}
