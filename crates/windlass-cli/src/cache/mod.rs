//! `windlass cache`: what the cache holds, and its upkeep by hand.

mod show;

use clap::{Args, Subcommand};
use windlass_client::cache::{
    CacheOrphans, CacheSweep, FlushCache, InvalidateCache, ReclaimCache, SweepCache, TierSwept,
};

use crate::consent::Consent;
use crate::context::Context;
use crate::failure::Failure;

/// Entries that are looked at between two looks at how far it is.
const SLICE: u64 = 10_000;

/// What can be done with the cache.
#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// Show what the cache holds and did, by tier and by namespace
    Stats,
    /// Take back entries whose time is over, and what flushes left
    Sweep(Bounds),
    /// Take back blobs whose puts were never finished
    Reclaim(Bounds),
    /// Invalidate a whole namespace
    Flush(FlushArgs),
    /// Invalidate some entries of a namespace
    Invalidate(InvalidateArgs),
}

/// How much is done.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Entries to look at, at most [default: all there is to do]
    #[arg(long, value_name = "N")]
    entries: Option<u64>,
    /// Milliseconds to take, at most [default: as long as it takes]
    #[arg(long, value_name = "N")]
    millis: Option<u64>,
}

#[derive(Args, Debug)]
pub(crate) struct FlushArgs {
    /// The namespace
    namespace: String,
    #[command(flatten)]
    consent: Consent,
}

#[derive(Args, Debug)]
pub(crate) struct InvalidateArgs {
    /// The namespace
    namespace: String,
    #[command(flatten)]
    what: What,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct What {
    /// This entry, and all that depend on its key
    #[arg(long)]
    key: Option<String>,
    /// All entries whose keys begin so, and all that depend on them
    #[arg(long)]
    prefix: Option<String>,
    /// All entries with this tag, and all that depend on them; can be repeated
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// All entries that depend on this key, not its own; can be repeated
    #[arg(long, value_name = "KEY")]
    dependents_of: Vec<String>,
}

/// Runs one of them.
pub(crate) async fn run(command: CacheCommand, context: &Context) -> Result<(), Failure> {
    match command {
        CacheCommand::Stats => stats(context).await,
        CacheCommand::Sweep(bounds) => sweep(bounds, context).await,
        CacheCommand::Reclaim(bounds) => reclaim(bounds, context).await,
        CacheCommand::Flush(args) => flush(args, context).await,
        CacheCommand::Invalidate(args) => invalidate(args, context).await,
    }
}

async fn stats(context: &Context) -> Result<(), Failure> {
    let view = context.with_cache(async |cache| cache.view().await).await?;
    context.output().answer(&view, || show::view(&view))
}

/// What is left of bounds, and how much of it the next slice takes.
#[derive(Debug)]
struct Slices {
    bounds: Bounds,
    spent_us: u64,
    scanned: u64,
}

impl Slices {
    const fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            spent_us: 0,
            scanned: 0,
        }
    }

    /// Entries and milliseconds of the next slice.
    fn next(&self) -> (u64, Option<u64>) {
        let entries = self.bounds.entries.unwrap_or(u64::MAX);
        let millis = self.bounds.millis;
        let millis = millis.map(|most| most.saturating_sub(self.spent_us / 1_000));
        (entries.saturating_sub(self.scanned).min(SLICE), millis)
    }

    /// Notes a slice; whether there may be another.
    fn note(&mut self, scanned: u64, elapsed_us: u64) -> bool {
        self.scanned += scanned;
        self.spent_us += elapsed_us;
        let (entries, millis) = self.next();
        entries > 0 && millis != Some(0)
    }
}

