//! The calls about the state of a session.

use bytes::Bytes;
use serde::Serialize;

use super::call::{Call, tag};
use super::{Client, ClientError};
use crate::state::{
    CommitState, Committed, DiffQuery, Difference, ForkPage, ForkState, ForksQuery, Form,
    GraphPage, GraphQuery, Head, LogPage, LogQuery, Manifest, Node, Part, PartQuery, Path,
    PathQuery, Removed, RollBack, SetTag, Snapshot, Tagged, Tags, Untagged,
};

/// The state of one session, and its history.
#[derive(Clone, Debug)]
pub struct StateClient {
    client: Client,
    session: String,
}

/// The content of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartContent {
    /// Whether it is JSON.
    pub form: Form,
    /// The content, byte for byte.
    pub bytes: Bytes,
}

impl Client {
    /// The state of a session.
    #[must_use]
    pub fn state(&self, session: &str) -> StateClient {
        StateClient {
            client: self.clone(),
            session: session.to_owned(),
        }
    }
}

impl StateClient {
    pub(super) const fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn path<'a>(&'a self, rest: &[&'a str]) -> Vec<&'a str> {
        let state = ["v1", "sessions", &self.session, "state"];
        state.into_iter().chain(rest.iter().copied()).collect()
    }

    fn read<Q: Serialize>(&self, rest: &[&str], query: &Q) -> Call {
        Call::get(&self.path(rest)).query(query)
    }

    /// The head.
    ///
    /// # Errors
    ///
    /// [`ClientError`] with code `not_found` before the first commit, or if
    /// there is no such session for the credential.
    pub async fn head(&self) -> Result<Head, ClientError> {
        self.client.ask(Call::get(&self.path(&[]))).await
    }

    /// The same, unless the head still is at `revision`: then `None`.
    ///
    /// # Errors
    ///
    /// As [`StateClient::head`].
    pub async fn head_if_changed(&self, revision: u64) -> Result<Option<Head>, ClientError> {
        let call = Call::get(&self.path(&[])).on("if-none-match", tag(revision));
        self.client.ask_if_changed(call).await
    }

    /// Commits changes: all of them, or none. What the client repeats is one
    /// turn, so it is committed once.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; the server's codes include `head_revision_conflict`,
    /// with the figures `expected` and `actual`, and `turn_conflict`.
    pub async fn commit(&self, request: &CommitState) -> Result<Committed, ClientError> {
        let call = Call::post(&self.path(&["commits"]), request);
        self.client.ask(call).await
    }

    /// Some of the commits, newest first.
    ///
    /// # Errors
    ///
    /// As [`StateClient::head`].
    pub async fn log(&self, query: &LogQuery) -> Result<LogPage, ClientError> {
        self.client.ask(self.read(&["commits"], query)).await
    }

    /// A state without its contents: `at` is `head`, a revision, or `tag:` and
    /// a name.
    ///
    /// # Errors
    ///
    /// As [`StateClient::head`].
    pub async fn show(&self, at: &str) -> Result<Snapshot, ClientError> {
        let call = Call::get(&self.path(&["commits", at]));
        self.client.ask(call).await
    }

    /// The content of a part; the head's if `at` is `None`. It may have as
    /// many bytes as [`Settings`](crate::Settings) allow an answer.
    ///
    /// # Errors
    ///
    /// [`ClientError`] with code `not_found` if there is none.
    pub async fn part(&self, name: &str, at: Option<&str>) -> Result<PartContent, ClientError> {
        let (at, meta) = (at.map(str::to_owned), None);
        let call = self.read(&["parts", name], &PartQuery { at, meta });
        let (is_json, bytes) = self.client.ask_content(call).await?;
        let form = if is_json { Form::Json } else { Form::Bytes };
        Ok(PartContent { form, bytes })
    }

    /// What is known of a part beside its content.
    ///
    /// # Errors
    ///
    /// As [`StateClient::part`].
    pub async fn part_meta(&self, name: &str, at: Option<&str>) -> Result<Part, ClientError> {
        let (at, meta) = (at.map(str::to_owned), Some(true));
        let call = self.read(&["parts", name], &PartQuery { at, meta });
        self.client.ask(call).await
    }

    /// The nodes from a leaf upwards.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; the server's codes include `node_not_found`.
    pub async fn nodes_to(&self, query: &PathQuery) -> Result<Path, ClientError> {
        self.client.ask(self.read(&["path"], query)).await
    }

    /// Some of the nodes, in the order they were appended.
    ///
    /// # Errors
    ///
    /// As [`StateClient::head`].
    pub async fn nodes(&self, query: &GraphQuery) -> Result<GraphPage, ClientError> {
        self.client.ask(self.read(&["nodes"], query)).await
    }

    /// One node.
    ///
    /// # Errors
    ///
    /// [`ClientError`] with code `not_found` if it is not in the graph.
    pub async fn node(&self, number: u64) -> Result<Node, ClientError> {
        let number = number.to_string();
        let call = Call::get(&self.path(&["nodes", &number]));
        self.client.ask(call).await
    }

    /// What differs between two states.
    ///
    /// # Errors
    ///
    /// [`ClientError`] with code `not_found` if one of them is not there.
    pub async fn diff(&self, from: &str, to: &str) -> Result<Difference, ClientError> {
        let (from, to) = (from.to_owned(), Some(to.to_owned()));
        let call = self.read(&["diff"], &DiffQuery { from, to });
        self.client.ask(call).await
    }

    /// A content by its name, as many bytes as settings allow an answer.
    ///
    /// # Errors
    ///
    /// [`ClientError`] with code `not_found` if there is none of this name.
    pub async fn blob(&self, blob: &str) -> Result<Bytes, ClientError> {
        let call = Call::get(&self.path(&["blobs", blob]));
        Ok(self.client.ask_content(call).await?.1)
    }

    /// The parts that a commit's manifest names.
    ///
    /// # Errors
    ///
    /// As [`StateClient::blob`].
    pub async fn manifest(&self, manifest: &str) -> Result<Manifest, ClientError> {
        let call = Call::get(&self.path(&["manifests", manifest]));
        self.client.ask(call).await
    }

    /// Makes the state of an earlier revision the present one again.
    ///
    /// # Errors
    ///
    /// As [`StateClient::commit`], and `revision_not_found`.
    pub async fn roll_back(&self, request: &RollBack) -> Result<Committed, ClientError> {
        let call = Call::post(&self.path(&["rollback"]), request);
        self.client.ask(call).await
    }

    /// Begins another session's state where this one is, or was.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; the server's codes include `state_exists` and
    /// `revision_not_found`.
    pub async fn fork(&self, request: &ForkState) -> Result<Committed, ClientError> {
        let call = Call::post(&self.path(&["fork"]), request);
        self.client.ask(call).await
    }

    /// Some of the sessions that were forked from this one.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn forks(&self, query: &ForksQuery) -> Result<ForkPage, ClientError> {
        self.client.ask(self.read(&["forks"], query)).await
    }

    /// The tags, by name.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn tags(&self) -> Result<Tags, ClientError> {
        self.client.ask(Call::get(&self.path(&["tags"]))).await
    }

    /// Puts a tag on a revision, taking it away from where it was.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; the server's codes include `revision_not_found`.
    pub async fn tag(&self, name: &str, revision: u64) -> Result<Tagged, ClientError> {
        let call = Call::put(&self.path(&["tags", name]), &SetTag { revision });
        self.client.ask(call).await
    }

    /// Removes a tag, and says whether there was one.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn untag(&self, name: &str) -> Result<Untagged, ClientError> {
        let call = Call::delete(&self.path(&["tags", name]));
        self.client.ask(call).await
    }

    /// Removes the state for good.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; some of it may be gone by then.
    pub async fn remove(&self) -> Result<Removed, ClientError> {
        let call = Call::delete(&self.path(&[])).unkeyed();
        self.client.ask(call).await
    }
}
