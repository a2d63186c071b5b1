//! What a reader has read and not given out, and what is being read meanwhile.
//!
//! While one half of what a reader may hold is given out, the other half is
//! read: so neither the store nor whoever takes the rows waits for the other.
//! Where only one chunk fits, the next is read when that one was given.
//!
//! A reader begins with a quarter of a mebibyte, and may hold twice as much
//! each time it had to wait for the store, up to what its settings allow: one
//! that is slower than the store never holds more.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use windlass_core::BoxFuture;
use windlass_store::limits::READ_ENTRIES_MAX;
use windlass_store::{Page, Store, StoreError};

use crate::error::StreamError;
use crate::keys::StreamKeys;
use crate::limits::PAGE_BYTES;
use crate::mark::Chunk;
use crate::offset::Offset;
use crate::open::parse;

/// Bytes that a reader may hold at first.
const WINDOW_BYTES: u64 = 256 * 1_024;

/// Chunks in the order of their offsets.
#[derive(Debug)]
pub(crate) struct Ahead {
    chunks: VecDeque<Chunk>,
    coming: Option<Coming>,
    /// Bytes that may be held, as far as the settings allow.
    window: u64,
}

type Read = BoxFuture<'static, Result<Vec<Page>, StoreError>>;

/// Chunks that are being read.
struct Coming {
    /// Where the first of them begins.
    first: Offset,
    /// In a lock that nobody ever waits for: a reader may be looked at from
    /// several threads, a future may not.
    read: Mutex<Read>,
    /// What came of it, if that is known already.
    came: Option<Result<Vec<Page>, StoreError>>,
}

impl fmt::Debug for Coming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coming")
            .field("first", &self.first)
            .finish_non_exhaustive()
    }
}

/// Where chunks are read from, and how many at a time.
#[derive(Debug)]
pub(crate) struct Shelf<'a> {
    pub(crate) store: &'a Arc<dyn Store>,
    pub(crate) keys: &'a StreamKeys,
    /// After the last row that is known of.
    pub(crate) tail: Offset,
    /// Bytes that may ever be held.
    pub(crate) budget: u64,
    /// The longest chunk of the stream.
    pub(crate) widest: u64,
}

impl Shelf<'_> {
    /// How many chunks may be held, the one that is being given included.
    fn room(&self, window: u64) -> usize {
        // A chunk ends a row and a mark after it has its size.
        let rest = u64::try_from(PAGE_BYTES / 4).unwrap_or_default();
        let fitting = (self.budget.min(window) + rest) / self.widest.max(1);
        usize::try_from(fitting).unwrap_or(usize::MAX).max(1)
    }

    /// How many are read at a time.
    fn batch(&self, window: u64) -> usize {
        (self.room(window) / 2).clamp(1, READ_ENTRIES_MAX)
    }

    /// Reads the chunks from `first` on.
    fn read(&self, first: Offset, window: u64) -> Read {
        let scan = self.keys.chunks_between(first, self.tail);
        let scan = scan.limit(self.batch(window));
        let store = Arc::clone(self.store);
        Box::pin(async move { store.read(&[scan]).await })
    }
}

impl Ahead {
    /// What is there already.
    pub(crate) fn of(chunk: Option<Chunk>) -> Self {
        Self {
            chunks: chunk.into_iter().collect(),
            coming: None,
            window: WINDOW_BYTES,
        }
    }

    /// The next chunk, if one was read.
    pub(crate) fn pop(&mut self) -> Option<Chunk> {
        self.chunks.pop_front()
    }

    /// Begins to read what follows `given`, which is being given out, if there
    /// is room for more. What was begun goes on while nobody waits for it.
    pub(crate) fn prepare(&mut self, shelf: &Shelf<'_>, given: Offset) {
        let first = self.chunks.back().map_or(given, |last| last.mark.offset);
        let held = self.chunks.len() + 1;
        let fits = held + shelf.batch(self.window) <= shelf.room(self.window);
        if self.coming.is_some() || first >= shelf.tail || !fits {
            return;
        }
        let mut read = shelf.read(first, self.window);
        let came = (&mut read).now_or_never();
        let read = Mutex::new(read);
        self.coming = Some(Coming { first, read, came });
    }

    /// Reads the chunks that begin at `first`, of which none was read yet.
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// The store's failures; `Corrupt` if the first chunk is missing.
    pub(crate) async fn fetch(
        &mut self,
        shelf: &Shelf<'_>,
        first: Offset,
    ) -> Result<(), StreamError> {
        let coming = self.coming.take_if(|it| it.first != first);
        drop(coming);
        let coming = self.coming.get_or_insert_with(|| Coming {
            first,
            read: Mutex::new(shelf.read(first, self.window)),
            came: None,
        });
        let read = coming.read.get_mut();
        let read = read.unwrap_or_else(PoisonError::into_inner);
        let ready = coming.came.take().or_else(|| read.now_or_never());
        let was_ready = ready.is_some();
        let came = match ready {
            Some(came) => came,
            None => read.await,
        };
        self.coming = None;
        if !was_ready {
            self.window = shelf.budget.min(2 * self.window).max(self.window);
        }
        let entries = came?.into_iter().flat_map(|page| page.entries);
        let mut next = first;
        for entry in entries {
            let chunk = parse(shelf.keys, entry)?;
            if chunk.first != next {
                break;
            }
            next = chunk.mark.offset;
            self.chunks.push_back(chunk);
        }
        if self.chunks.is_empty() {
            return Err(StreamError::corrupt("chunk", "one is missing"));
        }
        Ok(())
    }
}
