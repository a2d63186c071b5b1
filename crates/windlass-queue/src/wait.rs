//! Waiting for work without asking for it again and again.
//!
//! All who wait for the same thing in a process sit in one room. One of them
//! watches the store's hints, the time at which something becomes ready, and,
//! seldom, the store itself for what came without a hint; the others sleep.
//! Who watches and sees work calls as many as there is work for, and hands the
//! watch on. So however many wait, and however many sessions there are, a room
//! costs one read for each hint and one a poll.
//!
//! Nobody is forgotten: who comes takes a seat before he looks, so what
//! becomes ready after his look is seen by the watch, which calls him; a call
//! that is not heard goes to the next.

use std::collections::{BTreeMap, HashMap};
use std::future::poll_fn;
use std::mem;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::future::{pending, select};
use windlass_core::{Millis, TenantId};
use windlass_store::{Changes, Scan, StoreExt};

use crate::engine::Engine;
use crate::error::QueueError;
use crate::keys::{QueueKeys, all_ready, ready_of, ready_row};
use crate::model::Boundary;
use crate::record::{Class, Head, Ready, decode};

/// Most sessions with work that one look counts.
const COUNTED_MAX: usize = 64;

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    Tenant(TenantId, Boundary),
    Session(QueueKeys, Boundary),
}

/// What one look at the store shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    /// How many sessions have work, or may have.
    ready: usize,
    /// When the next one may have.
    next: Option<Millis>,
}

/// All rooms of a process; each lasts as long as somebody is in it.
#[derive(Debug, Default)]
pub(crate) struct Rooms(Mutex<HashMap<Scope, Weak<Room>>>);

/// Those who wait for the same thing.
#[derive(Debug)]
struct Room {
    scope: Scope,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    seats: BTreeMap<u64, Seat>,
    next_seat: u64,
    /// What the watch needs; nobody watches while it is here.
    watch: Option<Watch>,
}

#[derive(Debug)]
struct Seat {
    called: bool,
    waker: Option<Waker>,
}

/// What it takes to watch.
#[derive(Debug)]
struct Watch {
    changes: Changes,
    /// Whether hints may still come.
    hints: bool,
    next: Option<Millis>,
}

impl Rooms {
    fn enter(&self, engine: &Engine, scope: &Scope) -> Seated {
        let mut rooms = lock(&self.0);
        rooms.retain(|_, room| room.strong_count() > 0);
        let room = rooms.get(scope).and_then(Weak::upgrade);
        let room = room.unwrap_or_else(|| {
            let room = Arc::new(Room::new(engine, scope.clone()));
            rooms.insert(scope.clone(), Arc::downgrade(&room));
            room
        });
        drop(rooms);
        let mut state = lock(&room.state);
        let number = state.next_seat;
        state.next_seat += 1;
        let (called, waker) = (false, None);
        state.seats.insert(number, Seat { called, waker });
        drop(state);
        Seated { room, number }
    }

    /// Waits until there is, or may be, work.
    pub(crate) async fn wait(&self, engine: &Engine, scope: &Scope) -> Result<(), QueueError> {
        let seated = self.enter(engine, scope);
        let mut look = seated.room.look(engine).await?;
        if look.ready > 0 {
            return Ok(());
        }
        while let Some(mut watching) = seated.called_or_watching().await {
            let known = watching.watch_mut().next;
            watching.watch_mut().next = known.into_iter().chain(look.next).min();
            watching.sleep(engine).await;
            look = seated.room.look(engine).await?;
            if look.ready > 0 {
                seated.room.call(look.ready - 1, seated.number);
                return Ok(());
            }
            watching.watch_mut().next = look.next;
        }
        Ok(())
    }
}

impl Room {
    fn new(engine: &Engine, scope: Scope) -> Self {
        let prefix = match &scope {
            Scope::Tenant(tenant, _) => all_ready(tenant),
            Scope::Session(keys, _) => keys.head(),
        };
        let watch = Watch {
            changes: engine.store.subscribe(&prefix),
            hints: true,
            next: None,
        };
        let state = State {
            seats: BTreeMap::new(),
            next_seat: 0,
            watch: Some(watch),
        };
        Self {
            scope,
            state: Mutex::new(state),
        }
    }

    async fn look(&self, engine: &Engine) -> Result<Look, QueueError> {
        match &self.scope {
            Scope::Tenant(tenant, boundary) => look_for_any(engine, tenant, *boundary).await,
            Scope::Session(keys, boundary) => look_at(engine, keys, *boundary).await,
        }
    }

