//! Forking: a session that begins where another one was.
//!
//! Nothing of the state is copied, whatever its size: the new head points at
//! the same blobs, and nodes up to the fork are read from the session they
//! were appended to.

use bytes::Bytes;
use std::sync::Arc;

use windlass_core::{Format, WriterId, Writers};
use windlass_store::{Batch, Commit, Expect, StoreErrorKind, StoreExt};

use crate::engine::{Engine, lineage_keys};
use crate::error::CheckpointError;
use crate::find::Found;
use crate::keys::StateKeys;
use crate::model::{Committed, is_zero};
use crate::record::{Base, From, Head, Packed, Record};
use crate::row;
use crate::stored::LogRow;
use crate::turn::{Told, Turn};

/// What is asked of a fork.
#[derive(Debug)]
pub(crate) struct Fork<'a> {
    pub(crate) from: StateKeys,
    pub(crate) to: StateKeys,
    /// The revision to begin at; the head's if none.
    pub(crate) revision: Option<u64>,
    pub(crate) principal: &'a windlass_core::PrincipalId,
    pub(crate) turn: Option<Turn>,
}

impl Engine {
    /// Makes the fork. A commit whose outcome is unknown is looked up: the
    /// new head says who made it.
    pub(crate) async fn fork(&self, asked: &Fork<'_>) -> Result<Committed, CheckpointError> {
        let writer = WriterId::draw(self.env.as_ref())?;
        let mut lost = 0;
        let mut doubt = None;
        loop {
            if let Some(told) = self.forked_before(asked, &writer).await? {
                return Ok(told);
            }
            let planned = self.plan_fork(asked, &writer).await;
            // While a commit is in doubt, "nothing happened" would be a lie.
            let (batch, committed) = match (planned, doubt.take()) {
                (Ok(planned), _) => planned,
                (Err(_), Some(error)) => return Err(error),
                (Err(error), None) => return Err(error),
            };
            match self.store.commit(batch).await {
                Ok(Commit::Applied(_)) => return Ok(committed),
                Ok(Commit::Conflict { .. }) => {}
                Err(error) if error.kind() == StoreErrorKind::Indeterminate => {
                    doubt = Some(error.into());
                }
                Err(error) => return Err(error.into()),
            }
            lost += 1;
            self.back_off(lost).await?;
        }
    }

    /// What an earlier attempt came to: under the same turn, or this very
    /// one's.
    async fn forked_before(
        &self,
        asked: &Fork<'_>,
        writer: &WriterId,
    ) -> Result<Option<Committed>, CheckpointError> {
        if let Some(turn) = &asked.turn
            && let Some(entry) = self.store.get(turn.key.clone()).await?
        {
            return match turn.replay(&entry.value)? {
                Told::Committed(committed) => Ok(Some(committed)),
                Told::Tagged(_) => Err(CheckpointError::TurnConflict),
            };
        }
        let Some((head, _)) = self.head(&asked.to).await? else {
            return Ok(None);
        };
        match head.by.of(1, head.writes) {
            windlass_core::Written::By(by) if by == writer => Ok(Some(head.committed())),
            _ => Err(CheckpointError::StateExists),
        }
    }

    async fn plan_fork(
        &self,
        asked: &Fork<'_>,
        writer: &WriterId,
    ) -> Result<(Batch, Committed), CheckpointError> {
        let missing = |revision| CheckpointError::RevisionNotFound { revision };
        let Some(from) = self.live_head(&asked.from).await? else {
            return Err(missing(asked.revision.unwrap_or(0)));
        };
        let revision = asked.revision.unwrap_or(from.rev);
        let found = self.record(&asked.from, revision).await?;
        let found = found.ok_or_else(|| missing(revision))?;
        let (head, log) = self.beginning(asked, &from, &found, writer)?;
        let committed = head.committed();
        let lineage = lineage_keys(&asked.to.tenant, &head.lineage);
        let mut batch = Batch::new();
        if let Some(turn) = &asked.turn {
            let record = turn.record(head.at, &Told::Committed(committed.clone()));
            batch = batch
                .check(turn.key.clone(), Expect::Absent)
                .put(turn.key.clone(), record);
        }
        let due = asked.to.due(head.due.unwrap_or(head.at));
        batch = batch
            .check(asked.to.head(), Expect::Absent)
            .put(asked.to.head(), row::encode(&head, None))
            // Whoever drops the record meanwhile, or moves it, is noticed.
            .check(found.key, Expect::Version(found.version))
            .put(asked.to.log(head.rev), log)
            .put(found.owner.fork(&asked.to.session), Bytes::new())
            .put(lineage.member(&asked.to.session), Bytes::new())
            .put(due, Bytes::new());
        Ok((batch, committed))
    }

    /// The first head and the first record of the new session.
    fn beginning(
        &self,
        asked: &Fork<'_>,
        from: &Head,
        found: &Found,
        writer: &WriterId,
    ) -> Result<(Head, Bytes), CheckpointError> {
        let now = self.env.now().max(from.at);
        let id: Arc<str> = windlass_core::unique_id(self.env.as_ref())?.into();
        let rev = found.record.rev;
        let record = Record {
            rev,
            at: now,
            id: Arc::clone(&id),
            by: asked.principal.clone(),
            turn: asked.turn.as_ref().map(|turn| turn.id.clone()),
            points: found.record.points,
            usage: crate::model::Usage::default(),
            note: None,
            from: Some(From::Fork(asked.from.session.clone(), rev)),
            put: Vec::new(),
            gone: Vec::new(),
            attached: Vec::new(),
        };
        let nodes = Vec::new();
        let log = LogRow { record, nodes }.encode(self.row_threshold());
        let nodes = found.record.points.nodes;
        let mut by = Writers::default();
        by.note(writer, 1);
        let head = Head {
            v: Format,
            rev,
            at: now,
            id,
            points: found.record.points,
            usage: crate::model::Usage::default(),
            packed: Packed {
                rev: rev - 1,
                node: nodes,
            },
            tail_bytes: u64::try_from(log.len()).unwrap_or(u64::MAX),
            lineage: Arc::clone(&from.lineage),
            base: Some(Base {
                session: found.owner.session.clone(),
                rev,
                nodes,
            }),
            oldest: rev,
            due: Some(now.plus_ms(self.config.upkeep_ms())),
            tags: 0,
            removed: None,
            writes: 1,
            by,
        };
        debug_assert!(!is_zero(&head.rev), "only commits can be forked");
        Ok((head, log))
    }
}
