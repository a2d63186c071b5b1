//! Claims of any session: who comes first, and with whom else in mind.
//!
//! Callers of one tenant share one read of the index of sessions with work,
//! and are sent to different sessions. Each picks at random among the first, so
//! that processes that do not know of each other seldom collide.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use windlass_core::{BoxFuture, Drive, SessionId, TenantId};
use windlass_store::{Entry, KeyRange, Scan};

use crate::engine::Engine;
use crate::error::QueueError;
use crate::keys::{ready_of, ready_row, ready_until};
use crate::limits::CHOICES_MAX;
use crate::model::Boundary;
use crate::record::Class;

/// Where callers of one tenant are sent to sessions with work.
#[derive(Debug)]
pub(crate) struct Desk {
    engine: Arc<Engine>,
    tenant: TenantId,
    /// Sessions that callers are on their way to.
    sent: Arc<Mutex<HashSet<SessionId>>>,
}

/// Who asks where there is work.
#[derive(Debug)]
pub(crate) struct Seeker {
    pub(crate) boundary: Boundary,
    /// Sessions that were tried already.
    pub(crate) avoid: Vec<SessionId>,
}

/// A session that nobody else of this process is sent to until this is dropped.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) session: SessionId,
    sent: Arc<Mutex<HashSet<SessionId>>>,
}

impl Drop for Offer {
    fn drop(&mut self) {
        lock(&self.sent).remove(&self.session);
    }
}

/// A session that has, or may have, work by now.
struct Choice {
    class: Class,
    session: SessionId,
}

impl Desk {
    pub(crate) fn new(engine: Arc<Engine>, tenant: TenantId) -> Self {
        let sent = Arc::default();
        Self {
            engine,
            tenant,
            sent,
        }
    }

    async fn offer(&self, seekers: &[Seeker]) -> Result<Vec<Option<Offer>>, QueueError> {
        let mut choices = self.choices(seekers).await?;
        let mut seed = [0; 8];
        self.engine.env.random(&mut seed)?;
        let mut seed = u64::from_le_bytes(seed);
        let mut offers = Vec::with_capacity(seekers.len());
        for seeker in seekers {
            let eligible = |choice: &Choice| {
                let early = choice.class == Class::Early;
                (early || seeker.boundary == Boundary::Idle)
                    && !seeker.avoid.contains(&choice.session)
            };
            let places = (0..choices.len()).filter(|place| eligible(&choices[*place]));
            let places: Vec<usize> = places.collect();
            seed = seed.rotate_left(17).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bd1;
            let count = u64::try_from(places.len()).unwrap_or(u64::MAX);
            let drawn = seed.checked_rem(count).unwrap_or_default();
            let place = places.get(usize::try_from(drawn).unwrap_or_default());
            offers.push(place.map(|place| self.send(choices.swap_remove(*place).session)));
        }
        Ok(offers)
    }

    fn send(&self, session: SessionId) -> Offer {
        lock(&self.sent).insert(session.clone());
        let sent = Arc::clone(&self.sent);
        Offer { session, sent }
    }

    /// The first sessions with work that nobody is on the way to, the longest
    /// waiting first.
    async fn choices(&self, seekers: &[Seeker]) -> Result<Vec<Choice>, QueueError> {
        let tried: usize = seekers.iter().map(|seeker| seeker.avoid.len()).sum();
        let sent = lock(&self.sent).clone();
        let wanted = 8 + 4 * seekers.len() + tried;
        let limit = (wanted + sent.len()).min(CHOICES_MAX * 8);
        let turn = seekers.iter().any(|it| it.boundary == Boundary::Idle);
        let classes: &[Class] = if turn {
            &[Class::Early, Class::Turn]
        } else {
            &[Class::Early]
        };
        let now = self.engine.env.now();
        let mut found = Vec::new();
        let scan = |class: &Class| {
            let all = ready_of(&self.tenant, *class);
            let until = ready_until(&self.tenant, *class, now);
            (*class, Scan::new(KeyRange::new(all.start, until)).keys())
        };
        let mut rest: Vec<(Class, Scan)> = classes.iter().map(scan).collect();
        // A store may give less than it was asked for.
        while !rest.is_empty() && found.len() < limit {
            let scans = rest.iter().map(|(_, scan)| scan.clone().limit(limit));
            let pages = self.engine.store.read(&scans.collect::<Vec<_>>()).await?;
            let mut further = Vec::new();
            for ((class, scan), page) in rest.into_iter().zip(pages) {
                if let (Some(last), true) = (page.entries.last(), page.more) {
                    further.push((class, scan.after(&last.key)));
                }
                let row = |entry: Entry| Some((ready_row(&entry.key)?, class));
                found.extend(page.entries.into_iter().filter_map(row));
            }
            rest = further;
        }
        found.sort_by_key(|((time, _), _)| *time);
        let free = found.into_iter().filter(|((_, it), _)| !sent.contains(it));
        let choice = |((_, session), class)| Choice { class, session };
        Ok(free.map(choice).take(wanted).collect())
    }
}

impl Drive for Desk {
    type Request = Seeker;
    type Answer = Result<Option<Offer>, QueueError>;

    fn run(self: Arc<Self>, seekers: Vec<Seeker>) -> BoxFuture<'static, Vec<Self::Answer>> {
        Box::pin(async move {
            match self.offer(&seekers).await {
                Ok(offers) => offers.into_iter().map(Ok).collect(),
                Err(error) => seekers.iter().map(|_| Err(error.clone())).collect(),
            }
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
