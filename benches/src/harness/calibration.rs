//! How fast the machine itself was during a round, and which rounds say more
//! about the machine than about what was measured.

use std::fs::File;
use std::hint::black_box;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use crate::clock;
use crate::error::BenchError;

use super::spread::Spread;

/// How long the disk is tried in each round.
const SYNC_TIME: Duration = Duration::from_millis(200);
/// Rounds of the hash loop: about 30 ms on a processor of 2023.
const HASH_STEPS: u64 = 30_000_000;
/// Share of one processor that others may use.
const FOREIGN_CPU_MAX: f64 = 0.30;
/// How much slower than in the median round the processor may be.
const HASH_SHARE_MIN: f64 = 0.85;
/// How much slower than in the median round the disk may be.
const SYNC_SHARE_MIN: f64 = 0.5;

/// Why a round says more about the machine than about what was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disturbance {
    /// Others used the processors.
    Others,
    /// The processor was slower than in other rounds.
    SlowProcessor,
    /// The disk was slower than in other rounds.
    SlowDisk,
}

impl Disturbance {
    /// The reason in a few words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Others => "others were at work",
            Self::SlowProcessor => "the processor was slow",
            Self::SlowDisk => "the disk was slow",
        }
    }
}

/// The machine during one round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibration {
    /// Blocks of 4 KiB that one thread could write and sync in a second.
    pub syncs_per_second: f64,
    /// Millions of steps of a fixed hash loop in a second.
    pub hash_steps_per_us: f64,
    /// Processors that others kept busy during the round.
    pub foreign_cpu: f64,
}

impl Calibration {
    /// Tries disk and processor in `directory`. The share of others is not
    /// known yet and left at zero.
    ///
    /// # Errors
    ///
    /// [`BenchError::Io`] if the directory cannot be written to.
    pub fn measure(directory: &Path) -> Result<Self, BenchError> {
        let syncs_per_second = try_disk(directory).map_err(BenchError::io("calibrate the disk"))?;
        Ok(Self {
            syncs_per_second,
            hash_steps_per_us: try_processor(),
            foreign_cpu: 0.0,
        })
    }

    /// Why the round of this calibration should not count beside `others`.
    #[must_use]
    pub fn disturbance(&self, others: &[Self]) -> Option<Disturbance> {
        let median = |figure: fn(&Self) -> f64| Spread::of(others.iter().map(figure));
        let hash = median(|one| one.hash_steps_per_us)?.median;
        let syncs = median(|one| one.syncs_per_second)?.median;
        if self.foreign_cpu > FOREIGN_CPU_MAX {
            Some(Disturbance::Others)
        } else if self.hash_steps_per_us < hash * HASH_SHARE_MIN {
            Some(Disturbance::SlowProcessor)
        } else if self.syncs_per_second < syncs * SYNC_SHARE_MIN {
            Some(Disturbance::SlowDisk)
        } else {
            None
        }
    }
}

fn try_disk(directory: &Path) -> std::io::Result<f64> {
    let path = directory.join("calibration");
    let mut file = File::create(&path)?;
    let block = [0x5a; 4_096];
    // Written once beforehand, so that no sync has to grow the file.
    for _ in 0..64 {
        file.write_all(&block)?;
    }
    file.sync_all()?;
    let start = clock::now();
    let mut syncs = 0_u32;
    while start.elapsed() < SYNC_TIME {
        file.seek(SeekFrom::Start(u64::from(syncs % 64) * 4_096))?;
        file.write_all(&block)?;
        file.sync_data()?;
        syncs += 1;
    }
    let rate = f64::from(syncs) / start.elapsed().as_secs_f64();
    std::fs::remove_file(path)?;
    Ok(rate)
}

/// Steps of FNV-1a in a microsecond.
fn try_processor() -> f64 {
    let start = clock::now();
    let mut hash = black_box(0xcbf2_9ce4_8422_2325_u64);
    for step in 0..HASH_STEPS {
        hash = (hash ^ (step & 0xff)).wrapping_mul(0x0100_0000_01b3);
    }
    black_box(hash);
    30.0e6 / (start.elapsed().as_secs_f64() * 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Calibration = Calibration {
        syncs_per_second: 8_000.0,
        hash_steps_per_us: 1_000.0,
        foreign_cpu: 0.05,
    };

    fn disturbance(round: Calibration) -> Option<Disturbance> {
        round.disturbance(&[QUIET, QUIET, round])
    }

    #[test]
    fn a_quiet_round_counts() {
        assert_eq!(disturbance(QUIET), None);
    }

    #[test]
    fn a_round_beside_others_work_or_on_a_slower_machine_is_dropped() {
        let others = Calibration {
            foreign_cpu: 0.8,
            ..QUIET
        };
        let processor = Calibration {
            hash_steps_per_us: 700.0,
            ..QUIET
        };
        let disk = Calibration {
            syncs_per_second: 3_000.0,
            ..QUIET
        };
        let found = [others, processor, disk].map(disturbance);
        let expected = [
            Disturbance::Others,
            Disturbance::SlowProcessor,
            Disturbance::SlowDisk,
        ];
        assert_eq!(found, expected.map(Some));
    }

    #[test]
    fn disk_and_processor_give_figures_above_zero() {
        let directory = tempfile::tempdir().unwrap();
        let found = Calibration::measure(directory.path()).unwrap();
        assert!(found.syncs_per_second > 0.0, "{found:?}");
        assert!(found.hash_steps_per_us > 0.0, "{found:?}");
    }
}
