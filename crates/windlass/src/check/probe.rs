//! Whether the store keeps what it promises, tried on rows of its own, which
//! are removed again.

use bytes::Bytes;
use windlass_core::Env;
use windlass_store::key::Key;
use windlass_store::{Batch, Commit, Expect, KeyRange, Scan, Store, StoreError};

use super::CheckError;
use super::findings::{Findings, shown};

/// Tries the promises that everything rests on, and notes one that is broken.
pub(super) async fn probe(
    store: &dyn Store,
    env: &dyn Env,
    findings: &mut Findings,
) -> Result<(), CheckError> {
    let mut random = [0; 8];
    env.random(&mut random)?;
    let name = u64::from_le_bytes(random);
    let base = || Key::new("system").text("check").number(name);
    let kept = kept(
        store,
        &base().text("a").finish(),
        &base().text("b").finish(),
    )
    .await;
    let range = KeyRange::prefix(base().below());
    let left = store.scan_keys(&range).await;
    let left = left.map_err(CheckError::store("read"))?;
    if !left.is_empty() {
        let batch = left.into_iter().fold(Batch::new(), Batch::delete);
        let _ = store
            .commit(batch)
            .await
            .map_err(CheckError::store("write to"))?;
    }
    if !kept.map_err(CheckError::store("write to"))? {
        findings.note(&shown(&range.start), "store_probe_failed");
    }
    Ok(())
}

/// Whether every promise was kept.
async fn kept(store: &dyn Store, one: &Bytes, two: &Bytes) -> Result<bool, StoreError> {
    let put = |key: &Bytes, expect, value: &'static str| {
        Batch::new()
            .check(key.clone(), expect)
            .put(key.clone(), value)
    };
    let Commit::Applied(first) = store.commit(put(one, Expect::Absent, "1")).await? else {
        return Ok(false);
    };
    let again = store.commit(put(one, Expect::Absent, "2")).await?;
    let Commit::Applied(second) = store.commit(put(one, Expect::Version(first), "2")).await? else {
        return Ok(false);
    };
    // A check that fails: nothing of the batch may be there.
    let stale = put(one, Expect::Version(first), "3").put(two.clone(), "3");
    let stale = store.commit(stale).await?;
    let both = KeyRange::new(
        one.clone(),
        KeyRange::point(two.clone()).end.unwrap_or_default(),
    );
    let read = store.read(&[Scan::new(both.clone())]).await?;
    let export = store.export(both.clone()).await?.collect().await?;
    let seen = |entries: &[windlass_store::Entry]| {
        entries.len() == 1
            && entries[0].key == *one
            && *entries[0].value == *b"2"
            && entries[0].version == second
    };
    let page = read.into_iter().next().unwrap_or_default();
    let gone = Batch::new()
        .check(one.clone(), Expect::Version(second))
        .delete(one.clone());
    let deleted = store.commit(gone).await?;
    let after = store.read(&[Scan::new(both)]).await?;
    Ok(first != second
        && !matches!(again, Commit::Applied(_))
        && !matches!(stale, Commit::Applied(_))
        && matches!(deleted, Commit::Applied(_))
        && seen(&page.entries)
        && !page.more
        && seen(&export)
        && after.iter().all(|page| page.entries.is_empty()))
}

/// The keys of a small range.
trait ScanKeys: Store {
    async fn scan_keys(&self, range: &KeyRange) -> Result<Vec<Bytes>, StoreError> {
        let scan = Scan::new(range.clone()).keys().limit(16);
        let pages = self.read(&[scan]).await?;
        let entries = pages.into_iter().flat_map(|page| page.entries);
        Ok(entries.map(|entry| entry.key).collect())
    }
}

impl<S: Store + ?Sized> ScanKeys for S {}
