//! Ways in which a power cut can treat what was not synced.
//!
//! Chance for each sector alone would hardly ever let a whole page through,
//! so there are coarser ways beside it, and the two extremes.

use windlass_store_testing::Random;

use crate::disk::FileId;
use crate::medium::{Fate, Medium};

/// What arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Nothing that was not synced.
    Nothing,
    /// Everything.
    Everything,
    /// Each version of each sector with this chance in eight.
    Sectors(u64),
    /// Each write as a whole with this chance in eight.
    Writes(u64),
    /// All of a file or nothing of it.
    Files,
    /// Everything but one sector.
    AllBut(FileId, usize),
    /// One sector, and changes of names and sizes.
    Only(FileId, usize),
}

/// A mood, and the dice for one image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draw {
    pub(crate) mood: Mood,
    salt: u64,
}

impl Draw {
    /// Draws a fate for what is not settled on `medium`.
    pub(crate) fn new(random: &mut Random, medium: &Medium) -> Self {
        let mood = match random.below(12) {
            0 => Mood::Nothing,
            1 => Mood::Everything,
            2..=4 => Mood::Sectors(1 + random.next() % 7),
            5..=7 => Mood::Writes(1 + random.next() % 7),
            8 | 9 => Mood::Files,
            10 => {
                one_of(random, medium).map_or(Mood::Everything, |(file, at)| Mood::AllBut(file, at))
            }
            _ => one_of(random, medium).map_or(Mood::Nothing, |(file, at)| Mood::Only(file, at)),
        };
        Self::of(mood, random.next())
    }

    /// The fate of one mood.
    pub(crate) const fn of(mood: Mood, salt: u64) -> Self {
        Self { mood, salt }
    }

    /// A number below eight that follows from its arguments alone.
    fn die(&self, first: usize, second: usize) -> u64 {
        let mix = |hash: u64, number: usize| {
            let number = u64::try_from(number).unwrap_or(u64::MAX);
            Random::new(hash ^ number).next()
        };
        mix(mix(self.salt, first), second) % 8
    }
}

/// One of the sectors that are not settled.
fn one_of(random: &mut Random, medium: &Medium) -> Option<(FileId, usize)> {
    let count = medium.unsettled().count();
    medium.unsettled().nth(random.below(count))
}

impl Fate for Draw {
    fn sector(&self, event: usize, file: FileId, sector: usize) -> bool {
        match self.mood {
            Mood::Nothing => false,
            Mood::Everything => true,
            Mood::Sectors(chance) => self.die(event, sector) < chance,
            Mood::Writes(chance) => self.die(event, 0) < chance,
            Mood::Files => self.die(file.0, 0) < 4,
            Mood::AllBut(lost, at) => (file, sector) != (lost, at),
            Mood::Only(kept, at) => (file, sector) == (kept, at),
        }
    }

    fn size(&self, event: usize, file: FileId) -> bool {
        match self.mood {
            Mood::Only(..) => true,
            _ => self.sector(event, file, usize::MAX),
        }
    }

    fn name(&self, event: usize, _: &str) -> bool {
        match self.mood {
            Mood::Nothing => false,
            Mood::Everything | Mood::AllBut(..) | Mood::Only(..) => true,
            Mood::Sectors(_) | Mood::Writes(_) | Mood::Files => self.die(event, 1) < 4,
        }
    }
}
