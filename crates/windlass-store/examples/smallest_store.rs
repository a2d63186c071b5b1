//! The least that a store has to do: a locked map that keeps the contract
//! while its process lives.
//!
//! `cargo run -p windlass-store --example smallest_store`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use windlass_store::{
    Batch, ChangeHub, Changes, Check, Commit, Entry, Expect, Export, ExportSource, Incarnation,
    KeyRange, Order, Page, ReadBudget, Scan, Store, StoreError, StoreExt, Take, Version, Write,
    key,
};

#[derive(Debug)]
struct SmallestStore {
    incarnation: Incarnation,
    hub: ChangeHub,
    /// `None` once closed.
    rows: Mutex<Option<Rows>>,
}

#[derive(Debug, Default)]
struct Rows {
    map: BTreeMap<Bytes, Entry>,
    commits: u64,
}

impl SmallestStore {
    fn new() -> Result<Self, StoreError> {
        Ok(Self {
            incarnation: Incarnation::draw()?,
            hub: ChangeHub::new(),
            rows: Mutex::new(Some(Rows::default())),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Rows>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for SmallestStore {
    async fn read(&self, scans: &[Scan]) -> Result<Vec<Page>, StoreError> {
        Scan::validate(scans)?;
        let rows = self.lock();
        let rows = rows.as_ref().ok_or_else(|| StoreError::closed("read"))?;
        let mut budget = ReadBudget::new();
        let pages = scans.iter().map(|scan| rows.page(scan, &mut budget));
        Ok(pages.collect())
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError> {
        batch.validate()?;
        let mut rows = self.lock();
        let rows = rows.as_mut().ok_or_else(|| StoreError::closed("commit"))?;
        if let Some(lost) = batch.checks.iter().find(|check| !rows.holds(check)) {
            let key = lost.key.clone();
            return Ok(Commit::Conflict { key });
        }
        rows.commits += 1;
        let version = Version::new(self.incarnation, rows.commits);
        for write in &batch.writes {
            rows.write(write, version);
        }
        self.hub.publish(&batch.writes);
        Ok(Commit::Applied(version))
    }

    async fn export(&self, range: KeyRange) -> Result<Export, StoreError> {
        range.validate("export")?;
        let rows = self.lock();
        let rows = rows.as_ref().ok_or_else(|| StoreError::closed("export"))?;
        let entries = rows.map.values().filter(|entry| range.contains(&entry.key));
        Ok(Export::new(Copied(Some(entries.cloned().collect()))))
    }

    fn subscribe(&self, prefix: &[u8]) -> Changes {
        self.hub.subscribe(prefix)
    }

    async fn close(&self) -> Result<(), StoreError> {
        *self.lock() = None;
        self.hub.close();
        Ok(())
    }
}

impl Rows {
    fn holds(&self, check: &Check) -> bool {
        match (check.expect, self.map.get(&check.key)) {
            (Expect::Absent, found) => found.is_none(),
            (Expect::Present, found) => found.is_some(),
            (Expect::Version(version), found) => found.is_some_and(|row| row.version == version),
        }
    }

    fn write(&mut self, write: &Write, version: Version) {
        match write.clone() {
            Write::Put { key, value } => {
                let entry = Entry {
                    key: key.clone(),
                    value,
                    version,
                };
                self.map.insert(key, entry);
            }
            Write::Delete { key } => drop(self.map.remove(&key)),
        }
    }

    fn page(&self, scan: &Scan, budget: &mut ReadBudget) -> Page {
        let mut found: Vec<_> = self
            .map
            .values()
            .filter(|row| scan.range.contains(&row.key))
            .collect();
        if scan.order == Order::Descending {
            found.reverse();
        }
        let mut page = Page::default();
        for row in found {
            let mut entry = row.clone();
            if scan.take == Take::Keys {
                entry.value = Bytes::new();
            }
            let size = entry.key.len() + entry.value.len();
            if page.entries.len() == scan.limit || !budget.admit(size) {
                page.more = true;
                break;
            }
            page.entries.push(entry);
        }
        page
    }
}

/// An export of rows that were copied when it began.
struct Copied(Option<Vec<Entry>>);

#[async_trait]
impl ExportSource for Copied {
    async fn next(&mut self) -> Result<Option<Vec<Entry>>, StoreError> {
        Ok(self.0.take())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), StoreError> {
    let store = SmallestStore::new()?;
    let key = |step: u64| key::Key::new("acme").text("step").number(step).finish();

    let first = Batch::new()
        .check(key(9), Expect::Absent)
        .put(key(9), "searched");
    println!(
        "first:  {:?}",
        matches!(store.commit(first.clone()).await?, Commit::Applied(_))
    );
    let second = matches!(store.commit(first).await?, Commit::Conflict { .. });
    println!("again:  conflict {second}");
    let _version = store.update(key(10), |_| Some("read".into())).await?;

    let steps = key::Key::new("acme").text("step").below();
    for entry in store.scan_all(KeyRange::prefix(steps)).await? {
        println!("{} = {}", text(&entry.key), text(&entry.value));
    }
    store.close().await
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
