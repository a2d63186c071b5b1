//! The commands that show sessions and change nothing.

use clap::Args;
use serde_json::json;
use windlass::Windlass;
use windlass::core::Millis;
use windlass::session::limits::LIST_MAX;
use windlass::session::{Event, ListQuery, Session, SessionError, SessionPage, Status};

use super::arguments::{OneSession, id, status};
use super::show;
use crate::context::Context;
use crate::failure::Failure;

#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// Only those of this agent
    #[arg(long, value_name = "ID")]
    agent: Option<String>,
    /// Only those in this state
    #[arg(long, value_name = "STATUS", value_parser = status())]
    status: Option<Status>,
    /// Only those created at this time or later, in Unix milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    created_from: u64,
    /// Only those created before this time, in Unix milliseconds
    #[arg(long, value_name = "MS", default_value_t = u64::MAX, hide_default_value = true)]
    created_until: u64,
    /// Oldest first instead of newest first
    #[arg(long)]
    oldest_first: bool,
    /// At most so many: 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 100, conflicts_with = "all")]
    limit: usize,
    /// Go on where an earlier listing ended
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
    /// All there are, however many
    #[arg(long)]
    all: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    session: OneSession,
}

#[derive(Args, Debug)]
pub(crate) struct HistoryArgs {
    #[command(flatten)]
    session: OneSession,
    /// Only events after this number
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    after: u64,
    /// At most so many: 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 100, conflicts_with = "all")]
    limit: usize,
    /// All there are, however many
    #[arg(long)]
    all: bool,
}

#[derive(Args, Debug)]
pub(crate) struct CountArgs {
    /// The agent
    #[arg(value_name = "AGENT")]
    agent: String,
}

impl ListArgs {
    fn query(&self) -> Result<ListQuery, Failure> {
        Ok(ListQuery {
            agent: self.agent.as_deref().map(id).transpose()?,
            status: self.status,
            created_from: Millis::new(self.created_from),
            created_until: Millis::new(self.created_until),
            newest_first: !self.oldest_first,
            limit: if self.all { LIST_MAX } else { self.limit },
            after: self.after.as_deref().map(str::parse).transpose()?,
        })
    }
}

/// Lists sessions. Each is shown as it was when its page was read.
pub(crate) async fn list(args: ListArgs, context: &Context) -> Result<(), Failure> {
    let mut query = args.query()?;
    let sessions = context
        .with_engine(async |windlass| {
            let mut shown = Vec::new();
            loop {
                let page = windlass.sessions().list(context.caller(), &query).await?;
                tell(&page, args.all, context);
                let next = page.next.clone();
                shown.append(&mut stream(page, context)?);
                match next {
                    Some(next) if args.all => query.after = Some(next),
                    _ => return Ok(shown),
                }
            }
        })
        .await?;
    if context.output().json() {
        return Ok(());
    }
    context.output().text(&show::sessions(&sessions))
}

/// Gives a page out at once as JSON; a table needs all of its rows first.
fn stream(page: SessionPage, context: &Context) -> Result<Vec<Session>, Failure> {
    if !context.output().json() {
        return Ok(page.sessions);
    }
    page.sessions
        .iter()
        .try_for_each(|session| context.output().object(session))?;
    Ok(Vec::new())
}

/// Says what is not among the rows: where to go on, and what cannot be read.
fn tell(page: &SessionPage, all: bool, context: &Context) {
    let output = context.output();
    for unreadable in &page.unreadable {
        let text = format!(
            "session `{}` cannot be read: {}",
            unreadable.id, unreadable.why
        );
        output.note(&json!({ "unreadable": unreadable }), &text);
    }
    if let Some(next) = page.next.as_ref().filter(|_| !all) {
        let next = next.to_string();
        output.note(
            &json!({ "next": next }),
            &format!("there are more; go on with `--after {next}`"),
        );
    }
}

/// Shows one session.
pub(crate) async fn show(args: &ShowArgs, context: &Context) -> Result<(), Failure> {
    let id = args.session.id()?;
    let session = context
        .with_engine(async |windlass| {
            let found = windlass.sessions().get(context.caller(), &id).await?;
            Ok(found.ok_or(SessionError::NotFound)?)
        })
        .await?;
    context
        .output()
        .answer(&session, || show::session(&session))
}

/// Shows what happened in a session.
pub(crate) async fn history(args: &HistoryArgs, context: &Context) -> Result<(), Failure> {
    let output = context.output();
    let (events, more) = context
        .with_engine(async |windlass| events(windlass, args, context).await)
        .await?;
    if let Some(last) = events.last().filter(|_| more) {
        let next = last.number;
        output.note(
            &json!({ "next": next }),
            &format!("there are more; go on with `--after {next}`"),
        );
    }
    if output.json() {
        return events.iter().try_for_each(|event| output.object(event));
    }
    output.text(&show::events(&events))
}

async fn events(
    windlass: &Windlass,
    args: &HistoryArgs,
    context: &Context,
) -> Result<(Vec<Event>, bool), Failure> {
    let id = args.session.id()?;
    let limit = if args.all { LIST_MAX } else { args.limit };
    let (mut events, mut after) = (Vec::new(), args.after);
    loop {
        let page = windlass
            .sessions()
            .history(context.caller(), &id, after, limit)
            .await?;
        let mut page = page.ok_or(SessionError::NotFound)?;
        events.append(&mut page.events);
        match events.last() {
            Some(last) if args.all && page.more => after = last.number,
            _ => return Ok((events, page.more)),
        }
    }
}

/// Counts an agent's active sessions.
pub(crate) async fn count(args: &CountArgs, context: &Context) -> Result<(), Failure> {
    let agent = id(&args.agent)?;
    let active = context
        .with_engine(async |windlass| {
            Ok(windlass
                .sessions()
                .count_active(context.caller(), &agent)
                .await?)
        })
        .await?;
    context
        .output()
        .answer(&json!({ "active": active }), || active.to_string())
}
