//! A consistent stream of many entries.

use std::fmt;

use async_trait::async_trait;

use crate::{Entry, StoreError};

/// What a store implements to feed an [`Export`].
#[async_trait]
pub trait ExportSource: Send {
    /// The next entries in key order, at most as many as one read gives;
    /// `None` at the end.
    async fn next(&mut self) -> Result<Option<Vec<Entry>>, StoreError>;
}

/// All entries of a range in key order, as they were at one point in time.
///
/// Dropping it releases what the store held for it.
pub struct Export {
    source: Box<dyn ExportSource>,
    ended: bool,
}

impl Export {
    /// An export fed by `source`.
    #[must_use]
    pub fn new(source: impl ExportSource + 'static) -> Self {
        Self {
            source: Box::new(source),
            ended: false,
        }
    }

    /// The next entries, never an empty list; `None` at the end. After the
    /// end or an error it stays at the end.
    ///
    /// # Errors
    ///
    /// `Corrupt` where a stored value fails its seal, `Unavailable` once the
    /// store's time limit for exports has passed. What was given before is
    /// then no whole export.
    pub async fn next(&mut self) -> Result<Option<Vec<Entry>>, StoreError> {
        while !self.ended {
            match self.source.next().await {
                Ok(Some(entries)) if entries.is_empty() => {}
                Ok(Some(entries)) => return Ok(Some(entries)),
                Ok(None) => self.ended = true,
                Err(error) => {
                    self.ended = true;
                    return Err(error);
                }
            }
        }
        Ok(None)
    }

    /// Everything that is left, in memory. For small ranges and tests.
    ///
    /// # Errors
    ///
    /// As [`Export::next`].
    pub async fn collect(mut self) -> Result<Vec<Entry>, StoreError> {
        let mut all = Vec::new();
        while let Some(mut entries) = self.next().await? {
            all.append(&mut entries);
        }
        Ok(all)
    }
}

impl fmt::Debug for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Export")
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
