//! The driver of one session: loads, lets the rules decide, commits, and on a
//! lost race reloads and decides again.
//!
//! What the cell remembers is a guess. A grant is safe because its commit
//! checks the head; a refusal is given out only after a read has confirmed
//! the head it was decided from. The memory moves on only after the store
//! has acknowledged.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use windlass_core::{BoxFuture, Drive, RandomError};
use windlass_store::limits::READ_SCANS_MAX;
use windlass_store::{Commit, Scan, StoreErrorKind, Version};

use crate::above::Ground;
use crate::engine::{Engine, Loaded, agent_keys};
use crate::error::SessionError;
use crate::keys::SessionKeys;
use crate::plan::{Decided, Plan, Request, ending, place_of};
use crate::record::{Answer, Head, Spec, decode};
use crate::rules::Change;
use crate::writers::{Writer, WriterId, Written};

/// The answer to a granted request, with what is needed to show a session.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) answer: Answer,
    pub(crate) spec: Arc<Spec>,
    pub(crate) clamped: Vec<&'static str>,
}

/// One session as this process remembers it.
#[derive(Debug)]
pub(crate) struct Cell {
    engine: Arc<Engine>,
    keys: SessionKeys,
    writer: Writer,
    guess: Mutex<Option<Arc<Loaded>>>,
}

impl Cell {
    pub(crate) fn new(engine: Arc<Engine>, keys: SessionKeys) -> Result<Self, RandomError> {
        let writer = Writer::draw(engine.env.as_ref())?;
        Ok(Self {
            engine,
            keys,
            writer,
            guess: Mutex::new(None),
        })
    }

    fn guess(&self) -> Option<Arc<Loaded>> {
        self.guess
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn remember(&self, loaded: Option<Arc<Loaded>>) {
        let old = mem::replace(
            &mut *self.guess.lock().unwrap_or_else(PoisonError::into_inner),
            loaded,
        );
        drop(old);
    }
}

impl Drive for Cell {
    type Request = Request;
    type Answer = Result<Reply, SessionError>;

    fn run(self: Arc<Self>, requests: Vec<Request>) -> BoxFuture<'static, Vec<Self::Answer>> {
        Box::pin(Run::new(self, requests).finish())
    }
}

/// One combined run over a cell.
struct Run {
    cell: Arc<Cell>,
    requests: Vec<Request>,
    answers: Vec<Option<Result<Reply, SessionError>>>,
    /// Whether the state was read or written by this very run.
    fresh: bool,
    /// Whether this run has taken back what ended children left.
    gathered: bool,
    lost: u32,
    doubt: Option<Doubt>,
}

/// A commit of which it is not known whether it was applied.
struct Doubt {
    writer: WriterId,
    revision: u64,
    decided: Vec<Decided>,
    error: SessionError,
}

impl Run {
    fn new(cell: Arc<Cell>, requests: Vec<Request>) -> Self {
        let answers = requests.iter().map(|_| None).collect();
        Self {
            cell,
            requests,
            answers,
            fresh: false,
            gathered: false,
            lost: 0,
            doubt: None,
        }
    }

    async fn finish(mut self) -> Vec<Result<Reply, SessionError>> {
        let mut guess = self.cell.guess();
        while self.answers.iter().any(Option::is_none) {
            match self.round(guess.take()).await {
                Ok(next) => guess = next,
                // While a commit is in doubt, "nothing happened" would be a lie.
                Err(error) => {
                    let error = self.doubt.take().map_or(error, |doubt| doubt.error);
                    self.fail(&error);
                }
            }
        }
        self.answers.into_iter().flatten().collect()
    }

    /// Answers some requests, and says what is known of the state after it.
    async fn round(
        &mut self,
        guess: Option<Arc<Loaded>>,
    ) -> Result<Option<Arc<Loaded>>, SessionError> {
        let guess = guess.filter(|loaded| self.is_within_reach(&loaded.spec));
        let loaded = match guess {
            Some(loaded) => loaded,
            None => match self.reload().await? {
                Some(loaded) => loaded,
                None => return Ok(None),
            },
        };
        if self.resolve_doubt(&loaded)? {
            return Ok(Some(loaded));
        }
        let terms = self.cell.engine.terms();
        let now = self.cell.engine.env.now();
        let open = self
            .requests
            .iter()
            .enumerate()
            .filter(|(place, _)| self.answers[*place].is_none());
        let plan = Plan::decide(&loaded, terms, now, open);
        if plan.lacks_budget() && self.gather(&loaded).await? {
            return Ok(None);
        }
        if plan.changed {
            return self.commit(&loaded, plan).await;
        }
        match self.doubt.take() {
            // Time passed and what was granted would now be refused, but the
            // grant may still arrive.
            Some(doubt) => Err(doubt.error),
            None => self.confirm(loaded, plan.decided).await,
        }
    }

