//! Many callers of one aggregate share one run, such as one commit.
//!
//! Callers hand requests to a [`Combiner`]. While one run is under way the
//! requests that arrive wait; when it ends, all that wait go into the next
//! run together. A run belongs to no caller: it is polled by whichever caller
//! is there, nothing is spawned, and no lock is held across an await.
//!
//! Invariants, kept by `Shared`:
//!
//! 1. At most one run exists at a time, and one thread at a time polls it.
//! 2. A request is given to at most one run. One whose caller went away
//!    before its run began is discarded; afterwards it takes effect whoever
//!    listens.
//! 3. If a run was woken and somebody still waits, somebody is awake to poll
//!    it: a caller that goes away passes the duty on.
//! 4. A run that panics answers its own requests with [`Abandoned`] and
//!    disturbs no other.
//!
//! Where every caller of a run has gone away, the run stays where it is until
//! the next caller comes, who drives it to its end first.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use crate::BoxFuture;
use crate::limits::COMBINED_REQUESTS_MAX;

/// What a [`Combiner`] runs.
pub trait Drive: Send + Sync + 'static {
    /// What a caller asks.
    type Request: Send + 'static;
    /// What a caller gets.
    type Answer: Send + 'static;

    /// Answers every request, in their order. The requests arrived in this
    /// order, and no other run of the same combiner is under way.
    fn run(self: Arc<Self>, requests: Vec<Self::Request>) -> BoxFuture<'static, Vec<Self::Answer>>;
}

/// The run that a request was part of ended without an answer for it: it
/// panicked. What it did is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the combined run ended without an answer")]
pub struct Abandoned;

/// Combines concurrent requests into runs of a [`Drive`].
pub struct Combiner<D: Drive> {
    shared: Arc<Shared<D>>,
}

impl<D: Drive> Combiner<D> {
    /// A combiner over `drive`.
    #[must_use]
    pub fn new(drive: Arc<D>) -> Self {
        let state = State {
            waiting: VecDeque::new(),
            run: Run::Idle,
        };
        Self {
            shared: Arc::new(Shared {
                drive,
                state: Mutex::new(state),
            }),
        }
    }

    /// What the combiner runs.
    #[must_use]
    pub fn drive(&self) -> &Arc<D> {
        &self.shared.drive
    }

    /// Hands in a request and waits for its answer.
    ///
    /// Nothing happens before the first poll. Dropping the future withdraws
    /// the request if its run has not begun, and otherwise only stops
    /// listening. A future that is kept but polled no more can hold up the
    /// others, since it may be the one that was woken: drop what is not
    /// wanted any longer.
    pub const fn submit(&self, request: D::Request) -> Submit<'_, D> {
        Submit {
            shared: &self.shared,
            stage: Stage::New(Some(request)),
        }
    }
}

impl<D: Drive> fmt::Debug for Combiner<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.shared.lock().waiting.len();
        f.debug_struct("Combiner")
            .field("waiting", &waiting)
            .finish_non_exhaustive()
    }
}

/// The future of one request; see [`Combiner::submit`].
pub struct Submit<'a, D: Drive> {
    shared: &'a Arc<Shared<D>>,
    stage: Stage<D>,
}

enum Stage<D: Drive> {
    New(Option<D::Request>),
    Queued(Arc<Ticket<D::Answer>>),
    Done,
}

impl<D: Drive> fmt::Debug for Submit<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submit").finish_non_exhaustive()
    }
}

struct Shared<D: Drive> {
    drive: Arc<D>,
    state: Mutex<State<D>>,
}

struct State<D: Drive> {
    waiting: VecDeque<Waiting<D>>,
    run: Run<D>,
}

enum Run<D: Drive> {
    /// No run is under way.
    Idle,
    /// A run is under way; it wants to be polled if `woken`.
    Parked { running: Running<D>, woken: bool },
    /// Some caller has taken the run out and polls it.
    Polling { tickets: Tickets<D>, woken: bool },
}

