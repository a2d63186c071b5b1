//! Subscriptions: made, looked at, linked to streams, and deleted.

use std::sync::Arc;

use bytes::Bytes;
use windlass_core::{Format, Millis, SubscriptionId, Writers};
use windlass_store::{Batch, Expect, Scan, Version};

use super::error::SubscriptionError;
use super::keys;
use super::limits::{LINKS_MAX, SUBSCRIPTIONS_MAX};
use super::model::{Address, Confirmed, NewSubscription, SubscriptionView, check_paths};
use super::paths::Tails;
use super::record::{Config, Head, Link};
use super::rules::State;
use super::stored::{Attempts, Change, Loaded, Stored};
use crate::caller::Caller;
use crate::engine::Engine;
use crate::error::StreamError;
use crate::offset::Offset;
use crate::record::encode;
use crate::streams::Streams;

/// The subscriptions of a store. Cloning shares everything.
#[derive(Clone, Debug)]
pub struct Subscriptions {
    pub(super) streams: Streams,
}

/// What a change is decided from.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) loaded: Loaded,
    pub(super) tails: Tails,
    pub(super) now: Millis,
}

/// What is decided.
#[derive(Debug)]
pub(super) enum Decision<T> {
    /// Nothing has to change.
    Keep(T),
    /// This changes, and then the answer holds.
    Change(Change, T),
}

impl Streams {
    /// Who is woken when these streams have something new.
    #[must_use]
    pub fn subscriptions(&self) -> Subscriptions {
        Subscriptions {
            streams: self.clone(),
        }
    }
}

impl Subscriptions {
    pub(super) const fn engine(&self) -> &Arc<Engine> {
        self.streams.engine()
    }

    /// Makes a subscription, or confirms one that was asked for in the same
    /// words. Streams that are there are linked where they stand.
    ///
    /// A read for each 16 of its streams, and a commit.
    ///
    /// # Errors
    ///
    /// `Differs`; `Invalid`; `TooMany`, `TooManyLinks`.
    pub async fn confirm(
        &self,
        at: &Address,
        new: NewSubscription,
    ) -> Result<Confirmed, SubscriptionError> {
        new.check()?;
        let new = new.normal();
        let engine = self.engine();
        let mut attempts = Attempts::new(engine)?;
        loop {
            let stored = engine.stored(at).await;
            let before = match stored.map_err(|error| attempts.blame(error))? {
                Stored::Live(loaded) => {
                    let is_new = attempts.applied(&loaded.head)?.is_some();
                    return self.known(at, &loaded, &new, is_new).await;
                }
                Stored::Absent => None,
                Stored::Deleted(head, version) => Some((head, version)),
            };
            self.check_room(&at.caller).await?;
            let links = self.first_links(at, &new).await?;
            let config = Config::new(&new, engine.env.now());
            let writer = attempts.writer();
            let (head, batch) = birth(at, before.as_ref(), &config, &links, |head| {
                head.by.note(&writer, head.rev);
            });
            if let Some(()) = attempts.commit(engine, head.rev, batch, ()).await? {
                let subscription = self.show(at).await?;
                return Ok(Confirmed {
                    is_new: true,
                    subscription,
                });
            }
        }
    }

    async fn known(
        &self,
        at: &Address,
        loaded: &Loaded,
        new: &NewSubscription,
        is_new: bool,
    ) -> Result<Confirmed, SubscriptionError> {
        if loaded.config.hash != new.hash() {
            return Err(SubscriptionError::Differs);
        }
        let tails = self.engine().tails(&at.caller, &loaded.paths()).await?;
        Ok(Confirmed {
            is_new,
            subscription: loaded.view(at, &tails),
        })
    }

    /// Refuses more than a principal may have; several that are made at once
    /// may come to a few more.
    async fn check_room(&self, caller: &Caller) -> Result<(), SubscriptionError> {
        if self.list(caller).await?.len() >= SUBSCRIPTIONS_MAX {
            return Err(SubscriptionError::TooMany);
        }
        Ok(())
    }

