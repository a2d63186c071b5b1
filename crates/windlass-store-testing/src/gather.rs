//! Everything a scan or an export gives, also from a store that goes round in
//! circles: keys have to go on, so gathering comes to an end.

use windlass_store::{Entry, Export, Order, Scan, Store, StoreError};

use crate::verdict::{Trial, ensure};

/// Every entry of a scan, page by page; its limit is that of each page.
pub(crate) async fn walk(store: &dyn Store, scan: Scan) -> Trial<Vec<Entry>> {
    Ok(try_walk(store, scan).await??)
}

/// Every entry an export still gives.
pub(crate) async fn drain(export: Export) -> Trial<Vec<Entry>> {
    Ok(try_drain(export).await??)
}

/// As [`walk`], with the store's own error apart.
pub(crate) async fn try_walk(
    store: &dyn Store,
    mut scan: Scan,
) -> Trial<Result<Vec<Entry>, StoreError>> {
    let mut gathered = Gathered::new(scan.order);
    loop {
        let page = match store.read(std::slice::from_ref(&scan)).await {
            Ok(mut pages) => pages.pop().unwrap_or_default(),
            Err(error) => return Ok(Err(error)),
        };
        ensure(!(page.entries.is_empty() && page.more), || {
            format!("an empty page with more, for {scan:?}")
        })?;
        gathered.add(page.entries)?;
        match gathered.entries.last() {
            Some(last) if page.more => scan = scan.after(&last.key),
            _ => return Ok(Ok(gathered.entries)),
        }
    }
}

/// As [`drain`], with the store's own error apart.
pub(crate) async fn try_drain(mut export: Export) -> Trial<Result<Vec<Entry>, StoreError>> {
    let mut gathered = Gathered::new(Order::Ascending);
    loop {
        match export.next().await {
            Ok(Some(piece)) => gathered.add(piece)?,
            Ok(None) => return Ok(Ok(gathered.entries)),
            Err(error) => return Ok(Err(error)),
        }
    }
}

/// Entries that were given piece by piece, each beyond the one before.
pub(crate) struct Gathered {
    order: Order,
    pub(crate) entries: Vec<Entry>,
}

impl Gathered {
    pub(crate) const fn new(order: Order) -> Self {
        Self {
            order,
            entries: Vec::new(),
        }
    }

    /// Adds a piece; the promise is broken if it goes back.
    pub(crate) fn add(&mut self, piece: Vec<Entry>) -> Trial {
        for entry in piece {
            if let Some(last) = self.entries.last() {
                let goes_on = match self.order {
                    Order::Ascending => entry.key > last.key,
                    Order::Descending => entry.key < last.key,
                };
                ensure(goes_on, || {
                    format!("{:?} was given after {:?}", entry.key, last.key)
                })?;
            }
            self.entries.push(entry);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use windlass_store::{Incarnation, Version};

    use super::*;
    use crate::verdict::Stop;

    fn entries(keys: &[&'static str]) -> Vec<Entry> {
        let version = Version::new(Incarnation::from_number(1), 1);
        let entry = |key: &&'static str| Entry {
            key: (*key).into(),
            value: "".into(),
            version,
        };
        keys.iter().map(entry).collect()
    }

    #[test]
    fn pieces_that_go_on_are_gathered() {
        let mut gathered = Gathered::new(Order::Descending);
        gathered.add(entries(&["d", "c"])).unwrap();
        gathered.add(entries(&[])).unwrap();
        gathered.add(entries(&["a"])).unwrap();
        assert_eq!(gathered.entries, entries(&["d", "c", "a"]));
    }

    #[test]
    fn a_piece_that_comes_again_breaks_the_promise() {
        let mut gathered = Gathered::new(Order::Ascending);
        gathered.add(entries(&["a", "b"])).unwrap();
        match gathered.add(entries(&["a", "b"])) {
            Err(Stop::Broken(detail)) => assert_eq!(detail, "b\"a\" was given after b\"b\""),
            other => panic!("{other:?}"),
        }
    }
}
