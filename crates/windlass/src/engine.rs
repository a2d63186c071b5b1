//! The engine: a store, and the parts over it.

use std::sync::Arc;

use windlass_access::{Keys, Tenants};
use windlass_checkpoint::Checkpoints;
use windlass_core::{Ear, Env};
use windlass_queue::Queue;
use windlass_session::{Config, Sessions};
use windlass_stash::durable::{self, Stashes};
use windlass_store::{Export, KeyRange, Store};
use windlass_stream::Streams;

use crate::activity::{Activity, Ears};
use crate::audit::{AuditLog, AuditOptions};
use crate::caching::Caching;
use crate::health::{Health, Probe};
use crate::maintenance::{Upkeep, check_clock};
use crate::opening::open_store;
use crate::quota::Quotas;
use crate::{
    OpenError, Options, StashAudit, StoreFailure, StoreLocation, StreamAudit, SystemEnv, unfinished,
};

/// An open store and the parts that work on it. Cloning shares all of it.
///
/// It spawns nothing: upkeep happens where [`Windlass::maintenance`] is run.
/// Dropping the last clone releases the store; what was acknowledged is
/// durable already, so nothing is lost by that.
#[derive(Clone, Debug)]
pub struct Windlass {
    store: Arc<dyn Store>,
    probe: Option<Arc<dyn Probe>>,
    env: Arc<dyn Env>,
    sessions: Sessions,
    stashes: Stashes,
    checkpoints: Checkpoints,
    queue: Queue,
    streams: Streams,
    keys: Keys,
    tenants: Tenants,
    quotas: Arc<Quotas>,
    audit: AuditLog,
    ear: Ear,
    activity: Activity,
    upkeep: Arc<Upkeep>,
    caching: Option<Caching>,
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
        let settings = Settings::of(&options)?;
        let opened = open_store(location, options.terms()).await?;
        if let Err(refusal) = refuse(location, opened.store.as_ref(), &options, &*env).await {
            // Whoever mends it needs the store; that it could not be closed
            // says less than the refusal does.
            let _ = opened.store.close().await;
            return Err(refusal);
        }
        let mut windlass = Self::compose(opened.store, env, settings)?;
        windlass.probe = Some(opened.probe);
        let Some(cache) = &options.cache else {
            return Ok(windlass);
        };
        match Caching::open(cache, location, windlass.env()).await {
            Ok(caching) => Ok(windlass.with_caching(caching)),
            Err(refusal) => {
                // As above.
                let _ = windlass.close().await;
                Err(refusal)
            }
        }
    }

    /// An engine over a store that is open already, for wrappers and stores
    /// of the caller's own. With [`Sharing::Exclusive`] in `options` the
    /// caller vouches that nobody else writes to the store. Reads nothing, so
    /// it does not notice that the store holds part of an import.
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
        Self::compose(store, env, Settings::of(options)?)
    }

    fn compose(
        store: Arc<dyn Store>,
        env: Arc<dyn Env>,
        settings: Settings,
    ) -> Result<Self, OpenError> {
        let sessions = Sessions::new(store, Arc::clone(&env), settings.sessions);
        let sessions = sessions.map_err(OpenError::Sessions)?;
        // Whatever is committed here from now on, sessions hear of it.
        let store = sessions.store();
        let audit = AuditLog::new(Arc::clone(&store), &env, settings.audit.as_ref());
        let audit = audit.map_err(OpenError::Audit)?;
        let activity = Activity::new(Arc::clone(&env));
        let ear = Ear::new(Arc::new(Ears {
            audit: audit.ear(),
            activity: activity.clone(),
        }));
        let sessions = sessions.heard_by(ear.clone());
        let below = (Arc::clone(&store), Arc::clone(&env));
        let also = settings.stash_audit.as_ref().map(StashAudit::listener);
        let stashes = match audit.stash_ear(also) {
            Some(ear) => Stashes::with_audit(below.0, below.1, settings.stashes, ear),
            None => Stashes::new(below.0, below.1, settings.stashes),
        };
        let stashes = stashes.map_err(OpenError::Stashes)?;
        let below = (Arc::clone(&store), Arc::clone(&env));
        let checkpoints = Checkpoints::new(below.0, below.1, settings.checkpoints);
        let checkpoints = checkpoints.map_err(OpenError::Checkpoints)?;
        let checkpoints = checkpoints.heard_by(ear.clone());
        let below = (Arc::clone(&store), Arc::clone(&env));
        let queue = Queue::new(below.0, below.1, settings.queue).map_err(OpenError::Queue)?;
        let queue = queue.heard_by(ear.clone());
        let below = (Arc::clone(&store), Arc::clone(&env));
        let also = settings.stream_audit.as_ref().map(StreamAudit::listener);
        let streams = match audit.stream_ear(also) {
            Some(ear) => Streams::with_audit(below.0, below.1, ear, &settings.streams),
            None => Streams::new(below.0, below.1, &settings.streams),
        };
        let streams = streams.map_err(OpenError::Streams)?.heard_by(ear.clone());
        let tenants = Tenants::new(Arc::clone(&store), Arc::clone(&env)).heard_by(ear.clone());
        let quotas = Quotas::new(
            tenants.clone(),
            sessions.clone(),
            stashes.clone(),
            Arc::clone(&env),
        );
        Ok(Self {
            keys: Keys::new(Arc::clone(&store), Arc::clone(&env)).heard_by(ear.clone()),
            ear,
            activity,
            upkeep: settings.upkeep,
            audit,
            tenants,
            quotas: Arc::new(quotas),
            store,
            probe: None,
            env,
            sessions,
            stashes,
            checkpoints,
            queue,
            streams,
            caching: None,
        })
    }

    /// Authorised, budgeted task sessions.
    #[must_use]
    pub const fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Scratch data that the calls of one session share. Whether the session
    /// exists, and who may use its stash, is for the caller to decide.
    #[must_use]
    pub const fn stashes(&self) -> &Stashes {
        &self.stashes
    }

    /// Agent state that can be resumed, forked and taken back. Whether the
    /// session exists, and who may use its state, is for the caller to decide.
    #[must_use]
    pub const fn checkpoints(&self) -> &Checkpoints {
        &self.checkpoints
    }

    /// Leased, fenced work per session. Whether the session exists, and who
    /// may work for it, is for the caller to decide.
    #[must_use]
    pub const fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Output that is read on after any cut. Whether its session exists is for
    /// the caller to decide; a stream is its principal's alone.
    #[must_use]
    pub const fn streams(&self) -> &Streams {
        &self.streams
    }

    /// API keys of a service that many share.
    #[must_use]
    pub const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The tenants of such a service: their quotas, and their end.
    #[must_use]
    pub const fn tenants(&self) -> &Tenants {
        &self.tenants
    }

    /// Who did what: the chains of events, and the way into them.
    #[must_use]
    pub const fn audit(&self) -> &AuditLog {
        &self.audit
    }

    /// What is going on in this process, once account of it is kept.
    #[must_use]
    pub const fn activity(&self) -> &Activity {
        &self.activity
    }

    pub(crate) const fn caching(&self) -> Option<&Caching> {
        self.caching.as_ref()
    }

    pub(crate) fn with_caching(mut self, caching: Caching) -> Self {
        self.caching = Some(caching);
        self
    }

    /// What hears of what the engine itself does.
    pub(crate) const fn ear(&self) -> &Ear {
        &self.ear
    }

    pub(crate) fn upkeep(&self) -> &Upkeep {
        &self.upkeep
    }

    pub(crate) fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    /// Time and randomness as the parts have them.
    pub(crate) const fn env(&self) -> &Arc<dyn Env> {
        &self.env
    }

    /// The store below the parts. Writing to it behind their backs can break
    /// what they promise. With [`Sharing::Exclusive`] it is not the very store
    /// that was handed to [`Windlass::over`] but one that notices what is
    /// written to sessions.
    ///
    /// [`Sharing::Exclusive`]: windlass_core::Sharing::Exclusive
    #[must_use]
    pub const fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// How the store is; `None` for one that the caller brought.
    #[must_use]
    pub fn health(&self) -> Option<Health> {
        self.probe.as_ref().map(|probe| probe.health())
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

    /// Finishes what was accepted, writes the events of the audit that wait,
    /// for five seconds at most, and releases the store. Every later call on
    /// this engine or a clone of it fails with kind `Closed`; closing again
    /// succeeds.
    ///
    /// # Errors
    ///
    /// [`StoreFailure`] if the store could not finish.
    pub async fn close(&self) -> Result<(), StoreFailure> {
        self.audit.close().await;
        let cache = match self.caching() {
            Some(caching) => caching.close().await,
            None => Ok(()),
        };
        let store = self.store.close().await;
        store.map_err(|error| StoreFailure::new("close", error))?;
        cache
    }
}

