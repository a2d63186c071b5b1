//! States, of a store or of a server.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::value::RawValue;
use windlass::checkpoint::{
    self, At, Changes, Checkpoints, Expected, Form, Parent, PartChange, PartName, Payload, TagName,
};
use windlass::core::{OperationId, SessionId};
use windlass_client::page::LIMIT_MAX;
use windlass_client::state::{
    self as wire, Base64, CommitState, Committed, Counted, Difference, ForkPage, ForkState,
    ForksQuery, LogPage, LogQuery, NewNode, Node, PartDifference, Path, PathQuery, RollBack,
    Snapshot, Tag,
};
use windlass_client::{PartContent, StateClient};

use super::error::ask;
use super::{Here, Remote, alike, count};
use crate::failure::{CommandError, Failure};
use crate::session::arguments::id;

/// The operations that commands about states need.
#[async_trait]
pub(crate) trait States: Send + Sync {
    /// Commits changes.
    async fn commit(&self, session: &SessionId, changes: Changes) -> Result<Committed, Failure>;
    /// Some of the commits, newest first.
    async fn log(&self, session: &SessionId, query: &LogQuery) -> Result<LogPage, Failure>;
    /// A state without its contents.
    async fn snapshot(&self, session: &SessionId, at: &At) -> Result<Snapshot, Failure>;
    /// The content of a part.
    async fn part(
        &self,
        session: &SessionId,
        at: &At,
        name: &PartName,
    ) -> Result<PartContent, Failure>;
    /// Nodes from a leaf upwards.
    async fn nodes_to(
        &self,
        session: &SessionId,
        at: &At,
        leaf: Option<u64>,
        limit: u64,
    ) -> Result<Path, Failure>;
    /// What differs between two states.
    async fn diff(&self, session: &SessionId, from: &At, to: &At) -> Result<Difference, Failure>;
    /// All tags, by name.
    async fn tags(&self, session: &SessionId) -> Result<Vec<Tag>, Failure>;
    /// Some of the sessions that were forked from one.
    async fn forks(&self, session: &SessionId, after: Option<&str>) -> Result<ForkPage, Failure>;
    /// Puts a tag on a revision.
    async fn tag(
        &self,
        session: &SessionId,
        name: &TagName,
        revision: u64,
        operation: Option<&OperationId>,
    ) -> Result<(), Failure>;
    /// Removes a tag, and says whether there was one.
    async fn untag(
        &self,
        session: &SessionId,
        name: &TagName,
        operation: Option<&OperationId>,
    ) -> Result<bool, Failure>;
    /// Makes the state of an earlier revision the present one again.
    async fn roll_back(
        &self,
        session: &SessionId,
        request: RollBack,
        operation: Option<&OperationId>,
    ) -> Result<Committed, Failure>;
    /// Begins the state of another session.
    async fn fork(
        &self,
        session: &SessionId,
        to: &SessionId,
        revision: Option<u64>,
        operation: Option<&OperationId>,
    ) -> Result<Committed, Failure>;
}

/// What is said of a state that is not there.
fn found<T>(found: Option<T>) -> Result<T, Failure> {
    Ok(found.ok_or(CommandError::NoState)?)
}

impl Here {
    fn states(&self) -> (&Checkpoints, checkpoint::Caller) {
        let caller = self.caller();
        let caller = checkpoint::Caller::new(caller.tenant.clone(), caller.principal.clone());
        (self.windlass().checkpoints(), caller)
    }
}

#[async_trait]
impl States for Here {
    async fn commit(&self, session: &SessionId, changes: Changes) -> Result<Committed, Failure> {
        let (states, caller) = self.states();
        Ok(alike(&states.commit(&caller, session, changes).await?))
    }

    async fn log(&self, session: &SessionId, query: &LogQuery) -> Result<LogPage, Failure> {
        let (states, caller) = self.states();
        let limit = count(query.limit);
        let log = states.log(&caller, session, query.before, limit).await?;
        Ok(alike(&found(log)?))
    }

    async fn snapshot(&self, session: &SessionId, at: &At) -> Result<Snapshot, Failure> {
        let (states, caller) = self.states();
        Ok(alike(&found(states.show(&caller, session, at).await?)?))
    }

    async fn part(
        &self,
        session: &SessionId,
        at: &At,
        name: &PartName,
    ) -> Result<PartContent, Failure> {
        let (states, caller) = self.states();
        let (_, payload) = found(states.part(&caller, session, at, name).await?)?;
        Ok(PartContent {
            form: match payload.form() {
                Form::Json => wire::Form::Json,
                Form::Bytes => wire::Form::Bytes,
            },
            bytes: payload.bytes().clone(),
        })
    }

