//! What Linux tells about the machine and this process under `/proc`.

use std::fs;
use std::path::Path;

use crate::error::BenchError;

/// Parts of a second that the kernel counts processor time in. The same on
/// every Linux: it is part of the interface, not of the configuration.
const TICKS_PER_SECOND: f64 = 100.0;

/// Processor time so far, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CpuTime {
    /// Of everybody, the host's own use of our processors included.
    pub all: f64,
    /// Of this process and all it has started, finished or not.
    pub own: f64,
}

impl CpuTime {
    /// Reads both counts.
    ///
    /// # Errors
    ///
    /// [`BenchError::Io`] where there is no `/proc`.
    pub fn read() -> Result<Self, BenchError> {
        let all = busy_ticks(&read("/proc/stat")?);
        let own = family_ticks(std::process::id(), &processes()?);
        Ok(Self {
            all: all / TICKS_PER_SECOND,
            own: own / TICKS_PER_SECOND,
        })
    }

    /// What passed since `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            all: self.all - earlier.all,
            own: self.own - earlier.own,
        }
    }

    /// What others used.
    #[must_use]
    pub fn foreign(self) -> f64 {
        (self.all - self.own).max(0.0)
    }
}

/// Ticks that were not idle, of all processors. Time spent for guests is
/// counted within user time already.
fn busy_ticks(stat: &str) -> f64 {
    let line = stat.lines().next().unwrap_or_default();
    let fields = line.split_whitespace().skip(1).take(8);
    let ticks: Vec<f64> = fields.filter_map(|field| field.parse().ok()).collect();
    let idle: f64 = ticks.iter().skip(3).take(2).sum();
    ticks.iter().sum::<f64>() - idle
}

/// A process there is.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Process {
    id: u32,
    parent: u32,
    /// Ticks of it and of its finished children.
    ticks: f64,
}

impl Process {
    /// Reads a `stat`. The name of the process, which may hold anything, ends
    /// at the last parenthesis.
    fn parse(stat: &str) -> Option<Self> {
        let (id, _) = stat.split_once(' ')?;
        let (_, after_name) = stat.rsplit_once(')')?;
        let mut fields = after_name.split_whitespace();
        let parent = fields.nth(1)?.parse().ok()?;
        let ticks = fields.skip(9).take(4);
        Some(Self {
            id: id.parse().ok()?,
            parent,
            ticks: ticks.filter_map(|field| field.parse::<f64>().ok()).sum(),
        })
    }
}

/// Every process there is; those that end meanwhile are left out.
fn processes() -> Result<Vec<Process>, BenchError> {
    let entries = fs::read_dir("/proc").map_err(BenchError::io("read `/proc`"))?;
    let stats = entries.filter_map(|entry| {
        let path = entry.ok()?.path();
        let number: Option<u32> = path.file_name()?.to_str()?.parse().ok();
        fs::read_to_string(path.join("stat"))
            .ok()
            .filter(|_| number.is_some())
    });
    Ok(stats.filter_map(|stat| Process::parse(&stat)).collect())
}

/// Ticks of a process and of all that descend from it: a database server that
/// was started for a side is no stranger.
fn family_ticks(root: u32, processes: &[Process]) -> f64 {
    let mut family = vec![root];
    let mut next = 0;
    while let Some(parent) = family.get(next).copied() {
        next += 1;
        let children = processes
            .iter()
            .filter(|it| it.parent == parent && it.id != root);
        family.extend(children.map(|it| it.id));
    }
    let members = processes.iter().filter(|it| family.contains(&it.id));
    members.map(|it| it.ticks).sum()
}

/// Bytes this process has had written to disks so far.
///
/// # Errors
///
/// [`BenchError::Io`] where there is no `/proc`.
pub fn written_bytes() -> Result<u64, BenchError> {
    Ok(number_after(&read("/proc/self/io")?, "write_bytes:"))
}

/// Memory this process holds, in bytes.
///
/// # Errors
///
/// [`BenchError::Io`] where there is no `/proc`.
pub fn resident_bytes() -> Result<u64, BenchError> {
    Ok(number_after(&read("/proc/self/status")?, "VmRSS:") * 1_024)
}

/// The system's average load over the last minute.
///
/// # Errors
///
/// [`BenchError::Io`] where there is no `/proc`.
pub fn load() -> Result<f64, BenchError> {
    let text = read("/proc/loadavg")?;
    let first = text.split_whitespace().next();
    Ok(first.and_then(|field| field.parse().ok()).unwrap_or(0.0))
}

/// The kind of file system that holds `directory`.
///
/// # Errors
///
/// [`BenchError::Io`] if the directory does not exist.
pub fn file_system(directory: &Path) -> Result<String, BenchError> {
    let path = directory
        .canonicalize()
        .map_err(BenchError::io(format!("find `{}`", directory.display())))?;
    Ok(mounted_at(&read("/proc/mounts")?, &path).unwrap_or_else(|| "unknown".to_owned()))
}

/// The kind of the mount with the longest path above `path`.
fn mounted_at(mounts: &str, path: &Path) -> Option<String> {
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        Some((fields.next()?, fields.next()?))
    });
    let above = mounts.filter(|(place, _)| path.starts_with(place));
    let nearest = above.max_by_key(|(place, _)| place.len());
    nearest.map(|(_, kind)| kind.to_owned())
}

fn number_after(text: &str, label: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(label));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    number.and_then(|field| field.parse().ok()).unwrap_or(0)
}

fn read(path: &str) -> Result<String, BenchError> {
    fs::read_to_string(path).map_err(BenchError::io(format!("read `{path}`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_and_waiting_for_disks_are_not_busy() {
        let stat = "cpu  100 20 30 4000 500 6 7 8 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n";
        assert_eq!(busy_ticks(stat), 171.0);
    }

    #[test]
    fn own_time_is_found_behind_a_hostile_process_name() {
        let stat = "7 (a) 1 (b) S 1 2 3 4 5 6 7 8 9 10 11 22 33 44 20 0";
        let expected = Process {
            id: 7,
            parent: 1,
            ticks: 110.0,
        };
        assert_eq!(Process::parse(stat), Some(expected));
    }

    #[test]
    fn a_family_is_a_process_and_all_below_it() {
        let process = |id, parent, ticks| Process { id, parent, ticks };
        let all = [
            process(1, 0, 1.0),
            process(5, 3, 2.0),
            process(3, 1, 4.0),
            process(4, 2, 8.0),
            process(6, 5, 16.0),
        ];
        assert_eq!(family_ticks(3, &all), 22.0);
        assert_eq!(family_ticks(4, &all), 8.0);
    }

    #[test]
    fn this_process_is_among_all_of_them() {
        let id = std::process::id();
        assert!(processes().unwrap().iter().any(|it| it.id == id), "{id}");
    }

    #[test]
    fn the_nearest_mount_decides_the_kind_of_file_system() {
        let mounts = "a / ext4 rw 0 0\nb /tmp tmpfs rw 0 0\nc /tmpx xfs rw 0 0\n";
        let kind = |path: &str| mounted_at(mounts, Path::new(path));
        assert_eq!(kind("/tmp/a").as_deref(), Some("tmpfs"));
        assert_eq!(kind("/srv").as_deref(), Some("ext4"));
    }

    #[test]
    fn labelled_numbers_are_read_and_missing_ones_are_zero() {
        let text = "rchar: 5\nwrite_bytes: 4096\ncancelled_write_bytes: 1\n";
        assert_eq!(number_after(text, "write_bytes:"), 4_096);
        assert_eq!(number_after(text, "VmRSS:"), 0);
    }
}
