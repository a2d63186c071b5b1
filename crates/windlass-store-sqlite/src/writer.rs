//! The writer thread: group commit.
//!
//! Everything that waits when the thread gets its turn becomes one
//! transaction, so callers share a disk flush. Invariants:
//!
//! - An answer is sent only after the transaction has ended.
//! - If a batch cannot be applied, the group is rolled back and committed one
//!   by one, so only the culprit gets the error.
//! - If a COMMIT fails, its group is answered `Indeterminate`, the connection
//!   is thrown away, and neither reads nor commits go on before a new one has
//!   verified the file and fenced off what the failed one may have left.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use windlass_store::{Commit, StoreError};

use crate::apply::Statements;
use crate::checkpoint::{self, Checkpoints};
use crate::connection;
use crate::copier::Beside;
use crate::error::Failure;
use crate::group::{self, GroupError, Request};
use crate::limits::{GROUP_BATCHES_MAX, GROUP_KIB_MAX, REOPEN_MS};
use crate::options::Copies;
use crate::queue::{Queue, Woken};
use crate::shared::Shared;
use crate::space::Space;
use crate::turns::{Turn, Turns};

/// A connection that writes, and its watch over the log.
#[derive(Debug)]
struct Line {
    connection: Connection,
    checkpoints: Checkpoints,
    space: Space,
}

impl Line {
    /// Opens a connection that writes.
    fn open(shared: &Shared) -> Result<Self, Failure> {
        let mut connection =
            connection::open_again(&shared.files, &shared.options, shared.incarnation)?;
        shared.here.enlarge_cache(&connection)?;
        if let Some(bytes) = shared.options.database_bytes_max {
            connection::limit(&connection, bytes)?;
        }
        let wal_bytes = shared.files.wal_bytes();
        let checkpoints = Checkpoints::watch(&mut connection, wal_bytes, &shared.options)?;
        let space = Space::watch(&connection, &shared.options)?;
        Ok(Self {
            connection,
            checkpoints,
            space,
        })
    }
}

/// What the thread does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Goes on with the connection it has.
    Continue,
    /// Throws its connection away and opens another.
    Reopen,
    /// Ends: the store is closed and nothing waits.
    End,
}

/// Whether the thread that commits was started: it is when it is needed first.
#[derive(Debug)]
pub(crate) struct Post {
    is_filled: AtomicBool,
    /// What it is given.
    turns: Mutex<Option<Turns>>,
}

impl Post {
    pub(crate) const fn new(turns: Turns) -> Self {
        Self {
            is_filled: AtomicBool::new(false),
            turns: Mutex::new(Some(turns)),
        }
    }

    /// Whether the thread was started.
    pub(crate) fn is_filled(&self) -> bool {
        self.is_filled.load(Ordering::Acquire)
    }

    fn turns(&self) -> MutexGuard<'_, Option<Turns>> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the thread that commits, unless it was.
pub(crate) fn ensure(shared: &Arc<Shared>) -> Result<(), Failure> {
    let post = &shared.post;
    if post.is_filled() {
        return Ok(());
    }
    // Whoever comes second waits for what becomes of the first.
    let _turns = post.turns();
    if post.is_filled() {
        return Ok(());
    }
    shared.spawn("write", |shared| {
        let turns = shared.post.turns().take();
        run(shared, turns.expect("the thread is started once"));
    })?;
    post.is_filled.store(true, Ordering::Release);
    Ok(())
}

/// Commits until the store is closed and nothing waits.
fn run(shared: &Arc<Shared>, turns: Turns) {
    let mut writer = Writer {
        shared,
        turns,
        backlog: Backlog::default(),
        beside: (shared.options.copies == Copies::Beside).then(|| Beside::new(shared)),
        has_tidied: false,
        is_weary: false,
    };
    loop {
        let next = match writer.open() {
            Ok(line) => writer.serve(line),
            Err(failure) => writer.refuse_for_now(&failure),
        };
        if next == Next::End {
            return;
        }
    }
}

struct Writer<'a> {
    shared: &'a Arc<Shared>,
    turns: Turns,
    backlog: Backlog,
    /// Where the log is copied beside commits.
    beside: Option<Beside<'a>>,
    /// Whether free pages were given back before the end; that is not tried
    /// twice.
    has_tidied: bool,
    /// Whether that failed just now; then it is not tried before something was
    /// committed.
    is_weary: bool,
}

