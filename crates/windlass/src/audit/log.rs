//! The audit of an engine, as callers have it.

use std::sync::Arc;

use windlass_access::Tenants;
use windlass_core::{Audit, Env};
use windlass_store::Store;

use super::chain::Chain;
use super::error::AuditError;
use super::event::AuditEvent;
use super::lane::Lane;
use super::options::AuditOptions;
use super::read::{AuditLines, AuditPage, AuditQuery};
use super::recorder::{Recorder, StashEar, StreamEar};
use super::shelf::{AuditKeep, ChainHead, Shelf};
use super::sink::AuditSink;
use super::trim::AuditReport;
use super::verify::{Observe, Verified, Verify};
use super::waiting::AuditFigures;
use super::who;

/// The audit of an engine: its chains, and the way into them.
///
/// The chains can be read, verified and trimmed also where nothing is audited.
/// Cloning shares it.
#[derive(Clone, Debug)]
pub struct AuditLog {
    shelf: Arc<Shelf>,
    recorder: Option<Arc<Recorder>>,
    /// The lane of the shelf, if events are chained in the store.
    chained: Option<Arc<Lane>>,
}

impl AuditLog {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        env: &Arc<dyn Env>,
        options: Option<&AuditOptions>,
    ) -> Result<Self, AuditError> {
        let keep = options.map_or_else(AuditKeep::default, |options| options.keep);
        let tenants = Tenants::new(Arc::clone(&store), Arc::clone(env));
        let shelf = Arc::new(Shelf::new(store, Arc::clone(env), tenants, keep)?);
        let Some(options) = options else {
            return Ok(Self {
                shelf,
                recorder: None,
                chained: None,
            });
        };
        let lane = |sink: Arc<dyn AuditSink>| {
            let (env, linger) = (Arc::clone(env), options.linger());
            Arc::new(Lane::new(env, sink, linger, options.waiting_max))
        };
        let own = Arc::clone(&shelf);
        let chained = options.in_store.then(|| lane(own));
        let others = options.sinks.iter().map(|sink| lane(sink.sink()));
        let lanes = chained.iter().cloned().chain(others).collect();
        let recorder = Recorder::new(Arc::clone(env), options.detail, lanes);
        Ok(Self {
            shelf,
            recorder: Some(Arc::new(recorder)),
            chained,
        })
    }

    /// What parts are to tell; `None` if nothing is audited.
    pub(crate) fn ear(&self) -> Option<Arc<dyn Audit>> {
        let recorder = self.recorder.clone()?;
        Some(recorder)
    }

    /// What stashes are to tell, beside `also`.
    pub(crate) fn stash_ear(
        &self,
        also: Option<Arc<dyn windlass_stash::Audit>>,
    ) -> Option<Arc<dyn windlass_stash::Audit>> {
        match self.recorder.clone() {
            None => also,
            Some(recorder) => Some(Arc::new(StashEar { recorder, also })),
        }
    }

    /// What streams are to tell, beside `also`.
    pub(crate) fn stream_ear(
        &self,
        also: Option<Arc<dyn windlass_stream::Audit>>,
    ) -> Option<Arc<dyn windlass_stream::Audit>> {
        match self.recorder.clone() {
            None => also,
            Some(recorder) => Some(Arc::new(StreamEar { recorder, also })),
        }
    }

    /// Whether anything is audited.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.recorder.is_some()
    }

    /// Tells of an event of the caller's own, such as a credential that was
    /// refused. Names on whose behalf it is told where the event does not.
    /// Never waits, and does nothing if nothing is audited.
    pub fn tell(&self, mut event: AuditEvent) {
        let Some(recorder) = &self.recorder else {
            return;
        };
        let who = who::now();
        let principal = who.principal.map(|principal| principal.as_str().to_owned());
        event.principal = event.principal.or(principal);
        event.key = event.key.or(who.key);
        event.request = event.request.or(who.request);
        recorder.pass_on(event);
    }

    /// What has become of the events of this process that were to be chained in
    /// the store.
    #[must_use]
    pub fn figures(&self) -> AuditFigures {
        let figures = self.chained.as_ref().map(|lane| lane.figures());
        figures.unwrap_or_default()
    }

    /// What has become of those that were to go to the caller's sinks, in the
    /// order of [`AuditOptions::sinks`].
    #[must_use]
    pub fn sink_figures(&self) -> Vec<AuditFigures> {
        let lanes = self.recorder.iter().flat_map(|recorder| recorder.lanes());
        let own = usize::from(self.chained.is_some());
        lanes.skip(own).map(|lane| lane.figures()).collect()
    }

    /// Writes what waits to be chained in the store, now. Without a runtime
    /// this is what writes it.
    pub async fn flush(&self) {
        if let Some(lane) = &self.chained {
            lane.flush().await;
        }
    }

    /// Writes what waits, to every sink, each for five seconds at most, and
    /// takes nothing more.
    pub(crate) async fn close(&self) {
        // One after the other: a sink of the caller's may need the engine.
        for lane in self
            .recorder
            .iter()
            .flat_map(|recorder| recorder.lanes())
            .rev()
        {
            lane.close().await;
        }
    }

    /// Where a chain stands; before its first event if nothing was ever told of
    /// it. Note it
    /// elsewhere, and [`AuditLog::verify`] can be held to it. One read.
    ///
    /// # Errors
    ///
    /// `Corrupt` if its head cannot be read, and the store's failures.
    pub async fn head(&self, chain: &Chain) -> Result<ChainHead, AuditError> {
        let (head, _) = self.shelf.head(chain).await?;
        Ok(ChainHead::of(&head))
    }

    /// A page of a chain's events. One read.
    ///
    /// # Errors
    ///
    /// `Invalid` for a limit outside 1 to 1,000, `Corrupt` for an event that
    /// cannot be read, and the store's failures.
    pub async fn page(&self, chain: &Chain, query: &AuditQuery) -> Result<AuditPage, AuditError> {
        self.shelf.events(chain, query).await
    }

    /// A page of a chain's events as the lines that are stored and hashed, each
    /// an object of JSON. One read.
    ///
    /// # Errors
    ///
    /// `Invalid` for a limit outside 1 to 1,000, and the store's failures.
    pub async fn lines(&self, chain: &Chain, query: &AuditQuery) -> Result<AuditLines, AuditError> {
        self.shelf.lines(chain, query).await
    }

    /// Reads a chain from an event on and says where it breaks first, if it
    /// does. A break is an answer, not an error. One read for each 500 events;
    /// events that come or are trimmed meanwhile are no break.
    ///
    /// # Errors
    ///
    /// `Invalid` for a first event that is still to come, and the store's
    /// failures other than damage, which is a break.
    pub async fn verify(
        &self,
        chain: &Chain,
        asked: Verify,
        observe: Observe<'_>,
    ) -> Result<Verified, AuditError> {
        self.shelf.verify(chain, asked, observe).await
    }

    /// Forgets events that are kept long enough, in at most `limit` commits of
    /// up to 500. Safe to run at any time, in any number of processes.
    ///
    /// # Errors
    ///
    /// The store's failures; what was done before stays done. A chain that
    /// cannot be read is reported and left alone.
    pub async fn sweep(&self, limit: usize) -> Result<AuditReport, AuditError> {
        self.shelf.sweep(limit).await
    }
}
