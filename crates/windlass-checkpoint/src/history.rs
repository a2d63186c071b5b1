//! Rolling back and tagging: changes that look at earlier commits.

use std::sync::Arc;

use bytes::Bytes;
use windlass_core::Format;
use windlass_store::{Expect, StoreExt};

use crate::blob::LineageKeys;
use crate::decide::{Author, expect, rolled_back};
use crate::draft::Draft;
use crate::engine::Engine;
use crate::error::CheckpointError;
use crate::find::Found;
use crate::keys::StateKeys;
use crate::limits::TAGS_MAX;
use crate::model::{Changes, Committed, Expected, TagName};
use crate::record::{From, TagRow};
use crate::row;
use crate::stored::LogRow;

impl Engine {
    /// A new commit whose state is that of an earlier one.
    pub(crate) async fn roll_back(
        &self,
        keys: &StateKeys,
        lineage: &LineageKeys,
        draft: &mut Draft,
        author: &Author<'_>,
        to: u64,
        expected: Expected,
    ) -> Result<Committed, CheckpointError> {
        expect(expected, draft.head.rev)?;
        let found = self.kept(keys, draft, to).await?;
        let mut step = draft.step();
        // Whoever drops the record meanwhile, or moves it, is noticed.
        step.rows = (std::mem::take(&mut step.rows))
            .check(found.key.clone(), Expect::Version(found.version));
        let points = found.record.points;
        step.manifest = Arc::new(self.manifest(lineage, points.manifest).await?);
        let hidden = self.hidden(lineage, points.hidden).await?;
        rolled_back(&mut step, &found.record, hidden.clone());
        if *step.hidden != hidden {
            self.put_hidden(lineage, draft, &mut step).await?;
        }
        let mut record = self.next_record(&mut step, draft, author, &Changes::default())?;
        record.from = Some(From::Rollback(to));
        let nodes = Vec::new();
        let log = LogRow { record, nodes }.encode(self.row_threshold());
        step.head.tail_bytes += u64::try_from(log.len()).unwrap_or(u64::MAX);
        step.rows = step.rows.put(keys.log(step.head.rev), log);
        let committed = step.head.committed();
        draft.take(step);
        Ok(committed)
    }

    /// The record of a revision that a change relies on.
    async fn kept(
        &self,
        keys: &StateKeys,
        draft: &Draft,
        revision: u64,
    ) -> Result<Found, CheckpointError> {
        let found = match draft.version {
            Some(_) => self.record(keys, revision).await?,
            None => None,
        };
        found.ok_or(CheckpointError::RevisionNotFound { revision })
    }

    /// Sets a tag on a revision, or removes it; whether there was one.
    pub(crate) async fn set_tag(
        &self,
        keys: &StateKeys,
        draft: &mut Draft,
        name: &TagName,
        revision: Option<u64>,
    ) -> Result<bool, CheckpointError> {
        let there = self.store.get(keys.tag(name)).await?.is_some();
        let mut step = draft.step();
        let Some(revision) = revision else {
            if there {
                step.head.tags = step.head.tags.saturating_sub(1);
                step.rows = step.rows.delete(keys.tag(name));
                draft.take(step);
            }
            return Ok(there);
        };
        let found = self.kept(keys, draft, revision).await?;
        if found.owner != *keys {
            return Err(CheckpointError::RevisionNotFound { revision });
        }
        if !there {
            if step.head.tags >= u64::try_from(TAGS_MAX).unwrap_or(u64::MAX) {
                let (what, max) = ("tags", TAGS_MAX);
                return Err(CheckpointError::Full { what, max });
            }
            step.head.tags += 1;
        }
        let row: Bytes = row::encode(
            &TagRow {
                v: Format,
                rev: revision,
                at: draft.now,
            },
            None,
        );
        step.rows = step
            .rows
            .check(found.key, Expect::Version(found.version))
            .put(keys.tag(name), row);
        draft.take(step);
        Ok(there)
    }
}
