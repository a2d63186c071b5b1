//! Changing a state: commits, rolling back, forks, tags, removal.

use axum::http::{Method, StatusCode};
use windlass::access::Verb;
use windlass::checkpoint::{Changes, CheckpointError, Committed, Expected, Removal, TagName};
use windlass_client::state as wire;

use super::request::changes;
use super::{Of, TAG, invalid, of, states, within_reach};
use crate::call::{Call, Precondition, Reply, parse_id};
use crate::codes::{HEAD_CONFLICT, PRECONDITION_FAILED};
use crate::problem::Refused;
use crate::route::{Access, Preconditions, Route};
use crate::routes::stash::{VALUE_BYTES_MAX, ended};

/// Refusals of a change.
const OF_CHANGE: &[&str] = &[
    "invalid_request",
    "already_closed",
    "expired",
    "turn_conflict",
    "state_removed",
];

/// Refusals of a commit.
const OF_COMMIT: &[&str] = &[HEAD_CONFLICT, "usage_overflow", "state_full"];

/// A revision can be expected by a header.
const EXPECTING: Preconditions = Preconditions {
    if_match: true,
    if_absent: true,
    if_changed: false,
};

pub(super) fn routes() -> Vec<Route> {
    let mut routes = commits();
    routes.extend(marks());
    routes
}

fn commits() -> Vec<Route> {
    vec![
        Route::post(
            "/v1/sessions/{session}/state/commits",
            "commit_state",
            |call| Box::pin(commit(call)),
        )
        .about(TAG, "Commits changes to a state: all of them, or none")
        .access(Access::Tenant(Verb::StateWrite))
        .serves(&["Checkpoints::commit"])
        .takes::<wire::CommitState>()
        .body_bytes_max(VALUE_BYTES_MAX)
        .answers::<wire::Committed>(201, "What it came to")
        .tagged()
        .located()
        .fails(OF_CHANGE)
        .fails(OF_COMMIT)
        .fails(&["node_not_found", "blob_not_found", "attachment_not_found"])
        .honours(EXPECTING),
        Route::post(
            "/v1/sessions/{session}/state/rollback",
            "roll_back_state",
            |call| Box::pin(roll_back(call)),
        )
        .about(
            TAG,
            "Makes the state of an earlier revision the present one again, as a new commit",
        )
        .access(Access::Tenant(Verb::StateWrite))
        .serves(&["Checkpoints::rollback"])
        .takes::<wire::RollBack>()
        .answers::<wire::Committed>(201, "What it came to")
        .tagged()
        .located()
        .fails(OF_CHANGE)
        .fails(OF_COMMIT)
        .fails(&["revision_not_found"])
        .honours(EXPECTING),
        Route::post("/v1/sessions/{session}/state/fork", "fork_state", |call| {
            Box::pin(fork(call))
        })
        .about(
            TAG,
            "Begins the state of another session where this one is, or was",
        )
        .access(Access::Tenant(Verb::StateWrite))
        .serves(&["Checkpoints::fork"])
        .takes::<wire::ForkState>()
        .answers::<wire::Committed>(201, "Where the other one begins")
        .tagged()
        .located()
        .fails(OF_CHANGE)
        .fails(&["revision_not_found", "state_exists"]),
        Route::new(
            Method::DELETE,
            "/v1/sessions/{session}/state",
            "remove_state",
            |call| Box::pin(remove(call)),
        )
        .about(TAG, "Removes a state for good; can be repeated")
        .access(Access::Tenant(Verb::StateManage))
        .serves(&["Checkpoints::remove"])
        .answers::<wire::Removed>(200, "How far it came"),
    ]
}

fn marks() -> Vec<Route> {
    vec![
        Route::new(
            Method::PUT,
            "/v1/sessions/{session}/state/tags/{tag}",
            "put_tag",
            |call| Box::pin(tag(call)),
        )
        .about(TAG, "Puts a tag on a revision, which is then kept for ever")
        .access(Access::Tenant(Verb::StateWrite))
        .serves(&["Checkpoints::tag"])
        .takes::<wire::SetTag>()
        .answers::<wire::Tagged>(200, "Where it is")
        .fails(OF_CHANGE)
        .fails(&["revision_not_found", "state_full"])
        .with_operation(),
        Route::new(
            Method::DELETE,
            "/v1/sessions/{session}/state/tags/{tag}",
            "delete_tag",
            |call| Box::pin(untag(call)),
        )
        .about(TAG, "Removes a tag")
        .access(Access::Tenant(Verb::StateWrite))
        .serves(&["Checkpoints::untag"])
        .answers::<wire::Untagged>(200, "Whether there was one")
        .fails(OF_CHANGE)
        .with_operation(),
    ]
}

impl Of {
    /// Refuses a change of a session that has ended, unless it was made before
    /// under its operation id and is answered as it was.
    pub(super) async fn check_open(&self, call: &Call) -> Result<(), Refused> {
        match ended(self.status, self.expires_at) {
            Some(refused) if !self.was_done(call).await? => Err(refused),
            _ => Ok(()),
        }
    }

