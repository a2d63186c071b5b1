//! The mark: a file of our own beside those of sled, which sled can neither
//! damage nor roll back.
//!
//! sled takes damage at the end of its log for a write that was never
//! finished, and an emptied file for a new database. The mark says that there
//! was a store, which one, and up to which commit it acknowledged. It has two
//! slots of 512 bytes that are written in turns, so that a torn write leaves
//! the other. A slot, numbers big-endian: `windlass sled` and three zero bytes
//! (16), format (4), state (4: 0 open, 1 closed), turn (8), incarnation (8),
//! number of the last acknowledged commit (8), length of sled's file (8: when
//! it was closed, else 0), CRC-32 of these (4), zeros.
//!
//! It is synced when the store opens and closes. Before sled opens its files,
//! which it may make shorter, a length of 1 is noted: if the power fails before
//! the store is open, a shorter file is no damage. In between it is written
//! after each group was synced and before it is answered, without a sync of
//! its own: so it is exact after the death of a process, never ahead of what
//! is on the disk, and behind by what the system had not yet written if the
//! power failed.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use windlass_store::Incarnation;

use crate::error::Failure;
use crate::files::restrict;

const MAGIC: [u8; 16] = *b"windlass sled\0\0\0";
const FORMAT: u32 = 1;
const SLOT_BYTES: usize = 512;
const USED_BYTES: usize = 60;

/// Whether a store has its files open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// One has, or one had and did not close them.
    Open,
    /// None has, and sled's file was left with so many bytes.
    Closed {
        /// Its length.
        file_bytes: u64,
    },
}

/// What the mark says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) incarnation: Incarnation,
    /// The number of the last acknowledged commit, or of one before it.
    pub(crate) sequence: u64,
    pub(crate) state: State,
}

/// The file, open.
#[derive(Debug)]
pub(crate) struct Mark {
    file: File,
    turn: u64,
    note: Note,
}

impl Mark {
    /// Makes the mark of a new store, and syncs it.
    pub(crate) fn create(path: &Path, note: Note) -> Result<(), Failure> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        restrict(&mut options);
        let created = options.open(path).and_then(|mut file| {
            file.write_all(&[slot(1, note), slot(0, note)].concat())?;
            file.sync_all()
        });
        created.map_err(|cause| Failure::system("the mark of the store cannot be created", cause))
    }

    /// Reads the mark of a store.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let fail = |cause| Failure::system("the mark of the store cannot be read", cause);
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).open(path).map_err(fail)?;
        let mut bytes = Vec::new();
        let length = u64::try_from(2 * SLOT_BYTES).unwrap_or(u64::MAX);
        (&mut file)
            .take(length)
            .read_to_end(&mut bytes)
            .map_err(fail)?;
        let slots = bytes.chunks(SLOT_BYTES).map(parse);
        let valid = slots.collect::<Result<Vec<_>, _>>()?.into_iter().flatten();
        let Some((turn, note)) = valid.max_by_key(|(turn, _)| *turn) else {
            return Err(Failure::corrupt("the mark of the store is damaged"));
        };
        Ok(Self { file, turn, note })
    }

    /// What it says.
    pub(crate) const fn note(&self) -> Note {
        self.note
    }

    /// Notes that all commits up to `sequence` are about to be acknowledged.
    pub(crate) fn advance(&mut self, sequence: u64) -> io::Result<()> {
        self.write(Note {
            sequence,
            ..self.note
        })
    }

    /// Notes that the files are going to be opened and may become shorter by
    /// it, and syncs that.
    pub(crate) fn forget_length(&mut self) -> Result<(), Failure> {
        let noted = match self.note.state {
            State::Open => Ok(()),
            State::Closed { .. } => self.set_state(State::Closed { file_bytes: 1 }),
        };
        noted.map_err(unwritten)
    }

    /// Notes whether a store has the files open, and syncs it.
    pub(crate) fn set_state(&mut self, state: State) -> io::Result<()> {
        self.write(Note { state, ..self.note })?;
        self.file.sync_data()
    }

    fn write(&mut self, note: Note) -> io::Result<()> {
        let turn = self.turn + 1;
        let place = if turn.is_multiple_of(2) {
            SLOT_BYTES
        } else {
            0
        };
        let place = u64::try_from(place).unwrap_or(0);
        self.file.seek(SeekFrom::Start(place))?;
        self.file.write_all(&slot(turn, note))?;
        (self.turn, self.note) = (turn, note);
        Ok(())
    }
}

/// A mark that could not be written.
pub(crate) fn unwritten(cause: io::Error) -> Failure {
    Failure::system("the mark of the store cannot be written", cause)
}

