//! The engine: a store, and the parts over it.

use std::sync::Arc;

use windlass_core::Env;
use windlass_session::{Config, Sessions, SweepReport};
use windlass_store::{Export, KeyRange, Store};

use crate::opening::open_store;
use crate::{MaintainError, OpenError, Options, StoreFailure, StoreLocation, SystemEnv};

/// An open store and the parts that work on it. Cloning shares all of it.
///
/// It spawns nothing: upkeep happens when [`Windlass::maintain`] is called.
/// Dropping the last clone releases the store; what was acknowledged is
/// durable already, so nothing is lost by that.
#[derive(Clone, Debug)]
pub struct Windlass {
    store: Arc<dyn Store>,
    sessions: Sessions,
}

impl Windlass {
    /// Opens the store at `location`, creating it if there is none, with the
    /// operating system's time and randomness.
    ///
    /// # Errors
    ///
    /// [`OpenError::Store`] with the store's reason: `Corrupt` for an empty,
    /// truncated or foreign file, `Environment` for one that cannot be
    /// written or has a newer format. The other variants are wrong settings.
    pub async fn open(location: &StoreLocation, options: Options) -> Result<Self, OpenError> {
        Self::with_env(location, options, Arc::new(SystemEnv::new())).await
    }

    /// As [`Windlass::open`], with time and randomness of the caller's.
    ///
    /// # Errors
    ///
    /// As [`Windlass::open`].
    pub async fn with_env(
        location: &StoreLocation,
        options: Options,
        env: Arc<dyn Env>,
    ) -> Result<Self, OpenError> {
        let sessions = options.checked_sessions()?;
        let store = open_store(location, options.sharing).await?;
        Self::compose(store, env, sessions)
    }

    /// An engine over a store that is open already, for wrappers and stores
    /// of the caller's own. With [`Sharing::Exclusive`] in `options` the
    /// caller vouches that nobody else writes to the store.
    ///
    /// [`Sharing::Exclusive`]: windlass_core::Sharing::Exclusive
    ///
    /// # Errors
    ///
    /// As [`Windlass::open`], but never [`OpenError::Store`].
    pub fn over(
        store: Arc<dyn Store>,
        options: &Options,
        env: Arc<dyn Env>,
    ) -> Result<Self, OpenError> {
        Self::compose(store, env, options.checked_sessions()?)
    }

    fn compose(
        store: Arc<dyn Store>,
        env: Arc<dyn Env>,
        sessions: Config,
    ) -> Result<Self, OpenError> {
        let sessions =
            Sessions::new(Arc::clone(&store), env, sessions).map_err(OpenError::Sessions)?;
        Ok(Self { store, sessions })
    }

    /// Authorised, budgeted task sessions.
    #[must_use]
    pub const fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// The store below the parts. Writing to it behind their backs can break
    /// what they promise.
    #[must_use]
    pub const fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Streams everything stored, in key order, as it was at one point in
    /// time, whatever commits meanwhile.
    ///
    /// # Errors
    ///
    /// [`StoreFailure`] if the store cannot; what the stream itself meets it
    /// says as it is read.
    pub async fn export(&self) -> Result<Export, StoreFailure> {
        let export = self.store.export(KeyRange::all()).await;
        export.map_err(|error| StoreFailure::new("export", error))
    }

    /// Does a bounded amount of every part's upkeep: marks sessions that
    /// expired, and removes those whose retention has ended, looking at no
    /// more than `limit` of them. Safe to run at any time, in any number of
    /// processes.
    ///
    /// # Errors
    ///
    /// [`MaintainError`] naming the part that failed; what was done before
    /// stays done, and the next call goes on from there.
    pub async fn maintain(&self, limit: usize) -> Result<Maintained, MaintainError> {
        let sessions = self
            .sessions
            .sweep(limit)
            .await
            .map_err(MaintainError::Sessions)?;
        Ok(Maintained { sessions })
    }

    /// Finishes what was accepted and releases the store. Every later call on
    /// this engine or a clone of it fails with kind `Closed`; closing again
    /// succeeds.
    ///
    /// # Errors
    ///
    /// [`StoreFailure`] if the store could not finish.
    pub async fn close(&self) -> Result<(), StoreFailure> {
        self.store
            .close()
            .await
            .map_err(|error| StoreFailure::new("close", error))
    }
}

/// What one round of upkeep did, part by part.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Maintained {
    /// Sessions that expired or whose retention ended.
    pub sessions: SweepReport,
}
