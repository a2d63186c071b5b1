//! The model: every session with all that ever happened to it; what is left is
//! added up anew each time.

use std::array;
use std::collections::BTreeMap;

use windlass_core::Millis;
use windlass_session::{Budget, Status};

/// An amount of each meter: calls, tokens, micro-units.
pub(super) type Amounts = [u64; 3];

/// What is asked of one session.
#[derive(Clone, Debug)]
pub(super) enum Deed {
    /// A new session with a budget, for so long.
    Delegate {
        child: usize,
        budget: Budget,
        time_ms: u64,
        shared: bool,
    },
    /// One call that costs so many tokens and micro-units, perhaps as an
    /// estimate.
    Use {
        charge: [u64; 2],
        reserve: bool,
    },
    /// What a reserved call really cost; it is given back if `None`.
    Settle {
        call: u64,
        charge: Option<[u64; 2]>,
    },
    TopUp(Amounts),
    Close,
}

/// One session.
#[derive(Clone, Debug)]
pub(super) struct Node {
    parent: Option<usize>,
    shared: bool,
    pub(super) limit: [Option<u64>; 3],
    pub(super) expires: Millis,
    closed: Option<Millis>,
    /// What was spent here and not given back.
    pub(super) used: Amounts,
    /// How much of it was learnt when the session's time was over.
    late: Amounts,
    pub(super) made: u64,
    /// Reserved calls: what they were estimated to cost, and their deadlines.
    open: BTreeMap<u64, ([u64; 2], Millis)>,
}

/// The tree; its first node is the root.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) nodes: Vec<Node>,
    reservation_ms: u64,
    /// Whether what ended sessions have overdrawn is known above them.
    informed: bool,
}

pub(super) type Answer = Result<(), &'static str>;

pub(super) fn limits(budget: Budget) -> [Option<u64>; 3] {
    [Some(budget.calls), budget.tokens, budget.cost_micros]
}

impl Model {
    pub(super) fn new(budget: Budget, expires: Millis, reservation_ms: u64) -> Self {
        let root = Node::new(None, false, limits(budget), expires);
        Self {
            nodes: vec![root],
            reservation_ms,
            informed: true,
        }
    }

    /// What may be answered, each with the model after it. There are two
    /// answers where an ended session has cost more than those above it have
    /// heard: they hear of it when they would refuse for want of its rest,
    /// and may grant before.
    pub(super) fn answers(&self, place: usize, deed: &Deed, now: Millis) -> Vec<(Answer, Self)> {
        let outcome = |informed| {
            let mut after = self.clone();
            after.informed = informed;
            let answer = after.answer(place, deed, now);
            after.informed = true;
            (answer, after)
        };
        let (exact, hopeful) = (outcome(true), outcome(false));
        if exact.0 == hopeful.0 {
            return vec![exact];
        }
        vec![exact, hopeful]
    }

