//! From which size contents are compressed, and how hard.

use crate::limits::{COMPRESS_BYTES_BALANCED, COMPRESS_BYTES_COMPACT};

/// A named choice between speed and size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Never compresses.
    LowLatency,
    /// Compresses what is worth the time: from 4 KiB.
    #[default]
    Balanced,
    /// Compresses all that can get smaller: from 256 bytes.
    Compact,
}

/// From which size contents are compressed, each piece of them for itself. A
/// piece that does not get smaller is stored as it is, whatever stands here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    /// The least size that is compressed, in bytes; `None` compresses
    /// nothing.
    pub bytes_min: Option<u32>,
    /// The level, as zstd counts them: 1 is fast, 19 is small.
    pub level: u8,
}

impl From<Profile> for Compression {
    fn from(profile: Profile) -> Self {
        let (bytes_min, level) = match profile {
            Profile::LowLatency => (None, 1),
            Profile::Balanced => (Some(COMPRESS_BYTES_BALANCED), 1),
            Profile::Compact => (Some(COMPRESS_BYTES_COMPACT), 3),
        };
        Self { bytes_min, level }
    }
}

impl Default for Compression {
    fn default() -> Self {
        Profile::default().into()
    }
}
