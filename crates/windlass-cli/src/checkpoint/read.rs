//! The commands that show a state and its history, and change nothing.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};

use clap::Args;
use serde::Serialize;
use serde_json::json;
use windlass::checkpoint::{At, PartName};
use windlass::core::SessionId;
use windlass_client::PartContent;
use windlass_client::page::LIMIT_MAX;
use windlass_client::state::{Difference, Form, LogEntry, LogPage, LogQuery, Part};

use super::arguments::{OneState, at};
use super::compare::{self, Change};
use super::draw::{self, Marks};
use super::show;
use crate::context::Context;
use crate::engine::States;
use crate::failure::{CommandError, Failure};
use crate::table::plain;

#[derive(Args, Debug)]
pub(crate) struct LogArgs {
    #[command(flatten)]
    state: OneState,
    /// At most so many: 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 100, conflicts_with = "all")]
    limit: u64,
    /// Only commits before this revision
    #[arg(long, value_name = "REVISION")]
    before: Option<u64>,
    /// All there are, however many
    #[arg(long)]
    all: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    state: OneState,
    /// Which state: `head`, a revision, or `tag:NAME`
    #[arg(value_name = "AT", default_value = "head")]
    at: String,
}

#[derive(Args, Debug)]
pub(crate) struct DiffArgs {
    #[command(flatten)]
    state: OneState,
    /// The earlier state: a revision, or `tag:NAME`
    #[arg(value_name = "FROM")]
    from: String,
    /// The later one
    #[arg(value_name = "TO", default_value = "head")]
    to: String,
}

#[derive(Args, Debug)]
pub(crate) struct PathArgs {
    #[command(flatten)]
    state: OneState,
    /// Which state: `head`, a revision, or `tag:NAME`
    #[arg(long, value_name = "AT", default_value = "head")]
    at: String,
    /// Begin at this node instead of at the leaf
    #[arg(long, value_name = "NODE")]
    leaf: Option<u64>,
    /// At most so many, those nearest to the leaf: 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u64,
}

#[derive(Args, Debug)]
pub(crate) struct GetArgs {
    #[command(flatten)]
    state: OneState,
    /// The part
    #[arg(value_name = "PART")]
    part: String,
    /// Of which state: `head`, a revision, or `tag:NAME`
    #[arg(long, value_name = "AT", default_value = "head")]
    at: String,
}

/// A commit with what hangs on it.
#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    commit: &'a LogEntry,
    tags: &'a [String],
    forks: &'a [String],
}

/// Lists commits, as a drawing or as one object a line.
pub(crate) async fn log(args: &LogArgs, context: &Context) -> Result<(), Failure> {
    let session = args.state.id()?;
    let (log, marks) = context
        .with_states(async |states| {
            let log = commits(states, &session, args).await?;
            Ok((log, marks(states, &session).await?))
        })
        .await?;
    let output = context.output();
    if output.json() {
        log.commits.iter().try_for_each(|commit| {
            let (tags, forks) = marks.of(commit.revision);
            output.object(&Row {
                commit,
                tags,
                forks,
            })
        })?;
    } else {
        output.text(&draw::log(&log, &marks))?;
    }
    if let Some(next) = log.before {
        let text = format!("there are more; go on with `--before {next}`");
        output.note(&json!({ "next": next }), &text);
    }
    Ok(())
}

async fn commits(
    states: &dyn States,
    session: &SessionId,
    args: &LogArgs,
) -> Result<LogPage, Failure> {
    let mut query = LogQuery {
        before: args.before,
        limit: Some(if args.all { LIMIT_MAX } else { args.limit }),
    };
    let mut all = LogPage::default();
    loop {
        let mut page = states.log(session, &query).await?;
        all.commits.append(&mut page.commits);
        all.before = page.before;
        if !args.all || all.before.is_none() {
            return Ok(all);
        }
        query.before = all.before;
    }
}

async fn marks(states: &dyn States, session: &SessionId) -> Result<Marks, Failure> {
    let mut marks = Marks::default();
    for tag in states.tags(session).await? {
        marks.add_tag(tag.revision, tag.name);
    }
    let mut after: Option<String> = None;
    loop {
        let page = states.forks(session, after.as_deref()).await?;
        for fork in page.forks {
            marks.add_fork(fork.revision, fork.session);
        }
        after = page.after;
        if after.is_none() {
            return Ok(marks);
        }
    }
}

