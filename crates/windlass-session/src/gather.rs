//! Taking back what ended sessions have left, for those who lent it.
//!
//! Nothing is written to a parent when a child ends. An index by time says
//! from when on each child may have something to give back; it is read when
//! the parent would otherwise be refused, and by upkeep. So taking back costs
//! what is taken back, and closing a session costs the same whatever is below
//! it.
//!
//! It works from the leaves up, a commit at a time. Whatever fails in between,
//! each amount is with exactly one session: see [`crate::lent`].

use bytes::Bytes;
use windlass_core::{BoxFuture, Coded, ErrorKind, Millis};
use windlass_store::{Batch, Commit, Entry, Expect, Scan};

use crate::above::is_over;
use crate::engine::{Engine, Loaded, Payer, decode_entries};
use crate::error::SessionError;
use crate::keys::{SessionKeys, named};
use crate::lent::take_back;
use crate::limits::COMMIT_RETURNS_MAX;
use crate::plan::up_the_tree;
use crate::record::{Head, encode};
use crate::writers::WriterId;

/// A child that an index row names, as it is stored; gone if `None`.
struct Child {
    row: Entry,
    found: Option<(SessionKeys, Loaded)>,
    over: bool,
}

impl Engine {
    /// Takes back, for `keys`, what its ended children left, with what theirs
    /// left to them. Does nothing if there is no such session.
    pub(crate) async fn gather(&self, keys: &SessionKeys) -> Result<(), SessionError> {
        self.gather_all(keys, false).await
    }

    /// Takes back for a session, and for those whose budget it spends, what
    /// their ended children left; `false` if there can be nothing.
    pub(crate) async fn gather_for(
        &self,
        keys: &SessionKeys,
        loaded: &Loaded,
    ) -> Result<bool, SessionError> {
        let mut may_have = loaded.head.delegated > 0;
        if may_have {
            self.gather(keys).await?;
        }
        for payer in loaded.payers.iter().filter(|_| loaded.spec.shared) {
            self.gather(&payer.keys).await?;
            may_have = true;
        }
        Ok(may_have)
    }

