//! What a disk holds for certain, and what it may or may not hold.
//!
//! The model, worse than disks are: of what was written to a file since it
//! was last synced, any 512-byte sector may have arrived in any of its
//! versions or not at all, in any order. So may each change of size, whole:
//! cutting a file takes away all that was in it beyond its new end. Of the
//! changes to the names in the directory since that was last synced, each
//! may have arrived or not.

use std::collections::BTreeMap;

use crate::disk::{Below, FileId};
use crate::recording::Event;

/// What a disk writes whole or not at all.
pub(crate) const SECTOR_BYTES: usize = 512;

type Sector = [u8; SECTOR_BYTES];

/// The files and names of one directory on a disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Medium {
    files: BTreeMap<FileId, Content>,
    names: BTreeMap<String, Name>,
    /// How many events were applied.
    events: usize,
}

/// One file.
#[derive(Clone, Debug, Default)]
struct Content {
    /// What is on the disk for certain, where nothing newer may be.
    settled: Vec<u8>,
    /// What a process reads.
    current: Vec<u8>,
    sectors: BTreeMap<usize, Versions>,
    /// Sizes that the file may have, with the events that gave them.
    sizes: Vec<(usize, usize)>,
}

/// What may be in a sector instead of its settled bytes, oldest first, with
/// the events that put it there.
#[derive(Clone, Debug, Default)]
struct Versions {
    versions: Vec<(usize, Sector)>,
    /// The system forgot to write the newest.
    forgotten: bool,
}

/// What a name stands for.
#[derive(Clone, Debug, Default)]
struct Name {
    settled: Option<FileId>,
    since: Vec<(usize, Option<FileId>)>,
}

/// Decides what arrived.
pub(crate) trait Fate {
    /// Whether a change of a sector arrived.
    fn sector(&self, event: usize, file: FileId, sector: usize) -> bool;
    /// Whether a change of size arrived.
    fn size(&self, event: usize, file: FileId) -> bool;
    /// Whether a change of a name arrived.
    fn name(&self, event: usize, name: &str) -> bool;
}

impl Medium {
    /// A disk on which these files are for certain, numbered in their order.
    pub(crate) fn of(image: &BTreeMap<String, Vec<u8>>) -> Self {
        let mut medium = Self::default();
        for (number, (name, bytes)) in image.iter().enumerate() {
            let content = Content {
                settled: bytes.clone(),
                current: bytes.clone(),
                ..Content::default()
            };
            medium.files.insert(FileId(number), content);
            let settled = Some(FileId(number));
            let name_of = Name {
                settled,
                since: Vec::new(),
            };
            medium.names.insert(name.clone(), name_of);
        }
        medium
    }

    /// A disk that was empty before all this happened to it.
    pub(crate) fn after(events: &[Event]) -> Self {
        let mut medium = Self::default();
        events.iter().for_each(|event| medium.apply(event));
        medium
    }

    /// Lets happen to it what is left of the first `count` events.
    pub(crate) fn apply_until(&mut self, events: &[Event], count: usize) {
        for event in &events[self.events.min(count)..count] {
            self.apply(event);
        }
    }

    /// How many events were applied.
    pub(crate) const fn events(&self) -> usize {
        self.events
    }

    /// Lets one more thing happen to it.
    pub(crate) fn apply(&mut self, event: &Event) {
        self.events += 1;
        let at = self.events;
        match event {
            Event::Link { name, file } => self.name(name).since.push((at, Some(*file))),
            Event::Unlink { name } => self.name(name).since.push((at, None)),
            Event::SyncDirectory => self.names.values_mut().for_each(Name::sync),
            Event::Write {
                file,
                offset,
                bytes,
            } => self.file(*file).write(at, *offset, bytes),
            Event::Truncate { file, size } => self.file(*file).resize(at, *size),
            Event::Sync { file } => self.file(*file).sync(),
            Event::SyncForgotten { file } => self.file(*file).forget(),
            Event::SyncReverted { file } => self.file(*file).revert(),
            Event::Mark(_) => {}
        }
    }

    /// Every sector that is not settled.
    pub(crate) fn unsettled(&self) -> impl Iterator<Item = (FileId, usize)> {
        let files = self.files.iter();
        files.flat_map(|(file, content)| content.sectors.keys().map(|sector| (*file, *sector)))
    }

    /// Brings the file below to what is on the disk of it for certain.
    pub(crate) fn revert(&self, file: FileId, below: &mut dyn Below) {
        let Some(content) = self.files.get(&file) else {
            return;
        };
        let settled = &content.settled;
        below.truncate(settled.len());
        for sector in content.sectors.keys() {
            let start = (sector * SECTOR_BYTES).min(settled.len());
            let end = (start + SECTOR_BYTES).min(settled.len());
            below.write(start, &settled[start..end]);
        }
    }

