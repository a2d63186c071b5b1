//! Looking at queues without changing them. What is shown is what is stored,
//! also after another process wrote.

use std::sync::Arc;

use windlass_core::{Coded, ErrorKind, Millis, OwnerId, SessionId, TenantId};
use windlass_store::{Entry, Scan, Take};

use crate::caller::Caller;
use crate::engine::{Engine, decode_rows};
use crate::error::QueueError;
use crate::held::Held;
use crate::id::{Place, WorkId};
use crate::keys::{QueueKeys, all_queues, place_of, session_of};
use crate::limits::LIST_MAX;
use crate::model::{Delivery, Payload, Slot, check_range};
use crate::queue::Queue;
use crate::record::{DeadRow, Head, Item, RANKS, decode};

/// Which work of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum State {
    /// In line, or to be in line later, and not claimed.
    #[default]
    Pending,
    /// Held by somebody.
    Claimed,
    /// Not tried any more.
    Dead,
}

/// What is asked of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListQuery {
    /// Which work.
    pub state: State,
    /// Only what stands behind this.
    pub after: Option<WorkId>,
    /// At most so many: 1 to 1,000.
    pub limit: usize,
    /// Whether payloads are wanted; without, they come back empty.
    pub payloads: bool,
}

impl Default for ListQuery {
    /// The first hundred that are pending, without payloads.
    fn default() -> Self {
        Self {
            state: State::Pending,
            after: None,
            limit: 100,
            payloads: false,
        }
    }
}

/// Work as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub id: WorkId,
    /// In which state it is.
    pub state: State,
    /// What is to be done; empty unless it was asked for.
    pub payloads: Arc<[Payload]>,
    /// How many payloads it has, and their bytes.
    pub size: (usize, usize),
    /// When it is to be handed out.
    pub delivery: Delivery,
    /// Whether alone.
    pub slot: Slot,
    /// What it is merged by.
    pub merge_key: Option<Arc<str>>,
    /// Its priority.
    pub priority: u8,
    /// Its source key.
    pub source_key: Option<Arc<str>>,
    /// Attempts so far, the one under way included.
    pub attempts: u32,
    /// How many there may be.
    pub attempts_max: u32,
    /// When it was enqueued.
    pub enqueued_at: Millis,
    /// Not to be claimed before.
    pub available_at: Millis,
    /// Why its last attempt failed.
    pub reason: Option<Arc<str>>,
    /// Who holds it, and until when.
    pub held: Option<(OwnerId, Millis)>,
    /// When it was put with the dead.
    pub died_at: Option<Millis>,
}

/// A page of a session's work, in the order of its line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkPage {
    /// The work.
    pub work: Vec<Listed>,
    /// Where the next page begins; `None` if there is nothing more.
    pub next: Option<WorkId>,
    /// Rows that cannot be read, and why; what is in them is left out.
    pub unreadable: Vec<String>,
}

/// How much work a session has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// In line, or to be in line later, and not claimed.
    pub pending: u64,
    /// Held by somebody.
    pub claimed: u64,
    /// Not tried any more.
    pub dead: u64,
    /// Since when the oldest of what stands in line stands there, claimed work
    /// included; `None` if nothing does.
    pub oldest: Option<Millis>,
}

/// A page of a tenant's sessions that have queues, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overview {
    /// The sessions, and how much work each has.
    pub sessions: Vec<(SessionId, Counts)>,
    /// Where the next page begins; `None` if there is nothing more.
    pub next: Option<SessionId>,
    /// Sessions whose records cannot be read, and why.
    pub unreadable: Vec<(SessionId, String)>,
}

