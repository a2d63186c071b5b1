//! A tenant some rows of which cannot be read is erased whole.

use std::sync::Arc;

use async_trait::async_trait;
use windlass_access::Tenants;
use windlass_store::scan::Take;
use windlass_store::{
    Batch, Changes, Commit, Export, KeyRange, Page, Scan, Store, StoreError, StoreErrorKind,
};
use windlass_store_memory::MemoryStore;

use crate::erasing::{fill, rows_of};
use crate::support::{World, tenant};

/// A store in which the values of some rows are damaged.
#[derive(Debug)]
struct Damaged {
    ground: Arc<MemoryStore>,
    keys: Vec<Vec<u8>>,
}

#[async_trait]
impl Store for Damaged {
    async fn read(&self, scans: &[Scan]) -> Result<Vec<Page>, StoreError> {
        let pages = self.ground.read(scans).await?;
        let values = |scan: &Scan| scan.take == Take::Entries;
        for (page, _) in pages.iter().zip(scans).filter(|(_, scan)| values(scan)) {
            for row in &page.entries {
                if self.keys.iter().any(|key| *key == row.key) {
                    let kind = StoreErrorKind::Corrupt;
                    return Err(StoreError::new(kind, "read", "a seal is broken"));
                }
            }
        }
        Ok(pages)
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError> {
        self.ground.commit(batch).await
    }

    async fn export(&self, range: KeyRange) -> Result<Export, StoreError> {
        self.ground.export(range).await
    }

    fn subscribe(&self, prefix: &[u8]) -> Changes {
        self.ground.subscribe(prefix)
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.ground.close().await
    }
}

#[tokio::test]
async fn damaged_rows_are_erased_like_any_other_and_counted() {
    let world = World::new();
    fill(&world, 5).await;
    let rows = rows_of(&world, "ab").await;
    let others = world.rows().await.len() - rows.len();
    let damaged = rows.iter().step_by(rows.len() / 7 + 1);
    let keys: Vec<Vec<u8>> = damaged.map(|row| row.key.to_vec()).collect();
    assert!(keys.len() > 3, "{} are too few", keys.len());
    let count = keys.len() as u64;
    let store = Arc::new(Damaged {
        ground: Arc::clone(&world.ground),
        keys,
    });
    let tenants = Tenants::new(store, world.env.clone());
    let erased = tenants.erase(&tenant("ab"), &mut |_| {}).await;
    let certificate = erased.expect("it is erased whole");
    assert_eq!(certificate.unreadable, count);
    assert_eq!(certificate.rows, rows.len() as u64);
    assert!(rows_of(&world, "ab").await.is_empty());
    // Beside them its head and the record of the erasure.
    let left = world.rows().await.len();
    assert!((others..=others + 2).contains(&left), "{left} of {others}");
    let found = tenants.verify_erased(&tenant("ab")).await;
    assert_eq!(found.expect("a store that works").remaining(), 0);
}