    /// Takes back what ended children left to those who pay here; `false` if
    /// there can be nothing. Once a run: what comes back later comes too late.
    async fn gather(&mut self, loaded: &Loaded) -> Result<bool, SessionError> {
        if self.gathered || self.doubt.is_some() {
            return Ok(false);
        }
        self.gathered = true;
        let engine = Arc::clone(&self.cell.engine);
        let mut may_have = engine.gather_for(&self.cell.keys, loaded).await?;
        if !loaded.spec.shared && self.asks_payers(loaded) {
            for payer in &loaded.payers {
                engine.gather(&payer.keys).await?;
                may_have = true;
            }
        }
        Ok(may_have)
    }

    /// Whether a decision may depend on what those above have left.
    fn asks_payers(&self, loaded: &Loaded) -> bool {
        let top_up = |request: &Request| matches!(request.change, Change::TopUp(_));
        loaded.spec.shared || self.requests.iter().any(top_up)
    }

    /// What is stored; `None` once all have been told that there is nothing
    /// for them.
    async fn reload(&mut self) -> Result<Option<Arc<Loaded>>, SessionError> {
        let (engine, keys) = (Arc::clone(&self.cell.engine), self.cell.keys.clone());
        let alone = engine.load_alone(&keys).await?;
        if let Some(found) = &alone
            && self.hide(&found.spec)
        {
            return Ok(None);
        }
        let found = engine.with_above(&keys, alone).await?;
        let loaded = found.filter(|loaded| !loaded.is_removing()).map(Arc::new);
        self.cell.remember(loaded.clone());
        self.fresh = true;
        match loaded {
            Some(loaded) => Ok(Some(loaded)),
            None => Err(SessionError::NotFound),
        }
    }

    /// Whether the session is there for all who still wait. If a guess says
    /// that it is not, it is read: only what is stored is given out.
    fn is_within_reach(&self, spec: &Spec) -> bool {
        let mut open = self.requests.iter().zip(&self.answers);
        open.all(|(request, answer)| answer.is_some() || spec.is_open_to(request.only_of.as_ref()))
    }

    /// Answers those out of whose reach the session is as if there were none;
    /// `true` if nobody is left.
    fn hide(&mut self, spec: &Spec) -> bool {
        for (request, answer) in self.requests.iter().zip(&mut self.answers) {
            if !spec.is_open_to(request.only_of.as_ref()) {
                answer.get_or_insert(Err(SessionError::NotFound));
            }
        }
        self.answers.iter().all(Option::is_some)
    }

