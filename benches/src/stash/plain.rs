//! The other side: one mutex around a map, with the promises of a stash kept
//! in the plainest way.
//!
//! Values are kept as they are given. A put drops what has expired and sums
//! what is left, so that expired entries hold no quota; it writes the value to
//! JSON to know its size; a get writes it to JSON for whoever asked. All of
//! it happens under the lock.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use windlass_core::{Env, Millis};
use windlass_stash::limits::{
    KEYS_DEFAULT, TOTAL_BYTES_DEFAULT, TTL_MS_DEFAULT, VALUE_BYTES_DEFAULT,
};

/// One entry.
#[derive(Debug)]
struct Held {
    value: Value,
    size: u64,
    group: Option<String>,
    created: Millis,
    updated: Millis,
    expires: Millis,
}

/// A map behind one mutex.
#[derive(Debug)]
pub struct Plain {
    env: Arc<dyn Env>,
    entries: Mutex<HashMap<String, Held>>,
}

impl Plain {
    /// An empty map.
    #[must_use]
    pub fn new(env: Arc<dyn Env>) -> Self {
        Self {
            env,
            entries: Mutex::default(),
        }
    }

    /// Gives a key a value; whether the limits allow it.
    pub fn put(&self, key: &str, group: Option<&str>, value: &Value) -> bool {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.env.now();
        let Ok(json) = serde_json::to_vec(value) else {
            return false;
        };
        let size = u64::try_from(json.len()).unwrap_or(u64::MAX);
        entries.retain(|_, held| !held.expires.has_passed(now));
        let total: u64 = entries.values().map(|held| held.size).sum();
        let old = entries.get(key);
        let (count, replaced) = (entries.len(), old.map_or(0, |held| held.size));
        let full = old.is_none() && u64::try_from(count).unwrap_or(0) >= KEYS_DEFAULT;
        let foreign =
            old.is_some_and(|held| held.group.is_some() && held.group.as_deref() != group);
        let large = size > VALUE_BYTES_DEFAULT || total - replaced + size > TOTAL_BYTES_DEFAULT;
        if full || foreign || large {
            return false;
        }
        let held = Held {
            value: value.clone(),
            size,
            group: group.map(str::to_owned),
            created: old.map_or(now, |held| held.created),
            updated: now,
            expires: now.plus_ms(TTL_MS_DEFAULT),
        };
        entries.insert(key.to_owned(), held);
        true
    }

    /// The value of a key as JSON, if there is one that `group` may see.
    #[must_use]
    pub fn get(&self, key: &str, group: Option<&str>) -> Option<Vec<u8>> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let held = entries.get(key)?;
        let foreign = held.group.is_some() && held.group.as_deref() != group;
        if foreign || held.expires.has_passed(self.env.now()) || held.updated < held.created {
            return None;
        }
        serde_json::to_vec(&held.value).ok()
    }

    /// The same as a value, read back from that JSON under the lock.
    #[must_use]
    pub fn get_value(&self, key: &str, group: Option<&str>) -> Option<Value> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let held = entries.get(key)?;
        let foreign = held.group.is_some() && held.group.as_deref() != group;
        if foreign || held.expires.has_passed(self.env.now()) || held.updated < held.created {
            return None;
        }
        let json = serde_json::to_vec(&held.value).ok()?;
        serde_json::from_slice(&json).ok()
    }
}

#[cfg(test)]
mod tests {
    use windlass_core::ManualEnv;

    use super::*;

    #[test]
    fn it_keeps_the_promises_it_is_compared_for() {
        let env = Arc::new(ManualEnv::new(1, Millis::new(1)));
        let plain = Plain::new(env.clone());
        assert!(plain.put("k", Some("a"), &Value::from(1)), "there is room");
        assert!(!plain.put("k", Some("b"), &Value::from(2)), "it is foreign");
        assert_eq!(plain.get("k", Some("a")).as_deref(), Some(&b"1"[..]));
        assert_eq!(plain.get_value("k", None), None);
        env.advance_ms(TTL_MS_DEFAULT);
        assert_eq!(plain.get("k", Some("a")), None);
        for number in 0..KEYS_DEFAULT {
            assert!(
                plain.put(&format!("k{number}"), None, &Value::Null),
                "{number}"
            );
        }
        assert!(!plain.put("one-more", None, &Value::Null), "it is full");
    }
}
