//! What all drivers of the queue share: the store, the environment, the
//! settings, and how records are read.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache;
use windlass_core::{Env, Millis, Sharing, back_off};
use windlass_store::{Bookmark, Entry, Page, Scan, Store, StoreExt, Version};

use crate::config::Config;
use crate::draft::{Draft, Loaded, Stop};
use crate::error::QueueError;
use crate::held::Held;
use crate::id::Place;
use crate::keys::{QueueKeys, place_of};
use crate::limits::{READ_ROWS, ROUNDS_MAX};
use crate::model::Claim;
use crate::operation::Operation;
use crate::record::{Answer, Head, Item, ItemRow, Items, RANKS, Taken, decode};
use crate::rows::{Rows, Short};

/// The surroundings of every driver.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) env: Arc<dyn Env>,
    pub(crate) config: Config,
    pub(crate) bookmark: Bookmark,
    /// Claims and leases that were seen, and since when they are unchanged by
    /// this process's own reckoning.
    pub(crate) seen: Cache<QueueKeys, Seen>,
    pub(crate) seen_leases: Cache<QueueKeys, Seen>,
}

/// A hold that was seen: its token and deadline, and when it was first seen so.
pub(crate) type Seen = (u64, Millis, Duration);

/// Holds that are remembered to have been seen.
const SEEN_MAX: usize = 4_096;

impl Engine {
    pub(crate) fn new(store: Arc<dyn Store>, env: Arc<dyn Env>, config: Config) -> Self {
        Self {
            store,
            env,
            config,
            bookmark: Bookmark::default(),
            seen: Cache::new(SEEN_MAX),
            seen_leases: Cache::new(SEEN_MAX),
        }
    }

