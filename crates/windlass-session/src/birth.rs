//! The driver of one agent's creations: counting and creating are one atomic
//! step, and creations that wait share one commit.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use windlass_core::{BoxFuture, Drive, Millis, RandomError, SessionId};
use windlass_store::{Batch, Commit, Expect, StoreErrorKind, StoreExt, Version};

use crate::caller::Caller;
use crate::delegate::{Delegation, time_limit_ms};
use crate::engine::{Engine, Loaded, view};
use crate::error::SessionError;
use crate::keys::{AgentKeys, SessionKeys};
use crate::lent::Amounts;
use crate::limits::{COMMIT_CREATE_BYTES_MAX, COMMIT_CREATES_MAX};
use crate::model::{Create, Funding};
use crate::operation::Operation;
use crate::plan::{Plan, Request, up};
use crate::rate::Ring;
use crate::record::{
    ActiveRow, AgentHead, Answer, Format, Head, MeterRecord, Spec, decode, encode,
};
use crate::view::Session;
use crate::writers::{Writer, WriterId, Writers, Written};

/// One session to be created.
#[derive(Debug)]
pub(crate) struct Birth {
    pub(crate) caller: Caller,
    pub(crate) id: SessionId,
    pub(crate) request: Create,
    pub(crate) cap: Option<u64>,
    pub(crate) operation: Option<Operation>,
    /// The session that delegates to it, and what it was asked.
    pub(crate) parent: Option<(SessionKeys, Request)>,
}

/// One agent as this process remembers it.
#[derive(Debug)]
pub(crate) struct Nursery {
    engine: Arc<Engine>,
    keys: AgentKeys,
    writer: Writer,
}

impl Nursery {
    pub(crate) fn new(engine: Arc<Engine>, keys: AgentKeys) -> Result<Self, RandomError> {
        let writer = Writer::draw(engine.env.as_ref())?;
        Ok(Self {
            engine,
            keys,
            writer,
        })
    }
}

impl Drive for Nursery {
    type Request = Birth;
    type Answer = Result<Session, SessionError>;

    fn run(self: Arc<Self>, requests: Vec<Birth>) -> BoxFuture<'static, Vec<Self::Answer>> {
        let answers = requests.iter().map(|_| None).collect();
        Box::pin(
            Run {
                nursery: self,
                requests,
                answers,
                lost: 0,
                gathered: false,
                doubt: None,
            }
            .finish(),
        )
    }
}

struct Run {
    nursery: Arc<Nursery>,
    requests: Vec<Birth>,
    answers: Vec<Option<Result<Session, SessionError>>>,
    lost: u32,
    /// Whether what ended sessions left was taken back for the delegation that
    /// is next.
    gathered: bool,
    doubt: Option<Doubt>,
}

struct Doubt {
    writer: WriterId,
    revision: u64,
    born: Vec<Born>,
    error: SessionError,
}

/// A creation that its commit will make true.
struct Born {
    place: usize,
    session: Session,
}

impl Run {
    async fn finish(mut self) -> Vec<Result<Session, SessionError>> {
        while self.answers.iter().any(Option::is_none) {
            if let Err(error) = self.round().await {
                let error = self.doubt.take().map_or(error, |doubt| doubt.error);
                for answer in &mut self.answers {
                    answer.get_or_insert_with(|| Err(error.clone()));
                }
            }
        }
        self.answers.into_iter().flatten().collect()
    }

    async fn round(&mut self) -> Result<(), SessionError> {
        let nursery = Arc::clone(&self.nursery);
        let found = nursery.engine.agent_head(&nursery.keys).await?;
        let (head, version) = match found {
            Some((head, version)) => (head, Some(version)),
            None => (AgentHead::empty(), None),
        };
        if self.resolve_doubt(&head)? {
            return Ok(());
        }
        let now = nursery.engine.env.now();
        let first = self.answers.iter().position(Option::is_none);
        if let Some(place) = first.filter(|place| self.requests[*place].parent.is_some()) {
            return self.delegate(place, (head, version), now).await;
        }
        let places = self.admit(&head, now).await?;
        if places.is_empty() {
            return Ok(());
        }
        let (batch, born, revision) = self.prepare(&head, version, now, &places);
        self.commit(batch, born, revision).await
    }

