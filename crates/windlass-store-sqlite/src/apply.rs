//! One batch within a transaction: all checks, then all writes.
//!
//! Invariant: a batch that does not apply has written nothing, so a conflict
//! needs no savepoint. A check on a key that the batch also writes can be
//! made by the write itself ([`Fused`]), which saves a descent of the tree;
//! that write then comes first, after all other checks.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Statement, params};
use windlass_store::{Batch, Check, Expect, Incarnation, Version, Write, seal};

use crate::error::Failure;
use crate::limits::FUSED_CHECKS_TRIED_MAX;
use crate::schema::{self, Header, SELECT_HEADER, UPDATE_SEQUENCE};

/// A check and the write on its key, by their places in the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fused {
    check: usize,
    write: usize,
}

impl Fused {
    /// The last check of `batch`, of those that are tried, whose key the
    /// batch also writes.
    pub(crate) fn find(batch: &Batch) -> Option<Self> {
        let checks = batch
            .checks
            .iter()
            .enumerate()
            .rev()
            .take(FUSED_CHECKS_TRIED_MAX);
        checks.into_iter().find_map(|(check, condition)| {
            let write = batch
                .writes
                .iter()
                .position(|write| *write.key() == condition.key)?;
            Some(Self { check, write })
        })
    }
}

/// What became of a batch.
#[derive(Debug)]
pub(crate) enum Decision {
    /// Its writes are in the transaction.
    Applied,
    /// A check did not hold; nothing was written.
    Conflict(Bytes),
    /// A stored key or version that it needed is damaged; nothing was written.
    Refused(Failure),
}

/// The statements of a writer, prepared once a connection.
#[derive(Debug)]
pub(crate) struct Statements<'c> {
    header: Statement<'c>,
    sequence: Statement<'c>,
    version: Statement<'c>,
    create: Statement<'c>,
    replace: Statement<'c>,
    replace_version: Statement<'c>,
    put: Statement<'c>,
    delete: Statement<'c>,
    delete_version: Statement<'c>,
    /// Rows deleted since this was last asked.
    deleted: u64,
}

/// What a check found.
enum Found {
    Holds,
    Fails,
    Damaged,
}

