//! Reading a state and its history.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;
use windlass::access::Verb;
use windlass::checkpoint::{LogEntry, Node, Part, PartName, Payload};
use windlass::core::SessionId;
use windlass_client::state as wire;

use super::{TAG, absent, at, invalid, limit, of, states};
use crate::call::{Call, Reply, parse_id, tag_text};
use crate::problem::Refused;
use crate::route::{Access, Preconditions, Route};

pub(super) fn routes() -> Vec<Route> {
    let mut routes = states_and_history();
    routes.extend(nodes());
    routes
}

fn reading(route: Route, summary: &'static str) -> Route {
    route
        .about(TAG, summary)
        .access(Access::Tenant(Verb::StateRead))
        .fails(&["invalid_request"])
}

fn states_and_history() -> Vec<Route> {
    let head = Route::get("/v1/sessions/{session}/state", "get_state", |call| {
        Box::pin(head(call))
    });
    let log = Route::get(
        "/v1/sessions/{session}/state/commits",
        "list_commits",
        |call| Box::pin(log(call)),
    );
    let show = Route::get(
        "/v1/sessions/{session}/state/commits/{revision}",
        "get_commit",
        |call| Box::pin(show(call)),
    );
    let diff = Route::get("/v1/sessions/{session}/state/diff", "diff_state", |call| {
        Box::pin(diff(call))
    });
    let tags = Route::get("/v1/sessions/{session}/state/tags", "list_tags", |call| {
        Box::pin(tags(call))
    });
    let forks = Route::get("/v1/sessions/{session}/state/forks", "list_forks", |call| {
        Box::pin(forks(call))
    });
    vec![
        reading(head, "Shows the head of a state")
            .serves(&["Checkpoints::head"])
            .answers::<wire::Head>(200, "The head")
            .tagged()
            .sends(304, None, "The head has the revision that is known already")
            .tagged()
            .honours(Preconditions {
                if_changed: true,
                ..Preconditions::default()
            }),
        reading(
            log,
            "Lists commits, newest first, those before a fork included",
        )
        .serves(&["Checkpoints::log"])
        .query::<wire::LogQuery>()
        .answers::<wire::LogPage>(200, "Some of them"),
        reading(
            show,
            "Shows a state as it was at a revision, without its contents",
        )
        .serves(&["Checkpoints::show"])
        .answers::<wire::Snapshot>(200, "Its commit and its parts"),
        reading(diff, "Shows what differs between two states")
            .serves(&["Checkpoints::diff"])
            .query::<wire::DiffQuery>()
            .answers::<wire::Difference>(200, "What differs"),
        reading(tags, "Lists the tags of a session, by name")
            .serves(&["Checkpoints::tags"])
            .answers::<wire::Tags>(200, "All of them"),
        reading(forks, "Lists the sessions that were forked from this one")
            .serves(&["Checkpoints::forks"])
            .query::<wire::ForksQuery>()
            .answers::<wire::ForkPage>(200, "Some of them, as far as the caller can reach them"),
    ]
}

fn nodes() -> Vec<Route> {
    let path = Route::get("/v1/sessions/{session}/state/path", "get_path", |call| {
        Box::pin(path(call))
    });
    let graph = Route::get("/v1/sessions/{session}/state/nodes", "list_nodes", |call| {
        Box::pin(graph(call))
    });
    let node = Route::get(
        "/v1/sessions/{session}/state/nodes/{number}",
        "get_node",
        |call| Box::pin(one_node(call)),
    );
    vec![
        reading(
            path,
            "Shows the nodes from a leaf upwards, the oldest first",
        )
        .serves(&["Checkpoints::path"])
        .query::<wire::PathQuery>()
        .answers::<wire::Path>(200, "Some of them")
        .fails(&["node_not_found"]),
        reading(graph, "Lists nodes in the order they were appended")
            .serves(&["Checkpoints::graph"])
            .query::<wire::GraphQuery>()
            .answers::<wire::GraphPage>(200, "Some of them"),
        reading(node, "Shows one node")
            .serves(&["Checkpoints::node"])
            .answers::<wire::Node>(200, "The node"),
    ]
}

async fn head(call: Call) -> Result<Reply, Refused> {
    let of = of(&call).await?;
    let head = states(&call).head(&of.caller, &of.session).await?;
    let head = head.ok_or_else(absent)?;
    if call.known.as_deref() == Some(tag_text(head.revision).as_str()) {
        return Ok(Reply::not_modified(head.revision));
    }
    Ok(Reply::json(&head).tag(head.revision))
}

async fn log(call: Call) -> Result<Reply, Refused> {
    let asked: wire::LogQuery = call.query()?;
    let limit = limit(asked.limit)?;
    let of = of(&call).await?;
    let log = states(&call).log(&of.caller, &of.session, asked.before, limit);
    Ok(Reply::json(&log.await?.ok_or_else(absent)?))
}

