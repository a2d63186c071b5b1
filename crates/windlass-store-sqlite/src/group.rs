//! A group of batches in one transaction.

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::oneshot;
use windlass_store::{Batch, Commit, StoreError, Version};

use crate::apply::{Decision, Fused, Statements};
use crate::error::{Failure, refused_a_write};
use crate::schema::Header;

/// A batch that waits for its commit, and who waits for the answer.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) batch: Batch,
    pub(crate) fused: Option<Fused>,
    /// KiB it counts for while it waits.
    pub(crate) weight_kib: u32,
    pub(crate) answer: oneshot::Sender<Result<Commit, StoreError>>,
}

/// Why a group was not committed.
#[derive(Debug)]
pub(crate) enum GroupError {
    /// Nothing has happened, and no batch is to blame.
    Begin(Failure),
    /// Nothing has happened; a batch could not be applied. Committed one by
    /// one, only that one fails.
    Apply(Failure),
    /// Nothing has happened: the disk was full.
    Full(Failure),
    /// It may have happened.
    Commit(Failure),
}

/// Decides all batches in their order, commits those that apply, and gives
/// the answers in the same order.
pub(crate) fn commit(
    connection: &Connection,
    statements: &mut Statements<'_>,
    requests: &[Request],
) -> Result<Vec<Result<Commit, StoreError>>, GroupError> {
    let transaction = begin(connection).map_err(GroupError::Begin)?;
    let header = statements.header().map_err(GroupError::Begin)?;
    let answers = match decide(statements, header, requests) {
        Ok(answers) => answers,
        Err(cause) => {
            // SQLite may have rolled back already; this does it if not.
            let _ = transaction.finish();
            return Err(GroupError::Apply(cause.into()));
        }
    };
    finish(transaction)?;
    Ok(answers)
}

fn begin(connection: &Connection) -> Result<Transaction<'_>, Failure> {
    Ok(Transaction::new_unchecked(
        connection,
        TransactionBehavior::Immediate,
    )?)
}

fn decide(
    statements: &mut Statements<'_>,
    header: Header,
    requests: &[Request],
) -> rusqlite::Result<Vec<Result<Commit, StoreError>>> {
    let incarnation = header.incarnation();
    let mut last = header.sequence();
    let mut answers = Vec::with_capacity(requests.len());
    for request in requests {
        let next = following(last);
        answers.push(
            match statements.apply(&request.batch, request.fused, incarnation, next)? {
                Decision::Applied => {
                    last = next;
                    Ok(Commit::Applied(Version::new(
                        incarnation,
                        next.cast_unsigned(),
                    )))
                }
                Decision::Conflict(key) => Ok(Commit::Conflict { key }),
                Decision::Refused(failure) => Err(failure.error("commit")),
            },
        );
    }
    if last != header.sequence() {
        statements.set_sequence(&header.with_sequence(last))?;
    }
    Ok(answers)
}

/// Commits what `work` does, in a transaction of its own.
pub(crate) fn aside<T>(
    connection: &Connection,
    work: impl FnOnce() -> rusqlite::Result<T>,
) -> Result<T, GroupError> {
    let transaction = begin(connection).map_err(GroupError::Begin)?;
    let done = match work() {
        Ok(done) => done,
        Err(cause) => {
            // SQLite may have rolled back already; this does it if not.
            let _ = transaction.finish();
            let certain = refused_a_write(&cause);
            let wrap = if certain {
                GroupError::Full
            } else {
                GroupError::Apply
            };
            return Err(wrap(cause.into()));
        }
    };
    finish(transaction)?;
    Ok(done)
}

/// Commits; an error says whether it may have happened all the same.
fn finish(transaction: Transaction<'_>) -> Result<(), GroupError> {
    transaction.commit().map_err(|cause| {
        let certain = refused_a_write(&cause);
        let failure = cause.into();
        if certain {
            GroupError::Full(failure)
        } else {
            GroupError::Commit(failure)
        }
    })
}

/// Commits nothing but a new number. That overwrites whatever a failed commit
/// left behind in the log, so that it can no longer turn up after a crash.
pub(crate) fn fence(connection: &Connection) -> Result<(), Failure> {
    let transaction = begin(connection)?;
    let mut statements = Statements::prepare(connection)?;
    let header = statements.header()?;
    statements.set_sequence(&header.with_sequence(following(header.sequence())))?;
    drop(statements);
    Ok(transaction.commit()?)
}

fn following(sequence: i64) -> i64 {
    sequence
        .checked_add(1)
        .expect("no disk lasts for 2^63 commits")
}