    /// Whether a change was made under this operation id: a commit under the
    /// same id that no head can agree with changes nothing, and conflicts with
    /// what the id was used for.
    async fn was_done(&self, call: &Call) -> Result<bool, Refused> {
        let Some(turn) = call.operation.clone() else {
            return Ok(false);
        };
        let probe = Changes::at(u64::MAX).turn(turn);
        let probed = states(call)
            .commit(&self.caller, &self.session, probe)
            .await;
        Ok(matches!(probed, Err(CheckpointError::TurnConflict)))
    }

    pub(super) fn path(&self) -> String {
        format!("/v1/sessions/{}/state", self.session)
    }

    /// What a commit came to.
    fn committed(&self, done: &Committed) -> Reply {
        Reply::json(done)
            .status(StatusCode::CREATED)
            .tag(done.revision)
            .location(format!("{}/commits/{}", self.path(), done.revision))
    }
}

/// The revision that is expected, said in the body or by a header.
fn expected(call: &Call, said: Option<u64>) -> Result<Expected, Refused> {
    let by_header = match call.precondition {
        Precondition::None => None,
        Precondition::Version(revision) => Some(revision),
        Precondition::Absent => Some(0),
    };
    match (by_header, said) {
        (Some(header), Some(body)) if header != body => {
            let detail = "`expected` is another revision than the precondition's";
            Err(invalid("expected", detail))
        }
        (Some(revision), _) | (None, Some(revision)) => Ok(Expected::Revision(revision)),
        (None, None) => Ok(Expected::Any),
    }
}

/// The answer of a change that was made for a revision: one that was expected
/// by a header is a precondition, which fails as such.
fn settled(call: &Call, done: Result<Committed, CheckpointError>) -> Result<Committed, Refused> {
    done.map_err(|error| {
        let was_precondition = call.precondition != Precondition::None;
        let is_conflict = matches!(error, CheckpointError::HeadRevisionConflict { .. });
        let refused = Refused::from(error);
        match was_precondition && is_conflict {
            true => Box::new(refused.under(PRECONDITION_FAILED)),
            false => refused,
        }
    })
}

async fn commit(call: Call) -> Result<Reply, Refused> {
    let asked: wire::CommitState = call.json()?;
    let expected = expected(&call, asked.expected)?;
    let changes = changes(asked, expected, call.operation.clone())?;
    let of = of(&call).await?;
    of.check_open(&call).await?;
    let done = states(&call).commit(&of.caller, &of.session, changes).await;
    Ok(of.committed(&settled(&call, done)?))
}

async fn roll_back(call: Call) -> Result<Reply, Refused> {
    let asked: wire::RollBack = call.json()?;
    let expected = expected(&call, asked.expected)?;
    let of = of(&call).await?;
    of.check_open(&call).await?;
    let operation = call.operation.as_ref();
    let done = states(&call)
        .rollback(&of.caller, &of.session, asked.to, expected, operation)
        .await;
    Ok(of.committed(&settled(&call, done)?))
}

async fn fork(call: Call) -> Result<Reply, Refused> {
    let asked: wire::ForkState = call.json()?;
    let to = parse_id("to", &asked.to)?;
    let from = of(&call).await?;
    // The one is read, the other written.
    let to = within_reach(&call, to).await?;
    to.check_open(&call).await?;
    let operation = call.operation.as_ref();
    let (caller, revision) = (&from.caller, asked.revision);
    let done = states(&call)
        .fork(caller, &from.session, revision, &to.session, operation)
        .await?;
    Ok(to.committed(&done).location(to.path()))
}

fn tag_name(call: &Call) -> Result<TagName, Refused> {
    Ok(call.text("tag").parse()?)
}

async fn tag(call: Call) -> Result<Reply, Refused> {
    let name = tag_name(&call)?;
    let asked: wire::SetTag = call.json()?;
    let of = of(&call).await?;
    of.check_open(&call).await?;
    let operation = call.operation.as_ref();
    states(&call)
        .tag(&of.caller, &of.session, &name, asked.revision, operation)
        .await?;
    Ok(Reply::json(&wire::Tagged {
        name: name.to_string(),
        revision: asked.revision,
    }))
}

async fn untag(call: Call) -> Result<Reply, Refused> {
    let name = tag_name(&call)?;
    let of = of(&call).await?;
    of.check_open(&call).await?;
    let operation = call.operation.as_ref();
    let untagged = states(&call)
        .untag(&of.caller, &of.session, &name, operation)
        .await?;
    Ok(Reply::json(&wire::Untagged { untagged }))
}

async fn remove(call: Call) -> Result<Reply, Refused> {
    let of = of(&call).await?;
    let removal = states(&call).remove(&of.caller.tenant, &of.session).await?;
    Ok(Reply::json(&wire::Removed {
        removal: match removal {
            Removal::Absent => wire::Removal::Absent,
            Removal::Removed => wire::Removal::Removed,
            Removal::KeptForForks => wire::Removal::KeptForForks,
        },
    }))
}
