//! Rules of one key that may need room: put and increment.

use windlass_core::{GroupId, Millis};

use crate::error::{QuotaMeter, StashError};
use crate::key::Key;
use crate::metadata::{Figures, Metadata};
use crate::request::{Condition, Increment, Number, Put};
use crate::value::Value;

use super::{Call, Change, Index, Read};

/// What is decided of a new entry before there is room for it.
struct Plan {
    group: Option<GroupId>,
    created: Millis,
    expires: Millis,
    /// What the live entry amounts to that it replaces.
    replaced: Figures,
    /// The same, if that is of the same group.
    replaced_of_group: Figures,
}

impl Plan {
    fn new(call: &Call<'_>, group: Option<&GroupId>, expires: Millis) -> Self {
        Self {
            group: group.cloned(),
            created: call.now,
            expires,
            replaced: Figures::default(),
            replaced_of_group: Figures::default(),
        }
    }

    fn replacing(mut self, key: &Key, current: &Metadata) -> Self {
        self.created = current.created;
        self.replaced = Figures::of(key, current.group.as_ref(), current.size);
        if current.group == self.group {
            self.replaced_of_group = self.replaced;
        }
        self
    }
}

impl Index {
    /// Gives a key a value. Checks size, TTL, owner, condition, key count,
    /// group quota and total, in this order. O(1) where a live entry is
    /// replaced and nothing has to be taken back; else O(log n), and as much
    /// for each expired entry that stands in the way.
    pub(crate) fn put(
        &mut self,
        call: &Call<'_>,
        put: Put,
        changes: &mut Vec<Change>,
    ) -> Result<Metadata, StashError> {
        check_size(call, put.value.size())?;
        let expires = call.deadline(put.ttl_ms)?;
        let current = self.own(call, &put.key)?;
        check_condition(put.condition, current.map(|current| current.version))?;
        let plan = Plan::new(call, call.caller, expires);
        let plan = match current {
            Some(current) => plan.replacing(&put.key, current),
            None => plan,
        };
        self.write(call, put.key, put.value, plan, changes)
    }

    /// Adds to the whole number a key has; an absent one counts as 0. An
    /// entry that is there keeps its owner and its deadline. Checks TTL,
    /// owner, the number, and then what a put checks of its size. Costs what
    /// a put does.
    pub(crate) fn increment(
        &mut self,
        call: &Call<'_>,
        request: &Increment,
        read: Read<'_>,
        changes: &mut Vec<Change>,
    ) -> Result<Number, StashError> {
        let key = &request.key;
        let expires = call.deadline(request.ttl_ms)?;
        let (number, plan) = match self.own(call, key)? {
            None => (request.by, Plan::new(call, call.caller, expires)),
            Some(current) => {
                let value = read(key, current).ok_or(StashError::Busy)?;
                let plan = Plan::new(call, current.group.as_ref(), current.expires);
                let number = whole_number(value.as_json())?.checked_add(request.by);
                let number = number.ok_or(StashError::Overflow)?;
                (number, plan.replacing(key, current))
            }
        };
        let value = Value::from_compact(&number.to_string());
        check_size(call, value.size())?;
        let metadata = self.write(call, key.clone(), value, plan, changes)?;
        Ok(Number {
            value: number,
            metadata,
        })
    }

    /// The live entry that a put would replace, unless it is foreign.
    fn own(&self, call: &Call<'_>, key: &Key) -> Result<Option<&Metadata>, StashError> {
        let current = self.find(key, call.now);
        if current.is_some_and(|current| !current.is_open_to(call.caller)) {
            return Err(call.foreign());
        }
        Ok(current)
    }

    fn write(
        &mut self,
        call: &Call<'_>,
        key: Key,
        value: Value,
        plan: Plan,
        changes: &mut Vec<Change>,
    ) -> Result<Metadata, StashError> {
        let new = Figures::of(&key, plan.group.as_ref(), value.size());
        self.check_keys(call, &plan)?;
        self.check_quota(call, &plan, new)?;
        self.check_total(call, &plan, new)?;
        self.take_back(call, &key, new, changes);
        let metadata = Metadata {
            group: plan.group,
            size: value.size(),
            created: plan.created,
            updated: call.now,
            expires: plan.expires,
            version: self.next_version(),
        };
        changes.push(Change {
            before: self.store(&key, metadata.clone()),
            key,
            after: Some(metadata.clone()),
            value: Some(value),
        });
        Ok(metadata)
    }

