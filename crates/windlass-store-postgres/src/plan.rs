//! A group of batches as the lists that the server's function takes.
//!
//! Batches that have no key in common, or only look at it, are decided side
//! by side: one wave. A batch that writes a key that an earlier one touches,
//! or touches one that it writes, comes in a later wave.

use std::collections::HashMap;

use bytes::Bytes;
use tokio_postgres::types::{ToSql, Type};

use crate::limits::GROUP_WAVES_MAX;
use crate::prepared::{Change, Prepared, Touch};

/// Which wave each batch of a group is in, from 0.
#[derive(Debug, Default)]
pub(crate) struct Waves<'b> {
    keys: HashMap<&'b Bytes, Touched>,
}

/// The first wave in which a key is free again.
#[derive(Clone, Copy, Debug, Default)]
struct Touched {
    /// For those who only look at it.
    for_checks: usize,
    for_writes: usize,
}

impl<'b> Waves<'b> {
    /// The wave of the next batch; `None` if it would be one too many, and
    /// then of no batch that comes after it either.
    pub(crate) fn place(&mut self, batch: &'b Prepared) -> Option<usize> {
        let wave = batch.touches.iter().map(|touch| self.earliest(touch)).max();
        let wave = wave.unwrap_or(0);
        if wave >= GROUP_WAVES_MAX {
            return None;
        }
        for touch in &batch.touches {
            let touched = self.keys.entry(&touch.key).or_default();
            touched.for_writes = touched.for_writes.max(wave + 1);
            if touch.change.is_some() {
                touched.for_checks = touched.for_checks.max(wave + 1);
            }
        }
        Some(wave)
    }

    fn earliest(&self, touch: &Touch) -> usize {
        let touched = self.keys.get(&touch.key).copied().unwrap_or_default();
        match touch.change {
            Some(_) => touched.for_writes,
            None => touched.for_checks,
        }
    }
}

/// The lists, one value a row.
#[derive(Debug, Default)]
pub(crate) struct Plan<'b> {
    waves: i32,
    checks: Vec<i32>,
    new: Vec<i32>,
    updates: Vec<i32>,
    deletes: Vec<i32>,
    l: Looks<'b>,
    n: Puts<'b>,
    u: Puts<'b>,
    d: Deletes<'b>,
}

/// Which rows are locked first, in the order of keys. Those that are written
/// without a check are found by the insert if they are in its way; to look for
/// them before costs a look-up for each, and is needed only where somebody
/// else has one locked at that moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Locking {
    Checked,
    All,
}

/// Rows of keys that are locked.
#[derive(Debug, Default)]
struct Looks<'b> {
    wave: Vec<i32>,
    batch: Vec<i32>,
    place: Vec<i32>,
    key: Vec<&'b [u8]>,
    expect: Vec<Option<i64>>,
    put: Vec<bool>,
}

/// Rows of keys that are deleted.
#[derive(Debug, Default)]
struct Deletes<'b> {
    wave: Vec<i32>,
    batch: Vec<i32>,
    key: Vec<&'b [u8]>,
}

/// Rows of keys with what they are to hold.
#[derive(Debug, Default)]
struct Puts<'b> {
    wave: Vec<i32>,
    batch: Vec<i32>,
    place: Vec<i32>,
    key: Vec<&'b [u8]>,
    version: Vec<i64>,
    crc: Vec<i64>,
    value: Vec<Option<&'b [u8]>>,
}

/// One row of a group, and whose it is.
struct Placed<'b> {
    wave: usize,
    batch: i32,
    number: i64,
    touch: &'b Touch,
}

