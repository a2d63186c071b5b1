//! The commands that change a state or its history.

use std::sync::Arc;

use clap::Args;
use serde_json::json;
use serde_json::value::RawValue;
use windlass::checkpoint::limits::PIECES_BYTES_MAX;
use windlass::checkpoint::{
    Changes, Expected, Label, NewNode, Parent, PartChange, PartName, Payload, TagName,
};
use windlass_client::state::{Committed, RollBack};

use super::arguments::{OneState, at, revision};
use super::show;
use crate::context::Context;
use crate::engine::number;
use crate::failure::{CommandError, Failure};
use crate::input;
use crate::session::arguments::{Retry, id};

#[derive(Args, Debug)]
pub(crate) struct PutArgs {
    #[command(flatten)]
    state: OneState,
    /// The part that gets another content
    #[arg(value_name = "PART", requires = "value")]
    part: Option<String>,
    /// Its content as JSON: `@FILE` for what a file has, `-` for standard input
    #[arg(value_name = "VALUE", allow_negative_numbers = true)]
    value: Option<String>,
    /// Take the value as it is instead of as JSON
    #[arg(long, requires = "part")]
    bytes: bool,
    /// What the part is, such as a media type
    #[arg(long, value_name = "TEXT", requires = "part")]
    kind: Option<String>,
    /// Take a part away; can be repeated
    #[arg(long, value_name = "PART")]
    remove: Vec<String>,
    /// Append a node below the leaf, such as `message={"role":"user"}`; can be
    /// repeated
    #[arg(long, value_name = "KIND=JSON")]
    append: Vec<String>,
    /// Only if the head is at this revision; 0 before the first commit
    #[arg(long, value_name = "REVISION")]
    expected: Option<u64>,
    /// A word for whoever reads the log
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    #[command(flatten)]
    retry: Retry,
}

#[derive(Args, Debug)]
pub(crate) struct ForkArgs {
    #[command(flatten)]
    state: OneState,
    /// The session whose state begins there; it has none yet
    #[arg(value_name = "TO")]
    to: String,
    /// Begin at `head`, a revision, or `tag:NAME`
    #[arg(long, value_name = "AT", default_value = "head")]
    at: String,
    #[command(flatten)]
    retry: Retry,
}

#[derive(Args, Debug)]
pub(crate) struct TagArgs {
    #[command(flatten)]
    state: OneState,
    /// The tag
    #[arg(value_name = "NAME")]
    name: String,
    /// Where to put it: `head`, a revision, or `tag:NAME`
    #[arg(value_name = "AT", default_value = "head")]
    at: String,
    #[command(flatten)]
    retry: Retry,
}

#[derive(Args, Debug)]
pub(crate) struct UntagArgs {
    #[command(flatten)]
    state: OneState,
    /// The tag
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    retry: Retry,
}

#[derive(Args, Debug)]
pub(crate) struct RollBackArgs {
    #[command(flatten)]
    state: OneState,
    /// The earlier state: a revision, or `tag:NAME`
    #[arg(value_name = "AT")]
    at: String,
    /// Only if the head is at this revision
    #[arg(long, value_name = "REVISION")]
    expected: Option<u64>,
    #[command(flatten)]
    retry: Retry,
}

impl PutArgs {
    async fn changes(&self) -> Result<Changes, Failure> {
        let mut changes = Changes {
            expected: self.expected.map_or(Expected::Any, Expected::Revision),
            note: self.note.as_deref().map(Arc::from),
            turn: self.retry.operation()?,
            ..Changes::default()
        };
        if let (Some(part), Some(value)) = (&self.part, &self.value) {
            let label = Label {
                kind: self.kind.as_deref().map(Arc::from),
                ..Label::default()
            };
            let put = PartChange::Put(self.payload(value).await?, label);
            changes.parts.insert(part.parse()?, put);
        }
        for part in &self.remove {
            let name: PartName = part.parse()?;
            changes.parts.insert(name, PartChange::Remove);
        }
        for node in &self.append {
            changes.nodes.push(node_of(node)?);
        }
        Ok(changes)
    }