type Waiting<D> = (Arc<Ticket<<D as Drive>::Answer>>, <D as Drive>::Request);
type Tickets<D> = Arc<[Arc<Ticket<<D as Drive>::Answer>>]>;

struct Running<D: Drive> {
    future: BoxFuture<'static, Vec<D::Answer>>,
    tickets: Tickets<D>,
}

/// Where one caller waits. Locked after the shared state, never before it.
struct Ticket<A> {
    place: Mutex<Place<A>>,
}

enum Place<A> {
    Waiting(Waker),
    Answered(Result<A, Abandoned>),
    /// The caller went away, or has taken its answer.
    Left,
}

impl<A> Ticket<A> {
    fn lock(&self) -> MutexGuard<'_, Place<A>> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waker(&self) -> Option<Waker> {
        match &*self.lock() {
            Place::Waiting(waker) => Some(waker.clone()),
            Place::Answered(_) | Place::Left => None,
        }
    }

    fn answer(&self, answer: Result<A, Abandoned>) {
        let mut place = self.lock();
        if let Place::Waiting(_) = &*place
            && let Place::Waiting(waker) = mem::replace(&mut *place, Place::Answered(answer))
        {
            drop(place);
            waker.wake();
        }
    }

    fn take(&self, context: &Context<'_>) -> Option<Result<A, Abandoned>> {
        let mut place = self.lock();
        match mem::replace(&mut *place, Place::Left) {
            Place::Answered(answer) => Some(answer),
            Place::Waiting(_) | Place::Left => {
                *place = Place::Waiting(context.waker().clone());
                None
            }
        }
    }
}

impl<D: Drive> Shared<D> {
    fn lock(&self) -> MutexGuard<'_, State<D>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Polls the run if it wants to be polled; starts one if none is under
    /// way. `rounds` bounds how many runs one caller sees to an end.
    ///
    /// A run that is pending is left at once, even if it was woken meanwhile:
    /// what it waits for may be that the caller's own executor gets its turn.
    fn advance(self: &Arc<Self>, rounds: usize) {
        for _ in 0..rounds {
            let Some(running) = self.take_run() else {
                return;
            };
            if !self.poll_run(running) {
                break;
            }
        }
        self.pass_on();
    }

    /// Takes out the run to be polled, if there is one and it wants to be.
    fn take_run(self: &Arc<Self>) -> Option<Running<D>> {
        let mut state = self.lock();
        let running = match mem::replace(&mut state.run, Run::Idle) {
            Run::Parked {
                running,
                woken: true,
            } => running,
            Run::Idle => self.start(&mut state)?,
            other => {
                state.run = other;
                return None;
            }
        };
        state.run = Run::Polling {
            tickets: running.tickets.clone(),
            woken: false,
        };
        Some(running)
    }

    /// Makes a run of the requests that wait and whose callers are there.
    fn start(&self, state: &mut State<D>) -> Option<Running<D>> {
        let mut tickets = Vec::new();
        let mut requests = Vec::new();
        while tickets.len() < COMBINED_REQUESTS_MAX
            && let Some((ticket, request)) = state.waiting.pop_front()
        {
            if ticket.waker().is_some() {
                tickets.push(ticket);
                requests.push(request);
            }
        }
        if tickets.is_empty() {
            return None;
        }
        let drive = Arc::clone(&self.drive);
        // Deferred to the first poll, where a panic is caught.
        let future = Box::pin(async move { drive.run(requests).await });
        Some(Running {
            future,
            tickets: tickets.into(),
        })
    }

    /// Polls the run once; whether it has ended.
    fn poll_run(self: &Arc<Self>, mut running: Running<D>) -> bool {
        let waker = Waker::from(Arc::clone(self));
        let mut context = Context::from_waker(&waker);
        let polled = catch_unwind(AssertUnwindSafe(|| {
            running.future.as_mut().poll(&mut context)
        }));
        match polled {
            Ok(Poll::Pending) => {
                self.park(running);
                return false;
            }
            Ok(Poll::Ready(answers)) => self.finish(&running.tickets, answers),
            Err(_panic) => self.finish(&running.tickets, Vec::new()),
        }
        true
    }

