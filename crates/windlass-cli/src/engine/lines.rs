//! Queues, of a store or of a server.

use std::sync::Arc;

use async_trait::async_trait;
use windlass::core::{Millis, OperationId, SessionId};
use windlass::queue::{
    self, Ask, Content, Failure as WorkFailure, ListQuery, Payload, Queue, QueueError, Return,
    Settle, State, Under, Work, WorkId,
};
use windlass::session::SessionError;
use windlass_client::QueueClient;
use windlass_client::page::PageQuery;
use windlass_client::queue::{
    Claim, ClaimAnswer, ClaimWork, Claimed, Counts, Enqueue, Enqueued, NewWork, Overview,
    OverviewEntry, Payload as SentPayload, RenewClaim, Rest, SettleClaim, Settled, WorkItem,
    WorkPage, WorkQuery, WorkState,
};
use windlass_client::session::Unreadable;
use windlass_client::state::Base64;

use super::error::ask;
use super::{Here, Remote, alike, count, number};
use crate::failure::{CommandError, Failure};
use crate::session::arguments::id;

/// What can be done with one batch of work that nobody holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WorkChange {
    /// It goes before it is done.
    Cancel,
    /// Dead, it stands in line again.
    Retry,
    /// Dead, it goes for good.
    Drop,
}

/// The operations that commands about queues need.
#[async_trait]
pub(crate) trait Lines: Send + Sync {
    /// Enqueues one batch of work.
    async fn enqueue(
        &self,
        session: &SessionId,
        work: NewWork,
        operation: Option<&OperationId>,
    ) -> Result<Enqueued, Failure>;
    /// A page of a session's work.
    async fn list(&self, session: &SessionId, query: &WorkQuery) -> Result<WorkPage, Failure>;
    /// One batch of work with its payloads.
    async fn work(&self, session: &SessionId, work: WorkId) -> Result<WorkItem, Failure>;
    /// How much work a session has.
    async fn counts(&self, session: &SessionId) -> Result<Counts, Failure>;
    /// A page of the sessions that have queues.
    async fn queues(&self, query: &PageQuery) -> Result<Overview, Failure>;
    /// Takes the head of the line, of any session if none is named.
    async fn claim(
        &self,
        session: Option<&SessionId>,
        asked: &ClaimWork,
        operation: Option<&OperationId>,
    ) -> Result<ClaimAnswer, Failure>;
    /// Holds a claim on, and says until when.
    async fn renew(
        &self,
        session: &SessionId,
        token: u64,
        ttl_ms: u64,
        operation: Option<&OperationId>,
    ) -> Result<u64, Failure>;
    /// Says what became of claimed work.
    async fn settle(
        &self,
        session: &SessionId,
        token: u64,
        asked: &SettleClaim,
        operation: Option<&OperationId>,
    ) -> Result<Settled, Failure>;
    /// Changes one batch of work.
    async fn change(
        &self,
        session: &SessionId,
        work: WorkId,
        change: WorkChange,
        operation: Option<&OperationId>,
    ) -> Result<(), Failure>;
}

fn under(operation: Option<&OperationId>) -> Under {
    Under {
        operation: operation.cloned(),
        bound: None,
    }
}

impl Here {
    fn lines(&self) -> (&Queue, queue::Caller) {
        let caller = self.caller();
        let caller = queue::Caller::new(caller.tenant.clone(), caller.principal.clone());
        (self.windlass().queue(), caller)
    }

    /// The queue of a session that is there.
    async fn line(&self, session: &SessionId) -> Result<(&Queue, queue::Caller), Failure> {
        let sessions = self.windlass().sessions();
        match sessions.get(self.caller(), session).await? {
            Some(_) => Ok(self.lines()),
            None => Err(SessionError::NotFound.into()),
        }
    }
}

