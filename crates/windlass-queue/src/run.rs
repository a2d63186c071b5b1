//! The driver: loads, lets the rules decide, commits, and on a lost race reads
//! and decides again.
//!
//! What is remembered of a queue is a guess. A grant is safe because its commit
//! checks the head; a refusal, and that there is nothing to claim, is given
//! out only after a read has confirmed the head it was decided from. The
//! memory moves on only after the store has acknowledged.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use windlass_core::{Coded, ErrorKind, Writer, WriterId, Written};
use windlass_store::limits::READ_SCANS_MAX;
use windlass_store::{Commit, Scan, StoreErrorKind, Version};

use crate::draft::Loaded;
use crate::engine::Engine;
use crate::error::QueueError;
use crate::keys::QueueKeys;
use crate::plan::{Decided, Ground, Hold, Plan, Request};
use crate::record::Answer;
use crate::rows::Short;

/// The answers to one request, one for each of its parts.
pub(crate) type Reply = Result<Vec<Answer>, QueueError>;

/// One run over some requests.
pub(crate) struct Run<'a> {
    engine: &'a Engine,
    writer: &'a Writer,
    /// What is known of the queues; what is not there has to be read.
    pub(crate) ground: Ground,
    requests: &'a [Request],
    answers: Vec<Option<Reply>>,
    /// Queues that were read or written by this very run.
    fresh: BTreeSet<QueueKeys>,
    lost: u32,
    doubt: Option<Doubt>,
}

/// A commit of which it is not known whether it was applied.
struct Doubt {
    writer: WriterId,
    /// A queue that it changed, and the revision that it gave it.
    witness: (QueueKeys, u64),
    decided: Vec<Decided>,
    error: QueueError,
}

impl<'a> Run<'a> {
    pub(crate) fn new(
        engine: &'a Engine,
        writer: &'a Writer,
        ground: Ground,
        requests: &'a [Request],
    ) -> Self {
        Self {
            engine,
            writer,
            ground,
            requests,
            answers: requests.iter().map(|_| None).collect(),
            fresh: BTreeSet::new(),
            lost: 0,
            doubt: None,
        }
    }

    /// Answers every request; what is then known of the queues is in `ground`.
    pub(crate) async fn finish(&mut self) -> Vec<Reply> {
        while self.answers.iter().any(Option::is_none) {
            if let Err(error) = self.round().await {
                // While a commit is in doubt, "nothing happened" would be a lie.
                let error = self.doubt.take().map_or(error, |doubt| doubt.error);
                if error.kind() != ErrorKind::Unavailable {
                    self.ground.clear();
                }
                self.fail(&error);
            }
        }
        std::mem::take(&mut self.answers)
            .into_iter()
            .flatten()
            .collect()
    }

    /// Answers some requests, unless something has to be read anew first.
    async fn round(&mut self) -> Result<(), QueueError> {
        self.load().await?;
        if self.resolve_doubt()? {
            return Ok(());
        }
        let plan = match self.decide() {
            Ok(plan) => plan,
            Err(Hold::Failed(error)) => return Err(error),
            Err(Hold::Missing(keys, short)) => return self.fetch(keys, &short).await,
        };
        if plan.witness().is_some() {
            return self.commit(plan).await;
        }
        match self.doubt.take() {
            // Time passed and what was granted would now be refused, but the
            // grant may still arrive.
            Some(doubt) => Err(doubt.error),
            None => self.confirm(plan.decided).await,
        }
    }

    fn decide(&mut self) -> Result<Plan, Hold> {
        for (keys, loaded) in &mut self.ground {
            let held = loaded.head.claim.as_ref();
            loaded.stalled = held.is_some_and(|held| self.engine.is_stalled(keys, held));
        }
        let now = self.engine.env.now();
        let open = self.requests.iter().enumerate();
        let open = open.filter(|(place, _)| self.answers[*place].is_none());
        let mut plan = Plan::decide(&self.ground, self.engine.config.skew_ms(), now, open)?;
        plan.settle(&self.writer.id())?;
        Ok(plan)
    }