    /// Whether the commit in doubt turns out to have been applied; if so what
    /// it granted becomes the answers. What it refused is decided again: it
    /// may have been granted before, under its operation id.
    fn resolve_doubt(&mut self, loaded: &Arc<Loaded>) -> Result<bool, SessionError> {
        let Some(doubt) = self.doubt.take() else {
            return Ok(false);
        };
        match loaded.head.by.of(doubt.revision, loaded.head.rev) {
            Written::By(writer) if *writer == doubt.writer => {
                let granted = doubt.decided.into_iter().filter(|(_, it)| it.is_ok());
                self.settle(loaded, granted.collect());
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

    async fn commit(
        &mut self,
        loaded: &Arc<Loaded>,
        mut plan: Plan,
    ) -> Result<Option<Arc<Loaded>>, SessionError> {
        let cell = Arc::clone(&self.cell);
        let writer = cell.writer.id();
        plan.stamp(loaded, &writer, cell.engine.terms());
        let mut batch = plan.batch(loaded, &cell.keys, &self.requests);
        if plan.ends(loaded) {
            let agent = agent_keys(&cell.keys, &loaded.spec.agent);
            let beside = cell
                .engine
                .agent_head_beside(&cell.keys, loaded.version, &agent);
            let Some(head) = beside.await? else {
                return self.lose(None).await;
            };
            batch.append(ending(&[(&cell.keys, loaded)], &agent, head, &writer)?);
        }
        match cell.engine.store.commit(batch).await {
            Ok(Commit::Applied(version)) => self.acknowledge(loaded, plan, version).await,
            Ok(Commit::Conflict { key }) => self.conflict(loaded, &plan, &key).await,
            Err(error) if error.kind() == StoreErrorKind::Indeterminate && self.doubt.is_none() => {
                cell.remember(None);
                self.doubt = Some(Doubt {
                    writer: cell.writer.leave_id(),
                    revision: plan.head.rev,
                    decided: plan.decided,
                    error: error.into(),
                });
                Ok(None)
            }
            Err(error) => {
                cell.writer.leave_id();
                cell.remember(None);
                Err(error.into())
            }
        }
    }

    async fn acknowledge(
        &mut self,
        loaded: &Arc<Loaded>,
        plan: Plan,
        version: Version,
    ) -> Result<Option<Arc<Loaded>>, SessionError> {
        let next = Arc::new(plan.applied(loaded, version));
        self.cell.remember(Some(Arc::clone(&next)));
        self.fresh = true;
        self.doubt = None;
        let (granted, refused) = plan
            .decided
            .into_iter()
            .partition(|(_, answer)| answer.is_ok());
        self.settle(&next, granted);
        self.confirm(next, refused).await
    }

    async fn conflict(
        &mut self,
        loaded: &Arc<Loaded>,
        plan: &Plan,
        key: &Bytes,
    ) -> Result<Option<Arc<Loaded>>, SessionError> {
        if let Some(place) = place_of(key, &plan.decided, &self.requests) {
            return self.replay_beside(loaded, place, key).await;
        }
        let agent = agent_keys(&self.cell.keys, &loaded.spec.agent);
        let known = (*key == agent.head()).then(|| Arc::clone(loaded));
        self.lose(known).await
    }

    /// Answers from the record under `key`, if the session is there still: of
    /// one that is gone, an operation says no more than that.
    async fn replay_beside(
        &mut self,
        loaded: &Arc<Loaded>,
        place: usize,
        key: &Bytes,
    ) -> Result<Option<Arc<Loaded>>, SessionError> {
        let scans = [self.cell.keys.head(), key.clone()].map(Scan::point);
        let pages = self.cell.engine.store.read(&scans).await?;
        let mut found = pages
            .into_iter()
            .map(|page| page.entries.into_iter().next());
        let (head, record) = (found.next().flatten(), found.next().flatten());
        let Some(head) = head else {
            return self.lose(None).await;
        };
        let same = head.version == loaded.version;
        if !same && decode::<Head>("session head", &head.value)?.is_removing() {
            return self.lose(None).await;
        }
        if let Some(record) = record {
            self.replay(loaded, place, &record.value);
        }
        Ok(same.then(|| Arc::clone(loaded)))
    }

    /// Somebody else was first: another round, from what is known still.
    async fn lose(
        &mut self,
        known: Option<Arc<Loaded>>,
    ) -> Result<Option<Arc<Loaded>>, SessionError> {
        self.lost += 1;
        self.cell.engine.back_off(self.lost).await?;
        Ok(known)
    }

    /// Gives out decisions that changed nothing, once a read has shown that
    /// they were made from the present state and that none of them was
    /// granted before under its operation id.
    async fn confirm(
        &mut self,
        loaded: Arc<Loaded>,
        mut decided: Vec<Decided>,
    ) -> Result<Option<Arc<Loaded>>, SessionError> {
        let operation = |(place, _): &Decided| {
            self.requests[*place]
                .operation
                .as_ref()
                .map(|it| (*place, it.key.clone()))
        };
        let mut known: Vec<(usize, Bytes)> = decided.iter().filter_map(operation).collect();
        let ground = Ground::of(&self.cell.keys, &loaded, self.asks_payers(&loaded));
        let later = known.split_off(known.len().min(READ_SCANS_MAX - ground.len()));
        decided.retain(|(place, _)| !later.iter().any(|(postponed, _)| postponed == place));
        if self.trusts(&loaded) && known.is_empty() {
            self.settle(&loaded, decided);
            return Ok(Some(loaded));
        }
        let operations = known.iter().map(|(_, key)| Scan::point(key.clone()));
        let scans: Vec<Scan> = ground.scans().chain(operations).collect();
        let pages = self.cell.engine.store.read(&scans).await?;
        if !self.fresh && !ground.holds(&pages) {
            return Ok(None);
        }
        for ((place, _), page) in known.into_iter().zip(pages.iter().skip(ground.len())) {
            if let Some(entry) = page.entries.first() {
                self.replay(&loaded, place, &entry.value);
            }
        }
        self.settle(&loaded, decided);
        Ok(Some(loaded))
    }

    /// Whether what is loaded needs no confirmation. What a session below
    /// others may do depends on more than its own head.
    fn trusts(&self, loaded: &Loaded) -> bool {
        let engine = &self.cell.engine;
        let is_root = loaded.spec.above.is_empty();
        self.fresh || (is_root && engine.is_current(&self.cell.keys, loaded.version))
    }

    /// Answers a request whose operation was done before.
    fn replay(&mut self, loaded: &Arc<Loaded>, place: usize, stored: &[u8]) {
        let Some(operation) = &self.requests[place].operation else {
            return;
        };
        let answer = operation.replay(stored).map(|record| record.answer);
        self.settle(loaded, vec![(place, answer)]);
    }

    /// Turns decisions into answers; what is answered already stays so.
    fn settle(&mut self, loaded: &Arc<Loaded>, decided: Vec<Decided>) {
        for (place, answer) in decided {
            let reply = answer.map(|answer| Reply {
                answer,
                spec: Arc::clone(&loaded.spec),
                clamped: loaded.clamped.clone(),
            });
            self.answers[place].get_or_insert(reply);
        }
    }

    fn fail(&mut self, error: &SessionError) {
        for answer in &mut self.answers {
            answer.get_or_insert_with(|| Err(error.clone()));
        }
    }
}
