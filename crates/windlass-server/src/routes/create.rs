//! Creating sessions: what the wire says, as the engine wants it.

use windlass::core::OperationId;
use windlass::session::limits::RATE_WINDOW_MS_DEFAULT;
use windlass::session::{
    Agent, Allow, Budget, Charge, Create, Delegate, Funding, RateLimit, Sensitivity,
};
use windlass_client::session as wire;

use crate::call::parse_id;
use crate::problem::{Problem, Refused};

/// A creation, and the cap it asks to be counted under.
pub(super) fn create(
    asked: wire::CreateSession,
    operation: Option<OperationId>,
) -> Result<(Create, Option<u64>), Refused> {
    let agent = parse_id("agent", &asked.agent)?;
    let mut create = Create::new(agent, asked.intent);
    create.id = asked.id.map(|id| parse_id("id", &id)).transpose()?;
    create.operation = operation;
    if let Some(tools) = asked.tools {
        create.tools = allow("tools", &tools)?;
    }
    if let Some(credentials) = asked.credentials {
        create.credentials = allow("credentials", &credentials)?;
    }
    if let Some(ceiling) = asked.ceiling {
        create.ceiling = sensitivity(ceiling);
    }
    if let Some(time_limit_ms) = asked.time_limit_ms {
        create.time_limit_ms = time_limit_ms;
    }
    if let Some(budget) = asked.budget {
        create.budget = budget_of(budget);
    }
    create.rate = asked.rate.map(rate);
    let chain = asked.chain.iter().map(|agent| parse_id("chain", agent));
    create.chain = chain.collect::<Result<_, _>>()?;
    Ok((create, asked.cap))
}

/// A delegation, and the cap its child asks to be counted under.
pub(super) fn delegate(
    asked: wire::Delegate,
    operation: Option<OperationId>,
) -> Result<(Delegate, Option<u64>), Refused> {
    let by = Agent::Is(parse_id("by", &asked.by)?);
    let (child, cap) = create(asked.child, operation)?;
    let mut delegate = Delegate::new(by, child);
    delegate.funding = match asked.funding.unwrap_or_default() {
        wire::Funding::Reserved => Funding::Reserved,
        wire::Funding::Shared => Funding::Shared,
    };
    delegate.ends_with_parent = asked.ends_with_parent;
    Ok((delegate, cap))
}

fn allow(field: &'static str, asked: &wire::Allow) -> Result<Allow, Refused> {
    match asked {
        wire::Allow::All => Ok(Allow::All),
        wire::Allow::Only(patterns) => {
            Allow::only(patterns.iter().map(String::as_str)).map_err(|flaw| {
                let detail = format!("`{field}` {flaw}");
                Box::new(Problem::new(400, "invalid_request", &detail).with("field", field))
            })
        }
    }
}

pub(super) const fn sensitivity(asked: wire::Sensitivity) -> Sensitivity {
    match asked {
        wire::Sensitivity::Public => Sensitivity::Public,
        wire::Sensitivity::Internal => Sensitivity::Internal,
        wire::Sensitivity::Confidential => Sensitivity::Confidential,
        wire::Sensitivity::Restricted => Sensitivity::Restricted,
    }
}

pub(super) const fn charge(asked: wire::Cost) -> Charge {
    Charge {
        tokens: asked.tokens,
        cost_micros: asked.cost_micros,
    }
}

fn budget_of(asked: wire::Budget) -> Budget {
    Budget {
        calls: asked.calls.unwrap_or(Budget::default().calls),
        tokens: asked.tokens,
        cost_micros: asked.cost_micros,
    }
}

fn rate(asked: wire::Rate) -> RateLimit {
    let window_ms = asked.window_ms.unwrap_or(RATE_WINDOW_MS_DEFAULT);
    match asked.kind.unwrap_or_default() {
        wire::RateKind::Sliding => RateLimit::sliding(asked.limit, window_ms),
        wire::RateKind::Fixed => RateLimit::fixed(asked.limit, window_ms),
    }
}
