//! The turn of a session: new state, uses and work in one commit.

use axum::http::StatusCode;
use serde::Serialize;
use windlass::access::Verb;
use windlass::checkpoint::{Committed, Expected};
use windlass::core::SessionId;
use windlass::queue::{Caller as QueueCaller, Step as WorkStep};
use windlass::session::{Agent, Settle, StepAnswer};
use windlass::stream::Step as StreamStep;
use windlass_client::queue as wire;
use windlass_client::stream::Placed;

use super::request::changes;
use super::{TAG, invalid, of};
use crate::call::{Call, Reply, parse_id};
use crate::problem::{Problem, Refused};
use crate::route::{Access, Route};
use crate::routes::queue::{check_reach, held_lease, settle, work, worked};
use crate::routes::sessions::{OF_USE, outcome, uses};
use crate::routes::stash::VALUE_BYTES_MAX;
use crate::routes::stream::{ending, placed, row};

/// Most uses of a turn, and most changes of queues.
const STEPS_MAX: usize = 100;

/// Refusals of a turn beside those of its uses.
const OF_TURN: &[&str] = &[
    "turn_conflict",
    "state_removed",
    "head_revision_conflict",
    "usage_overflow",
    "state_full",
    "node_not_found",
    "blob_not_found",
    "attachment_not_found",
    "reservation_not_found",
    "claim_expired",
    "work_not_found",
    "source_key_conflict",
    "lease_lost",
    "stream_closed",
    "stream_deleted",
    "expired",
    "invalid_row",
];

pub(super) fn routes() -> Vec<Route> {
    let turn = Route::post("/v1/sessions/{session}/turns", "commit_turn", |call| {
        Box::pin(turn(call))
    });
    vec![
        turn.about(
            TAG,
            "Commits a turn, all or nothing: state, uses, work and output; these need their own verbs too",
        )
        .access(Access::Tenant(Verb::StateWrite))
        .serves(&[
            "Windlass::turn",
            "Turn::state",
            "Turn::id",
            "Turn::uses",
            "Turn::settle",
            "Turn::complete",
            "Turn::enqueue",
            "Turn::work",
            "Turn::output",
            "Turn::bound",
            "Turn::commit",
        ])
        .takes::<wire::CommitTurn>()
        .body_bytes_max(VALUE_BYTES_MAX)
        .answers::<wire::TurnDone>(201, "What it came to")
        .tagged()
        .fails(OF_TURN)
        .fails(OF_USE),
    ]
}

/// What a turn came to, as it is written.
#[derive(Serialize)]
struct Done<'a> {
    committed: &'a Committed,
    uses: &'a [StepAnswer],
    work: Vec<wire::TurnWorked>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    streams: Vec<Placed>,
    repeated: bool,
}

async fn turn(call: Call) -> Result<Reply, Refused> {
    let asked: wire::CommitTurn = call.json()?;
    check_verbs(&call, &asked)?;
    check_count("uses", asked.uses.len())?;
    check_count("work", asked.work.len())?;
    let expected = asked
        .state
        .expected
        .map_or(Expected::Any, Expected::Revision);
    let changes = changes(asked.state, expected, call.operation.clone())?;
    let of = of(&call).await?;
    of.check_open(&call).await?;
    let caller = call.caller()?;
    let mut turn = call.app.engine.turn(&caller, &of.session).state(changes);
    for step in &asked.uses {
        turn = match step {
            wire::TurnUse::Use(asked) => turn.uses(uses(asked, None)?),
            wire::TurnUse::Settle {
                agent,
                call,
                outcome: told,
            } => turn.settle(Settle {
                agent: Agent::Is(parse_id("agent", agent)?),
                call: *call,
                outcome: outcome(*told),
                operation: None,
            }),
        };
    }
    for step in asked.work {
        turn = turn.work(work_step(&call, &of.session, step).await?);
    }
    for step in asked.streams {
        turn = turn.output(StreamStep {
            stream: parse_id("stream", &step.stream)?,
            rows: step.rows.into_iter().map(row).collect::<Result<_, _>>()?,
            close: step.close.map(ending),
        });
    }
    if let Some(held) = &asked.lease {
        let of_queue = QueueCaller::new(caller.tenant.clone(), caller.principal.clone());
        let lease = held_lease(&call, &of_queue, &of.session, held).await?;
        turn = turn.bound(lease.bound());
    }
    let done = turn.commit().await?;
    let shown = Done {
        committed: &done.committed,
        uses: &done.uses,
        work: done.work.into_iter().map(worked).collect(),
        streams: done.streams.into_iter().map(placed).collect(),
        repeated: done.repeated,
    };
    Ok(Reply::json(&shown)
        .status(StatusCode::CREATED)
        .tag(done.committed.revision))
}

/// One route, several verbs: whatever a turn does needs the verb that it needs
/// alone.
fn check_verbs(call: &Call, asked: &wire::CommitTurn) -> Result<(), Refused> {
    let uses = (!asked.uses.is_empty()).then_some(Verb::SessionUse);
    let work = asked.work.iter().map(|step| match step {
        wire::TurnWork::Settle { .. } => Verb::QueueWork,
        wire::TurnWork::Enqueue { .. } => Verb::QueueWrite,
    });
    let streams = (!asked.streams.is_empty()).then_some(Verb::StreamWrite);
    match uses
        .into_iter()
        .chain(work)
        .chain(streams)
        .find(|verb| !call.identity.may(*verb))
    {
        None => Ok(()),
        Some(verb) => {
            let detail = format!("the credential does not hold `{}`", verb.as_str());
            let problem = Problem::new(403, "verb_missing", &detail);
            Err(Box::new(problem.with("verb", verb.as_str())))
        }
    }
}

fn check_count(field: &'static str, count: usize) -> Result<(), Refused> {
    if count > STEPS_MAX {
        let detail = format!("`{field}` has {count} elements; at most {STEPS_MAX} are allowed");
        return Err(invalid(field, &detail));
    }
    Ok(())
}

async fn work_step(
    call: &Call,
    own: &SessionId,
    step: wire::TurnWork,
) -> Result<WorkStep, Refused> {
    match step {
        wire::TurnWork::Settle {
            session,
            token,
            settle: asked,
        } => {
            if asked.next.is_some() || asked.lease.is_some() {
                let detail = "a settlement of a turn has no `next` and no `lease` of its own";
                return Err(invalid("settle", detail));
            }
            Ok(WorkStep::Settle {
                session: session_of(call, own, session).await?,
                settle: settle(token, &asked)?,
            })
        }
        wire::TurnWork::Enqueue {
            session,
            work: asked,
        } => Ok(WorkStep::Enqueue {
            session: session_of(call, own, session).await?,
            work: work(asked)?,
        }),
    }
}

/// The session of a step; another one than the turn's has to be in reach.
async fn session_of(
    call: &Call,
    own: &SessionId,
    asked: Option<String>,
) -> Result<SessionId, Refused> {
    let Some(asked) = asked else {
        return Ok(own.clone());
    };
    let session = parse_id("session", &asked)?;
    check_reach(call, &call.caller()?, &session).await?;
    Ok(session)
}
