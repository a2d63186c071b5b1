//! The chain: what is hashed, and how an event and its hash are one line.
//!
//! The hash of an event is SHA-256 over a separator, the hash of the event
//! before it, and the event's text as it is stored. Before the first event of a
//! chain stands the hash of the chain's name, so that no chain can be taken for
//! another's. A line is JSON, but is read by its exact bytes: the text that was
//! hashed is the text between a fixed beginning and a fixed end.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use windlass_core::{IdError, TenantId};

/// What separates these hashes from those of anything else.
const LINK: &[u8] = b"windlass audit link 1\n";
const GENESIS: &[u8] = b"windlass audit chain 1\n";

/// The fixed parts of a line.
const BEFORE_HASH: &[u8] = br#"{"v":1,"hash":""#;
const BEFORE_EVENT: &[u8] = br#"","event":"#;
const AFTER_EVENT: &[u8] = b"}";

const HASH_BYTES: usize = 32;
const HEX_DIGITS: usize = 2 * HASH_BYTES;

/// The name of the chain that belongs to no tenant. No tenant can have it.
const SYSTEM: &str = "system";

/// Whose events a chain holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Chain {
    /// Those of whoever runs the service: operators' keys, erased tenants,
    /// credentials that nobody knows.
    System,
    /// Those of a tenant.
    Tenant(TenantId),
}

impl Chain {
    /// The chain of a tenant, or of the system.
    #[must_use]
    pub fn of(tenant: Option<&TenantId>) -> Self {
        tenant.map_or(Self::System, |tenant| Self::Tenant(tenant.clone()))
    }

    /// Its name: the tenant's, or `system`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::System => SYSTEM,
            Self::Tenant(tenant) => tenant.as_str(),
        }
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Chain {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        match text {
            SYSTEM => Ok(Self::System),
            _ => text.parse().map(Self::Tenant),
        }
    }
}

impl TryFrom<String> for Chain {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<Chain> for String {
    fn from(chain: Chain) -> Self {
        chain.as_str().to_owned()
    }
}

/// The hash of an event and of all before it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChainHash([u8; HASH_BYTES]);

/// The text is not 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not 64 lower-case hexadecimal digits")]
pub struct NoHash;

impl ChainHash {
    /// What stands before the first event of `chain`.
    #[must_use]
    pub fn genesis(chain: &Chain) -> Self {
        let hash = Sha256::new()
            .chain_update(GENESIS)
            .chain_update(chain.as_str());
        Self(hash.finalize().into())
    }

    /// The hash of the event whose text is `event`, after `self`.
    #[must_use]
    pub fn next(&self, event: &[u8]) -> Self {
        let hash = Sha256::new()
            .chain_update(LINK)
            .chain_update(self.0)
            .chain_update(event);
        Self(hash.finalize().into())
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ChainHash {
    type Err = NoHash;

    fn from_str(text: &str) -> Result<Self, NoHash> {
        let digits = text.as_bytes();
        if digits.len() != HEX_DIGITS {
            return Err(NoHash);
        }
        let mut hash = [0; HASH_BYTES];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Ok(Self(hash))
    }
}

fn nibble(digit: u8) -> Result<u8, NoHash> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(NoHash),
    }
}

impl TryFrom<String> for ChainHash {
    type Error = NoHash;

    fn try_from(text: String) -> Result<Self, NoHash> {
        text.parse()
    }
}

impl From<ChainHash> for String {
    fn from(hash: ChainHash) -> Self {
        hash.to_string()
    }
}

/// The line of an event: its hash, and its text.
pub(crate) fn line(hash: &ChainHash, event: &[u8]) -> Bytes {
    let hash = hash.to_string();
    [
        BEFORE_HASH,
        hash.as_bytes(),
        BEFORE_EVENT,
        event,
        AFTER_EVENT,
    ]
    .concat()
    .into()
}

/// The hash that a line says, and the text it is of; `None` for what is no
/// line.
pub(crate) fn split(line: &[u8]) -> Option<(ChainHash, &[u8])> {
    let rest = line.strip_prefix(BEFORE_HASH)?;
    let (digits, rest) = rest.split_at_checked(HEX_DIGITS)?;
    let event = rest.strip_prefix(BEFORE_EVENT)?.strip_suffix(AFTER_EVENT)?;
    let hash = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((hash, event))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_json_and_gives_back_what_was_hashed() {
        let chain: Chain = "acme".parse().expect("a name");
        let event = br#"{"seq":1,"action":"session.created"}"#;
        let hash = ChainHash::genesis(&chain).next(event);
        let line = line(&hash, event);
        assert_eq!(split(&line), Some((hash, event.as_slice())));
        let json: serde_json::Value = serde_json::from_slice(&line).expect("JSON");
        assert_eq!(json["event"]["seq"], 1);
        assert_eq!(json["hash"], hash.to_string());
        assert_eq!(split(&line[1..]), None);
        assert_eq!(split(b""), None);
    }

    #[test]
    fn chains_begin_apart_and_a_hash_is_its_text() {
        let acme = ChainHash::genesis(&"acme".parse().expect("a name"));
        let system = ChainHash::genesis(&Chain::System);
        assert!(acme != system);
        assert_eq!(acme.to_string().parse(), Ok(acme));
        for wrong in ["", "00", &"g".repeat(64), &acme.to_string().to_uppercase()] {
            assert_eq!(wrong.parse::<ChainHash>(), Err(NoHash), "{wrong}");
        }
    }

    #[test]
    fn the_bytes_that_are_hashed_are_those_of_the_book() {
        let acme: Chain = "acme".parse().expect("a name");
        let genesis = Sha256::digest(b"windlass audit chain 1\nacme");
        let expected: [u8; 32] = genesis.into();
        assert_eq!(ChainHash::genesis(&acme).0, expected);
        let text = [b"windlass audit link 1\n".as_slice(), &expected, b"{}"].concat();
        let expected: [u8; 32] = Sha256::digest(text).into();
        assert_eq!(ChainHash::genesis(&acme).next(b"{}").0, expected);
    }
}
