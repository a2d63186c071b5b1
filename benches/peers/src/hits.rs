//! Hits on the disk of another hybrid cache, for the table of our second tier.
//!
//! foyer is set up as its documents do it: the block engine over a directory of
//! the file system, with that engine's defaults. Those are blocks of 16 MiB,
//! `pread` on the runtime's threads for blocking work, a checksum that is
//! verified with each read, and nothing compressed. Unless it is asked for
//! direct I/O, such a device goes through the system's cache of pages, so what
//! was written a moment ago is read from memory of the system. Two settings
//! differ from the defaults: an entry is written when it is inserted instead of
//! when memory has no room for it any longer, and none is admitted to memory.
//! So each get has to ask the disk, and none pays for room in memory.
//!
//! Gets are made one after the other by a task of the runtime: from outside of
//! it each would wake a thread more.

use std::hint::black_box;
use std::time::{Duration, Instant};

use foyer::{
    BlockEngineConfig, DeviceBuilder, FsDeviceBuilder, HybridCache, HybridCacheBuilder,
    HybridCacheEntry, HybridCachePolicy, IoEngineConfig, Source,
};

use crate::Failed;

/// Bytes of the device at least; four times the entries if that is more, so
/// that nothing has to make room.
const DEVICE_BYTES: usize = 256 << 20;
/// What memory may hold. It holds nothing.
const MEMORY_BYTES: usize = 1 << 20;
/// Bytes that are inserted before they are waited for: what does not fit into
/// the queue of what is to be written would be dropped.
const WAITING_BYTES: usize = 4 << 20;
/// Gets between two looks at the clock.
const GETS: usize = 8;

type Cache = HybridCache<String, Vec<u8>>;
type Entry = HybridCacheEntry<String, Vec<u8>>;

/// What is held.
#[derive(Clone, Copy)]
pub struct Entries {
    /// Bytes of each.
    pub bytes: usize,
    /// How many there are.
    pub count: usize,
}

/// Gets that came from the disk in about `span`, and the seconds it was. foyer
/// reads by `pread` unless it is told otherwise.
///
/// # Errors
///
/// Whatever foyer says, and any get that missed, was answered from memory or
/// gave other bytes than were inserted.
pub async fn foyer(
    directory: &str,
    io: Box<dyn IoEngineConfig>,
    entries: Entries,
    span: Duration,
) -> Result<(u64, f64), Failed> {
    let Entries { bytes, count } = entries;
    if bytes == 0 || count == 0 {
        return Err("there have to be entries, and bytes in them".into());
    }
    let cache = open(directory, io, entries).await?;
    let keys: Vec<String> = (0..count).map(|number| format!("page/{number}")).collect();
    fill(&cache, &keys, bytes).await?;
    for (number, key) in keys.iter().enumerate() {
        if *get(&cache, key).await?.value() != blob(bytes, number) {
            return Err(format!("`{key}` is not what was inserted").into());
        }
    }
    let reads = tokio::spawn({
        let cache = cache.clone();
        async move { read(&cache, &keys, bytes, span).await }
    });
    let read = reads.await??;
    cache.close().await?;
    Ok(read)
}

async fn open(
    directory: &str,
    io: Box<dyn IoEngineConfig>,
    entries: Entries,
) -> Result<Cache, Failed> {
    let wanted = entries
        .bytes
        .saturating_mul(entries.count)
        .saturating_mul(4);
    let device = FsDeviceBuilder::new(directory)
        .with_capacity(wanted.max(DEVICE_BYTES))
        .build()?;
    let cache = HybridCacheBuilder::new()
        .with_policy(HybridCachePolicy::WriteOnInsertion)
        .memory(MEMORY_BYTES)
        .with_filter(|_, _| false)
        .storage()
        .with_io_engine_config(io)
        .with_engine_config(BlockEngineConfig::new(device))
        .build()
        .await?;
    Ok(cache)
}

/// Inserts all entries; when it is done they are written.
async fn fill(cache: &Cache, keys: &[String], bytes: usize) -> Result<(), Failed> {
    let mut waiting = 0;
    for (number, key) in keys.iter().enumerate() {
        cache.insert(key.clone(), blob(bytes, number));
        waiting += bytes;
        if waiting >= WAITING_BYTES {
            cache.storage().wait().await;
            waiting = 0;
        }
    }
    cache.storage().wait().await;
    let written = cache.statistics().disk_write_bytes();
    if written < bytes * keys.len() {
        return Err(format!("only {written} bytes were written").into());
    }
    Ok(())
}

async fn read(
    cache: &Cache,
    keys: &[String],
    bytes: usize,
    span: Duration,
) -> Result<(u64, f64), Failed> {
    let before = cache.statistics().disk_read_bytes();
    let (start, mut reads) = (Instant::now(), 0_usize);
    while start.elapsed() < span {
        for _ in 0..GETS {
            reads += 1;
            let got = get(cache, &keys[reads * 7 % keys.len()]).await?;
            if black_box(got.value()).len() != bytes {
                return Err("an entry is shorter than it was".into());
            }
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let from_disk = cache.statistics().disk_read_bytes() - before;
    if from_disk < reads * bytes {
        return Err(format!("{reads} gets read only {from_disk} bytes from the disk").into());
    }
    Ok((u64::try_from(reads)?, seconds))
}

/// An entry, and an error if it did not come from the disk.
async fn get(cache: &Cache, key: &String) -> Result<Entry, Failed> {
    let Some(entry) = cache.get(key).await? else {
        return Err(format!("`{key}` is not there").into());
    };
    if entry.source() != Source::Disk {
        return Err(format!("`{key}` came from {:?}", entry.source()).into());
    }
    Ok(entry)
}

/// Bytes that no disk can make fewer, others for each number.
fn blob(bytes: usize, number: usize) -> Vec<u8> {
    let mut state = (number as u64).wrapping_mul(2) + 1;
    let words = (0..bytes.div_ceil(8)).flat_map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.take(bytes).collect()
}
