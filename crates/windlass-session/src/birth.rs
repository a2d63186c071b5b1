//! The driver of one agent's creations: counting and creating are one atomic
//! step, and creations that wait share one commit.

use std::sync::Arc;

use bytes::Bytes;
use windlass_core::{BoxFuture, Drive, Millis, RandomError, SessionId};
use windlass_store::{Batch, Commit, Expect, StoreErrorKind, StoreExt, Version};

use crate::engine::{Engine, view};
use crate::error::SessionError;
use crate::keys::{AgentKeys, SessionKeys};
use crate::limits::{COMMIT_CREATE_BYTES_MAX, COMMIT_CREATES_MAX};
use crate::model::{Caller, Create};
use crate::operation::Operation;
use crate::rate::Ring;
use crate::record::{AgentHead, Answer, Format, Head, MeterRecord, Spec, decode, encode};
use crate::view::Session;
use crate::writers::{WriterId, Writers, Written};

/// One session to be created.
#[derive(Debug)]
pub(crate) struct Birth {
    pub(crate) caller: Caller,
    pub(crate) id: SessionId,
    pub(crate) request: Create,
    pub(crate) cap: Option<u64>,
    pub(crate) operation: Option<Operation>,
}

/// One agent as this process remembers it.
#[derive(Debug)]
pub(crate) struct Nursery {
    engine: Arc<Engine>,
    keys: AgentKeys,
    writer: WriterId,
}

impl Nursery {
    pub(crate) fn new(engine: Arc<Engine>, keys: AgentKeys) -> Result<Self, RandomError> {
        let writer = WriterId::draw(engine.env.as_ref())?;
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
    doubt: Option<Doubt>,
}

struct Doubt {
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
        let places = self.admit(&head, now).await?;
        if places.is_empty() {
            return Ok(());
        }
        let (batch, born, revision) = self.prepare(&head, version, now, &places);
        self.commit(batch, born, revision).await
    }

    fn resolve_doubt(&mut self, head: &AgentHead) -> Result<bool, SessionError> {
        let Some(doubt) = self.doubt.take() else {
            return Ok(false);
        };
        match head.by.of(doubt.revision, head.rev) {
            Written::By(writer) if *writer == self.nursery.writer => {
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
        let nursery = Arc::clone(&self.nursery);
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
            if full || self.repeats(place, &admitted) {
                continue;
            }
            let born = u64::try_from(admitted.len()).unwrap_or(u64::MAX);
            if let Some(max) = self.requests[place].cap
                && head.active + born >= max
            {
                let active = match counted {
                    Some(active) => active,
                    None => {
                        nursery
                            .engine
                            .count_active(&nursery.keys, now, u64::MAX)
                            .await?
                    }
                };
                counted = Some(active);
                let current = active + born;
                if current >= max {
                    let refusal = SessionError::TooManySessions { max, current };
                    self.refuse(place, refusal).await?;
                    continue;
                }
            }
            bytes += more;
            admitted.push(place);
        }
        Ok(admitted)
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
        let nursery = &self.nursery;
        let mut batch = Batch::new();
        let mut born = Vec::with_capacity(places.len());
        for place in places {
            let birth = &self.requests[*place];
            let (rows, session) = birth.rows(&nursery.keys, &nursery.writer, now);
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
        next.by.note(&nursery.writer, next.rev);
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
                    revision,
                    born,
                    error: error.into(),
                });
                Ok(())
            }
            Err(error) => Err(error.into()),
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
        if let Some(place) = concerned {
            self.refuse(place, SessionError::AlreadyExists).await?;
        }
        Ok(())
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
    fn rows(&self, agent: &AgentKeys, writer: &WriterId, now: Millis) -> (Batch, Session) {
        let keys = self.keys();
        let spec = self.spec(now);
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
            .put(agent.active(spec.expires_at(), &self.id), none());
        (batch, view(&keys, &spec, &figures, Vec::new(), now))
    }

    fn spec(&self, now: Millis) -> Spec {
        let request = &self.request;
        Spec {
            v: Format,
            principal: self.caller.principal.clone(),
            agent: request.agent.clone(),
            parent: None,
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
            by,
        }
    }
}