async fn show(call: Call) -> Result<Reply, Refused> {
    let at = at("revision", Some(call.text("revision")))?;
    let of = of(&call).await?;
    let shown = states(&call).show(&of.caller, &of.session, &at).await?;
    Ok(Reply::json(&shown.ok_or_else(absent)?))
}

/// A difference, as it is written.
#[derive(Serialize)]
struct Difference<'a> {
    from: &'a LogEntry,
    to: &'a LogEntry,
    parts: BTreeMap<&'a PartName, PartDifference<'a>>,
    left: Vec<wire::Node>,
    entered: Vec<wire::Node>,
    truncated: bool,
}

#[derive(Serialize)]
struct PartDifference<'a> {
    before: Option<&'a Part>,
    after: Option<&'a Part>,
}

async fn diff(call: Call) -> Result<Reply, Refused> {
    let asked: wire::DiffQuery = call.query()?;
    let from = at("from", Some(&asked.from))?;
    let to = at("to", asked.to.as_deref())?;
    let of = of(&call).await?;
    let found = states(&call).diff(&of.caller, &of.session, &from, &to);
    let found = found.await?.ok_or_else(absent)?;
    let apart = found.parts.iter().map(|(name, (before, after))| {
        let (before, after) = (before.as_ref(), after.as_ref());
        (name, PartDifference { before, after })
    });
    Ok(Reply::json(&Difference {
        parts: apart.collect(),
        left: found.left.into_iter().map(shown).collect(),
        entered: found.entered.into_iter().map(shown).collect(),
        from: &found.from,
        to: &found.to,
        truncated: found.truncated,
    }))
}

async fn tags(call: Call) -> Result<Reply, Refused> {
    let of = of(&call).await?;
    let tags = states(&call).tags(&of.caller, &of.session).await?;
    Ok(Reply::json(&json!({ "tags": tags })))
}

/// A fork out of the caller's reach is not named.
async fn forks(call: Call) -> Result<Reply, Refused> {
    let asked: wire::ForksQuery = call.query()?;
    let limit = limit(asked.limit)?;
    let after = asked.after.as_deref();
    let after: Option<SessionId> = after.map(|after| parse_id("after", after)).transpose()?;
    let of = of(&call).await?;
    let page = states(&call).forks(&of.caller, &of.session, after.as_ref(), limit);
    let page = page.await?;
    let caller = call.caller()?;
    let mut forks = Vec::with_capacity(page.forks.len());
    for fork in page.forks {
        let session = call.app.engine.sessions().get(&caller, &fork.session);
        if session.await?.is_some() {
            forks.push(fork);
        }
    }
    Ok(Reply::json(&json!({ "forks": forks, "after": page.after })))
}

async fn path(call: Call) -> Result<Reply, Refused> {
    let asked: wire::PathQuery = call.query()?;
    let at = at("at", asked.at.as_deref())?;
    let limit = limit(asked.limit)?;
    let of = of(&call).await?;
    let path = states(&call).path(&of.caller, &of.session, &at, asked.leaf, limit);
    let path = path.await?.ok_or_else(absent)?;
    Ok(Reply::json(&wire::Path {
        revision: path.revision,
        nodes: path.nodes.into_iter().map(shown).collect(),
        above: path.above,
    }))
}

async fn graph(call: Call) -> Result<Reply, Refused> {
    let asked: wire::GraphQuery = call.query()?;
    let at = at("at", asked.at.as_deref())?;
    let (after, limit) = (asked.after.unwrap_or(0), limit(asked.limit)?);
    let of = of(&call).await?;
    let page = states(&call).graph(&of.caller, &of.session, &at, after, limit);
    let page = page.await?.ok_or_else(absent)?;
    Ok(Reply::json(&wire::GraphPage {
        nodes: page.nodes.into_iter().map(shown).collect(),
        after: page.after,
    }))
}

async fn one_node(call: Call) -> Result<Reply, Refused> {
    let number = call.text("number").parse();
    let number = number.map_err(|_| invalid("number", "`number` is the number of a node"))?;
    let of = of(&call).await?;
    let node = states(&call).node(&of.caller, &of.session, number).await?;
    Ok(Reply::json(&shown(node.ok_or_else(absent)?)))
}

/// A node as it is written.
fn shown(node: Node) -> wire::Node {
    let (json, bytes) = match node.payload {
        None => (None, None),
        Some(payload) => content(payload),
    };
    wire::Node {
        number: node.number,
        parent: node.parent,
        revision: node.revision,
        kind: node.kind.to_string(),
        json,
        bytes,
    }
}

/// A content as JSON if it is, and as bytes if it is not, whatever was said of
/// it when it was stored.
fn content(payload: Payload) -> (Option<Box<RawValue>>, Option<wire::Base64>) {
    let as_bytes = |bytes: &[u8]| (None, Some(wire::Base64(bytes.to_vec())));
    match payload {
        Payload::Bytes(bytes) => as_bytes(&bytes),
        Payload::Json(text) => match serde_json::from_slice(&text) {
            Ok(json) => (Some(json), None),
            Err(_) => as_bytes(&text),
        },
    }
}
