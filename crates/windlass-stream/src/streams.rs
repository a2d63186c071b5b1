//! What can be done with streams.

use std::sync::Arc;

use windlass_core::{Env, OperationId, SessionId, StreamId, TenantId, Writer, WriterId, Written};
use windlass_store::{Commit, Scan, Store, StoreError, StoreErrorKind};

use crate::append::{Appender, birth};
use crate::audit::{Audit, Ear};
use crate::caller::Caller;
use crate::capacity::Occupancy;
use crate::chunker::Chunker;
use crate::engine::{Engine, floor};
use crate::error::StreamError;
use crate::keys::{StreamKeys, list_of};
use crate::mark::MARK_BYTES;
use crate::model::{Ending, NewStream, Placed, StreamView};
use crate::operation::Operation;
use crate::record::{Head, decode};
use crate::row::Row;
use crate::running::Credential;
use crate::settings::{Adjustment, Settings, SettingsError};
use crate::step::Made;
use crate::unknown::no_stream;
use crate::writer::StreamWriter;

/// The streams of a store.
#[derive(Clone, Debug)]
pub struct Streams {
    engine: Arc<Engine>,
    credential: Credential,
    pub(crate) ear: windlass_core::Ear,
}

/// A page of a session's streams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamPage {
    /// Their names, in their order.
    pub streams: Vec<StreamId>,
    /// Whether there are more behind the last.
    pub more: bool,
}

impl Streams {
    /// The streams that are in `store`, under settings that are brought into
    /// range.
    ///
    /// # Errors
    ///
    /// As [`Settings::in_range`].
    pub fn new(
        store: Arc<dyn Store>,
        env: Arc<dyn Env>,
        settings: &Settings,
    ) -> Result<Self, SettingsError> {
        Self::over(store, env, Ear::default(), settings)
    }

    /// The same, with somebody who hears of every read.
    ///
    /// # Errors
    ///
    /// As [`Settings::in_range`].
    pub fn with_audit(
        store: Arc<dyn Store>,
        env: Arc<dyn Env>,
        audit: Arc<dyn Audit>,
        settings: &Settings,
    ) -> Result<Self, SettingsError> {
        Self::over(store, env, Ear::new(audit), settings)
    }

    fn over(
        store: Arc<dyn Store>,
        env: Arc<dyn Env>,
        ear: Ear,
        settings: &Settings,
    ) -> Result<Self, SettingsError> {
        let (settings, _) = settings.in_range()?;
        let engine = Engine::new(store, env, ear, settings);
        Ok(Self {
            ear: windlass_core::Ear::default(),
            engine: Arc::new(engine),
            credential: Credential::default(),
        })
    }

    pub(crate) const fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    pub(crate) const fn credential(&self) -> &Credential {
        &self.credential
    }

    /// The same streams, for reads of somebody who was let in with this.
    #[must_use]
    pub fn under(&self, credential: Credential) -> Self {
        Self {
            engine: Arc::clone(&self.engine),
            credential,
            ear: self.ear.clone(),
        }
    }

    /// Ends the reads in this process of those who were let in with what is
    /// `meant`, since that was revoked, and says how many that were. They are
    /// told at once, also those that wait. Their cursors last: they are their
    /// principal's. Looks at every read there is.
    pub fn end_leases(&self, meant: impl Fn(&Caller, &Credential) -> bool) -> usize {
        self.engine.running.revoke(meant)
    }

    /// How many are reading now, for operators.
    #[must_use]
    pub fn occupancy(&self) -> Occupancy {
        self.engine.capacity.occupancy()
    }

    /// Changes the settings for writers and leases that are opened from now on,
    /// and says what had to be brought into range.
    ///
    /// # Errors
    ///
    /// As [`Settings::in_range`]; the old settings stay.
    pub fn configure(&self, settings: &Settings) -> Result<Vec<Adjustment>, SettingsError> {
        let (settings, adjustments) = settings.in_range()?;
        self.engine.set(settings);
        Ok(adjustments)
    }

