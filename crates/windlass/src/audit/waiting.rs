//! Events that wait to be written, and how many were lost.
//!
//! Invariants: never more than `max` events wait; an event that was told is in
//! exactly one of three counts, written, waiting or lost; what was lost is told
//! in its chain as soon as the chain takes events again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use windlass_core::Millis;

use super::chain::Chain;
use super::event::AuditEvent;
use super::limits::{GROUP_EVENTS_MAX, LOST_CHAINS_MAX};

/// The action of the event that says that others were lost.
pub const LOST_ACTION: &str = "audit.lost";

/// Why an event was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// There was no room for it.
    Full,
    /// The sink did not take it.
    Failed,
    /// The engine was closed before it was written, or is closed.
    Closed,
}

/// How many were lost, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Lost {
    full: u64,
    failed: u64,
    closed: u64,
    /// Whether nothing has been told of the chain since it last failed: there
    /// is no use in trying again.
    rests: bool,
}

impl Lost {
    fn count(&mut self, loss: Loss, events: u64) {
        let counter = match loss {
            Loss::Full => &mut self.full,
            Loss::Failed => &mut self.failed,
            Loss::Closed => &mut self.closed,
        };
        *counter += events;
    }

    /// The event that says so.
    fn event(self, at: Millis, chain: &Chain) -> AuditEvent {
        AuditEvent::new(at, chain.clone(), LOST_ACTION)
            .figure("full", self.full)
            .figure("failed", self.failed)
            .figure("closed", self.closed)
    }
}

/// What has become of the events that were told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditFigures {
    /// Events that were told.
    pub told: u64,
    /// Those of them that were written.
    pub written: u64,
    /// Those that wait to be.
    pub waiting: u64,
    /// Those that were lost because too many waited.
    pub lost_full: u64,
    /// Those that were lost because they could not be written.
    pub lost_failed: u64,
    /// Those that were lost because the engine was closed.
    pub lost_closed: u64,
}

impl AuditFigures {
    /// All that were lost.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.lost_full + self.lost_failed + self.lost_closed
    }
}

/// Some events of one chain that are to be written together.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) chain: Chain,
    pub(super) events: Vec<Arc<AuditEvent>>,
    /// What the first of them says was lost, if it does.
    lost: Option<Lost>,
}

impl Group {
    fn told(&self) -> u64 {
        let told = self.events.len() - usize::from(self.lost.is_some());
        u64::try_from(told).unwrap_or(u64::MAX)
    }
}

/// The events that wait, and the counts.
#[derive(Debug)]
pub(super) struct Waiting {
    max: usize,
    queue: VecDeque<Arc<AuditEvent>>,
    /// How many are being written.
    away: usize,
    lost: BTreeMap<Chain, Lost>,
    figures: AuditFigures,
    is_closed: bool,
    /// Whether a task will write what waits.
    pub(super) is_driven: bool,
}

impl Waiting {
    pub(super) const fn new(max: usize) -> Self {
        Self {
            max,
            queue: VecDeque::new(),
            away: 0,
            lost: BTreeMap::new(),
            figures: AuditFigures {
                told: 0,
                written: 0,
                waiting: 0,
                lost_full: 0,
                lost_failed: 0,
                lost_closed: 0,
            },
            is_closed: false,
            is_driven: false,
        }
    }

    /// Takes an event, or counts it as lost.
    pub(super) fn tell(&mut self, event: Arc<AuditEvent>) {
        self.figures.told += 1;
        if let Some(lost) = self.lost.get_mut(&event.chain) {
            lost.rests = false;
        }
        if self.is_closed {
            self.lose(&event.chain, Loss::Closed, 1);
        } else if self.queue.len() + self.away >= self.max {
            self.lose(&event.chain, Loss::Full, 1);
        } else {
            self.queue.push_back(event);
        }
    }

    /// The next group, of the chain that has waited longest; `None` if nothing
    /// is to be written.
    pub(super) fn take(&mut self, now: Millis) -> Option<Group> {
        let waits = self.queue.front().map(|event| event.chain.clone());
        let owed = || {
            let mut owed = self.lost.iter().filter(|(_, lost)| !lost.rests);
            owed.next().map(|(chain, _)| chain.clone())
        };
        let chain = waits.or_else(owed)?;
        let lost = self.lost.remove(&chain);
        let told = lost.map(|lost| Arc::new(lost.event(now, &chain)));
        let mut events: Vec<_> = told.into_iter().collect();
        let mut others = VecDeque::new();
        while events.len() < GROUP_EVENTS_MAX {
            match self.queue.pop_front() {
                Some(event) if event.chain == chain => events.push(event),
                Some(event) => others.push_back(event),
                None => break,
            }
        }
        others.append(&mut self.queue);
        self.queue = others;
        let group = Group {
            chain,
            events,
            lost,
        };
        self.away += usize::try_from(group.told()).unwrap_or(usize::MAX);
        Some(group)
    }

    /// Counts a group as written, or its events as lost.
    pub(super) fn settle(&mut self, group: &Group, written: bool) {
        let told = group.told();
        self.away -= usize::try_from(told).unwrap_or(usize::MAX);
        if written {
            self.figures.written += told;
            return;
        }
        self.lose(&group.chain, Loss::Failed, told);
        let owed = self.owed(&group.chain);
        if let Some(before) = group.lost {
            owed.full += before.full;
            owed.failed += before.failed;
            owed.closed += before.closed;
        }
        owed.rests = true;
    }

