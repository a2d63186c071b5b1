//! `windlass session delegate` and `windlass session tree`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use windlass::session::{Agent, Delegate, Funding};
use windlass_client::page::{LIMIT_MAX, PageQuery};
use windlass_client::session::TreePage;

use super::arguments::{OneSession, Retry, id};
use super::create::{Described, specified};
use super::show;
use crate::context::Context;
use crate::engine::{Cap, Engine};
use crate::failure::Failure;

#[derive(Args, Debug)]
pub(crate) struct DelegateArgs {
    /// The session that delegates, which becomes the parent
    #[arg(value_name = "PARENT")]
    parent: String,
    #[command(flatten)]
    by: DelegatingAgent,
    /// Let it spend the parent's budget, call by call, instead of one set
    /// aside for it
    #[arg(long)]
    shared: bool,
    /// Let it last as long as the parent, whatever its time limit says
    #[arg(long, conflicts_with = "time_limit_ms")]
    ends_with_parent: bool,
    /// Read the session from a JSON file, or from standard input for `-`,
    /// instead of from the flags below
    #[arg(long, value_name = "FILE", conflicts_with = "Described")]
    spec: Option<PathBuf>,
    #[command(flatten)]
    described: Described,
    /// Most active sessions the agent may have with this one, instead of the
    /// configured number
    #[arg(long, value_name = "N", help_heading = "Limits of the agent")]
    cap: Option<u64>,
    /// Create it however many active sessions the agent has
    #[arg(long, conflicts_with = "cap", help_heading = "Limits of the agent")]
    uncapped: bool,
    #[command(flatten)]
    retry: Retry,
}

/// On whose behalf the parent delegates.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct DelegatingAgent {
    /// The agent of the parent; refused if it is another's
    #[arg(long, value_name = "ID")]
    by: Option<String>,
    /// Delegate whichever agent the parent belongs to
    #[arg(long)]
    by_any_agent: bool,
}

#[derive(Args, Debug)]
pub(crate) struct TreeArgs {
    #[command(flatten)]
    session: OneSession,
    /// At most so many: 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 100, conflicts_with = "all")]
    limit: u64,
    /// Go on where an earlier page ended
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
    /// All there are, however many
    #[arg(long)]
    all: bool,
}

/// Creates a session within another one and shows it.
pub(crate) async fn delegate(args: DelegateArgs, context: &Context) -> Result<(), Failure> {
    let parent = id(&args.parent)?;
    let by = match &args.by.by {
        Some(agent) => Agent::Is(id(agent)?),
        None => Agent::Unchecked,
    };
    let mut child = specified(args.spec, args.described).await?;
    child.operation = args.retry.operation()?;
    let mut request = Delegate::new(by, child);
    request.ends_with_parent = args.ends_with_parent;
    if args.shared {
        request.funding = Funding::Shared;
    }
    let cap = if args.uncapped {
        Cap::None
    } else {
        Cap::AtMost(args.cap)
    };
    let session = context
        .with_engine(async |engine| engine.delegate(&parent, request, cap).await)
        .await?;
    context
        .output()
        .answer(&session, || show::session(&session))
}

/// Shows a session and what hangs below it, each before its children.
pub(crate) async fn tree(args: TreeArgs, context: &Context) -> Result<(), Failure> {
    let output = context.output();
    let page = context
        .with_engine(async |engine| read(engine, &args).await)
        .await?;
    if output.json() {
        page.nodes.iter().try_for_each(|node| output.object(node))?;
    } else {
        output.text(&show::tree(&page.nodes))?;
    }
    for unreadable in &page.unreadable {
        let text = format!(
            "session `{}` cannot be read: {}",
            unreadable.id, unreadable.why
        );
        output.note(&json!({ "unreadable": unreadable }), &text);
    }
    if let Some(next) = &page.next_cursor {
        let text = format!("there are more; go on with `--after {next}`");
        output.note(&json!({ "next": next }), &text);
    }
    Ok(())
}

/// One page, or all of them as one.
async fn read(engine: &dyn Engine, args: &TreeArgs) -> Result<TreePage, Failure> {
    let root = args.session.id()?;
    let mut query = PageQuery {
        limit: Some(if args.all { LIMIT_MAX } else { args.limit }),
        cursor: args.after.clone(),
    };
    let mut all = TreePage::default();
    loop {
        let mut page = engine.tree(&root, &query).await?;
        all.nodes.append(&mut page.nodes);
        all.unreadable.append(&mut page.unreadable);
        all.next_cursor = page.next_cursor;
        if !args.all || all.next_cursor.is_none() {
            return Ok(all);
        }
        query.cursor.clone_from(&all.next_cursor);
    }
}
