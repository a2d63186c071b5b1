//! Changes of one session that a commit carries together with those of other
//! parts: decided and handed over, not committed.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use windlass_core::{SessionId, TenantId};
use windlass_store::limits::READ_SCANS_MAX;
use windlass_store::{Batch, Scan, StoreExt};

use crate::caller::Caller;
use crate::engine::{Engine, Loaded};
use crate::error::{Problem, SessionError};
use crate::keys::SessionKeys;
use crate::limits::{COMMIT_EVENT_BYTES_MAX, TURN_STEPS_MAX};
use crate::model::{Settle, Use, check_count};
use crate::operation::{Fingerprint, Operation};
use crate::plan::{Plan, Request};
use crate::record::{Answer, Head, decode};
use crate::rules::Change;
use crate::sessions::Sessions;
use crate::view::{Left, Receipt};
use crate::writers::{WriterId, Written};

/// One change of a session among those of a turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Authorises and charges tool calls.
    Use(Use),
    /// Settles a reserved use, or gives it back.
    Settle(Settle),
}

/// What a step is answered once its turn is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepAnswer {
    /// Of a use.
    Receipt(Receipt),
    /// Of a settlement.
    Left(Left),
}

/// Steps that were granted from the present state, and what makes them true.
#[derive(Clone, Debug)]
pub struct Planned {
    /// What has to be committed, in one commit with whatever belongs to it.
    /// It conflicts if the session has changed since: then nothing of this
    /// plan holds, and another one is needed. Without writes if every step was
    /// done before under its operation id.
    pub batch: Batch,
    /// An answer for each step, in their order. They are true once the batch
    /// is committed.
    pub answers: Vec<StepAnswer>,
    mark: Option<Mark>,
}

/// By what a commit is found again.
#[derive(Clone, Debug)]
struct Mark {
    tenant: TenantId,
    id: SessionId,
    revision: u64,
    writer: WriterId,
}

/// What a step asks, checked, and its answer if it was done before.
struct Asked {
    request: Request,
    before: Option<Answer>,
}

impl Step {
    /// A hash of what it asks of session `id`, 128 bits in hexadecimal: equal
    /// for equal steps, and for no others. An operation id is no part of it.
    #[must_use]
    pub fn fingerprint(&self, id: &SessionId) -> Arc<str> {
        match self {
            Self::Use(request) => Fingerprint::uses(id, request).hash(),
            Self::Settle(request) => Fingerprint::settle(id, request).hash(),
        }
    }

    fn check(&self) -> Result<(), SessionError> {
        match self {
            Self::Use(request) => request.check(),
            Self::Settle(request) => request.check(),
        }
    }

    fn request(&self, caller: &Caller, id: &SessionId) -> Request {
        let (operation, fingerprint, change) = match self {
            Self::Use(request) => (
                &request.operation,
                Fingerprint::uses(id, request),
                Change::Use(request.clone()),
            ),
            Self::Settle(request) => (
                &request.operation,
                Fingerprint::settle(id, request),
                Change::Settle(request.clone()),
            ),
        };
        let operation = operation.as_ref();
        Request {
            change,
            operation: operation.map(|it| Operation::new(caller, it, &fingerprint)),
            only_of: caller.only_of().cloned(),
        }
    }
}

impl Sessions {
    /// Decides uses and settlements of one session, each on what those before
    /// it left, for a commit that carries them together with other changes.
    /// Nothing is stored by this: whoever commits the batch makes it true, and
    /// plans anew if it conflicts.
    ///
    /// All or none: the first refusal is the answer, confirmed by the read it
    /// was made from. A step that was done before under its operation id is
    /// answered as it was then and changes nothing. The batch writes as much
    /// as a single use does, and a record for each operation id.
    ///
    /// Two reads, one more for each level above, and one for each 16 operation
    /// ids. Commit through [`Sessions::store`], or say [`Sessions::forget`].
    ///
    /// # Errors
    ///
    /// As [`Sessions::use_tools`] and [`Sessions::settle`]; `Invalid` also for
    /// no step or more than one commit can carry, `OperationConflict` also for
    /// two steps under one operation id.
    pub async fn plan(
        &self,
        caller: &Caller,
        id: &SessionId,
        steps: &[Step],
    ) -> Result<Planned, SessionError> {
        self.engine().plan(caller, id, steps).await
    }

    /// Whether what was planned is stored, for a commit whose outcome is
    /// unknown: `None` if it may still arrive, or if the session has changed
    /// too often since (32 times) or is gone. One read.
    ///
    /// # Errors
    ///
    /// `Corrupt` if the session's head cannot be read, and the store's
    /// failures.
    pub async fn happened(&self, planned: &Planned) -> Result<Option<bool>, SessionError> {
        self.engine().happened(planned).await
    }
}

