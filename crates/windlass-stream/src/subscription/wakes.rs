//! Waking: who looks after subscriptions looks at each that may have something
//! new, and is given the wakes that it has to deliver.
//!
//! A wake follows from what is stored: a tail beyond what was acknowledged. So
//! nothing is lost when nobody was told of an append; whoever looks next finds
//! it. And since a wake is one commit on the head, of all who look at the same
//! time one is given it.

use std::sync::Arc;

use serde_json::json;
use windlass_core::{Coded, ErrorKind, Format, Millis};
use windlass_store::{Batch, Commit, Expect, Version};

use super::book::{Decision, Seen, Subscriptions};
use super::error::SubscriptionError;
use super::limits::{LINKS_MAX, TOMBSTONE_MS};
use super::model::{Address, Delivery, Hold, Wake};
use super::paths::Tails;
use super::record::{Head, Link};
use super::rules::{Failure, Lease, Look};
use super::stored::{Attempts, Change, Loaded, Stored};
use super::token::{WakeToken, wake_id};
use super::work::{first_pending, is_pending, renewed, wake_of};
use crate::error::StreamError;
use crate::offset::Offset;
use crate::row::Row;
use crate::step::Step;

/// Who a webhook's lease belongs to.
const HOOK: &str = "webhook";

impl Subscriptions {
    /// Looks at a subscription: links new streams that its pattern stands for,
    /// among `paths` if they are given and else among all; clears away a lease
    /// that ran out; and wakes a worker if something is pending and nobody is at
    /// it. The wake of a webhook is the answer, and nobody else gets it; the
    /// other kind is appended to its stream, in the same commit.
    ///
    /// Safe to call any time, in any number of processes.
    ///
    /// # Errors
    ///
    /// The store's failures, and `Corrupt`.
    pub async fn look(
        &self,
        at: &Address,
        paths: Option<&[Arc<str>]>,
    ) -> Result<Option<Wake>, SubscriptionError> {
        match self.engine().stored(at).await? {
            Stored::Absent => return Ok(None),
            Stored::Deleted(head, version) => {
                self.forget(at, &head, version).await?;
                return Ok(None);
            }
            Stored::Live(loaded) if loaded.config.pattern.is_some() => {
                match self.discover(at, paths).await {
                    Ok(()) => {}
                    Err(SubscriptionError::NotFound) => return Ok(None),
                    Err(error) => return Err(error),
                }
            }
            Stored::Live(_) => {}
        }
        self.wake(at).await
    }

    /// Forgets one that was deleted long enough ago.
    async fn forget(
        &self,
        at: &Address,
        head: &Head,
        version: Version,
    ) -> Result<(), SubscriptionError> {
        let engine = self.engine();
        let over = head.deleted.map(|time| time.plus_ms(TOMBSTONE_MS));
        if over.is_some_and(|time| time.has_passed(engine.env.now())) {
            let batch = Batch::new()
                .check(at.head(), Expect::Version(version))
                .delete(at.head())
                .delete(at.due(head.due));
            // A conflict means that it was made again.
            let _: Commit = engine.store.commit(batch).await?;
        }
        Ok(())
    }

    /// Links streams that the pattern stands for and that are new, from their
    /// beginning; lets go of those whose path leads nowhere any more.
    pub(super) async fn discover(
        &self,
        at: &Address,
        paths: Option<&[Arc<str>]>,
    ) -> Result<(), SubscriptionError> {
        let engine = self.engine();
        let loaded = engine.loaded(at).await?;
        let Some(pattern) = &loaded.config.pattern else {
            return Ok(());
        };
        let (found, all) = match paths {
            Some(paths) => (paths.to_vec(), false),
            None => {
                let most = LINKS_MAX + 1;
                let (found, more) = engine.matching(&at.caller, pattern, most).await?;
                (found, !more)
            }
        };
        let found = found.into_iter().filter(|path| loaded.config.finds(path));
        let found: Vec<Arc<str>> = found.collect();
        let new = found.iter().filter(|path| loaded.link(path).is_none());
        let new: Vec<Arc<str>> = new.cloned().collect();
        let is_gone = |link: &&Link| all && !link.explicit && !found.contains(&link.path);
        let gone = loaded.links.iter().filter(is_gone);
        let gone: Vec<Arc<str>> = gone.map(|link| Arc::clone(&link.path)).collect();
        if new.is_empty() && gone.is_empty() && !(all && loaded.head.full) {
            return Ok(());
        }
        let tails = engine.tails(&at.caller, &new).await?;
        let decide = |seen: &Seen| {
            let change = discovered(&seen.loaded, &new, &gone, &tails);
            let loaded = &seen.loaded;
            if change.put.is_empty() && change.remove.is_empty() && change.full == loaded.head.full
            {
                return Ok(Decision::Keep(()));
            }
            Ok(Decision::Change(change, ()))
        };
        self.change(at, false, decide).await
    }

    /// Wakes a worker if there is a reason to.
    async fn wake(&self, at: &Address) -> Result<Option<Wake>, SubscriptionError> {
        let engine = self.engine();
        let mut attempts = Attempts::new(engine)?;
        loop {
            let loaded = match engine.loaded(at).await {
                Err(SubscriptionError::NotFound) => return Ok(None),
                loaded => loaded.map_err(|error| attempts.blame(error))?,
            };
            if let Some(answer) = attempts.applied(&loaded.head)? {
                return Ok(answer);
            }
            let now = engine.env.now();
            let state = &loaded.head.state;
            if [true, false]
                .iter()
                .all(|pending| state.look(*pending, now) == Look::Rest)
            {
                return Ok(None);
            }
            let tails = engine.tails(&at.caller, &loaded.paths()).await;
            let tails = tails.map_err(|error| attempts.blame(error))?;
            let pending = is_pending(&loaded, &tails);
            let decided = match state.look(pending, now) {
                Look::Rest => return Ok(None),
                Look::Settle => (loaded.becoming(state.settled(pending)), None),
                Look::Wake => self.woken(at, &loaded, &tails, now).await?,
            };
            let batch = loaded.plan(at, decided.0, &attempts.writer());
            let rev = loaded.head.rev + 1;
            if let Some(answer) = attempts.commit(engine, rev, batch, decided.1).await? {
                return Ok(answer);
            }
        }
    }