    /// Puts a pending run back, with the wake-up it got meanwhile.
    fn park(&self, running: Running<D>) {
        let mut state = self.lock();
        let woken = matches!(state.run, Run::Polling { woken: true, .. });
        state.run = Run::Parked { running, woken };
    }

    fn finish(&self, tickets: &[Arc<Ticket<D::Answer>>], answers: Vec<D::Answer>) {
        self.lock().run = Run::Idle;
        let mut answers = answers.into_iter();
        for ticket in tickets {
            ticket.answer(answers.next().ok_or(Abandoned));
        }
    }

    /// Takes back a request whose run has not begun, so that callers who come
    /// and go leave nothing behind. Costs the length of the queue.
    fn withdraw(&self, ticket: &Arc<Ticket<D::Answer>>) {
        let mut state = self.lock();
        let position = state
            .waiting
            .iter()
            .position(|(waiting, _)| Arc::ptr_eq(waiting, ticket));
        let request = position.and_then(|position| state.waiting.remove(position));
        drop(state);
        drop(request);
    }

    /// Wakes somebody if there is something to poll or to start.
    fn pass_on(&self) {
        let state = self.lock();
        let duty = match &state.run {
            Run::Idle => !state.waiting.is_empty(),
            Run::Parked { woken, .. } => *woken,
            Run::Polling { .. } => false,
        };
        let waker = if duty { state.somebody() } else { None };
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<D: Drive> State<D> {
    /// A caller who is there, first of the run, then of those who wait.
    fn somebody(&self) -> Option<Waker> {
        let tickets: &[Arc<Ticket<D::Answer>>] = match &self.run {
            Run::Idle => &[],
            Run::Parked { running, .. } => &running.tickets,
            Run::Polling { tickets, .. } => tickets,
        };
        let waiting = self.waiting.iter().map(|(ticket, _)| ticket);
        tickets
            .iter()
            .chain(waiting)
            .find_map(|ticket| ticket.waker())
    }
}

impl<D: Drive> Wake for Shared<D> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut state = self.lock();
        match &mut state.run {
            Run::Parked { woken, .. } | Run::Polling { woken, .. } => *woken = true,
            Run::Idle => return,
        }
        drop(state);
        self.pass_on();
    }
}

impl<D: Drive> Future for Submit<'_, D> {
    type Output = Result<D::Answer, Abandoned>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Stage::New(request) = &mut this.stage {
            let request = request.take().expect("a new stage holds its request");
            let place = Mutex::new(Place::Waiting(context.waker().clone()));
            let ticket = Arc::new(Ticket { place });
            this.shared
                .lock()
                .waiting
                .push_back((Arc::clone(&ticket), request));
            this.stage = Stage::Queued(ticket);
        }
        let Stage::Queued(ticket) = &this.stage else {
            panic!("a finished submission was polled again");
        };
        // Ours may be in the run under way or in the one after it.
        if let Some(answer) = ticket.take(context) {
            return this.done(answer);
        }
        this.shared.advance(2);
        match ticket.take(context) {
            Some(answer) => this.done(answer),
            None => Poll::Pending,
        }
    }
}

impl<D: Drive> Submit<'_, D> {
    /// Before leaving with an answer, starts the next run for those who wait:
    /// it saves them a wake-up between two commits.
    fn done(&mut self, answer: Result<D::Answer, Abandoned>) -> Poll<Result<D::Answer, Abandoned>> {
        self.stage = Stage::Done;
        self.shared.advance(1);
        Poll::Ready(answer)
    }
}

// Holds no self-reference: a request is moved out before it is used.
impl<D: Drive> Unpin for Submit<'_, D> {}

impl<D: Drive> Drop for Submit<'_, D> {
    fn drop(&mut self) {
        if let Stage::Queued(ticket) = &self.stage {
            *ticket.lock() = Place::Left;
            self.shared.withdraw(ticket);
            self.shared.pass_on();
        }
    }
}