#[async_trait]
impl Lines for Here {
    async fn enqueue(
        &self,
        session: &SessionId,
        work: NewWork,
        operation: Option<&OperationId>,
    ) -> Result<Enqueued, Failure> {
        let (queue, caller) = self.line(session).await?;
        let work = vec![meant(work)?];
        let done = queue.enqueue(&caller, session, work, under(operation));
        let done = done.await?.into_iter().next();
        Ok(alike(&done.expect("one answer for one batch of work")))
    }

    async fn list(&self, session: &SessionId, query: &WorkQuery) -> Result<WorkPage, Failure> {
        let (queue, caller) = self.line(session).await?;
        let payloads = query.payloads.unwrap_or(false);
        let after: Option<WorkId> = query.cursor.as_deref().map(str::parse).transpose()?;
        let asked = ListQuery {
            state: match query.state.unwrap_or_default() {
                WorkState::Pending => State::Pending,
                WorkState::Claimed => State::Claimed,
                WorkState::Dead => State::Dead,
            },
            after,
            limit: count(query.limit),
            payloads,
        };
        let page = queue.list(&caller, session, &asked).await?;
        let work = page.work.into_iter();
        Ok(WorkPage {
            work: work.map(|work| listed(work, payloads)).collect(),
            next_cursor: page.next.map(|next| next.to_string()),
            unreadable: page.unreadable,
        })
    }

    async fn work(&self, session: &SessionId, work: WorkId) -> Result<WorkItem, Failure> {
        let (queue, caller) = self.line(session).await?;
        let found = queue.peek(&caller, session, work).await?;
        let found = found.ok_or(QueueError::NotFound { id: work })?;
        Ok(listed(found, true))
    }

    async fn counts(&self, session: &SessionId) -> Result<Counts, Failure> {
        let (queue, caller) = self.line(session).await?;
        Ok(counted(queue.counts(&caller, session).await?))
    }

    async fn queues(&self, query: &PageQuery) -> Result<Overview, Failure> {
        let (queue, caller) = self.lines();
        let after: Option<SessionId> = query.cursor.as_deref().map(id).transpose()?;
        let page = queue.overview(&caller, after.as_ref(), count(query.limit));
        let page = page.await?;
        let sessions = page
            .sessions
            .into_iter()
            .map(|(session, found)| OverviewEntry {
                session: session.to_string(),
                counts: counted(found),
            });
        let unreadable = page
            .unreadable
            .into_iter()
            .map(|(session, why)| Unreadable {
                id: session.to_string(),
                why,
            });
        Ok(Overview {
            sessions: sessions.collect(),
            next_cursor: page.next.map(|next| next.to_string()),
            unreadable: unreadable.collect(),
        })
    }

    async fn claim(
        &self,
        session: Option<&SessionId>,
        asked: &ClaimWork,
        operation: Option<&OperationId>,
    ) -> Result<ClaimAnswer, Failure> {
        let mut ask = Ask::new(id(&asked.owner)?, asked.ttl_ms);
        ask.max = asked.max.map_or(ask.max, |max| count(Some(max)));
        let claim = match session {
            Some(session) => {
                let (queue, caller) = self.line(session).await?;
                queue
                    .claim(&caller, session, &ask, under(operation))
                    .await?
            }
            None => {
                let (queue, caller) = self.lines();
                queue.claim_any(&caller, &ask, under(operation)).await?
            }
        };
        Ok(ClaimAnswer {
            claim: claim.map(claimed),
        })
    }

    async fn renew(
        &self,
        session: &SessionId,
        token: u64,
        ttl_ms: u64,
        operation: Option<&OperationId>,
    ) -> Result<u64, Failure> {
        let (queue, caller) = self.line(session).await?;
        let until = queue.renew(&caller, session, token, ttl_ms, under(operation));
        Ok(until.await?.get())
    }

    async fn settle(
        &self,
        session: &SessionId,
        token: u64,
        asked: &SettleClaim,
        operation: Option<&OperationId>,
    ) -> Result<Settled, Failure> {
        let (queue, caller) = self.line(session).await?;
        let settle = settling(token, asked)?;
        let done = queue.settle(&caller, session, settle, under(operation));
        let done = done.await?;
        let resting = done.resting.into_iter().map(|(id, at)| Rest {
            id: id.to_string(),
            at: at.get(),
        });
        Ok(Settled {
            held: number(done.held),
            resting: resting.collect(),
            dead: done.dead.iter().map(WorkId::to_string).collect(),
            claim: None,
        })
    }