impl Engine {
    /// Decides `steps` one after the other; the first refusal refuses all.
    pub(crate) async fn plan(
        &self,
        caller: &Caller,
        id: &SessionId,
        steps: &[Step],
    ) -> Result<Planned, SessionError> {
        let mut asked = asked(caller, id, steps)?;
        let keys = SessionKeys::new(&caller.tenant, id);
        let mut gathered = false;
        loop {
            let found = self.load_for(caller, &keys).await?;
            let loaded = found.ok_or(SessionError::NotFound)?;
            // Read after the state: what is not found here is not in there.
            self.look_back(&mut asked).await?;
            let open = asked.iter().enumerate();
            let open = open.filter(|(_, asked)| asked.before.is_none());
            let requests = open.map(|(place, asked)| (place, &asked.request));
            let plan = Plan::decide(&loaded, self.terms(), self.env.now(), requests);
            if plan.lacks_budget() && !gathered {
                gathered = true;
                self.gather_for(&keys, &loaded).await?;
                continue;
            }
            return self.planned(&keys, &loaded, plan, asked);
        }
    }

    /// Finds the answers of what was done before under its operation id.
    async fn look_back(&self, asked: &mut [Asked]) -> Result<(), SessionError> {
        let mut named: Vec<&mut Asked> = asked
            .iter_mut()
            .filter(|asked| asked.request.operation.is_some())
            .collect();
        for some in named.chunks_mut(READ_SCANS_MAX) {
            let operations = some.iter().flat_map(|asked| &asked.request.operation);
            let scans: Vec<Scan> = operations.map(|it| Scan::point(it.key.clone())).collect();
            let pages = self.store.read(&scans).await?;
            for (asked, page) in some.iter_mut().zip(pages) {
                if let (Some(operation), Some(entry)) =
                    (&asked.request.operation, page.entries.first())
                {
                    asked.before = Some(operation.replay(&entry.value)?.answer);
                }
            }
        }
        Ok(())
    }

    fn planned(
        &self,
        keys: &SessionKeys,
        loaded: &Loaded,
        mut plan: Plan,
        asked: Vec<Asked>,
    ) -> Result<Planned, SessionError> {
        let writer = WriterId::draw(self.env.as_ref())?;
        if plan.changed {
            plan.stamp(loaded, &writer, self.terms());
        }
        let (requests, mut answers): (Vec<_>, Vec<_>) = asked
            .into_iter()
            .map(|asked| (asked.request, asked.before))
            .unzip();
        for (place, answer) in &plan.decided {
            answers[*place] = Some(answer.clone()?);
        }
        let mark = plan.changed.then(|| Mark {
            tenant: keys.tenant.clone(),
            id: keys.id.clone(),
            revision: plan.head.rev,
            writer,
        });
        let batch = match &mark {
            Some(_) => plan.batch(loaded, keys, &requests),
            None => Batch::new(),
        };
        Ok(Planned {
            batch,
            answers: answers
                .iter()
                .flatten()
                .map(shown)
                .collect::<Result<_, _>>()?,
            mark,
        })
    }

    /// Whether what was planned is stored: `None` if that cannot be told, as
    /// long as it may still arrive and once it was too long ago.
    pub(crate) async fn happened(&self, planned: &Planned) -> Result<Option<bool>, SessionError> {
        let Some(mark) = &planned.mark else {
            return Ok(Some(true));
        };
        let keys = SessionKeys::new(&mark.tenant, &mark.id);
        let Some(entry) = self.store.get(keys.head()).await? else {
            return Ok(None);
        };
        let head: Head = decode("session head", &entry.value)?;
        Ok(match head.by.of(mark.revision, head.rev) {
            Written::By(writer) => Some(*writer == mark.writer),
            Written::NotYet | Written::Forgotten => None,
        })
    }
}

/// The requests of `steps`, within the limits of one commit.
fn asked(caller: &Caller, id: &SessionId, steps: &[Step]) -> Result<Vec<Asked>, SessionError> {
    if steps.is_empty() {
        return Err(SessionError::invalid("steps", Problem::Empty));
    }
    check_count("steps", steps.len(), TURN_STEPS_MAX)?;
    steps.iter().try_for_each(Step::check)?;
    let requests = steps.iter().map(|step| step.request(caller, id));
    let asked: Vec<Asked> = requests
        .map(|request| Asked {
            request,
            before: None,
        })
        .collect();
    let length = asked.iter().map(|asked| asked.request.change.size()).sum();
    if length > COMMIT_EVENT_BYTES_MAX {
        let max = COMMIT_EVENT_BYTES_MAX;
        return Err(SessionError::invalid(
            "steps",
            Problem::TooLong { length, max },
        ));
    }
    let mut operations: Vec<_> = asked.iter().flat_map(|it| &it.request.operation).collect();
    operations.sort_unstable_by(|one, other| one.key.cmp(&other.key));
    match operations
        .windows(2)
        .find(|pair| pair[0].key == pair[1].key)
    {
        Some(_) => Err(SessionError::OperationConflict),
        None => Ok(asked),
    }
}

fn shown(answer: &Answer) -> Result<StepAnswer, SessionError> {
    match answer {
        Answer::Receipt(receipt) => Ok(StepAnswer::Receipt(*receipt)),
        Answer::Left(left) => Ok(StepAnswer::Left(*left)),
        Answer::Session(_) | Answer::Ended(_) => {
            let why = "its answer is for another kind of request";
            Err(SessionError::corrupt("operation record", why))
        }
    }
}
