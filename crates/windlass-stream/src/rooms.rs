//! Waiting for rows without everybody asking for them.
//!
//! All who follow one stream in a process sit in one room. One of them watches:
//! the store's hints and, seldom, the stream itself, for what another process
//! appended. It reads the head once, for all; the others sleep. So however many
//! follow, a stream costs one subscription, one timer and one read a poll.
//!
//! Nobody is forgotten: what was seen last stays in the room, so who looked
//! before he sat down and missed it finds it there; and who watches and leaves
//! wakes another one.

use std::collections::{BTreeMap, HashMap};
use std::future::{pending, poll_fn};
use std::mem;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::select;
use windlass_core::Millis;
use windlass_store::{Changes, StoreExt};

use crate::engine::Engine;
use crate::error::StreamError;
use crate::keys::StreamKeys;
use crate::model::Closed;
use crate::offset::Offset;
use crate::record::{Head, decode};

/// What those who follow a stream want to know of its head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// When it was made: another stream of its name is none of theirs.
    pub(crate) created: Millis,
    pub(crate) tail: Offset,
    pub(crate) closed: Option<Closed>,
    pub(crate) widest: u64,
}

/// All rooms of a process; each lasts as long as somebody is in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rooms(Arc<Mutex<HashMap<Bytes, Weak<Room>>>>);

/// Those who follow one stream.
#[derive(Debug)]
struct Room {
    rooms: Rooms,
    head: Bytes,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    seats: BTreeMap<u64, Option<Waker>>,
    next_seat: u64,
    /// What was seen last: `Some(None)` if the stream was gone.
    seen: Option<Option<Arc<Seen>>>,
    /// What the watch needs; nobody watches while it is here.
    watch: Option<Watch>,
}

/// What it takes to watch.
#[derive(Debug)]
struct Watch {
    changes: Changes,
    /// Whether hints may still come.
    hints: bool,
    /// When the stream is looked at whatever comes, on the monotonic clock.
    poll: Option<Duration>,
    /// Whether there was a reason to look, and nobody has.
    due: bool,
}

impl Rooms {
    /// Takes a seat among those who follow the stream. Hints of what happens
    /// from now on are not missed.
    pub(crate) fn enter(&self, engine: &Engine, keys: &StreamKeys) -> Seat {
        let head = keys.head();
        let mut rooms = lock(&self.0);
        let room = rooms.get(&head).and_then(Weak::upgrade);
        let room = room.unwrap_or_else(|| {
            let room = Arc::new(Room::new(self.clone(), engine, head.clone()));
            rooms.insert(head, Arc::downgrade(&room));
            room
        });
        drop(rooms);
        let mut state = lock(&room.state);
        let number = state.next_seat;
        state.next_seat += 1;
        state.seats.insert(number, None);
        drop(state);
        Seat { room, number }
    }
}

impl Room {
    fn new(rooms: Rooms, engine: &Engine, head: Bytes) -> Self {
        let watch = Watch {
            changes: engine.store.subscribe(&head),
            hints: true,
            poll: None,
            due: false,
        };
        let state = State {
            seats: BTreeMap::new(),
            next_seat: 0,
            seen: None,
            watch: Some(watch),
        };
        Self {
            rooms,
            head,
            state: Mutex::new(state),
        }
    }

    /// Reads the head for all, and wakes them if it has changed.
    async fn look(&self, engine: &Engine) -> Result<(), StreamError> {
        let entry = engine.store.get(self.head.clone()).await?;
        let head = entry.map(|entry| decode::<Head>("stream head", &entry.value));
        let head = head.transpose()?.filter(|head| !head.removing);
        let seen = head.map(|head| Seen {
            created: head.created,
            tail: head.tail,
            closed: head.closed,
            widest: head.widest,
        });
        let mut state = lock(&self.state);
        let known = state.seen.as_ref().map(Option::as_deref);
        if known == Some(seen.as_ref()) {
            return Ok(());
        }
        state.seen = Some(seen.map(Arc::new));
        let wakers: Vec<Waker> = state.seats.values_mut().filter_map(Option::take).collect();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        Ok(())
    }

