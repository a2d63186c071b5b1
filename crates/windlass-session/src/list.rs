//! Listings of sessions, and the history of one.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use windlass_core::{AgentId, Coded, ErrorKind, Millis, SessionId};
use windlass_store::limits::{READ_ENTRIES_MAX, READ_SCANS_MAX};
use windlass_store::{Entry, Scan, StoreErrorKind};

use crate::caller::Caller;
use crate::engine::{Engine, Loaded, decode_entries, view};
use crate::error::{Problem, SessionError};
use crate::keys::{SessionKeys, index_row, listing};
use crate::limits::{LIST_MAX, PASSED_SESSIONS_MAX};
use crate::model::check_range;
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
    /// Whether sessions may have to be looked at that are not listed.
    const fn is_selective(&self, caller: &Caller) -> bool {
        self.status.is_some() || caller.only_of().is_some()
    }

    fn wants(&self, session: &Session) -> bool {
        self.status.is_none_or(|status| status == session.status)
    }
}

/// Where a page of a listing ended. Opaque; valid for the same query only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListCursor {
    created: Millis,
    /// The last session on the page; if `None` the next one begins with all
    /// that were created at `created`. So a cursor names no session but a
    /// listed one.
    id: Option<SessionId>,
}

/// In the text of a cursor, in the place of a session: no id is spelled so.
const ANY: &str = ".";

impl fmt::Display for ListCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.id.as_ref().map_or(ANY, SessionId::as_str);
        write!(f, "{}.{id}", self.created)
    }
}

impl FromStr for ListCursor {
    type Err = SessionError;

    fn from_str(text: &str) -> Result<Self, SessionError> {
        let bad = || SessionError::invalid("after", Problem::Character);
        let (created, id) = text.split_once('.').ok_or_else(bad)?;
        let created = Millis::new(created.parse().map_err(|_| bad())?);
        let id = match id {
            ANY => None,
            id => Some(id.parse().map_err(|_| bad())?),
        };
        Ok(Self { created, id })
    }
}

/// One page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionPage {
    /// The sessions, each as it was when it was read. May be fewer than asked
    /// for, or none, before the end: see [`Sessions::list`](crate::Sessions::list).
    pub sessions: Vec<Session>,
    /// Where to go on; `None` at the end, and only there.
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
    /// The number of the last event there is; 0 if there is none.
    pub last: u64,
}

/// What a row of an index leads to.
enum Seen {
    Session(Box<Session>),
    /// A session that is not there for the caller.
    OutOfReach,
    /// No session any more, or none that is whole.
    Nothing,
}

impl Seen {
    fn of(shown: Option<Session>) -> Self {
        shown.map_or(Self::Nothing, |session| Self::Session(Box::new(session)))
    }
}

/// A page while it is put together.
struct Listing<'a> {
    caller: &'a Caller,
    query: &'a ListQuery,
    page: SessionPage,
    /// Sessions looked at that are not on the page.
    passed: usize,
    /// The time of the last row that was looked at.
    at: Option<Millis>,
}

impl Listing<'_> {
    fn is_full(&self) -> bool {
        self.page.sessions.len() + self.page.unreadable.len() == self.query.limit
    }

    /// Ends the page before a row of time `created` if it has passed over
    /// enough; between two rows of one time it cannot say where to go on.
    fn ends_before(&mut self, created: Millis) -> bool {
        let ends = self.passed >= PASSED_SESSIONS_MAX && self.at != Some(created);
        if ends {
            self.page.next = Some(ListCursor { created, id: None });
        }
        self.at = Some(created);
        ends
    }

    fn note(&mut self, created: Millis, id: SessionId) {
        let id = Some(id);
        self.page.next = Some(ListCursor { created, id });
    }
}

impl Engine {
    pub(crate) async fn list(
        &self,
        caller: &Caller,
        query: &ListQuery,
    ) -> Result<SessionPage, SessionError> {
        check_limit(query.limit)?;
        let mut listing = Listing {
            caller,
            query,
            page: SessionPage::default(),
            passed: 0,
            at: None,
        };
        let mut scan = self.listing_scan(caller, query);
        loop {
            let mut pages = self.store.read(std::slice::from_ref(&scan)).await?;
            let rows = pages.pop().unwrap_or_default();
            for chunk in rows.entries.chunks(READ_SCANS_MAX) {
                if self.list_chunk(chunk, &mut listing).await? {
                    return Ok(listing.page);
                }
            }
            match rows.entries.last() {
                Some(last) if rows.more => scan = scan.after(&last.key),
                _ => {
                    listing.page.next = None;
                    return Ok(listing.page);
                }
            }
        }
    }

    fn listing_scan(&self, caller: &Caller, query: &ListQuery) -> Scan {
        let agent = query.agent.as_ref();
        let range = |from, until| listing(&caller.tenant, agent, from, until);
        let whole = range(query.created_from, query.created_until);
        let rows = if query.is_selective(caller) {
            READ_ENTRIES_MAX
        } else {
            query.limit.saturating_add(1).min(READ_ENTRIES_MAX)
        };
        let mut scan = Scan::new(whole).keys().limit(rows);
        if query.newest_first {
            scan = scan.descending();
        }
        let Some(ListCursor { created, id }) = &query.after else {
            return scan;
        };
        // The key of a time sorts before the rows of that time.
        let before = |time| range(time, time).start;
        scan.after(&match id {
            Some(id) => [before(*created).as_ref(), b"/", id.as_str().as_bytes()]
                .concat()
                .into(),
            None if query.newest_first => before(created.plus_ms(1)),
            None => before(*created),
        })
    }

