//! What is looked at when a store opens: everything but the values.
//!
//! sled drops rows it finds damaged, and all that came after a damaged end of
//! its log, without a word. So the rows are counted and summed up, and
//! compared with the ledger, which changes in the same transaction, and the
//! ledger with the mark, which sled cannot touch. Costs a read of all rows.

use std::collections::HashSet;

use crate::engine::Engine;
use crate::error::Failure;
use crate::ledger::Ledger;
use crate::mark::{Note, State};
use crate::row::{self, HEAD, LEDGER_KEY, PIECE, Pieces};
use crate::space;

/// What a store was found to hold.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) ledger: Ledger,
    /// Keys of pieces that no entry has: of commits that were cut short before
    /// they were acknowledged, and of values that were replaced. Those of the
    /// former have names that the next commit is going to use.
    pub(crate) orphans: Vec<[u8; 13]>,
}

/// Reads the store once and refuses it if anything is missing or too much.
pub(crate) fn verify(engine: &Engine, note: Note) -> Result<Found, Failure> {
    let stored = engine.get(&LEDGER_KEY)?;
    let ledger = Ledger::parse(stored.as_deref())?;
    compare(ledger, note)?;
    let mut counted = Ledger {
        entries: 0,
        digest: 0,
        ..ledger
    };
    let mut owners = HashSet::new();
    for head in engine.rows((vec![HEAD], vec![HEAD + 1])).map(space::parse) {
        let head = head?;
        counted.add(&head);
        let owner = |pieces: Pieces| (pieces.stamp, pieces.place);
        owners.extend(head.pieces().map(owner));
    }
    if counted != ledger {
        return Err(Failure::corrupt(format!(
            "the entries do not add up: found {}, expected {}",
            counted.entries, ledger.entries
        )));
    }
    Ok(Found {
        ledger,
        orphans: orphans(engine, &owners)?,
    })
}

fn compare(ledger: Ledger, note: Note) -> Result<(), Failure> {
    if ledger.incarnation != note.incarnation {
        return Err(Failure::corrupt(
            "the files are of another store than the mark beside them",
        ));
    }
    let (found, expected) = (ledger.sequence, note.sequence);
    let closed = matches!(note.state, State::Closed { .. });
    if found < expected || closed && found != expected {
        return Err(Failure::corrupt(format!(
            "the store ends with commit {found}; commit {expected} was acknowledged"
        )));
    }
    Ok(())
}

fn orphans(engine: &Engine, owners: &HashSet<(u64, u16)>) -> Result<Vec<[u8; 13]>, Failure> {
    let mut orphans = Vec::new();
    for row in engine.rows((vec![PIECE], vec![0xff])) {
        let (key, _) = row?;
        let Some(owner) = row::owner_of_piece(&key) else {
            return Err(Failure::corrupt(
                "a row is neither an entry nor part of one",
            ));
        };
        if !owners.contains(&owner) {
            orphans.extend(<[u8; 13]>::try_from(&key[..]));
        }
    }
    Ok(orphans)
}
