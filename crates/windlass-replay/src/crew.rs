//! Runs whose steps travel as queued work, done by workers in real time.
//!
//! Each run has one piece of work in its session's queue: its next step. Who
//! claims it does the step as one turn, which uses the tool, commits the
//! state, completes the claim and enqueues the step behind it, together or not
//! at all. So wherever a worker dies, the step was done or is handed out
//! again, and nobody does it twice. A step that is refused changes nothing; it
//! enqueues the next one under a name that counts once, and is completed.
//! Behind the last step comes one more piece of work: what was said besides.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::{Either, select, try_join_all};
use serde::{Deserialize, Serialize};
use windlass::SystemEnv;
use windlass::core::{Env, OwnerId, SessionId, unique_id};
use windlass::queue::{self, Ask, Boundary, Claim, QueueError, Under, Work};

use crate::arrivals::Arrivals;
use crate::failure::ReplayError;
use crate::grant::Grant;
use crate::names::Names;
use crate::observe::{Observer, StepDone};
use crate::replay::Replay;
use crate::report::Report;
use crate::task::Done;

/// How long who finds nothing to do waits before he looks whether all is done.
const LOOK_MS: u64 = 100;
/// What a step is called in the queue.
const KIND: &str = "step";

/// Workers, and how they go to work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crew {
    /// Workers of this process: at least 1.
    pub workers: usize,
    /// How long a step may take before it is handed out again: 1 ms to 24
    /// hours.
    pub claim_ms: u64,
    /// When runs begin; all at once if `None`.
    pub arrivals: Option<Arrivals>,
}

/// A step as it lies in the queue.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    step: usize,
}

/// The work that is step `number` of a run.
pub(crate) fn order(number: usize) -> Result<Work, QueueError> {
    let mut work = Work::json(KIND, &Order { step: number })?;
    // Whoever enqueues it again gets this one, also once it is done.
    work.source_key = Some(format!("{KIND}:{number}").into());
    // An attempt ends only with its worker.
    work.attempts_max = queue::limits::ATTEMPTS_MAX;
    Ok(work)
}

/// A crew at work on one recording.
struct Site<'a> {
    replay: &'a Replay<'a>,
    crew: &'a Crew,
    grants: &'a [Grant<'a>],
    observer: &'a dyn Observer,
    caller: queue::Caller,
    /// The places of the runs, by their sessions.
    places: Vec<(SessionId, usize)>,
    /// How many runs are known to be over, from the first on.
    over: AtomicUsize,
    env: SystemEnv,
}

impl Replay<'_> {
    /// Plays every run by way of the queue.
    pub(crate) async fn run_crew(
        &self,
        crew: &Crew,
        observer: &dyn Observer,
    ) -> Result<Report, ReplayError> {
        let grants = &self.options.restrictions.grants(self.recording);
        self.create(grants).await?;
        let site = Site::new(self, crew, grants, observer)?;
        site.hand_out().await?;
        let times = site.work().await?;
        let mut written = Vec::with_capacity(grants.len());
        for place in 0..grants.len() {
            let stage = self.stage(grants, place)?;
            // What was refused last is known only of a closed session, and
            // has no row.
            let outcomes = stage.found().await?;
            written.push(stage.put_out(&outcomes).await?);
        }
        self.close(grants).await?;
        let mut played = Vec::with_capacity(grants.len());
        for (place, written) in written.into_iter().enumerate() {
            let mut report = self.stage(grants, place)?.summary().await?;
            report.put_out(written);
            played.push((report, Vec::new()));
        }
        if let Some((_, first)) = played.first_mut() {
            *first = times;
        }
        self.report(played).await
    }

    /// Works beside a replay with the same recording and options that another
    /// process has begun or will begin on this store, until that has no work
    /// left. Without a crew in the options it does nothing.
    ///
    /// # Errors
    ///
    /// [`ReplayError`].
    pub async fn join(&self, observer: &dyn Observer) -> Result<(), ReplayError> {
        let Some(crew) = &self.options.crew else {
            return Ok(());
        };
        let grants = &self.options.restrictions.grants(self.recording);
        let site = Site::new(self, crew, grants, observer)?;
        site.work().await.map(drop)
    }
}

