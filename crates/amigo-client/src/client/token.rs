//! A bearer token.

use std::time::Duration;

use http::{HeaderValue, header::InvalidHeaderValue};
use secrecy::{ExposeSecret, SecretString};

#[derive(Clone)]
pub(super) struct Token {
    pub(super) secret: SecretString,
    /// Tells the tokens of one client apart.
    pub(super) number: u64,
    /// Boot time from which on the token is renewed.
    pub(super) refresh_at: Duration,
    /// Boot time at which the token ends.
    pub(super) ends_at: Duration,
}

impl Token {
    /// The value of the `Authorization` header.
    pub(super) fn authorization(&self) -> Result<HeaderValue, InvalidHeaderValue> {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", self.secret.expose_secret()))?;
        value.set_sensitive(true);
        Ok(value)
    }
}