    /// Replacing works when full.
    fn check_keys(&mut self, call: &Call<'_>, plan: &Plan) -> Result<(), StashError> {
        let max = call.config.keys_max;
        while plan.replaced.keys == 0 && self.live().keys >= max {
            if !self.lapse_next(call.now) {
                return Err(StashError::KeyLimitExceeded { max });
            }
        }
        Ok(())
    }

    fn check_quota(
        &mut self,
        call: &Call<'_>,
        plan: &Plan,
        new: Figures,
    ) -> Result<(), StashError> {
        let Some(group) = &plan.group else {
            return Ok(());
        };
        let Some(quota) = call.config.quota_of(group) else {
            return Ok(());
        };
        loop {
            let live = self.live_of(group);
            let total = live.minus(plan.replaced_of_group).plus(new);
            let meters = [
                (QuotaMeter::Keys, total.keys, quota.keys_max),
                (QuotaMeter::Bytes, total.value_bytes, quota.bytes_max),
            ];
            let over = |(meter, total, max): (QuotaMeter, u64, Option<u64>)| {
                let max = max.filter(|max| total > *max)?;
                Some(StashError::GroupQuotaExceeded { meter, total, max })
            };
            let Some(refusal) = meters.into_iter().find_map(over) else {
                return Ok(());
            };
            if !self.lapse_next(call.now) {
                return Err(refusal);
            }
        }
    }

    fn check_total(
        &mut self,
        call: &Call<'_>,
        plan: &Plan,
        new: Figures,
    ) -> Result<(), StashError> {
        let (bytes_max, charged_max) = (call.config.total_bytes_max, call.config.charged_max());
        loop {
            let sum = self.live().minus(plan.replaced).plus(new);
            let (total, max) = if sum.value_bytes > bytes_max {
                (sum.value_bytes, bytes_max)
            } else if sum.charged_bytes > charged_max {
                (sum.charged_bytes, charged_max)
            } else {
                return Ok(());
            };
            if !self.lapse_next(call.now) {
                return Err(StashError::TotalSizeExceeded { total, max });
            }
        }
    }

    /// Takes back expired entries until what is held leaves room, the first
    /// to expire first. The checks before have made sure that it will,
    /// except where a limit was lowered below what is live.
    fn take_back(&mut self, call: &Call<'_>, key: &Key, new: Figures, changes: &mut Vec<Change>) {
        let config = call.config;
        let roomy = |sum: Figures| {
            sum.keys <= config.keys_max
                && sum.value_bytes <= config.total_bytes_max
                && sum.charged_bytes <= config.charged_max()
        };
        // Mostly there is room even beside what will be replaced.
        while !roomy(self.held().plus(new)) {
            let own = self.find_held(key).map_or_else(Figures::default, |held| {
                Figures::of(key, held.group.as_ref(), held.size)
            });
            if roomy(self.held().minus(own).plus(new)) {
                return;
            }
            let Some(expired) = self.first_expired(call.now, Some(key)) else {
                return;
            };
            self.take_out(&expired, changes);
        }
    }
}

fn check_size(call: &Call<'_>, size: u64) -> Result<(), StashError> {
    let max = call.config.value_bytes_max;
    if size > max {
        return Err(StashError::ValueTooLarge { size, max });
    }
    Ok(())
}

fn check_condition(condition: Condition, actual: Option<u64>) -> Result<(), StashError> {
    let expected = match condition {
        Condition::Any => return Ok(()),
        Condition::Absent => None,
        Condition::Version(version) => Some(version),
    };
    if expected == actual {
        return Ok(());
    }
    Err(StashError::VersionMismatch { expected, actual })
}

/// Reads a number that is written without fraction and exponent.
fn whole_number(json: &str) -> Result<i64, StashError> {
    let digits = json.strip_prefix('-').unwrap_or(json);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(StashError::NotANumber);
    }
    json.parse().map_err(|_| StashError::Overflow)
}