    /// The links of one that is made now: to what is there, where it stands.
    async fn first_links(
        &self,
        at: &Address,
        new: &NewSubscription,
    ) -> Result<Vec<Link>, SubscriptionError> {
        let engine = self.engine();
        let config = Config::new(new, Millis::new(0));
        let mut paths = new.streams.clone();
        if let Some(pattern) = &new.pattern {
            let (found, more) = engine.matching(&at.caller, pattern, LINKS_MAX + 1).await?;
            let found = found.into_iter().filter(|path| config.finds(path));
            let found: Vec<Arc<str>> = found.filter(|path| !new.streams.contains(path)).collect();
            paths.extend(found);
            if more || paths.len() > LINKS_MAX {
                return Err(SubscriptionError::TooManyLinks);
            }
        }
        let tails = engine.tails(&at.caller, &paths).await?;
        let explicit = |path: &Arc<str>| new.streams.contains(path);
        let links = paths
            .iter()
            .map(|path| at_tail(path, explicit(path), &tails));
        Ok(links.collect())
    }

    /// One as it is stored now.
    ///
    /// # Errors
    ///
    /// `NotFound`.
    pub async fn show(&self, at: &Address) -> Result<SubscriptionView, SubscriptionError> {
        let loaded = self.engine().loaded(at).await?;
        let tails = self.engine().tails(&at.caller, &loaded.paths()).await?;
        Ok(loaded.view(at, &tails))
    }

    /// The names of all that the caller has, in their order: a few hundred at
    /// most.
    ///
    /// # Errors
    ///
    /// The store's failures.
    pub async fn list(&self, caller: &Caller) -> Result<Vec<SubscriptionId>, SubscriptionError> {
        let mut scan = Scan::new(keys::list(caller)).keys();
        let mut names = Vec::new();
        loop {
            let pages = self
                .engine()
                .store
                .read(std::slice::from_ref(&scan))
                .await?;
            let page = pages.into_iter().next().unwrap_or_default();
            for entry in &page.entries {
                let name = keys::listed_name(caller, &entry.key);
                let none = || StreamError::corrupt("list of subscriptions", "no name");
                names.push(name.ok_or_else(none)?);
            }
            let Some(last) = page.entries.last().filter(|_| page.more) else {
                return Ok(names);
            };
            scan = scan.after(&last.key);
        }
    }

    /// Deletes one: whoever works on a wake of it changes nothing any more.
    ///
    /// # Errors
    ///
    /// `NotFound`.
    pub async fn delete(&self, at: &Address) -> Result<(), SubscriptionError> {
        let engine = self.engine();
        let mut attempts = Attempts::new(engine)?;
        loop {
            let stored = engine.stored(at).await;
            let loaded = match stored.map_err(|error| attempts.blame(error))? {
                Stored::Live(loaded) => loaded,
                Stored::Deleted(head, _) if attempts.applied(&head)?.is_some() => return Ok(()),
                Stored::Absent | Stored::Deleted(..) => return Err(SubscriptionError::NotFound),
            };
            // One that was deleted meanwhile, and made again, stays.
            if attempts.applied(&loaded.head)?.is_some() {
                return Ok(());
            }
            let batch = loaded.tombstone(at, engine.env.now(), &attempts.writer());
            let rev = loaded.head.rev + 1;
            if let Some(()) = attempts.commit(engine, rev, batch, ()).await? {
                return Ok(());
            }
        }
    }

    /// Links streams by their paths, where they stand; one that is linked
    /// already stays where it is.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Invalid`, `TooManyLinks`.
    pub async fn link(&self, at: &Address, paths: &[Arc<str>]) -> Result<(), SubscriptionError> {
        check_paths(paths)?;
        let tails = self.engine().tails(&at.caller, paths).await?;
        let decide = |seen: &Seen| {
            let loaded = &seen.loaded;
            let mut change = loaded.becoming(loaded.head.state.clone());
            for path in paths {
                let link = match loaded.link(path) {
                    Some(link) if link.explicit => continue,
                    Some(link) => Link {
                        explicit: true,
                        ..link.clone()
                    },
                    None => at_tail(path, true, &tails),
                };
                if !change.put.contains(&link) {
                    change.put.push(link);
                }
            }
            let new = change
                .put
                .iter()
                .filter(|link| loaded.link(&link.path).is_none());
            if loaded.links.len() + new.count() > LINKS_MAX {
                return Err(SubscriptionError::TooManyLinks);
            }
            if change.put.is_empty() {
                return Ok(Decision::Keep(()));
            }
            Ok(Decision::Change(change, ()))
        };
        self.change(at, false, decide).await
    }