impl Queue {
    /// A page of a session's work. One read for each hundred rows or so; a row
    /// that cannot be read is named on the page and left out.
    ///
    /// # Errors
    ///
    /// `Invalid` for a limit outside 1 to 1,000; the store's failures.
    pub async fn list(
        &self,
        caller: &Caller,
        session: &SessionId,
        query: &ListQuery,
    ) -> Result<WorkPage, QueueError> {
        let limit = u64::try_from(query.limit).unwrap_or(u64::MAX);
        let most = u64::try_from(LIST_MAX).unwrap_or(u64::MAX);
        check_range("limit", limit, 1, most)?;
        let keys = QueueKeys::new(&caller.tenant, session);
        match query.state {
            State::Dead => self.engine().list_dead(&keys, query).await,
            State::Pending | State::Claimed => self.engine().list_line(&keys, query).await,
        }
    }

    /// One batch of work with its payloads, in whatever state; `None` if there
    /// is none. One read.
    ///
    /// # Errors
    ///
    /// `Corrupt` if its record cannot be read; the store's failures.
    pub async fn peek(
        &self,
        caller: &Caller,
        session: &SessionId,
        id: WorkId,
    ) -> Result<Option<Listed>, QueueError> {
        let keys = QueueKeys::new(&caller.tenant, session);
        self.engine().peek(&keys, id).await
    }

    /// How much work a session has. One read.
    ///
    /// # Errors
    ///
    /// `Corrupt` if its records cannot be read; the store's failures.
    pub async fn counts(&self, caller: &Caller, session: &SessionId) -> Result<Counts, QueueError> {
        let keys = QueueKeys::new(&caller.tenant, session);
        Ok(self.engine().counts(&keys).await?.unwrap_or_default())
    }

    /// A page of the tenant's sessions that have queues, with what is in them,
    /// from after `after` on. Two reads a session, however much work it has.
    ///
    /// # Errors
    ///
    /// `Invalid` for a limit outside 1 to 1,000; the store's failures.
    pub async fn overview(
        &self,
        caller: &Caller,
        after: Option<&SessionId>,
        limit: usize,
    ) -> Result<Overview, QueueError> {
        let asked = u64::try_from(limit).unwrap_or(u64::MAX);
        let most = u64::try_from(LIST_MAX).unwrap_or(u64::MAX);
        check_range("limit", asked, 1, most)?;
        self.engine().overview(&caller.tenant, after, limit).await
    }

    /// How many batches of work of a tenant are stored, dead ones included.
    /// Two reads a session; each session is as of the time it is read.
    ///
    /// # Errors
    ///
    /// `Corrupt` if a session's record cannot be read; the store's failures.
    pub async fn stored(&self, tenant: &TenantId) -> Result<u64, QueueError> {
        let mut stored = 0_u64;
        let mut after = None;
        loop {
            let page = self
                .engine()
                .overview(tenant, after.as_ref(), LIST_MAX)
                .await?;
            if let Some((_, why)) = page.unreadable.into_iter().next() {
                return Err(QueueError::corrupt("queue head", why));
            }
            for (_, counts) in page.sessions {
                let sum = counts.pending + counts.claimed + counts.dead;
                stored = stored.saturating_add(sum);
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(stored),
            }
        }
    }
}

impl Engine {
    async fn list_line(&self, keys: &QueueKeys, query: &ListQuery) -> Result<WorkPage, QueueError> {
        let mut page = WorkPage::default();
        let mut scan = Scan::new(keys.items());
        if let Some(after) = query.after.map(WorkId::place) {
            let row = self.store.read(&[keys.item_at(after).keys()]).await?;
            let row = row.into_iter().flat_map(|page| page.entries).next();
            scan.range.start = row.map_or_else(|| keys.item(after), |entry| entry.key);
        }
        loop {
            let scans = [Scan::point(keys.head()), scan.clone().limit(100)];
            let mut pages = self.store.read(&scans).await?.into_iter();
            let mut next = || pages.next().unwrap_or_default();
            let head = next().entries.into_iter().next();
            let head = head.map(|entry| decode::<Head>("queue head", &entry.value));
            let Some(head) = head.transpose()? else {
                return Ok(page);
            };
            let rows = next();
            let last = rows.entries.last().map(|entry| entry.key.clone());
            for entry in rows.entries {
                if show_row(&mut page, entry, &head, query) {
                    return Ok(page);
                }
            }
            match last {
                Some(last) if rows.more => scan = scan.after(&last),
                _ => return Ok(page),
            }
        }
    }

