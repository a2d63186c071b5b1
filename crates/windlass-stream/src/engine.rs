//! What all drivers of streams share: the store, the environment, the settings.

use std::sync::{Arc, PoisonError, RwLock};

use windlass_core::{Env, back_off};
use windlass_store::{Bookmark, Scan, Store, Version};

use crate::audit::Ear;
use crate::caller::Caller;
use crate::capacity::Capacity;
use crate::error::StreamError;
use crate::keys::StreamKeys;
use crate::limits::ROUNDS_MAX;
use crate::record::{Floor, Head, decode};
use crate::rooms::Rooms;
use crate::running::Running;
use crate::settings::Settings;
use crate::unknown::no_stream;

/// The surroundings of every driver.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) env: Arc<dyn Env>,
    pub(crate) ear: Ear,
    pub(crate) capacity: Capacity,
    pub(crate) running: Running,
    pub(crate) rooms: Rooms,
    pub(crate) bookmark: Bookmark,
    settings: RwLock<Arc<Settings>>,
}

/// A head as it was read or written.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    pub(crate) head: Head,
    pub(crate) version: Version,
}

impl Engine {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        env: Arc<dyn Env>,
        ear: Ear,
        settings: Settings,
    ) -> Self {
        Self {
            store,
            env,
            ear,
            capacity: Capacity::new(),
            running: Running::default(),
            rooms: Rooms::default(),
            bookmark: Bookmark::default(),
            settings: RwLock::new(Arc::new(settings)),
        }
    }

    /// The settings that hold now.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        let settings = self.settings.read();
        Arc::clone(&settings.unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set(&self, settings: Settings) {
        let mut current = self
            .settings
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(settings);
    }

    /// The stream's head, if there is such a stream and it is the caller's.
    /// One read in any case.
    pub(crate) async fn head(
        &self,
        caller: &Caller,
        keys: &StreamKeys,
    ) -> Result<Loaded, StreamError> {
        let pages = self.store.read(&[Scan::point(keys.head())]).await?;
        let entry = pages.into_iter().flat_map(|page| page.entries).next();
        let entry = entry.ok_or_else(no_stream)?;
        let head: Head = decode("stream head", &entry.value)?;
        self.admit(caller, keys, &head).await?;
        Ok(Loaded {
            head,
            version: entry.version,
        })
    }

    /// Refuses who does not own a stream, and one that has expired while nobody
    /// read it. A read more only for one whose time is over.
    pub(crate) async fn admit(
        &self,
        caller: &Caller,
        keys: &StreamKeys,
        head: &Head,
    ) -> Result<(), StreamError> {
        if head.principal != caller.principal || head.removing {
            return Err(StreamError::NotFound);
        }
        if head.deleted {
            return Err(StreamError::Deleted);
        }
        let now = self.env.now();
        let over = head.expires().is_some_and(|time| time.has_passed(now));
        if !over || !self.is_idle(keys).await? {
            return Ok(());
        }
        if head.is_forgotten(now) {
            return Err(StreamError::NotFound);
        }
        Err(StreamError::Expired)
    }

    /// Waits after so many lost races in a row, or gives up.
    pub(crate) async fn back_off(&self, lost: u32) -> Result<(), StreamError> {
        if lost >= ROUNDS_MAX {
            return Err(StreamError::Busy);
        }
        Ok(back_off(self.env.as_ref(), lost).await?)
    }
}

/// The floor of a stream that has a head.
pub(crate) fn floor(stored: Option<&windlass_store::Entry>) -> Result<Floor, StreamError> {
    let stored = stored.ok_or_else(|| StreamError::corrupt("stream floor", "it is missing"))?;
    decode("stream floor", &stored.value)
}