    async fn change(
        &self,
        session: &SessionId,
        work: WorkId,
        change: WorkChange,
        operation: Option<&OperationId>,
    ) -> Result<(), Failure> {
        let (queue, caller) = self.line(session).await?;
        let under = under(operation);
        match change {
            WorkChange::Cancel => queue.cancel(&caller, session, work, under).await?,
            WorkChange::Retry => queue.retry(&caller, session, work, under).await?,
            WorkChange::Drop => queue.drop_dead(&caller, session, work, under).await?,
        }
        Ok(())
    }
}

/// Work in the words of the engine.
fn meant(asked: NewWork) -> Result<Work, Failure> {
    let payloads = asked.payloads.into_iter().map(|payload| {
        let content = match (payload.json, payload.bytes) {
            (Some(json), None) => Content::Json(json.into()),
            (None, Some(bytes)) => Content::Bytes(bytes.0.into()),
            _ => {
                return Err(CommandError::Word {
                    word: "VALUE",
                    meant: "JSON or bytes",
                });
            }
        };
        Ok(Payload {
            kind: payload.kind.into(),
            content,
        })
    });
    let mut work = Work::new(payloads.collect::<Result<_, CommandError>>()?);
    work.merge_key = asked.merge_key.map(Arc::from);
    work.source_key = asked.source_key.map(Arc::from);
    work.available_at = asked.available_at.map(Millis::new);
    work.priority = asked.priority.unwrap_or(work.priority);
    work.attempts_max = asked.attempts_max.unwrap_or(work.attempts_max);
    Ok(work)
}

fn settling(token: u64, asked: &SettleClaim) -> Result<Settle, Failure> {
    let complete = asked.complete.iter().map(|id| id.parse());
    let mut settle = Settle {
        complete: complete.collect::<Result<_, QueueError>>()?,
        ..Settle::nothing(token)
    };
    for failed in &asked.fail {
        settle.fail.push(WorkFailure {
            reason: failed.reason.as_deref().map(Arc::from),
            delay_ms: failed.delay_ms,
            fatal: failed.fatal,
            ..WorkFailure::new(failed.id.parse()?)
        });
    }
    for back in &asked.abandon {
        let (id, delay_ms) = (back.id.parse()?, back.delay_ms);
        settle.abandon.push(Return { id, delay_ms });
    }
    Ok(settle)
}

fn text(text: Option<Arc<str>>) -> Option<String> {
    text.map(|text| text.to_string())
}

fn payloads(payloads: &[Payload]) -> Vec<SentPayload> {
    let shown = payloads.iter().map(|payload| {
        let (json, bytes) = match &payload.content {
            Content::Json(json) => (Some((**json).to_owned()), None),
            Content::Bytes(bytes) => (None, Some(Base64(bytes.to_vec()))),
        };
        SentPayload {
            kind: payload.kind.to_string(),
            json,
            bytes,
        }
    });
    shown.collect()
}

fn counted(counts: queue::Counts) -> Counts {
    Counts {
        pending: counts.pending,
        claimed: counts.claimed,
        dead: counts.dead,
        oldest: counts.oldest.map(Millis::get),
    }
}

fn claimed(claim: queue::Claim) -> Claim {
    let work = claim.work.into_iter().map(|work| Claimed {
        id: work.id.to_string(),
        payloads: payloads(&work.payloads),
        delivery: alike(&work.delivery),
        slot: alike(&work.slot),
        merge_key: text(work.merge_key),
        priority: work.priority,
        source_key: text(work.source_key),
        attempt: work.attempt,
        attempts_max: work.attempts_max,
        enqueued_at: work.enqueued_at.get(),
        reason: text(work.reason),
    });
    Claim {
        work: work.collect(),
        session: claim.session.to_string(),
        token: claim.token,
        owner: claim.owner.to_string(),
        until: claim.until.get(),
        ttl_ms: claim.ttl_ms,
    }
}

