//! Settings of upkeep.

use std::time::Duration;

use windlass_core::{Coded, ErrorKind};

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// How often upkeep runs, and in steps of which size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaintenanceOptions {
    /// Milliseconds between the ends of one round and the beginning of the
    /// next, give or take a tenth: 100 to a day; 30,000.
    pub round_ms: u64,
    /// Entries that one step looks at: 1 to 100,000; 1,000.
    pub step_entries: u64,
    /// Milliseconds that one step takes, as far as what it consists of can be
    /// divided: 1 to 10,000; 20. It ends at whichever bound it meets first.
    pub step_ms: u64,
    /// Milliseconds after which a holder that does not renew its lease may be
    /// replaced: 1,000 to an hour; 30,000. It is renewed at a third of that.
    pub lease_ms: u64,
    /// Whether the first round begins at once and not after `round_ms`; no.
    pub on_start: bool,
}

impl Default for MaintenanceOptions {
    fn default() -> Self {
        Self {
            round_ms: 30_000,
            step_entries: 1_000,
            step_ms: 20,
            lease_ms: 30_000,
            on_start: false,
        }
    }
}

/// A setting of upkeep is outside its range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` of maintenance is {value}; {min} to {max} are allowed")]
pub struct MaintenanceOptionsError {
    /// Which.
    pub field: &'static str,
    /// What it is set to.
    pub value: u64,
    /// The least allowed.
    pub min: u64,
    /// The most allowed.
    pub max: u64,
}

impl Coded for MaintenanceOptionsError {
    fn code(&self) -> &'static str {
        "invalid_config"
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

impl MaintenanceOptions {
    /// Refuses settings outside their ranges.
    ///
    /// # Errors
    ///
    /// [`MaintenanceOptionsError`] naming the first that is.
    pub fn check(&self) -> Result<(), MaintenanceOptionsError> {
        let table = [
            ("round_ms", self.round_ms, 100, DAY_MS),
            ("step_entries", self.step_entries, 1, 100_000),
            ("step_ms", self.step_ms, 1, 10_000),
            ("lease_ms", self.lease_ms, 1_000, 3_600_000),
        ];
        for (field, value, min, max) in table {
            if !(min..=max).contains(&value) {
                return Err(MaintenanceOptionsError {
                    field,
                    value,
                    min,
                    max,
                });
            }
        }
        Ok(())
    }

    pub(super) const fn round(&self) -> Duration {
        Duration::from_millis(self.round_ms)
    }

    pub(super) const fn step(&self) -> Duration {
        Duration::from_millis(self.step_ms)
    }

    /// How often a holder says that it is still there, and others look.
    pub(super) const fn beat(&self) -> Duration {
        Duration::from_millis(self.lease_ms / 3)
    }
}
