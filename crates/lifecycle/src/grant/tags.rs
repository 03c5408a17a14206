//! Tags: how a record at Amigo says which object, slot and attempt it comes from.
//!
//! Keys and values match `[\w\s]+` (API document, create-temporary-permission-grant), so names lose their
//! hyphens and dots, and uids are written as 32 hexadecimal digits.

use std::collections::BTreeMap;

/// Key of the tag that every record of this program carries.
pub const MANAGED_BY: &str = "managed_by";
/// Its value.
pub const MANAGED_BY_VALUE: &str = "amigo_operator";
/// Key: the cluster's identity.
pub const CLUSTER: &str = "cluster";
/// Key: the object's uid.
pub const UID: &str = "uid";

/// The longest value we send; the API document states no limit.
const LONGEST_VALUE: usize = 63;

/// Where the records of one object come from.
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
            ("nonce", nonce.to_owned()),
            ("k8s_namespace", word(&self.namespace)),
            ("k8s_name", word(&self.name)),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into()
    }
}

/// A Kubernetes uid without hyphens.
#[must_use]
pub fn condensed(uid: &str) -> String {
    uid.chars().filter(char::is_ascii_hexdigit).map(|digit| digit.to_ascii_lowercase()).collect()
}

/// The permission and lease that a record's tags name.
#[must_use]
pub fn slot_of(tags: &BTreeMap<String, String>) -> Option<(u32, u32)> {
    let (slot, lease) = tags.get("slot")?.split_once('_')?;
    Some((slot.parse().ok()?, lease.parse().ok()?))
}

pub(super) fn attempt_of(tags: &BTreeMap<String, String>) -> Option<u32> {
    tags.get("attempt")?.parse().ok()
}

fn word(name: &str) -> String {
    let allowed = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' };
    name.chars().take(LONGEST_VALUE).map(allowed).collect()
}
