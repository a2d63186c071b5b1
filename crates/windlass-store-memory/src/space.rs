//! The rows of a memory store, and what running exports still need of the
//! rows that were replaced.
//!
//! Invariant: a key of a view's range had a row when the view was taken if
//! and only if its row is in the view's `replaced`, or it has a row now whose
//! stamp is not above the view's. Never both.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use windlass_store::{Batch, Check, Commit, Expect, Incarnation, KeyRange, Version, Write, seal};

/// A stored value.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// The number of the commit that wrote it.
    pub(crate) stamp: u64,
    /// Its value inside a seal.
    pub(crate) sealed: Bytes,
}

/// Names one view of a space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ViewId(u64);

/// An ordered set of rows, as it is now and as running exports saw it.
#[derive(Debug, Default)]
pub(crate) struct Space {
    rows: BTreeMap<Bytes, Row>,
    /// The number of the last commit.
    stamp: u64,
    views: BTreeMap<ViewId, View>,
    next_view: u64,
}

/// The point in time an export shows.
#[derive(Debug)]
struct View {
    range: KeyRange,
    stamp: u64,
    replaced: BTreeMap<Bytes, Row>,
}

impl Space {
    /// How many rows there are now.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// How many views are kept.
    pub(crate) fn views(&self) -> usize {
        self.views.len()
    }

    /// The rows of `range` as they are now, lowest key first.
    pub(crate) fn rows(&self, range: &KeyRange) -> impl DoubleEndedIterator<Item = (&Bytes, &Row)> {
        within(&self.rows, range)
    }

    /// Decides a valid batch and applies it if all its checks hold.
    pub(crate) fn commit(&mut self, incarnation: Incarnation, batch: &Batch) -> Commit {
        if let Some(check) = batch
            .checks
            .iter()
            .find(|check| !self.holds(incarnation, check))
        {
            return Commit::Conflict {
                key: check.key.clone(),
            };
        }
        self.stamp += 1;
        for write in &batch.writes {
            self.apply(write);
        }
        Commit::Applied(Version::new(incarnation, self.stamp))
    }

    fn holds(&self, incarnation: Incarnation, check: &Check) -> bool {
        let row = self.rows.get(&check.key);
        match check.expect {
            Expect::Absent => row.is_none(),
            Expect::Present => row.is_some(),
            Expect::Version(version) => {
                row.is_some_and(|row| Version::new(incarnation, row.stamp) == version)
            }
        }
    }

    fn apply(&mut self, write: &Write) {
        // Keys are copied: a shared slice would keep alive the buffer it is cut from.
        let replaced = match write {
            Write::Put { key, value } => {
                let sealed = seal::seal(key, self.stamp, value).into();
                let row = Row {
                    stamp: self.stamp,
                    sealed,
                };
                self.rows.insert(Bytes::copy_from_slice(key), row)
            }
            Write::Delete { key } => self.rows.remove(key),
        };
        let Some(row) = replaced else { return };
        for view in self.views.values_mut() {
            if row.stamp <= view.stamp && view.range.contains(write.key()) {
                view.replaced
                    .insert(Bytes::copy_from_slice(write.key()), row.clone());
            }
        }
    }

    /// Keeps `range` readable as it is now until [`Space::forget`].
    pub(crate) fn view(&mut self, range: KeyRange) -> ViewId {
        let id = ViewId(self.next_view);
        self.next_view += 1;
        self.views.insert(
            id,
            View {
                range,
                stamp: self.stamp,
                replaced: BTreeMap::new(),
            },
        );
        id
    }

    /// Lets go of a view.
    pub(crate) fn forget(&mut self, id: ViewId) {
        self.views.remove(&id);
    }

    /// The rows of `rest` as they were when the view was taken; nothing for a
    /// view that was let go. `rest` must lie within the range of the view.
    pub(crate) fn rows_of_view<'a>(
        &'a self,
        id: ViewId,
        rest: &'a KeyRange,
    ) -> impl Iterator<Item = (&'a Bytes, &'a Row)> {
        self.views.get(&id).into_iter().flat_map(|view| {
            let unchanged = self.rows(rest).filter(|(_, row)| row.stamp <= view.stamp);
            merge(unchanged, within(&view.replaced, rest))
        })
    }
}