impl<'a> Site<'a> {
    fn new(
        replay: &'a Replay<'a>,
        crew: &'a Crew,
        grants: &'a [Grant<'a>],
        observer: &'a dyn Observer,
    ) -> Result<Self, ReplayError> {
        let runs = replay.recording.runs.iter().enumerate();
        let named = runs.map(|(place, run)| (Names::new(run).session, place));
        let mut places: Vec<_> = named.collect();
        places.sort();
        Ok(Self {
            replay,
            crew,
            grants,
            observer,
            caller: queue_caller(replay.caller),
            places,
            over: AtomicUsize::new(0),
            env: SystemEnv::new(),
        })
    }

    const fn queue(&self) -> &queue::Queue {
        self.replay.windlass.queue()
    }

    /// Enqueues the first step of each run, or the one where an earlier
    /// replay ended.
    async fn hand_out(&self) -> Result<(), ReplayError> {
        let begins = self.env.now();
        for (place, run) in self.replay.recording.runs.iter().enumerate() {
            let stage = self.replay.stage(self.grants, place)?;
            let found = stage.found().await?;
            let mut work = order(found.len() + 1).map_err(ReplayError::Queue)?;
            let arrivals = self.crew.arrivals.as_ref();
            let after = arrivals.map_or(0, |arrivals| arrivals.after_ms(place));
            if found.is_empty() && after > 0 {
                work.available_at = Some(begins.plus_ms(after));
            }
            let session = Names::new(run).session;
            if stage.is_over().await? {
                continue;
            }
            let enqueued = self
                .queue()
                .enqueue(&self.caller, &session, vec![work], Under::NOTHING);
            enqueued.await.map_err(ReplayError::Queue)?;
        }
        Ok(())
    }

    /// Lets all workers work until nothing is left to do, and answers how
    /// long their steps took.
    async fn work(&self) -> Result<Vec<Duration>, ReplayError> {
        let workers = (0..self.crew.workers.max(1)).map(|_| self.worker());
        Ok(try_join_all(workers).await?.concat())
    }

    async fn worker(&self) -> Result<Vec<Duration>, ReplayError> {
        let name = unique_id(&self.env).map_err(|error| ReplayError::Queue(error.into()))?;
        let owner: OwnerId = name.parse().expect("an id is an owner");
        let ask = Ask::new(owner, self.crew.claim_ms);
        let mut times = Vec::new();
        loop {
            match self.claim(&ask).await? {
                Some(claim) => self.take(&claim, &mut times).await?,
                None if self.is_over().await? => return Ok(times),
                None => self.rest().await?,
            }
        }
    }

    async fn claim(&self, ask: &Ask) -> Result<Option<Claim>, ReplayError> {
        let claim = self.queue().claim_any(&self.caller, ask, Under::NOTHING);
        match claim.await {
            Err(QueueError::Busy) => Ok(None),
            claim => claim.map_err(ReplayError::Queue),
        }
    }

    /// Waits until there may be work, or it is time to look whether there
    /// ever will be.
    async fn rest(&self) -> Result<(), ReplayError> {
        let deadline = self.env.monotonic() + Duration::from_millis(LOOK_MS);
        let look = self.env.sleep_until(deadline);
        let wait = self.queue().wait(&self.caller, None, Boundary::Idle);
        match select(Box::pin(wait), look).await {
            Either::Left((waited, _)) => waited.map_err(ReplayError::Queue),
            Either::Right(_) => Ok(()),
        }
    }

    /// Whether every run is over. Looks at those only that were not when it
    /// looked last.
    async fn is_over(&self) -> Result<bool, ReplayError> {
        loop {
            let place = self.over.load(Ordering::Relaxed);
            if place >= self.grants.len() {
                return Ok(true);
            }
            if !self.replay.stage(self.grants, place)?.is_over().await? {
                return Ok(false);
            }
            let _ =
                self.over
                    .compare_exchange(place, place + 1, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    async fn take(&self, claim: &Claim, times: &mut Vec<Duration>) -> Result<(), ReplayError> {
        let found = self
            .places
            .binary_search_by(|(id, _)| id.cmp(&claim.session));
        let number = claim.work.first().and_then(|work| {
            let payload = work.payloads.first()?;
            payload.parse::<Order>().ok().map(|order| order.step)
        });
        let (Ok(found), Some(number)) = (found, number) else {
            return Err(ReplayError::Foreign {
                session: claim.session.clone(),
            });
        };
        let place = self.places[found].1;
        let clock = SystemEnv::new();
        let stage = self.replay.stage(self.grants, place)?;
        let done = stage.perform(claim, number).await?;
        let Done::Step(outcome) = done else {
            return Ok(());
        };
        times.push(clock.monotonic());
        let done = StepDone {
            run: &self.replay.recording.runs[place],
            number,
            outcome,
            found: false,
        };
        match self.observer.step(&done) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(ReplayError::Stopped),
        }
    }
}

/// The caller as the queue knows it.
pub(crate) fn queue_caller(caller: &windlass::session::Caller) -> queue::Caller {
    let (tenant, principal) = (&caller.tenant, &caller.principal);
    queue::Caller::new(tenant.clone(), principal.clone())
}