    /// The next wake, and what is to be delivered of it.
    async fn woken(
        &self,
        at: &Address,
        loaded: &Loaded,
        tails: &Tails,
        now: Millis,
    ) -> Result<(Change, Option<Wake>), SubscriptionError> {
        let env = self.engine().env.as_ref();
        let (state, wake) = (&loaded.head.state, wake_id(env)?);
        if let Delivery::PullWake(path) = &loaded.config.delivery {
            return match self.event(at, loaded, tails, path, now).await {
                Ok(join) => {
                    let mut change = loaded.becoming(state.called(wake));
                    change.join = join;
                    Ok((change, None))
                }
                Err(error) if is_final(&error) => {
                    let state = state.failed(Failure::Refused, now, self.chance()?);
                    Ok((loaded.becoming(state), None))
                }
                Err(error) => Err(error),
            };
        }
        let token = WakeToken::draw(env)?;
        let until = now.plus_ms(loaded.config.lease_ttl_ms);
        let next = state.sent(Lease {
            wake: Arc::clone(&wake),
            holder: HOOK.into(),
            token: token.hash(),
            until,
        });
        let hold = Hold {
            wake,
            generation: next.generation,
            token,
        };
        let answer = wake_of(at, loaded, tails, hold, until);
        let mut change = loaded.becoming(next);
        change.put = renewed(loaded, tails);
        Ok((change, Some(answer)))
    }

    /// The commit that appends a wake to the stream of `path`.
    async fn event(
        &self,
        at: &Address,
        loaded: &Loaded,
        tails: &Tails,
        path: &str,
        now: Millis,
    ) -> Result<Batch, SubscriptionError> {
        let about = self.engine().stream_at(&at.caller, path).await?;
        let about = about.filter(|about| about.content_type.is_json());
        let about = about.ok_or(StreamError::NotFound)?;
        let stream = first_pending(loaded, tails).map(|link| link.path);
        let event = json!({
            "type": "wake",
            "subscription_id": at.id,
            "stream": stream,
            "generation": loaded.head.state.generation + 1,
            "ts": now,
        });
        let row = Row::json(event.to_string()).map_err(StreamError::from)?;
        let step = Step::append(about.stream, vec![row]);
        let planned = self.streams.plan(&at.caller, &[step]).await?;
        Ok(planned.batch)
    }

    /// A delivery came to nothing: it is tried again, later each time, under a
    /// wake of its own.
    ///
    /// # Errors
    ///
    /// `Fenced` if the wake is over by now; `NotFound`.
    pub async fn failed(
        &self,
        at: &Address,
        hold: &Hold,
        failure: Failure,
    ) -> Result<(), SubscriptionError> {
        let chance = self.chance()?;
        let decide = |seen: &Seen| {
            let state = &seen.loaded.head.state;
            state.sent_as(hold)?;
            let next = state.failed(failure, seen.now, chance);
            Ok(Decision::Change(seen.loaded.becoming(next), ()))
        };
        self.change(at, false, decide).await
    }

    /// A delivery arrived: failures before it are forgotten. One commit if there
    /// were any.
    ///
    /// # Errors
    ///
    /// `Fenced` if the wake is over by now; `NotFound`.
    pub async fn arrived(&self, at: &Address, hold: &Hold) -> Result<(), SubscriptionError> {
        let decide = |seen: &Seen| {
            let state = &seen.loaded.head.state;
            state.sent_as(hold)?;
            if state.retry.is_none() {
                return Ok(Decision::Keep(()));
            }
            let mut next = state.clone();
            next.retry = None;
            Ok(Decision::Change(seen.loaded.becoming(next), ()))
        };
        self.change(at, false, decide).await
    }

    fn chance(&self) -> Result<u8, SubscriptionError> {
        let mut byte = [0];
        self.engine().env.random(&mut byte)?;
        Ok(byte[0])
    }
}

/// Whether an append fails as long as nobody does something about its stream.
fn is_final(error: &SubscriptionError) -> bool {
    let kinds = [
        ErrorKind::NotFound,
        ErrorKind::Conflict,
        ErrorKind::Refused,
        ErrorKind::Invalid,
    ];
    kinds.contains(&error.kind())
}

/// The change that links `new` and lets go of `gone`, as far as it still
/// applies.
fn discovered(loaded: &Loaded, new: &[Arc<str>], gone: &[Arc<str>], tails: &Tails) -> Change {
    let mut change = loaded.becoming(loaded.head.state.clone());
    let is_there = |path: &&Arc<str>| loaded.link(path).is_some_and(|link| !link.explicit);
    change.remove = gone.iter().filter(is_there).cloned().collect();
    let room = LINKS_MAX.saturating_sub(loaded.links.len() - change.remove.len());
    let links = new.iter().filter(|path| loaded.link(path).is_none());
    let links: Vec<Link> = links
        .filter_map(|path| {
            Some(Link {
                v: Format,
                path: Arc::clone(path),
                explicit: false,
                acked: Offset::START,
                stream: Some(tails.get(path)?.stream.clone()),
            })
        })
        .collect();
    change.full = links.len() > room;
    change.put = links.into_iter().take(room).collect();
    change
}
