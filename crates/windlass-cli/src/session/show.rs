//! Sessions as text for people.

use windlass_client::session::{
    Allow, Charge, Event, Left, RateKind, RateLimit, Reading, Receipt, Session, TreeNode, What,
};
use windlass_client::store::{Due, SweepReport};

use crate::table::{fields, moment, plain, rows};

/// One session, field by field.
pub(crate) fn session(session: &Session) -> String {
    let mut shown = vec![
        ("id", session.id.to_string()),
        ("revision", session.revision.to_string()),
        ("tenant", session.tenant.to_string()),
        ("principal", session.principal.to_string()),
        ("agent", session.agent.to_string()),
        ("intent", plain(&session.intent)),
        ("status", session.status.as_str().to_owned()),
        ("tools", allow(&session.tools)),
        ("credentials", allow(&session.credentials)),
        ("ceiling", session.ceiling.as_str().to_owned()),
        ("calls", reading(session.budget.calls)),
        ("tokens", reading(session.budget.tokens)),
        ("cost_micros", reading(session.budget.cost_micros)),
        ("rate", session.rate.map_or_else(none, rate)),
        ("calls_made", session.calls_made.to_string()),
        ("reservations_open", session.reservations_open.to_string()),
        ("created_at", moment(session.created_at)),
        ("expires_at", moment(session.expires_at)),
        ("ended_at", session.ended_at.map_or_else(none, moment)),
        ("changed_at", moment(session.changed_at)),
    ];
    if let Some(parent) = &session.parent {
        shown.push(("parent", parent.to_string()));
    }
    if session.shared {
        shown.push(("budget", "shared with the parent".to_owned()));
    }
    if session.budget.calls.lent > 0 {
        shown.push(("calls_lent", session.budget.calls.lent.to_string()));
    }
    if let Some(through) = &session.ended_through {
        shown.push(("ended_through", through.to_string()));
    }
    if !session.chain.is_empty() {
        shown.push(("chain", session.chain.join(" > ")));
    }
    if !session.clamped.is_empty() {
        shown.push(("clamped", session.clamped.join(", ")));
    }
    fields(shown)
}

/// A tree, one session a row, marked with its depth.
pub(crate) fn tree(nodes: &[TreeNode]) -> String {
    let shown = nodes.iter().map(|TreeNode { depth, session }| {
        let budget = if session.shared { "shared" } else { "own" };
        [
            format!(
                "{}{}",
                "- ".repeat(usize::try_from(*depth).unwrap_or(0)),
                session.id
            ),
            session.agent.to_string(),
            session.status.as_str().to_owned(),
            budget.to_owned(),
            reading(session.budget.calls),
            session.budget.calls.lent.to_string(),
            moment(session.expires_at),
        ]
    });
    rows(
        [
            "ID", "AGENT", "STATUS", "BUDGET", "CALLS", "LENT", "EXPIRES",
        ],
        shown,
    )
}

/// Many sessions, one a row.
pub(crate) fn sessions(sessions: &[Session]) -> String {
    let shown = sessions.iter().map(|session| {
        [
            session.id.to_string(),
            session.agent.to_string(),
            session.status.as_str().to_owned(),
            reading(session.budget.calls),
            moment(session.created_at),
            moment(session.expires_at),
            plain(&session.intent),
        ]
    });
    rows(
        [
            "ID", "AGENT", "STATUS", "CALLS", "CREATED", "EXPIRES", "INTENT",
        ],
        shown,
    )
}

/// Proof of a use, and what is left after it.
pub(crate) fn receipt(receipt: &Receipt) -> String {
    let calls = if receipt.first_call == receipt.last_call {
        receipt.first_call.to_string()
    } else {
        format!("{} to {}", receipt.first_call, receipt.last_call)
    };
    let low = if receipt.low { "yes" } else { "no" };
    let mut shown = vec![("call", calls)];
    shown.extend(left_fields(&receipt.left));
    shown.push(("low", low.to_owned()));
    fields(shown)
}

/// What is left.
pub(crate) fn left(left: &Left) -> String {
    fields(left_fields(left))
}

