//! Reading records for the desk: several with one read, and each by itself
//! where one of them is damaged.

use std::sync::Arc;

use bytes::Bytes;
use windlass_store::limits::READ_SCANS_MAX;
use windlass_store::{Scan, StoreErrorKind};

use super::desk::Run;
use super::draft::Known;
use super::keys;
use super::record::Kept;
use super::shared::hash;
use crate::error::CacheError;
use crate::names::Key;
use crate::spaces::Era;

impl Run {
    /// Reads those that are not known yet.
    pub(super) async fn load(&mut self, wanted: Vec<(Arc<Era>, Key)>) -> Result<(), CacheError> {
        let mut unknown: Vec<(u64, Key)> = Vec::new();
        for (era, key) in wanted {
            let name = (era.generation, key);
            let known = self.known.contains_key(&name);
            if !known && era.below.may_have(hash(&era, &name.1)) {
                unknown.push(name);
            }
        }
        unknown.sort_unstable();
        unknown.dedup();
        self.load_rows(unknown).await
    }

    /// Reads records of whatever generations.
    pub(super) async fn load_rows(&mut self, names: Vec<(u64, Key)>) -> Result<(), CacheError> {
        for names in names.chunks(READ_SCANS_MAX) {
            let point = |(generation, key): &(u64, Key)| {
                Scan::point(keys::entry(*generation, key.as_str()))
            };
            let scans: Vec<Scan> = names.iter().map(point).collect();
            let pages = match self.shared.store.read(&scans).await {
                Ok(pages) => pages,
                Err(error) if error.kind() == StoreErrorKind::Corrupt => {
                    self.load_each(names).await?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            for (name, page) in names.iter().zip(pages) {
                let row = page.entries.into_iter().next().map(|entry| entry.value);
                if row.is_none() && page.more {
                    let known = self.read_one(name.0, &name.1).await?;
                    self.known.insert(name.clone(), known);
                    continue;
                }
                let known = known(name.0, &name.1, row.as_ref());
                self.known.insert(name.clone(), known);
            }
        }
        Ok(())
    }

    async fn load_each(&mut self, names: &[(u64, Key)]) -> Result<(), CacheError> {
        for (generation, key) in names {
            let known = self.read_one(*generation, key).await?;
            self.known.insert((*generation, key.clone()), known);
        }
        Ok(())
    }

    /// Reads one record.
    pub(super) async fn read_one(&self, generation: u64, key: &Key) -> Result<Known, CacheError> {
        let row = keys::entry(generation, key.as_str());
        match self.shared.read([Scan::point(row)]).await {
            Ok([page]) => {
                let row = page.entries.into_iter().next().map(|entry| entry.value);
                Ok(known(generation, key, row.as_ref()))
            }
            Err(error) if error.kind() == StoreErrorKind::Corrupt => Ok(Known::Damaged),
            Err(error) => Err(error.into()),
        }
    }
}

fn known(generation: u64, key: &Key, row: Option<&Bytes>) -> Known {
    let Some(row) = row else {
        return Known::Absent;
    };
    let read = Kept::read(generation, key, row);
    read.map_or(Known::Damaged, |kept| Known::Kept(Arc::new(kept)))
}