    /// Reads the queues that are not known.
    async fn load(&mut self) -> Result<(), QueueError> {
        let open = self.requests.iter().zip(&self.answers);
        let open = open.filter(|(_, answer)| answer.is_none());
        let named = open.flat_map(|(request, _)| &request.parts);
        let named: BTreeSet<&QueueKeys> = named.map(|(keys, _)| keys).collect();
        for keys in named {
            if !self.ground.contains_key(keys) {
                let loaded = self.engine.load(keys).await?;
                self.ground.insert(keys.clone(), loaded);
                self.fresh.insert(keys.clone());
            }
        }
        Ok(())
    }

    async fn fetch(&mut self, keys: QueueKeys, short: &Short) -> Result<(), QueueError> {
        let loaded = self.ground.get_mut(&keys).expect("what was decided from");
        if self.engine.fetch(&keys, loaded, short).await? {
            self.fresh.insert(keys);
            return Ok(());
        }
        self.lose(Some(&keys)).await
    }

    /// Whether the commit in doubt turns out to have been applied; if so what
    /// it granted becomes the answers. What it refused is decided again: it
    /// may have been granted before, under its operation id.
    fn resolve_doubt(&mut self) -> Result<bool, QueueError> {
        let Some(doubt) = self.doubt.take() else {
            return Ok(false);
        };
        let (keys, revision) = &doubt.witness;
        let head = &self.ground[keys].head;
        match head.by.of(*revision, head.rev) {
            Written::By(writer) if *writer == doubt.writer => {
                let granted = doubt.decided.into_iter().filter(|(_, it)| it.is_ok());
                self.settle(granted.collect());
                Ok(true)
            }
            Written::By(_) => Ok(false),
            Written::Forgotten => Err(doubt.error),
            Written::NotYet => {
                // It may still arrive; then the next attempt conflicts.
                self.doubt = Some(doubt);
                Ok(false)
            }
        }
    }

    async fn commit(&mut self, plan: Plan) -> Result<(), QueueError> {
        let batch = plan.batch(self.requests);
        match self.engine.store.commit(batch).await {
            Ok(Commit::Applied(version)) => self.acknowledge(plan, version).await,
            Ok(Commit::Conflict { key }) => self.conflict(&plan, &key).await,
            Err(error) if error.kind() == StoreErrorKind::Indeterminate && self.doubt.is_none() => {
                self.ground.clear();
                let witness = plan.witness().expect("what was committed changes a queue");
                self.doubt = Some(Doubt {
                    writer: self.writer.leave_id(),
                    witness,
                    decided: plan.decided,
                    error: error.into(),
                });
                Ok(())
            }
            Err(error) => {
                self.writer.leave_id();
                Err(error.into())
            }
        }
    }

    async fn acknowledge(&mut self, plan: Plan, version: Version) -> Result<(), QueueError> {
        self.doubt = None;
        let (next, decided) = plan.applied(version);
        for (keys, loaded) in next {
            self.engine.observe(&keys, loaded.head.claim.as_ref());
            self.fresh.insert(keys.clone());
            self.ground.insert(keys, loaded);
        }
        let (granted, refused) = decided.into_iter().partition(|(_, answer)| answer.is_ok());
        self.settle(granted);
        self.confirm(refused).await
    }

    async fn conflict(&mut self, plan: &Plan, key: &Bytes) -> Result<(), QueueError> {
        let granted = plan.decided.iter().filter(|(_, answer)| answer.is_ok());
        let places: Vec<usize> = granted.map(|(place, _)| *place).collect();
        for place in places {
            let request = &self.requests[place];
            if request.operation.as_ref().is_some_and(|it| it.key == *key) {
                return self.replay_stored(place, key).await;
            }
            if request.bound.as_ref().is_some_and(|it| it.key == *key) {
                return self.refuse_unbound(place).await;
            }
        }
        for (keys, draft) in &plan.drafts {
            if draft.assumes(keys, key)
                && let Some(short) = draft.assumed()
            {
                return self.fetch(keys.clone(), &short).await;
            }
        }
        let moved = plan.drafts.keys().find(|keys| keys.head() == *key).cloned();
        self.lose(moved.as_ref()).await
    }

    /// Answers from the record of an operation that was done before.
    async fn replay_stored(&mut self, place: usize, key: &Bytes) -> Result<(), QueueError> {
        let scan = [Scan::point(key.clone())];
        let pages = self.engine.store.read(&scan).await?;
        match pages.iter().find_map(|page| page.entries.first()) {
            Some(entry) => {
                self.replay(place, &entry.value);
                Ok(())
            }
            // It was forgotten just now.
            None => self.lose(None).await,
        }
    }

