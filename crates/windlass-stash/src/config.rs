//! Settings of a stash, checked when they are set.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use windlass_core::GroupId;

use crate::error::{Problem, StashError, check_range};
use crate::limits::{
    GROUP_QUOTAS_MAX, KEYS_DEFAULT, KEYS_MAX, TOTAL_BYTES_DEFAULT, TOTAL_BYTES_MAX, TTL_MS_DEFAULT,
    TTL_MS_MAX, TTL_MS_MAX_DEFAULT, VALUE_BYTES_DEFAULT, VALUE_BYTES_MAX,
};

/// The most a group may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Live keys; `None` for as many as the stash may have.
    #[serde(default)]
    pub keys_max: Option<u64>,
    /// Value bytes; `None` for as many as the stash may have.
    #[serde(default)]
    pub bytes_max: Option<u64>,
}

/// Settings of one stash. As JSON or TOML, every field may be left out and an
/// unknown one is refused.
///
/// ```
/// use windlass_stash::Config;
///
/// let config = Config { keys_max: 10, ..Config::default() };
/// config.check()?;
/// let refused = Config { keys_max: 0, ..config }.check().unwrap_err();
/// assert_eq!(refused.to_string(), "`keys_max` is 0; 1 to 1000000 are allowed");
/// # Ok::<(), windlass_stash::StashError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Live keys: 1 to 1,000,000.
    pub keys_max: u64,
    /// Bytes of one value: 1 B to 1 GiB.
    pub value_bytes_max: u64,
    /// Value bytes of all entries: at least those of one, at most 1 TiB.
    pub total_bytes_max: u64,
    /// Charged bytes, which is the memory the stash may take: 1 KiB to 1 TiB.
    /// `None` for as much as the limits of keys and values let it take.
    pub charged_bytes_max: Option<u64>,
    /// Time to live where none is given: 1 ms to a year. One above the
    /// longest counts as the longest.
    pub ttl_ms_default: u64,
    /// Longest time to live: 1 ms to a year.
    pub ttl_ms_max: u64,
    /// What each group may have that is not named below.
    pub group_quota: Option<Quota>,
    /// What single groups may have: at most 1,024 of them.
    pub group_quotas: BTreeMap<GroupId, Quota>,
    /// Operations of one execution: at least 1; `None` for any number.
    pub operations_max: Option<u64>,
    /// Whether entries of other groups look as if they were not there.
    pub hide_foreign: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            keys_max: KEYS_DEFAULT,
            value_bytes_max: VALUE_BYTES_DEFAULT,
            total_bytes_max: TOTAL_BYTES_DEFAULT,
            charged_bytes_max: None,
            ttl_ms_default: TTL_MS_DEFAULT,
            ttl_ms_max: TTL_MS_MAX_DEFAULT,
            group_quota: None,
            group_quotas: BTreeMap::new(),
            operations_max: None,
            hide_foreign: false,
        }
    }
}

impl Config {
    /// Refuses settings outside their ranges and such as contradict each
    /// other.
    ///
    /// # Errors
    ///
    /// [`StashError::Invalid`] naming the first setting that cannot stand.
    pub fn check(&self) -> Result<(), StashError> {
        check_range("keys_max", self.keys_max, 1, KEYS_MAX)?;
        check_range("value_bytes_max", self.value_bytes_max, 1, VALUE_BYTES_MAX)?;
        check_range("total_bytes_max", self.total_bytes_max, 1, TOTAL_BYTES_MAX)?;
        check_at_most(
            ("value_bytes_max", self.value_bytes_max),
            ("total_bytes_max", self.total_bytes_max),
        )?;
        if let Some(charged) = self.charged_bytes_max {
            check_range("charged_bytes_max", charged, 1_024, TOTAL_BYTES_MAX)?;
        }
        check_range("ttl_ms_default", self.ttl_ms_default, 1, TTL_MS_MAX)?;
        check_range("ttl_ms_max", self.ttl_ms_max, 1, TTL_MS_MAX)?;
        if let Some(operations) = self.operations_max {
            check_range("operations_max", operations, 1, u64::MAX)?;
        }
        self.check_quotas()
    }

    fn check_quotas(&self) -> Result<(), StashError> {
        let count = u64::try_from(self.group_quotas.len()).unwrap_or(u64::MAX);
        let most = u64::try_from(GROUP_QUOTAS_MAX).unwrap_or(u64::MAX);
        check_range("group_quotas", count, 0, most)?;
        for quota in self.group_quotas.values().chain(&self.group_quota) {
            let keys = quota.keys_max.unwrap_or(0);
            check_at_most(("group_quota.keys_max", keys), ("keys_max", self.keys_max))?;
            let bytes = quota.bytes_max.unwrap_or(0);
            check_at_most(
                ("group_quota.bytes_max", bytes),
                ("total_bytes_max", self.total_bytes_max),
            )?;
        }
        Ok(())
    }

    /// What a group may have.
    pub(crate) fn quota_of(&self, group: &GroupId) -> Option<&Quota> {
        self.group_quotas.get(group).or(self.group_quota.as_ref())
    }

    /// The charged bytes there may be; the other limits bound them too.
    pub(crate) fn charged_max(&self) -> u64 {
        self.charged_bytes_max.unwrap_or(u64::MAX)
    }
}

fn check_at_most(
    (field, value): (&'static str, u64),
    (other, max): (&'static str, u64),
) -> Result<(), StashError> {
    if value > max {
        let problem = Problem::Exceeds { value, other, max };
        return Err(StashError::invalid(field, problem));
    }
    Ok(())
}