    async fn nodes_to(
        &self,
        session: &SessionId,
        at: &At,
        leaf: Option<u64>,
        limit: u64,
    ) -> Result<Path, Failure> {
        let (states, caller) = self.states();
        let path = states.path(&caller, session, at, leaf, count(Some(limit)));
        let path = found(path.await?)?;
        Ok(Path {
            revision: path.revision,
            nodes: path.nodes.into_iter().map(shown).collect(),
            above: path.above,
        })
    }

    async fn diff(&self, session: &SessionId, from: &At, to: &At) -> Result<Difference, Failure> {
        let (states, caller) = self.states();
        let apart = found(states.diff(&caller, session, from, to).await?)?;
        let parts = apart.parts.iter().map(|(name, (before, after))| {
            let (before, after) = (before.as_ref().map(alike), after.as_ref().map(alike));
            (name.to_string(), PartDifference { before, after })
        });
        Ok(Difference {
            parts: parts.collect(),
            from: alike(&apart.from),
            to: alike(&apart.to),
            left: apart.left.into_iter().map(shown).collect(),
            entered: apart.entered.into_iter().map(shown).collect(),
            truncated: apart.truncated,
        })
    }

    async fn tags(&self, session: &SessionId) -> Result<Vec<Tag>, Failure> {
        let (states, caller) = self.states();
        Ok(alike(&states.tags(&caller, session).await?))
    }

    async fn forks(&self, session: &SessionId, after: Option<&str>) -> Result<ForkPage, Failure> {
        let (states, caller) = self.states();
        let after = after.map(id).transpose()?;
        let limit = count(Some(LIMIT_MAX));
        let page = states.forks(&caller, session, after.as_ref(), limit);
        Ok(alike(&page.await?))
    }

    async fn tag(
        &self,
        session: &SessionId,
        name: &TagName,
        revision: u64,
        operation: Option<&OperationId>,
    ) -> Result<(), Failure> {
        let (states, caller) = self.states();
        let tagged = states.tag(&caller, session, name, revision, operation);
        Ok(tagged.await?)
    }

    async fn untag(
        &self,
        session: &SessionId,
        name: &TagName,
        operation: Option<&OperationId>,
    ) -> Result<bool, Failure> {
        let (states, caller) = self.states();
        Ok(states.untag(&caller, session, name, operation).await?)
    }

    async fn roll_back(
        &self,
        session: &SessionId,
        request: RollBack,
        operation: Option<&OperationId>,
    ) -> Result<Committed, Failure> {
        let (states, caller) = self.states();
        let expected = request.expected.map_or(Expected::Any, Expected::Revision);
        let done = states.rollback(&caller, session, request.to, expected, operation);
        Ok(alike(&done.await?))
    }

    async fn fork(
        &self,
        session: &SessionId,
        to: &SessionId,
        revision: Option<u64>,
        operation: Option<&OperationId>,
    ) -> Result<Committed, Failure> {
        let (states, caller) = self.states();
        let forked = states.fork(&caller, session, revision, to, operation);
        Ok(alike(&forked.await?))
    }
}

/// A node in the type of the wire.
fn shown(node: checkpoint::Node) -> Node {
    let as_bytes = |bytes: &[u8]| (None, Some(Base64(bytes.to_vec())));
    let (json, bytes) = match node.payload {
        None => (None, None),
        Some(Payload::Bytes(bytes)) => as_bytes(&bytes),
        Some(Payload::Json(text)) => match serde_json::from_slice(&text) {
            Ok(json) => (Some(json), None),
            Err(_) => as_bytes(&text),
        },
    };
    Node {
        number: node.number,
        parent: node.parent,
        revision: node.revision,
        kind: node.kind.to_string(),
        json,
        bytes,
    }
}

impl Remote {
    fn state(&self, session: &SessionId, operation: Option<&OperationId>) -> StateClient {
        self.under(operation).state(session.as_str())
    }
}

/// A state in the words of a request.
fn words(at: &At) -> String {
    match at {
        At::Head => "head".to_owned(),
        At::Revision(revision) => revision.to_string(),
        At::Tag(name) => format!("tag:{name}"),
    }
}

#[async_trait]
impl States for Remote {
    async fn commit(&self, session: &SessionId, changes: Changes) -> Result<Committed, Failure> {
        let state = self.state(session, changes.turn.as_ref());
        ask(state.commit(&request(&changes))).await
    }

    async fn log(&self, session: &SessionId, query: &LogQuery) -> Result<LogPage, Failure> {
        ask(self.state(session, None).log(query)).await
    }

    async fn snapshot(&self, session: &SessionId, at: &At) -> Result<Snapshot, Failure> {
        ask(self.state(session, None).show(&words(at))).await
    }

    async fn part(
        &self,
        session: &SessionId,
        at: &At,
        name: &PartName,
    ) -> Result<PartContent, Failure> {
        let state = self.state(session, None);
        ask(state.part(name.as_str(), Some(&words(at)))).await
    }

