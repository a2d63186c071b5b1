//! Signs what is sent to webhooks, so that its receiver can tell it from what
//! others send.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer as _, SigningKey};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::{Digest, Sha256};

/// What the key is made for: another text would give another key.
const PURPOSE: &[u8] = b"windlass webhook signatures, ed25519, 1";

/// Digits of a key's name.
const NAME_DIGITS: usize = 16;

/// The key with which webhooks are signed. It is made from the store's own
/// secret, so every process over a store has the same one, also after a
/// restart, and nothing more has to be stored.
pub(crate) struct Signer {
    key: SigningKey,
    name: String,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.name)
    }
}

impl Signer {
    /// The key of a store with this secret.
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("any length is a key");
        mac.update(PURPOSE);
        let key = SigningKey::from_bytes(&mac.finalize().into_bytes().into());
        let name = name_of(&x_of(&key));
        Self { key, name }
    }

    /// The name of the key in the set that everybody can read.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The header for a body that is sent at this time, in Unix seconds.
    pub(crate) fn sign(&self, at_s: u64, body: &[u8]) -> String {
        let mut signed = format!("{at_s}.").into_bytes();
        signed.extend_from_slice(body);
        let signature = self.key.sign(&signed).to_bytes();
        let signature = URL_SAFE_NO_PAD.encode(signature);
        format!("t={at_s},kid={},ed25519={signature}", self.name)
    }

    /// The public key, in the coordinate of RFC 8037.
    pub(crate) fn x(&self) -> String {
        x_of(&self.key)
    }
}

fn x_of(key: &SigningKey) -> String {
    URL_SAFE_NO_PAD.encode(key.verifying_key().as_bytes())
}

/// The beginning of the key's thumbprint (RFC 7638).
fn name_of(x: &str) -> String {
    let members = json!({ "crv": "Ed25519", "kty": "OKP", "x": x });
    let digest = Sha256::digest(members.to_string());
    let mut name = URL_SAFE_NO_PAD.encode(digest);
    name.truncate(NAME_DIGITS);
    format!("ds_{name}")
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signature, Verifier, VerifyingKey};

    use super::*;

    #[test]
    fn a_signature_is_over_the_time_and_the_very_bytes() {
        let signer = Signer::new(&[7; 32]);
        let header = signer.sign(1_700_000_000, b"{\"a\":1}");
        let (front, signature) = header.rsplit_once(",ed25519=").expect("a signature");
        assert_eq!(front, format!("t=1700000000,kid={}", signer.name()));
        let bytes = URL_SAFE_NO_PAD.decode(signature).expect("base64");
        let signature = Signature::from_slice(&bytes).expect("64 bytes");
        let x = URL_SAFE_NO_PAD.decode(signer.x()).expect("base64");
        let key = VerifyingKey::from_bytes(&x.try_into().expect("32 bytes")).expect("a key");
        assert_eq!(
            key.verify(b"1700000000.{\"a\":1}", &signature).ok(),
            Some(())
        );
        for other in [&b"1700000001.{\"a\":1}"[..], b"1700000000.{\"a\":2}", b""] {
            assert!(key.verify(other, &signature).is_err(), "{other:?}");
        }
    }

    #[test]
    fn the_key_is_that_of_the_store() {
        let (one, same, other) = (
            Signer::new(&[1; 32]),
            Signer::new(&[1; 32]),
            Signer::new(&[2; 32]),
        );
        assert_eq!((one.name(), one.x()), (same.name(), same.x()));
        assert_ne!(one.name(), other.name());
        assert_eq!(format!("{one:?}"), format!("Signer({})", one.name()));
    }
}
