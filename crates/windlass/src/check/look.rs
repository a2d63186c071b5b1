//! One link again, at one point in time, and its repair.

use std::slice;

use bytes::Bytes;
use windlass_core::Millis;
use windlass_store::check::Notes;
use windlass_store::key::{Key, number, segments};
use windlass_store::{Batch, Commit, Entry, Expect, KeyRange, Scan, Store, StoreErrorKind};

use super::findings::{Findings, Repair, shown};
use super::passes::Count;
use super::route::Part;
use super::{Check, CheckError, Mode};

/// How long upkeep may be late before that is told.
const LATE_MS_MAX: u64 = 3_600_000;

/// Looks at single findings again, and puts them right if that is wanted.
pub(super) struct Looker<'a> {
    store: &'a dyn Store,
    mode: Mode,
}

/// What auditors say of records that cannot be read.
const UNREADABLE: [&str; 2] = ["corrupt_record", "unreadable_key"];

/// What an auditor says of a few entries.
#[derive(Default)]
struct Heard<'a> {
    row: &'a [u8],
    demanded: Option<Bytes>,
    refers: bool,
    unsettled: bool,
    count: Option<(Bytes, Bytes)>,
}

impl Notes for Heard<'_> {
    fn demand(&mut self, _: &[Bytes], row: Bytes, value: Bytes) {
        if row == self.row {
            self.demanded = Some(value);
        }
    }

    fn found(&mut self, _: &[Bytes], _: Bytes, _: Bytes) {}

    fn refer(&mut self, _: &Bytes, to: Bytes) {
        self.refers |= to == self.row;
    }

    /// Of a record that cannot be read nobody knows what it calls for.
    fn wrong(&mut self, _: &Bytes, code: &'static str) {
        self.unsettled |= UNREADABLE.contains(&code);
    }

    fn miscounted(&mut self, key: &Bytes, _: &'static str, _: Bytes, value: Bytes) {
        if key == self.row {
            self.count = Some((key.clone(), value));
        }
    }

    fn unsettled(&mut self) {
        self.unsettled = true;
    }
}

/// Shows entries, which are in order, to the auditor of the first one's part.
fn hear<'a>(row: &'a [u8], entries: &[Entry]) -> Heard<'a> {
    let mut heard = Heard {
        row,
        ..Heard::default()
    };
    let part = entries.first().and_then(|entry| Part::of(&entry.key));
    if let Some(part) = part {
        let mut auditor = part.auditor();
        for entry in entries {
            auditor.entry(entry, &mut heard);
        }
        auditor.end(&mut heard);
    }
    heard
}

impl<'a> Looker<'a> {
    pub(super) fn new(store: &'a dyn Store, mode: Mode) -> Self {
        Self { store, mode }
    }

    /// The entries under some keys, in order, at one point in time; `None` if
    /// one of them is damaged, which is told elsewhere.
    async fn read(&self, keys: &[Bytes]) -> Result<Option<Vec<Entry>>, CheckError> {
        let scans: Vec<Scan> = keys.iter().cloned().map(Scan::point).collect();
        let pages = match self.store.read(&scans).await {
            Err(error) if error.kind() == StoreErrorKind::Corrupt => return Ok(None),
            pages => pages.map_err(CheckError::store("read"))?,
        };
        let mut entries: Vec<Entry> = pages.into_iter().flat_map(|page| page.entries).collect();
        entries.sort_by(|one, other| one.key.cmp(&other.key));
        Ok(Some(entries))
    }