impl Writer<'_> {
    fn serve(&mut self, line: Line) -> Next {
        let Line {
            connection,
            mut checkpoints,
            mut space,
        } = line;
        let mut statements = match Statements::prepare(&connection) {
            Ok(statements) => statements,
            Err(cause) => return self.refuse_for_now(&cause.into()),
        };
        if std::mem::take(&mut self.is_weary) {
            space.rest();
        }
        loop {
            let next = match self.backlog.wait(&self.shared.writes, space.patience()) {
                Woken::Arrived => {
                    space.stir();
                    let next = self.commit_next(&connection, &mut statements, &mut checkpoints);
                    space.count_deleted(statements.take_deleted());
                    next
                }
                Woken::Idle => self.tidy(&connection, &mut space, &mut checkpoints),
                Woken::Closed if self.has_tidied => return Next::End,
                Woken::Closed => {
                    self.has_tidied = true;
                    match space.last_steps(&connection, &self.turns, self.shared) {
                        Ok(()) => return Next::End,
                        Err(error) => self.throw_away(error),
                    }
                }
            };
            let (gate, turns) = (&self.shared.gate, &self.turns);
            let kept_up = checkpoints.keep_up(&connection, gate, turns, self.beside.as_mut());
            if next == Next::Reopen || kept_up.is_err() {
                return Next::Reopen;
            }
        }
    }

    /// Gives back some of what is free while nothing waits.
    fn tidy(
        &mut self,
        connection: &Connection,
        space: &mut Space,
        checkpoints: &mut Checkpoints,
    ) -> Next {
        if !checkpoints.has_room() {
            space.rest();
            return Next::Continue;
        }
        match space.step(connection, &self.turns, self.shared) {
            Ok(Some(pages)) => checkpoints.count_pages(pages),
            Ok(None) if space.has_given() => {
                // The file is as long as it was until its log is copied.
                self.shared.copier.wait();
                if checkpoint::copy(connection).is_err() {
                    return Next::Reopen;
                }
            }
            Ok(None) => {}
            Err(error) => {
                self.is_weary = true;
                return self.throw_away(error);
            }
        }
        Next::Continue
    }

    /// Deals with pages that were not given back, as with a group.
    fn throw_away(&mut self, error: GroupError) -> Next {
        self.recover(Vec::new(), error);
        Next::Reopen
    }

    fn commit_next(
        &mut self,
        connection: &Connection,
        statements: &mut Statements<'_>,
        checkpoints: &mut Checkpoints,
    ) -> Next {
        let turn = match turn_in_place(&self.turns, self.shared) {
            Ok(turn) => turn,
            Err(failure) => {
                let group = self.backlog.take(&self.shared.writes);
                self.refuse(group, &failure);
                return Next::Continue;
            }
        };
        let group = self.backlog.take(&self.shared.writes);
        let committed = group::commit(connection, statements, &group);
        drop(turn);
        match committed {
            Ok(answers) => {
                checkpoints.count(&group);
                self.answer(group, answers);
                Next::Continue
            }
            Err(error) => {
                self.recover(group, error);
                Next::Reopen
            }
        }
    }

    /// Deals with a group that was not committed.
    fn recover(&mut self, group: Vec<Request>, error: GroupError) {
        match error {
            GroupError::Apply(_) if group.len() > 1 => self.backlog.commit_singly(group),
            GroupError::Begin(failure) | GroupError::Apply(failure) | GroupError::Full(failure) => {
                self.refuse(group, &failure);
            }
            GroupError::Commit(failure) => {
                self.shared.settled.store(false, Ordering::Release);
                self.conclude(group, |_| Err(failure.indeterminate()));
            }
        }
    }

    /// Opens a connection, which verifies the file, and after a commit that
    /// failed sees to it that nothing of it can turn up any more: by a
    /// commit in its place or, where there is no room for one, by emptying
    /// the log.
    fn open(&self) -> Result<Line, Failure> {
        let line = Line::open(self.shared)?;
        if !self.shared.settled.load(Ordering::Acquire) {
            let _turn = self.turns.take()?;
            let fenced = group::fence(&line.connection);
            fenced.or_else(|failure| checkpoint::empty(&line.connection).map_err(|_| failure))?;
            self.shared.settled.store(true, Ordering::Release);
        }
        Ok(line)
    }

    /// Answers what waits with `failure`, or waits a moment if nothing does.
    fn refuse_for_now(&mut self, failure: &Failure) -> Next {
        match self
            .backlog
            .wait(&self.shared.writes, Some(Duration::from_millis(REOPEN_MS)))
        {
            Woken::Closed => return Next::End,
            Woken::Idle => {}
            Woken::Arrived => {
                let group = self.backlog.take(&self.shared.writes);
                self.refuse(group, failure);
            }
        }
        Next::Reopen
    }

    fn answer(&self, group: Vec<Request>, answers: Vec<Result<Commit, StoreError>>) {
        for (request, answer) in group.iter().zip(&answers) {
            if let Ok(Commit::Applied(_)) = answer {
                self.shared.hub.publish(&request.batch.writes);
            }
        }
        let mut answers = answers.into_iter();
        self.conclude(group, |_| {
            answers
                .next()
                .expect("a group has an answer for each request")
        });
    }

    fn refuse(&self, group: Vec<Request>, failure: &Failure) {
        self.conclude(group, |_| Err(failure.error("commit")));
    }

    fn conclude(
        &self,
        group: Vec<Request>,
        mut answer: impl FnMut(&Request) -> Result<Commit, StoreError>,
    ) {
        let weights = group.iter().map(|request| request.weight_kib);
        self.shared.release_write_places(weights.sum());
        for request in group {
            let answer = answer(&request);
            // Nobody may be waiting any more.
            let _ = request.answer.send(answer);
        }
    }
}

/// The turn to write, if the file is still where it was.
fn turn_in_place<'t>(turns: &'t Turns, shared: &Shared) -> Result<Turn<'t>, Failure> {
    let turn = turns.take()?;
    shared.assert_in_place()?;
    Ok(turn)
}

/// What was taken from the queue and put back, and the rule for groups.
#[derive(Debug, Default)]
struct Backlog {
    /// Requests of a group that could not be applied: committed one by one,
    /// before anything new.
    single: VecDeque<Request>,
}

impl Backlog {
    fn commit_singly(&mut self, group: Vec<Request>) {
        self.single.extend(group);
    }

    fn wait(&self, queue: &Queue<Request>, patience: Option<Duration>) -> Woken {
        if self.single.is_empty() {
            queue.wait(patience)
        } else {
            Woken::Arrived
        }
    }

    /// The next group: as much as waits, within limits.
    fn take(&mut self, queue: &Queue<Request>) -> Vec<Request> {
        if let Some(request) = self.single.pop_front() {
            return vec![request];
        }
        let mut group = Vec::new();
        let (mut batches, mut kib) = (0, 0);
        queue.take_while(&mut group, |request| {
            let full = batches >= GROUP_BATCHES_MAX || kib >= GROUP_KIB_MAX;
            batches += 1;
            kib += request.weight_kib;
            !full
        });
        group
    }
}
