//! What is measured, and how it went.

use std::fs;
use std::time::{Duration, Instant};

use super::life::Life;
use super::trend::Trend;

/// Something that must level off.
pub(super) struct Series {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    /// Growth that says nothing, in its unit: what one reading differs from
    /// the next by when nothing has changed.
    pub(super) slack: f64,
}

const MIB: f64 = 1_048_576.0;

/// Everything that is measured, in the order of a sample.
pub(super) const SERIES: [Series; 7] = [
    // A page of the file is taken from what was freed before the file grows.
    Series {
        name: "database",
        unit: "bytes",
        slack: MIB,
    },
    // It is cut at 64 MiB, and until then grows in steps.
    Series {
        name: "write-ahead log",
        unit: "bytes",
        slack: 64.0 * MIB,
    },
    // The allocator gives little back, and some of it late.
    Series {
        name: "memory of the process",
        unit: "bytes",
        slack: 12.0 * MIB,
    },
    Series {
        name: "open files",
        unit: "files",
        slack: 8.0,
    },
    Series {
        name: "rows in the store",
        unit: "rows",
        slack: 500.0,
    },
    Series {
        name: "stash values in memory",
        unit: "bytes",
        slack: MIB,
    },
    Series {
        name: "connections and streams",
        unit: "open",
        slack: 8.0,
    },
];

/// One look at all of them.
type Sample = (f64, [f64; SERIES.len()]);

/// Takes a sample a second, or sixty in all if that is more often.
pub(super) struct Sampler {
    began: Instant,
    lasts: Duration,
    every: Duration,
    samples: Vec<Sample>,
}

#[expect(
    clippy::disallowed_methods,
    reason = "what really passes is what a soak is about"
)]
fn now() -> Instant {
    Instant::now()
}

impl Sampler {
    pub(super) fn new(lasts: Duration) -> Self {
        Self {
            began: now(),
            lasts,
            every: Duration::from_secs(1).min(lasts / 60),
            samples: Vec::new(),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        now().duration_since(self.began) >= self.lasts
    }

    /// Takes a sample if it is time for one.
    pub(super) async fn sample(&mut self, life: &Life) {
        let at = now().duration_since(self.began).as_secs_f64();
        let last = self.samples.last().map(|sample| sample.0);
        if last.is_none_or(|last| at >= last + self.every.as_secs_f64()) {
            self.samples.push((at, look(life).await));
        }
    }

    /// One series, as times and values.
    pub(super) fn points(&self, place: usize) -> Vec<(f64, f64)> {
        let samples = self.samples.iter();
        samples.map(|(at, values)| (*at, values[place])).collect()
    }

    /// What each came to, a line each.
    pub(super) fn table(&self) -> String {
        let lines = SERIES.iter().enumerate().map(|(place, series)| {
            let trend = Trend::of(&self.points(place));
            format!("{} ({}): {trend}\n", series.name, series.unit)
        });
        lines.collect()
    }
}

async fn look(life: &Life) -> [f64; SERIES.len()] {
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    let pages = pages.split(' ').nth(1).unwrap();
    let files = fs::read_dir("/proc/self/fd").unwrap().count();
    let metrics = life.metrics().await;
    [
        size(life, ""),
        size(life, "-wal"),
        pages.parse::<f64>().unwrap() * 4_096.0,
        figure(files),
        life.rows().await.into_values().map(f64::from).sum(),
        life.stash_bytes(),
        metrics["windlass_http_connections"] + metrics["windlass_http_streams"],
    ]
}

fn size(life: &Life, suffix: &str) -> f64 {
    let mut path = life.path().into_os_string();
    path.push(suffix);
    fs::metadata(path).map_or(0.0, |found| figure(found.len()))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a figure in a plot is a float, and shows what it can"
)]
fn figure(count: impl TryInto<u64>) -> f64 {
    count.try_into().unwrap_or(u64::MAX) as f64
}
