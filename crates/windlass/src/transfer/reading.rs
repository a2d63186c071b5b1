//! A file to a store.

use std::io::Read;

use bytes::Bytes;
use windlass_store::{Batch, Commit, Expect, KeyRange, Scan, Store, StoreError, Version};

use super::frame::{Content, FileReader, Hash, Pair};
use super::mark::{Mark, hex};
use super::{Moved, Progress, Report, TransferError};
use crate::unfinished;

/// Brings everything in the file `from` into `store`, which must be empty, or
/// hold what an earlier import of the same file has brought. Memory stays
/// below some MiB.
///
/// Nobody else may use the store meanwhile. The store is a whole one, and can
/// be opened, from the moment this returns; until then it holds a mark, and
/// calling again with the same file goes on behind the last frame that was
/// stored. At the end all that is stored is read back and compared.
///
/// # Errors
///
/// [`TransferError::Foreign`], `UnknownFormat`, `CutShort` or `Damaged` for a
/// file that is no whole export; what it brought before that stays, marked.
/// `NotEmpty`, `OtherExport` for a store that is not for it, `Raced` if
/// somebody else wrote to it, `Differs` if it does not give back what was
/// put; `Read` and `Store` where those fail.
pub async fn import(
    store: &dyn Store,
    from: &mut (dyn Read + Send),
    progress: Progress<'_>,
) -> Result<Report, TransferError> {
    let mut file = FileReader::new(from)?;
    let mut import = Import::begin(store).await?;
    let found = import.skip(&mut file)?;
    while let Some(pairs) = file.next()? {
        let mark = Mark {
            frames: file.frames(),
            digest: hex(&file.hash()),
        };
        import.put(&pairs, mark).await?;
        progress(file.moved());
    }
    import.finish(file.hash()).await?;
    progress(file.moved());
    Ok(Report {
        moved: file.moved(),
        digest: hex(&file.hash()),
        found,
    })
}

/// Reads a whole file and checks it, while `visit` sees every key and value;
/// how much there is, and the hash of the content.
pub(crate) fn read_through(
    from: &mut (dyn Read + Send),
    visit: &mut dyn FnMut(&[u8], &[u8]),
    progress: Progress<'_>,
) -> Result<(Moved, String), TransferError> {
    let mut file = FileReader::new(from)?;
    while let Some(pairs) = file.next()? {
        for (key, value) in &pairs {
            visit(key, value);
        }
        progress(file.moved());
    }
    Ok((file.moved(), hex(&file.hash())))
}

/// An import that has begun.
struct Import<'a> {
    store: &'a dyn Store,
    mark: Mark,
    version: Version,
}

impl<'a> Import<'a> {
    /// Marks an empty store, or takes up where the mark says.
    async fn begin(store: &'a dyn Store) -> Result<Self, TransferError> {
        let scans = [
            Scan::point(unfinished::key()),
            Scan::new(KeyRange::all()).limit(1).keys(),
        ];
        let pages = store.read(&scans).await;
        let pages = pages.map_err(TransferError::store("read"))?;
        let mut first = pages
            .into_iter()
            .map(|page| page.entries.into_iter().next());
        let (marked, any) = (first.next().flatten(), first.next().flatten());
        match (marked, any) {
            (Some(entry), _) => {
                let mark = Mark::decode(&entry.value).ok_or(TransferError::OtherExport)?;
                Ok(Self {
                    store,
                    mark,
                    version: entry.version,
                })
            }
            (None, Some(_)) => Err(TransferError::NotEmpty),
            (None, None) => Self::mark(store).await,
        }
    }

    async fn mark(store: &'a dyn Store) -> Result<Self, TransferError> {
        let mark = Mark {
            frames: 0,
            digest: hex(&Content::default().hash()),
        };
        let batch = Batch::new()
            .check(unfinished::key(), Expect::Absent)
            .put(unfinished::key(), mark.encode());
        let version = applied(store.commit(batch).await)?;
        Ok(Self {
            store,
            mark,
            version,
        })
    }

    /// Reads over what an earlier import has stored; how many entries.
    fn skip(&self, file: &mut FileReader<'_>) -> Result<u64, TransferError> {
        while file.frames() < self.mark.frames {
            if file.next()?.is_none() {
                return Err(TransferError::OtherExport);
            }
        }
        if hex(&file.hash()) != self.mark.digest {
            return Err(TransferError::OtherExport);
        }
        Ok(file.moved().entries)
    }

    /// Stores a frame: a batch for each tenant in it, the last of which moves
    /// the mark. What an interrupted frame has stored is stored once more.
    async fn put(&mut self, pairs: &[Pair], mark: Mark) -> Result<(), TransferError> {
        let mut tenants = pairs
            .chunk_by(|one, other| owner(&one.0) == owner(&other.0))
            .peekable();
        while let Some(pairs) = tenants.next() {
            let mut batch = Batch::new().check(unfinished::key(), Expect::Version(self.version));
            for (key, value) in pairs {
                batch = batch.put(key.clone(), value.clone());
            }
            let last = tenants.peek().is_none();
            if last {
                batch = batch.put(unfinished::key(), mark.encode());
            }
            let version = applied(self.store.commit(batch).await)?;
            if last {
                self.version = version;
            }
        }
        self.mark = mark;
        Ok(())
    }

    /// Looks that the store gives back what was put, and takes the mark away.
    async fn finish(&self, expected: Hash) -> Result<(), TransferError> {
        let export = self.store.export(KeyRange::all()).await;
        let mut export = export.map_err(TransferError::store("export"))?;
        let mut content = Content::default();
        while let Some(entries) = export
            .next()
            .await
            .map_err(TransferError::store("export"))?
        {
            let others = entries
                .iter()
                .filter(|entry| entry.key != unfinished::key());
            others.for_each(|entry| content.add(&entry.key, &entry.value));
        }
        if content.hash() != expected {
            return Err(TransferError::Differs);
        }
        let batch = Batch::new()
            .check(unfinished::key(), Expect::Version(self.version))
            .delete(unfinished::key());
        applied(self.store.commit(batch).await).map(drop)
    }
}

/// The first segment of a key: its tenant, or what is of no tenant.
fn owner(key: &Bytes) -> &[u8] {
    key.split(|byte| *byte == b'/').next().unwrap_or_default()
}

fn applied(commit: Result<Commit, StoreError>) -> Result<Version, TransferError> {
    match commit.map_err(TransferError::store("write to"))? {
        Commit::Applied(version) => Ok(version),
        Commit::Conflict { .. } => Err(TransferError::Raced),
    }
}
