//! Listings of sessions, and the history of one.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use windlass_core::{AgentId, Coded, ErrorKind, Millis, SessionId};
use windlass_store::limits::{READ_ENTRIES_MAX, READ_SCANS_MAX};
use windlass_store::{Entry, Scan, StoreErrorKind};

use crate::engine::{Engine, Loaded, decode_entries, view};
use crate::error::{Problem, SessionError};
use crate::keys::{SessionKeys, index_row, listing};
use crate::limits::LIST_MAX;
use crate::model::{Caller, check_range};
use crate::record::{EventRow, decode};
use crate::view::{Event, Session, Status};

/// Which sessions to list, and how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListQuery {
    /// Those of this agent; of all if `None`.
    pub agent: Option<AgentId>,
    /// Those in this status; in all if `None`.
    pub status: Option<Status>,
    /// Those created at this time or later.
    pub created_from: Millis,
    /// Those created before this time.
    pub created_until: Millis,
    /// Newest first instead of oldest first.
    pub newest_first: bool,
    /// At most so many on the page, unreadable ones included: 1 to 1,000.
    pub limit: usize,
    /// Go on after an earlier page of the same query.
    pub after: Option<ListCursor>,
}

impl Default for ListQuery {
    /// The first 100 sessions of the tenant, oldest first.
    fn default() -> Self {
        Self {
            agent: None,
            status: None,
            created_from: Millis::new(0),
            created_until: Millis::new(u64::MAX),
            newest_first: false,
            limit: 100,
            after: None,
        }
    }
}

impl ListQuery {
    fn wants(&self, session: &Session) -> bool {
        self.status.is_none_or(|status| status == session.status)
    }
}

/// Where a page of a listing ended. Opaque; valid for the same query only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListCursor {
    created: Millis,
    id: SessionId,
}

impl ListCursor {
    fn of_row(key: &[u8]) -> Option<Self> {
        let (created, id) = index_row(key)?;
        Some(Self { created, id })
    }
}

impl fmt::Display for ListCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.created, self.id)
    }
}

impl FromStr for ListCursor {
    type Err = SessionError;

    fn from_str(text: &str) -> Result<Self, SessionError> {
        let bad = || SessionError::invalid("after", Problem::Character);
        let (created, id) = text.split_once('.').ok_or_else(bad)?;
        let created = Millis::new(created.parse().map_err(|_| bad())?);
        Ok(Self {
            created,
            id: id.parse().map_err(|_| bad())?,
        })
    }
}

/// One page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionPage {
    /// The sessions, each as it was when it was read.
    pub sessions: Vec<Session>,
    /// Where to go on; `None` at the end.
    pub next: Option<ListCursor>,
    /// Sessions whose records cannot be read; they are left out.
    pub unreadable: Vec<Unreadable>,
}

/// A session that a listing or a sweep had to leave out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unreadable {
    /// Which session.
    pub id: SessionId,
    /// What is wrong with it, for operators.
    pub why: String,
}

/// Part of a session's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryPage {
    /// The events, oldest first, without gaps.
    pub events: Vec<Event>,
    /// Whether later events exist.
    pub more: bool,
}

impl Engine {
    pub(crate) async fn list(
        &self,
        caller: &Caller,
        query: &ListQuery,
    ) -> Result<SessionPage, SessionError> {
        check_limit(query.limit)?;
        let mut page = SessionPage::default();
        let mut scan = self.listing_scan(caller, query);
        loop {
            let mut pages = self.store.read(std::slice::from_ref(&scan)).await?;
            let rows = pages.pop().unwrap_or_default();
            for chunk in rows.entries.chunks(READ_SCANS_MAX) {
                if self.list_chunk(caller, query, chunk, &mut page).await? {
                    return Ok(page);
                }
            }
            match rows.entries.last() {
                Some(last) if rows.more => scan = scan.after(&last.key),
                _ => {
                    page.next = None;
                    return Ok(page);
                }
            }
        }
    }

    fn listing_scan(&self, caller: &Caller, query: &ListQuery) -> Scan {
        let agent = query.agent.as_ref();
        let range = |from, until| listing(&caller.tenant, agent, from, until);
        let whole = range(query.created_from, query.created_until);
        let rows = match query.status {
            None => query.limit.saturating_add(1).min(READ_ENTRIES_MAX),
            Some(_) => READ_ENTRIES_MAX,
        };
        let mut scan = Scan::new(whole).keys().limit(rows);
        if query.newest_first {
            scan = scan.descending();
        }
        let Some(after) = &query.after else {
            return scan;
        };
        let mut last = range(after.created, after.created).start.to_vec();
        last.push(b'/');
        last.extend_from_slice(after.id.as_str().as_bytes());
        scan.after(&last.into())
    }

    /// Adds the sessions of some index rows; `true` once the page is full.
    async fn list_chunk(
        &self,
        caller: &Caller,
        query: &ListQuery,
        rows: &[Entry],
        page: &mut SessionPage,
    ) -> Result<bool, SessionError> {
        let named: Vec<(&Entry, ListCursor)> = rows
            .iter()
            .filter_map(|row| Some((row, ListCursor::of_row(&row.key)?)))
            .collect();
        let ids = named.iter().map(|(_, place)| &place.id);
        let shown = self.show(caller, ids).await?;
        for ((row, place), shown) in named.into_iter().zip(shown) {
            let full = page.sessions.len() + page.unreadable.len() == query.limit;
            match self.listed(caller, row, &place.id, shown).await {
                Ok(Some(session)) if query.wants(&session) => {
                    if full {
                        return Ok(true);
                    }
                    page.sessions.push(session);
                }
                Ok(_) => {}
                Err(error) if error.kind() != ErrorKind::Corrupt => return Err(error),
                Err(_) if full => return Ok(true),
                Err(error) => page.unreadable.push(Unreadable {
                    id: place.id.clone(),
                    why: error.to_string(),
                }),
            }
            page.next = Some(place);
        }
        Ok(false)
    }

