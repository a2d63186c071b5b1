//! What a store holds of one tenant.

use std::collections::VecDeque;

use windlass::Windlass;
use windlass::core::TenantId;
use windlass::session::SessionError;
use windlass::store::{Entry, Export, KeyRange, key};

use crate::failure::ReplayError;

/// The entries of one tenant in key order, as they are at one point in time.
///
/// They are the keys that begin with the tenant, and those below `due` that
/// name it, but for what readers of streams leave for a while.
pub(crate) struct Entries<'a> {
    export: Export,
    tenant: &'a TenantId,
    ready: VecDeque<Entry>,
    /// Whether all but chunks of streams is left out.
    chunks: bool,
}

impl<'a> Entries<'a> {
    pub(crate) async fn of(windlass: &Windlass, tenant: &'a TenantId) -> Result<Self, ReplayError> {
        let export = windlass.store().export(KeyRange::all()).await;
        let export = export.map_err(|error| ReplayError::Export(SessionError::from(error)))?;
        Ok(Self {
            export,
            tenant,
            ready: VecDeque::new(),
            chunks: false,
        })
    }

    /// Of the same nothing but chunks of streams.
    pub(crate) const fn chunks(mut self) -> Self {
        self.chunks = true;
        self
    }

    pub(crate) async fn next(&mut self) -> Result<Option<Entry>, ReplayError> {
        while self.ready.is_empty() {
            let page = self.export.next().await;
            let page = page.map_err(|error| ReplayError::Export(SessionError::from(error)))?;
            let Some(page) = page else { return Ok(None) };
            let (tenant, chunks) = (self.tenant, self.chunks);
            let wanted =
                |entry: &Entry| is_of(&entry.key, tenant) && (!chunks || is_chunk(&entry.key));
            self.ready.extend(page.into_iter().filter(wanted));
        }
        Ok(self.ready.pop_front())
    }
}

fn is_of(key: &[u8], tenant: &TenantId) -> bool {
    place(key).is_some_and(|(owner, rest)| owner == tenant.as_str() && !is_of_reader(&rest))
}

/// Whether a row is a chunk of a stream.
fn is_chunk(key: &[u8]) -> bool {
    let rest = place(key).map(|(_, rest)| rest).unwrap_or_default();
    let mut rest = rest.iter().map(String::as_str);
    (rest.next(), rest.nth(1)) == (Some("stream"), Some("chunk"))
}

/// Whether a row is a reader's cursor, its due time or its pin.
fn is_of_reader(rest: &[String]) -> bool {
    let mut rest = rest.iter().map(String::as_str);
    matches!(
        (rest.next(), rest.nth(1)),
        (Some("stream"), Some("pin")) | (Some("cursor"), _)
    )
}

/// Whose a row is, and the segments behind: of `due/TIME/PART/TENANT/…` the
/// part and what follows upon the tenant, of `TENANT/PART/…` all but the
/// tenant.
fn place(key: &[u8]) -> Option<(String, Vec<String>)> {
    let mut parts = key::segments(key)?;
    if parts.first()? == "due" && parts.len() > 3 {
        let owner = parts.remove(3);
        return Some((owner, parts.split_off(2)));
    }
    let rest = parts.split_off(1);
    parts.pop().map(|owner| (owner, rest))
}

/// How many bytes the tenant's keys and values are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stored {
    pub(crate) bytes: u64,
    /// Those of states.
    pub(crate) state_bytes: u64,
    /// Contents of states in rows of their own.
    pub(crate) blobs: u64,
}

impl Stored {
    pub(crate) async fn of(windlass: &Windlass, tenant: &TenantId) -> Result<Self, ReplayError> {
        let mut entries = Entries::of(windlass, tenant).await?;
        let mut stored = Self::default();
        while let Some(entry) = entries.next().await? {
            stored.count(&entry);
        }
        Ok(stored)
    }

    fn count(&mut self, entry: &Entry) {
        let bytes = u64::try_from(entry.key.len() + entry.value.len()).unwrap_or(u64::MAX);
        self.bytes += bytes;
        let rest = place(&entry.key).map(|(_, rest)| rest).unwrap_or_default();
        let mut rest = rest.iter().map(String::as_str);
        match (rest.next(), rest.nth(1)) {
            (Some("lineage"), Some("blob")) => {
                self.state_bytes += bytes;
                self.blobs += 1;
            }
            (Some("lineage" | "checkpoint"), _) => self.state_bytes += bytes,
            _ => {}
        }
    }
}