    async fn nodes_to(
        &self,
        session: &SessionId,
        at: &At,
        leaf: Option<u64>,
        limit: u64,
    ) -> Result<Path, Failure> {
        let query = PathQuery {
            at: Some(words(at)),
            leaf,
            limit: Some(limit),
        };
        ask(self.state(session, None).nodes_to(&query)).await
    }

    async fn diff(&self, session: &SessionId, from: &At, to: &At) -> Result<Difference, Failure> {
        let state = self.state(session, None);
        ask(state.diff(&words(from), &words(to))).await
    }

    async fn tags(&self, session: &SessionId) -> Result<Vec<Tag>, Failure> {
        Ok(ask(self.state(session, None).tags()).await?.tags)
    }

    async fn forks(&self, session: &SessionId, after: Option<&str>) -> Result<ForkPage, Failure> {
        let query = ForksQuery {
            after: after.map(str::to_owned),
            limit: Some(LIMIT_MAX),
        };
        ask(self.state(session, None).forks(&query)).await
    }

    async fn tag(
        &self,
        session: &SessionId,
        name: &TagName,
        revision: u64,
        operation: Option<&OperationId>,
    ) -> Result<(), Failure> {
        let state = self.state(session, operation);
        ask(state.tag(name.as_str(), revision)).await?;
        Ok(())
    }

    async fn untag(
        &self,
        session: &SessionId,
        name: &TagName,
        operation: Option<&OperationId>,
    ) -> Result<bool, Failure> {
        let state = self.state(session, operation);
        Ok(ask(state.untag(name.as_str())).await?.untagged)
    }

    async fn roll_back(
        &self,
        session: &SessionId,
        request: RollBack,
        operation: Option<&OperationId>,
    ) -> Result<Committed, Failure> {
        ask(self.state(session, operation).roll_back(&request)).await
    }

    async fn fork(
        &self,
        session: &SessionId,
        to: &SessionId,
        revision: Option<u64>,
        operation: Option<&OperationId>,
    ) -> Result<Committed, Failure> {
        let to = to.to_string();
        let state = self.state(session, operation);
        ask(state.fork(&ForkState { to, revision })).await
    }
}

/// Changes as a server is asked for them.
fn request(changes: &Changes) -> CommitState {
    let text = |text: &Arc<str>| text.as_ref().to_owned();
    let parts = changes.parts.iter();
    let parts = parts.map(|(name, change)| (name.to_string(), part(change)));
    let nodes = changes.nodes.iter().map(|node| {
        let (json, bytes) = content(&node.payload);
        NewNode {
            kind: text(&node.kind),
            parent: Some(match node.parent {
                Parent::Leaf => wire::Parent::Leaf,
                Parent::Root => wire::Parent::Root,
                Parent::Node(number) => wire::Parent::Node(number),
                Parent::New(place) => wire::Parent::New(super::number(place)),
            }),
            json,
            bytes,
        }
    });
    CommitState {
        expected: match changes.expected {
            Expected::Any => None,
            Expected::Revision(revision) => Some(revision),
        },
        parts: parts.collect(),
        replace_nodes: changes.replace_nodes,
        tombstones: changes.tombstones.clone(),
        nodes: nodes.collect(),
        leaf: changes.leaf,
        usage: Counted {
            calls: changes.usage.calls,
            tokens: changes.usage.tokens,
            cost_micros: changes.usage.cost_micros,
        },
        attachments: changes.attachments.clone(),
        note: changes.note.as_ref().map(text),
    }
}

fn part(change: &PartChange) -> Option<wire::PartChange> {
    let text = |text: &Arc<str>| text.as_ref().to_owned();
    let (mut asked, label) = match change {
        PartChange::Remove => return None,
        PartChange::Put(payload, label) => {
            let (json, bytes) = content(payload);
            let asked = wire::PartChange {
                json,
                bytes,
                ..wire::PartChange::default()
            };
            (asked, label)
        }
        PartChange::Refer(blob, form, label) => {
            let asked = wire::PartChange {
                blob: Some(blob.to_string()),
                form: Some(match form {
                    Form::Json => wire::Form::Json,
                    Form::Bytes => wire::Form::Bytes,
                }),
                ..wire::PartChange::default()
            };
            (asked, label)
        }
    };
    asked.kind = label.kind.as_ref().map(text);
    asked.number = label.number;
    asked.compressible = label.compressible;
    asked.large = label.large;
    Some(asked)
}

/// A content as it is sent. What was read as JSON here is JSON.
fn content(payload: &Payload) -> (Option<Box<RawValue>>, Option<Base64>) {
    match payload {
        Payload::Bytes(bytes) => (None, Some(Base64(bytes.to_vec()))),
        Payload::Json(text) => {
            let json = serde_json::from_slice(text).expect("commands take no other text");
            (Some(json), None)
        }
    }
}
