//! The key pair that signs `ServiceAccount` tokens: ECDSA on P-256, as PEM.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};

// SubjectPublicKeyInfo of an uncompressed P-256 point: everything before the point itself is constant.
const PUBLIC_KEY_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// A fresh key pair.
pub struct SigningKey {
    /// PKCS #8, PEM.
    pub private: String,
    /// `SubjectPublicKeyInfo`, PEM.
    pub public: String,
}

/// The system gave no randomness for a key.
#[derive(Debug, thiserror::Error)]
#[error("cannot generate a signing key")]
pub struct NoKey;

impl SigningKey {
    /// Generates a key pair.
    pub fn generate() -> Result<Self, NoKey> {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let private = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(|_| NoKey)?;
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, private.as_ref(), &random).map_err(|_| NoKey)?;
        let public = [PUBLIC_KEY_PREFIX.as_slice(), pair.public_key().as_ref()].concat();
        Ok(Self { private: pem("PRIVATE KEY", private.as_ref()), public: pem("PUBLIC KEY", &public) })
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    // base64 is ASCII: cutting it anywhere leaves text.
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
