//! Deciding a group of requests together, and the one batch that makes the
//! decisions true.

use std::collections::BTreeMap;

use bytes::Bytes;
use windlass_core::{Millis, SessionId, WriterId};
use windlass_store::{Batch, Expect, Version};

use crate::draft::{Draft, Loaded, Stop};
use crate::error::QueueError;
use crate::keys::QueueKeys;
use crate::limits::{COMMIT_BYTES_MAX, COMMIT_CHECKS_MAX, COMMIT_ITEMS_MAX};
use crate::model::Bound;
use crate::operation::Operation;
use crate::record::Answer;
use crate::rows::Short;
use crate::rules::Change;

/// What one caller asks, of one session or of several: all of it or nothing.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) parts: Vec<(QueueKeys, Change)>,
    pub(crate) operation: Option<Operation>,
    pub(crate) bound: Option<Bound>,
}

/// The queues that requests are about, as far as they are known.
pub(crate) type Ground = BTreeMap<QueueKeys, Loaded>;

/// What was decided about one request, named by its place.
pub(crate) type Decided = (usize, Result<Vec<Answer>, QueueError>);

/// Why nothing could be decided.
#[derive(Debug)]
pub(crate) enum Hold {
    /// Something of this queue has to be read first.
    Missing(QueueKeys, Short),
    /// A record is damaged.
    Failed(QueueError),
}

/// Decisions about some requests, from one state.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) drafts: BTreeMap<QueueKeys, Draft>,
    pub(crate) decided: Vec<Decided>,
    bounds: Vec<Bound>,
    now: Millis,
}

impl Plan {
    /// Decides `open` requests in order, as many as one commit can carry. One
    /// whose operation id an earlier one carries too is left for the next
    /// round, when the first answer is known.
    pub(crate) fn decide<'a>(
        ground: &Ground,
        skew_ms: u64,
        now: Millis,
        open: impl Iterator<Item = (usize, &'a Request)>,
    ) -> Result<Self, Hold> {
        let mut plan = Self {
            drafts: BTreeMap::new(),
            decided: Vec::new(),
            bounds: Vec::new(),
            now,
        };
        let mut operations: Vec<&Bytes> = Vec::new();
        let mut bytes = 0;
        for (place, request) in open {
            let parts = request.parts.iter();
            bytes += parts.map(|(_, change)| change.bytes()).sum::<usize>();
            if !plan.decided.is_empty() && plan.is_full(bytes) {
                break;
            }
            let operation = request.operation.as_ref().map(|it| &it.key);
            if operation.is_some_and(|key| operations.contains(&key))
                || !plan.may_bind(request.bound.as_ref())
            {
                continue;
            }
            for (keys, _) in &request.parts {
                let draft = || Draft::new(&ground[keys], skew_ms, now);
                plan.drafts.entry(keys.clone()).or_insert_with(draft);
            }
            let answer = plan.apply(request)?;
            if answer.is_ok() {
                operations.extend(operation);
                plan.bounds.extend(request.bound.clone());
            }
            plan.decided.push((place, answer));
        }
        Ok(plan)
    }

    fn is_full(&self, bytes: usize) -> bool {
        let drafts = || self.drafts.values();
        let checks: usize = drafts().map(Draft::checks).sum();
        let weight: usize = drafts().map(|draft| draft.weight).sum();
        bytes > COMMIT_BYTES_MAX
            || checks + self.bounds.len() >= COMMIT_CHECKS_MAX
            || weight >= COMMIT_ITEMS_MAX
    }

    /// One commit cannot expect two things of one row.
    fn may_bind(&self, bound: Option<&Bound>) -> bool {
        let Some(bound) = bound else { return true };
        let other = |it: &Bound| it.key == bound.key && it.version != bound.version;
        !self.bounds.iter().any(other)
    }

