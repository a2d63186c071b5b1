//! One of the tasks that commit: takes what waits, sends it as one call, and
//! answers.
//!
//! What is certain decides what is answered. Before a call is sent, and when
//! the server says that it rolled back, nothing happened: the group may be
//! sent again. When there is no answer, or a warning beside it, everything is
//! `Indeterminate`. A commit is never cancelled.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio_postgres::types::{ToSql, Type};
use windlass_store::{Batch, Commit, Incarnation, StoreError, Version};

use crate::connect::{Connection, discard};
use crate::error::{Failure, Fate, fate};
use crate::limits::{COMMIT_ATTEMPTS_MAX, GROUP_BATCHES_MAX, GROUP_KIB_MAX};
use crate::plan::{Locking, Plan, Waves};
use crate::prepared::Prepared;
use crate::schema::FORMAT;
use crate::shared::Shared;

/// A batch, and who waits for the answer.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) batch: Batch,
    pub(crate) prepared: Prepared,
    pub(crate) answer: oneshot::Sender<Result<Commit, StoreError>>,
    /// What it takes up among all that waits.
    pub(crate) room: OwnedSemaphorePermit,
}

/// What became of a group.
enum Outcome {
    /// All were decided: those that were refused, with the place of the check
    /// that failed.
    Decided(HashMap<usize, usize>),
    /// Nothing happened, and the same may succeed at once.
    Again(Failure),
    /// Nothing happened.
    Failed(Failure),
    /// It may have been applied.
    Unknown(Failure),
}

/// Commits until the store is closed and nothing waits any more.
pub(crate) async fn run(shared: Arc<Shared>) {
    while let Some(requests) = shared.queue.take(group_of).await {
        let (group, others) = arrange(requests);
        shared.queue.put_back(others);
        commit(&shared, group).await;
    }
}

/// How many of those that wait one group may have.
fn group_of(waiting: &VecDeque<Request>) -> usize {
    let (mut count, mut kib) = (0, 0);
    for request in waiting {
        if count == GROUP_BATCHES_MAX || kib >= GROUP_KIB_MAX {
            break;
        }
        count += 1;
        kib += request.room.num_permits();
    }
    count
}

/// A request and its wave.
type Placed = (usize, Request);

/// Splits off what has no place in this group.
fn arrange(requests: Vec<Request>) -> (Vec<Placed>, Vec<Request>) {
    let mut waves = Waves::default();
    let places: Vec<_> = requests
        .iter()
        .map(|request| waves.place(&request.prepared))
        .collect();
    let (mut group, mut others) = (Vec::with_capacity(requests.len()), Vec::new());
    for (request, place) in requests.into_iter().zip(places) {
        match place {
            Some(wave) => group.push((wave, request)),
            None => others.push(request),
        }
    }
    (group, others)
}

/// Sends a group until its fate is known. If it cannot be applied as a whole,
/// its batches are sent one by one, so that only the culprit fails.
async fn commit(shared: &Shared, group: Vec<Placed>) {
    let mut last = None;
    let mut locking = Locking::Checked;
    for _ in 0..COMMIT_ATTEMPTS_MAX {
        match attempt(shared, &group, locking).await {
            Outcome::Decided(refused) => return answer(shared, group, &refused),
            Outcome::Again(failure) => last = Some(failure),
            Outcome::Failed(failure) if group.len() == 1 || failure.is_passing() => {
                return fail(group, |_| failure.error("commit"));
            }
            Outcome::Failed(_) => return commit_singly(shared, group).await,
            Outcome::Unknown(failure) => return fail(group, |_| failure.indeterminate()),
        }
        locking = Locking::All;
    }
    let lost = last.unwrap_or_else(|| Failure::unavailable("other writers were always faster"));
    fail(group, |_| lost.error("commit"));
}

async fn commit_singly(shared: &Shared, group: Vec<Placed>) {
    for (_, request) in group {
        Box::pin(commit(shared, vec![(0, request)])).await;
    }
}

async fn attempt(shared: &Shared, group: &[Placed], locking: Locking) -> Outcome {
    let connection = match shared.commits.connection().await {
        Ok(connection) => connection,
        Err(failure) => return Outcome::Failed(failure),
    };
    let batches = group.iter();
    let batches = batches.map(|(wave, request)| (*wave, &request.prepared));
    let plan = Plan::new(batches, locking);
    send(shared, connection, &plan).await
}

async fn send(shared: &Shared, connection: Connection, plan: &Plan<'_>) -> Outcome {
    let warnings = shared.commits.warnings();
    let header: [(&(dyn ToSql + Sync), Type); 2] =
        [(&shared.incarnation, Type::INT8), (&FORMAT, Type::INT4)];
    let parameters: Vec<_> = header.into_iter().chain(plan.parameters()).collect();
    let call = connection.query_typed(&shared.commit_call, &parameters);
    let rows = match tokio::time::timeout(shared.options.commit_time_max, call).await {
        Ok(Ok(rows)) => rows,
        Ok(Err(error)) => return judge(error, connection),
        Err(_) => {
            discard(connection);
            return Outcome::Unknown(Failure::unavailable("the server did not answer in time"));
        }
    };
    if shared.commits.warnings() != warnings {
        return Outcome::Unknown(Failure::unavailable(
            "the server warned that a commit may not be on its standby",
        ));
    }
    let refused = rows.iter().map(|row| {
        let (batch, place): (i32, i32) = (row.try_get(0)?, row.try_get(1)?);
        let number = |value: i32| usize::try_from(value).unwrap_or(usize::MAX);
        Ok((number(batch), number(place)))
    });
    match refused.collect::<Result<_, tokio_postgres::Error>>() {
        Ok(refused) => Outcome::Decided(refused),
        Err(error) => Outcome::Unknown(error.into()),
    }
}

fn judge(error: tokio_postgres::Error, connection: Connection) -> Outcome {
    let fate = fate(&error);
    if fate == Fate::Elsewhere {
        discard(connection);
    }
    match fate {
        Fate::Again | Fate::Elsewhere => Outcome::Again(error.into()),
        Fate::Refused => Outcome::Failed(error.into()),
        Fate::Unknown => Outcome::Unknown(error.into()),
    }
}

/// Answers a group that was decided. A batch that was refused although by now
/// nothing stands in its way is tried again.
fn answer(shared: &Shared, group: Vec<Placed>, refused: &HashMap<usize, usize>) {
    let mut again = Vec::new();
    for (number, (_, request)) in group.into_iter().enumerate() {
        let commit = match refused.get(&number) {
            Some(0) => {
                again.push(request);
                continue;
            }
            Some(place) => conflict(&request, *place),
            None => {
                shared.changed(&request.batch);
                let incarnation = Incarnation::from_number(shared.incarnation.cast_unsigned());
                let number = request.prepared.number.cast_unsigned();
                Commit::Applied(Version::new(incarnation, number))
            }
        };
        tell(request, Ok(commit));
    }
    shared.queue.put_back(again);
}

fn conflict(request: &Request, place: usize) -> Commit {
    let check = &request.batch.checks[place - 1];
    Commit::Conflict {
        key: check.key.clone(),
    }
}

fn fail(group: Vec<Placed>, error: impl Fn(&Request) -> StoreError) {
    for (_, request) in group {
        let error = error(&request);
        tell(request, Err(error));
    }
}

fn tell(request: Request, answer: Result<Commit, StoreError>) {
    // Whoever asked may have gone; then nobody needs to know.
    let _ = request.answer.send(answer);
}
