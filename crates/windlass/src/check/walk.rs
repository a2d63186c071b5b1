//! The entries of a range, past those that are damaged.

use bytes::Bytes;
use windlass_store::{Entry, Export, KeyRange, Scan, Store, StoreError, StoreErrorKind};

use super::CheckError;

/// What a walk meets.
#[derive(Debug)]
pub(super) enum Met {
    /// Entries, in order.
    Entries(Vec<Entry>),
    /// A row whose bytes are not those that were written.
    Damaged(Bytes),
    /// Nothing can be read behind this key.
    Lost(Bytes),
}

/// A walk over a range: as an export, at one point in time, as long as nothing
/// is damaged; behind a damaged row it begins anew.
pub(super) struct Walk<'a> {
    store: &'a dyn Store,
    rest: KeyRange,
    last: Bytes,
    export: Option<Export>,
    lost: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn new(store: &'a dyn Store, range: KeyRange) -> Self {
        Self {
            store,
            last: range.start.clone(),
            rest: range,
            export: None,
            lost: false,
        }
    }

    /// What comes next; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Met>, CheckError> {
        if self.lost {
            return Ok(None);
        }
        let next = match &mut self.export {
            Some(export) => export.next().await,
            None => match self.store.export(self.rest.clone()).await {
                Ok(export) => self.export.insert(export).next().await,
                Err(error) => Err(error),
            },
        };
        match next {
            Ok(Some(entries)) => {
                if let Some(last) = entries.last() {
                    self.go_behind(last.key.clone());
                }
                Ok(Some(Met::Entries(entries)))
            }
            Ok(None) => Ok(None),
            Err(error) if is_damage(&error) => self.past_damage().await.map(Some),
            Err(error) => Err(CheckError::store("export")(error)),
        }
    }

    fn go_behind(&mut self, key: Bytes) {
        self.rest.start = Scan::new(self.rest.clone()).after(&key).range.start;
        self.last = key;
    }

    /// Goes entry by entry up to the damaged one, and past it.
    async fn past_damage(&mut self) -> Result<Met, CheckError> {
        self.export = None;
        let mut sound = Vec::new();
        // As many as an export may have been ahead.
        loop {
            let scan = Scan::new(self.rest.clone()).limit(1);
            match self.store.read(&[scan]).await {
                Ok(pages) => {
                    let entry = pages.into_iter().next().and_then(|page| {
                        let mut entries = page.entries.into_iter();
                        entries.next()
                    });
                    let Some(entry) = entry else {
                        return Ok(Met::Entries(sound));
                    };
                    self.go_behind(entry.key.clone());
                    sound.push(entry);
                    if sound.len() >= ENTRIES_MAX {
                        return Ok(Met::Entries(sound));
                    }
                }
                Err(error) if is_damage(&error) && !sound.is_empty() => {
                    return Ok(Met::Entries(sound));
                }
                Err(error) if is_damage(&error) => return self.name_damage().await,
                Err(error) => return Err(CheckError::store("read")(error)),
            }
        }
    }

    /// The key of the damaged entry that is next, if keys can be read.
    async fn name_damage(&mut self) -> Result<Met, CheckError> {
        let scan = Scan::new(self.rest.clone()).limit(1).keys();
        let found = match self.store.read(&[scan]).await {
            Ok(pages) => pages
                .into_iter()
                .next()
                .and_then(|page| page.entries.into_iter().next()),
            Err(error) if is_damage(&error) => None,
            Err(error) => return Err(CheckError::store("read")(error)),
        };
        match found {
            Some(entry) => {
                self.go_behind(entry.key.clone());
                Ok(Met::Damaged(entry.key))
            }
            None => {
                self.lost = true;
                Ok(Met::Lost(self.last.clone()))
            }
        }
    }
}

/// Entries that are read one by one before they are handed out.
const ENTRIES_MAX: usize = 256;

fn is_damage(error: &StoreError) -> bool {
    error.kind() == StoreErrorKind::Corrupt
}
