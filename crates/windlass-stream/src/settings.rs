//! Settings of streams: brought into range when they are set, and what was
//! changed is reported.

use std::time::Duration;

use windlass_core::{Coded, ErrorKind};

use crate::limits::{
    CAP_MAX, CHUNK_PAGES_MAX, CHUNK_ROWS_MAX, LATENCY_MS_MAX, LEASE_TTL_MS_MAX, PAGE_BYTES,
    POLL_MS_MAX, POLL_MS_MIN,
};

/// Settings that can change at run time. A lease keeps those it was opened
/// under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long a lease lasts without a sign of life, in milliseconds: 1 to a
    /// day. 0 is refused.
    pub lease_ttl_ms: u64,
    /// Pages of 16 KiB at which a chunk is flushed, within the next two.
    pub chunk_pages: usize,
    /// Least pages of a chunk: 1 to 64.
    pub chunk_pages_min: usize,
    /// Most pages of a chunk: 1 to 64, so never more than 1 MiB.
    pub chunk_pages_max: usize,
    /// Pages that a reader may hold, those on their way from the store
    /// included: at least those of a chunk, and up to 64. More of them read a
    /// long stream faster; one that waits for who takes its rows and not for
    /// the store holds 16 at most.
    pub read_pages: usize,
    /// Rows at which a chunk is flushed: 1 to 100,000.
    pub chunk_rows: usize,
    /// How long rows may wait for others, in milliseconds, up to a minute; 0
    /// flushes each row.
    pub latency_ms: u64,
    /// How often a reader that follows a stream looks for rows of which no hint
    /// came, in milliseconds: 10 to an hour.
    pub poll_ms: u64,
    /// Streams that are read at a time in this process: 1 to 1,000,000.
    pub streams_max: usize,
    /// Of these, for one principal of one tenant: 1 to 1,000,000.
    pub principal_streams_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lease_ttl_ms: 60_000,
            chunk_pages: 4,
            chunk_pages_min: 1,
            chunk_pages_max: CHUNK_PAGES_MAX,
            read_pages: CHUNK_PAGES_MAX,
            chunk_rows: 1_000,
            latency_ms: 50,
            poll_ms: 1_000,
            streams_max: 256,
            principal_streams_max: 32,
        }
    }
}

/// A setting that was out of its range, and what it counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adjustment {
    /// The setting.
    pub setting: &'static str,
    /// What was given.
    pub given: u64,
    /// What it counts as.
    pub taken: u64,
}

/// Why settings are refused as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A lease of no duration.
    #[error("`lease_ttl_ms` must not be 0")]
    LeaseTtlZero,
}

impl Coded for SettingsError {
    fn code(&self) -> &'static str {
        "invalid_request"
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

impl Settings {
    /// The same settings within their ranges, and what had to be changed. A
    /// maximum below its minimum is raised to it; then the pages of a chunk are
    /// brought between the two.
    ///
    /// # Errors
    ///
    /// [`SettingsError::LeaseTtlZero`].
    pub fn in_range(&self) -> Result<(Self, Vec<Adjustment>), SettingsError> {
        if self.lease_ttl_ms == 0 {
            return Err(SettingsError::LeaseTtlZero);
        }
        let pages_min = self.chunk_pages_min.clamp(1, CHUNK_PAGES_MAX);
        let pages_max = self.chunk_pages_max.clamp(pages_min, CHUNK_PAGES_MAX);
        let chunk_pages = self.chunk_pages.clamp(pages_min, pages_max);
        let taken = Self {
            lease_ttl_ms: self.lease_ttl_ms.min(LEASE_TTL_MS_MAX),
            chunk_pages,
            read_pages: self.read_pages.clamp(chunk_pages, CHUNK_PAGES_MAX),
            chunk_pages_min: pages_min,
            chunk_pages_max: pages_max,
            chunk_rows: self.chunk_rows.clamp(1, CHUNK_ROWS_MAX),
            latency_ms: self.latency_ms.min(LATENCY_MS_MAX),
            poll_ms: self.poll_ms.clamp(POLL_MS_MIN, POLL_MS_MAX),
            streams_max: self.streams_max.clamp(1, CAP_MAX),
            principal_streams_max: self.principal_streams_max.clamp(1, CAP_MAX),
        };
        let adjustments = self.adjustments(&taken);
        Ok((taken, adjustments))
    }

    /// The settings in which `taken` differs.
    fn adjustments(&self, taken: &Self) -> Vec<Adjustment> {
        let given = self.figures();
        let pairs = given.into_iter().zip(taken.figures());
        let changed = pairs.filter(|((_, given), (_, taken))| given != taken);
        changed
            .map(|((setting, given), (_, taken))| Adjustment {
                setting,
                given,
                taken,
            })
            .collect()
    }

    fn figures(&self) -> [(&'static str, u64); 10] {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        [
            ("lease_ttl_ms", self.lease_ttl_ms),
            ("chunk_pages", count(self.chunk_pages)),
            ("chunk_pages_min", count(self.chunk_pages_min)),
            ("chunk_pages_max", count(self.chunk_pages_max)),
            ("read_pages", count(self.read_pages)),
            ("chunk_rows", count(self.chunk_rows)),
            ("latency_ms", self.latency_ms),
            ("poll_ms", self.poll_ms),
            ("streams_max", count(self.streams_max)),
            ("principal_streams_max", count(self.principal_streams_max)),
        ]
    }

    /// Bytes that a reader may hold.
    pub(crate) fn read_bytes(&self) -> u64 {
        u64::try_from(self.read_pages * PAGE_BYTES).unwrap_or(u64::MAX)
    }

    /// When chunks are flushed under these settings.
    #[must_use]
    pub const fn caps(&self) -> Caps {
        Caps {
            bytes: self.chunk_pages * PAGE_BYTES,
            rows: self.chunk_rows,
            latency: Duration::from_millis(self.latency_ms),
        }
    }
}

/// When a chunk is flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Bytes, as framed.
    pub bytes: usize,
    /// Rows.
    pub rows: usize,
    /// Time since the last flush.
    pub latency: Duration,
}