    /// The settings that hold now.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        self.engine.settings()
    }

    /// Makes a stream, and gives what writes it. One commit and one read.
    ///
    /// # Errors
    ///
    /// `Exists` if the tenant has a stream of this name, whoever's it is.
    pub async fn create(
        &self,
        caller: &Caller,
        new: &NewStream,
    ) -> Result<StreamWriter, StreamError> {
        let made = self.make(caller, new, None).await?;
        self.writer(caller, &made.stream).await
    }

    /// Makes a stream. Under an operation id it can be repeated for a day, and
    /// takes effect once: also a name that was drawn is the same again. One
    /// commit, and a read for an operation id.
    ///
    /// # Errors
    ///
    /// `Exists` if the tenant has a stream of this name, whoever's it is;
    /// `OperationConflict`.
    pub async fn make(
        &self,
        caller: &Caller,
        new: &NewStream,
        operation: Option<&OperationId>,
    ) -> Result<Made, StreamError> {
        new.expiry.check()?;
        let operation = operation.map(|id| Operation::new(caller, id, &new.asked()));
        let operation = operation.as_ref();
        if let Some(done) = self.engine.recorded(operation).await? {
            return Ok(Made {
                stream: done.stream,
                repeated: true,
            });
        }
        let stream = match &new.id {
            Some(id) => id.clone(),
            None => StreamId::unique(self.engine.env.as_ref())?,
        };
        let keys = StreamKeys::new(&caller.tenant, &stream);
        self.give_birth(caller, &keys, new, operation).await
    }

    /// Commits the first rows of a stream; an outcome that is unknown is
    /// resolved by who wrote the first revision.
    async fn give_birth(
        &self,
        caller: &Caller,
        keys: &StreamKeys,
        new: &NewStream,
        operation: Option<&Operation>,
    ) -> Result<Made, StreamError> {
        let env = self.engine.env.as_ref();
        let writer = Writer::draw(env)?.id();
        let made = Made {
            stream: keys.stream.clone(),
            repeated: false,
        };
        let mut doubt = None;
        loop {
            let batch = birth(keys, caller, new, operation, &writer, env.now());
            match self.engine.store.commit(batch).await {
                Ok(Commit::Applied(_)) => return Ok(made),
                Ok(Commit::Conflict { .. }) => {
                    if let Some(done) = self.engine.recorded(operation).await? {
                        let repeated = match doubt {
                            // By the commit in doubt, unless somebody else was faster.
                            Some(doubt) if done.stream == made.stream => {
                                self.made_by(caller, keys, &writer, doubt).await.is_err()
                            }
                            _ => true,
                        };
                        let stream = done.stream;
                        return Ok(Made { stream, repeated });
                    }
                    let doubt = doubt.ok_or(StreamError::Exists)?;
                    self.made_by(caller, keys, &writer, doubt).await?;
                    return Ok(made);
                }
                // Under the same writer id it can be sent again: whichever
                // arrives first makes the stream, the other one conflicts.
                Err(error) if error.kind() == StoreErrorKind::Indeterminate && doubt.is_none() => {
                    doubt = Some(error);
                }
                Err(error) => return Err(doubt.unwrap_or(error).into()),
            }
        }
    }

    /// Whether the stream that exists was made by this writer's commit, of
    /// which nothing but `doubt` was known.
    async fn made_by(
        &self,
        caller: &Caller,
        keys: &StreamKeys,
        writer: &WriterId,
        doubt: StoreError,
    ) -> Result<(), StreamError> {
        let head = match self.engine.head(caller, keys).await {
            Ok(loaded) => loaded.head,
            Err(StreamError::NotFound) => return Err(StreamError::Exists),
            Err(_) => return Err(doubt.into()),
        };
        match head.by.of(1, head.rev) {
            Written::By(first) if first == writer => Ok(()),
            Written::By(_) | Written::NotYet => Err(StreamError::Exists),
            Written::Forgotten => Err(doubt.into()),
        }
    }

    /// A writer of a stream that is not closed. Several may write one stream:
    /// their chunks come one after the other.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Expired`, `Closed`.
    pub async fn writer(
        &self,
        caller: &Caller,
        stream: &StreamId,
    ) -> Result<StreamWriter, StreamError> {
        let mut appender = self.appender(caller, stream)?;
        let head = appender.load().await?;
        if head.closed.is_some() {
            return Err(StreamError::Closed);
        }
        let caps = self.engine.settings().caps();
        let chunker = Chunker::new(caps, MARK_BYTES, self.engine.env.monotonic());
        let last = Placed {
            first: head.tail,
            tail: head.tail,
            digest: head.digest,
        };
        let takes_long = head.session.is_some();
        Ok(StreamWriter::new(appender, chunker, last, takes_long))
    }

    fn appender(&self, caller: &Caller, stream: &StreamId) -> Result<Appender, StreamError> {
        let keys = StreamKeys::new(&caller.tenant, stream);
        Appender::new(Arc::clone(&self.engine), caller.clone(), keys)
    }

    /// Appends rows and waits until they are stored: in one commit if they make
    /// one chunk.
    ///
    /// # Errors
    ///
    /// [`StreamError`]; of several chunks the first ones may be stored.
    pub async fn append(
        &self,
        caller: &Caller,
        stream: &StreamId,
        rows: &[Row],
    ) -> Result<Placed, StreamError> {
        rows.iter().try_for_each(Row::check)?;
        let mut writer = self.writer(caller, stream).await?;
        for row in rows {
            writer.append(row).await.map_err(|it| it.error)?;
        }
        writer.flush().await
    }

    /// Closes a stream, for good.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Expired`; `Closed` if it was closed before.
    pub async fn close(
        &self,
        caller: &Caller,
        stream: &StreamId,
        how: Ending,
    ) -> Result<Placed, StreamError> {
        self.writer(caller, stream).await?.close(how).await
    }

    /// A stream as it is stored now. One read.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Expired`.
    pub async fn show(
        &self,
        caller: &Caller,
        stream: &StreamId,
    ) -> Result<StreamView, StreamError> {
        let keys = StreamKeys::new(&caller.tenant, stream);
        let scans = [Scan::point(keys.head()), Scan::point(keys.floor())];
        let pages = self.engine.store.read(&scans).await?;
        let [head, stored] = [0, 1].map(|page: usize| pages[page].entries.first());
        let head: Head = decode("stream head", &head.ok_or_else(no_stream)?.value)?;
        self.engine.admit(caller, &keys, &head).await?;
        let floor = floor(stored)?;
        Ok(StreamView {
            id: stream.clone(),
            principal: head.principal,
            session: head.session,
            created: head.created,
            changed: head.at,
            earliest: floor.earliest,
            tail: head.tail,
            digest: head.digest,
            bytes: head.bytes,
            expiry: head.expiry,
            closed: head.closed,
        })
    }

    /// The names of a session's streams from after `after` on, whoever's they
    /// are: names that were drawn in the order in which they were. At most
    /// `limit`, 1 to 1,000.
    ///
    /// # Errors
    ///
    /// The store's failures.
    pub async fn list(
        &self,
        caller: &Caller,
        session: &SessionId,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<StreamPage, StreamError> {
        self.names(&caller.tenant, session, after, limit).await
    }

    pub(crate) async fn names(
        &self,
        tenant: &TenantId,
        session: &SessionId,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<StreamPage, StreamError> {
        let below = list_of(tenant, session).below();
        let prefix = below.len();
        let mut scan = Scan::prefix(below).limit(limit).keys();
        if let Some(after) = after {
            scan = scan.after(&StreamKeys::new(tenant, after).listed(session));
        }
        let mut listed = StreamPage::default();
        while listed.streams.len() < limit {
            let pages = self.engine.store.read(std::slice::from_ref(&scan)).await?;
            let page = pages.into_iter().next().unwrap_or_default();
            for entry in &page.entries {
                let name = std::str::from_utf8(&entry.key[prefix..]).ok();
                let name = name.and_then(|name| name.parse().ok());
                let name =
                    name.ok_or_else(|| StreamError::corrupt("list of streams", "no name"))?;
                listed.streams.push(name);
            }
            listed.more = page.more;
            let Some(last) = page.entries.last().filter(|_| page.more) else {
                return Ok(listed);
            };
            scan = scan
                .after(&last.key)
                .limit((limit - listed.streams.len()).max(1));
        }
        Ok(listed)
    }
}