    /// Creates one delegated session, in one commit with the change of its
    /// parent; or answers why not.
    async fn delegate(
        &mut self,
        place: usize,
        (head, version): (AgentHead, Option<Version>),
        now: Millis,
    ) -> Result<(), SessionError> {
        if !self.fits_cap(place, &head, 0, &mut None, now).await? {
            return Ok(());
        }
        let nursery = Arc::clone(&self.nursery);
        let engine = &nursery.engine;
        let birth = &self.requests[place];
        let Some((keys, request)) = &birth.parent else {
            return Ok(());
        };
        let Some(parent) = engine.load_for(&birth.caller, keys).await? else {
            return self.refuse(place, SessionError::NotFound).await;
        };
        let now = now.max(parent.head.at);
        let asked = std::slice::from_ref(request);
        let mut plan = Plan::decide(&parent, engine.terms(), now, asked.iter().enumerate());
        if plan.lacks_budget() && !self.gathered {
            engine.gather_for(keys, &parent).await?;
            self.gathered = true;
            return Ok(());
        }
        self.gathered = false;
        if let Some((_, Err(refusal))) = plan.decided.pop_if(|(_, answer)| answer.is_err()) {
            return self.refuse(place, refusal).await;
        }
        plan.stamp(&parent, &nursery.writer.id(), engine.terms());
        let (mut batch, born, revision) =
            self.prepare_below(Some(&parent), &head, version, now, &[place]);
        batch.append(plan.batch(&parent, keys, asked));
        self.commit(batch, born, revision).await
    }

    fn resolve_doubt(&mut self, head: &AgentHead) -> Result<bool, SessionError> {
        let Some(doubt) = self.doubt.take() else {
            return Ok(false);
        };
        match head.by.of(doubt.revision, head.rev) {
            Written::By(writer) if *writer == doubt.writer => {
                self.answer(doubt.born);
                Ok(true)
            }
            Written::By(_) => Ok(false),
            Written::Forgotten => Err(doubt.error),
            Written::NotYet => {
                self.doubt = Some(doubt);
                Ok(false)
            }
        }
    }

    /// The places of the creations that may go ahead now; those over their
    /// cap are answered. Counting costs nothing while the agent has fewer
    /// sessions than the cap, marked expired or not.
    async fn admit(&mut self, head: &AgentHead, now: Millis) -> Result<Vec<usize>, SessionError> {
        let open: Vec<usize> = (0..self.answers.len())
            .filter(|place| self.answers[*place].is_none())
            .collect();
        let mut admitted: Vec<usize> = Vec::new();
        let mut counted = None;
        let mut bytes = 0;
        for place in open {
            let more = self.requests[place].request.lists_bytes();
            let full = admitted.len() >= COMMIT_CREATES_MAX
                || (!admitted.is_empty() && bytes + more > COMMIT_CREATE_BYTES_MAX);
            let alone = self.requests[place].parent.is_some();
            if full || alone || self.repeats(place, &admitted) {
                continue;
            }
            let born = u64::try_from(admitted.len()).unwrap_or(u64::MAX);
            if self.fits_cap(place, head, born, &mut counted, now).await? {
                bytes += more;
                admitted.push(place);
            }
        }
        Ok(admitted)
    }

    /// Whether `place` fits its cap beside `born` others of the same commit;
    /// if not, it is answered. What is counted once is known in `counted`.
    async fn fits_cap(
        &mut self,
        place: usize,
        head: &AgentHead,
        born: u64,
        counted: &mut Option<u64>,
        now: Millis,
    ) -> Result<bool, SessionError> {
        let Some(max) = self.requests[place].cap else {
            return Ok(true);
        };
        if head.active + born < max {
            return Ok(true);
        }
        let nursery = Arc::clone(&self.nursery);
        let active = match *counted {
            Some(active) => active,
            None => {
                let engine = &nursery.engine;
                engine.count_active(&nursery.keys, None, now).await?
            }
        };
        *counted = Some(active);
        let current = active + born;
        if current >= max {
            let refusal = SessionError::TooManySessions { max, current };
            self.refuse(place, refusal).await?;
        }
        Ok(current < max)
    }

    /// Whether a creation of this round has the same id or operation id.
    fn repeats(&self, place: usize, admitted: &[usize]) -> bool {
        let this = &self.requests[place];
        let key = |birth: &Birth| {
            birth
                .operation
                .as_ref()
                .map(|operation| operation.key.clone())
        };
        admitted
            .iter()
            .map(|other| &self.requests[*other])
            .any(|other| {
                this.id == other.id || (this.operation.is_some() && key(this) == key(other))
            })
    }

