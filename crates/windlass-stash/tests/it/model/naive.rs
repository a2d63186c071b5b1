//! The model: obviously right, and slow.

use windlass_core::{GroupId, Millis};
use windlass_stash::{
    Answer, Condition, Config, Entry, Increment, Key, KeyPage, KeyQuery, Metadata, Number,
    Operation, Put, Removed, Value,
};

/// One entry, expired or not.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) key: Key,
    pub(super) value: Value,
    pub(super) metadata: Metadata,
}

impl Row {
    fn charged(&self) -> u64 {
        let group = self
            .metadata
            .group
            .as_ref()
            .map_or(0, |group| group.as_str().len());
        let names = u64::try_from(self.key.as_str().len() + group).expect("short");
        self.metadata.size + names + windlass_stash::limits::ENTRY_BYTES
    }
}

/// Everything that was put and not yet taken back.
#[derive(Clone, Debug)]
pub(super) struct Naive {
    pub(super) config: Config,
    pub(super) rows: Vec<Row>,
    pub(super) now: Millis,
    pub(super) versions: u64,
}

type Refusal = &'static str;

impl Naive {
    fn is_live(&self, row: &Row) -> bool {
        self.now < row.metadata.expires
    }

    pub(super) fn live(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| self.is_live(row))
    }

    fn find(&self, key: &Key) -> Option<&Row> {
        self.live().find(|row| row.key == *key)
    }

    fn is_foreign(row: &Row, caller: Option<&GroupId>) -> bool {
        row.metadata.group.is_some() && row.metadata.group.as_ref() != caller
    }

    fn seen(&self, caller: Option<&GroupId>, key: &Key) -> Result<Option<Row>, Refusal> {
        match self.find(key) {
            Some(row) if Self::is_foreign(row, caller) && self.config.hide_foreign => Ok(None),
            Some(row) if Self::is_foreign(row, caller) => Err("cross_group_access"),
            found => Ok(found.cloned()),
        }
    }

    fn replaceable(&self, caller: Option<&GroupId>, key: &Key) -> Result<Option<Row>, Refusal> {
        match self.find(key) {
            Some(row) if Self::is_foreign(row, caller) && self.config.hide_foreign => {
                Err("key_unavailable")
            }
            _ => self.seen(caller, key),
        }
    }

    fn deadline(&self, ttl_ms: Option<u64>) -> Result<Millis, Refusal> {
        let max = self.config.ttl_ms_max;
        match ttl_ms {
            Some(0) => Err("ttl_zero"),
            Some(ttl) if ttl > max => Err("ttl_too_long"),
            Some(ttl) => Ok(self.now.plus_ms(ttl)),
            None => Ok(self.now.plus_ms(self.config.ttl_ms_default.min(max))),
        }
    }

    /// Holds `row` beside the other live entries, if the limits allow it.
    fn place(&mut self, row: Row) -> Result<Metadata, Refusal> {
        let config = self.config.clone();
        let others = |row: &Row| -> Vec<Row> {
            self.live()
                .filter(|other| other.key != row.key)
                .cloned()
                .collect()
        };
        let mut after = others(&row);
        let is_new = self.find(&row.key).is_none();
        after.push(row.clone());
        let count = |rows: &[Row]| u64::try_from(rows.len()).expect("few");
        let bytes = |rows: &[Row]| rows.iter().map(|row| row.metadata.size).sum::<u64>();
        if is_new && count(&after) > config.keys_max {
            return Err("key_limit_exceeded");
        }
        if let (Some(group), Some(quota)) = (&row.metadata.group, config.group_quota) {
            let of_group = |other: &&Row| other.metadata.group.as_ref() == Some(group);
            let mine: Vec<Row> = after.iter().filter(of_group).cloned().collect();
            if quota.keys_max.is_some_and(|max| count(&mine) > max)
                || quota.bytes_max.is_some_and(|max| bytes(&mine) > max)
            {
                return Err("group_quota_exceeded");
            }
        }
        let charged: u64 = after.iter().map(Row::charged).sum();
        let charged_max = config.charged_bytes_max.unwrap_or(u64::MAX);
        if bytes(&after) > config.total_bytes_max || charged > charged_max {
            return Err("total_size_exceeded");
        }
        self.versions += 1;
        self.rows.retain(|other| other.key != row.key);
        let mut row = row;
        row.metadata.version = self.versions;
        self.rows.push(row.clone());
        self.take_back();
        Ok(row.metadata)
    }

    /// Drops expired rows, the first to expire first, until the rest fits.
    fn take_back(&mut self) {
        let (keys, bytes) = (self.config.keys_max, self.config.total_bytes_max);
        let charged = self.config.charged_bytes_max.unwrap_or(u64::MAX);
        loop {
            let fits = u64::try_from(self.rows.len()).expect("few") <= keys
                && self.rows.iter().map(|row| row.metadata.size).sum::<u64>() <= bytes
                && self.rows.iter().map(Row::charged).sum::<u64>() <= charged;
            let first = self.expired().first().cloned();
            match first {
                Some(first) if !fits => self.rows.retain(|row| row.key != first.key),
                _ => return,
            }
        }
    }

    /// Expired rows, the first to expire first.
    pub(super) fn expired(&self) -> Vec<Row> {
        let mut rows: Vec<_> = self
            .rows
            .iter()
            .filter(|row| !self.is_live(row))
            .cloned()
            .collect();
        rows.sort_by_key(|row| (row.metadata.expires, row.metadata.version));
        rows
    }

    fn put(&mut self, caller: Option<&GroupId>, put: Put) -> Result<Metadata, Refusal> {
        let size = put.value.size();
        if size > self.config.value_bytes_max {
            return Err("value_too_large");
        }
        let expires = self.deadline(put.ttl_ms)?;
        let current = self.replaceable(caller, &put.key)?;
        let version = current.as_ref().map(|row| row.metadata.version);
        let holds = match put.condition {
            Condition::Any => true,
            Condition::Absent => version.is_none(),
            Condition::Version(expected) => version == Some(expected),
        };
        if !holds {
            return Err("version_mismatch");
        }
        let created = current.map_or(self.now, |row| row.metadata.created);
        let metadata = Metadata {
            group: caller.cloned(),
            size,
            created,
            updated: self.now,
            expires,
            version: 0,
        };
        let (key, value) = (put.key, put.value);
        self.place(Row {
            key,
            value,
            metadata,
        })
    }

    fn increment(
        &mut self,
        caller: Option<&GroupId>,
        request: &Increment,
    ) -> Result<Number, Refusal> {
        let expires = self.deadline(request.ttl_ms)?;
        let current = self.replaceable(caller, &request.key)?;
        let before = match &current {
            Some(row) => row.value.parse::<i64>().map_err(|_| "not_a_number")?,
            None => 0,
        };
        let value = before.checked_add(request.by).ok_or("overflow")?;
        let mut metadata = current.map_or_else(
            || Metadata {
                group: caller.cloned(),
                size: 0,
                created: self.now,
                updated: self.now,
                expires,
                version: 0,
            },
            |row| row.metadata,
        );
        let json = Value::of(&value).expect("JSON");
        metadata.size = json.size();
        metadata.updated = self.now;
        if metadata.size > self.config.value_bytes_max {
            return Err("value_too_large");
        }
        let row = Row {
            key: request.key.clone(),
            value: json,
            metadata,
        };
        let metadata = self.place(row)?;
        Ok(Number { value, metadata })
    }

    fn operate(
        &mut self,
        caller: Option<&GroupId>,
        operation: &Operation,
    ) -> Result<Answer, Refusal> {
        match operation {
            Operation::Get(key) => {
                let row = self.seen(caller, key)?;
                Ok(Answer::Entry(row.map(|row| Entry {
                    ttl_left_ms: row.metadata.expires.since(self.now),
                    value: row.value,
                    metadata: row.metadata,
                })))
            }
            Operation::Put(put) => self.put(caller, put.clone()).map(Answer::Stored),
            Operation::Delete(key) => {
                let found = self.seen(caller, key)?.is_some();
                if found {
                    self.rows.retain(|row| row.key != *key);
                }
                Ok(Answer::Deleted(found))
            }
            Operation::Touch { key, ttl_ms } => {
                let expires = self.deadline(*ttl_ms)?;
                let found = self.seen(caller, key)?.is_some();
                let mut rows = self.rows.iter_mut();
                let row = rows.find(|row| found && row.key == *key);
                Ok(Answer::Touched(row.map(|row| {
                    row.metadata.expires = expires;
                    row.metadata.clone()
                })))
            }
            Operation::Increment(request) => self.increment(caller, request).map(Answer::Number),
            other => panic!("unknown to the model: {other:?}"),
        }
    }

    pub(super) fn step(
        &mut self,
        caller: Option<&GroupId>,
        operations: &[Operation],
    ) -> Result<Vec<Answer>, (usize, Refusal)> {
        let before = self.clone();
        let mut answers = Vec::new();
        for (position, operation) in operations.iter().enumerate() {
            match self.operate(caller, operation) {
                Ok(answer) => answers.push(answer),
                Err(refusal) => {
                    let versions = self.versions;
                    *self = before;
                    self.versions = versions;
                    return Err((position, refusal));
                }
            }
        }
        Ok(answers)
    }

    pub(super) fn keys(&self, caller: Option<&GroupId>, query: &KeyQuery) -> KeyPage {
        let visible = self.live().filter(|row| !Self::is_foreign(row, caller));
        let begins = visible.filter(|row| row.key.as_str().starts_with(&query.prefix));
        let after = begins.filter(|row| query.after.as_ref().is_none_or(|after| row.key > *after));
        let mut keys: Vec<_> = after
            .map(|row| (row.key.clone(), row.metadata.clone()))
            .collect();
        keys.sort_by(|one, other| one.0.cmp(&other.0));
        let more = keys.len() > query.limit;
        keys.truncate(query.limit);
        KeyPage { keys, more }
    }

    pub(super) fn clear(&mut self, group: Option<&GroupId>) -> Removed {
        let gone = |row: &Row| row.metadata.group.as_ref() == group;
        let rows: Vec<Row> = self.live().filter(|row| gone(row)).cloned().collect();
        self.remove(&rows)
    }

    pub(super) fn reap(&mut self, limit: Option<u64>) -> Removed {
        let mut rows = self.expired();
        let all = rows.len();
        rows.truncate(limit.map_or(usize::MAX, |limit| usize::try_from(limit).expect("small")));
        Removed {
            truncated: rows.len() < all,
            ..self.remove(&rows)
        }
    }

    fn remove(&mut self, rows: &[Row]) -> Removed {
        self.rows
            .retain(|row| rows.iter().all(|gone| gone.key != row.key));
        Removed {
            removed: u64::try_from(rows.len()).expect("few"),
            bytes: rows.iter().map(|row| row.metadata.size).sum(),
            truncated: false,
        }
    }

    /// Keys, value bytes and charged bytes of some rows.
    pub(super) fn figures<'a>(rows: impl IntoIterator<Item = &'a Row>) -> (u64, u64, u64) {
        let add = |sum: (u64, u64, u64), row: &Row| {
            (sum.0 + 1, sum.1 + row.metadata.size, sum.2 + row.charged())
        };
        rows.into_iter().fold((0, 0, 0), add)
    }
}