    async fn list_dead(&self, keys: &QueueKeys, query: &ListQuery) -> Result<WorkPage, QueueError> {
        let mut page = WorkPage::default();
        let mut scan = Scan::new(keys.all_dead());
        if let Some(after) = query.after {
            scan = scan.after(&keys.dead(after.place()));
        }
        loop {
            let pages = self.store.read(&[scan.clone().limit(100)]).await?;
            let rows = pages.into_iter().next().unwrap_or_default();
            let last = rows.entries.last().map(|entry| entry.key.clone());
            for entry in rows.entries {
                let one = dead_row(&entry);
                if is_full(&mut page, query) {
                    return Ok(page);
                }
                match one {
                    Ok((place, row)) => page.work.push(dead(place, &row, query.payloads)),
                    Err(error) => page.unreadable.push(error.to_string()),
                }
            }
            match last {
                Some(last) if rows.more => scan = scan.after(&last),
                _ => return Ok(page),
            }
        }
    }

    async fn peek(&self, keys: &QueueKeys, id: WorkId) -> Result<Option<Listed>, QueueError> {
        let place = id.place();
        let scans = [
            Scan::point(keys.head()),
            keys.item_at(place),
            Scan::point(keys.dead(place)),
        ];
        let mut pages = self.store.read(&scans).await?.into_iter();
        let mut next = || {
            pages
                .next()
                .and_then(|page| page.entries.into_iter().next())
        };
        let (head, row, dead_entry) = (next(), next(), next());
        let head = head.map(|entry| decode::<Head>("queue head", &entry.value));
        let Some(head) = head.transpose()? else {
            return Ok(None);
        };
        for (row, items) in decode_rows(row.into_iter().collect(), &head)? {
            let found = items.iter().find(|item| item.id(row) == id);
            if let Some(item) = found {
                return Ok(Some(listed(row, item, head.claim.as_ref(), true)));
            }
        }
        let dead_row = dead_entry.map(|entry| dead_row(&entry)).transpose()?;
        let dead_row = dead_row.filter(|(place, row)| row.item.id(*place) == id);
        Ok(dead_row.map(|(place, row)| dead(place, &row, true)))
    }

    async fn counts(&self, keys: &QueueKeys) -> Result<Option<Counts>, QueueError> {
        let fronts = (0..RANKS).map(|rank| {
            let rank = u8::try_from(rank).expect("few ranks");
            Scan {
                take: Take::Keys,
                ..keys.items_after(rank, None).limit(1)
            }
        });
        let scans: Vec<Scan> = [Scan::point(keys.head())]
            .into_iter()
            .chain(fronts)
            .collect();
        let mut pages = self.store.read(&scans).await?.into_iter();
        let Some(entry) = pages
            .next()
            .and_then(|page| page.entries.into_iter().next())
        else {
            return Ok(None);
        };
        let head: Head = decode("queue head", &entry.value)?;
        if head.removing {
            return Ok(None);
        }
        let now = self.env.now().max(head.at);
        let fronts = pages.flat_map(|page| page.entries);
        let times = fronts.filter_map(|entry| Some(place_of(&entry.key)?.time));
        let claimed = head.claim.as_ref().map_or(0, Held::count);
        let claimed = u64::try_from(claimed).unwrap_or(u64::MAX);
        Ok(Some(Counts {
            pending: head.pending().saturating_sub(claimed),
            claimed,
            dead: head.dead,
            oldest: times.filter(|time| time.has_passed(now)).min(),
        }))
    }