fn left_fields(left: &Left) -> [(&'static str, String); 4] {
    let amount =
        |left: Option<u64>| left.map_or_else(|| "unlimited".to_owned(), |left| left.to_string());
    [
        ("calls_left", left.calls.to_string()),
        ("tokens_left", amount(left.tokens)),
        ("cost_micros_left", amount(left.cost_micros)),
        ("time_left_ms", left.time_ms.to_string()),
    ]
}

/// What happened in a session, one event a row.
pub(crate) fn events(events: &[Event]) -> String {
    let shown = events.iter().map(|event| {
        let (kind, call, details) = what(&event.what);
        let operation = event.operation.as_deref().map_or_else(none, plain);
        [
            event.number.to_string(),
            moment(event.at),
            kind.to_owned(),
            call.map_or_else(none, |call| call.to_string()),
            details,
            operation,
        ]
    });
    rows(
        ["NUMBER", "AT", "EVENT", "CALL", "DETAILS", "OPERATION"],
        shown,
    )
}

fn what(what: &What) -> (&'static str, Option<u64>, String) {
    match what {
        What::Use {
            call,
            tool,
            credentials,
            sensitivity,
            charge,
            reserved,
        } => {
            let mut said = vec![format!("tool={}", plain(tool))];
            said.extend(
                credentials
                    .iter()
                    .map(|name| format!("credential={}", plain(name))),
            );
            said.extend(sensitivity.map(|level| format!("sensitivity={}", level.as_str())));
            said.extend(charged(*charge));
            said.extend(reserved.then(|| "reserved".to_owned()));
            ("use", Some(*call), said.join(" "))
        }
        What::Settle { call, charge } => ("settle", Some(*call), charged(*charge).join(" ")),
        What::Refund { call } => ("refund", Some(*call), String::new()),
        What::Lapse { call } => ("lapse", Some(*call), String::new()),
        What::TopUp {
            calls,
            tokens,
            cost_micros,
        } => {
            let charge = Charge {
                tokens: *tokens,
                cost_micros: *cost_micros,
            };
            let mut said = vec![format!("calls={calls}")];
            said.extend(charged(charge));
            ("top_up", None, said.join(" "))
        }
        What::Close => ("close", None, String::new()),
        What::Delegate {
            session,
            calls,
            tokens,
            cost_micros,
            shared,
        } => {
            let mut said = vec![format!("session={session}"), format!("calls={calls}")];
            said.extend(tokens.map(|tokens| format!("tokens={tokens}")));
            said.extend(cost_micros.map(|cost| format!("cost_micros={cost}")));
            said.extend(shared.then(|| "shared".to_owned()));
            ("delegate", None, said.join(" "))
        }
    }
}

fn charged(charge: Charge) -> Vec<String> {
    let amounts = [
        ("tokens", charge.tokens),
        ("cost_micros", charge.cost_micros),
    ];
    let given = amounts.into_iter().filter(|(_, amount)| *amount > 0);
    given
        .map(|(name, amount)| format!("{name}={amount}"))
        .collect()
}

/// What a sweep did.
pub(crate) fn sweep(report: &SweepReport) -> String {
    fields([
        ("scanned", report.scanned.to_string()),
        ("expired", report.expired.to_string()),
        ("closed", report.closed.to_string()),
        ("removed", report.removed.to_string()),
        ("operations_removed", report.operations_removed.to_string()),
        ("unreadable", report.unreadable.len().to_string()),
        (
            "truncated",
            if report.truncated { "yes" } else { "no" }.to_owned(),
        ),
    ])
}

/// How much upkeep has come due.
pub(crate) fn due(due: &Due) -> String {
    let at_least = if due.more { "at least " } else { "" };
    format!("{at_least}{} entries are due", due.entries)
}

fn allow(allow: &Allow) -> String {
    match allow {
        Allow::All => "all".to_owned(),
        Allow::Only(patterns) if patterns.is_empty() => "none".to_owned(),
        Allow::Only(patterns) => {
            let shown: Vec<String> = patterns.iter().map(|pattern| plain(pattern)).collect();
            shown.join(", ")
        }
    }
}

fn reading(reading: Reading) -> String {
    match reading.limit {
        Some(limit) => format!("{} of {limit}", reading.used),
        None => format!("{} of unlimited", reading.used),
    }
}

fn rate(rate: RateLimit) -> String {
    let kind = match rate.kind {
        RateKind::Sliding => "",
        RateKind::Fixed => ", fixed",
    };
    format!("{} in {} ms{kind}", rate.limit, rate.window_ms)
}

fn none() -> String {
    "-".to_owned()
}