/// The part of `rows` in `range`; a map refuses bounds that are out of order.
fn within<'a>(
    rows: &'a BTreeMap<Bytes, Row>,
    range: &KeyRange,
) -> impl DoubleEndedIterator<Item = (&'a Bytes, &'a Row)> + use<'a> {
    let start = Bound::Included(range.start.clone());
    let end = range.end.clone().map_or(Bound::Unbounded, Bound::Excluded);
    let rows = if range.is_empty() {
        None
    } else {
        Some(rows.range((start, end)))
    };
    rows.into_iter().flatten()
}

/// Two lists in key order as one. No key is in both.
fn merge<'a>(
    left: impl Iterator<Item = (&'a Bytes, &'a Row)>,
    right: impl Iterator<Item = (&'a Bytes, &'a Row)>,
) -> impl Iterator<Item = (&'a Bytes, &'a Row)> {
    let (mut left, mut right) = (left.peekable(), right.peekable());
    std::iter::from_fn(move || match (left.peek(), right.peek()) {
        (Some((key, _)), Some((other, _))) if other < key => right.next(),
        (Some(_), _) => left.next(),
        (None, _) => right.next(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space() -> Space {
        let mut space = Space::default();
        commit(
            &mut space,
            &Batch::new().put("a", "1").put("b", "1").put("c", "1"),
        );
        space
    }

    fn commit(space: &mut Space, batch: &Batch) {
        let commit = space.commit(Incarnation::from_number(1), batch);
        assert!(matches!(commit, Commit::Applied(_)), "{commit:?}");
    }

    /// The keys that are kept for a view beside the rows there are.
    fn kept(space: &Space, id: ViewId) -> Vec<&Bytes> {
        space.views[&id].replaced.keys().collect()
    }

    fn shown(space: &Space, id: ViewId, range: &KeyRange) -> Vec<(Bytes, u64)> {
        space
            .rows_of_view(id, range)
            .map(|(key, row)| (key.clone(), row.stamp))
            .collect()
    }

    #[test]
    fn a_view_keeps_only_what_was_replaced_since() {
        let mut space = space();
        let view = space.view(KeyRange::all());
        assert_eq!(kept(&space, view), Vec::<&Bytes>::new());
        commit(
            &mut space,
            &Batch::new().put("a", "2").delete("b").put("d", "2"),
        );
        commit(
            &mut space,
            &Batch::new().put("a", "3").put("b", "3").delete("d"),
        );
        assert_eq!(kept(&space, view), ["a", "b"]);
        let expected = ["a", "b", "c"].map(|key| (Bytes::from(key), 1));
        assert_eq!(shown(&space, view, &KeyRange::all()), expected);
    }

    #[test]
    fn a_view_keeps_nothing_from_outside_its_range() {
        let mut space = space();
        let view = space.view(KeyRange::prefix("b"));
        commit(
            &mut space,
            &Batch::new().delete("a").delete("b").delete("c"),
        );
        assert_eq!(kept(&space, view), ["b"]);
    }

    #[test]
    fn views_of_different_times_each_keep_their_own() {
        let mut space = space();
        let first = space.view(KeyRange::all());
        commit(&mut space, &Batch::new().put("a", "2"));
        let second = space.view(KeyRange::all());
        commit(&mut space, &Batch::new().delete("a"));
        let a = KeyRange::point("a");
        let stamps = [first, second].map(|view| shown(&space, view, &a));
        assert_eq!(stamps, [[("a".into(), 1)], [("a".into(), 2)]]);
    }

    #[test]
    fn a_view_that_is_let_go_keeps_nothing_and_shows_nothing() {
        let mut space = space();
        let view = space.view(KeyRange::all());
        space.forget(view);
        commit(&mut space, &Batch::new().delete("a"));
        assert_eq!(space.views(), 0);
        assert_eq!(shown(&space, view, &KeyRange::all()), []);
    }
}
