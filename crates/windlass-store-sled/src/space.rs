//! What readers see: sled's rows, and what was kept of those that changed.
//!
//! sled has no snapshots. So whoever changes rows first keeps the heads they
//! replace, for every view that still shows them: that of the readers, which
//! shows what is on the disk and nothing else, and that of each open export.
//!
//! Invariant: a key of a view's range had an entry when the view was taken if
//! and only if its head is in the view's `kept`, or sled has a head for it now
//! whose stamp is not above the view's. Never both. It holds whenever the lock
//! around the space is free. Pieces are never replaced, and removed only
//! when no view shows a head that needs them.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use windlass_store::{KeyRange, Order};

use crate::engine::Engine;
use crate::error::Failure;
use crate::limits::EXPORTS_MAX;
use crate::row::{self, Head};

/// Names an open export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ExportId(u64);

/// The rows, as they are on the disk and as open exports saw them.
pub(crate) struct Space {
    engine: Engine,
    settled: View,
    exports: BTreeMap<ExportId, View>,
    next_export: u64,
    export_kept_bytes_max: usize,
}

/// A point in time.
#[derive(Debug)]
struct View {
    range: KeyRange,
    stamp: u64,
    kept: BTreeMap<Bytes, Head>,
    kept_bytes: usize,
    /// Whether more would have had to be kept than is allowed.
    lost: bool,
}

impl View {
    const fn new(range: KeyRange, stamp: u64) -> Self {
        Self {
            range,
            stamp,
            kept: BTreeMap::new(),
            kept_bytes: 0,
            lost: false,
        }
    }

    /// Keeps a head that is going to be replaced, if the view shows it.
    fn keep(&mut self, head: &Head, bytes_max: usize) {
        if self.lost || head.stamp > self.stamp || !self.range.contains(&head.key) {
            return;
        }
        self.kept_bytes += head.kept_bytes();
        if self.kept_bytes > bytes_max {
            self.lost = true;
            self.kept.clear();
        } else {
            self.kept.insert(head.key.clone(), head.clone());
        }
    }
}

impl Space {
    pub(crate) fn new(engine: Engine, stamp: u64, export_kept_bytes_max: usize) -> Self {
        Self {
            engine,
            settled: View::new(KeyRange::all(), stamp),
            exports: BTreeMap::new(),
            next_export: 0,
            export_kept_bytes_max,
        }
    }