fn listed(work: queue::Listed, has_payloads: bool) -> WorkItem {
    let (owner, until) = work.held.unzip();
    WorkItem {
        id: work.id.to_string(),
        state: match work.state {
            State::Pending => WorkState::Pending,
            State::Claimed => WorkState::Claimed,
            State::Dead => WorkState::Dead,
        },
        payloads: has_payloads.then(|| payloads(&work.payloads)),
        payload_count: number(work.size.0),
        payload_bytes: number(work.size.1),
        delivery: alike(&work.delivery),
        slot: alike(&work.slot),
        merge_key: text(work.merge_key),
        priority: work.priority,
        source_key: text(work.source_key),
        attempts: work.attempts,
        attempts_max: work.attempts_max,
        enqueued_at: work.enqueued_at.get(),
        available_at: work.available_at.get(),
        reason: text(work.reason),
        owner: owner.map(|owner| owner.to_string()),
        held_until: until.map(Millis::get),
        died_at: work.died_at.map(Millis::get),
    }
}

impl Remote {
    fn line(&self, session: &SessionId, operation: Option<&OperationId>) -> QueueClient {
        self.under(operation).queue(session.as_str())
    }
}

#[async_trait]
impl Lines for Remote {
    async fn enqueue(
        &self,
        session: &SessionId,
        work: NewWork,
        operation: Option<&OperationId>,
    ) -> Result<Enqueued, Failure> {
        let request = Enqueue {
            work: vec![work],
            lease: None,
        };
        let done = ask(self.line(session, operation).enqueue(&request)).await?;
        Ok(done.work.into_iter().next().unwrap_or_default())
    }

    async fn list(&self, session: &SessionId, query: &WorkQuery) -> Result<WorkPage, Failure> {
        ask(self.line(session, None).list(query)).await
    }

    async fn work(&self, session: &SessionId, work: WorkId) -> Result<WorkItem, Failure> {
        ask(self.line(session, None).show(&work.to_string())).await
    }

    async fn counts(&self, session: &SessionId) -> Result<Counts, Failure> {
        ask(self.line(session, None).counts()).await
    }

    async fn queues(&self, query: &PageQuery) -> Result<Overview, Failure> {
        ask(self.client().queues(query)).await
    }

    async fn claim(
        &self,
        session: Option<&SessionId>,
        asked: &ClaimWork,
        operation: Option<&OperationId>,
    ) -> Result<ClaimAnswer, Failure> {
        match session {
            Some(session) => ask(self.line(session, operation).claim(asked)).await,
            None => ask(self.under(operation).claim_any(asked)).await,
        }
    }

    async fn renew(
        &self,
        session: &SessionId,
        token: u64,
        ttl_ms: u64,
        operation: Option<&OperationId>,
    ) -> Result<u64, Failure> {
        let request = RenewClaim {
            ttl_ms,
            lease: None,
        };
        Ok(ask(self.line(session, operation).renew(token, &request))
            .await?
            .until)
    }

    async fn settle(
        &self,
        session: &SessionId,
        token: u64,
        asked: &SettleClaim,
        operation: Option<&OperationId>,
    ) -> Result<Settled, Failure> {
        ask(self.line(session, operation).settle(token, asked)).await
    }

    async fn change(
        &self,
        session: &SessionId,
        work: WorkId,
        change: WorkChange,
        operation: Option<&OperationId>,
    ) -> Result<(), Failure> {
        let (line, work) = (self.line(session, operation), work.to_string());
        match change {
            WorkChange::Cancel => ask(line.cancel(&work)).await?,
            WorkChange::Retry => ask(line.retry(&work)).await?,
            WorkChange::Drop => ask(line.drop_dead(&work)).await?,
        };
        Ok(())
    }
}
