//! Finding the record of a revision, in a session's own rows or in those of
//! the session it was forked from.

use std::ops::RangeInclusive;

use bytes::Bytes;
use windlass_store::{Entry, Page, Scan, Version};

use crate::engine::Engine;
use crate::error::CheckpointError;
use crate::keys::StateKeys;
use crate::limits::LOG_ROWS_MAX;
use crate::record::{self, Head, OldRow, Record, parse};
use crate::row;
use crate::stored::log_row;

/// A record, and the row that holds it.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) record: Record,
    /// The session whose row it is.
    pub(crate) owner: StateKeys,
    pub(crate) key: Bytes,
    pub(crate) version: Version,
}

/// A stretch of the records of one session, newest first.
#[derive(Debug, Default)]
struct Stretch {
    records: Vec<Record>,
    /// Whether there are older ones in rows that were not read.
    more: bool,
}

impl Engine {
    /// The record of `revision` of a session; `None` if there is none, or
    /// none any more.
    pub(crate) async fn record(
        &self,
        keys: &StateKeys,
        revision: u64,
    ) -> Result<Option<Found>, CheckpointError> {
        let mut keys = keys.clone();
        let mut live = true;
        loop {
            let scans = [
                Scan::point(keys.head()),
                Scan::point(keys.log(revision)),
                keys.olds_until(revision).limit(1),
            ];
            let mut rows = self.store.read(&scans).await?.into_iter().map(first_of);
            let mut row = || rows.next().flatten();
            let (head, log, old) = (row(), row(), row());
            let Some(head) = head else {
                return Ok(None);
            };
            let head = record::head(&head.value)?;
            if live && head.removed.is_some() {
                return Ok(None);
            }
            live = false;
            if let Some(base) = head.base.as_ref().filter(|base| revision < base.rev) {
                keys = keys.other(&base.session);
                continue;
            }
            return own(&keys, &head, revision, log, old);
        }
    }

    /// The records of a session up to revision `until`, newest first: at
    /// least one if there is one, and at most `limit`; and whether there are
    /// more. `None` if the session has no state.
    pub(crate) async fn records(
        &self,
        keys: &StateKeys,
        until: u64,
        limit: usize,
    ) -> Result<Option<(Vec<Record>, bool)>, CheckpointError> {
        let mut keys = keys.clone();
        let mut until = until;
        let mut records = Vec::new();
        let mut live = true;
        loop {
            let Some((head, stretch)) = self.stretch(&keys, until, limit).await? else {
                return Ok((!live).then_some((records, false)));
            };
            if live && head.removed.is_some() {
                return Ok(None);
            }
            live = false;
            let wanted = limit - records.len();
            let more = stretch.more || stretch.records.len() > wanted;
            records.extend(stretch.records.into_iter().take(wanted));
            let base = head.base.filter(|base| base.rev > 1);
            match (more, base) {
                (true, _) if records.is_empty() => {
                    // Only dropped ones in the rows read: on with older ones.
                    until = until.saturating_sub(1);
                }
                (true, _) => return Ok(Some((records, true))),
                (false, None) => return Ok(Some((records, false))),
                (false, Some(_)) if records.len() >= limit => return Ok(Some((records, true))),
                (false, Some(base)) => {
                    keys = keys.other(&base.session);
                    until = until.min(base.rev - 1);
                }
            }
        }
    }

    /// The first and the last revision of those that are all kept; `None` if
    /// the session has no state.
    pub(crate) async fn kept_revisions(
        &self,
        keys: &StateKeys,
    ) -> Result<Option<RangeInclusive<u64>>, CheckpointError> {
        let Some(mut head) = self.live_head(keys).await? else {
            return Ok(None);
        };
        let last = head.rev;
        // Where all of its own are there, those it was forked from go on.
        while let Some(base) = head.base.take().filter(|base| head.oldest <= base.rev) {
            let keys = keys.other(&base.session);
            let Some((below, _)) = self.head(&keys).await? else {
                return Ok(Some(base.rev..=last));
            };
            // Its own commits may have been made after the fork, and those
            // before it dropped.
            if below.oldest >= base.rev {
                return Ok(Some(base.rev..=last));
            }
            head = below;
        }
        Ok(Some(head.oldest..=last))
    }

    async fn stretch(
        &self,
        keys: &StateKeys,
        until: u64,
        limit: usize,
    ) -> Result<Option<(Head, Stretch)>, CheckpointError> {
        let logs = Scan::new(keys.logs_within(0, until))
            .descending()
            .limit(limit.clamp(1, LOG_ROWS_MAX));
        let olds = keys.olds_until(until).limit(2);
        let scans = [Scan::point(keys.head()), logs, olds];
        let mut pages = self.store.read(&scans).await?.into_iter();
        let mut page = || pages.next().unwrap_or_default();
        let (head, logs, olds) = (page(), page(), page());
        let Some(head) = head.entries.first() else {
            return Ok(None);
        };
        let head = record::head(&head.value)?;
        let mut stretch = Stretch {
            records: Vec::new(),
            more: logs.more || olds.more,
        };
        for entry in &logs.entries {
            stretch.records.push(log_record(entry)?);
        }
        if logs.more {
            return Ok(Some((head, stretch)));
        }
        for entry in &olds.entries {
            let row = old_row(entry)?;
            let until = row.records.into_iter().rev().filter(|it| it.rev <= until);
            stretch.records.extend(until);
        }
        Ok(Some((head, stretch)))
    }
}

/// The record of `revision` among a session's own rows, all of one point in
/// time.
fn own(
    keys: &StateKeys,
    head: &Head,
    revision: u64,
    log: Option<Entry>,
    old: Option<Entry>,
) -> Result<Option<Found>, CheckpointError> {
    let found = |record: Record, entry: Entry| Found {
        record,
        owner: keys.clone(),
        key: entry.key,
        version: entry.version,
    };
    if let Some(entry) = log {
        return Ok(Some(found(log_record(&entry)?, entry)));
    }
    if let Some(entry) = old {
        let row = old_row(&entry)?;
        if let Some(record) = row.records.into_iter().find(|it| it.rev == revision) {
            return Ok(Some(found(record, entry)));
        }
    }
    let must_be = (head.oldest..=head.rev).contains(&revision) && head.removed.is_none();
    if must_be {
        let what = format!("commit {revision}");
        return Err(CheckpointError::corrupt(what, "its row is missing"));
    }
    Ok(None)
}

pub(crate) fn first_of(page: Page) -> Option<Entry> {
    page.entries.into_iter().next()
}

pub(crate) fn log_record(entry: &Entry) -> Result<Record, CheckpointError> {
    let text = row::unpack("commit", &entry.value)?;
    Ok(log_row(&text)?.record)
}

pub(crate) fn old_row(entry: &Entry) -> Result<OldRow, CheckpointError> {
    let text = row::unpack("packed commits", &entry.value)?;
    parse("packed commits", &text)
}
