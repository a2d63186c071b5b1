//! What an operator may want to know of an open store.

/// The state of an open [`crate::SledStore`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Entries after the last acknowledged commit.
    pub entries: u64,
    /// Bytes of sled's log on the disk. It grows in steps of 8 MiB and holds
    /// old states until sled has moved what is left of them.
    pub log_bytes: u64,
    /// Whether an acknowledged commit survives a power failure.
    pub survives_power_loss: bool,
    /// Whether the store closed itself after a failure.
    pub failed: bool,
}
