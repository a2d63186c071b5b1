//! Room that requests share: so many bytes, or so many of something, at a
//! time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What may be taken in all.
#[derive(Clone, Debug)]
pub(crate) struct Room(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    max: u64,
    taken: AtomicU64,
}

/// What somebody took; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Taken {
    room: Arc<Inner>,
    much: u64,
}

impl Room {
    pub(crate) fn new(max: u64) -> Self {
        Self(Arc::new(Inner {
            max,
            taken: AtomicU64::new(0),
        }))
    }

    /// Takes so much, or nothing if there is not so much left.
    pub(crate) fn take(&self, much: u64) -> Option<Taken> {
        if !Self::add(&self.0, much) {
            return None;
        }
        Some(Taken {
            room: Arc::clone(&self.0),
            much,
        })
    }

    fn add(inner: &Inner, much: u64) -> bool {
        let fits = |taken: u64| taken.checked_add(much).filter(|sum| *sum <= inner.max);
        let order = Ordering::AcqRel;
        inner
            .taken
            .fetch_update(order, Ordering::Acquire, fits)
            .is_ok()
    }

    pub(crate) fn taken(&self) -> u64 {
        self.0.taken.load(Ordering::Acquire)
    }
}

impl Taken {
    /// Takes as much more as there has to be to have so much; `false`, and
    /// nothing, if there is not so much left.
    pub(crate) fn grow_to(&mut self, much: u64) -> bool {
        much <= self.much || self.grow(much - self.much)
    }

    /// Takes so much more; `false`, and nothing, if there is not so much left.
    pub(crate) fn grow(&mut self, more: u64) -> bool {
        let grown = Room::add(&self.room, more);
        if grown {
            self.much = self.much.saturating_add(more);
        }
        grown
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.room.taken.fetch_sub(self.much, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_can_be_taken_again() {
        let room = Room::new(10);
        let seven = room.take(7).expect("room");
        assert!(room.take(4).is_none(), "only three are left");
        let three = room.take(3).expect("room");
        assert_eq!(room.taken(), 10);
        drop((seven, three));
        assert_eq!(room.taken(), 0);
        assert!(room.take(u64::MAX).is_none());
        let mut some = room.take(0).expect("room for nothing");
        assert!(some.grow(10) && !some.grow(1), "as much as there is");
        drop(some);
        assert_eq!(room.taken(), 0);
    }
}
