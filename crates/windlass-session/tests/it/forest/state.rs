//! The model: every session with all that ever happened to it; what is left is
//! added up anew each time.

use std::collections::BTreeMap;

use windlass_core::Millis;
use windlass_session::Status;

/// What is asked of one session.
#[derive(Clone, Debug)]
pub(super) enum Deed {
    /// A new session with so many calls, for so long.
    Delegate {
        child: usize,
        calls: u64,
        time_ms: u64,
        shared: bool,
    },
    Use {
        reserve: bool,
    },
    /// Gives a reserved call back.
    Refund(u64),
    TopUp(u64),
    Close,
}

/// One session.
#[derive(Clone, Debug)]
pub(super) struct Node {
    parent: Option<usize>,
    shared: bool,
    limit: u64,
    expires: Millis,
    closed: Option<Millis>,
    /// Calls that were not given back.
    used: u64,
    made: u64,
    /// Reserved calls by their deadlines.
    open: BTreeMap<u64, Millis>,
}

/// The tree; its first node is the root.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) nodes: Vec<Node>,
    reservation_ms: u64,
}

type Answer = Result<(), &'static str>;

impl Model {
    pub(super) fn new(calls: u64, expires: Millis, reservation_ms: u64) -> Self {
        let root = Node::new(None, false, calls, expires);
        Self {
            nodes: vec![root],
            reservation_ms,
        }
    }

    pub(super) fn answer(&mut self, place: usize, deed: &Deed, now: Millis) -> Answer {
        match deed {
            Deed::Delegate {
                calls,
                time_ms,
                shared,
                ..
            } => self.delegate(place, *calls, now.plus_ms(*time_ms), *shared, now),
            Deed::Use { reserve } => self.use_one(place, *reserve, now),
            Deed::Refund(call) => self.refund(place, *call, now),
            Deed::TopUp(calls) => self.top_up(place, *calls, now),
            Deed::Close => self.close(place, now),
        }
    }

    fn above(&self, place: usize) -> Vec<usize> {
        let mut above = Vec::new();
        let mut at = place;
        while let Some(parent) = self.nodes[at].parent {
            above.push(parent);
            at = parent;
        }
        above
    }

    /// When the session was closed, or the first above it while its own time
    /// lasted.
    fn closed_at(&self, place: usize) -> Option<Millis> {
        let end = self.nodes[place].expires;
        let above = self.above(place).into_iter();
        let through = above
            .filter_map(|it| self.nodes[it].closed)
            .filter(|at| *at < end);
        self.nodes[place].closed.into_iter().chain(through).min()
    }

    pub(super) fn status(&self, place: usize, now: Millis) -> Status {
        match self.closed_at(place) {
            Some(_) => Status::Closed,
            None if self.nodes[place].expires.has_passed(now) => Status::Expired,
            None => Status::Active,
        }
    }

    fn check_active(&self, place: usize, now: Millis) -> Answer {
        match self.status(place, now) {
            Status::Active => Ok(()),
            Status::Closed => Err("already_closed"),
            Status::Expired => Err("expired"),
        }
    }

    /// Calls that are used or set aside, as far as this session pays for them.
    fn committed(&self, place: usize, now: Millis) -> u64 {
        let below = self.nodes.iter().enumerate();
        let below = below.filter(|(_, node)| node.parent == Some(place));
        let spent = below.map(|(child, node)| {
            if node.shared || self.status(child, now) != Status::Active {
                self.committed(child, now)
            } else {
                node.limit
            }
        });
        self.nodes[place].used + spent.sum::<u64>()
    }

    fn left(&self, place: usize, now: Millis) -> u64 {
        let committed = self.committed(place, now);
        self.nodes[place].limit.saturating_sub(committed)
    }

    /// The session and those whose budget it spends.
    fn spenders(&self, place: usize) -> Vec<usize> {
        let mut line = vec![place];
        let mut at = place;
        while self.nodes[at].shared {
            at = self.nodes[at].parent.expect("a shared one has a parent");
            line.push(at);
        }
        line
    }

    fn has_left(&self, place: usize, calls: u64, now: Millis) -> bool {
        let mut line = self.spenders(place).into_iter();
        line.all(|payer| self.left(payer, now) >= calls)
    }

    fn use_one(&mut self, place: usize, reserve: bool, now: Millis) -> Answer {
        self.check_active(place, now)?;
        if !self.has_left(place, 1, now) {
            return Err("budget_exceeded");
        }
        let deadline = now.plus_ms(self.reservation_ms);
        let node = &mut self.nodes[place];
        node.used += 1;
        node.made += 1;
        if reserve {
            node.open.insert(node.made, deadline);
        }
        Ok(())
    }

    fn refund(&mut self, place: usize, call: u64, now: Millis) -> Answer {
        let node = &mut self.nodes[place];
        match node.open.get(&call) {
            Some(deadline) if !deadline.has_passed(now) => {
                node.open.remove(&call);
                node.used -= 1;
                Ok(())
            }
            _ => Err("reservation_not_found"),
        }
    }

    fn top_up(&mut self, place: usize, calls: u64, now: Millis) -> Answer {
        self.check_active(place, now)?;
        let node = &self.nodes[place];
        if let Some(parent) = node.parent.filter(|_| !node.shared)
            && !self.has_left(parent, calls, now)
        {
            return Err("budget_exceeded");
        }
        self.nodes[place].limit += calls;
        Ok(())
    }

    fn close(&mut self, place: usize, now: Millis) -> Answer {
        if self.closed_at(place).is_some() {
            return Err("already_closed");
        }
        self.nodes[place].closed = Some(now);
        Ok(())
    }

    fn delegate(
        &mut self,
        place: usize,
        calls: u64,
        expires: Millis,
        shared: bool,
        now: Millis,
    ) -> Answer {
        self.check_active(place, now)?;
        let parent = &self.nodes[place];
        let wider =
            self.above(place).len() >= 5 || expires > parent.expires || calls > parent.limit;
        if wider || !(shared || self.has_left(place, calls, now)) {
            return Err("delegation_refused");
        }
        let child = Node::new(Some(place), shared, calls, expires);
        self.nodes.push(child);
        Ok(())
    }
}

impl Node {
    const fn new(parent: Option<usize>, shared: bool, limit: u64, expires: Millis) -> Self {
        Self {
            parent,
            shared,
            limit,
            expires,
            closed: None,
            used: 0,
            made: 0,
            open: BTreeMap::new(),
        }
    }
}