    /// Steps from one session's queue to the next.
    async fn overview(
        &self,
        tenant: &TenantId,
        after: Option<&SessionId>,
        limit: usize,
    ) -> Result<Overview, QueueError> {
        let all = all_queues(tenant);
        let mut rest = all.clone();
        let mut page = Overview::default();
        let mut after = after.cloned();
        loop {
            if let Some(session) = &after {
                let behind = QueueKeys::new(tenant, session).all().end;
                rest.start = behind.expect("a prefix of text has an end");
            }
            let scan = [Scan::new(rest.clone()).keys().limit(1)];
            let found = self.store.read(&scan).await?;
            let found = found.into_iter().flat_map(|page| page.entries).next();
            let Some(row) = found else { return Ok(page) };
            let foreign = || QueueError::corrupt("queue row", "its key names no session");
            let session = session_of(&row.key).ok_or_else(foreign)?;
            if page.sessions.len() + page.unreadable.len() >= limit {
                page.next = after;
                return Ok(page);
            }
            let keys = QueueKeys::new(tenant, &session);
            match self.counts(&keys).await {
                Ok(Some(counts)) => page.sessions.push((session.clone(), counts)),
                Ok(None) => {}
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    page.unreadable.push((session.clone(), error.to_string()));
                }
                Err(error) => return Err(error),
            }
            after = Some(session);
        }
    }
}

/// Whether the page has all it may have; if so it says where to go on.
fn is_full(page: &mut WorkPage, query: &ListQuery) -> bool {
    let full = page.work.len() >= query.limit;
    if full {
        page.next = page.work.last().map(|last| last.id);
    }
    full
}

/// Shows the work of a row that is asked for; whether the page is full.
fn show_row(page: &mut WorkPage, entry: Entry, head: &Head, query: &ListQuery) -> bool {
    let rows = match decode_rows(vec![entry], head) {
        Ok(rows) => rows,
        Err(error) => {
            page.unreadable.push(error.to_string());
            return false;
        }
    };
    for (row, items) in rows {
        for item in &items {
            let number = item.number;
            let behind = |after: WorkId| Place { number, ..row } > after.place();
            let one = listed(row, item, head.claim.as_ref(), query.payloads);
            if one.state != query.state || !query.after.is_none_or(behind) {
                continue;
            }
            if is_full(page, query) {
                return true;
            }
            page.work.push(one);
        }
    }
    false
}

fn dead_row(entry: &Entry) -> Result<(Place, DeadRow), QueueError> {
    let bad_key = || QueueError::corrupt("dead work", "its key names no place");
    let place = place_of(&entry.key).ok_or_else(bad_key)?;
    Ok((place, decode("dead work", &entry.value)?))
}

fn dead(place: Place, row: &DeadRow, payloads: bool) -> Listed {
    let shown = listed(place, &row.item, None, payloads);
    Listed {
        state: State::Dead,
        attempts: row.item.attempts,
        died_at: Some(row.at),
        ..shown
    }
}

fn listed(row: Place, item: &Item, held: Option<&Held>, payloads: bool) -> Listed {
    let claimed = item.claimed(row);
    let held = held.filter(|held| {
        held.row_of(Place {
            number: item.number,
            ..row
        })
        .is_some()
    });
    let state = match held {
        Some(_) => State::Claimed,
        None => State::Pending,
    };
    Listed {
        id: claimed.id,
        state,
        size: (item.payloads.len(), item.size()),
        payloads: if payloads {
            claimed.payloads
        } else {
            Arc::from([])
        },
        delivery: claimed.delivery,
        slot: claimed.slot,
        merge_key: claimed.merge_key,
        priority: claimed.priority,
        source_key: claimed.source_key,
        attempts: item.attempts.saturating_add(u32::from(held.is_some())),
        attempts_max: item.attempts_max,
        enqueued_at: item.at,
        available_at: row.time.max(item.rest),
        reason: item.reason.clone(),
        held: held.map(|held| (held.owner.clone(), held.until)),
        died_at: None,
    }
}