    /// What the disk holds after a power cut, by name.
    pub(crate) fn image(&self, fate: &dyn Fate) -> BTreeMap<String, Vec<u8>> {
        let mut image = BTreeMap::new();
        for (name, stands_for) in &self.names {
            if let Some(file) = stands_for.after(name, fate) {
                let content = self.files.get(&file);
                let bytes = content.map_or_else(Vec::new, |content| content.after(file, fate));
                image.insert(name.clone(), bytes);
            }
        }
        image
    }

    fn file(&mut self, file: FileId) -> &mut Content {
        self.files.entry(file).or_default()
    }

    fn name(&mut self, name: &str) -> &mut Name {
        self.names.entry(name.to_owned()).or_default()
    }
}

impl Content {
    fn write(&mut self, at: usize, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        self.resize(at, self.current.len().max(end));
        self.current[offset..end].copy_from_slice(bytes);
        for sector in offset / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES) {
            let bytes = sector_of(&self.current, sector);
            let versions = self.sectors.entry(sector).or_default();
            versions.versions.push((at, bytes));
            versions.forgotten = false;
        }
    }

    fn resize(&mut self, at: usize, size: usize) {
        if size != self.current.len() {
            self.current.resize(size, 0);
            self.sizes.push((at, size));
        }
    }

    fn sync(&mut self) {
        let sizes = std::mem::take(&mut self.sizes);
        let shortest = sizes.iter().map(|(_, size)| *size).min();
        self.settled.truncate(shortest.unwrap_or(usize::MAX));
        self.settled.resize(self.current.len(), 0);
        let (settled, current) = (&mut self.settled, &self.current);
        self.sectors.retain(|sector, versions| {
            let last = versions.versions.last().map_or(0, |(at, _)| *at);
            if is_cut(&sizes, *sector, last) {
                return false;
            }
            if !versions.forgotten {
                place(settled, *sector, &sector_of(current, *sector));
            }
            versions.forgotten
        });
    }

    fn forget(&mut self) {
        for versions in self.sectors.values_mut() {
            versions.forgotten = true;
        }
    }

    fn revert(&mut self) {
        self.current.clone_from(&self.settled);
        self.sectors.clear();
        self.sizes.clear();
    }

    fn after(&self, file: FileId, fate: &dyn Fate) -> Vec<u8> {
        let mut sizes = self.sizes.clone();
        sizes.retain(|(at, _)| fate.size(*at, file));
        let shortest = sizes.iter().map(|(_, size)| *size).min();
        let size = sizes.last().map_or(self.settled.len(), |(_, size)| *size);
        let kept = shortest.unwrap_or(usize::MAX).min(self.settled.len());
        let mut bytes = self.settled[..kept].to_vec();
        bytes.resize(size, 0);
        for (sector, versions) in &self.sectors {
            let arrived = |(at, _): &&(usize, Sector)| fate.sector(*at, file, *sector);
            if let Some((at, version)) = versions.versions.iter().rev().find(arrived)
                && !is_cut(&sizes, *sector, *at)
            {
                place(&mut bytes, *sector, version);
            }
        }
        bytes
    }
}

/// Whether a sector written by one event was cut off by a later one.
fn is_cut(sizes: &[(usize, usize)], sector: usize, written: usize) -> bool {
    let mut sizes = sizes.iter();
    sizes.any(|(at, size)| *at > written && *size <= sector * SECTOR_BYTES)
}

impl Name {
    fn sync(&mut self) {
        if let Some((_, newest)) = self.since.pop() {
            self.settled = newest;
            self.since.clear();
        }
    }

    fn after(&self, name: &str, fate: &dyn Fate) -> Option<FileId> {
        let arrived = |(at, _): &&(usize, Option<FileId>)| fate.name(*at, name);
        let newest = self.since.iter().rev().find(arrived);
        newest.map_or(self.settled, |(_, file)| *file)
    }
}

/// A sector of a file, with zeros after the end of the file.
fn sector_of(bytes: &[u8], sector: usize) -> Sector {
    let mut copy = [0; SECTOR_BYTES];
    let start = (sector * SECTOR_BYTES).min(bytes.len());
    let end = (start + SECTOR_BYTES).min(bytes.len());
    copy[..end - start].copy_from_slice(&bytes[start..end]);
    copy
}

/// Puts a sector into a file, as far as the file reaches.
fn place(bytes: &mut [u8], sector: usize, content: &Sector) {
    let start = (sector * SECTOR_BYTES).min(bytes.len());
    let end = (start + SECTOR_BYTES).min(bytes.len());
    bytes[start..end].copy_from_slice(&content[..end - start]);
}