    /// What a request is bound to is not as it was: its caller has lost it.
    /// Unless the commit in doubt was the one that did what is asked.
    async fn refuse_unbound(&mut self, place: usize) -> Result<(), QueueError> {
        if self.doubt.is_some() {
            return self.lose(None).await;
        }
        if let Some(operation) = &self.requests[place].operation {
            let scan = [Scan::point(operation.key.clone())];
            let pages = self.engine.store.read(&scan).await?;
            if let Some(entry) = pages.iter().find_map(|page| page.entries.first()) {
                self.replay(place, &entry.value);
            }
        }
        self.settle(vec![(place, Err(QueueError::LeaseLost))]);
        Ok(())
    }

    /// Somebody else was first: another round, with the queue that moved read
    /// anew, or all of them.
    async fn lose(&mut self, moved: Option<&QueueKeys>) -> Result<(), QueueError> {
        match moved {
            Some(keys) => {
                self.ground.remove(keys);
            }
            None => self.ground.clear(),
        }
        self.lost += 1;
        self.engine.back_off(self.lost).await
    }

    /// Gives out decisions that changed nothing, once a read has shown that
    /// they were made from the present state and that none of them was granted
    /// before under its operation id.
    async fn confirm(&mut self, mut decided: Vec<Decided>) -> Result<(), QueueError> {
        let stale = |keys: &&QueueKeys| !self.fresh.contains(*keys);
        let asked = decided
            .iter()
            .flat_map(|(place, _)| &self.requests[*place].parts);
        let stale: BTreeSet<&QueueKeys> = asked.map(|(keys, _)| keys).filter(stale).collect();
        let stale: Vec<QueueKeys> = stale.into_iter().cloned().collect();
        if stale.len() > READ_SCANS_MAX / 2 {
            // Of many queues, reading them is as good as confirming them.
            self.ground.retain(|keys, _| !stale.contains(keys));
            return Ok(());
        }
        let mut known: Vec<(usize, Bytes)> = Vec::new();
        decided.retain(|(place, _)| {
            let Some(operation) = &self.requests[*place].operation else {
                return true;
            };
            let fits = known.len() + stale.len() < READ_SCANS_MAX;
            if fits {
                known.push((*place, operation.key.clone()));
            }
            fits
        });
        if known.is_empty() && stale.is_empty() {
            self.settle(decided);
            return Ok(());
        }
        let heads = stale.iter().map(|keys| Scan::point(keys.head()).keys());
        let operations = known.iter().map(|(_, key)| Scan::point(key.clone()));
        let scans: Vec<Scan> = heads.chain(operations).collect();
        let pages = self.engine.store.read(&scans).await?;
        let mut pages = pages.iter().map(|page| page.entries.first());
        for keys in &stale {
            let version = pages.next().flatten().map(|head| head.version);
            let guess = self.ground.get(keys);
            if guess.is_none_or(|guess: &Loaded| guess.version != version) {
                self.ground.remove(keys);
                return Ok(());
            }
            self.fresh.insert(keys.clone());
        }
        for ((place, _), entry) in known.into_iter().zip(pages) {
            if let Some(entry) = entry {
                self.replay(place, &entry.value);
            }
        }
        self.settle(decided);
        Ok(())
    }

    /// Answers a request whose operation was done before.
    fn replay(&mut self, place: usize, stored: &[u8]) {
        let Some(operation) = &self.requests[place].operation else {
            return;
        };
        let answer = operation.replay(stored);
        self.settle(vec![(place, answer)]);
    }

    /// Turns decisions into answers; what is answered already stays so.
    fn settle(&mut self, decided: Vec<Decided>) {
        for (place, answer) in decided {
            self.answers[place].get_or_insert(answer);
        }
    }

    fn fail(&mut self, error: &QueueError) {
        for answer in &mut self.answers {
            answer.get_or_insert_with(|| Err(error.clone()));
        }
    }
}

/// Answers requests of any queues in commits of their own.
pub(crate) async fn run_alone(
    engine: &Arc<Engine>,
    requests: Vec<Request>,
) -> Result<(Vec<Reply>, Ground), QueueError> {
    let writer = Writer::draw(engine.env.as_ref())?;
    let mut run = Run::new(engine, &writer, Ground::new(), &requests);
    let replies = run.finish().await;
    Ok((replies, std::mem::take(&mut run.ground)))
}