impl<'b> Plan<'b> {
    /// The lists for batches, each with its wave.
    pub(crate) fn new(
        group: impl Iterator<Item = (usize, &'b Prepared)>,
        locking: Locking,
    ) -> Self {
        let mut rows: Vec<Placed<'b>> = Vec::new();
        for ((wave, prepared), batch) in group.zip(0..) {
            rows.extend(prepared.touches.iter().map(|touch| Placed {
                wave,
                batch,
                number: prepared.number,
                touch,
            }));
        }
        rows.sort_by(|one, other| one.touch.key.cmp(&other.touch.key));
        let waves = rows.iter().map(|row| row.wave + 1).max().unwrap_or(0);
        let mut plan = Self {
            waves: number(waves),
            checks: vec![0; waves],
            new: vec![0; waves],
            updates: vec![0; waves],
            deletes: vec![0; waves],
            ..Self::default()
        };
        for row in rows {
            plan.add(&row, locking);
        }
        plan
    }

    fn add(&mut self, row: &Placed<'b>, locking: Locking) {
        let check = row.touch.check;
        let is_found = check.is_some_and(|check| check.expect.is_some());
        if is_found {
            self.checks[row.wave] += 1;
        }
        if is_found || (check.is_none() && locking == Locking::All) {
            self.l.push(row);
        }
        if row.touch.change.is_some() && !is_found {
            self.new[row.wave] += 1;
            self.n.push(row);
        }
        match row.touch.change {
            Some(Change::Put { .. }) if is_found => {
                self.updates[row.wave] += 1;
                self.u.push(row);
            }
            Some(Change::Delete) => {
                self.deletes[row.wave] += 1;
                self.d.push(row);
            }
            _ => {}
        }
    }

    /// The parameters of [`call`], after the first two.
    pub(crate) fn parameters(&self) -> [(&(dyn ToSql + Sync), Type); 27] {
        use Type as T;
        let (l, n, u, d) = (&self.l, &self.n, &self.u, &self.d);
        [
            (&self.waves, T::INT4),
            (&self.checks, T::INT4_ARRAY),
            (&self.new, T::INT4_ARRAY),
            (&self.updates, T::INT4_ARRAY),
            (&self.deletes, T::INT4_ARRAY),
            (&l.wave, T::INT4_ARRAY),
            (&l.batch, T::INT4_ARRAY),
            (&l.place, T::INT4_ARRAY),
            (&l.key, T::BYTEA_ARRAY),
            (&l.expect, T::INT8_ARRAY),
            (&l.put, T::BOOL_ARRAY),
            (&n.wave, T::INT4_ARRAY),
            (&n.batch, T::INT4_ARRAY),
            (&n.place, T::INT4_ARRAY),
            (&n.key, T::BYTEA_ARRAY),
            (&n.version, T::INT8_ARRAY),
            (&n.crc, T::INT8_ARRAY),
            (&n.value, T::BYTEA_ARRAY),
            (&u.wave, T::INT4_ARRAY),
            (&u.batch, T::INT4_ARRAY),
            (&u.key, T::BYTEA_ARRAY),
            (&u.version, T::INT8_ARRAY),
            (&u.crc, T::INT8_ARRAY),
            (&u.value, T::BYTEA_ARRAY),
            (&d.wave, T::INT4_ARRAY),
            (&d.batch, T::INT4_ARRAY),
            (&d.key, T::BYTEA_ARRAY),
        ]
    }
}

impl<'b> Looks<'b> {
    fn push(&mut self, row: &Placed<'b>) {
        self.wave.push(number(row.wave + 1));
        self.batch.push(row.batch);
        self.place
            .push(row.touch.check.map_or(0, |check| check.place));
        self.key.push(&row.touch.key);
        self.expect
            .push(row.touch.check.and_then(|check| check.expect));
        let put = matches!(row.touch.change, Some(Change::Put { .. }));
        self.put.push(put);
    }
}

impl<'b> Deletes<'b> {
    fn push(&mut self, row: &Placed<'b>) {
        self.wave.push(number(row.wave + 1));
        self.batch.push(row.batch);
        self.key.push(&row.touch.key);
    }
}

impl<'b> Puts<'b> {
    fn push(&mut self, row: &Placed<'b>) {
        let (crc, value) = match &row.touch.change {
            Some(Change::Put { crc, sealed }) => (*crc, Some(sealed.as_slice())),
            _ => (0, None),
        };
        self.wave.push(number(row.wave + 1));
        self.batch.push(row.batch);
        self.place
            .push(row.touch.check.map_or(0, |check| check.place));
        self.key.push(&row.touch.key);
        self.version.push(row.number);
        self.crc.push(crc);
        self.value.push(value);
    }
}

/// The statement that commits a group.
pub(crate) fn call(quoted_schema: &str) -> String {
    let places: Vec<_> = (1..=29).map(|place| format!("${place}")).collect();
    format!(
        "SELECT * FROM {quoted_schema}.commit({})",
        places.join(", ")
    )
}

fn number(count: usize) -> i32 {
    i32::try_from(count).expect("a group is far smaller")
}

#[cfg(test)]
mod tests {
    use windlass_store::{Batch, Expect};

