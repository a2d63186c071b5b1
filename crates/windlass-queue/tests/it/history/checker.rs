//! What was done and answered, and whether it may have been.
//!
//! Events overlap, so only what is certain counts: something was before
//! something else if it was answered before the other was asked.

use std::collections::{BTreeMap, BTreeSet};

/// One thing that was asked and granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// When it was asked, and when it was answered, in an order of all events.
    pub(super) call: u64,
    pub(super) answer: u64,
    /// The clock when it was answered.
    pub(super) now: u64,
    pub(super) deed: Deed,
}

/// What was granted. Work is named by numbers that rise in the order of the
/// line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Enqueued {
        session: usize,
        work: Vec<u128>,
    },
    Claimed {
        session: usize,
        token: u64,
        until: u64,
        work: Vec<u128>,
    },
    Renewed {
        session: usize,
        token: u64,
        until: u64,
    },
    Completed {
        session: usize,
        token: u64,
        work: Vec<u128>,
    },
    /// Failed or abandoned; it stays in line.
    GivenBack {
        session: usize,
        token: u64,
        work: Vec<u128>,
    },
}

/// A promise that a history broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    SameId(u128),
    SameToken(u64),
    CompletedTwice(u128),
    /// Enqueued and never completed.
    Lost(u128),
    /// The second was handed out while the first stood before it.
    OutOfOrder(u128, u128),
    /// The second token was given while the first one's time was not over.
    HeldByTwo(u64, u64),
    /// The holder of this token changed something after another had come.
    Stale(u64),
}

struct Claim<'a> {
    event: &'a Event,
    token: u64,
    until: u64,
    work: &'a [u128],
}

/// What a history says of one session.
#[derive(Default)]
struct Session<'a> {
    enqueued: BTreeMap<u128, &'a Event>,
    completed: BTreeMap<u128, &'a Event>,
    claims: Vec<Claim<'a>>,
    /// Changes under a token: when, which, the work, and the new deadline.
    changes: Vec<(&'a Event, u64, &'a [u128], Option<u64>)>,
}

/// The first broken promise of a history that ends with everything done.
pub(super) fn check(history: &[Event]) -> Result<(), Broken> {
    let mut sessions: BTreeMap<usize, Session<'_>> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for event in history {
        match &event.deed {
            Deed::Enqueued { session, work } => {
                let session = sessions.entry(*session).or_default();
                for id in work {
                    if !ids.insert(*id) {
                        return Err(Broken::SameId(*id));
                    }
                    session.enqueued.insert(*id, event);
                }
            }
            Deed::Claimed {
                session,
                token,
                until,
                work,
            } => sessions.entry(*session).or_default().claims.push(Claim {
                event,
                token: *token,
                until: *until,
                work,
            }),
            Deed::Renewed {
                session,
                token,
                until,
            } => {
                let changes = &mut sessions.entry(*session).or_default().changes;
                changes.push((event, *token, &[], Some(*until)));
            }
            Deed::Completed {
                session,
                token,
                work,
            } => {
                let session = sessions.entry(*session).or_default();
                session.changes.push((event, *token, work, None));
                for id in work {
                    if session.completed.insert(*id, event).is_some() {
                        return Err(Broken::CompletedTwice(*id));
                    }
                }
            }
            Deed::GivenBack {
                session,
                token,
                work,
            } => {
                let changes = &mut sessions.entry(*session).or_default().changes;
                changes.push((event, *token, work, None));
            }
        }
    }
    sessions.values_mut().try_for_each(Session::check)
}

fn is_before(one: &Event, other: &Event) -> bool {
    one.answer < other.call
}

impl Session<'_> {
    fn check(&mut self) -> Result<(), Broken> {
        self.claims.sort_by_key(|claim| claim.token);
        self.check_order()?;
        self.check_tokens()?;
        self.check_holders()?;
        let lost = |id: &&u128| !self.completed.contains_key(*id);
        match self.enqueued.keys().find(lost) {
            Some(id) => Err(Broken::Lost(*id)),
            None => Ok(()),
        }
    }

    /// Whatever was certainly there and not done stands before what follows.
    fn check_order(&self) -> Result<(), Broken> {
        for claim in &self.claims {
            let Some(first) = claim.work.iter().min() else {
                continue;
            };
            for (id, enqueued) in self.enqueued.range(..*first) {
                let done = self.completed.get(id);
                let may_be_done = done.is_some_and(|done| !is_before(claim.event, done));
                if is_before(enqueued, claim.event) && !may_be_done {
                    return Err(Broken::OutOfOrder(*id, *first));
                }
            }
        }
        Ok(())
    }

    /// Tokens rise, and whoever has an older one than another certainly had
    /// before is refused.
    fn check_tokens(&self) -> Result<(), Broken> {
        for pair in self.claims.windows(2) {
            if pair[0].token == pair[1].token || is_before(pair[1].event, pair[0].event) {
                return Err(Broken::SameToken(pair[1].token));
            }
        }
        for (event, token, ..) in &self.changes {
            let newer = |claim: &Claim<'_>| claim.token > *token && is_before(claim.event, event);
            if self.claims.iter().any(newer) {
                return Err(Broken::Stale(*token));
            }
        }
        Ok(())
    }

    /// Nobody is handed work before the claim before it is over or settled.
    fn check_holders(&self) -> Result<(), Broken> {
        for pair in self.claims.windows(2) {
            let (old, new) = (&pair[0], &pair[1]);
            let own = || self.changes.iter().filter(|it| it.1 == old.token);
            let renewed = own().filter(|it| is_before(it.0, new.event));
            let until = renewed.filter_map(|it| it.3).max().unwrap_or(0);
            let until = until.max(old.until);
            let settled = |id: &u128| {
                let mut settled = own().filter(|it| !is_before(new.event, it.0));
                settled.any(|it| it.2.contains(id))
            };
            if new.event.now < until && !old.work.iter().all(settled) {
                return Err(Broken::HeldByTwo(old.token, new.token));
            }
        }
        Ok(())
    }
}