    /// sled itself.
    pub(crate) const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Changes rows that replace `heads`. Nobody sees the change before
    /// [`Space::settle`].
    pub(crate) fn change<'h>(
        &mut self,
        heads: impl Iterator<Item = &'h Head>,
        batch: sled::Batch,
    ) -> Result<(), Failure> {
        for head in heads {
            // What one group replaces is bounded by the group.
            self.settled.keep(head, usize::MAX);
            for view in self.exports.values_mut() {
                view.keep(head, self.export_kept_bytes_max);
            }
        }
        self.engine.apply(batch)
    }

    /// Shows everything that was changed so far.
    pub(crate) fn settle(&mut self, stamp: u64) {
        self.settled = View::new(KeyRange::all(), stamp);
    }

    /// Keeps `range` readable as it is now until [`Space::end_export`].
    pub(crate) fn begin_export(&mut self, range: KeyRange) -> Result<ExportId, Failure> {
        if self.exports.len() >= EXPORTS_MAX {
            let context = format!("{EXPORTS_MAX} exports are open, as many as are allowed");
            return Err(Failure::unavailable(context));
        }
        let id = ExportId(self.next_export);
        self.next_export += 1;
        let mut view = View::new(range, self.settled.stamp);
        for head in self.settled.kept.values() {
            view.keep(head, self.export_kept_bytes_max);
        }
        self.exports.insert(id, view);
        Ok(id)
    }

    /// Lets go of what was kept for an export.
    pub(crate) fn end_export(&mut self, id: ExportId) {
        self.exports.remove(&id);
    }

    /// How many exports are open.
    pub(crate) fn exports(&self) -> usize {
        self.exports.len()
    }

    /// The heads of `range` that are on the disk.
    pub(crate) fn heads(
        &self,
        range: &KeyRange,
        order: Order,
    ) -> Box<dyn Iterator<Item = Result<Head, Failure>> + '_> {
        self.heads_of(&self.settled, range, order)
    }

    /// The heads of `rest` that an export shows, which must lie within its
    /// range.
    pub(crate) fn heads_of_export(
        &self,
        id: ExportId,
        rest: &KeyRange,
    ) -> Result<Box<dyn Iterator<Item = Result<Head, Failure>> + '_>, Failure> {
        match self.exports.get(&id) {
            Some(view) if !view.lost => Ok(self.heads_of(view, rest, Order::Ascending)),
            _ => {
                let bytes = self.export_kept_bytes_max;
                Err(Failure::unavailable(format!(
                    "more than {bytes} bytes changed while the export was open"
                )))
            }
        }
    }

    fn heads_of<'a>(
        &'a self,
        view: &'a View,
        range: &KeyRange,
        order: Order,
    ) -> Box<dyn Iterator<Item = Result<Head, Failure>> + 'a> {
        if range.is_empty() {
            return Box::new(std::iter::empty());
        }
        let rows = self.engine.rows(row::head_range(range)).map(parse);
        let stamp = view.stamp;
        let shown = move |head: &Result<Head, Failure>| {
            head.as_ref().map_or(true, |head| head.stamp <= stamp)
        };
        let kept = within(&view.kept, range).map(|(_, head)| Ok(head.clone()));
        match order {
            Order::Ascending => Box::new(merge(rows.filter(shown), kept, Ordering::Less)),
            Order::Descending => Box::new(merge(
                rows.rev().filter(shown),
                kept.rev(),
                Ordering::Greater,
            )),
        }
    }

    /// The head of one key that is on the disk.
    pub(crate) fn head(&self, key: &Bytes) -> Result<Option<Head>, Failure> {
        if let Some(head) = self.settled.kept.get(key) {
            return Ok(Some(head.clone()));
        }
        let head = find(&self.engine, key)?;
        Ok(head.filter(|head| head.stamp <= self.settled.stamp))
    }

    /// The value of a head.
    pub(crate) fn value(&self, head: &Head) -> Result<Bytes, Failure> {
        head.open(|key| self.engine.get(key))
    }
}

/// The head that sled has for a key now.
pub(crate) fn find(engine: &Engine, key: &Bytes) -> Result<Option<Head>, Failure> {
    let stored = engine.get(&row::head_key(key))?;
    stored
        .map(|stored| Head::parse(key.clone(), &stored))
        .transpose()
}

/// The head in a row.
pub(crate) fn parse(row: Result<(Bytes, Bytes), Failure>) -> Result<Head, Failure> {
    let (key, stored) = row?;
    let Some(key) = row::entry_key(&key) else {
        return Err(Failure::corrupt("a stored key or version is damaged"));
    };
    Head::parse(key, &stored)
}

/// The part of `kept` in a range that is not empty.
fn within<'a>(
    kept: &'a BTreeMap<Bytes, Head>,
    range: &KeyRange,
) -> impl DoubleEndedIterator<Item = (&'a Bytes, &'a Head)> + use<'a> {
    let start = Bound::Included(range.start.clone());
    let end = range.end.clone().map_or(Bound::Unbounded, Bound::Excluded);
    kept.range((start, end))
}