    /// A number that nobody can guess.
    pub(crate) fn seed(&self) -> Result<u64, QueueError> {
        let mut bytes = [0; 8];
        self.env.random(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// The first answers to an operation, if it was done before.
    pub(crate) async fn recorded(
        &self,
        operation: &Operation,
    ) -> Result<Option<Vec<Answer>>, QueueError> {
        let entry = self.store.get(operation.key.clone()).await?;
        entry
            .map(|entry| operation.replay(&entry.value))
            .transpose()
    }

    /// A claim that was made before, if it is held still.
    pub(crate) async fn taken_again(
        &self,
        keys: &QueueKeys,
        mut taken: Taken,
    ) -> Result<Claim, QueueError> {
        let mut loaded = self.load(keys).await?;
        loop {
            let now = self.env.now().max(loaded.head.at);
            let held = loaded.head.claim.clone();
            let held = held.filter(|it| it.token == taken.token && !it.until.has_passed(now));
            let Some(held) = held else {
                return Err(QueueError::ClaimExpired);
            };
            taken.until = held.until;
            match held_work(&loaded, &held) {
                Ok(work) => return Ok(Taken { work, ..taken }.into()),
                Err(Stop::Refused(error)) => return Err(error),
                Err(Stop::Short(short)) => {
                    if !self.fetch(keys, &mut loaded, &short).await? {
                        loaded = self.load(keys).await?;
                    }
                }
            }
        }
    }

    /// A queue's head and the beginning of its line, in one read.
    pub(crate) async fn load(&self, keys: &QueueKeys) -> Result<Loaded, QueueError> {
        let items = Scan::new(keys.items()).limit(READ_ROWS);
        let scans = [Scan::point(keys.head()), items];
        let mut pages = self.store.read(&scans).await?.into_iter();
        let head = pages
            .next()
            .and_then(|page| page.entries.into_iter().next());
        let loaded = loaded(head, pages.next().unwrap_or_default(), self.env.now())?;
        self.observe(keys, loaded.head.claim.as_ref());
        Ok(loaded)
    }

    /// Reads what a decision lacks; `false` if the queue has changed since it
    /// was loaded.
    pub(crate) async fn fetch(
        &self,
        keys: &QueueKeys,
        loaded: &mut Loaded,
        short: &Short,
    ) -> Result<bool, QueueError> {
        let mut scans = vec![Scan::point(keys.head()).keys()];
        match short {
            Short::Line(rank) => {
                let last = loaded.rows.last_known(*rank);
                scans.push(keys.items_after(*rank, last).limit(READ_ROWS));
            }
            Short::Row(place) => scans.push(Scan::point(keys.item(*place))),
            Short::At(place) => scans.push(keys.item_at(*place)),
            Short::Dead(place) => scans.push(Scan::point(keys.dead(*place))),
            Short::Sources(names) => {
                scans.extend(names.iter().map(|name| Scan::point(keys.source(name))));
            }
        }
        let mut pages = self.store.read(&scans).await?.into_iter();
        let head = pages.next().unwrap_or_default();
        let version = head.entries.first().map(|head| head.version);
        if version != loaded.version {
            return Ok(false);
        }
        match short {
            Short::Sources(names) => {
                for (name, page) in names.iter().zip(pages) {
                    let row = page.entries.first();
                    let row = row.map(|entry| decode("source record", &entry.value));
                    loaded
                        .rows
                        .sources
                        .insert(Arc::clone(name), row.transpose()?);
                }
            }
            other => add(loaded, other, pages.next().unwrap_or_default())?,
        }
        Ok(true)
    }

    /// Notes since when a claim is unchanged.
    pub(crate) fn observe(&self, keys: &QueueKeys, held: Option<&Held>) {
        if let Some(held) = held {
            self.see(&self.seen, keys, (held.token, held.until));
        }
    }

    /// Notes since when a hold is as it is. Who is alone has no use for it.
    pub(crate) fn see(&self, seen: &Cache<QueueKeys, Seen>, keys: &QueueKeys, hold: (u64, Millis)) {
        let same = |seen: &Seen| (seen.0, seen.1) == hold;
        if self.config.sharing == Sharing::Shared && !seen.get(keys).as_ref().is_some_and(same) {
            seen.insert(keys.clone(), (hold.0, hold.1, self.env.monotonic()));
        }
    }

    /// Whether a claim was seen unchanged for as long as it lasts.
    pub(crate) fn is_stalled(&self, keys: &QueueKeys, held: &Held) -> bool {
        self.is_unchanged(&self.seen, keys, (held.token, held.until), held.ttl_ms)
    }

    /// Whether a hold was seen as it is for `ttl_ms` by this process's own
    /// reckoning.
    pub(crate) fn is_unchanged(
        &self,
        seen: &Cache<QueueKeys, Seen>,
        keys: &QueueKeys,
        hold: (u64, Millis),
        ttl_ms: u64,
    ) -> bool {
        let Some((token, until, since)) = seen.get(keys) else {
            return false;
        };
        let unchanged = self.env.monotonic().saturating_sub(since);
        (token, until) == hold && unchanged >= Duration::from_millis(ttl_ms)
    }

    /// Waits a random while after lost races, longer after more of them, and
    /// gives up after too many.
    pub(crate) async fn back_off(&self, lost: u32) -> Result<(), QueueError> {
        if lost >= ROUNDS_MAX {
            return Err(QueueError::Busy);
        }
        Ok(back_off(self.env.as_ref(), lost).await?)
    }
}

/// What a claim holds.
pub(crate) fn held_work(loaded: &Loaded, held: &Held) -> Result<Vec<(Place, Arc<Item>)>, Stop> {
    let draft = Draft::new(loaded, 0, loaded.head.at);
    let item = |(row, number)| Ok((row, draft.item(row, number)?));
    held.numbers().map(item).collect()
}

/// A queue from its head and the first rows of its line.
fn loaded(head: Option<Entry>, page: Page, now: Millis) -> Result<Loaded, QueueError> {
    let Some(entry) = head else {
        if !page.entries.is_empty() {
            return Err(QueueError::corrupt("queue head", "it is missing"));
        }
        return Ok(absent(now));
    };
    let head: Head = decode("queue head", &entry.value)?;
    let mut loaded = of_head(head, Some(entry.version));
    if loaded.head.removing {
        return Ok(loaded);
    }
    let rows = decode_rows(page.entries, &loaded.head)?;
    let last = rows.last().map_or(0, |(place, _)| usize::from(place.rank));
    let mut by_rank: [Vec<(Place, Items)>; RANKS] = Default::default();
    for row in rows {
        by_rank[usize::from(row.0.rank)].push(row);
    }
    for (index, rows) in by_rank.into_iter().enumerate() {
        let more = page.more && index >= last;
        if !more || !rows.is_empty() {
            extend(
                &mut loaded,
                u8::try_from(index).expect("few ranks"),
                rows,
                more,
            )?;
        }
    }
    Ok(loaded)
}

/// A queue that does not exist yet.
fn absent(now: Millis) -> Loaded {
    of_head(Head::begin(now), None)
}

fn of_head(head: Head, version: Option<Version>) -> Loaded {
    Loaded {
        rows: Rows::unknown(&head.lines),
        head,
        version,
        stalled: false,
    }
}

/// Adds rows of a rank, and counts them once all are there: a missing one is
/// no shorter line.
fn extend(
    loaded: &mut Loaded,
    rank: u8,
    rows: Vec<(Place, Items)>,
    more: bool,
) -> Result<(), QueueError> {
    loaded.rows.extend(rank, rows, more);
    let expected = loaded.head.lines[usize::from(rank)];
    match loaded.rows.count_whole(rank) {
        Some(found) if found != expected => {
            let why = format!("{found} of {expected} batches of work are there");
            Err(QueueError::corrupt("queue row", why))
        }
        Some(_) | None => Ok(()),
    }
}

/// Adds what was read for `short`.
fn add(loaded: &mut Loaded, short: &Short, page: Page) -> Result<(), QueueError> {
    let first = page.entries.first();
    match short {
        Short::Line(rank) => {
            let rows = decode_rows(page.entries, &loaded.head)?;
            extend(loaded, *rank, rows, page.more)?;
        }
        Short::Row(place) | Short::At(place) => {
            let row = decode_rows(page.entries, &loaded.head)?.pop();
            loaded.rows.found(*place, row);
        }
        Short::Dead(place) => {
            let row = first.map(|entry| decode("dead work", &entry.value));
            loaded.rows.found_dead(*place, row.transpose()?);
        }
        // Each in a page of its own.
        Short::Sources(_) => {}
    }
    Ok(())
}

/// Rows of work with their places, without what is gone from them.
pub(crate) fn decode_rows(
    entries: Vec<Entry>,
    head: &Head,
) -> Result<Vec<(Place, Items)>, QueueError> {
    let row = |entry: Entry| {
        let bad_key = || QueueError::corrupt("queue row", "its key names no place");
        let place = place_of(&entry.key).ok_or_else(bad_key)?;
        let mut row: ItemRow = decode("queue row", &entry.value)?;
        head.prune(place, &mut row.items);
        Ok((place, row.items))
    };
    entries.into_iter().map(row).collect()
}