    use super::*;

    fn prepared(batches: &[Batch]) -> Vec<Prepared> {
        let numbered = batches.iter().zip(1..);
        numbered
            .map(|(batch, number)| Prepared::new(batch, number, 7))
            .collect()
    }

    fn waves(batches: &[Batch]) -> Vec<Option<usize>> {
        let prepared = prepared(batches);
        let mut waves = Waves::default();
        prepared.iter().map(|batch| waves.place(batch)).collect()
    }

    fn sees(key: &'static str) -> Batch {
        Batch::new().check(key, Expect::Present)
    }

    #[test]
    fn batches_with_no_key_in_common_are_side_by_side() {
        let batches = [
            sees("x").put("a", ""),
            sees("x").put("b", ""),
            sees("x").delete("c"),
        ];
        assert_eq!(waves(&batches), [Some(0), Some(0), Some(0)]);
    }

    #[test]
    fn whoever_writes_what_others_touch_comes_later() {
        let put = |key: &'static str| Batch::new().put(key, "");
        let batches = [
            sees("x").put("a", ""),
            put("x"),
            sees("x"),
            put("a"),
            put("x"),
            sees("y"),
        ];
        let expected = [Some(0), Some(1), Some(2), Some(1), Some(3), Some(0)];
        assert_eq!(waves(&batches), expected);
    }

    #[test]
    fn a_batch_beyond_the_last_wave_has_no_place() {
        let batches = vec![Batch::new().put("a", ""); GROUP_WAVES_MAX + 1];
        let mut expected: Vec<_> = (0..GROUP_WAVES_MAX).map(Some).collect();
        expected.push(None);
        assert_eq!(waves(&batches), expected);
    }

    #[test]
    fn keys_are_in_the_lists_of_what_may_happen_to_them() {
        let batch = sees("seen")
            .check("made", Expect::Absent)
            .check("changed", Expect::Present)
            .check("ended", Expect::Present)
            .put("made", "1")
            .put("changed", "1")
            .put("blind", "1")
            .delete("ended")
            .delete("gone");
        let prepared = prepared(&[batch]);
        let text = |keys: &[&[u8]]| -> Vec<String> {
            let keys = keys
                .iter()
                .map(|key| String::from_utf8_lossy(key).into_owned());
            keys.collect()
        };
        let group = || prepared.iter().map(|batch| (0, batch));
        let plan = Plan::new(group(), Locking::Checked);
        assert_eq!(text(&plan.l.key), ["changed", "ended", "seen"]);
        assert_eq!(plan.l.place, [3, 4, 1]);
        assert_eq!(plan.l.put, [true, false, false]);
        assert_eq!(text(&plan.n.key), ["blind", "gone", "made"]);
        assert_eq!(plan.n.place, [0, 0, 2]);
        assert_eq!(text(&plan.u.key), ["changed"]);
        assert_eq!(text(&plan.d.key), ["ended", "gone"]);
        let counts = [&plan.checks, &plan.new, &plan.updates, &plan.deletes];
        assert_eq!(counts, [&vec![3], &vec![3], &vec![1], &vec![2]]);
        let careful = Plan::new(group(), Locking::All);
        let locked = ["blind", "changed", "ended", "gone", "seen"];
        assert_eq!(text(&careful.l.key), locked);
    }
}
