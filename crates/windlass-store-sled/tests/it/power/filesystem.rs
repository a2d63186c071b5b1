//! The recorded disk as a file that the kernel can use, and three small files
//! by which the worker tells and asks.
//!
//! | file | what it is for |
//! |---|---|
//! | `disk` | the disk; `fsync` is its flush |
//! | `told` | taking what is written to it: `begin`, `SESSION NUMBER` for an acknowledgement, or `cut PLACE SEED` |
//! | `facts` | giving the number of events, or after a cut the last acknowledged number of each session |
//! | `image-N` | the disk as found after the N-th cut |

use std::ffi::OsStr;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner,
    OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyWrite, Request,
    WriteFlags,
};
use windlass_store_testing::Random;

use super::medium::{Event, Medium};
use crate::children::{Player, Role, tell};

/// Bytes of the disk: a small file system with room for a few segments.
pub(super) const DISK_BYTES: usize = 96 * 1_024 * 1_024;

const ROOT: u64 = 1;
const DISK: u64 = 2;
const TOLD: u64 = 3;
const FACTS: u64 = 4;
/// The inode of the first image; each has a new one, so that the kernel
/// remembers nothing of the one before.
const IMAGES: u64 = 10;
/// For how long the kernel may believe what it was told.
const TRUST: Duration = Duration::from_secs(1);

struct Served(Mutex<State>);

struct State {
    medium: Medium,
    facts: String,
    /// The inode of the last image, and what is in it.
    image: (u64, Vec<u8>),
}

/// Serves the disk while a worker uses it, and tells what that tells.
pub(crate) fn play_serving(place: &Path) {
    let mount = place.join("served");
    std::fs::create_dir(&mount).expect("a directory can be made");
    let served = Served(Mutex::new(State {
        medium: Medium::new(DISK_BYTES),
        facts: String::new(),
        image: (IMAGES - 1, Vec::new()),
    }));
    let session = fuser::spawn_mount(served, &mount, &fuser::Config::default());
    let session = session.expect("the file system is mounted");
    let mut worker = Player::start(Role::Working, place);
    while let Some(line) = worker.hear() {
        tell(&line);
    }
    worker.finish();
    drop(session);
}

impl Served {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn attributes(&self, inode: u64) -> Option<FileAttr> {
        let (kind, size) = match inode {
            ROOT => (FileType::Directory, 0),
            DISK => (FileType::RegularFile, DISK_BYTES as u64),
            TOLD | FACTS => (FileType::RegularFile, 0),
            inode if inode == self.image.0 => (FileType::RegularFile, DISK_BYTES as u64),
            _ => return None,
        };
        Some(FileAttr {
            ino: INodeNo(inode),
            size,
            blocks: size / 512,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind,
            perm: 0o700,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4_096,
            flags: 0,
        })
    }

    fn inode(&self, name: &str) -> Option<u64> {
        match name {
            "disk" => Some(DISK),
            "told" => Some(TOLD),
            "facts" => Some(FACTS),
            _ => {
                let number: u64 = name.strip_prefix("image-")?.parse().ok()?;
                (IMAGES + number == self.image.0).then_some(self.image.0)
            }
        }
    }

    fn content(&self, inode: u64) -> &[u8] {
        match inode {
            DISK => self.medium.bytes(),
            FACTS => self.facts.as_bytes(),
            inode if inode == self.image.0 => &self.image.1,
            _ => &[],
        }
    }

    fn write(&mut self, inode: u64, offset: usize, bytes: &[u8]) -> Option<()> {
        match inode {
            DISK => self.medium.record(Event::Write {
                offset,
                bytes: bytes.to_vec(),
            }),
            TOLD => self.obey(std::str::from_utf8(bytes).ok()?)?,
            inode if inode == self.image.0 => {
                let place = self.image.1.get_mut(offset..offset + bytes.len())?;
                place.copy_from_slice(bytes);
            }
            _ => return None,
        }
        Some(())
    }

    /// Does what the worker tells.
    fn obey(&mut self, told: &str) -> Option<()> {
        let words: Vec<_> = told.split_whitespace().collect();
        match words[..] {
            ["begin"] => self.medium.begin(),
            ["count"] => self.facts = self.medium.events().to_string(),
            ["cut", place, seed] => {
                let place = place.parse().ok()?;
                let mut random = Random::new(seed.parse().ok()?);
                let image = self.medium.after_a_cut(place, &mut random);
                self.image = (self.image.0 + 1, image);
                let acknowledged = self.medium.acknowledged(place);
                self.facts = acknowledged.map(|number| number.to_string()).join(" ");
            }
            [session, number] => self.medium.record(Event::Acknowledged {
                session: session.parse().ok()?,
                number: number.parse().ok()?,
            }),
            _ => return None,
        }
        Some(())
    }
}

impl Filesystem for Served {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let state = self.lock();
        let inode = name.to_str().and_then(|name| state.inode(name));
        match inode.and_then(|inode| state.attributes(inode)) {
            Some(attributes) => reply.entry(&TRUST, &attributes, Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.lock().attributes(inode.0) {
            Some(attributes) => reply.attr(&TRUST, &attributes),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn open(&self, _: &Request, inode: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        // The small files are never what the kernel remembers of them.
        let flags = match inode.0 {
            TOLD | FACTS => FopenFlags::FOPEN_DIRECT_IO,
            _ => FopenFlags::empty(),
        };
        reply.opened(FileHandle(0), flags);
    }

    fn read(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let state = self.lock();
        let content = state.content(inode.0);
        let bounded = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(content.len());
        reply.data(&content[bounded(offset)..bounded(offset + u64::from(size))]);
    }

    fn write(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        bytes: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let written = self.lock().write(inode.0, offset, bytes);
        match (written, u32::try_from(bytes.len())) {
            (Some(()), Ok(length)) => reply.written(length),
            _ => reply.error(Errno::EINVAL),
        }
    }

    fn fsync(&self, _: &Request, inode: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        if inode.0 == DISK {
            self.lock().medium.record(Event::Flush);
        }
        reply.ok();
    }
}
