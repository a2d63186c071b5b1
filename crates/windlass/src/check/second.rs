//! The second pass: which links do not fit, and which references are met.
//!
//! A link is kept in mind from its first side until its other one comes, which
//! may be nearly a whole pass. Where that would be too many, some of the sums
//! are left to another pass: of those that stay, every link is known.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use windlass_store::check::Notes;

use super::passes::Pass;
use super::tally::{References, Tally};

/// Links that are kept in mind at a time: 40 MiB or so.
const SIDES_MAX: usize = 1 << 17;

/// By row, the records that a link is about one side of which may be missing.
pub(super) type Suspects = BTreeMap<Bytes, Vec<Bytes>>;

/// What a second pass knows.
pub(super) struct Second {
    open: HashSet<usize>,
    pub(super) references: References,
    /// Whether references are gathered instead of met.
    pub(super) gathers: bool,
    /// By row, those whose sides do not even out.
    sides: BTreeMap<(Bytes, Bytes), i64>,
    pub(super) links: Suspects,
    /// Sums that are left to another pass.
    pub(super) later: HashSet<usize>,
    sides_max: usize,
}

impl Second {
    pub(super) fn new(open: HashSet<usize>, references: References) -> Self {
        Self {
            open,
            references,
            gathers: false,
            sides: BTreeMap::new(),
            links: BTreeMap::new(),
            later: HashSet::new(),
            sides_max: SIDES_MAX,
        }
    }

    fn side(&mut self, by: &[Bytes], row: Bytes, value: Bytes, side: i64) {
        if !self.open.contains(&Tally::bucket(&row)) {
            return;
        }
        let sum = self.sides.entry((row.clone(), value.clone())).or_insert(0);
        *sum += side;
        if *sum == 0 {
            self.sides.remove(&(row.clone(), value));
            let others = (row.clone(), Bytes::new())..;
            let other = self.sides.range(others).next();
            if other.is_none_or(|((other, _), _)| *other != row) {
                self.links.remove(&row);
            }
            return;
        }
        self.links.insert(row, by.to_vec());
        while self.sides.len() > self.sides_max && self.open.len() > 1 {
            self.shrink();
        }
    }

    /// Leaves half of the sums to another pass, with all that is kept of them.
    fn shrink(&mut self) {
        let mut open: Vec<usize> = self.open.drain().collect();
        open.sort_unstable();
        self.later.extend(open.split_off(open.len() / 2));
        self.open.extend(open);
        let open = &self.open;
        self.sides
            .retain(|(row, _), _| open.contains(&Tally::bucket(row)));
        self.links
            .retain(|row, _| open.contains(&Tally::bucket(row)));
    }
}

impl Notes for Second {
    fn demand(&mut self, by: &[Bytes], row: Bytes, value: Bytes) {
        self.side(by, row, value, 1);
    }

    fn found(&mut self, by: &[Bytes], row: Bytes, value: Bytes) {
        self.side(by, row, value, -1);
    }

    fn refer(&mut self, _: &Bytes, to: Bytes) {
        if self.gathers {
            self.references.refer(&to);
        }
    }

    fn wrong(&mut self, _: &Bytes, _: &'static str) {}

    fn miscounted(&mut self, _: &Bytes, _: &'static str, _: Bytes, _: Bytes) {}

    fn unsettled(&mut self) {}
}

impl Pass for Second {
    fn meet(&mut self, key: &Bytes) {
        if !self.gathers {
            self.references.meet(key);
        }
    }

    fn wants_auditors(&self) -> bool {
        self.gathers || !self.open.is_empty()
    }

    fn told(&mut self) -> Vec<(Bytes, &'static str)> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: u64) -> Bytes {
        Bytes::from(format!("row/{number:08}"))
    }

    /// All rows demanded before any is found, in passes with little memory.
    #[test]
    fn what_does_not_fit_at_once_is_left_to_another_pass_and_none_is_told_wrongly() {
        const ROWS: u64 = 2_000;
        let lost = [7, 1_000];
        let mut open: HashSet<usize> = (0..ROWS).map(|at| Tally::bucket(&row(at))).collect();
        let (mut found, mut passes, mut most) = (Vec::new(), 0, 0);
        while !open.is_empty() {
            let mut pass = Second::new(open, References::new(0, 1));
            pass.sides_max = 100;
            let by = [Bytes::from_static(b"record")];
            for at in 0..ROWS {
                pass.demand(&by, row(at), Bytes::new());
                most = most.max(pass.sides.len()).max(pass.links.len());
            }
            for at in (0..ROWS).filter(|at| !lost.contains(at)) {
                pass.found(&by, row(at), Bytes::new());
            }
            found.extend(pass.links.into_keys());
            open = pass.later;
            passes += 1;
        }
        found.sort();
        assert_eq!(found, lost.map(row));
        assert!(most <= 101, "{most} in mind");
        assert!((20..64).contains(&passes), "{passes} passes");
    }
}
