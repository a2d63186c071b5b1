//! Which streams there are, by their paths, and how far they are.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use windlass_core::StreamId;
use windlass_store::limits::READ_SCANS_MAX;
use windlass_store::{Entry, KeyRange, Scan};

use super::error::SubscriptionError;
use super::pattern::Pattern;
use super::record::Tail;
use crate::caller::Caller;
use crate::durable::About;
use crate::engine::Engine;
use crate::keys::{StreamKeys, path_of};
use crate::record::{Head, decode};

/// Streams by their paths, as far as they were looked up.
pub(crate) type Tails = HashMap<Arc<str>, Tail>;

impl Engine {
    /// Rows by their keys, read 16 at a time.
    async fn points(&self, keys: &[Bytes]) -> Result<Vec<Option<Entry>>, SubscriptionError> {
        let mut found = Vec::with_capacity(keys.len());
        for some in keys.chunks(READ_SCANS_MAX) {
            let scans: Vec<Scan> = some.iter().cloned().map(Scan::point).collect();
            let pages = self.store.read(&scans).await?;
            found.extend(
                pages
                    .into_iter()
                    .map(|page| page.entries.into_iter().next()),
            );
        }
        Ok(found)
    }

    /// What a path leads to.
    pub(super) async fn stream_at(
        &self,
        caller: &Caller,
        path: &str,
    ) -> Result<Option<About>, SubscriptionError> {
        let key = path_of(&caller.tenant, &caller.principal, path);
        let row = self.points(&[key]).await?.pop().flatten();
        let row = row.map(|entry| decode("path", &entry.value));
        Ok(row.transpose()?)
    }

    /// How far the streams of `paths` are; one that does not exist, or has
    /// expired, is left out. A read for 16 of them, twice.
    pub(super) async fn tails(
        &self,
        caller: &Caller,
        paths: &[Arc<str>],
    ) -> Result<Tails, SubscriptionError> {
        let key = |path: &Arc<str>| path_of(&caller.tenant, &caller.principal, path);
        let keys: Vec<Bytes> = paths.iter().map(key).collect();
        let rows = self.points(&keys).await?;
        let mut streams: Vec<(Arc<str>, StreamId)> = Vec::with_capacity(rows.len());
        for (path, row) in paths.iter().zip(rows) {
            if let Some(row) = row {
                let about: About = decode("path", &row.value)?;
                streams.push((Arc::clone(path), about.stream));
            }
        }
        let head = |(_, stream): &(_, StreamId)| StreamKeys::new(&caller.tenant, stream).head();
        let heads: Vec<Bytes> = streams.iter().map(head).collect();
        let heads = self.points(&heads).await?;
        let mut tails = Tails::with_capacity(heads.len());
        for ((path, stream), head) in streams.into_iter().zip(heads) {
            if let Some(tail) = self.tail(caller, head)? {
                tails.insert(path, Tail { stream, tail });
            }
        }
        Ok(tails)
    }

    fn tail(
        &self,
        caller: &Caller,
        head: Option<Entry>,
    ) -> Result<Option<crate::offset::Offset>, SubscriptionError> {
        let Some(entry) = head else {
            return Ok(None);
        };
        let head: Head = decode("stream head", &entry.value)?;
        let now = self.env.now();
        let over = head.expires().is_some_and(|time| time.has_passed(now));
        let gone = head.removing || head.deleted || over || head.principal != caller.principal;
        Ok((!gone).then_some(head.tail))
    }

    /// The paths of the principal that `pattern` stands for, at most `most`,
    /// and whether there are more. Reads all that begin like the pattern.
    pub(super) async fn matching(
        &self,
        caller: &Caller,
        pattern: &Pattern,
        most: usize,
    ) -> Result<(Vec<Arc<str>>, bool), SubscriptionError> {
        let all = path_of(&caller.tenant, &caller.principal, "");
        let start = path_of(&caller.tenant, &caller.principal, pattern.prefix());
        let mut scan = Scan::new(KeyRange::prefix(start)).keys();
        let mut found = Vec::new();
        loop {
            let pages = self.store.read(std::slice::from_ref(&scan)).await?;
            let page = pages.into_iter().next().unwrap_or_default();
            for entry in &page.entries {
                let path = path_in(&entry.key, all.len())?;
                if !pattern.matches(&path) {
                    continue;
                }
                if found.len() == most {
                    return Ok((found, true));
                }
                found.push(path);
            }
            let Some(last) = page.entries.last().filter(|_| page.more) else {
                return Ok((found, false));
            };
            scan = scan.after(&last.key);
        }
    }
}

/// The path in the key of its row.
fn path_in(key: &[u8], prefix: usize) -> Result<Arc<str>, SubscriptionError> {
    let segments = windlass_store::key::segments(key.get(prefix..).unwrap_or_default());
    let path = segments.and_then(|mut segments| segments.pop());
    let path = path.filter(|path| !path.is_empty());
    let missing = || crate::error::StreamError::corrupt("path", "its key names none");
    Ok(path.ok_or_else(missing)?.into())
}
