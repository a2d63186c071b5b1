//! One link again, at one point in time, and its repair.

use std::collections::BTreeSet;

use bytes::Bytes;
use windlass_core::{Millis, TenantId};
use windlass_store::check::Notes;
use windlass_store::key::{Key, number, segments};
use windlass_store::{
    Batch, Commit, Entry, Expect, KeyRange, Listed, Scan, Store, StoreError, StoreErrorKind,
    Version,
};

use super::findings::{Findings, Repair, shown};
use super::passes::{Count, is_going, tenant_of};
use super::route::Part;
use super::{Check, CheckError, Mode};

/// How long upkeep may be late before that is told.
const LATE_MS_MAX: u64 = 3_600_000;

/// Looks at single findings again, and puts them right if that is wanted.
pub(super) struct Looker<'a> {
    store: &'a dyn Store,
    mode: Mode,
}

/// What becomes of a row that no record calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stray {
    /// It is told, and a repair removes it.
    Goes,
    /// It stays where none of the records is there that might call for it: it
    /// is what is left of them.
    StaysAlone,
    /// It stays: its record is lost.
    Stays,
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

    /// A row that some records have to call for, or call for in vain; whether
    /// it stays without them.
    pub(super) async fn link(
        &self,
        row: &Bytes,
        by: &[Bytes],
        stray: Stray,
        findings: &mut Findings,
    ) -> Result<bool, CheckError> {
        let keys: Vec<Bytes> = by.iter().chain([row]).cloned().collect();
        let Some(mut entries) = self.read(&keys).await? else {
            return Ok(false);
        };
        let at = entries.iter().position(|entry| entry.key == *row);
        let present = at.map(|at| entries.remove(at));
        let heard = hear(row, &entries);
        if heard.unsettled {
            return Ok(false);
        }
        let stays = match stray {
            Stray::Goes => false,
            Stray::StaysAlone => entries.is_empty(),
            Stray::Stays => true,
        };
        let mut batch = Batch::new();
        for record in &entries {
            batch = batch.check(record.key.clone(), Expect::Version(record.version));
        }
        let (code, batch) = match (heard.demanded, present) {
            (Some(value), None) => {
                let batch = batch.check(row.clone(), Expect::Absent);
                ("index_row_missing", batch.put(row.clone(), value))
            }
            (None, Some(_)) if stays => return Ok(true),
            (None, Some(present)) => {
                let batch = batch.check(row.clone(), Expect::Version(present.version));
                ("index_row_dangling", batch.delete(row.clone()))
            }
            (Some(value), Some(present)) if value != present.value => {
                let batch = batch.check(row.clone(), Expect::Version(present.version));
                ("index_row_differs", batch.put(row.clone(), value))
            }
            _ => return Ok(false),
        };
        let repair = self.repair(batch).await?;
        findings.add(&shown(row), code, repair);
        Ok(false)
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

    /// A record that follows from the rows beside it, which are read page by
    /// page.
    pub(super) async fn count(
        &self,
        count: &Count,
        findings: &mut Findings,
    ) -> Result<(), CheckError> {
        let (heard, version) = match self.recount(count).await {
            Err(error) if error.kind() == StoreErrorKind::Corrupt => return Ok(()),
            found => found.map_err(CheckError::store("export"))?,
        };
        let Some((key, value)) = heard.count else {
            return Ok(());
        };
        let expect = version.map_or(Expect::Absent, Expect::Version);
        let batch = Batch::new().check(key.clone(), expect).put(key, value);
        let repair = self.repair(batch).await?;
        findings.add(&shown(&count.key), count.code, repair);
        Ok(())
    }

    /// What the auditor says of the rows of a count, and the version of its
    /// record, at one point in time.
    async fn recount<'c>(
        &self,
        count: &'c Count,
    ) -> Result<(Heard<'c>, Option<Version>), StoreError> {
        let range = KeyRange::prefix(count.scope.clone());
        let mut export = self.store.export(range).await?;
        let mut heard = Heard {
            row: &count.key,
            ..Heard::default()
        };
        let (mut auditor, mut version) = (Part::of(&count.key).map(Part::auditor), None);
        while let Some(entries) = export.next().await? {
            for entry in &entries {
                if entry.key == count.key {
                    version = Some(entry.version);
                }
                if let Some(auditor) = &mut auditor {
                    auditor.entry(entry, &mut heard);
                }
            }
        }
        if let Some(auditor) = &mut auditor {
            auditor.end(&mut heard);
        }
        Ok((heard, version))
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

/// Tells of the first row of due work of each part that is long overdue, of
/// tenants that are not being erased.
pub(super) async fn overdue(
    store: &dyn Store,
    now: Millis,
    asked: &Check,
    going: &BTreeSet<TenantId>,
    findings: &mut Findings,
) -> Result<(), CheckError> {
    let late = now.get().saturating_sub(LATE_MS_MAX);
    let range = KeyRange::new(
        Key::new("due").below(),
        Key::new("due").number(late).finish(),
    );
    let mut scan = Scan::new(range);
    let mut told = BTreeSet::new();
    loop {
        let listed = Listed::read(store, scan).await;
        let listed = listed.map_err(CheckError::store("read"))?;
        for entry in &listed.entries {
            let tenant = tenant_of(&entry.key);
            let Some(tenant) = tenant.filter(|tenant| !is_going(going, tenant)) else {
                continue;
            };
            let asked = asked.tenant.as_ref();
            if asked.is_none_or(|asked| asked.as_str() == tenant) {
                note_overdue(&entry.key, &mut told, findings);
            }
        }
        match listed.rest {
            Some(rest) => scan = rest,
            None => return Ok(()),
        }
    }
}

/// Tells of a row, unless one of its part was told.
fn note_overdue(row: &Bytes, told: &mut BTreeSet<String>, findings: &mut Findings) {
    let Some(parts) = segments(row) else {
        return;
    };
    let [_, time, part, ..] = parts.as_slice() else {
        return;
    };
    if number(time).is_none() || !told.insert(part.clone()) {
        return;
    }
    let code = match part.as_str() {
        "lease" | "queue" => "lease_overdue",
        _ => "upkeep_overdue",
    };
    findings.note(&shown(row), code);
}