    /// As [`Engine::gather`]; all children are over if this session is.
    fn gather_all<'a>(
        &'a self,
        keys: &'a SessionKeys,
        over: bool,
    ) -> BoxFuture<'a, Result<(), SessionError>> {
        Box::pin(async move {
            let mut lost = 0;
            while let Some(loaded) = self.load_any(keys).await? {
                let now = self.env.now();
                let over = over || loaded.cut.is_some() || is_over(&loaded.spec, &loaded.head, now);
                let range = if over {
                    keys.all_back()
                } else {
                    keys.back_at(now)
                };
                let children = self.children_of(keys, Scan::new(range), over, now).await?;
                if children.is_empty() {
                    break;
                }
                for (child, over) in children.iter().filter_map(Child::lender) {
                    self.gather_all(child, over).await?;
                }
                if self.take_back(keys, &loaded, children, now).await? {
                    lost = 0;
                } else {
                    lost += 1;
                    self.back_off(lost).await?;
                }
            }
            Ok(())
        })
    }

    /// The next children that may have something to give back.
    async fn children_of(
        &self,
        keys: &SessionKeys,
        scan: Scan,
        over: bool,
        now: Millis,
    ) -> Result<Vec<Child>, SessionError> {
        let scan = scan.keys().limit(COMMIT_RETURNS_MAX);
        let pages = self.store.read(&[scan]).await?;
        let rows: Vec<Entry> = pages.into_iter().flat_map(|page| page.entries).collect();
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<_> = rows.iter().map(|row| named(&row.key)).collect();
        let all: Vec<SessionKeys> = ids.iter().flatten().map(|id| keys.other(id)).collect();
        let points = all
            .iter()
            .flat_map(|child| [Scan::point(child.head()), Scan::point(child.spec())]);
        let pages = self.store.read(&points.collect::<Vec<_>>()).await?;
        let entries: Vec<Entry> = pages.into_iter().flat_map(|page| page.entries).collect();
        let mut children = Vec::with_capacity(rows.len());
        for (row, id) in rows.into_iter().zip(ids) {
            let found = match id {
                Some(id) => {
                    let child = keys.other(&id);
                    decode_entries(&child, &entries)?.map(|loaded| (child, loaded))
                }
                None => None,
            };
            let ended = |(_, it): &(SessionKeys, Loaded)| is_over(&it.spec, &it.head, now);
            let over = over || found.as_ref().is_some_and(ended);
            children.push(Child { row, found, over });
        }
        Ok(children)
    }

    /// One commit that brings the accounts of `keys`, and of those who pay for
    /// it, up to date with `children`; `false` if somebody else was first.
    async fn take_back(
        &self,
        keys: &SessionKeys,
        loaded: &Loaded,
        children: Vec<Child>,
        now: Millis,
    ) -> Result<bool, SessionError> {
        let mut lenders = lenders(keys, loaded);
        let writer = WriterId::draw(self.env.as_ref())?;
        let mut batch = Batch::new();
        let mut rows: Vec<Bytes> = Vec::new();
        for Child { row, found, over } in children {
            // A child may have several rows; it is accounted for once.
            if let Some((child, mut found)) = found
                && !rows.iter().any(|other| named(other) == named(&row.key))
                && over
                && !found.spec.shared
                && !found.head.is_accounted_for()
            {
                let heads = lenders.iter_mut().map(|lender| &mut lender.head);
                take_back(heads, &mut found.head);
                rewrite(&mut found.head, &writer);
                batch = batch
                    .check(child.head(), Expect::Version(found.version))
                    .put(child.head(), encode(&found.head));
            }
            // A row that was written again meanwhile has something new to say.
            batch = batch
                .check(row.key.clone(), Expect::Version(row.version))
                .delete(row.key.clone());
            rows.push(row.key);
        }
        batch.append(repaid(keys, loaded, &lenders, &writer, now));
        match self.store.commit(batch).await {
            Ok(Commit::Applied(_)) => Ok(true),
            Ok(Commit::Conflict { .. }) => Ok(false),
            // What was taken back is marked as such: reading again tells.
            Err(error) => {
                let error = SessionError::from(error);
                match error.kind() {
                    ErrorKind::Indeterminate => Ok(false),
                    _ => Err(error),
                }
            }
        }
    }
}

impl Child {
    /// Its keys, and whether it has ended, if it may have lent something: an
    /// ended one of its own, a shared one of those who pay for it.
    fn lender(&self) -> Option<(&SessionKeys, bool)> {
        let (keys, loaded) = self.found.as_ref()?;
        let lends = self.over || loaded.spec.shared;
        (lends && loaded.head.delegated > 0).then_some((keys, self.over))
    }
}

/// Those who lend to the children of a session: it itself and, if it spends
/// the budget of others, those.
fn lenders(keys: &SessionKeys, loaded: &Loaded) -> Vec<Payer> {
    let own = Payer {
        keys: keys.clone(),
        head: loaded.head.clone(),
        version: loaded.version,
    };
    let payers: &[Payer] = if loaded.spec.shared {
        &loaded.payers
    } else {
        &[]
    };
    [own].into_iter().chain(payers.iter().cloned()).collect()
}

/// The heads of the lenders; whoever of them has told its parent what it
/// spent has something else to tell now.
fn repaid(
    keys: &SessionKeys,
    loaded: &Loaded,
    lenders: &[Payer],
    writer: &WriterId,
    now: Millis,
) -> Batch {
    let before = [&loaded.head]
        .into_iter()
        .chain(loaded.payers.iter().map(|payer| &payer.head));
    let mut batch = Batch::new();
    let mut was_told = false;
    for (lender, before) in lenders.iter().zip(before) {
        batch = batch.check(lender.keys.head(), Expect::Version(lender.version));
        if lender.head != *before {
            let mut next = lender.head.clone();
            rewrite(&mut next, writer);
            was_told |= next.told.is_some();
            batch = batch.put(lender.keys.head(), encode(&next));
        }
    }
    if was_told {
        batch = up_the_tree(batch, keys, &loaded.spec, now);
    }
    batch
}

fn rewrite(head: &mut Head, writer: &WriterId) {
    head.rev += 1;
    head.by.note(writer, head.rev);
}
