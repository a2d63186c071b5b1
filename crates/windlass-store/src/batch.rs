//! A write as data: checks and writes that apply together or not at all.

use bytes::Bytes;

use crate::limits::{
    BATCH_BYTES_MAX, BATCH_CHECKS_MAX, BATCH_WRITES_MAX, KEY_BYTES_MAX, VALUE_BYTES_MAX,
};
use crate::{StoreError, Version};

/// What a check expects of its key at the moment of the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The key has no value. Such a key must be put by the same batch, so
    /// that a unique index can decide a race.
    Absent,
    /// The key has a value, whichever.
    Present,
    /// The key has the value that was written with this version.
    Version(Version),
}

/// One condition of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The key it is about.
    pub key: Bytes,
    /// What must hold of it.
    pub expect: Expect,
}

/// One change of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Sets the value of a key, whether it has one or not.
    Put {
        /// The key.
        key: Bytes,
        /// Its new value, unsealed.
        value: Bytes,
    },
    /// Removes a key and its value; a missing key is no error.
    Delete {
        /// The key.
        key: Bytes,
    },
}

impl Write {
    /// The key it changes.
    #[must_use]
    pub const fn key(&self) -> &Bytes {
        match self {
            Self::Put { key, .. } | Self::Delete { key } => key,
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Put { key, value } => key.len() + value.len(),
            Self::Delete { key } => key.len(),
        }
    }
}

/// Checks and writes that one commit decides and applies as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// What must hold, all of it, before the first write.
    pub checks: Vec<Check>,
    /// What then changes. No key occurs twice.
    pub writes: Vec<Write>,
}

/// How a commit ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a lost race is an answer, not an error"]
pub enum Commit {
    /// All checks held and all writes are applied; every key put now has this
    /// version.
    Applied(Version),
    /// A check did not hold and nothing was written.
    Conflict {
        /// The key of the first check, in the order of the batch, that did
        /// not hold.
        key: Bytes,
    },
}

impl Batch {
    /// A batch that does nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            checks: Vec::new(),
            writes: Vec::new(),
        }
    }

    /// Adds a condition.
    #[must_use]
    pub fn check(mut self, key: impl Into<Bytes>, expect: Expect) -> Self {
        self.checks.push(Check {
            key: key.into(),
            expect,
        });
        self
    }

    /// Adds a put.
    #[must_use]
    pub fn put(mut self, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        self.writes.push(Write::Put {
            key: key.into(),
            value: value.into(),
        });
        self
    }

    /// Adds a delete.
    #[must_use]
    pub fn delete(mut self, key: impl Into<Bytes>) -> Self {
        self.writes.push(Write::Delete { key: key.into() });
        self
    }

    /// Adds everything of `other`, so that both commit as one.
    pub fn append(&mut self, mut other: Self) {
        self.checks.append(&mut other.checks);
        self.writes.append(&mut other.writes);
    }

    /// Bytes of all keys and values, checks included.
    #[must_use]
    pub fn size(&self) -> usize {
        let checks: usize = self.checks.iter().map(|check| check.key.len()).sum();
        let writes: usize = self.writes.iter().map(Write::size).sum();
        checks + writes
    }

    /// Refuses a batch that no store may take. Every store calls this before
    /// anything else.
    ///
    /// # Errors
    ///
    /// `Invalid` for a batch without checks and writes, one over a limit of
    /// [`crate::limits`], a key that is checked twice or written twice, and
    /// a key checked [`Expect::Absent`] that the batch does not put.
    pub fn validate(&self) -> Result<(), StoreError> {
        self.validate_counts()?;
        self.validate_sizes()?;
        self.validate_keys()
    }

    fn validate_counts(&self) -> Result<(), StoreError> {
        let (checks, writes) = (self.checks.len(), self.writes.len());
        if checks == 0 && writes == 0 {
            return Err(invalid("the batch is empty"));
        }
        if checks > BATCH_CHECKS_MAX {
            return Err(invalid(format!(
                "{checks} checks; at most {BATCH_CHECKS_MAX} are allowed"
            )));
        }
        if writes > BATCH_WRITES_MAX {
            return Err(invalid(format!(
                "{writes} writes; at most {BATCH_WRITES_MAX} are allowed"
            )));
        }
        Ok(())
    }

    fn validate_sizes(&self) -> Result<(), StoreError> {
        let checked = self.checks.iter().map(|check| &check.key);
        let written = self.writes.iter().map(Write::key);
        if let Some(key) = checked.chain(written).find(|key| key.len() > KEY_BYTES_MAX) {
            let length = key.len();
            return Err(invalid(format!(
                "a key has {length} bytes; at most {KEY_BYTES_MAX} are allowed"
            )));
        }
        for write in &self.writes {
            if let Write::Put { value, .. } = write
                && value.len() > VALUE_BYTES_MAX
            {
                let length = value.len();
                return Err(invalid(format!(
                    "a value has {length} bytes; at most {VALUE_BYTES_MAX} are allowed"
                )));
            }
        }
        let size = self.size();
        if size > BATCH_BYTES_MAX {
            return Err(invalid(format!(
                "the batch has {size} bytes; at most {BATCH_BYTES_MAX} are allowed"
            )));
        }
        Ok(())
    }

    /// Looks at the keys in order, so that all uses of a key stand together:
    /// for the small batches that are usual, that is much less work than
    /// hashing them.
    fn validate_keys(&self) -> Result<(), StoreError> {
        let checks = self
            .checks
            .iter()
            .map(|check| (&check.key, Role::of_check(check)));
        let writes = self
            .writes
            .iter()
            .map(|write| (write.key(), Role::of_write(write)));
        let mut keys: Vec<(&Bytes, Role)> = checks.chain(writes).collect();
        keys.sort_unstable();
        for uses in keys.chunk_by(|(one, _), (other, _)| one == other) {
            validate_uses(uses)?;
        }
        Ok(())
    }
}

/// What a batch does with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    CheckedAbsent,
    Checked,
    Put,
    Deleted,
}

impl Role {
    fn of_check(check: &Check) -> Self {
        match check.expect {
            Expect::Absent => Self::CheckedAbsent,
            Expect::Present | Expect::Version(_) => Self::Checked,
        }
    }

    const fn of_write(write: &Write) -> Self {
        match write {
            Write::Put { .. } => Self::Put,
            Write::Delete { .. } => Self::Deleted,
        }
    }
}

/// Refuses contradictory uses of one key.
fn validate_uses(uses: &[(&Bytes, Role)]) -> Result<(), StoreError> {
    let count = |roles: [Role; 2]| uses.iter().filter(|(_, role)| roles.contains(role)).count();
    if count([Role::Put, Role::Deleted]) > 1 {
        return Err(invalid("a key is written twice"));
    }
    if count([Role::CheckedAbsent, Role::Checked]) > 1 {
        return Err(invalid("a key is checked twice"));
    }
    let has = |wanted: Role| uses.iter().any(|(_, role)| *role == wanted);
    if has(Role::CheckedAbsent) && !has(Role::Put) {
        return Err(invalid("a key checked absent is not put by the batch"));
    }
    Ok(())
}

fn invalid(context: impl Into<String>) -> StoreError {
    StoreError::invalid("commit", context)
}
