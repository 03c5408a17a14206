//! The users of the control plane, and their kubeconfig.

use std::{fmt, fmt::Write as _};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rand::RngCore as _;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

/// The user of every control plane, in the group `system:masters`.
pub const ADMIN: &str = "admin";

/// A user with a static token.
#[derive(Clone)]
pub struct Identity {
    name: String,
    groups: Vec<String>,
    token: SecretString,
}

impl Identity {
    /// A user in `groups` with a random token. The names must not contain quotes or commas.
    #[must_use]
    pub fn new(name: impl Into<String>, groups: &[&str]) -> Self {
        let groups = groups.iter().map(ToString::to_string).collect();
        Self { name: name.into(), groups, token: random_hex(32).into() }
    }

    /// The user name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn admin() -> Self {
        Self::new(ADMIN, &["system:masters"])
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Identity")
            .field("name", &self.name)
            .field("groups", &self.groups)
            .finish_non_exhaustive()
    }
}

/// The token file of the API server. Each line has token, name, uid and groups.
pub fn token_file(identities: &[Identity]) -> String {
    identities.iter().fold(String::new(), |mut text, Identity { name, groups, token }| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{},{name},{name},\"{}\"", token.expose_secret(), groups.join(","));
        text
    })
}

/// One context per user, of the user's name. The first one is current.
pub fn kubeconfig(server: &str, certificate_authority: &[u8], identities: &[Identity]) -> Value {
    let authority = STANDARD.encode(certificate_authority);
    let user =
        |Identity { name, token, .. }: &Identity| json!({"name": name, "user": {"token": token.expose_secret()}});
    let context =
        |Identity { name, .. }: &Identity| json!({"name": name, "context": {"cluster": "local", "user": name}});
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "local", "cluster": {"server": server, "certificate-authority-data": authority}}],
        "users": identities.iter().map(user).collect::<Vec<_>>(),
        "contexts": identities.iter().map(context).collect::<Vec<_>>(),
        "current-context": identities.first().map(Identity::name),
    })
}

/// `bytes` random bytes as lower-case hexadecimal digits.
pub fn random_hex(bytes: usize) -> String {
    let mut random = vec![0; bytes];
    rand::rng().fill_bytes(&mut random);
    random.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_appears_only_in_the_files() {
        let alice = Identity::new("alice", &["developers", "on-call"]);
        let token = alice.token.expose_secret().to_owned();
        assert_eq!(token_file(std::slice::from_ref(&alice)), format!("{token},alice,alice,\"developers,on-call\"\n"));
        assert!(!format!("{alice:?}").contains(&token));
        let config = kubeconfig("https://127.0.0.1:1", b"ca", &[alice]);
        assert_eq!(config["users"][0]["user"]["token"], token);
        assert_eq!(config["current-context"], "alice");
    }
}
