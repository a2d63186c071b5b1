//! The tables, and the header row that says whose they are.
//!
//! `windlass` has one row: the format of the file, the random incarnation of
//! the store and the number of its last commit, under a checksum. `entry` has
//! one row a key. The columns, and why they are as they are:
//! `docs/adr/0002-sqlite-layout.md`.

use rusqlite::{Connection, OptionalExtension, Row, params};
use windlass_store::Incarnation;

use crate::error::Failure;

/// `WNDL`: marks the file as ours for `file(1)` and for [`recognize`].
pub(crate) const APPLICATION_ID: i64 = 0x574e_444c;

/// The format this code writes, and the newest it knows.
const FORMAT: i64 = 1;
/// The oldest code that may read what this code writes.
const READABLE_FROM: i64 = 1;
/// The oldest code that may write into it.
const WRITABLE_FROM: i64 = 1;

const CREATE: [&str; 2] = [
    "CREATE TABLE windlass (
       id INTEGER PRIMARY KEY CHECK (id = 1),
       format INTEGER NOT NULL,
       readable_from INTEGER NOT NULL,
       writable_from INTEGER NOT NULL,
       incarnation INTEGER NOT NULL,
       sequence INTEGER NOT NULL,
       crc INTEGER NOT NULL
     ) STRICT",
    // Rowid and a unique index, not WITHOUT ROWID: docs/adr/0002-sqlite-layout.md.
    "CREATE TABLE entry (
       id INTEGER PRIMARY KEY,
       key BLOB NOT NULL UNIQUE,
       version INTEGER NOT NULL,
       key_crc INTEGER NOT NULL,
       value BLOB NOT NULL
     ) STRICT",
];

/// Reads what [`Header::from_row`] takes.
pub(crate) const SELECT_HEADER: &str = "SELECT format, readable_from, writable_from, incarnation, sequence, crc FROM windlass WHERE id = 1";
/// Sets the number of the last commit (`?1`) and the checksum (`?2`).
pub(crate) const UPDATE_SEQUENCE: &str = "UPDATE windlass SET sequence = ?1, crc = ?2 WHERE id = 1";

/// The one row of `windlass`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    format: i64,
    readable_from: i64,
    writable_from: i64,
    incarnation: i64,
    sequence: i64,
}

impl Header {
    /// The header of a store that is being born.
    pub(crate) fn draw() -> Result<Self, Failure> {
        let incarnation = Incarnation::draw().map_err(|cause| {
            Failure::environment("no incarnation can be drawn").caused_by(cause)
        })?;
        Ok(Self {
            format: FORMAT,
            readable_from: READABLE_FROM,
            writable_from: WRITABLE_FROM,
            incarnation: incarnation.number().cast_signed(),
            sequence: 0,
        })
    }

    /// The header as it was when `number` was the last commit's.
    pub(crate) const fn with_sequence(self, sequence: i64) -> Self {
        Self { sequence, ..self }
    }

    /// The incarnation that is part of every version.
    pub(crate) const fn incarnation(&self) -> Incarnation {
        Incarnation::from_number(self.incarnation.cast_unsigned())
    }

    /// The number of the last commit.
    pub(crate) const fn sequence(&self) -> i64 {
        self.sequence
    }

    /// The checksum over all columns.
    pub(crate) fn crc(&self) -> i64 {
        let columns = [
            self.format,
            self.readable_from,
            self.writable_from,
            self.incarnation,
            self.sequence,
        ];
        let mut hasher = crc32fast::Hasher::new();
        for column in columns {
            hasher.update(&column.to_le_bytes());
        }
        hasher.finalize().into()
    }

    /// The header in a row of [`SELECT_HEADER`], with the checksum beside it.
    pub(crate) fn from_row(row: &Row<'_>) -> rusqlite::Result<(Self, i64)> {
        let header = Self {
            format: row.get(0)?,
            readable_from: row.get(1)?,
            writable_from: row.get(2)?,
            incarnation: row.get(3)?,
            sequence: row.get(4)?,
        };
        Ok((header, row.get(5)?))
    }

    /// The header, unless it is missing, damaged or of an unknown format.
    pub(crate) fn verified(found: Option<(Self, i64)>) -> Result<Self, Failure> {
        let Some((header, crc)) = found else {
            return Err(Failure::corrupt("the header of the store is missing"));
        };
        header.verify(crc)?;
        Ok(header)
    }

    /// Refuses a format that this code must not write, and a damaged header.
    fn verify(&self, crc: i64) -> Result<(), Failure> {
        if self.format < FORMAT || self.writable_from > FORMAT {
            return Err(Failure::environment(format!(
                "the file has format {}, writable from format {}; expected format {FORMAT}",
                self.format, self.writable_from
            )));
        }
        if crc != self.crc() || self.sequence < 0 {
            return Err(Failure::corrupt("the header of the store is damaged"));
        }
        Ok(())
    }
}

/// The checksum beside a key: over its version and itself. It lets a scan of
/// keys alone, and a check, notice damage without reading the value.
pub(crate) fn key_crc(key: &[u8], version: i64) -> i64 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&version.to_le_bytes());
    hasher.update(key);
    hasher.finalize().into()
}

/// Makes the tables and the header, within the caller's transaction.
pub(crate) fn create(connection: &Connection, header: &Header) -> rusqlite::Result<()> {
    for statement in CREATE {
        connection.execute(statement, [])?;
    }
    connection.execute(
        "INSERT INTO windlass (id, format, readable_from, writable_from, incarnation, sequence, crc)
         VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            header.format,
            header.readable_from,
            header.writable_from,
            header.incarnation,
            header.sequence,
            header.crc()
        ],
    )?;
    Ok(())
}

/// The header of a database that is ours; refuses every other.
pub(crate) fn recognize(connection: &Connection) -> Result<Header, Failure> {
    let marked: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    if marked != APPLICATION_ID {
        return Err(Failure::environment(format!(
            "the file is not a store: its mark is {marked}, expected {APPLICATION_ID}"
        )));
    }
    Header::verified(
        connection
            .query_row(SELECT_HEADER, [], Header::from_row)
            .optional()?,
    )
}