    async fn payload(&self, value: &str) -> Result<Payload, Failure> {
        let source = match value {
            "-" => Some("-"),
            value => value.strip_prefix('@'),
        };
        let bytes = match source {
            Some(source) => input::bytes(source.into(), number(PIECES_BYTES_MAX)).await?,
            None => value.as_bytes().to_vec(),
        };
        if self.bytes {
            return Ok(Payload::Bytes(bytes.into()));
        }
        let meant = CommandError::Word {
            word: "VALUE",
            meant: "the text of one JSON value; take it as it is with `--bytes`",
        };
        json_of(&bytes, meant)
    }
}

/// The text of a JSON value, without what is around it.
fn json_of(text: &[u8], meant: CommandError) -> Result<Payload, Failure> {
    let value: Box<RawValue> = serde_json::from_slice(text).map_err(|_| meant)?;
    let text: Box<str> = value.into();
    Ok(Payload::Json(String::from(text).into_bytes().into()))
}

fn node_of(word: &str) -> Result<NewNode, Failure> {
    let meant = || CommandError::Word {
        word: "--append",
        meant: "a kind, `=` and a JSON value",
    };
    let (kind, value) = word.split_once('=').ok_or_else(meant)?;
    Ok(NewNode {
        parent: Parent::Leaf,
        kind: kind.into(),
        payload: json_of(value.as_bytes(), meant())?,
    })
}

fn tell(done: &Committed, context: &Context) -> Result<(), Failure> {
    context.output().answer(done, || show::committed(done))
}

/// Commits what is said, and shows what it came to.
pub(crate) async fn put(args: PutArgs, context: &Context) -> Result<(), Failure> {
    let session = args.state.id()?;
    let changes = args.changes().await?;
    let done = context
        .with_states(async |states| states.commit(&session, changes).await)
        .await?;
    tell(&done, context)
}

/// Forks a state, and shows where the other session begins.
pub(crate) async fn fork(args: &ForkArgs, context: &Context) -> Result<(), Failure> {
    let (session, to) = (args.state.id()?, id(&args.to)?);
    let (at, operation) = (at(&args.at)?, args.retry.operation()?);
    let done = context
        .with_states(async |states| {
            let revision = revision(states, &session, &at).await?;
            let operation = operation.as_ref();
            states.fork(&session, &to, revision, operation).await
        })
        .await?;
    tell(&done, context)
}

/// Puts a tag somewhere, and says where.
pub(crate) async fn tag(args: &TagArgs, context: &Context) -> Result<(), Failure> {
    let (session, name): (_, TagName) = (args.state.id()?, args.name.parse()?);
    let (at, operation) = (at(&args.at)?, args.retry.operation()?);
    let revision = context
        .with_states(async |states| {
            let revision = match revision(states, &session, &at).await? {
                Some(revision) => revision,
                None => states.snapshot(&session, &at).await?.commit.revision,
            };
            let operation = operation.as_ref();
            states.tag(&session, &name, revision, operation).await?;
            Ok(revision)
        })
        .await?;
    let object = json!({ "name": name, "revision": revision });
    context
        .output()
        .answer(&object, || format!("`{name}` is on revision {revision}"))
}

/// Removes a tag, and says whether there was one.
pub(crate) async fn untag(args: &UntagArgs, context: &Context) -> Result<(), Failure> {
    let (session, name): (_, TagName) = (args.state.id()?, args.name.parse()?);
    let operation = args.retry.operation()?;
    let untagged = context
        .with_states(async |states| {
            let operation = operation.as_ref();
            states.untag(&session, &name, operation).await
        })
        .await?;
    context
        .output()
        .answer(&json!({ "untagged": untagged }), || {
            let said = if untagged {
                "removed"
            } else {
                "there was none"
            };
            said.to_owned()
        })
}

/// Takes a state back, and shows the commit that did.
pub(crate) async fn roll_back(args: &RollBackArgs, context: &Context) -> Result<(), Failure> {
    let session = args.state.id()?;
    let (at, operation) = (at(&args.at)?, args.retry.operation()?);
    let done = context
        .with_states(async |states| {
            let to = match revision(states, &session, &at).await? {
                Some(revision) => revision,
                None => states.snapshot(&session, &at).await?.commit.revision,
            };
            let request = RollBack {
                to,
                expected: args.expected,
            };
            let operation = operation.as_ref();
            states.roll_back(&session, request, operation).await
        })
        .await?;
    tell(&done, context)
}
