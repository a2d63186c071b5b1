//! The engine: a store, and the parts over it.

use std::sync::Arc;

use windlass_access::{Keys, Tenants};
use windlass_checkpoint::{Checkpoints, Collect, GarbageReport, Sweep};
use windlass_core::{BoxFuture, Ear, Env};
use windlass_queue::Queue;
use windlass_session::{Config, Sessions, SweepReport};
use windlass_stash::durable::{self, ReapReport, Stashes};
use windlass_store::key::Key;
use windlass_store::limits::READ_ENTRIES_MAX;
use windlass_store::{Export, KeyRange, Page, Scan, Store};
use windlass_stream::Streams;

use crate::audit::{AuditLog, AuditOptions, AuditReport};
use crate::health::{Health, Probe};
use crate::opening::open_store;
use crate::quota::Quotas;
use crate::{
    MaintainError, OpenError, Options, StashAudit, StoreFailure, StoreLocation, StreamAudit,
    SystemEnv, unfinished,
};

/// The first segment of the index of upkeep, which every part keeps as
/// `due/<time>/…`.
const DUE: &str = "due";

/// Rows that one step of a collection may look at.
const COLLECTED_ROWS: usize = 16;

/// An open store and the parts that work on it. Cloning shares all of it.
///
/// It spawns nothing: upkeep happens when [`Windlass::maintain`] is called.
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
        if let Err(refusal) = refuse_unfinished(location, opened.store.as_ref()).await {
            // Whoever finishes the import needs the store; that it could not
            // be closed says less than the refusal does.
            let _ = opened.store.close().await;
            return Err(refusal);
        }
        let mut windlass = Self::compose(opened.store, env, settings)?;
        windlass.probe = Some(opened.probe);
        Ok(windlass)
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
        let ear = audit.ear().map_or_else(Ear::default, Ear::new);
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

    /// What hears of what the engine itself does.
    pub(crate) const fn ear(&self) -> &Ear {
        &self.ear
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

    /// Does a bounded amount of every part's upkeep: marks sessions that
    /// expired, removes those whose retention has ended with their states,
    /// queues and streams, packs commits and drops those that are no longer kept, collects
    /// contents that no state needs, takes back the space of expired stash
    /// entries, and forgets streams and cursors that have expired; in no more than `limit` steps for each
    /// part. Safe to run at any time, in any number of processes.
    ///
    /// # Errors
    ///
    /// [`MaintainError`] naming the part that failed; what was done before
    /// stays done, and the next call goes on from there.
    pub async fn maintain(&self, limit: usize) -> Result<Maintained, MaintainError> {
        let leave = |tenant, session| -> BoxFuture<'static, bool> {
            let (checkpoints, queue) = (self.checkpoints.clone(), self.queue.clone());
            let streams = self.streams.clone();
            Box::pin(async move {
                let state = checkpoints.remove(&tenant, &session).await;
                state.is_ok()
                    && queue.remove(&tenant, &session).await.is_ok()
                    && streams.remove_session(&tenant, &session).await.is_ok()
            })
        };
        let sessions = self.sessions.sweep_with(limit, &leave).await;
        let sessions = sessions.map_err(MaintainError::Sessions)?;
        let stashes = self.stashes.reap_due(limit).await;
        let stashes = stashes.map_err(MaintainError::Stashes)?;
        let checkpoints = self.checkpoints.sweep(Sweep::Due, limit).await;
        let checkpoints = checkpoints.map_err(MaintainError::Checkpoints)?;
        let attachments = self.checkpoints.sweep_attachments(Sweep::Due, limit).await;
        let attachments = attachments.map_err(MaintainError::Checkpoints)?;
        let rows = u64::try_from(limit.saturating_mul(COLLECTED_ROWS)).unwrap_or(u64::MAX);
        let garbage = self
            .checkpoints
            .collect_due(Sweep::Due, Collect::default(), rows);
        let garbage = garbage.await.map_err(MaintainError::Checkpoints)?;
        let queue = self.queue.sweep(limit).await;
        let queue = queue.map_err(MaintainError::Queue)?;
        let streams = self.streams.sweep(limit).await;
        let streams = streams.map_err(MaintainError::Streams)?;
        let access = self.keys.sweep(limit).await;
        let access = access.map_err(MaintainError::Access)?;
        let audit = self.audit.sweep(limit).await;
        let audit = audit.map_err(MaintainError::Audit)?;
        Ok(Maintained {
            sessions,
            stashes,
            checkpoints,
            attachments,
            garbage,
            queue,
            streams,
            access,
            audit,
        })
    }

    /// Counts the entries in the index of upkeep that have come due, up to
    /// `limit`: how much [`Windlass::maintain`] would look at now. Changes
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`StoreFailure`] if the index cannot be read.
    pub async fn due(&self, limit: usize) -> Result<Due, StoreFailure> {
        let until = self.env.now().get().saturating_add(1);
        let range = KeyRange::new(Key::new(DUE).below(), Key::new(DUE).number(until).finish());
        let mut scan = Scan::new(range).keys();
        let mut entries = 0;
        while entries < limit {
            scan = scan.limit((limit - entries).min(READ_ENTRIES_MAX));
            let page = self.page(&scan).await?;
            entries += page.entries.len();
            match page.entries.last() {
                Some(last) if page.more => scan = scan.after(&last.key),
                _ => {
                    return Ok(Due {
                        entries,
                        more: false,
                    });
                }
            }
        }
        Ok(Due {
            entries,
            more: true,
        })
    }

    async fn page(&self, scan: &Scan) -> Result<Page, StoreFailure> {
        let pages = self.store.read(std::slice::from_ref(scan)).await;
        let pages = pages.map_err(|error| StoreFailure::new("read", error))?;
        Ok(pages.into_iter().next().unwrap_or_default())
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
        self.store
            .close()
            .await
            .map_err(|error| StoreFailure::new("close", error))
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
        })
    }
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

/// How much upkeep has come due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Entries counted.
    pub entries: usize,
    /// Whether there may be more beyond the limit of the count.
    pub more: bool,
}

/// What one round of upkeep did, part by part.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Maintained {
    /// Sessions that expired or whose retention ended.
    pub sessions: SweepReport,
    /// Stash entries that expired, and what interrupted puts left behind.
    pub stashes: ReapReport,
    /// States that were packed, and commits that are no longer kept.
    pub checkpoints: windlass_checkpoint::SweepReport,
    /// Attachments that no commit has taken.
    pub attachments: windlass_checkpoint::AttachmentReport,
    /// Contents that no state needs any more.
    pub garbage: GarbageReport,
    /// What the queue remembered long enough.
    pub queue: windlass_queue::SweepReport,
    /// Streams and cursors that expired.
    pub streams: windlass_stream::SweepReport,
    /// API keys that ended long ago.
    pub access: windlass_access::SweepReport,
    /// Events of the audit that were kept long enough.
    pub audit: AuditReport,
}
