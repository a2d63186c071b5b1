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
/// name it.
pub(crate) struct Entries<'a> {
    export: Export,
    tenant: &'a TenantId,
    ready: VecDeque<Entry>,
}

impl<'a> Entries<'a> {
    pub(crate) async fn of(windlass: &Windlass, tenant: &'a TenantId) -> Result<Self, ReplayError> {
        let export = windlass.store().export(KeyRange::all()).await;
        let export = export.map_err(|error| ReplayError::Export(SessionError::from(error)))?;
        Ok(Self {
            export,
            tenant,
            ready: VecDeque::new(),
        })
    }

    pub(crate) async fn next(&mut self) -> Result<Option<Entry>, ReplayError> {
        while self.ready.is_empty() {
            let page = self.export.next().await;
            let page = page.map_err(|error| ReplayError::Export(SessionError::from(error)))?;
            let Some(page) = page else { return Ok(None) };
            self.ready.extend(
                page.into_iter()
                    .filter(|entry| is_of(&entry.key, self.tenant)),
            );
        }
        Ok(self.ready.pop_front())
    }
}

fn is_of(key: &[u8], tenant: &TenantId) -> bool {
    let Some(segments) = key::segments(key) else {
        return false;
    };
    let mut segments = segments.into_iter();
    let owner = match segments.next() {
        // due/TIME/PART/TENANT/…
        Some(first) if first == "due" => segments.nth(2),
        first => first,
    };
    owner.is_some_and(|owner| owner == tenant.as_str())
}

/// The sum of the lengths of the tenant's keys and values.
pub(crate) async fn stored_bytes(
    windlass: &Windlass,
    tenant: &TenantId,
) -> Result<u64, ReplayError> {
    let mut entries = Entries::of(windlass, tenant).await?;
    let mut bytes = 0;
    while let Some(entry) = entries.next().await? {
        bytes += u64::try_from(entry.key.len() + entry.value.len()).unwrap_or(u64::MAX);
    }
    Ok(bytes)
}
