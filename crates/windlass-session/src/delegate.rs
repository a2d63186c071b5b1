//! The rules of delegation: what a child may be given.

use windlass_core::{Millis, SessionId};

use crate::error::{Excess, SessionError};
use crate::lent::{Amounts, METERS};
use crate::limits::{CHAIN_MAX, DEPTH_MAX, TIME_LIMIT_MS_MIN};
use crate::model::{Create, Delegate};
use crate::names::Allow;
use crate::record::{Head, Spec};

/// A delegation to be decided: what is asked, and the id the child will have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delegation {
    pub(crate) child: SessionId,
    pub(crate) request: Delegate,
}

/// How long a child lasts that a parent with `spec` creates at `now`.
pub(crate) fn time_limit_ms(spec: &Spec, request: &Delegate, now: Millis) -> u64 {
    if request.ends_with_parent {
        spec.expires_at().since(now)
    } else {
        request.child.time_limit_ms
    }
}

/// Refuses whatever is wider than the parent, but for what is left of its
/// budget.
pub(crate) fn check_within(
    spec: &Spec,
    head: &Head,
    request: &Delegate,
    now: Millis,
) -> Result<(), SessionError> {
    let child = &request.child;
    let time_limit_ms = time_limit_ms(spec, request, now);
    let lasts_ms = spec.expires_at().since(now);
    let rules = [
        (spec.above.len() >= DEPTH_MAX, Excess::Depth),
        (
            spec.chain.len() + 1 + child.chain.len() > CHAIN_MAX,
            Excess::Chain,
        ),
        (!covers(&spec.tools, &child.tools), Excess::Tools),
        (
            !covers(&spec.credentials, &child.credentials),
            Excess::Credentials,
        ),
        (child.ceiling > spec.ceiling, Excess::Ceiling),
        (
            time_limit_ms > lasts_ms || time_limit_ms < TIME_LIMIT_MS_MIN,
            Excess::TimeLimit { max_ms: lasts_ms },
        ),
    ];
    match rules.into_iter().find(|(broken, _)| *broken) {
        Some((_, why)) => Err(SessionError::DelegationRefused { why }),
        None => check_limits(head, child),
    }
}

/// A child's limit may not be above its parent's.
fn check_limits(head: &Head, child: &Create) -> Result<(), SessionError> {
    for ((meter, record), wanted) in METERS
        .into_iter()
        .zip(head.meters())
        .zip(child.budget.limits())
    {
        if let (Some(max), Some(limit)) = (record.0, wanted)
            && limit > max
        {
            let why = Excess::Budget { meter, max };
            return Err(SessionError::DelegationRefused { why });
        }
    }
    Ok(())
}

/// Refuses a child with a budget of its own that is without a limit which
/// `head` has, of its parent or of another who pays for what its parent
/// lends: nobody would know what it spends.
pub(crate) fn check_limited(head: &Head, child: &Create) -> Result<(), SessionError> {
    for ((meter, record), wanted) in METERS
        .into_iter()
        .zip(head.meters())
        .zip(child.budget.limits())
    {
        if record.0.is_some() && wanted.is_none() {
            let why = Excess::Unlimited { meter };
            return Err(SessionError::DelegationRefused { why });
        }
    }
    Ok(())
}

/// Refuses a reservation of more than `head` has left.
pub(crate) fn check_left(head: &Head, amounts: Amounts) -> Result<(), SessionError> {
    for ((meter, left), wanted) in METERS.into_iter().zip(head.left()).zip(amounts.0) {
        if let Some(max) = left
            && wanted > max
        {
            let why = Excess::Budget { meter, max };
            return Err(SessionError::DelegationRefused { why });
        }
    }
    Ok(())
}

/// Whether everything that `narrow` allows is allowed by `wide`. A pattern
/// must lie within a single one of the wider list; every name at once is
/// within every name only.
fn covers(wide: &Allow, narrow: &Allow) -> bool {
    match (wide, narrow) {
        (Allow::All, _) => true,
        (Allow::Only(_), Allow::All) => false,
        (Allow::Only(wide), Allow::Only(narrow)) => narrow
            .iter()
            .all(|pattern| wide.iter().any(|wider| wider.covers(pattern))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(patterns: &[&str]) -> Allow {
        Allow::only(patterns.iter().copied()).expect("patterns")
    }

    #[test]
    fn a_list_covers_what_one_of_its_patterns_covers() {
        let table = [
            (Allow::All, Allow::All, true),
            (Allow::All, only(&["*"]), true),
            (only(&["*"]), Allow::All, false),
            (only(&["*"]), only(&["*", "a*", "a"]), true),
            (only(&[]), only(&[]), true),
            (only(&[]), only(&["a"]), false),
            (only(&["fetch_*"]), only(&["fetch_url", "fetch_u*"]), true),
            (only(&["fetch_*"]), only(&["fetch_*"]), true),
            (only(&["fetch_*"]), only(&["fetch*"]), false),
            (only(&["fetch_*"]), only(&["fetch"]), false),
            (only(&["fetch_*"]), only(&["*"]), false),
            (only(&["search"]), only(&["search"]), true),
            (only(&["search"]), only(&["search*"]), false),
            (only(&["search"]), only(&["searches"]), false),
            (only(&["a", "b*"]), only(&["bc", "a"]), true),
            (only(&["a", "b*"]), only(&["bc", "c"]), false),
        ];
        for (wide, narrow, expected) in table {
            assert_eq!(covers(&wide, &narrow), expected, "{wide:?} {narrow:?}");
        }
    }
}
