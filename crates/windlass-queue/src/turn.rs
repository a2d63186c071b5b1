//! Changes of the queue as a part of somebody else's commit.
//!
//! A turn joins what several parts have to store into one commit: each answers
//! with the checks and writes that it needs, and whoever composes them commits
//! all at once. What is planned here is decided by the same rules, from what is
//! stored at the time; the check of each queue's head makes the commit fail if
//! anything has changed since.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use windlass_core::{SessionId, Writer};
use windlass_store::Batch;

use crate::caller::Caller;
use crate::error::QueueError;
use crate::keys::QueueKeys;
use crate::limits::ENQUEUE_MAX;
use crate::model::{Bound, Enqueued, Settle, Settled, Work, check_count};
use crate::operation::Fingerprint;
use crate::plan::{Ground, Hold, Plan, Request};
use crate::queue::{Queue, check_work, foreign};
use crate::record::Answer;
use crate::rules::Change;

/// One change of the queue that is to be a part of another commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Says what became of claimed work.
    Settle {
        /// Whose work.
        session: SessionId,
        /// What became of it.
        settle: Settle,
    },
    /// Enqueues work.
    Enqueue {
        /// For which session.
        session: SessionId,
        /// The work.
        work: Work,
    },
}

impl Step {
    /// A hash of what it asks, 128 bits in hexadecimal: equal for equal steps,
    /// and for no others.
    #[must_use]
    pub fn fingerprint(&self) -> Arc<str> {
        match self {
            Self::Settle { session, settle } => Fingerprint::settle(session, settle).hash(),
            Self::Enqueue { session, work } => {
                Fingerprint::enqueue([(session, work)].into_iter()).hash()
            }
        }
    }
}

/// What a step will have done once its commit is applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Done {
    /// What settling does.
    Settled(Settled),
    /// What is enqueued.
    Enqueued(Enqueued),
}

/// Steps that were decided and not committed.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The checks and writes that make them true, all of one tenant; empty if
    /// nothing changes. A conflict means: plan anew.
    pub batch: Batch,
    /// What each step will have done, in their order.
    pub done: Vec<Done>,
    /// The sessions whose queues change: once the batch is committed,
    /// [`Queue::forget`] saves each of them a lost race.
    pub sessions: Vec<SessionId>,
}

impl Queue {
    /// Decides up to 100 steps, all or none, and gives what has to be
    /// committed, without committing it.
    ///
    /// Takes no operation id: the commit that this becomes a part of has to
    /// know whether it was done. The new ids are drawn anew each time. One read
    /// for each session, and one for each source key.
    ///
    /// # Errors
    ///
    /// As [`Queue::settle`] and [`Queue::enqueue`].
    pub async fn plan(
        &self,
        caller: &Caller,
        steps: &[Step],
        bound: Option<&Bound>,
    ) -> Result<Planned, QueueError> {
        check_count("steps", steps.len(), ENQUEUE_MAX)?;
        let request = Request {
            parts: self.parts(caller, steps)?,
            operation: None,
            bound: bound.cloned(),
        };
        let requests = [request];
        let writer = Writer::draw(self.engine().env.as_ref())?;
        let (plan, decided) = self.decide(&requests, &writer).await?;
        let done = decided?.into_iter().map(|answer| match answer {
            Answer::Settled(settled) => Ok(Done::Settled(settled)),
            Answer::Enqueued(mut one) if one.len() == 1 => Ok(Done::Enqueued(one.remove(0))),
            other => Err(foreign(&other)),
        });
        Ok(Planned {
            batch: plan.batch(&requests),
            done: done.collect::<Result<_, _>>()?,
            sessions: plan.sessions(),
        })
    }

    fn parts(
        &self,
        caller: &Caller,
        steps: &[Step],
    ) -> Result<Vec<(QueueKeys, Change)>, QueueError> {
        let mut parts = Vec::with_capacity(steps.len());
        for step in steps {
            let (session, change) = match step {
                Step::Settle { session, settle } => {
                    settle.check()?;
                    let seed = self.engine().seed()?;
                    (session, Change::Settle(settle.clone(), seed))
                }
                Step::Enqueue { session, work } => {
                    check_work([work].into_iter())?;
                    (session, Change::Enqueue(self.fresh(vec![work.clone()])?))
                }
            };
            parts.push((QueueKeys::new(&caller.tenant, session), change));
        }
        Ok(parts)
    }

    /// Reads what it takes to decide the one request, and decides it.
    async fn decide(
        &self,
        requests: &[Request],
        writer: &Writer,
    ) -> Result<(Plan, Result<Vec<Answer>, QueueError>), QueueError> {
        let engine = self.engine();
        let mut ground = Ground::new();
        let mut lost = 0;
        loop {
            let parts = requests.iter().flat_map(|request| &request.parts);
            for (keys, _) in parts {
                if !ground.contains_key(keys) {
                    ground.insert(keys.clone(), engine.load(keys).await?);
                }
            }
            let now = engine.env.now();
            let open = requests.iter().enumerate();
            let plan = Plan::decide(&ground, engine.config.skew_ms(), now, open);
            let plan = plan.and_then(|mut plan| {
                plan.settle(&writer.id())?;
                Ok(plan)
            });
            match plan {
                Ok(mut plan) => match plan.decided.pop() {
                    // A source key is free only if it was read to be so.
                    Some((_, answer)) => {
                        let Some((keys, short)) = plan.assumed() else {
                            return Ok((plan, answer));
                        };
                        let loaded = ground.get_mut(&keys).expect("what was decided from");
                        if !engine.fetch(&keys, loaded, &short).await? {
                            ground.remove(&keys);
                        }
                    }
                    None => return Err(QueueError::Busy),
                },
                Err(Hold::Failed(error)) => return Err(error),
                Err(Hold::Missing(keys, short)) => {
                    let loaded = ground.get_mut(&keys).expect("what was decided from");
                    if !engine.fetch(&keys, loaded, &short).await? {
                        ground.remove(&keys);
                        lost += 1;
                        engine.back_off(lost).await?;
                    }
                }
            }
        }
    }
}