    /// Takes back that a stream was linked by its path; the pattern may still
    /// stand for it. One that was not linked is no error.
    ///
    /// # Errors
    ///
    /// `NotFound`.
    pub async fn unlink(&self, at: &Address, path: &str) -> Result<(), SubscriptionError> {
        let decide = |seen: &Seen| {
            let loaded = &seen.loaded;
            let Some(link) = loaded.link(path).filter(|link| link.explicit) else {
                return Ok(Decision::Keep(()));
            };
            let mut change = loaded.becoming(loaded.head.state.clone());
            if loaded.config.finds(path) {
                change.put.push(Link {
                    explicit: false,
                    ..link.clone()
                });
            } else {
                change.remove.push(Arc::clone(&link.path));
            }
            Ok(Decision::Change(change, ()))
        };
        self.change(at, false, decide).await
    }

    /// Makes one change: what is decided, or refused, is decided from what was
    /// read after the call began.
    pub(super) async fn change<T: Clone>(
        &self,
        at: &Address,
        with_tails: bool,
        decide: impl Fn(&Seen) -> Result<Decision<T>, SubscriptionError>,
    ) -> Result<T, SubscriptionError> {
        let engine = self.engine();
        let mut attempts = Attempts::new(engine)?;
        loop {
            let loaded = engine
                .loaded(at)
                .await
                .map_err(|error| attempts.blame(error))?;
            if let Some(answer) = attempts.applied(&loaded.head)? {
                return Ok(answer);
            }
            let paths = if with_tails {
                loaded.paths()
            } else {
                Vec::new()
            };
            let tails = engine.tails(&at.caller, &paths).await;
            let seen = Seen {
                loaded,
                tails: tails.map_err(|error| attempts.blame(error))?,
                now: engine.env.now(),
            };
            let (change, answer) = match decide(&seen).map_err(|error| attempts.blame(error))? {
                Decision::Keep(answer) => return Ok(answer),
                Decision::Change(change, answer) => (change, answer),
            };
            let batch = seen.loaded.plan(at, change, &attempts.writer());
            let rev = seen.loaded.head.rev + 1;
            if let Some(answer) = attempts.commit(engine, rev, batch, answer).await? {
                return Ok(answer);
            }
        }
    }
}

/// A link to a stream where it stands, or to one that is still to come.
fn at_tail(path: &Arc<str>, explicit: bool, tails: &Tails) -> Link {
    let tail = tails.get(path);
    Link {
        v: Format,
        path: Arc::clone(path),
        explicit,
        acked: tail.map_or(Offset::START, |tail| tail.tail),
        stream: tail.map(|tail| tail.stream.clone()),
    }
}

/// The commit that makes one, of which `before` is left if there was one.
fn birth(
    at: &Address,
    before: Option<&(Head, Version)>,
    config: &Config,
    links: &[Link],
    note: impl FnOnce(&mut Head),
) -> (Head, Batch) {
    let mut head = Head {
        v: Format,
        rev: 1,
        state: State::default(),
        links: links.len(),
        full: false,
        due: None,
        deleted: None,
        by: Writers::default(),
    };
    let mut expect = Expect::Absent;
    let mut batch = Batch::new();
    if let Some((before, version)) = before {
        head.rev = before.rev + 1;
        head.state = before.state.released();
        head.by = before.by.clone();
        expect = Expect::Version(*version);
        batch = batch.delete(at.due(before.due));
    }
    note(&mut head);
    batch = batch
        .check(at.head(), expect)
        .put(at.head(), encode(&head))
        .put(at.config(), encode(config))
        .put(at.listed(), Bytes::new())
        .put(at.due(None), Bytes::new());
    for link in links {
        batch = batch.put(at.link(&link.path), encode(link));
    }
    (head, batch)
}