    fn answer(&mut self, place: usize, deed: &Deed, now: Millis) -> Answer {
        match deed {
            Deed::Delegate {
                budget,
                time_ms,
                shared,
                ..
            } => self.delegate(place, limits(*budget), now.plus_ms(*time_ms), *shared, now),
            Deed::Use { charge, reserve } => self.use_one(place, *charge, *reserve, now),
            Deed::Settle { call, charge } => self.settle(place, *call, *charge, now),
            Deed::TopUp(more) => self.top_up(place, *more, now),
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

    /// What is used or set aside, as far as this session pays for it.
    pub(super) fn committed(&self, place: usize, now: Millis) -> Amounts {
        let below = self.nodes.iter().enumerate();
        let below = below.filter(|(_, node)| node.parent == Some(place));
        below.fold(self.nodes[place].used, |sum, (child, _)| {
            plus(sum, self.spent_by(child, now))
        })
    }

    /// What a child costs its parent.
    fn spent_by(&self, child: usize, now: Millis) -> Amounts {
        let node = &self.nodes[child];
        let given = node.limit.map(|limit| limit.unwrap_or(0));
        if node.shared {
            return self.committed(child, now);
        }
        if self.status(child, now) == Status::Active {
            return given;
        }
        let spent = self.committed(child, now);
        if self.informed {
            return spent;
        }
        array::from_fn(|meter| {
            let known = spent[meter].saturating_sub(self.late_below(child)[meter]);
            node.limit[meter].map_or(known, |limit| known.min(limit))
        })
    }

    fn late_below(&self, place: usize) -> Amounts {
        let below = self.nodes.iter().enumerate();
        let below = below.filter(|(_, node)| node.parent == Some(place));
        below.fold(self.nodes[place].late, |sum, (child, _)| {
            plus(sum, self.late_below(child))
        })
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

    /// Whether so much more is within every budget it is spent from; nothing
    /// more is, where one is overdrawn.
    fn is_within(&self, place: usize, more: Amounts, now: Millis) -> bool {
        self.spenders(place).into_iter().all(|payer| {
            let sum = plus(self.committed(payer, now), more);
            let limits = self.nodes[payer].limit.into_iter().zip(sum);
            limits
                .into_iter()
                .all(|(limit, sum)| limit.is_none_or(|limit| sum <= limit))
        })
    }

    /// Whether every budget has so much left, if that is anything.
    fn has_left(&self, place: usize, wanted: Amounts, now: Millis) -> bool {
        self.spenders(place).into_iter().all(|payer| {
            let gone = self.committed(payer, now);
            (0..3).all(|meter| {
                let limit = self.nodes[payer].limit[meter];
                limit.is_none_or(|limit| wanted[meter] <= limit.saturating_sub(gone[meter]))
            })
        })
    }

    fn use_one(&mut self, place: usize, charge: [u64; 2], reserve: bool, now: Millis) -> Answer {
        self.check_active(place, now)?;
        let [tokens, cost] = charge;
        if !self.is_within(place, [1, tokens, cost], now) {
            return Err("budget_exceeded");
        }
        let deadline = now.plus_ms(self.reservation_ms);
        let node = &mut self.nodes[place];
        node.used = plus(node.used, [1, tokens, cost]);
        node.made += 1;
        if reserve {
            node.open.insert(node.made, (charge, deadline));
        }
        Ok(())
    }

    fn settle(&mut self, place: usize, call: u64, charge: Option<[u64; 2]>, now: Millis) -> Answer {
        let is_late = self.status(place, now) != Status::Active;
        let node = &mut self.nodes[place];
        let open = node.open.get(&call).copied();
        let Some((estimate, _)) = open.filter(|(_, deadline)| !deadline.has_passed(now)) else {
            return Err("reservation_not_found");
        };
        node.open.remove(&call);
        let before = [1, estimate[0], estimate[1]];
        let after = charge.map_or([0; 3], |[tokens, cost]| [1, tokens, cost]);
        node.used = plus(minus(node.used, before), after);
        if is_late {
            node.late = plus(node.late, minus(after, before));
        }
        Ok(())
    }

    fn top_up(&mut self, place: usize, more: Amounts, now: Millis) -> Answer {
        self.check_active(place, now)?;
        let node = &self.nodes[place];
        if node
            .limit
            .into_iter()
            .zip(more)
            .any(|(limit, more)| more > 0 && limit.is_none())
        {
            return Err("invalid_request");
        }
        if let Some(parent) = node.parent.filter(|_| !node.shared)
            && !self.is_within(parent, more, now)
        {
            return Err("budget_exceeded");
        }
        let limits = self.nodes[place].limit.iter_mut().zip(more);
        for (limit, more) in limits {
            *limit = limit.map(|limit| limit + more);
        }
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
        limit: [Option<u64>; 3],
        expires: Millis,
        shared: bool,
        now: Millis,
    ) -> Answer {
        self.check_active(place, now)?;
        let parent = &self.nodes[place];
        let payers = self.spenders(place).into_iter();
        let unlimited = |payer: usize| {
            let limits = self.nodes[payer].limit.into_iter().zip(limit);
            limits
                .into_iter()
                .any(|(theirs, own)| theirs.is_some() && own.is_none())
        };
        let limits = parent.limit.into_iter().zip(limit);
        let above = limits
            .into_iter()
            .any(|(theirs, own)| theirs.zip(own).is_some_and(|(max, own)| own > max));
        let wider = above || !shared && payers.into_iter().any(unlimited);
        let wider = wider || self.above(place).len() >= 5 || expires > parent.expires;
        let wanted = limit.map(|limit| limit.unwrap_or(0));
        if wider || !(shared || self.has_left(place, wanted, now)) {
            return Err("delegation_refused");
        }
        let child = Node::new(Some(place), shared, limit, expires);
        self.nodes.push(child);
        Ok(())
    }

    /// Whether anything was ever delegated from the session.
    pub(super) fn has_children(&self, place: usize) -> bool {
        self.nodes.iter().any(|node| node.parent == Some(place))
    }
}

fn plus(one: Amounts, other: Amounts) -> Amounts {
    array::from_fn(|meter| one[meter] + other[meter])
}

fn minus(one: Amounts, other: Amounts) -> Amounts {
    array::from_fn(|meter| one[meter].saturating_sub(other[meter]))
}

impl Node {
    const fn new(
        parent: Option<usize>,
        shared: bool,
        limit: [Option<u64>; 3],
        expires: Millis,
    ) -> Self {
        Self {
            parent,
            shared,
            limit,
            expires,
            closed: None,
            used: [0; 3],
            late: [0; 3],
            made: 0,
            open: BTreeMap::new(),
        }
    }
}
