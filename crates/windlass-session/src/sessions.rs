//! The part itself: one value that many callers share.

use std::sync::Arc;

use quick_cache::sync::Cache;
use windlass_core::{
    AgentId, BoxFuture, Combiner, Ear, Env, OperationId, RandomError, SessionId, Sharing, TenantId,
};
use windlass_store::{Bookmark, Store};

use crate::birth::{Birth, Nursery};
use crate::caller::Caller;
use crate::cell::{Cell, Reply};
use crate::config::Config;
use crate::delegate::Delegation;
use crate::engine::{Engine, view};
use crate::error::SessionError;
use crate::heard::{self, Heard};
use crate::keys::{AgentKeys, SessionKeys};
use crate::list::{HistoryPage, ListQuery, SessionPage};
use crate::memory::Memory;
use crate::model::{Create, Delegate, Settle, TopUp, Use};
use crate::operation::{Fingerprint, Operation};
use crate::plan::Request;
use crate::record::Answer;
use crate::rules::Change;
use crate::sweep::SweepReport;
use crate::tree::{TreePage, TreeQuery};
use crate::view::{Left, Receipt, Session};

/// Agents whose creations are combined at a time.
const NURSERIES_MAX: usize = 1_024;

/// Authorised, budgeted sessions on a store.
///
/// Cloning is cheap and shares everything. Opening does no I/O; sessions are
/// loaded when they are touched, and the cache of hot ones is bounded by
/// [`Config::cached_sessions`].
#[derive(Clone, Debug)]
pub struct Sessions {
    inner: Arc<Inner>,
    pub(crate) ear: Ear,
}

#[derive(Debug)]
struct Inner {
    engine: Arc<Engine>,
    cells: Cache<SessionKeys, Arc<Combiner<Cell>>>,
    nurseries: Cache<AgentKeys, Arc<Combiner<Nursery>>>,
}

impl Sessions {
    /// The sessions of `store`.
    ///
    /// # Errors
    ///
    /// [`SessionError::Invalid`] for settings outside their ranges.
    pub fn new(
        store: Arc<dyn Store>,
        env: Arc<dyn Env>,
        config: Config,
    ) -> Result<Self, SessionError> {
        config.check()?;
        let cells = Cache::new(config.cached_sessions);
        let nurseries = Cache::new(NURSERIES_MAX.min(config.cached_sessions));
        let alone = config.sharing == Sharing::Exclusive;
        let memory =
            alone.then(|| Arc::new(Memory::new(Arc::clone(&store), config.cached_sessions)));
        let engine = Arc::new(Engine {
            store: match &memory {
                Some(memory) => Arc::clone(memory) as Arc<dyn Store>,
                None => store,
            },
            env,
            config,
            bookmark: Bookmark::default(),
            memory,
        });
        Ok(Self {
            inner: Arc::new(Inner {
                engine,
                cells,
                nurseries,
            }),
            ear: Ear::default(),
        })
    }

    /// Creates a session, whatever the number of its agent's others.
    ///
    /// Two reads and one commit at most, shared with other creations for the
    /// same agent that wait at the same time.
    ///
    /// # Errors
    ///
    /// `Invalid` for a field outside its limits, `AlreadyExists` for an id in
    /// use, `OperationConflict`.
    pub async fn create(&self, caller: &Caller, request: Create) -> Result<Session, SessionError> {
        self.give_birth(caller, request, None).await
    }

    /// Creates a session if its agent has fewer active ones than `cap`
    /// (the configured cap if `None`). Counting and creating are one atomic
    /// step; expired sessions do not count, swept or not.
    ///
    /// # Errors
    ///
    /// `TooManySessions`; otherwise as [`Sessions::create`].
    pub async fn create_under_cap(
        &self,
        caller: &Caller,
        request: Create,
        cap: Option<u64>,
    ) -> Result<Session, SessionError> {
        let cap = cap.unwrap_or(self.inner.engine.config.cap);
        self.give_birth(caller, request, Some(cap)).await
    }