/// The settings of all parts, checked.
struct Settings {
    sessions: Config,
    stashes: durable::Options,
    checkpoints: windlass_checkpoint::Config,
    queue: windlass_queue::Config,
    streams: windlass_stream::Settings,
    audit: Option<AuditOptions>,
    stash_audit: Option<StashAudit>,
    stream_audit: Option<StreamAudit>,
    upkeep: Arc<Upkeep>,
}

impl Settings {
    fn of(options: &Options) -> Result<Self, OpenError> {
        Ok(Self {
            sessions: options.checked_sessions()?,
            stashes: options.checked_stashes()?,
            checkpoints: options.checked_checkpoints()?,
            queue: options.checked_queue()?,
            streams: options.checked_streams()?,
            audit: options.checked_audit()?,
            stash_audit: options.stash_audit.clone(),
            stream_audit: options.stream_audit.clone(),
            upkeep: Upkeep::new(options)?,
        })
    }
}

/// Refuses a store that holds part of an import, and a clock that cannot be
/// right.
async fn refuse(
    location: &StoreLocation,
    store: &dyn Store,
    options: &Options,
    env: &dyn Env,
) -> Result<(), OpenError> {
    refuse_unfinished(location, store).await?;
    if options.any_clock {
        return Ok(());
    }
    let checked = check_clock(store, env.now()).await;
    checked.map_err(|source| OpenError::Clock {
        location: location.clone(),
        source: Box::new(source),
    })
}

/// Refuses a store that holds part of an import.
async fn refuse_unfinished(location: &StoreLocation, store: &dyn Store) -> Result<(), OpenError> {
    let location = || location.clone();
    match unfinished::is_unfinished(store).await {
        Ok(false) => Ok(()),
        Ok(true) => Err(OpenError::HalfImported {
            location: location(),
        }),
        Err(source) => Err(OpenError::Store {
            location: location(),
            source,
        }),
    }
}