    /// Somebody has to take the watch.
    fn hand_on(&self) {
        let mut state = lock(&self.state);
        let waker = state.seats.values_mut().find_map(Option::take);
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut rooms = lock(&self.rooms.0);
        // Another one may have been opened since this one was left.
        if rooms
            .get(&self.head)
            .is_some_and(|it| it.strong_count() == 0)
        {
            rooms.remove(&self.head);
        }
    }
}

/// Somebody in a room, until it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    room: Arc<Room>,
    number: u64,
}

enum Next<'a> {
    Seen(Option<Arc<Seen>>),
    Watch(Watching<'a>),
}

impl Seat {
    /// Waits until the stream has rows behind `at`, is closed or gone, and says
    /// what was seen of it; `None` if it is gone.
    pub(crate) async fn wait(
        &self,
        engine: &Engine,
        poll_ms: u64,
        at: Offset,
    ) -> Result<Option<Arc<Seen>>, StreamError> {
        let mut watching = match self.next(at).await {
            Next::Seen(seen) => return Ok(seen),
            Next::Watch(watching) => watching,
        };
        loop {
            watching.sleep(engine, poll_ms).await;
            self.room.look(engine).await?;
            watching.watch_mut().due = false;
            if let Some(seen) = news(&lock(&self.room.state), at) {
                return Ok(seen);
            }
        }
    }

    /// Waits for news, or for the watch to be free.
    async fn next(&self, at: Offset) -> Next<'_> {
        poll_fn(|context| self.poll(context, at)).await
    }

    fn poll(&self, context: &Context<'_>, at: Offset) -> Poll<Next<'_>> {
        let mut state = lock(&self.room.state);
        if let Some(seen) = news(&state, at) {
            return Poll::Ready(Next::Seen(seen));
        }
        if let Some(watch) = state.watch.take() {
            return Poll::Ready(Next::Watch(Watching {
                room: &self.room,
                watch: Some(watch),
            }));
        }
        state
            .seats
            .insert(self.number, Some(context.waker().clone()));
        Poll::Pending
    }
}

/// What was seen, if that is news to who is at `at`.
fn news(state: &State, at: Offset) -> Option<Option<Arc<Seen>>> {
    let seen = state.seen.as_ref()?;
    let is_news = |seen: &Arc<Seen>| seen.tail > at || seen.closed.is_some();
    seen.as_ref().is_none_or(is_news).then(|| seen.clone())
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = lock(&self.room.state);
        state.seats.remove(&self.number);
        let free = state.watch.is_some();
        drop(state);
        // It may have been woken to take the watch.
        if free {
            self.room.hand_on();
        }
    }
}

/// Who watches for all in the room; dropping it hands the watch on.
struct Watching<'a> {
    room: &'a Room,
    watch: Option<Watch>,
}

impl Watching<'_> {
    const fn watch_mut(&mut self) -> &mut Watch {
        self.watch.as_mut().expect("kept until it is dropped")
    }

    /// Waits for a hint, or for the next look.
    async fn sleep(&mut self, engine: &Engine, poll_ms: u64) {
        let Watch {
            changes,
            hints,
            poll,
            due,
        } = self.watch_mut();
        if *due {
            return;
        }
        let next = engine.env.monotonic() + Duration::from_millis(poll_ms);
        let deadline = poll.map_or(next, |known| known.min(next));
        *poll = Some(deadline);
        let hint = pin!(async {
            *hints = *hints && changes.changed().await;
            // Without hints, the time is all there is to wait for.
            if !*hints {
                pending::<()>().await;
            }
        });
        select(hint, engine.env.sleep_until(deadline)).await;
        *poll = None;
        *due = true;
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        lock(&self.room.state).watch = mem::take(&mut self.watch);
        self.room.hand_on();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