    /// Takes nothing more, and counts what waits as lost.
    pub(super) fn close(&mut self) {
        self.is_closed = true;
        for event in std::mem::take(&mut self.queue) {
            self.lose(&event.chain, Loss::Closed, 1);
        }
    }

    pub(super) fn figures(&self) -> AuditFigures {
        let waiting = u64::try_from(self.queue.len() + self.away).unwrap_or(u64::MAX);
        AuditFigures {
            waiting,
            ..self.figures
        }
    }

    /// Whether there is nothing to write.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.lost.values().all(|lost| lost.rests)
    }

    fn lose(&mut self, chain: &Chain, loss: Loss, events: u64) {
        let counter = match loss {
            Loss::Full => &mut self.figures.lost_full,
            Loss::Failed => &mut self.figures.lost_failed,
            Loss::Closed => &mut self.figures.lost_closed,
        };
        *counter += events;
        self.owed(chain).count(loss, events);
    }

    /// What a chain is owed to be told; beyond so many chains, the system's.
    fn owed(&mut self, chain: &Chain) -> &mut Lost {
        let is_known = self.lost.contains_key(chain);
        let chain = match is_known || self.lost.len() < LOST_CHAINS_MAX {
            true => chain.clone(),
            false => Chain::System,
        };
        self.lost.entry(chain).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(chain: &str) -> Arc<AuditEvent> {
        let chain = chain.parse().expect("a name");
        Arc::new(AuditEvent::new(Millis::new(1), chain, "test.done"))
    }

    fn figures(group: &Group) -> Vec<(String, u64)> {
        let figures = group.events[0].figures.iter();
        figures
            .map(|(name, figure)| (name.to_string(), *figure))
            .collect()
    }

    #[test]
    fn groups_are_of_one_chain_and_keep_the_order() {
        let mut waiting = Waiting::new(10);
        for chain in ["a", "b", "a", "a", "b"] {
            waiting.tell(event(chain));
        }
        let lengths = [(); 2].map(|()| {
            let group = waiting.take(Millis::new(2)).expect("a group");
            waiting.settle(&group, true);
            (group.chain.to_string(), group.events.len())
        });
        assert_eq!(lengths, [("a".to_owned(), 3), ("b".to_owned(), 2)]);
        assert!(waiting.take(Millis::new(2)).is_none(), "{waiting:?}");
        assert_eq!(waiting.figures().written, 5);
        assert!(waiting.is_idle(), "{waiting:?}");
    }

    #[test]
    fn what_finds_no_room_is_counted_and_told_with_the_next_group() {
        let mut waiting = Waiting::new(2);
        for _ in 0..5 {
            waiting.tell(event("a"));
        }
        assert_eq!(waiting.figures().lost_full, 3);
        let group = waiting.take(Millis::new(2)).expect("a group");
        assert_eq!(group.events.len(), 3);
        assert_eq!(group.events[0].action, LOST_ACTION);
        let expected = [("full", 3), ("failed", 0), ("closed", 0)];
        assert_eq!(
            figures(&group),
            expected.map(|(name, figure)| (name.to_owned(), figure))
        );
        waiting.tell(event("a"));
        assert_eq!(waiting.figures().lost_full, 4, "two are still on their way");
        waiting.settle(&group, true);
        let told = waiting.take(Millis::new(3)).expect("the loss alone");
        assert_eq!(told.events.len(), 1);
        waiting.settle(&told, true);
        let all = waiting.figures();
        assert_eq!((all.told, all.written, all.lost()), (6, 2, 4));
    }

    #[test]
    fn a_group_that_was_not_taken_is_owed_with_what_it_owed() {
        let mut waiting = Waiting::new(1);
        waiting.tell(event("a"));
        waiting.tell(event("a"));
        let group = waiting.take(Millis::new(2)).expect("a group");
        waiting.settle(&group, false);
        assert!(
            waiting.is_idle(),
            "nothing is tried before something is told"
        );
        assert!(waiting.take(Millis::new(2)).is_none(), "{waiting:?}");
        waiting.tell(event("a"));
        let group = waiting.take(Millis::new(3)).expect("a group");
        let expected = [("full", 1), ("failed", 1), ("closed", 0)];
        assert_eq!(
            figures(&group),
            expected.map(|(name, figure)| (name.to_owned(), figure))
        );
    }

    #[test]
    fn every_event_is_in_one_count_whatever_happens() {
        let mut waiting = Waiting::new(7);
        for round in 0..500_u32 {
            waiting.tell(event(
                ["a", "b", "c"][usize::try_from(round % 3).expect("small")],
            ));
            if round % 5 == 0
                && let Some(group) = waiting.take(Millis::new(2))
            {
                waiting.settle(&group, round % 10 == 0);
            }
            let figures = waiting.figures();
            let all = figures.written + figures.waiting + figures.lost();
            assert_eq!(all, figures.told, "round {round}");
            assert!(figures.waiting <= 7, "{figures:?}");
        }
        waiting.close();
        let figures = waiting.figures();
        assert_eq!(figures.waiting, 0);
        assert_eq!(figures.written + figures.lost(), figures.told);
    }

    #[test]
    fn beyond_so_many_chains_losses_count_as_the_systems() {
        let mut waiting = Waiting::new(0);
        for chain in 0..LOST_CHAINS_MAX + 10 {
            waiting.tell(event(&format!("t{chain}")));
        }
        assert_eq!(waiting.lost.len(), LOST_CHAINS_MAX + 1);
        assert_eq!(waiting.lost[&Chain::System].full, 10);
    }
}