    /// What the session of an index row is to a listing: if it is not there,
    /// it was removed meanwhile, or lost while its row was not.
    async fn listed(
        &self,
        caller: &Caller,
        row: &Entry,
        id: &SessionId,
        shown: Result<Option<Session>, SessionError>,
    ) -> Result<Option<Session>, SessionError> {
        if shown.as_ref().is_ok_and(Option::is_none) {
            let head = SessionKeys::new(&caller.tenant, id).head();
            let scans = [Scan::point(row.key.clone()), Scan::point(head)].map(Scan::keys);
            let pages = self.store.read(&scans).await?;
            let there: Vec<bool> = pages.iter().map(|page| !page.entries.is_empty()).collect();
            if there == [true, false] {
                return Err(SessionError::corrupt("session head", "it is missing"));
            }
        }
        shown
    }

    /// Several sessions as they are stored now, each on its own: one that
    /// cannot be read does not hide the others.
    async fn show(
        &self,
        caller: &Caller,
        ids: impl Iterator<Item = &SessionId>,
    ) -> Result<Vec<Result<Option<Session>, SessionError>>, SessionError> {
        let keys: Vec<SessionKeys> = ids.map(|id| SessionKeys::new(&caller.tenant, id)).collect();
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let scans: Vec<Scan> = keys.iter().map(SessionKeys::record).collect();
        let pages = match self.store.read(&scans).await {
            Ok(pages) => pages,
            Err(error) if error.kind() == StoreErrorKind::Corrupt => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let mut shown = Vec::with_capacity(keys.len());
        for (place, keys) in keys.iter().enumerate() {
            let whole = pages.get(place).filter(|page| !page.more);
            shown.push(
                match whole.map(|page| decode_entries(keys, &page.entries)) {
                    Some(Ok(Some(found))) if found.spec.above.is_empty() => {
                        Ok(self.shown(keys, Some(found)))
                    }
                    Some(Ok(Some(found))) => {
                        let loaded = self.load_above(keys, found).await;
                        loaded.map(|loaded| self.shown(keys, Some(loaded)))
                    }
                    Some(other) => other.map(|_| None),
                    None => self.get(keys).await,
                },
            );
        }
        Ok(shown)
    }

    fn shown(&self, keys: &SessionKeys, loaded: Option<Loaded>) -> Option<Session> {
        let loaded = loaded.filter(|loaded| !loaded.is_removing())?;
        let now = self.env.now();
        let figures = loaded.head.figures(now);
        let mut session = view(keys, &loaded.spec, &figures, loaded.clamped, now);
        if let Some(cut) = &loaded.cut {
            cut.show(&mut session);
        }
        Some(session)
    }

    pub(crate) async fn get(&self, keys: &SessionKeys) -> Result<Option<Session>, SessionError> {
        let loaded = self.load(keys).await?;
        Ok(self.shown(keys, loaded))
    }

    pub(crate) async fn history(
        &self,
        keys: &SessionKeys,
        after: u64,
        limit: usize,
    ) -> Result<Option<HistoryPage>, SessionError> {
        check_limit(limit)?;
        let Some(loaded) = self.load(keys).await? else {
            return Ok(None);
        };
        match self.events(keys, loaded.head.events, after, limit).await {
            Ok(page) => Ok(Some(page)),
            Err(error) if error.kind() != ErrorKind::Corrupt => Err(error),
            // Unless it was removed meanwhile, rows are missing.
            Err(error) => match self.load(keys).await? {
                Some(_) => Err(error),
                None => Ok(None),
            },
        }
    }

    /// The events after number `after` of a session that has `last`.
    async fn events(
        &self,
        keys: &SessionKeys,
        last: u64,
        after: u64,
        limit: usize,
    ) -> Result<HistoryPage, SessionError> {
        let mut events: Vec<Event> = Vec::new();
        let mut next = after.saturating_add(1);
        let mut scan = keys.events_until(next).limit(1);
        while next <= last && events.len() < limit {
            let mut pages = self.store.read(std::slice::from_ref(&scan)).await?;
            let rows = pages.pop().map(|page| page.entries).unwrap_or_default();
            if rows.is_empty() {
                return Err(missing(next));
            }
            for row in &rows {
                next = append(&mut events, keys, row, next)?;
            }
            scan = keys.events_after(next - 1);
        }
        events.truncate(limit);
        let more = events
            .last()
            .map_or(after < last, |event| event.number < last);
        Ok(HistoryPage { events, more })
    }
}

pub(crate) fn check_limit(limit: usize) -> Result<(), SessionError> {
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    check_range("limit", number(limit), 1, number(LIST_MAX))
}

/// Adds the events of `row` from number `next` on; the row must hold it.
fn append(
    events: &mut Vec<Event>,
    keys: &SessionKeys,
    row: &Entry,
    next: u64,
) -> Result<u64, SessionError> {
    let stored: EventRow<'static> = decode("event row", &row.value)?;
    let first = keys.first_event(&row.key).ok_or_else(|| missing(next))?;
    let end = first + u64::try_from(stored.events.len()).unwrap_or(u64::MAX);
    if first > next || end <= next {
        return Err(missing(next));
    }
    for (number, record) in (first..).zip(stored.events.into_owned()) {
        if number >= next {
            events.push(Event {
                number,
                at: record.at,
                what: record.what,
                operation: record.operation,
            });
        }
    }
    Ok(end)
}

fn missing(number: u64) -> SessionError {
    SessionError::corrupt("session history", format!("event {number} is missing"))
}