    /// Refuses a creation, unless its operation id shows that it was granted
    /// before.
    async fn refuse(&mut self, place: usize, refusal: SessionError) -> Result<(), SessionError> {
        let answer = match self.replay(place).await? {
            Some(answer) => answer,
            None => Err(refusal),
        };
        self.answers[place] = Some(answer);
        Ok(())
    }

    fn prepare(
        &self,
        head: &AgentHead,
        version: Option<Version>,
        now: Millis,
        places: &[usize],
    ) -> (Batch, Vec<Born>, u64) {
        self.prepare_below(None, head, version, now, places)
    }

    fn prepare_below(
        &self,
        parent: Option<&Loaded>,
        head: &AgentHead,
        version: Option<Version>,
        now: Millis,
        places: &[usize],
    ) -> (Batch, Vec<Born>, u64) {
        let (nursery, writer) = (&self.nursery, self.nursery.writer.id());
        let mut batch = Batch::new();
        let mut born = Vec::with_capacity(places.len());
        for place in places {
            let birth = &self.requests[*place];
            let (rows, session) = birth.rows(parent, &nursery.keys, &writer, now);
            batch.append(rows);
            born.push(Born {
                place: *place,
                session,
            });
        }
        let count = u64::try_from(places.len()).unwrap_or(u64::MAX);
        let mut next = head.clone();
        next.rev += 1;
        next.active += count;
        next.sessions += count;
        next.by.note(&writer, next.rev);
        let expect = version.map_or(Expect::Absent, Expect::Version);
        let revision = next.rev;
        (
            batch
                .check(nursery.keys.head(), expect)
                .put(nursery.keys.head(), encode(&next)),
            born,
            revision,
        )
    }

    async fn commit(
        &mut self,
        batch: Batch,
        born: Vec<Born>,
        revision: u64,
    ) -> Result<(), SessionError> {
        match self.nursery.engine.store.commit(batch).await {
            Ok(Commit::Applied(_)) => {
                self.doubt = None;
                self.answer(born);
                Ok(())
            }
            Ok(Commit::Conflict { key }) => self.conflict(&key, &born).await,
            Err(error) if error.kind() == StoreErrorKind::Indeterminate && self.doubt.is_none() => {
                self.doubt = Some(Doubt {
                    writer: self.nursery.writer.leave_id(),
                    revision,
                    born,
                    error: error.into(),
                });
                Ok(())
            }
            Err(error) => {
                self.nursery.writer.leave_id();
                Err(error.into())
            }
        }
    }

    async fn conflict(&mut self, key: &Bytes, born: &[Born]) -> Result<(), SessionError> {
        // In doubt, what stands in the way may be this very creation, arrived
        // late: the agent's head will tell.
        if *key == self.nursery.keys.head() || self.doubt.is_some() {
            self.lost += 1;
            return self.nursery.engine.back_off(self.lost).await;
        }
        let concerned = born
            .iter()
            .map(|born| born.place)
            .find(|place| self.requests[*place].names(key));
        match concerned {
            Some(place) => self.refuse(place, SessionError::AlreadyExists).await,
            // Something of the parent's.
            None => {
                self.lost += 1;
                self.nursery.engine.back_off(self.lost).await
            }
        }
    }

    /// The first answer to the operation of `place`, if there was one.
    async fn replay(
        &self,
        place: usize,
    ) -> Result<Option<Result<Session, SessionError>>, SessionError> {
        let birth = &self.requests[place];
        let engine = &self.nursery.engine;
        let Some(operation) = &birth.operation else {
            return Ok(None);
        };
        let Some(entry) = engine.store.get(operation.key.clone()).await? else {
            return Ok(None);
        };
        let record = match operation.replay(&entry.value) {
            Ok(record) => record,
            Err(conflict) => return Ok(Some(Err(conflict))),
        };
        let keys = SessionKeys::new(&birth.caller.tenant, &record.session);
        let Some(spec) = engine.store.get(keys.spec()).await? else {
            return Ok(None);
        };
        let spec: Spec = decode("session spec", &spec.value)?;
        let Answer::Session(figures) = record.answer else {
            return Ok(None);
        };
        Ok(Some(Ok(view(
            &keys,
            &spec,
            &figures,
            Vec::new(),
            figures.at,
        ))))
    }

    fn answer(&mut self, born: Vec<Born>) {
        for Born { place, session } in born {
            self.answers[place] = Some(Ok(session));
        }
    }
}

impl Birth {
    fn keys(&self) -> SessionKeys {
        SessionKeys::new(&self.caller.tenant, &self.id)
    }

