//! The reader threads: one job at a time, each at one point in time.
//!
//! A thread holds the lock around the space while it gathers, so that nothing
//! changes beside it, and answers after it has let go.

use std::sync::{Arc, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use tokio::sync::oneshot;
use windlass_store::limits::READ_ENTRIES_MAX;
use windlass_store::{Entry, Incarnation, KeyRange, Page, ReadBudget, Scan, StoreError, Take};

use crate::error::Failure;
use crate::export::Source;
use crate::limits::EXPORT_STEP_BYTES;
use crate::row::Head;
use crate::shared::Shared;
use crate::space::{ExportId, Space};

type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// What a reader thread is asked for.
#[derive(Debug)]
pub(crate) enum Job {
    /// All pages of one read.
    Read {
        scans: Vec<Scan>,
        answer: Answer<Vec<Page>>,
    },
    /// A point in time for an export.
    Begin {
        range: KeyRange,
        answer: Answer<Source>,
    },
    /// The next entries of an export, those of `rest`.
    Step {
        id: ExportId,
        rest: KeyRange,
        answer: Answer<Vec<Entry>>,
    },
    /// The end of an export.
    End { id: ExportId },
    /// The end of a thread, as a panic of sled is.
    #[cfg(test)]
    Panic,
}

/// Reads until the store is closed.
pub(crate) fn run(shared: &Arc<Shared>) {
    let _watch = Watch(shared);
    while let Some(job) = shared.reads.take() {
        // Whoever asked may have gone.
        match job {
            Job::Read { scans, answer } => {
                shared.read_places.add_permits(1);
                if !answer.is_closed() {
                    let _ = answer.send(read(shared, &scans));
                }
            }
            Job::Begin { range, answer } => begin(shared, range, answer),
            Job::Step { id, rest, answer } => {
                let _ = answer.send(step(shared, id, &rest));
            }
            Job::End { id } => end(shared, id),
            #[cfg(test)]
            Job::Panic => panic!("planted"),
        }
    }
}

/// Fails the store if its thread panics: sled does so where it finds damage,
/// and what it leaves behind cannot be trusted.
struct Watch<'a>(&'a Shared);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail();
        }
    }
}

fn read(shared: &Shared, scans: &[Scan]) -> Result<Vec<Page>, StoreError> {
    let guard = lock_shared(shared, "read")?;
    let space = guard.as_ref().ok_or_else(|| shared.refusal("read"))?;
    let mut budget = ReadBudget::new();
    let page = |scan| page(space, scan, &mut budget, shared.incarnation);
    let pages = scans.iter().map(page).collect::<Result<_, Failure>>();
    pages.map_err(|failure| failure.error("read"))
}

fn page(
    space: &Space,
    scan: &Scan,
    budget: &mut ReadBudget,
    incarnation: Incarnation,
) -> Result<Page, Failure> {
    let mut page = Page::default();
    let point = scan.range.as_point();
    let heads: Box<dyn Iterator<Item = _>> = match point {
        Some(key) => Box::new(space.head(key)?.into_iter().map(Ok)),
        None => space.heads(&scan.range, scan.order),
    };
    for head in heads {
        let head = head?;
        let full = page.entries.len() == scan.limit;
        if full || !budget.admit(size(&head, scan.take)) {
            page.more = true;
            break;
        }
        page.entries
            .push(entry(space, &head, scan.take, incarnation)?);
    }
    Ok(page)
}

/// What an entry counts for in a [`ReadBudget`].
fn size(head: &Head, take: Take) -> usize {
    match take {
        Take::Entries => head.key.len() + head.value_bytes(),
        Take::Keys => head.key.len(),
    }
}

fn entry(
    space: &Space,
    head: &Head,
    take: Take,
    incarnation: Incarnation,
) -> Result<Entry, Failure> {
    let value = match take {
        Take::Entries => space.value(head)?,
        Take::Keys => Bytes::new(),
    };
    Ok(Entry {
        key: head.key.clone(),
        value,
        version: head.version(incarnation),
    })
}

fn begin(shared: &Arc<Shared>, range: KeyRange, answer: Answer<Source>) {
    let begun = lock_alone(shared).and_then(|mut guard| {
        let space = guard.as_mut().ok_or_else(|| shared.refusal("export"))?;
        let begun = space.begin_export(range.clone());
        begun.map_err(|failure| failure.error("export"))
    });
    // A source that nobody waits for any more ends its export.
    let _ = answer.send(begun.map(|id| Source::new(shared, id, range)));
}

fn step(shared: &Shared, id: ExportId, rest: &KeyRange) -> Result<Vec<Entry>, StoreError> {
    let guard = lock_shared(shared, "export")?;
    let space = guard.as_ref().ok_or_else(|| shared.refusal("export"))?;
    let entries = entries(space, id, rest, shared.incarnation);
    entries.map_err(|failure| failure.error("export"))
}

fn entries(
    space: &Space,
    id: ExportId,
    rest: &KeyRange,
    incarnation: Incarnation,
) -> Result<Vec<Entry>, Failure> {
    let mut entries = Vec::new();
    let mut bytes = 0;
    for head in space.heads_of_export(id, rest)? {
        let head = head?;
        bytes += size(&head, Take::Entries);
        entries.push(entry(space, &head, Take::Entries, incarnation)?);
        if entries.len() == READ_ENTRIES_MAX || bytes >= EXPORT_STEP_BYTES {
            break;
        }
    }
    Ok(entries)
}

fn end(shared: &Shared, id: ExportId) {
    if let Ok(mut guard) = lock_alone(shared)
        && let Some(space) = guard.as_mut()
    {
        space.end_export(id);
    }
}

/// A lock that a panic poisoned is that of a store that has failed.
fn lock_shared<'a>(
    shared: &'a Shared,
    operation: &'static str,
) -> Result<RwLockReadGuard<'a, Option<Space>>, StoreError> {
    let locked = shared.space.read();
    locked.map_err(|_| shared.refusal(operation))
}

fn lock_alone(shared: &Shared) -> Result<RwLockWriteGuard<'_, Option<Space>>, StoreError> {
    let locked = shared.space.write();
    locked.map_err(|_| shared.refusal("export"))
}
