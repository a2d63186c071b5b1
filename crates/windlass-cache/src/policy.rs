//! What a caller asks of an entry, and when that makes it expire.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use windlass_core::{Env, Millis, RandomError};

use crate::error::{CacheError, Problem, check_range};
use crate::limits::{DEPENDENCIES_MAX, TAGS_MAX};
use crate::metadata::Metadata;
use crate::names::{Key, Tag};

/// Whether an entry is held in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Admission {
    /// Unless it would take more than an eighth of its shard.
    #[default]
    Auto,
    /// Whatever its size.
    Always,
    /// Not at all: the put replaces what is there, and nothing is kept.
    Never,
}

/// Which entries go first when room is needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Before all others of its shard, the oldest first.
    Low,
    /// As the eviction policy has it.
    #[default]
    Normal,
    /// As [`Priority::Normal`], but passed over a few times first.
    High,
}

/// How long an entry lives, and how it is held.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Fresh for so long after it was put or touched: at least 1.
    pub ttl_ms: Option<u64>,
    /// Fresh until then at most. In the past: the put succeeds, and the entry
    /// is never visible.
    pub expires_at: Option<Millis>,
    /// Visible for so long after it was last read, put or touched: at least 1.
    pub idle_ms: Option<u64>,
    /// The time to live is shortened by up to so much, drawn anew each time:
    /// less than `ttl_ms`.
    pub jitter_ms: u64,
    /// Given out for so long after it ceased to be fresh, as stale.
    pub stale_ms: u64,
    /// Whether it is held in memory.
    pub admission: Admission,
    /// When it goes.
    pub priority: Priority,
    /// Largest blob, if that is to be less than the cache allows.
    pub bytes_max: Option<u64>,
}

impl Policy {
    /// Fresh for `ms` milliseconds, and otherwise the default.
    #[must_use]
    pub fn ttl_ms(ms: u64) -> Self {
        Self {
            ttl_ms: Some(ms),
            ..Self::default()
        }
    }

    pub(crate) fn check(&self) -> Result<(), CacheError> {
        let least = (1, u64::MAX);
        check_range("ttl_ms", self.ttl_ms.unwrap_or(1), least)?;
        check_range("idle_ms", self.idle_ms.unwrap_or(1), least)?;
        let max = self.ttl_ms.unwrap_or(0);
        if self.jitter_ms > 0 && self.jitter_ms >= max {
            let problem = Problem::NotBelow {
                value: self.jitter_ms,
                other: "ttl_ms",
                max,
            };
            return Err(CacheError::invalid("jitter_ms", problem));
        }
        Ok(())
    }

    /// How much is taken off the time to live this time.
    pub(crate) fn draw_jitter(&self, env: &dyn Env) -> Result<u64, RandomError> {
        if self.jitter_ms == 0 {
            return Ok(0);
        }
        let mut bytes = [0; 8];
        env.random(&mut bytes)?;
        let drawn = u64::from_le_bytes(bytes);
        Ok(drawn % self.jitter_ms.saturating_add(1))
    }

    /// When an entry that is put or touched at `now` ceases to be fresh: the
    /// earliest of what the policy says.
    pub(crate) fn expires(&self, now: Millis, jitter_ms: u64) -> Millis {
        let ttl = self
            .ttl_ms
            .map(|ms| now.plus_ms(ms.saturating_sub(jitter_ms)));
        let ends = [ttl, self.expires_at].into_iter().flatten();
        ends.min().unwrap_or(NEVER)
    }

    /// Whether time changes anything about the entry.
    pub(crate) const fn is_timed(&self) -> bool {
        self.ttl_ms.is_some() || self.expires_at.is_some() || self.idle_ms.is_some()
    }
}

/// A point in time that does not come.
pub(crate) const NEVER: Millis = Millis::new(u64::MAX);

/// A blob to be put, with everything that is said of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Put {
    /// The blob. It is shared, not copied: a slice of a larger buffer keeps
    /// all of it.
    pub value: Bytes,
    /// What is kept with it.
    pub metadata: Metadata,
    /// How long it lives.
    pub policy: Policy,
    /// Its version, which must be higher than that of the visible entry.
    /// `None` for one higher than that and than every one this cache has
    /// drawn so far: a key should have versions of one kind only.
    pub version: Option<u64>,
    /// Its marks: at most 32.
    pub tags: Vec<Tag>,
    /// Keys of the namespace that it was made from, held or not: at most 32.
    /// When one of them is invalidated, so is this. What those were made of in
    /// turn counts for as long as they are held; name it to be sure.
    pub depends_on: Vec<Key>,
}

impl Put {
    /// A blob of the default policy, with nothing said of it.
    pub fn new(value: impl Into<Bytes>) -> Self {
        Self {
            value: value.into(),
            ..Self::default()
        }
    }

    /// A blob that is fresh for `ttl_ms`.
    pub fn with_ttl_ms(value: impl Into<Bytes>, ttl_ms: u64) -> Self {
        Self {
            policy: Policy::ttl_ms(ttl_ms),
            ..Self::new(value)
        }
    }

    /// Its length.
    pub(crate) fn size(&self) -> u64 {
        u64::try_from(self.value.len()).unwrap_or(u64::MAX)
    }

    /// Refuses what cannot be put, whatever is there.
    pub(crate) fn check(&self, blob_bytes_max: u64) -> Result<(), CacheError> {
        self.policy.check()?;
        let max = self
            .policy
            .bytes_max
            .unwrap_or(u64::MAX)
            .min(blob_bytes_max);
        if self.size() > max {
            return Err(CacheError::BlobTooLarge {
                size: self.size(),
                max,
            });
        }
        check_count("tags", self.tags.len(), TAGS_MAX)?;
        check_count("depends_on", self.depends_on.len(), DEPENDENCIES_MAX)
    }
}

fn check_count(field: &'static str, count: usize, max: usize) -> Result<(), CacheError> {
    if count > max {
        return Err(CacheError::invalid(field, Problem::count(count, max)));
    }
    Ok(())
}
