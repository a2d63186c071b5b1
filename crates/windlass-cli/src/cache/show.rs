//! The cache, as people read it.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use windlass_client::cache::{
    CacheFlush, CacheInvalidated, CacheOrphans, CacheSpace, CacheSweep, CacheView,
};

use crate::output::Output;
use crate::table::{fields, plain, rows};

const NOTHING: &str = "-";

/// A line that says how far it is, where somebody looks.
pub(super) fn bar(output: &Output) -> ProgressBar {
    let target = if output.json() {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    };
    let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}");
    let bar = ProgressBar::with_draw_target(None, target);
    bar.with_style(style.expect("the template is well formed"))
}

/// Both tiers, and the namespaces.
pub(super) fn view(view: &CacheView) -> String {
    let mut parts = vec![tiers(view)];
    if !view.namespaces.is_empty() {
        parts.push(spaces(&view.namespaces));
    }
    parts.join("\n\n")
}

fn tiers(view: &CacheView) -> String {
    let (first, second) = (&view.first, &view.second);
    let none = || NOTHING.to_owned();
    let both = |name: &str, first: u64, second: u64| {
        [name.to_owned(), first.to_string(), second.to_string()]
    };
    let below = |name: &str, second: u64| [name.to_owned(), none(), second.to_string()];
    rows(
        ["", "MEMORY", "STORE"],
        [
            both("entries", first.entries, second.entries),
            both("bytes", first.bytes, second.bytes),
            both("hits", first.hits, second.hits),
            below("misses", second.misses),
            below("misses known without a look", second.negatives),
            both("stale", first.stale_serves, second.stale_serves),
            below("promotions", second.promotions),
            both("insertions", first.insertions, second.insertions),
            both("evictions", first.evictions, second.evictions),
            both("expirations", first.expirations, second.expirations),
            both("invalidations", first.invalidations, second.invalidations),
            both("flushes", first.flushes, second.flushes),
            below("orphans taken back", second.orphans),
            below("damaged", second.damaged),
            below("commits", second.commits),
            below("compressed", second.compressed),
            below("compressed from bytes", second.compressed_from_bytes),
            below("compressed to bytes", second.compressed_to_bytes),
            below("filter bytes", second.filter_bytes),
        ],
    )
}

fn spaces(spaces: &[CacheSpace]) -> String {
    rows(
        ["NAMESPACE", "GENERATION", "ENTRIES"],
        spaces.iter().map(|space| {
            [
                plain(&space.namespace),
                space.generation.to_string(),
                space.entries.to_string(),
            ]
        }),
    )
}

const fn left(is_left: bool) -> &'static str {
    if is_left { "yes" } else { "no" }
}

/// How far a sweep is.
pub(super) fn sweeping(swept: &CacheSweep) -> String {
    let scanned = swept.first.scanned + swept.second.scanned;
    let evicted = swept.first.evicted + swept.second.evicted;
    format!("{scanned} scanned, {evicted} taken back")
}

/// What a sweep did.
pub(super) fn swept(swept: &CacheSweep) -> String {
    let tiers = [("memory", &swept.first), ("store", &swept.second)];
    let table = rows(
        ["TIER", "SCANNED", "EVICTED", "BYTES", "MS", "LEFT"],
        tiers.map(|(name, tier)| {
            [
                name.to_owned(),
                tier.scanned.to_string(),
                tier.evicted.to_string(),
                tier.bytes.to_string(),
                (tier.elapsed_us / 1_000).to_string(),
                left(tier.next.is_some()).to_owned(),
            ]
        }),
    );
    let of_tier = |name: &'static str, tier: &windlass_client::cache::TierSwept| {
        let spaces = tier.namespaces.iter();
        let lines = spaces.map(move |(namespace, swept)| {
            let (evicted, bytes) = (swept.evicted.to_string(), swept.bytes.to_string());
            [plain(namespace), name.to_owned(), evicted, bytes]
        });
        lines.collect::<Vec<_>>()
    };
    let mut lines = of_tier("memory", &swept.first);
    lines.extend(of_tier("store", &swept.second));
    if lines.is_empty() {
        return table;
    }
    let by_space = rows(["NAMESPACE", "TIER", "EVICTED", "BYTES"], lines);
    format!("{table}\n\n{by_space}")
}

/// How far a search for orphans is.
pub(super) fn reclaiming(taken: &CacheOrphans) -> String {
    format!("{} looked at, {} taken back", taken.scanned, taken.chains)
}

/// What a search for orphans did.
pub(super) fn reclaimed(taken: &CacheOrphans) -> String {
    fields([
        ("looked at", taken.scanned.to_string()),
        ("taken back", taken.chains.to_string()),
        ("pieces", taken.pieces.to_string()),
        ("ms", (taken.elapsed_us / 1_000).to_string()),
        ("left", left(taken.next.is_some()).to_owned()),
    ])
}

/// What a flush did.
pub(super) fn flushed(flush: CacheFlush) -> String {
    fields([
        ("generation before", flush.before.to_string()),
        ("generation after", flush.after.to_string()),
    ])
}

/// What a flush would make invisible.
pub(super) fn would_flush(space: Option<&CacheSpace>) -> String {
    let entries = space.map_or(0, |space| space.entries);
    fields([("would flush", entries.to_string())])
}

/// What an invalidation took.
pub(super) fn invalidated(taken: CacheInvalidated) -> String {
    fields([
        ("invalidated", taken.entries.to_string()),
        ("bytes", taken.bytes.to_string()),
    ])
}
