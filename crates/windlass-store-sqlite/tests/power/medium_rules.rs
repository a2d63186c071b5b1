//! What the model of a disk says, by small examples: everything else rests
//! on it.

use std::collections::BTreeMap;

use crate::disk::FileId;
use crate::fate::{Draw, Mood};
use crate::medium::{Fate, Medium, SECTOR_BYTES};
use crate::recording::Event;

const FILE: FileId = FileId(0);

/// Lets some events through, by number from one.
struct Arrived(&'static [usize]);

impl Fate for Arrived {
    fn sector(&self, event: usize, _: FileId, _: usize) -> bool {
        self.0.contains(&event)
    }

    fn size(&self, event: usize, _: FileId) -> bool {
        self.0.contains(&event)
    }

    fn name(&self, event: usize, _: &str) -> bool {
        self.0.contains(&event)
    }
}

/// A disk with a file `a` of two sectors of ones.
fn disk() -> Medium {
    Medium::of(&BTreeMap::from([(
        "a".to_owned(),
        vec![1; 2 * SECTOR_BYTES],
    )]))
}

fn write(sector: usize, content: u8, sectors: usize) -> Event {
    Event::Write {
        file: FILE,
        offset: sector * SECTOR_BYTES,
        bytes: vec![content; sectors * SECTOR_BYTES].into(),
    }
}

fn after(events: &[Event]) -> Medium {
    let mut disk = disk();
    events.iter().for_each(|event| disk.apply(event));
    disk
}

/// The first byte of each sector of `a`; `None` if there is no such file.
fn sectors(disk: &Medium, fate: &dyn Fate) -> Option<Vec<u8>> {
    let image = disk.image(fate);
    let bytes = image.get("a")?;
    Some(bytes.iter().copied().step_by(SECTOR_BYTES).collect())
}

fn nothing(disk: &Medium) -> Option<Vec<u8>> {
    sectors(disk, &Draw::of(Mood::Nothing, 0))
}

fn everything(disk: &Medium) -> Option<Vec<u8>> {
    sectors(disk, &Draw::of(Mood::Everything, 0))
}

#[test]
fn what_is_not_synced_may_arrive_in_any_version_or_not() {
    let disk = after(&[write(0, 2, 2), write(1, 3, 1)]);
    assert_eq!(nothing(&disk), Some(vec![1, 1]));
    assert_eq!(sectors(&disk, &Arrived(&[1])), Some(vec![2, 2]));
    assert_eq!(sectors(&disk, &Arrived(&[2])), Some(vec![1, 3]));
    assert_eq!(everything(&disk), Some(vec![2, 3]));
}

#[test]
fn what_is_synced_is_there_for_certain() {
    let disk = after(&[write(0, 2, 3), Event::Sync { file: FILE }, write(0, 3, 1)]);
    assert_eq!(nothing(&disk), Some(vec![2, 2, 2]));
    assert_eq!(everything(&disk), Some(vec![3, 2, 2]));
}

#[test]
fn a_file_that_is_cut_loses_all_beyond_its_end_or_nothing() {
    let cut = Event::Truncate {
        file: FILE,
        size: 0,
    };
    let disk = after(&[cut.clone(), write(1, 2, 1)]);
    assert_eq!(nothing(&disk), Some(vec![1, 1]));
    assert_eq!(sectors(&disk, &Arrived(&[1])), Some(vec![]));
    assert_eq!(sectors(&disk, &Arrived(&[2])), Some(vec![1, 2]));
    assert_eq!(everything(&disk), Some(vec![0, 2]));
    let disk = after(&[cut, write(1, 2, 1), Event::Sync { file: FILE }]);
    assert_eq!(nothing(&disk), Some(vec![0, 2]));
}

#[test]
fn a_write_before_a_cut_does_not_outlive_it() {
    let cut = Event::Truncate {
        file: FILE,
        size: 0,
    };
    let disk = after(&[write(0, 2, 1), cut, write(1, 3, 1)]);
    assert_eq!(sectors(&disk, &Arrived(&[1, 2, 3])), Some(vec![0, 3]));
    assert_eq!(sectors(&disk, &Arrived(&[1])), Some(vec![2, 1]));
}

#[test]
fn what_a_failed_sync_forgot_is_saved_by_writing_it_again_only() {
    let forgotten = Event::SyncForgotten { file: FILE };
    let sync = Event::Sync { file: FILE };
    let disk = after(&[write(0, 2, 2), forgotten, write(1, 3, 1), sync]);
    assert_eq!(nothing(&disk), Some(vec![1, 3]));
    assert_eq!(everything(&disk), Some(vec![2, 3]));
}

#[test]
fn what_a_failed_sync_reverted_is_gone() {
    let disk = after(&[write(0, 2, 3), Event::SyncReverted { file: FILE }]);
    assert_eq!(nothing(&disk), Some(vec![1, 1]));
    assert_eq!(everything(&disk), Some(vec![1, 1]));
}

#[test]
fn names_are_certain_once_the_directory_is_synced() {
    let removed = Event::Unlink { name: "a".into() };
    let disk = after(&[Event::Sync { file: FILE }, removed.clone()]);
    assert_eq!(nothing(&disk), Some(vec![1, 1]));
    assert_eq!(everything(&disk), None);
    let disk = after(&[removed, Event::SyncDirectory]);
    assert_eq!(nothing(&disk), None);
}