    /// A row that some records have to call for, or call for in vain.
    pub(super) async fn link(
        &self,
        row: &Bytes,
        by: &[Bytes],
        findings: &mut Findings,
    ) -> Result<(), CheckError> {
        let keys: Vec<Bytes> = by.iter().chain([row]).cloned().collect();
        let Some(mut entries) = self.read(&keys).await? else {
            return Ok(());
        };
        let at = entries.iter().position(|entry| entry.key == *row);
        let present = at.map(|at| entries.remove(at));
        let heard = hear(row, &entries);
        if heard.unsettled {
            return Ok(());
        }
        let mut batch = Batch::new();
        for record in &entries {
            batch = batch.check(record.key.clone(), Expect::Version(record.version));
        }
        let (code, batch) = match (heard.demanded, present) {
            (Some(value), None) => {
                let batch = batch.check(row.clone(), Expect::Absent);
                ("index_row_missing", batch.put(row.clone(), value))
            }
            (None, Some(present)) => {
                let batch = batch.check(row.clone(), Expect::Version(present.version));
                ("index_row_dangling", batch.delete(row.clone()))
            }
            (Some(value), Some(present)) if value != present.value => {
                let batch = batch.check(row.clone(), Expect::Version(present.version));
                ("index_row_differs", batch.put(row.clone(), value))
            }
            _ => return Ok(()),
        };
        let repair = self.repair(batch).await?;
        findings.add(&shown(row), code, repair);
        Ok(())
    }

    /// A record that points at something.
    pub(super) async fn reference(
        &self,
        from: &Bytes,
        to: &Bytes,
        findings: &mut Findings,
    ) -> Result<(), CheckError> {
        let Some(entries) = self.read(&[from.clone(), to.clone()]).await? else {
            return Ok(());
        };
        let is_there = entries.iter().any(|entry| entry.key == *to);
        let heard = hear(to, &entries);
        if heard.refers && !is_there && !heard.unsettled {
            findings.note(&shown(from), "dangling_reference");
        }
        Ok(())
    }

    /// A record that follows from the rows beside it.
    pub(super) async fn count(
        &self,
        count: &Count,
        findings: &mut Findings,
    ) -> Result<(), CheckError> {
        let export = self
            .store
            .export(KeyRange::prefix(count.scope.clone()))
            .await;
        let entries = match export {
            Ok(export) => export.collect().await,
            Err(error) => Err(error),
        };
        let entries = match entries {
            Err(error) if error.kind() == StoreErrorKind::Corrupt => return Ok(()),
            entries => entries.map_err(CheckError::store("export"))?,
        };
        let version = entries.iter().find(|entry| entry.key == count.key);
        let version = version.map(|entry| entry.version);
        let Some((key, value)) = hear(&count.key, &entries).count else {
            return Ok(());
        };
        let expect = version.map_or(Expect::Absent, Expect::Version);
        let batch = Batch::new().check(key.clone(), expect).put(key, value);
        let repair = self.repair(batch).await?;
        findings.add(&shown(&count.key), count.code, repair);
        Ok(())
    }

    async fn repair(&self, batch: Batch) -> Result<Repair, CheckError> {
        if self.mode == Mode::Look {
            return Ok(Repair::Possible);
        }
        let commit = self.store.commit(batch).await;
        match commit.map_err(CheckError::store("write to"))? {
            Commit::Applied(_) => Ok(Repair::Done),
            Commit::Conflict { .. } => Ok(Repair::Raced),
        }
    }
}

/// Tells of the first row of due work of each part that is long overdue.
pub(super) async fn overdue(
    store: &dyn Store,
    now: Millis,
    asked: &Check,
    findings: &mut Findings,
) -> Result<(), CheckError> {
    let late = now.get().saturating_sub(LATE_MS_MAX);
    let range = KeyRange::new(
        Key::new("due").below(),
        Key::new("due").number(late).finish(),
    );
    let scan = Scan::new(range).keys().limit(1_000);
    let pages = match store.read(slice::from_ref(&scan)).await {
        Err(error) if error.kind() == StoreErrorKind::Corrupt => return Ok(()),
        pages => pages.map_err(CheckError::store("read"))?,
    };
    let mut told: Vec<String> = Vec::new();
    for entry in pages.into_iter().flat_map(|page| page.entries) {
        let Some(parts) = segments(&entry.key) else {
            continue;
        };
        let [_, time, part, tenant, ..] = parts.as_slice() else {
            continue;
        };
        let other = asked
            .tenant
            .as_ref()
            .is_some_and(|of| of.as_str() != tenant);
        if other || number(time).is_none() || told.contains(part) {
            continue;
        }
        told.push(part.clone());
        let code = match part.as_str() {
            "lease" | "queue" => "lease_overdue",
            _ => "upkeep_overdue",
        };
        findings.note(&shown(&entry.key), code);
    }
    Ok(())
}