async fn sweep(bounds: Bounds, context: &Context) -> Result<(), Failure> {
    let output = context.output();
    let bar = show::bar(output);
    let swept = context
        .with_cache(async |cache| {
            let (mut slices, mut whole) = (Slices::new(bounds), CacheSweep::default());
            loop {
                let (entries, millis) = slices.next();
                let entries = Some(entries);
                let from = whole.next;
                let request = SweepCache {
                    entries,
                    millis,
                    from,
                };
                let done = cache.sweep_cache(&request).await?;
                whole.next = done.next;
                let scanned = done.first.scanned + done.second.scanned;
                let elapsed = done.first.elapsed_us + done.second.elapsed_us;
                add(&mut whole.first, done.first);
                add(&mut whole.second, done.second);
                bar.set_message(show::sweeping(&whole));
                bar.tick();
                // A slice that finds nothing to do although work is left was
                // too short for it.
                let goes_on = slices.note(scanned, elapsed) && whole.next.is_some();
                if !goes_on || (scanned == 0 && millis.is_some()) {
                    return Ok(whole);
                }
            }
        })
        .await?;
    bar.finish_and_clear();
    output.answer(&swept, || show::swept(&swept))
}

fn add(whole: &mut TierSwept, slice: TierSwept) {
    whole.scanned += slice.scanned;
    whole.evicted += slice.evicted;
    whole.bytes += slice.bytes;
    whole.elapsed_us += slice.elapsed_us;
    whole.next = slice.next;
    for (namespace, swept) in slice.namespaces {
        let of = whole.namespaces.entry(namespace).or_default();
        of.evicted += swept.evicted;
        of.bytes += swept.bytes;
    }
}

async fn reclaim(bounds: Bounds, context: &Context) -> Result<(), Failure> {
    let output = context.output();
    let bar = show::bar(output);
    let taken = context
        .with_cache(async |cache| {
            let (mut slices, mut whole) = (Slices::new(bounds), CacheOrphans::default());
            loop {
                let (entries, millis) = slices.next();
                let entries = Some(entries);
                let from = whole.next;
                let request = ReclaimCache {
                    entries,
                    millis,
                    from,
                };
                let done = cache.reclaim(&request).await?;
                let goes_on = slices.note(done.scanned, done.elapsed_us);
                let goes_on = goes_on && done.next.is_some() && done.scanned > 0;
                add_orphans(&mut whole, done);
                bar.set_message(show::reclaiming(&whole));
                bar.tick();
                if !goes_on {
                    return Ok(whole);
                }
            }
        })
        .await?;
    bar.finish_and_clear();
    output.answer(&taken, || show::reclaimed(&taken))
}

fn add_orphans(whole: &mut CacheOrphans, slice: CacheOrphans) {
    whole.scanned += slice.scanned;
    whole.chains += slice.chains;
    whole.pieces += slice.pieces;
    whole.elapsed_us += slice.elapsed_us;
    whole.next = slice.next;
    for (namespace, taken) in slice.namespaces {
        let of = whole.namespaces.entry(namespace).or_default();
        of.chains += taken.chains;
        of.pieces += taken.pieces;
    }
}

async fn flush(args: FlushArgs, context: &Context) -> Result<(), Failure> {
    args.consent.check("flushing a namespace")?;
    let request = FlushCache {
        namespace: args.namespace,
    };
    let output = context.output();
    if args.consent.is_rehearsal() {
        let view = context.with_cache(async |cache| cache.view().await).await?;
        let mut spaces = view.namespaces.into_iter();
        let space = spaces.find(|space| space.namespace == request.namespace);
        return output.answer(&space, || show::would_flush(space.as_ref()));
    }
    let done = context
        .with_cache(async |cache| cache.flush(&request).await)
        .await?;
    output.answer(&done, || show::flushed(done))
}

async fn invalidate(args: InvalidateArgs, context: &Context) -> Result<(), Failure> {
    let some = |names: Vec<String>| Some(names).filter(|names| !names.is_empty());
    let request = InvalidateCache {
        namespace: args.namespace,
        key: args.what.key,
        prefix: args.what.prefix,
        tags: some(args.what.tags),
        dependents_of: some(args.what.dependents_of),
    };
    let done = context
        .with_cache(async |cache| cache.invalidate(&request).await)
        .await?;
    let output = context.output();
    output.answer(&done, || show::invalidated(done))
}