    /// Whether `key` is one that only this creation checks.
    fn names(&self, key: &Bytes) -> bool {
        let operation = self
            .operation
            .as_ref()
            .is_some_and(|operation| operation.key == *key);
        operation || self.keys().head() == *key
    }

    /// The rows of the new session, and the session as its creator sees it.
    fn rows(
        &self,
        parent: Option<&Loaded>,
        agent: &AgentKeys,
        writer: &WriterId,
        now: Millis,
    ) -> (Batch, Session) {
        let keys = self.keys();
        let spec = self.spec(parent.map(|parent| &*parent.spec), now);
        let head = self.head(&spec, writer, now);
        let figures = head.figures(now);
        let mut batch = Batch::new();
        if let Some(operation) = &self.operation {
            let record = operation.record(now, &self.id, &Answer::Session(figures));
            batch = batch
                .check(operation.key.clone(), Expect::Absent)
                .put(operation.key.clone(), record);
        }
        let none = Bytes::new;
        let batch = batch
            .check(keys.head(), Expect::Absent)
            .put(keys.head(), encode(&head))
            .put(keys.spec(), encode(&spec))
            .put(keys.alive(), none())
            .put(keys.due(head.due), none())
            .put(keys.created(now), none())
            .put(agent.created(now, &self.id), none())
            .put(agent.active(spec.expires_at(), &self.id), active_row(&spec));
        let batch = match &spec.parent {
            Some(parent) => {
                let batch = batch.put(keys.other(parent).child(&self.id), none());
                up(batch, &keys, spec.payers(), spec.expires_at())
            }
            None => batch,
        };
        (batch, view(&keys, &spec, &figures, Vec::new(), now))
    }

    fn spec(&self, parent: Option<&Spec>, now: Millis) -> Spec {
        let root = self.root_spec(now);
        match (parent, &self.parent) {
            (Some(above), Some((keys, asked))) => {
                below(root, above, &keys.id, asked.delegation(), now)
            }
            _ => root,
        }
    }

    fn root_spec(&self, now: Millis) -> Spec {
        let request = &self.request;
        Spec {
            v: Format,
            principal: self.caller.principal.clone(),
            agent: request.agent.clone(),
            parent: None,
            above: Vec::new(),
            payers: 0,
            shared: false,
            chain: request.chain.clone(),
            intent: request.intent.clone(),
            tools: request.tools.clone(),
            credentials: request.credentials.clone(),
            ceiling: request.ceiling,
            created_at: now,
            time_limit_ms: request.time_limit_ms,
            excess_ms: 0,
            rate: request.rate,
            operation: self
                .operation
                .as_ref()
                .map(|operation| operation.label.clone()),
        }
    }

    fn head(&self, spec: &Spec, writer: &WriterId, now: Millis) -> Head {
        let budget = self.request.budget;
        let mut by = Writers::default();
        by.note(writer, 1);
        Head {
            v: Format,
            rev: 1,
            at: now,
            calls: MeterRecord(Some(budget.calls), 0),
            tokens: MeterRecord(budget.tokens, 0),
            cost: MeterRecord(budget.cost_micros, 0),
            made: 0,
            events: 0,
            due: spec.expires_at(),
            ops: self.operation.is_some(),
            kept: 0,
            ended: None,
            open: Vec::new(),
            rate: Ring::default(),
            lent: Amounts::default(),
            told: None,
            delegated: 0,
            wound_up: false,
            by,
        }
    }
}

/// The value of a session's row in the index of active ones.
fn active_row(spec: &Spec) -> Bytes {
    if spec.above.is_empty() {
        return Bytes::new();
    }
    let above = Cow::Borrowed(spec.above.as_slice());
    encode(&ActiveRow { v: Format, above })
}

/// The spec of a session as one below the session `parent`, whose spec is
/// `above`.
fn below(
    mut spec: Spec,
    above: &Spec,
    parent: &SessionId,
    asked: Option<&Delegation>,
    now: Millis,
) -> Spec {
    let Some(asked) = asked else { return spec };
    let request = &asked.request;
    spec.above = [parent].into_iter().chain(&above.above).cloned().collect();
    spec.parent = Some(parent.clone());
    spec.shared = request.funding == Funding::Shared;
    spec.payers = if above.shared { 1 + above.payers } else { 1 };
    let through = above.chain.iter().chain([&above.agent]);
    spec.chain = through.chain(&request.child.chain).cloned().collect();
    spec.time_limit_ms = time_limit_ms(above, request, now);
    spec
}