impl<'c> Statements<'c> {
    pub(crate) fn prepare(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            header: connection.prepare(SELECT_HEADER)?,
            sequence: connection.prepare(UPDATE_SEQUENCE)?,
            version: connection.prepare("SELECT version, key_crc FROM entry WHERE key = ?1")?,
            create: connection.prepare(
                "INSERT INTO entry (key, version, key_crc, value) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
            )?,
            replace: connection
                .prepare("UPDATE entry SET version = ?2, key_crc = ?3, value = ?4 WHERE key = ?1")?,
            replace_version: connection
                .prepare("UPDATE entry SET version = ?2, key_crc = ?3, value = ?4 WHERE key = ?1 AND version = ?5")?,
            put: connection.prepare(
                "INSERT INTO entry (key, version, key_crc, value) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (key) \
                 DO UPDATE SET version = excluded.version, key_crc = excluded.key_crc, value = excluded.value",
            )?,
            delete: connection.prepare("DELETE FROM entry WHERE key = ?1")?,
            delete_version: connection.prepare("DELETE FROM entry WHERE key = ?1 AND version = ?2")?,
            deleted: 0,
        })
    }

    /// The header as it is within the transaction.
    pub(crate) fn header(&mut self) -> Result<Header, Failure> {
        Header::verified(self.header.query_row([], Header::from_row).optional()?)
    }

    /// Makes `header`'s number that of the last commit.
    pub(crate) fn set_sequence(&mut self, header: &Header) -> rusqlite::Result<()> {
        self.sequence
            .execute(params![header.sequence(), header.crc()])
            .map(drop)
    }

    /// Rows that were deleted since the last call.
    pub(crate) const fn take_deleted(&mut self) -> u64 {
        std::mem::replace(&mut self.deleted, 0)
    }

    /// Decides `batch` and, if it applies, writes it under `version`.
    pub(crate) fn apply(
        &mut self,
        batch: &Batch,
        fused: Option<Fused>,
        incarnation: Incarnation,
        version: i64,
    ) -> rusqlite::Result<Decision> {
        if let Some(refusal) = self.check_all(batch, fused, incarnation)? {
            return Ok(refusal);
        }
        if let Some(fused) = fused {
            let check = &batch.checks[fused.check];
            if !self.write_if(
                &batch.writes[fused.write],
                check.expect,
                incarnation,
                version,
            )? {
                let found = self.check(check, incarnation)?;
                return Ok(refusal(check, &found));
            }
        }
        for (place, write) in batch.writes.iter().enumerate() {
            if fused.is_none_or(|fused| fused.write != place) {
                self.write(write, version)?;
            }
        }
        Ok(Decision::Applied)
    }

    /// Makes all checks but the fused one. The fused one is made as well if a
    /// later one fails, so that the first failing one is named.
    fn check_all(
        &mut self,
        batch: &Batch,
        fused: Option<Fused>,
        incarnation: Incarnation,
    ) -> rusqlite::Result<Option<Decision>> {
        let deferred = fused.map(|fused| fused.check);
        for (place, check) in batch.checks.iter().enumerate() {
            if Some(place) == deferred {
                continue;
            }
            let found = self.check(check, incarnation)?;
            if matches!(found, Found::Holds) {
                continue;
            }
            if let Some(deferred) = deferred.filter(|deferred| *deferred < place) {
                let earlier = &batch.checks[deferred];
                let found = self.check(earlier, incarnation)?;
                if !matches!(found, Found::Holds) {
                    return Ok(Some(refusal(earlier, &found)));
                }
            }
            return Ok(Some(refusal(check, &found)));
        }
        Ok(None)
    }

    fn check(&mut self, check: &Check, incarnation: Incarnation) -> rusqlite::Result<Found> {
        let row = self
            .version
            .query_row([check.key.as_ref()], |row| Ok((row.get(0)?, row.get(1)?)));
        let found: Option<(i64, i64)> = row.optional()?;
        if found.is_some_and(|(version, crc)| schema::key_crc(&check.key, version) != crc) {
            return Ok(Found::Damaged);
        }
        let holds = match check.expect {
            Expect::Absent => found.is_none(),
            Expect::Present => found.is_some(),
            Expect::Version(version) => {
                found.is_some_and(|(found, _)| stored(version, incarnation) == Some(found))
            }
        };
        Ok(if holds { Found::Holds } else { Found::Fails })
    }

    /// Writes if the check on the same key holds; whether it did.
    fn write_if(
        &mut self,
        write: &Write,
        expect: Expect,
        incarnation: Incarnation,
        version: i64,
    ) -> rusqlite::Result<bool> {
        let expected = match expect {
            Expect::Version(expected) => match stored(expected, incarnation) {
                Some(expected) => Some(expected),
                None => return Ok(false),
            },
            Expect::Absent | Expect::Present => None,
        };
        let changed = match (write, expected) {
            (Write::Put { key, value }, Some(expected)) => {
                let (crc, sealed) = sealed(key, value, version);
                self.replace_version.execute(params![
                    key.as_ref(),
                    version,
                    crc,
                    sealed,
                    expected
                ])?
            }
            (Write::Put { key, value }, None) => {
                let (crc, sealed) = sealed(key, value, version);
                let statement = if expect == Expect::Absent {
                    &mut self.create
                } else {
                    &mut self.replace
                };
                statement.execute(params![key.as_ref(), version, crc, sealed])?
            }
            (Write::Delete { key }, Some(expected)) => {
                let deleted = self
                    .delete_version
                    .execute(params![key.as_ref(), expected])?;
                self.count(deleted)
            }
            (Write::Delete { key }, None) => {
                let deleted = self.delete.execute([key.as_ref()])?;
                self.count(deleted)
            }
        };
        Ok(changed == 1)
    }

    fn write(&mut self, write: &Write, version: i64) -> rusqlite::Result<()> {
        match write {
            Write::Put { key, value } => {
                let (crc, sealed) = sealed(key, value, version);
                self.put
                    .execute(params![key.as_ref(), version, crc, sealed])
                    .map(drop)
            }
            Write::Delete { key } => {
                let deleted = self.delete.execute([key.as_ref()])?;
                self.count(deleted);
                Ok(())
            }
        }
    }

    fn count(&mut self, deleted: usize) -> usize {
        self.deleted += u64::try_from(deleted).unwrap_or(0);
        deleted
    }
}

fn refusal(check: &Check, found: &Found) -> Decision {
    match found {
        Found::Fails => Decision::Conflict(check.key.clone()),
        // A check that holds now although its write found nothing to change
        // means that table and index disagree.
        Found::Damaged | Found::Holds => {
            Decision::Refused(Failure::corrupt("a stored key or version is damaged"))
        }
    }
}

fn sealed(key: &[u8], value: &[u8], version: i64) -> (i64, Vec<u8>) {
    (
        schema::key_crc(key, version),
        seal::seal(key, version.cast_unsigned(), value),
    )
}

/// The number behind a version; `None` if it was never one of this store's.
fn stored(version: Version, incarnation: Incarnation) -> Option<i64> {
    if version.incarnation() != incarnation {
        return None;
    }
    i64::try_from(version.sequence()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn present(batch: Batch, key: &'static str) -> Batch {
        batch.check(key, Expect::Present)
    }

    #[test]
    fn the_last_check_on_a_written_key_is_made_by_its_write() {
        let batch = present(present(present(Batch::new(), "a"), "b"), "c")
            .put("z", "")
            .put("b", "")
            .delete("a");
        assert_eq!(Fused::find(&batch), Some(Fused { check: 1, write: 1 }));
        assert_eq!(Fused::find(&present(Batch::new(), "a").put("b", "")), None);
        assert_eq!(Fused::find(&Batch::new().put("b", "")), None);
    }

    #[test]
    fn only_the_last_checks_are_tried() {
        let mut batch = present(Batch::new(), "a").put("a", "");
        for _ in 1..FUSED_CHECKS_TRIED_MAX {
            batch = present(batch, "b");
        }
        assert_eq!(Fused::find(&batch), Some(Fused { check: 0, write: 0 }));
        assert_eq!(Fused::find(&present(batch, "b")), None);
    }
}