/// Shows a state.
pub(crate) async fn show(args: &ShowArgs, context: &Context) -> Result<(), Failure> {
    let (session, at) = (args.state.id()?, at(&args.at)?);
    let snapshot = context
        .with_states(async |states| states.snapshot(&session, &at).await)
        .await?;
    context
        .output()
        .answer(&snapshot, || show::snapshot(&snapshot))
}

/// A part that differs, and how.
#[derive(Serialize)]
struct Apart<'a> {
    before: &'a Option<Part>,
    after: &'a Option<Part>,
    /// None where that was not looked at.
    changes: Option<&'a [Change]>,
}

/// Shows what differs between two states.
pub(crate) async fn diff(args: &DiffArgs, context: &Context) -> Result<(), Failure> {
    let session = args.state.id()?;
    let (from, to) = (at(&args.from)?, at(&args.to)?);
    let (found, changes) = context
        .with_states(async |states| {
            let found = states.diff(&session, &from, &to).await?;
            let changes = changes(states, &session, &found).await?;
            Ok((found, changes))
        })
        .await?;
    let parts = found.parts.iter().map(|(name, apart)| {
        let changes = changes.get(name).map(Vec::as_slice);
        let (before, after) = (&apart.before, &apart.after);
        (
            name,
            Apart {
                before,
                after,
                changes,
            },
        )
    });
    let object = json!({
        "from": found.from,
        "to": found.to,
        "parts": parts.collect::<BTreeMap<_, _>>(),
        "left": found.left,
        "entered": found.entered,
        "truncated": found.truncated,
    });
    context
        .output()
        .answer(&object, || show::difference(&found, &changes))
}

/// What differs within parts that are JSON on both sides and small enough to
/// be read for it.
async fn changes(
    states: &dyn States,
    session: &SessionId,
    found: &Difference,
) -> Result<BTreeMap<String, Vec<Change>>, Failure> {
    let mut changes = BTreeMap::new();
    for (name, apart) in &found.parts {
        let (Some(before), Some(after)) = (&apart.before, &apart.after) else {
            continue;
        };
        let is_read = |part: &Part| part.form == Form::Json && part.size <= compare::BYTES_MAX;
        if before.blob == after.blob || !is_read(before) || !is_read(after) {
            continue;
        }
        let part: PartName = name.parse()?;
        let before = At::Revision(found.from.revision);
        let after = At::Revision(found.to.revision);
        let before = states.part(session, &before, &part).await?;
        let after = states.part(session, &after, &part).await?;
        if let Some(apart) = compare::texts(&before.bytes, &after.bytes) {
            changes.insert(name.clone(), apart);
        }
    }
    Ok(changes)
}

/// Prints nodes, as a table or as one object a line.
pub(crate) async fn path(args: &PathArgs, context: &Context) -> Result<(), Failure> {
    let (session, at) = (args.state.id()?, at(&args.at)?);
    let path = context
        .with_states(async |states| states.nodes_to(&session, &at, args.leaf, args.limit).await)
        .await?;
    let output = context.output();
    if output.json() {
        path.nodes.iter().try_for_each(|node| output.object(node))?;
    } else {
        output.text(&show::nodes(&path.nodes))?;
    }
    if let Some(above) = path.above {
        let text = format!("there are more; go on with `--leaf {above}`");
        output.note(&json!({ "next": above }), &text);
    }
    Ok(())
}

/// Prints a part: as it is, or as an object.
pub(crate) async fn get(args: &GetArgs, context: &Context) -> Result<(), Failure> {
    let (session, at) = (args.state.id()?, at(&args.at)?);
    let name: PartName = args.part.parse()?;
    let content = context
        .with_states(async |states| states.part(&session, &at, &name).await)
        .await?;
    let output = context.output();
    if output.json() {
        return output.object(&show::content(&name, &content));
    }
    print(&content, context)
}

/// What goes into a file or another program is the content, byte for byte,
/// and a line break after JSON. A terminal is shown nothing that could move
/// its cursor.
fn print(content: &PartContent, context: &Context) -> Result<(), Failure> {
    let output = context.output();
    let is_terminal = io::stdout().is_terminal();
    match content.form {
        Form::Bytes if is_terminal => Err(CommandError::Terminal.into()),
        Form::Bytes => output.bytes(&content.bytes),
        Form::Json if is_terminal => {
            let text = String::from_utf8_lossy(&content.bytes);
            let lines: Vec<String> = text.lines().map(plain).collect();
            output.text(&lines.join("\n"))
        }
        Form::Json => {
            output.bytes(&content.bytes)?;
            output.bytes(b"\n")
        }
    }
}
