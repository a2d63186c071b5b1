//! A disk that remembers what was written to it, and what it may hold after
//! the power failed.

use windlass_store_testing::Random;

use crate::sessions::SESSIONS;

/// What a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;
/// Sectors at the beginning of the disk of which a write survives as a whole
/// or not at all. They are the first block of ext4, with its superblock, which
/// it writes outside its journal: torn, nothing can be mounted any more.
const SECTORS_WRITTEN_WHOLE: usize = 8;

/// Something that happened to a disk, or beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Bytes were written.
    Write {
        /// Where the first one is.
        offset: usize,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Everything written so far was made durable.
    Flush,
    /// A commit of a session was answered.
    Acknowledged {
        /// The session.
        session: usize,
        /// The number of its commit.
        number: u64,
    },
}

/// What becomes of the sectors that were written after the last flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// None is there.
    Lost,
    /// All are there.
    Kept,
    /// Of each write all or none.
    Writes,
    /// Each for itself, whichever write it is of.
    Sectors,
}

const FATES: [Fate; 4] = [Fate::Lost, Fate::Kept, Fate::Writes, Fate::Sectors];

/// A disk with a memory.
#[derive(Debug)]
pub(super) struct Medium {
    /// What it held when recording began.
    start: Vec<u8>,
    now: Vec<u8>,
    events: Vec<Event>,
}

impl Medium {
    pub(super) fn new(bytes: usize) -> Self {
        Self {
            start: vec![0; bytes],
            now: vec![0; bytes],
            events: Vec::new(),
        }
    }

    /// Forgets how it came to hold what it holds.
    pub(super) fn begin(&mut self) {
        self.start.clone_from(&self.now);
        self.events.clear();
    }

    pub(super) fn record(&mut self, event: Event) {
        if let Event::Write { offset, bytes } = &event {
            self.now[*offset..offset + bytes.len()].copy_from_slice(bytes);
        }
        self.events.push(event);
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.now
    }

    /// How many things have happened.
    pub(super) fn events(&self) -> usize {
        self.events.len()
    }

    /// The last commit of each session that was answered before `cut`.
    pub(super) fn acknowledged(&self, cut: usize) -> [u64; SESSIONS] {
        let mut last = [0; SESSIONS];
        for event in &self.events[..cut] {
            if let Event::Acknowledged { session, number } = event {
                last[*session] = *number;
            }
        }
        last
    }

    /// What the disk may hold if the power fails after `cut` events.
    pub(super) fn after_a_cut(&self, cut: usize, random: &mut Random) -> Vec<u8> {
        let fate = *random.pick(&FATES);
        let events = &self.events[..cut];
        let flush = events.iter().rposition(|event| *event == Event::Flush);
        let (durable, pending) = events.split_at(flush.unwrap_or(0));
        let mut disk = self.start.clone();
        write(&mut disk, durable, |_, _| true);
        let mut whole = false;
        write(&mut disk, pending, |sector, first| {
            if first {
                whole = random.one_in(2);
            }
            match fate {
                Fate::Lost => false,
                Fate::Kept => true,
                Fate::Writes => whole,
                Fate::Sectors if sector < SECTORS_WRITTEN_WHOLE => whole,
                Fate::Sectors => random.one_in(2),
            }
        });
        disk
    }
}

/// Writes those sectors that survive, by their numbers on the disk and whether
/// they are the first of their write.
fn write(disk: &mut [u8], events: &[Event], mut survives: impl FnMut(usize, bool) -> bool) {
    for event in events {
        let Event::Write { offset, bytes } = event else {
            continue;
        };
        for (place, part) in bytes.chunks(SECTOR_BYTES).enumerate() {
            let start = offset + place * SECTOR_BYTES;
            if survives(start / SECTOR_BYTES, place == 0) {
                disk[start..start + part.len()].copy_from_slice(part);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const TWO: usize = 2 * SECTOR_BYTES;

    /// A write of two sectors, counted from the first that can be torn.
    fn write(sector: usize, byte: u8) -> Event {
        Event::Write {
            offset: (SECTORS_WRITTEN_WHOLE + sector) * SECTOR_BYTES,
            bytes: vec![byte; TWO],
        }
    }

    /// A disk of four sectors: two writes, a flush, and two more.
    fn medium() -> Medium {
        let mut medium = Medium::new(SECTORS_WRITTEN_WHOLE * SECTOR_BYTES + 2 * TWO);
        medium.record(write(0, 9));
        medium.begin();
        for event in [
            write(0, 1),
            write(2, 2),
            Event::Flush,
            write(1, 3),
            write(2, 4),
        ] {
            medium.record(event);
        }
        medium
    }

    /// Everything that was found after many cuts at one place: the byte that
    /// fills each sector.
    fn found(cut: usize) -> BTreeSet<Vec<u8>> {
        let (medium, mut random) = (medium(), Random::new(3));
        let sectors = |disk: &[u8]| {
            let sectors = disk.chunks(SECTOR_BYTES).skip(SECTORS_WRITTEN_WHOLE);
            sectors.map(|sector| sector[SECTOR_BYTES - 1]).collect()
        };
        let trials = 0..500;
        trials
            .map(|_| sectors(&medium.after_a_cut(cut, &mut random)))
            .collect()
    }

    #[test]
    fn what_was_flushed_is_there_whatever_comes() {
        assert_eq!(found(3), BTreeSet::from([vec![1, 1, 2, 2]]));
        assert_eq!(found(0), BTreeSet::from([vec![9, 9, 0, 0]]));
    }

    #[test]
    fn of_what_was_not_flushed_any_sector_may_be_there_in_any_version() {
        let firsts = [1, 3];
        let seconds = [2, 3, 4];
        let thirds = [2, 4];
        let mut expected = BTreeSet::new();
        for first in firsts {
            for second in seconds {
                expected.extend(thirds.map(|third| vec![1, first, second, third]));
            }
        }
        assert_eq!(found(5), expected);
    }

    #[test]
    fn the_first_block_is_there_as_it_was_written_or_not_at_all() {
        let mut medium = Medium::new(4_096);
        for byte in [1, 2] {
            let bytes = vec![byte; 4_096];
            medium.record(Event::Write { offset: 0, bytes });
        }
        let mut random = Random::new(3);
        let mut found = BTreeSet::new();
        for _ in 0..200 {
            let disk = medium.after_a_cut(2, &mut random);
            assert!(disk.iter().all(|byte| *byte == disk[0]), "it is torn");
            found.insert(disk[0]);
        }
        assert_eq!(found, BTreeSet::from([0, 1, 2]));
    }

    #[test]
    fn only_what_was_answered_before_the_cut_counts() {
        let mut medium = medium();
        for number in 1..4 {
            medium.record(Event::Acknowledged { session: 2, number });
        }
        let mut expected = [0; SESSIONS];
        assert_eq!(medium.acknowledged(5), expected);
        expected[2] = 2;
        assert_eq!(medium.acknowledged(7), expected);
        assert_eq!(medium.events(), 8);
    }
}