/// Two lists of heads as one, both in the order in which the first of two
/// keys compares `first` to the second. No key is in both.
fn merge<'a>(
    rows: impl Iterator<Item = Result<Head, Failure>> + 'a,
    kept: impl Iterator<Item = Result<Head, Failure>> + 'a,
    first: Ordering,
) -> impl Iterator<Item = Result<Head, Failure>> + 'a {
    let (mut rows, mut kept) = (rows.peekable(), kept.peekable());
    std::iter::from_fn(move || match (rows.peek(), kept.peek()) {
        (Some(Ok(row)), Some(Ok(head))) if head.key.cmp(&row.key) == first => kept.next(),
        (Some(_), _) => rows.next(),
        (None, _) => kept.next(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Files;
    use crate::options::Options;
    use crate::row::Sealed;

    struct Base {
        space: Space,
        stamp: u64,
        _directory: tempfile::TempDir,
    }

    impl Base {
        /// A space in which commit 1 has put `a`, `b` and `c`.
        fn new() -> Self {
            let directory = tempfile::tempdir().expect("a temporary directory can be made");
            let files = Files::within(directory.path().to_owned());
            let engine = Engine::open(&files, &Options::default()).expect("sled opens");
            let mut base = Self {
                space: Space::new(engine, 0, 10_000),
                stamp: 0,
                _directory: directory,
            };
            base.change(&["a", "b", "c"], &[]);
            base.space.settle(1);
            base
        }

        /// Puts and deletes keys as the next commit.
        fn change(&mut self, puts: &[&'static str], deletes: &[&'static str]) {
            self.stamp += 1;
            let mut batch = sled::Batch::default();
            for key in puts {
                let sealed = Sealed::new(key.as_bytes(), b"1", self.stamp, 0, 100);
                batch.insert(row::head_key(key.as_bytes()), sealed.head.to_bytes());
            }
            for key in deletes {
                batch.remove(row::head_key(key.as_bytes()));
            }
            let changed = puts.iter().chain(deletes);
            let old = changed.filter_map(|key| {
                let key = Bytes::from_static(key.as_bytes());
                find(self.space.engine(), &key).expect("it can be read")
            });
            let old: Vec<_> = old.collect();
            let changed = self.space.change(old.iter(), batch);
            changed.expect("sled changes its rows");
        }

        /// Keys and stamps that readers see.
        fn shown(&self, order: Order) -> Vec<(Bytes, u64)> {
            listed(self.space.heads(&KeyRange::all(), order))
        }

        fn exported(&self, id: ExportId) -> Vec<(Bytes, u64)> {
            let heads = self.space.heads_of_export(id, &KeyRange::all());
            listed(heads.expect("it is kept"))
        }
    }

    fn listed(heads: impl Iterator<Item = Result<Head, Failure>>) -> Vec<(Bytes, u64)> {
        let pair = |head: Result<Head, Failure>| {
            let head = head.expect("it can be read");
            (head.key, head.stamp)
        };
        heads.map(pair).collect()
    }

    fn pairs(pairs: &[(&'static str, u64)]) -> Vec<(Bytes, u64)> {
        let pair = |(key, stamp): &(&'static str, u64)| (Bytes::from(*key), *stamp);
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn what_is_not_on_the_disk_yet_is_not_shown() {
        let mut base = Base::new();
        let before = pairs(&[("a", 1), ("b", 1), ("c", 1)]);
        base.change(&["a", "ab", "d"], &["b"]);
        assert_eq!(base.shown(Order::Ascending), before);
        let mut backwards = base.shown(Order::Descending);
        backwards.reverse();
        assert_eq!(backwards, before);
        let stamp = |base: &Base, key: &'static str| {
            let head = base.space.head(&key.into()).expect("it can be read");
            head.map(|head| head.stamp)
        };
        let points = ["a", "ab", "b", "d"].map(|key| stamp(&base, key));
        assert_eq!(points, [Some(1), None, Some(1), None]);

        base.space.settle(2);
        let after = pairs(&[("a", 2), ("ab", 2), ("c", 1), ("d", 2)]);
        assert_eq!(base.shown(Order::Ascending), after);
        let points = ["a", "ab", "b", "d"].map(|key| stamp(&base, key));
        assert_eq!(points, [Some(2), Some(2), None, Some(2)]);
    }

    #[test]
    fn an_export_that_begins_before_a_commit_is_on_the_disk_does_not_show_it() {
        let mut base = Base::new();
        base.change(&["a"], &["b"]);
        let export = base
            .space
            .begin_export(KeyRange::all())
            .expect("there is room");
        base.space.settle(2);
        base.change(&["a", "b"], &["c"]);
        base.space.settle(3);
        let before = pairs(&[("a", 1), ("b", 1), ("c", 1)]);
        assert_eq!(base.exported(export), before);
        base.space.end_export(export);
        assert_eq!(base.space.exports(), 0);
    }

    #[test]
    fn an_export_keeps_nothing_from_outside_its_range_or_after_its_time() {
        let mut base = Base::new();
        let range = KeyRange::prefix("b");
        let export = base.space.begin_export(range).expect("there is room");
        for stamp in 2..5 {
            base.change(&["a", "b", "ba"], &[]);
            base.space.settle(stamp);
        }
        let kept: Vec<_> = base.space.exports[&export].kept.keys().collect();
        assert_eq!(kept, ["b"]);
    }
}
