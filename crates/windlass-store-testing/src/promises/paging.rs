//! P7: how much a page holds, and whether there is more.

use bytes::Bytes;
use windlass_store::limits::{READ_BYTES_MAX, READ_ENTRIES_MAX, READ_SCANS_MAX, VALUE_BYTES_MAX};
use windlass_store::{Batch, KeyRange, Scan, Store};

use super::common::{apply, key};
use crate::Fixture;
use crate::gather::walk;
use crate::legal::ensure_legal;
use crate::model::Model;
use crate::verdict::{Trial, ensure_equal};

/// Keys of the part that is read in every way.
const FEW: usize = 12;

pub(crate) async fn p07_more_is_exact_in_both_orders_and_under_every_bound(
    fixture: &mut dyn Fixture,
) -> Trial {
    let store = fixture.fresh().await?;
    let mut known = Known {
        store: &*store,
        model: Model::new(),
    };
    known.read_both_ways(&[Scan::new(KeyRange::all())]).await?;
    known.few().await?;
    known.entry_bound().await?;
    known.byte_bound().await?;
    known.exact_byte_bound().await
}

/// A store together with what is known to be in it.
struct Known<'a> {
    store: &'a dyn Store,
    model: Model,
}

impl Known<'_> {
    async fn apply(&mut self, batch: Batch) -> Trial {
        let version = apply(self.store, batch.clone()).await?;
        for write in &batch.writes {
            self.model.write(write, version);
        }
        Ok(())
    }

    async fn read(&self, scans: &[Scan]) -> Trial {
        let pages = self.store.read(scans).await?;
        ensure_legal(&self.model, scans, &pages)
    }

    /// Reads the scans ascending, descending, whole and by keys only.
    async fn read_both_ways(&self, scans: &[Scan]) -> Trial {
        let keys: Vec<Scan> = scans.iter().cloned().map(Scan::keys).collect();
        for scans in [scans, &keys] {
            let descending: Vec<Scan> = scans.iter().cloned().map(Scan::descending).collect();
            self.read(scans).await?;
            self.read(&descending).await?;
        }
        Ok(())
    }

    /// Each range and limit around each number of entries.
    async fn few(&mut self) -> Trial {
        let put = |batch: Batch, number| batch.put(key("few", number), number.to_string());
        self.apply((0..FEW).fold(Batch::new(), put)).await?;
        let mut scans = Vec::new();
        for (start, end) in [
            (0, FEW),
            (0, 1),
            (0, 2),
            (3, 9),
            (5, 5),
            (FEW - 1, FEW),
            (FEW, FEW + 1),
        ] {
            let range = KeyRange::new(key("few", start), key("few", end));
            let there = FEW.min(end).saturating_sub(start);
            let limits = [
                1,
                2,
                there.saturating_sub(1),
                there,
                there + 1,
                READ_ENTRIES_MAX,
            ];
            let scan = |limit: usize| Scan::new(range.clone()).limit(limit.max(1));
            scans.extend(limits.map(scan));
        }
        scans.push(Scan::new(KeyRange::all()));
        scans.push(Scan::prefix("acme/few/").limit(FEW));
        for scan in &scans {
            self.read_both_ways(std::slice::from_ref(scan)).await?;
            self.walk(scan).await?;
        }
        for scans in scans.chunks(READ_SCANS_MAX) {
            self.read_both_ways(scans).await?;
        }
        Ok(())
    }

    async fn walk(&self, scan: &Scan) -> Trial {
        for scan in [scan.clone(), scan.clone().descending(), scan.clone().keys()] {
            let found = walk(self.store, scan.clone()).await?;
            let expected = self.model.matching(&scan);
            ensure_equal(&found, &expected, || format!("all pages of {scan:?}"))?;
        }
        Ok(())
    }

    /// Exactly as many entries as one read gives, and one more.
    async fn entry_bound(&mut self) -> Trial {
        let put = |batch: Batch, number| batch.put(key("many", number), "");
        self.apply((0..READ_ENTRIES_MAX).fold(Batch::new(), put))
            .await?;
        let many = Scan::prefix("acme/many/");
        self.read_both_ways(std::slice::from_ref(&many)).await?;
        self.apply(Batch::new().put(key("many", READ_ENTRIES_MAX), ""))
            .await?;
        let half = many.clone().limit(READ_ENTRIES_MAX / 2 + 100);
        for scans in [
            vec![many.clone()],
            vec![many.clone().limit(READ_ENTRIES_MAX - 1)],
            vec![half.clone(), half.clone()],
            vec![
                many.clone(),
                Scan::prefix("acme/few/"),
                Scan::prefix("acme/none/"),
            ],
            vec![
                Scan::prefix("acme/few/"),
                many.clone(),
                Scan::point(key("few", 0)),
            ],
        ] {
            self.read_both_ways(&scans).await?;
        }
        self.walk(&many).await
    }

    /// More bytes than one read gives, in one page and over several.
    async fn byte_bound(&mut self) -> Trial {
        let count = READ_BYTES_MAX / VALUE_BYTES_MAX + 1;
        for number in 0..count {
            self.apply(Batch::new().put(key("large", number), large(VALUE_BYTES_MAX)))
                .await?;
        }
        let large = Scan::prefix("acme/large/");
        let single = |number| Scan::point(key("large", number));
        let few = Scan::prefix("acme/few/");
        for scans in [
            vec![large.clone()],
            vec![large.clone(), few.clone()],
            vec![few, large.clone(), large.clone().keys()],
            (0..count).map(single).collect(),
            vec![
                large.clone().limit(2),
                large.clone().limit(2),
                large.clone().limit(2),
            ],
        ] {
            self.read_both_ways(&scans).await?;
        }
        self.walk(&large).await
    }

    /// Entries that fill a read to the last byte, and one byte beyond.
    async fn exact_byte_bound(&mut self) -> Trial {
        let count = READ_BYTES_MAX / VALUE_BYTES_MAX;
        let share = VALUE_BYTES_MAX - key("exact", 0).len();
        for number in 0..count {
            self.apply(Batch::new().put(key("exact", number), large(share)))
                .await?;
        }
        let exact = Scan::prefix("acme/exact/");
        self.read_both_ways(std::slice::from_ref(&exact)).await?;
        self.apply(Batch::new().put(key("exact", 0), large(share + 1)))
            .await?;
        self.read_both_ways(std::slice::from_ref(&exact)).await
    }
}

fn large(length: usize) -> Bytes {
    vec![b'.'; length].into()
}
