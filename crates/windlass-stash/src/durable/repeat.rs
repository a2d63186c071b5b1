//! What becomes of a change that was made before, under its operation id.

use std::sync::Arc;

use windlass_store::StoreExt;

use super::cell::{Cell, Run};
use super::engine::Found;
use super::once::{Deed, Remembered, RememberedEntry};
use super::plan::{Ask, Decided, Request, Told};
use super::stashes::whole;
use crate::error::{StashError, StepError};
use crate::key::Key;
use crate::metadata::Entry;
use crate::request::Answer;

impl Cell {
    /// The first answer to what a request asks under its operation id, if it
    /// was done before. One read, none without an id.
    ///
    /// # Errors
    ///
    /// The store's failures: then it is not known whether it was.
    pub(super) async fn done_before(
        &self,
        request: &Request,
    ) -> Result<Option<Result<Told, StepError>>, StashError> {
        let Some(deed) = &request.deed else {
            return Ok(None);
        };
        let Some(entry) = self.engine.store.get(deed.key(&self.keys)).await? else {
            return Ok(None);
        };
        match self.repeat(deed, &request.ask, &entry.value).await {
            Err(error @ (StashError::OperationConflict | StashError::AnswerLost)) => {
                Ok(Some(Err(whole(error))))
            }
            Err(error) => Err(error),
            Ok(told) => Ok(Some(Ok(told))),
        }
    }

    /// The first answer to what is asked, from the record of its operation id.
    async fn repeat(&self, deed: &Deed, ask: &Ask, stored: &[u8]) -> Result<Told, StashError> {
        match (deed.first(stored)?, ask) {
            (Remembered::Removed(removed), _) => Ok(Told::Removed(removed)),
            (Remembered::Step(remembered), Ask::Step(operations)) => {
                let mut answers = Vec::with_capacity(remembered.len());
                for (remembered, operation) in remembered.into_iter().zip(operations) {
                    answers.push(match remembered.answer() {
                        Ok(answer) => answer,
                        Err(entry) => self.reread(operation.key(), entry).await?,
                    });
                }
                Ok(Told::Repeated(answers))
            }
            (Remembered::Step(_), _) => Err(StashError::OperationConflict),
        }
    }

    /// An entry that was read before, if its value is there still: a version
    /// of a stash never gets another value.
    async fn reread(&self, key: &Key, entry: RememberedEntry) -> Result<Answer, StashError> {
        let version = entry.metadata.version;
        let mut lost = 0;
        loop {
            self.ensure().await?;
            let held = self.glance(|state, _| {
                let metadata = state.index.find_held(key)?;
                let same = metadata.version == version;
                same.then(|| (metadata.clone(), state.pieces.get(key).cloned()))
            });
            if let Some((held, head)) = held {
                let Some((metadata, pieces)) = held else {
                    return Err(StashError::AnswerLost);
                };
                let known = (key, &metadata);
                let value = self.engine.value(&self.keys, head, known, pieces.as_ref());
                if let Found::Value(value) = value.await? {
                    return Ok(Answer::Entry(Some(Entry {
                        value,
                        metadata: entry.metadata,
                        ttl_left_ms: entry.ttl_left_ms,
                    })));
                }
                self.forget_at(head);
            }
            lost += 1;
            self.engine.back_off(lost).await?;
        }
    }
}

impl Run {
    /// Gives out decisions that are true now. Of what was refused under an
    /// operation id, it is looked up first whether it was granted before; what
    /// was granted just now does not depend on that.
    pub(super) async fn give_out(&mut self, decided: Vec<Decided>) -> Result<(), StashError> {
        let (sure, refused): (Vec<_>, Vec<_>) = decided
            .into_iter()
            .partition(|decided| self.is_sure(decided));
        self.settle(sure);
        for (place, refusal) in refused {
            self.repeat_at(place).await?;
            self.answers[place].get_or_insert(refusal);
        }
        Ok(())
    }

    /// Gives out what a commit in doubt granted, once it proved applied. What
    /// was refused may have been granted before, under its operation id: it is
    /// decided again.
    pub(super) fn settle_sure(&mut self, decided: Vec<Decided>) {
        let decided = decided.into_iter();
        let sure = decided.filter(|decided| self.is_sure(decided)).collect();
        self.settle(sure);
    }

    /// Whether a decision needs no looking up.
    fn is_sure(&self, (place, told): &Decided) -> bool {
        told.is_ok() || self.requests[*place].deed.is_none()
    }

    /// Answers a request whose operation was done before.
    async fn repeat_at(&mut self, place: usize) -> Result<(), StashError> {
        let request = Arc::clone(&self.requests[place]);
        if let Some(first) = self.cell.done_before(&request).await? {
            self.answers[place].get_or_insert(first);
        }
        Ok(())
    }

    /// The same for all of a commit that found an operation id used: where
    /// one is repeated, others may be.
    pub(super) async fn repeat_all(&mut self, decided: &[Decided]) -> Result<(), StashError> {
        let mut repeated = false;
        for (place, _) in decided {
            self.repeat_at(*place).await?;
            repeated |= self.answers[*place].is_some();
        }
        if repeated {
            return Ok(());
        }
        // It was forgotten just now.
        self.lose().await
    }

    /// The place of the request whose operation id has `key`.
    pub(super) fn place_of(&self, key: &[u8], decided: &[Decided]) -> Option<usize> {
        let has = |place: &usize| {
            let deed = self.requests[*place].deed.as_ref();
            deed.is_some_and(|deed| deed.key(&self.cell.keys) == key)
        };
        decided.iter().map(|(place, _)| *place).find(has)
    }
}
