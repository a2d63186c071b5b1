//! What a session has lent to the sessions it delegated to, and how it comes
//! back. Pure arithmetic on heads.
//!
//! Invariants, kept whatever fails between two commits, because each of the
//! changes below is one:
//!
//! 1. What a child may spend is part of its parent's `lent` until the parent
//!    has taken its account over; from then on the child may spend nothing.
//! 2. What a child spent is part of its parent's use exactly once: the child's
//!    head says how much of it the parent was told, and both heads are written
//!    together.

use serde::{Deserialize, Serialize};

use crate::error::{Meter, SessionError};
use crate::model::{Budget, TopUp};
use crate::record::{Head, MeterRecord};

/// An amount of each meter: calls, tokens, micro-units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Amounts(pub(crate) [u64; 3]);

/// The meters, in the order of amounts.
pub(crate) const METERS: [Meter; 3] = [Meter::Calls, Meter::Tokens, Meter::CostMicros];

impl Amounts {
    pub(crate) fn is_zero(&self) -> bool {
        self.0 == [0; 3]
    }

    fn with(self, other: Self, join: impl Fn(u64, u64) -> u64) -> Self {
        let mut joined = self;
        for (amount, more) in joined.0.iter_mut().zip(other.0) {
            *amount = join(*amount, more);
        }
        joined
    }

    fn plus(self, other: Self) -> Self {
        self.with(other, u64::saturating_add)
    }

    fn minus(self, other: Self) -> Self {
        self.with(other, u64::saturating_sub)
    }
}

impl From<Budget> for Amounts {
    /// The limits; an unlimited meter counts as nothing.
    fn from(budget: Budget) -> Self {
        Self([
            budget.calls,
            budget.tokens.unwrap_or(0),
            budget.cost_micros.unwrap_or(0),
        ])
    }
}

impl From<&TopUp> for Amounts {
    fn from(request: &TopUp) -> Self {
        Self([request.calls, request.tokens, request.cost_micros])
    }
}

impl Head {
    pub(crate) const fn meters(&self) -> [MeterRecord; 3] {
        [self.calls, self.tokens, self.cost]
    }

    fn used(&self) -> Amounts {
        Amounts(self.meters().map(|meter| meter.1))
    }

    fn given(&self) -> Amounts {
        Amounts(self.meters().map(|meter| meter.0.unwrap_or(0)))
    }

    /// What is used and what is lent: nobody else may spend it.
    pub(crate) fn committed(&self) -> Amounts {
        self.used().plus(self.lent)
    }

    fn set_used(&mut self, used: Amounts) {
        let meters = [&mut self.calls, &mut self.tokens, &mut self.cost];
        for (meter, amount) in meters.into_iter().zip(used.0) {
            meter.1 = amount;
        }
    }

    /// Whether so much more is within the budget.
    pub(crate) fn check_budget(&self, more: Amounts) -> Result<(), SessionError> {
        let committed = self.committed();
        for (place, MeterRecord(limit, _)) in self.meters().into_iter().enumerate() {
            let used = committed.0[place];
            if let Some(limit) = limit
                && used.saturating_add(more.0[place]) > limit
            {
                let meter = METERS[place];
                return Err(SessionError::BudgetExceeded { meter, limit, used });
            }
        }
        Ok(())
    }

    /// What is left of each meter; `None` where it is unlimited.
    pub(crate) fn left(&self) -> [Option<u64>; 3] {
        let committed = self.committed().0;
        let mut left = self.meters().map(|meter| meter.0);
        for (left, gone) in left.iter_mut().zip(committed) {
            *left = left.map(|limit| limit.saturating_sub(gone));
        }
        left
    }

    pub(crate) fn lend(&mut self, amounts: Amounts) {
        self.lent = self.lent.plus(amounts);
    }

    /// Whether its parent knows all that it spent and has the rest.
    pub(crate) fn is_accounted_for(&self) -> bool {
        self.told == Some(self.committed())
    }
}

/// Brings the accounts of those who lent up to date with a child whose time
/// is over: what it spent is theirs, and so is its rest.
pub(crate) fn take_back<'a>(lenders: impl Iterator<Item = &'a mut Head>, child: &mut Head) {
    let spent = child.committed();
    for lender in lenders {
        let before = match child.told {
            Some(told) => told,
            None => {
                lender.lent = lender.lent.minus(child.given());
                Amounts::default()
            }
        };
        lender.set_used(lender.used().plus(spent).minus(before));
    }
    child.told = Some(spent);
}