fn slot(turn: u64, note: Note) -> [u8; SLOT_BYTES] {
    let (state, file_bytes) = match note.state {
        State::Open => (0_u32, 0),
        State::Closed { file_bytes } => (1, file_bytes),
    };
    let mut bytes = [0; SLOT_BYTES];
    let mut fields = Vec::with_capacity(USED_BYTES);
    fields.extend_from_slice(&MAGIC);
    fields.extend_from_slice(&FORMAT.to_be_bytes());
    fields.extend_from_slice(&state.to_be_bytes());
    for number in [turn, note.incarnation.number(), note.sequence, file_bytes] {
        fields.extend_from_slice(&number.to_be_bytes());
    }
    fields.extend_from_slice(&crc32fast::hash(&fields).to_be_bytes());
    bytes[..USED_BYTES].copy_from_slice(&fields);
    bytes
}

/// The turn and the note of a slot; nothing for one that was torn.
fn parse(bytes: &[u8]) -> Result<Option<(u64, Note)>, Failure> {
    if bytes.len() < USED_BYTES || bytes[..16] != MAGIC {
        return Ok(None);
    }
    let number = |place: usize| {
        let mut number = [0; 8];
        number.copy_from_slice(&bytes[24 + place * 8..32 + place * 8]);
        u64::from_be_bytes(number)
    };
    let crc = crc32fast::hash(&bytes[..USED_BYTES - 4]);
    if bytes[USED_BYTES - 4..USED_BYTES] != crc.to_be_bytes() {
        return Ok(None);
    }
    if bytes[16..20] != FORMAT.to_be_bytes() {
        let found = bytes[16..20]
            .iter()
            .fold(0_u32, |all, byte| all << 8 | u32::from(*byte));
        return Err(Failure::environment(format!(
            "the store has format {found}; expected format {FORMAT}"
        )));
    }
    let state = if bytes[23] == 0 {
        State::Open
    } else {
        State::Closed {
            file_bytes: number(3),
        }
    };
    let note = Note {
        incarnation: Incarnation::from_number(number(1)),
        sequence: number(2),
        state,
    };
    Ok(Some((number(0), note)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const NOTE: Note = Note {
        incarnation: Incarnation::from_number(7),
        sequence: 3,
        state: State::Closed { file_bytes: 9 },
    };

    fn made() -> (tempfile::TempDir, std::path::PathBuf) {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let path = directory.path().join("mark");
        Mark::create(&path, NOTE).expect("it can be made");
        (directory, path)
    }

    fn note(path: &Path) -> Note {
        Mark::open(path).expect("it can be read").note()
    }

    #[test]
    fn the_last_note_is_the_one_that_counts() {
        let (_directory, path) = made();
        assert_eq!(note(&path), NOTE);
        let mut mark = Mark::open(&path).expect("it can be read");
        mark.set_state(State::Open).expect("it can be written");
        for sequence in 4..9 {
            mark.advance(sequence).expect("it can be written");
            let expected = Note {
                sequence,
                state: State::Open,
                ..NOTE
            };
            assert_eq!(note(&path), expected);
        }
    }

    #[test]
    fn a_torn_slot_leaves_the_note_before_and_two_leave_none() {
        let (_directory, path) = made();
        let mut mark = Mark::open(&path).expect("it can be read");
        mark.advance(4).expect("it can be written");
        mark.advance(5).expect("it can be written");
        let mut bytes = fs::read(&path).expect("it can be read");
        bytes[30] ^= 1;
        fs::write(&path, &bytes).expect("it can be written");
        assert_eq!(note(&path).sequence, 4);
        bytes[SLOT_BYTES + 30] ^= 1;
        fs::write(&path, &bytes).expect("it can be written");
        let error = Mark::open(&path)
            .expect_err("nothing is left")
            .error("open");
        assert_eq!(
            error.to_string(),
            "`open` failed: the mark of the store is damaged"
        );
    }

    #[test]
    fn an_unknown_format_is_named() {
        let (_directory, path) = made();
        let mut bytes = slot(1, NOTE);
        bytes[19] = 8;
        let crc = crc32fast::hash(&bytes[..USED_BYTES - 4]);
        bytes[USED_BYTES - 4..USED_BYTES].copy_from_slice(&crc.to_be_bytes());
        fs::write(&path, bytes).expect("it can be written");
        let error = Mark::open(&path).expect_err("it is unknown").error("open");
        assert_eq!(
            error.to_string(),
            "`open` failed: the store has format 8; expected format 1"
        );
    }
}