    /// The store, as everybody else in this process has to use it who may
    /// write to sessions: where no other process writes, what is committed
    /// through it is noticed. The store itself where others write as well.
    #[must_use]
    pub fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.inner.engine.store)
    }

    /// Drops what is remembered of a session, so that the next who asks reads
    /// it. Whoever commits changes of a session past [`Sessions::store`] has
    /// to say so, before and after.
    pub fn forget(&self, tenant: &TenantId, id: &SessionId) {
        let keys = SessionKeys::new(tenant, id);
        if let Some(memory) = &self.inner.engine.memory {
            memory.forget(&keys.head());
        }
        self.inner.cells.remove(&keys);
    }

    /// How many sessions of a tenant are stored, ended ones included until
    /// their retention is over. One read an agent, however many it has; each
    /// agent is as of the time it is read.
    ///
    /// # Errors
    ///
    /// `Corrupt` if an agent's record cannot be read, and the store's
    /// failures.
    pub async fn stored(&self, tenant: &TenantId) -> Result<u64, SessionError> {
        self.inner.engine.stored(tenant).await
    }

    /// The configured cap on an agent's active sessions.
    #[must_use]
    pub fn cap(&self) -> u64 {
        self.inner.engine.config.cap
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.inner.engine
    }

    /// Drops the cell of a session that was changed past it.
    pub(crate) fn drop_cell(&self, keys: &SessionKeys) {
        self.inner.cells.remove(keys);
    }

    async fn give_birth(
        &self,
        caller: &Caller,
        request: Create,
        cap: Option<u64>,
    ) -> Result<Session, SessionError> {
        request.check()?;
        let operation = request.operation.as_ref().map(|operation| {
            Operation::new(caller, operation, &Fingerprint::create(&request, cap))
        });
        let birth = Birth {
            caller: caller.clone(),
            id: self.id_for(&request)?,
            request,
            cap,
            operation,
            parent: None,
        };
        self.deliver(birth).await
    }

    /// Creates a session within another one, whatever the number of its
    /// agent's others.
    ///
    /// The child may do nothing that the parent may not, and closing the
    /// parent ends it. A reserved budget is set aside in the same commit; its
    /// unused rest is the parent's again when the child has ended, at the
    /// latest when the parent would be refused without it. At most 5 levels
    /// hang below a root. The parent's rate limit does not hold for the child,
    /// which has its own.
    ///
    /// Three reads at most and one commit, of its own. Many delegations by one
    /// parent, or for one agent, take turns.
    ///
    /// # Errors
    ///
    /// `DelegationRefused` for what would be wider than the parent, its budget
    /// included; of the parent `NotFound`, `AgentMismatch`, `AlreadyClosed`,
    /// `Expired`; otherwise as [`Sessions::create`].
    pub async fn delegate(
        &self,
        caller: &Caller,
        parent: &SessionId,
        request: Delegate,
    ) -> Result<Session, SessionError> {
        self.give_birth_below(caller, parent, request, None).await
    }

    /// Creates a session within another one if its agent has fewer active
    /// ones than `cap` (the configured cap if `None`).
    ///
    /// # Errors
    ///
    /// `TooManySessions`; otherwise as [`Sessions::delegate`].
    pub async fn delegate_under_cap(
        &self,
        caller: &Caller,
        parent: &SessionId,
        request: Delegate,
        cap: Option<u64>,
    ) -> Result<Session, SessionError> {
        let cap = cap.unwrap_or(self.inner.engine.config.cap);
        self.give_birth_below(caller, parent, request, Some(cap))
            .await
    }

    async fn give_birth_below(
        &self,
        caller: &Caller,
        parent: &SessionId,
        request: Delegate,
        cap: Option<u64>,
    ) -> Result<Session, SessionError> {
        request.child.check()?;
        let operation = request.child.operation.as_ref().map(|operation| {
            let asked = Fingerprint::delegate(parent, &request, cap);
            Operation::new(caller, operation, &asked)
        });
        let id = self.id_for(&request.child)?;
        let child = request.child.clone();
        let delegation = Delegation {
            child: id.clone(),
            request,
        };
        let asked = Request::unbound(Change::Delegate(Box::new(delegation)));
        let birth = Birth {
            caller: caller.clone(),
            id,
            request: child,
            cap,
            operation,
            parent: Some((SessionKeys::new(&caller.tenant, parent), asked)),
        };
        self.deliver(birth).await
    }

    fn id_for(&self, request: &Create) -> Result<SessionId, SessionError> {
        match &request.id {
            Some(id) => Ok(id.clone()),
            None => Ok(SessionId::unique(self.inner.engine.env.as_ref())?),
        }
    }

    async fn deliver(&self, birth: Birth) -> Result<Session, SessionError> {
        let keys = AgentKeys::new(&birth.caller.tenant, &birth.request.agent);
        let (caller, id, agent) = (birth.caller.clone(), birth.id.clone(), keys.agent.clone());
        let parent = birth.parent.as_ref().map(|(keys, _)| keys.id.clone());
        let born = self.nursery(&keys)?.submit(birth).await.map_err(Into::into);
        let born = born.flatten();
        heard::tell_of_birth(&self.ear, &caller, (&id, &agent, parent.as_ref()), &born);
        born
    }

    /// Authorises and charges tool calls, all of them or none.
    ///
    /// Checked in this order, the first failure is the answer and consumes
    /// nothing: session exists, agent, closed, expired, budget, tools,
    /// credentials, sensitivity, rate. The receipt is given out once the use
    /// is as durable as the store promises.
    ///
    /// One commit, shared with other changes of the session that wait at the
    /// same time; a refusal costs one read. Dropping the future before its
    /// first poll does nothing; afterwards the use may or may not happen, and
    /// an operation id tells on retry.
    ///
    /// # Errors
    ///
    /// The refusals above by name; `Invalid` for an empty or too large batch;
    /// `OperationConflict`; `Indeterminate` kinds where the commit's outcome
    /// is unknown.
    pub async fn use_tools(
        &self,
        caller: &Caller,
        id: &SessionId,
        request: Use,
    ) -> Result<Receipt, SessionError> {
        request.check()?;
        let operation = request
            .operation
            .as_ref()
            .map(|operation| Operation::new(caller, operation, &Fingerprint::uses(id, &request)));
        match self
            .change(caller, id, Change::Use(request), operation)
            .await?
            .answer
        {
            Answer::Receipt(receipt) => Ok(receipt),
            other => Err(foreign(&other)),
        }
    }

    /// Replaces the estimate of a reserved use by what it cost, or gives the
    /// use back. Possible also after the session ended, until the
    /// reservation's own deadline; then the estimate stays charged.
    ///
    /// # Errors
    ///
    /// `NotFound`, `AgentMismatch`, `ReservationNotFound`, `Invalid`,
    /// `OperationConflict`.
    pub async fn settle(
        &self,
        caller: &Caller,
        id: &SessionId,
        request: Settle,
    ) -> Result<Left, SessionError> {
        request.check()?;
        let operation = request
            .operation
            .as_ref()
            .map(|operation| Operation::new(caller, operation, &Fingerprint::settle(id, &request)));
        match self
            .change(caller, id, Change::Settle(request), operation)
            .await?
            .answer
        {
            Answer::Left(left) => Ok(left),
            other => Err(foreign(&other)),
        }
    }

    /// Raises the budget of an active session.
    ///
    /// # Errors
    ///
    /// `NotFound`, `AlreadyClosed`, `Expired`, `Invalid` for nothing to add,
    /// a meter without limit or a sum above its maximum, `OperationConflict`.
    pub async fn top_up(
        &self,
        caller: &Caller,
        id: &SessionId,
        request: TopUp,
    ) -> Result<Session, SessionError> {
        request.check()?;
        let operation = request
            .operation
            .as_ref()
            .map(|operation| Operation::new(caller, operation, &Fingerprint::top_up(id, &request)));
        self.show_after(caller, id, Change::TopUp(request), operation)
            .await
    }

    /// Closes a session and answers its final state. An expired session can
    /// be closed too.
    ///
    /// # Errors
    ///
    /// `NotFound`; `AlreadyClosed` unless it was closed under the same
    /// operation id; `OperationConflict`.
    pub async fn close(
        &self,
        caller: &Caller,
        id: &SessionId,
        operation: Option<OperationId>,
    ) -> Result<Session, SessionError> {
        let operation =
            operation.map(|operation| Operation::new(caller, &operation, &Fingerprint::close(id)));
        self.show_after(caller, id, Change::Close, operation).await
    }

    /// A session as it is stored now, also after another process wrote;
    /// `None` if there is none. One read; none where no other process writes
    /// and the session is known and below no other one.
    ///
    /// # Errors
    ///
    /// `Corrupt` if its records cannot be read, and the store's failures.
    pub async fn get(
        &self,
        caller: &Caller,
        id: &SessionId,
    ) -> Result<Option<Session>, SessionError> {
        let keys = SessionKeys::new(&caller.tenant, id);
        self.inner.engine.get(caller, &keys).await
    }

    /// A page of the tenant's sessions by time of creation. One read for each
    /// 16 sessions looked at.
    ///
    /// What a filter by status leaves out, and what is out of the caller's
    /// reach, is looked at too. After about 1,000 of these the page ends, with
    /// fewer sessions than asked for, or none, and says where to go on.
    ///
    /// # Errors
    ///
    /// `Invalid` for a limit outside 1 to 1,000, and the store's failures. A
    /// session that cannot be read is named on the page and left out.
    pub async fn list(
        &self,
        caller: &Caller,
        query: &ListQuery,
    ) -> Result<SessionPage, SessionError> {
        self.inner.engine.list(caller, query).await
    }

    /// A session and all that hangs below it, a page at a time, each session
    /// before its children; `None` if there is no such session. Two reads a
    /// session, and one for each hundred children.
    ///
    /// A session out of the caller's reach is left out with all that hangs
    /// below it. After 1,000 of these the page ends, with fewer sessions than
    /// asked for, and says where to go on.
    ///
    /// # Errors
    ///
    /// `Invalid` for a limit outside 1 to 1,000 or a cursor of another tree,
    /// and the store's failures. A session that cannot be read is named on the
    /// page and left out.
    pub async fn tree(
        &self,
        caller: &Caller,
        root: &SessionId,
        query: &TreeQuery,
    ) -> Result<Option<TreePage>, SessionError> {
        self.inner.engine.tree(caller, root, query).await
    }

    /// How many of the agent's sessions are active now, as far as the caller
    /// can reach them. One read for each thousand; for a caller that reaches
    /// its own only, one more for each 16.
    ///
    /// # Errors
    ///
    /// The store's failures.
    pub async fn count_active(
        &self,
        caller: &Caller,
        agent: &AgentId,
    ) -> Result<u64, SessionError> {
        let (engine, keys) = (&self.inner.engine, AgentKeys::new(&caller.tenant, agent));
        let now = engine.env.now();
        engine.count_active(&keys, caller.only_of(), now).await
    }

    /// The recorded changes of a session after event number `after`, oldest
    /// first, up to `limit` (1 to 1,000); `None` if there is no such session.
    ///
    /// # Errors
    ///
    /// `Corrupt` if an event is missing: history is never silently shorter.
    pub async fn history(
        &self,
        caller: &Caller,
        id: &SessionId,
        after: u64,
        limit: usize,
    ) -> Result<Option<HistoryPage>, SessionError> {
        let keys = SessionKeys::new(&caller.tenant, id);
        let engine = &self.inner.engine;
        engine.history(caller, &keys, after, limit).await
    }

    /// Does what upkeep is due, in all tenants, in at most `limit` steps, and
    /// reports it: marks expired sessions, drops the operation records of
    /// sessions that ended a day ago, removes sessions whose retention is
    /// over. Safe to run anywhere, any time, also in several processes.
    ///
    /// What is due for other parts is passed over: at most 4,096 rows of it,
    /// or `limit` if that is more. A sweep that ends there says so, and the
    /// next one in this process goes on from there.
    ///
    /// # Errors
    ///
    /// The store's failures; what was done before stays done.
    pub async fn sweep(&self, limit: usize) -> Result<SweepReport, SessionError> {
        self.sweep_with(limit, &|_, _| Box::pin(std::future::ready(true)))
            .await
    }

    /// As [`Sessions::sweep`], with `leave` asked to take along what else
    /// belongs to a session, in other parts, before its last rows go. Where it
    /// says `false` the session stays for the next sweep.
    ///
    /// # Errors
    ///
    /// As [`Sessions::sweep`].
    pub async fn sweep_with(
        &self,
        limit: usize,
        leave: &(dyn Fn(TenantId, SessionId) -> BoxFuture<'static, bool> + Sync),
    ) -> Result<SweepReport, SessionError> {
        type Done<'a> = BoxFuture<'a, Result<(), SessionError>>;
        let end = |keys: SessionKeys, change: Change| -> Done<'_> {
            Box::pin(async move {
                let heard = Heard::of(&change);
                let reply = self.cell(&keys)?.submit(Request::unbound(change)).await;
                let reply = reply.map_err(Into::into).flatten();
                heard.tell_of_end(&self.ear, &keys, &reply);
                reply.map(drop)
            })
        };
        let forget = |keys: &SessionKeys| {
            self.inner.cells.remove(keys);
        };
        let leave = |keys: SessionKeys| -> BoxFuture<'_, bool> { leave(keys.tenant, keys.id) };
        self.inner.engine.sweep(limit, &end, &leave, &forget).await
    }

    async fn show_after(
        &self,
        caller: &Caller,
        id: &SessionId,
        change: Change,
        operation: Option<Operation>,
    ) -> Result<Session, SessionError> {
        let reply = self.change(caller, id, change, operation).await?;
        let Answer::Session(figures) = reply.answer else {
            return Err(foreign(&reply.answer));
        };
        let keys = SessionKeys::new(&caller.tenant, id);
        Ok(view(
            &keys,
            &reply.spec,
            &figures,
            reply.clamped,
            figures.at,
        ))
    }

    async fn change(
        &self,
        caller: &Caller,
        id: &SessionId,
        change: Change,
        operation: Option<Operation>,
    ) -> Result<Reply, SessionError> {
        let keys = SessionKeys::new(&caller.tenant, id);
        let heard = Heard::of(&change);
        let request = Request {
            change,
            operation,
            only_of: caller.only_of().cloned(),
        };
        let reply = self.cell(&keys)?.submit(request).await;
        let reply = reply.map_err(Into::into).flatten();
        heard.tell(&self.ear, caller, id, &reply);
        reply
    }

    fn cell(&self, keys: &SessionKeys) -> Result<Arc<Combiner<Cell>>, RandomError> {
        let engine = &self.inner.engine;
        self.inner.cells.get_or_insert_with(keys, || {
            Ok(Arc::new(Combiner::new(Arc::new(Cell::new(
                Arc::clone(engine),
                keys.clone(),
            )?))))
        })
    }

    fn nursery(&self, keys: &AgentKeys) -> Result<Arc<Combiner<Nursery>>, RandomError> {
        let engine = &self.inner.engine;
        self.inner.nurseries.get_or_insert_with(keys, || {
            Ok(Arc::new(Combiner::new(Arc::new(Nursery::new(
                Arc::clone(engine),
                keys.clone(),
            )?))))
        })
    }
}

/// A stored answer that does not fit the request it was stored for. The
/// request's hash covers its verb, so this takes a damaged record.
fn foreign(_answer: &Answer) -> SessionError {
    SessionError::corrupt(
        "operation record",
        "its answer is for another kind of request",
    )
}
