//! What is above a session: those who pay for it, and whether all of them may
//! still be used.

use std::collections::HashMap;

use bytes::Bytes;
use windlass_core::{Millis, SessionId, TenantId};
use windlass_store::{Entry, Page, Scan, StoreExt, Version};

use crate::engine::{Cut, Engine, Loaded, Payer};
use crate::error::SessionError;
use crate::keys::SessionKeys;
use crate::record::{ActiveRow, Ended, Head, Spec, decode};
use crate::view::{Session, Status};

impl Engine {
    /// A session with what is above it, all of one point in time.
    pub(crate) async fn load_above(
        &self,
        keys: &SessionKeys,
        mut loaded: Loaded,
    ) -> Result<Loaded, SessionError> {
        let above: Vec<SessionKeys> = loaded.spec.above.iter().map(|id| keys.other(id)).collect();
        let heads = [keys].into_iter().chain(&above);
        let scans: Vec<Scan> = heads.map(|keys| Scan::point(keys.head())).collect();
        let pages = self.store.read(&scans).await?;
        let mut found = pages.iter().map(|page| page.entries.first());
        if let Some(Some(own)) = found.next() {
            loaded.head = decode("session head", &own.value)?;
            loaded.version = own.version;
        }
        let mut heads = Vec::with_capacity(above.len());
        for entry in found {
            heads.push(entry.map(head_of).transpose()?);
        }
        loaded.cut = cut(&loaded.spec, &loaded.head, &heads);
        let payers = loaded.spec.payers().len();
        let paying = above.into_iter().zip(heads).take(payers);
        loaded.payers = paying
            .filter_map(|(keys, found)| {
                let (head, version) = found?;
                Some(Payer {
                    keys,
                    head,
                    version,
                })
            })
            .collect();
        Ok(loaded)
    }

    /// Whether the session of a row of the index of active ones may be used,
    /// as far as it depends on those above it.
    pub(crate) async fn is_active(
        &self,
        tenant: &TenantId,
        row: &Entry,
        alive: &mut Alive,
    ) -> Result<bool, SessionError> {
        if row.value.is_empty() {
            return Ok(true);
        }
        let stored: ActiveRow<'static> = decode("row of an active session", &row.value)?;
        for id in stored.above.into_owned() {
            let known = match alive.0.get(&id) {
                Some(known) => *known,
                None => {
                    let key = SessionKeys::new(tenant, &id).alive();
                    let known = self.store.get(key).await?.is_some();
                    alive.0.insert(id, known);
                    known
                }
            };
            if !known {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Which sessions above were found to be alive, while counting.
#[derive(Debug, Default)]
pub(crate) struct Alive(HashMap<SessionId, bool>);

impl Alive {
    /// How many reads that took.
    pub(crate) fn reads(&self) -> usize {
        self.0.len()
    }
}

fn head_of(entry: &Entry) -> Result<(Head, Version), SessionError> {
    Ok((decode("session head", &entry.value)?, entry.version))
}

/// Whether one of the sessions above ended this one: the first that was
/// closed while this one's time was not over, or one that has expired by
/// another clock.
fn cut(spec: &Spec, head: &Head, above: &[Option<(Head, Version)>]) -> Option<Cut> {
    let end = spec.expires_at();
    let ends = spec.above.iter().zip(above).filter_map(|(id, found)| {
        let ended = match found {
            Some((head, _)) => head.ended?,
            // Gone for good, and so was everything below it.
            None => Ended::Closed(head.at),
        };
        let ended = match ended {
            Ended::Closed(at) | Ended::Removing(at) if !end.has_passed(at) => Ended::Closed(at),
            _ => Ended::Expired(end),
        };
        Some(Cut {
            through: id.clone(),
            ended,
        })
    });
    ends.min_by_key(|cut| (matches!(cut.ended, Ended::Expired(_)), cut.ended.at()))
}

impl Cut {
    /// When that one was closed; `None` if time alone ended both.
    pub(crate) const fn closed_at(&self) -> Option<Millis> {
        match self.ended {
            Ended::Closed(at) => Some(at),
            _ => None,
        }
    }

    /// Shows in a session that it ended with one above it.
    pub(crate) fn show(&self, session: &mut Session) {
        let Ended::Closed(at) = self.ended else {
            return;
        };
        if session.ended_at.is_none_or(|ended| at <= ended) {
            session.status = Status::Closed;
            session.ended_at = Some(at);
            session.ended_through = Some(self.through.clone());
        }
    }
}

/// What a decision about a session was made from, so that a read can confirm
/// it: its own head, the heads of those who pay, and that all above may be
/// used.
#[derive(Debug)]
pub(crate) struct Ground(Vec<(Bytes, Option<Version>)>);

impl Ground {
    pub(crate) fn of(keys: &SessionKeys, loaded: &Loaded, with_payers: bool) -> Self {
        let mut ground = vec![(keys.head(), Some(loaded.version))];
        for payer in loaded.payers.iter().filter(|_| with_payers) {
            ground.push((payer.keys.head(), Some(payer.version)));
        }
        if loaded.cut.is_none() {
            for above in &loaded.spec.above {
                ground.push((keys.other(above).alive(), None));
            }
        }
        Self(ground)
    }

    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn scans(&self) -> impl Iterator<Item = Scan> {
        self.0
            .iter()
            .map(|(key, _)| Scan::point(key.clone()).keys())
    }

    /// Whether the first pages, of its scans, show what it names.
    pub(crate) fn holds(&self, pages: &[Page]) -> bool {
        self.0.iter().zip(pages).all(|((_, version), page)| {
            let found = page.entries.first().map(|entry| entry.version);
            found.is_some() && (version.is_none() || found == *version)
        })
    }
}

/// Whether a session of `spec` and `head` can be spent from no more, as far
/// as its own records say.
pub(crate) const fn is_over(spec: &Spec, head: &Head, now: Millis) -> bool {
    let now = if now.get() < head.at.get() {
        head.at
    } else {
        now
    };
    head.ended.is_some() || head.told.is_some() || spec.expires_at().has_passed(now)
}