    fn apply(&mut self, request: &Request) -> Result<Result<Vec<Answer>, QueueError>, Hold> {
        // A part that is refused takes back those before it. Claims never are.
        let mut later = request.parts.iter().skip(1);
        let refusable = later.any(|(_, change)| !matches!(change, Change::Claim(_)));
        let before = refusable.then(|| self.drafts.clone());
        let mut answers = Vec::with_capacity(request.parts.len());
        for (keys, change) in &request.parts {
            let draft = self.drafts.get_mut(keys).expect("a draft of each part");
            match draft.apply(&keys.session, change) {
                Ok(answer) => answers.push(answer),
                Err(Stop::Short(short)) => return Err(Hold::Missing(keys.clone(), short)),
                Err(Stop::Refused(error @ QueueError::Corrupt { .. })) => {
                    return Err(Hold::Failed(error));
                }
                Err(Stop::Refused(error)) => {
                    if let Some(before) = before {
                        self.drafts = before;
                    }
                    return Ok(Err(error));
                }
            }
        }
        let changes = answers
            .iter()
            .any(|answer| *answer != Answer::Claimed(None));
        if let (Some(operation), true) = (&request.operation, changes)
            && let Some((keys, _)) = request.parts.first()
            && let Some(draft) = self.drafts.get_mut(keys)
        {
            draft.change();
            draft.note_operation(&operation.principal, &operation.id);
        }
        Ok(Ok(answers))
    }

    /// Prepares the heads for being written; whether there is anything to
    /// write.
    pub(crate) fn settle(&mut self, writer: &WriterId) -> Result<bool, Hold> {
        let mut changed = false;
        for (keys, draft) in &mut self.drafts {
            let missing = |short| Hold::Missing(keys.clone(), short);
            draft.settle(writer).map_err(missing)?;
            changed |= draft.is_changed();
        }
        Ok(changed)
    }

    /// The drafts that change something.
    fn changed(&self) -> impl Iterator<Item = (&QueueKeys, &Draft)> {
        self.drafts.iter().filter(|(_, draft)| draft.is_changed())
    }

    /// A queue that is changed, and the revision it gets.
    pub(crate) fn witness(&self) -> Option<(QueueKeys, u64)> {
        let (keys, draft) = self.changed().next()?;
        Some((keys.clone(), draft.head.rev))
    }

    /// The sessions whose queues it changes.
    pub(crate) fn sessions(&self) -> Vec<SessionId> {
        let changed = self.changed().map(|(keys, _)| keys.session.clone());
        changed.collect()
    }

    /// Source keys of one queue that are assumed to be free.
    pub(crate) fn assumed(&self) -> Option<(QueueKeys, Short)> {
        let mut drafts = self.drafts.iter();
        drafts.find_map(|(keys, draft)| Some((keys.clone(), draft.assumed()?)))
    }

    /// The batch of a settled plan. The checks of operation ids come first, so
    /// that a repeated request learns that it is one, then those of what it is
    /// bound to.
    pub(crate) fn batch(&self, requests: &[Request]) -> Batch {
        let mut batch = Batch::new();
        for (place, answers) in &self.decided {
            if let (Some(operation), Ok(answers)) = (&requests[*place].operation, answers)
                && answers.iter().any(|it| *it != Answer::Claimed(None))
            {
                batch = batch
                    .check(operation.key.clone(), Expect::Absent)
                    .put(operation.key.clone(), operation.row(self.now, answers));
            }
        }
        let mut bound: Vec<&Bytes> = Vec::new();
        for it in &self.bounds {
            if !bound.contains(&&it.key) {
                bound.push(&it.key);
                batch.checks.push(it.check());
            }
        }
        for (keys, draft) in self.changed() {
            batch.append(draft.batch(keys));
        }
        batch
    }

    /// The queues as they are once the plan was applied.
    pub(crate) fn applied(self, version: Version) -> (Ground, Vec<Decided>) {
        let changed = self.drafts.into_iter().filter(|(_, it)| it.is_changed());
        let ground = changed.map(|(keys, draft)| (keys, draft.applied(version)));
        (ground.collect(), self.decided)
    }
}