    /// Calls so many of those who sleep.
    fn call(&self, count: usize, except: u64) {
        let mut state = lock(&self.state);
        let seats = state.seats.iter_mut();
        let asleep = seats.filter(|(number, seat)| **number != except && !seat.called);
        let mut wakers = Vec::new();
        for (_, seat) in asleep.take(count) {
            seat.called = true;
            wakers.extend(seat.waker.take());
        }
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Somebody has to take the watch.
    fn hand_on(&self) {
        let mut state = lock(&self.state);
        let mut seats = state.seats.values_mut();
        let waker = seats.find_map(|seat| if seat.called { None } else { seat.waker.take() });
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Somebody in a room, until it is dropped.
struct Seated {
    room: Arc<Room>,
    number: u64,
}

impl Seated {
    /// Waits for a call, which gives `None`, or for the watch to be free.
    async fn called_or_watching(&self) -> Option<Watching<'_>> {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&self, context: &Context<'_>) -> Poll<Option<Watching<'_>>> {
        let mut state = lock(&self.room.state);
        let free = state.watch.take();
        let seat = state
            .seats
            .get_mut(&self.number)
            .expect("who sits has a seat");
        if seat.called {
            seat.called = false;
            state.watch = free;
            return Poll::Ready(None);
        }
        match free {
            Some(watch) => Poll::Ready(Some(Watching {
                room: &self.room,
                watch: Some(watch),
            })),
            None => {
                seat.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Seated {
    fn drop(&mut self) {
        let mut state = lock(&self.room.state);
        let seat = state.seats.remove(&self.number);
        let free = state.watch.is_some();
        drop(state);
        // A call may have come that was not heard; calling once too often
        // costs a look.
        if seat.is_some_and(|seat| seat.called) {
            self.room.call(1, self.number);
        }
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

    /// Waits for a hint, for the time at which something becomes ready, or for
    /// the next poll.
    async fn sleep(&mut self, engine: &Engine) {
        let watch = self.watch_mut();
        let ahead = watch.next.map(|next| next.since(engine.env.now()));
        let ms = ahead.unwrap_or(u64::MAX).clamp(1, engine.config.poll_ms);
        let deadline = engine.env.monotonic() + Duration::from_millis(ms);
        let Watch { changes, hints, .. } = watch;
        let hint = pin!(async {
            *hints = *hints && changes.changed().await;
            // Without hints, the time is all there is to wait for.
            if !*hints {
                pending::<()>().await;
            }
        });
        select(hint, engine.env.sleep_until(deadline)).await;
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        lock(&self.room.state).watch = mem::take(&mut self.watch);
        self.room.hand_on();
    }
}

/// Counts the tenant's sessions with work.
async fn look_for_any(
    engine: &Engine,
    tenant: &TenantId,
    boundary: Boundary,
) -> Result<Look, QueueError> {
    let classes: &[Class] = match boundary {
        Boundary::Checkpoint => &[Class::Early],
        Boundary::Idle => &[Class::Early, Class::Turn],
    };
    let scan = |class: &Class| {
        Scan::new(ready_of(tenant, *class))
            .limit(COUNTED_MAX)
            .keys()
    };
    let scans: Vec<Scan> = classes.iter().map(scan).collect();
    let pages = engine.store.read(&scans).await?;
    let now = engine.env.now();
    let (mut ready, mut next) = (0, None);
    for page in pages {
        let before = ready;
        let rows = page.entries.iter().filter_map(|row| ready_row(&row.key));
        for (time, _) in rows {
            if time.has_passed(now) {
                ready += 1;
            } else {
                let earlier = next.is_none_or(|next| time < next);
                next = if earlier { Some(time) } else { next };
            }
        }
        // Nobody knows how many follow.
        if page.more && ready - before == page.entries.len() {
            ready += COUNTED_MAX;
        }
    }
    Ok(Look { ready, next })
}

/// Looks whether one session has work.
async fn look_at(
    engine: &Engine,
    keys: &QueueKeys,
    boundary: Boundary,
) -> Result<Look, QueueError> {
    let entry = engine.store.get(keys.head()).await?;
    let head = entry.map(|entry| decode::<Head>("queue head", &entry.value));
    let ready = head
        .transpose()?
        .map_or(Ready::default(), |head| head.ready);
    let wanted = |class: Class| boundary == Boundary::Idle || class == Class::Early;
    let entries = ready.entries().filter(|(class, _)| wanted(*class));
    let next = entries.map(|(_, at)| at).min();
    let now = engine.env.now();
    Ok(Look {
        ready: usize::from(next.is_some_and(|at| at.has_passed(now))),
        next,
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