    /// Adds the sessions of some index rows; `true` once the page is over.
    async fn list_chunk(
        &self,
        rows: &[Entry],
        listing: &mut Listing<'_>,
    ) -> Result<bool, SessionError> {
        let (caller, query) = (listing.caller, listing.query);
        let named: Vec<(&Entry, Millis, SessionId)> = rows
            .iter()
            .filter_map(|row| index_row(&row.key).map(|(created, id)| (row, created, id)))
            .collect();
        let seen = self.show(caller, named.iter().map(|(_, _, id)| id)).await?;
        for ((row, created, id), seen) in named.into_iter().zip(seen) {
            if listing.ends_before(created) {
                return Ok(true);
            }
            let listed = match self.listed(caller, row, &id, seen).await {
                Ok(session) => Ok(session.filter(|session| query.wants(session))),
                Err(error) if error.kind() != ErrorKind::Corrupt => return Err(error),
                Err(error) => Err(error),
            };
            let keys = SessionKeys::new(&caller.tenant, &id);
            let counts = match &listed {
                Ok(session) => session.is_some(),
                Err(_) => self.may_know(caller, &keys).await?,
            };
            if !counts {
                listing.passed += 1;
                continue;
            }
            if listing.is_full() {
                return Ok(true);
            }
            match listed {
                Ok(session) => listing.page.sessions.extend(session),
                Err(error) => listing.page.unreadable.push(Unreadable {
                    id: id.clone(),
                    why: error.to_string(),
                }),
            }
            listing.note(created, id);
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
        seen: Result<Seen, SessionError>,
    ) -> Result<Option<Session>, SessionError> {
        let gone = match seen? {
            Seen::Session(session) => return Ok(Some(*session)),
            Seen::OutOfReach => false,
            Seen::Nothing => true,
        };
        if gone {
            let head = SessionKeys::new(&caller.tenant, id).head();
            let scans = [Scan::point(row.key.clone()), Scan::point(head)].map(Scan::keys);
            let pages = self.store.read(&scans).await?;
            let there: Vec<bool> = pages.iter().map(|page| !page.entries.is_empty()).collect();
            if there == [true, false] {
                return Err(SessionError::corrupt("session head", "it is missing"));
            }
        }
        Ok(None)
    }

    /// Several sessions as they are stored now, each on its own: one that
    /// cannot be read does not hide the others.
    async fn show(
        &self,
        caller: &Caller,
        ids: impl Iterator<Item = &SessionId>,
    ) -> Result<Vec<Result<Seen, SessionError>>, SessionError> {
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
        let mut seen = Vec::with_capacity(keys.len());
        for (place, keys) in keys.iter().enumerate() {
            let whole = pages.get(place).filter(|page| !page.more);
            seen.push(match whole {
                Some(page) => self.see(caller, keys, &page.entries).await,
                None => self.get(caller, keys).await.map(Seen::of),
            });
        }
        Ok(seen)
    }

    /// The session of `keys`, whose records are among `entries`.
    async fn see(
        &self,
        caller: &Caller,
        keys: &SessionKeys,
        entries: &[Entry],
    ) -> Result<Seen, SessionError> {
        let alone = decode_entries(keys, entries)?;
        if let Some(found) = &alone
            && !found.spec.is_open_to(caller.only_of())
        {
            return Ok(Seen::OutOfReach);
        }
        let loaded = self.with_above(keys, alone).await?;
        Ok(Seen::of(self.shown(keys, loaded)))
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

    pub(crate) async fn get(
        &self,
        caller: &Caller,
        keys: &SessionKeys,
    ) -> Result<Option<Session>, SessionError> {
        if let Some(loaded) = self.known(keys)
            && loaded.spec.is_open_to(caller.only_of())
        {
            let now = self.env.now();
            let figures = loaded.head.figures(now);
            return Ok(Some(view(keys, &loaded.spec, &figures, Vec::new(), now)));
        }
        let loaded = self.load_for(caller, keys).await?;
        Ok(self.shown(keys, loaded))
    }

    pub(crate) async fn history(
        &self,
        caller: &Caller,
        keys: &SessionKeys,
        after: u64,
        limit: usize,
    ) -> Result<Option<HistoryPage>, SessionError> {
        check_limit(limit)?;
        let Some(loaded) = self.load_for(caller, keys).await? else {
            return Ok(None);
        };
        match self.events(keys, loaded.head.events, after, limit).await {
            Ok(page) => Ok(Some(page)),
            Err(error) if error.kind() != ErrorKind::Corrupt => Err(error),
            // Unless it was removed meanwhile, rows are missing.
            Err(error) => match self.load_for(caller, keys).await? {
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
            let before = next;
            for row in &rows {
                next = append(&mut events, keys, row, next)?;
                if events.len() >= limit {
                    break;
                }
            }
            // A row has one event or hundreds: as many rows are read as are
            // needed if the next ones are like these.
            let new = usize::try_from(next - before).unwrap_or(usize::MAX);
            let lacking = limit.saturating_sub(events.len());
            let rows = (lacking * rows.len()).div_ceil(new.max(1));
            scan = keys.events_after(next - 1).limit(rows.max(1));
        }
        events.truncate(limit);
        let more = events
            .last()
            .map_or(after < last, |event| event.number < last);
        Ok(HistoryPage { events, more, last })
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
