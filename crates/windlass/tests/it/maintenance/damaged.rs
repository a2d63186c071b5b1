//! Rows of upkeep's own that cannot be read.

use std::sync::atomic::{AtomicBool, Ordering};

use windlass::core::Coded;
use windlass::store::{Listed, StoreErrorKind, Take, Write};
use windlass_store_testing::{Damage, Damaged};

use super::*;

/// An engine over the store of `base`, in which the value of a row cannot be
/// read until it is written anew.
fn damaged(base: &Engine, name: &str) -> Engine {
    let row = format!("system/maintenance/{name}").into_bytes();
    let bad = AtomicBool::new(true);
    base.hooked(&options(), move |asked| {
        let reads = |scan: &Scan| scan.take == Take::Entries && scan.range.contains(&row);
        match asked {
            Asked::Read(scans) if bad.load(Ordering::Relaxed) && scans.iter().any(reads) => {
                let kind = StoreErrorKind::Corrupt;
                return Err(StoreError::new(kind, "read", "a stored value is damaged"));
            }
            Asked::Commit(batch) => {
                let puts = |write: &Write| matches!(write, Write::Put { key, .. } if **key == row);
                if batch.writes.iter().any(puts) {
                    bad.store(false, Ordering::Relaxed);
                }
            }
            Asked::Read(_) => {}
        }
        Ok(())
    })
}

/// A store in which a round was made, whose holder gave nothing back.
async fn used() -> Engine {
    let base = Engine::new().await;
    round(base.keeper().turn().await.unwrap());
    base
}

async fn unreadable(engine: &Engine) -> Vec<String> {
    let status = engine.windlass.maintenance().status().await.unwrap();
    status.unreadable.into_keys().collect()
}

#[tokio::test]
async fn a_clock_that_cannot_be_read_is_mended_by_accepting_one() {
    let one = damaged(&used().await, "clock");
    assert_eq!(unreadable(&one).await, ["system/maintenance/clock"]);
    let refused = one.keeper().turn().await.unwrap_err();
    assert_eq!(refused.code(), "store_corrupt", "{refused:?}");
    let maintenance = one.windlass.maintenance();
    assert_eq!(maintenance.accept_clock().await.unwrap(), None);
    let status = maintenance.status().await.unwrap();
    assert_eq!(status.mark, Some(one.env.now()));
    assert!(status.unreadable.is_empty(), "{status:?}");
    one.env.advance_ms(40_000);
    round(one.keeper().turn().await.unwrap());
}

#[tokio::test]
async fn a_lease_that_cannot_be_read_is_taken_once_it_has_stood_still() {
    let one = damaged(&used().await, "lease");
    assert_eq!(unreadable(&one).await, ["system/maintenance/lease"]);
    let mut keeper = one.keeper();
    assert_eq!(keeper.turn().await.unwrap(), Turned::Elsewhere);
    one.env.advance_ms(29_999);
    assert_eq!(keeper.turn().await.unwrap(), Turned::Elsewhere);
    one.env.advance_ms(1);
    round(keeper.turn().await.unwrap());
    let status = one.windlass.maintenance().status().await.unwrap();
    assert!(status.unreadable.is_empty(), "{status:?}");
    assert!(status.holder.unwrap().alive);
}

#[tokio::test]
async fn rounds_and_reports_that_cannot_be_read_are_written_anew() {
    let base = used().await;
    base.env.advance_ms(60_000);
    let one = damaged(&base, "rounds");
    round(one.keeper().turn().await.unwrap());
    let status = one.windlass.maintenance().status().await.unwrap();
    assert_eq!(status.rounds.len(), 1, "{status:?}");
    base.by_hand("keys").await.unwrap();
    let one = damaged(&base, "hand/keys");
    one.by_hand("keys").await.unwrap();
    assert!(unreadable(&one).await.is_empty());
}

/// A store some rows of which cannot even be listed.
fn unlisted(base: &Engine, keys: impl Iterator<Item = String>) -> Arc<Damaged<dyn Store>> {
    let store = Arc::new(Damaged::new(Arc::clone(base.windlass.store())));
    keys.for_each(|key| store.damage(key, Damage::Key));
    store
}

#[tokio::test]
async fn a_row_that_cannot_be_listed_is_gone_past_and_no_other() {
    let base = Engine::new().await;
    base.due_rows("queue", 300).await;
    let at = START.get() - 10_000;
    let key = |number: usize| format!("due/{at:020}/queue/acme/{number:016x}");
    let lost = [0, 1, 5, 7, 160, 299];
    let store = unlisted(&base, lost.iter().map(|number| key(*number)));
    for limit in [1, 7, 1_000] {
        let mut rest = Some(Scan::prefix("due/").limit(limit));
        let (mut listed, mut passed) = (Vec::new(), 0);
        while let Some(scan) = rest {
            let next = Listed::read(&*store, scan).await.unwrap();
            assert!(next.entries.len() <= limit);
            let keys = next.entries.into_iter().map(|row| row.key);
            listed.extend(keys.map(|key| String::from_utf8(key.to_vec()).unwrap()));
            passed += usize::from(next.passed);
            rest = next.rest;
        }
        let sound = (0..300).filter(|number| !lost.contains(number));
        assert_eq!(listed, sound.map(key).collect::<Vec<_>>());
        assert_eq!(passed, lost.len());
    }
}

#[tokio::test]
async fn a_row_of_due_work_that_cannot_be_listed_keeps_no_task_from_its_own() {
    let base = Engine::new().await;
    base.sessions(3).await;
    base.due_rows("access", 20).await;
    base.due_rows("queue", 2).await;
    base.env.advance_ms(60_000);
    let at = START.get() - 10_000;
    let row = format!("due/{at:020}/access/acme/{:016x}", 10);
    let store = unlisted(&base, std::iter::once(row));
    let one = base.over(7, base.env.now(), store.clone(), &options());
    let report = round(one.keeper().turn().await.unwrap());
    assert!(report.failed.is_empty(), "{report:?}");
    let status = one.windlass.maintenance().status().await.unwrap();
    assert!(status.overdue_more, "it is not told");
    let removed = one.task("sessions").await.last.unwrap();
    assert_eq!(removed.counts["removed"], 3);
    assert_eq!(one.task("keys").await.last.unwrap().scanned, 19);
    assert_eq!(one.task("queue").await.last.unwrap().scanned, 2);
    assert_eq!(store.count(), 1);
    let due = one.windlass.due(1_000).await.unwrap();
    assert_eq!((due.entries, due.more), (0, true));
}
