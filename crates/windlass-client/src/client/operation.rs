//! Idempotency keys of our own making.

use super::ClientError;

/// Bits of randomness in one, by the byte.
const RANDOM_BYTES: usize = 16;

/// A key that no other change has: 128 random bits as hex digits.
pub(super) fn draw() -> Result<String, ClientError> {
    let mut random = [0; RANDOM_BYTES];
    getrandom::fill(&mut random).map_err(ClientError::Random)?;
    Ok(format!("{:032x}", u128::from_be_bytes(random)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn drawn_keys_are_128_bits_and_differ() {
        let keys: BTreeSet<String> = (0..100).map(|_| draw().unwrap()).collect();
        assert_eq!(keys.len(), 100);
        assert!(keys.iter().all(|key| key.len() == 32), "{keys:?}");
    }
}
