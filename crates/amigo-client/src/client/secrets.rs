//! Values that must not appear in any text.

use secrecy::{ExposeSecret, SecretString};

/// The API key and the token of a request, to remove from everything that the server sends back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Secrets(Vec<SecretString>);

impl Secrets {
    pub(crate) fn new(secrets: impl IntoIterator<Item = SecretString>) -> Self {
        Self(secrets.into_iter().filter(|secret| !secret.expose_secret().is_empty()).collect())
    }

    /// A server may echo what it was sent, as it is or as JSON writes it.
    pub(crate) fn removed_from(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| {
            let secret = secret.expose_secret();
            let escaped = serde_json::Value::from(secret).to_string();
            text.replace(secret, REMOVED).replace(escaped.trim_matches('"'), REMOVED)
        })
    }
}

const REMOVED: &str = "(removed)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn echoed_secrets_are_removed() {
        let secrets = Secrets::new(["s3cret", "", r"a\b"].map(SecretString::from));
        assert_eq!(secrets.removed_from("bad key s3cret!"), "bad key (removed)!");
        assert_eq!(secrets.removed_from(r#"a\b {"key":"a\\b"}"#), r#"(removed) {"key":"(removed)"}"#);
    }
}
