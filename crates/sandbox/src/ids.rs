//! Identifiers and secrets from one seeded random generator, so that a run is reproducible.

use jiff::Timestamp;
use rand::{Rng, SeedableRng, rngs::StdRng};
use secrecy::SecretString;

pub(super) struct Ids(StdRng);

impl Ids {
    pub(super) fn new(random_seed: u64) -> Self {
        Self(StdRng::seed_from_u64(random_seed))
    }

    /// 24 lower-case hexadecimal digits of an old document. As in the API's database, the first eight are its time.
    pub(super) fn document(&mut self) -> String {
        format!("66f1c0ab{:016x}", self.0.random::<u64>())
    }

    /// The same for a document that is created now.
    pub(super) fn document_at(&mut self, now: Timestamp) -> String {
        format!("{:08x}{:016x}", u32::try_from(now.as_second()).unwrap_or_default(), self.0.random::<u64>())
    }

    /// A version 4 UUID.
    pub(super) fn uuid(&mut self) -> String {
        let [a, b, c, d]: [u32; 4] = self.0.random();
        let (version, variant) = (0x4000 | (b & 0x0fff), 0x8000 | ((c >> 16) & 0x3fff));
        format!("{a:08x}-{:04x}-{version:04x}-{variant:04x}-{:04x}{d:08x}", b >> 16, c & 0xffff)
    }

    pub(super) fn user(&mut self) -> String {
        format!("user-{:016x}", self.0.random::<u64>())
    }

    /// A token or an API key.
    pub(super) fn secret(&mut self, prefix: &str) -> SecretString {
        format!("{prefix}-{:032x}{:032x}", self.0.random::<u128>(), self.0.random::<u128>()).into()
    }
}

/// Whether `text` consists of 24 lower-case hexadecimal digits, as the API document requires.
pub(super) fn is_document_id(text: &str) -> bool {
    text.len() == 24 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}
