//! The calls about the stash of a session.

use super::call::{Call, tag};
use super::{Client, ClientError};
use crate::stash::{
    Answers, ClearAll, Condition, Deleted, Entry, GroupQuery, Increment, KeyPage, KeysQuery,
    Metadata, Number, PutEntry, Reap, Removed, Steps, Touch, Usage,
};

/// The stash of one session, as one group of the credential's sees it.
#[derive(Clone, Debug)]
pub struct StashClient {
    client: Client,
    session: String,
    group: GroupQuery,
}

impl Client {
    /// The stash of a session, within the only group of the credential, or in
    /// none.
    #[must_use]
    pub fn stash(&self, session: &str) -> StashClient {
        StashClient {
            client: self.clone(),
            session: session.to_owned(),
            group: GroupQuery::default(),
        }
    }
}

impl StashClient {
    /// The same stash within `group`, which must be one of the credential's.
    #[must_use]
    pub fn group(mut self, group: &str) -> Self {
        self.group.group = Some(group.to_owned());
        self
    }

    fn path<'a>(&'a self, rest: &[&'a str]) -> Vec<&'a str> {
        let stash = ["v1", "sessions", &self.session, "stash"];
        stash.into_iter().chain(rest.iter().copied()).collect()
    }

    /// The value of a key, and what is known beside it.
    ///
    /// # Errors
    ///
    /// [`ClientError`] with code `not_found` if it has no entry.
    pub async fn get(&self, key: &str) -> Result<Entry, ClientError> {
        let call = Call::get(&self.path(&["entries", key]));
        self.client.ask(call.query(&self.group)).await
    }

    /// The same, unless the entry still has `version`: then `None`.
    ///
    /// # Errors
    ///
    /// As [`StashClient::get`].
    pub async fn get_if_changed(
        &self,
        key: &str,
        version: u64,
    ) -> Result<Option<Entry>, ClientError> {
        let call = Call::get(&self.path(&["entries", key])).query(&self.group);
        let call = call.on("if-none-match", tag(version));
        self.client.ask_if_changed(call).await
    }

    /// Gives a key a value, on a condition.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; the server's codes include `version_mismatch` and
    /// those of the limits.
    pub async fn put(
        &self,
        key: &str,
        request: &PutEntry,
        condition: Condition,
    ) -> Result<Metadata, ClientError> {
        let call = Call::put(&self.path(&["entries", key]), request).query(&self.group);
        let call = match condition {
            Condition::Any => call,
            Condition::Absent => call.on("if-none-match", "*".to_owned()),
            Condition::Version(version) => call.on("if-match", tag(version)),
        };
        self.client.ask(call).await
    }

    /// Deletes the entry of a key, and says whether there was one.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn delete(&self, key: &str) -> Result<Deleted, ClientError> {
        let call = Call::delete(&self.path(&["entries", key]));
        self.client.ask(call.query(&self.group)).await
    }

    /// Gives an entry another time to live, from now on.
    ///
    /// # Errors
    ///
    /// As [`StashClient::get`].
    pub async fn touch(&self, key: &str, request: &Touch) -> Result<Metadata, ClientError> {
        let call = Call::post(&self.path(&["entries", key, "touch"]), request);
        self.client.ask(call.query(&self.group)).await
    }

    /// Adds to a whole number; a key without an entry counts as 0.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; the server's codes include `not_a_number` and
    /// `overflow`.
    pub async fn increment(&self, key: &str, request: &Increment) -> Result<Number, ClientError> {
        let call = Call::post(&self.path(&["entries", key, "increment"]), request);
        self.client.ask(call.query(&self.group)).await
    }

    /// Does several operations in one atomic step, all of them or none.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; a refusal names the `position` of its operation.
    pub async fn step(&self, request: &Steps) -> Result<Answers, ClientError> {
        let call = Call::post(&self.path(&["steps"]), request);
        self.client.ask(call.query(&self.group)).await
    }

    /// Lists the keys that the group can see. The group of `query` counts,
    /// where it names one.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn keys(&self, query: &KeysQuery) -> Result<KeyPage, ClientError> {
        let mut query = query.clone();
        query.group = query.group.or_else(|| self.group.group.clone());
        let call = Call::get(&self.path(&["entries"])).query(&query);
        self.client.ask(call).await
    }

    /// How much the stash holds.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn usage(&self) -> Result<Usage, ClientError> {
        let call = Call::get(&self.path(&[])).query(&self.group);
        self.client.ask(call).await
    }

    /// Deletes all entries of the group, or all that belong to none.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; some may be gone by then.
    pub async fn clear(&self) -> Result<Removed, ClientError> {
        let call = Call::post_bare(&self.path(&["clear"]));
        self.client.ask(call.query(&self.group)).await
    }

    /// Deletes all entries of any group, for whoever manages stashes.
    ///
    /// # Errors
    ///
    /// As [`StashClient::clear`].
    pub async fn clear_all(&self, request: &ClearAll) -> Result<Removed, ClientError> {
        self.client
            .ask(Call::post(&self.path(&["clear-all"]), request))
            .await
    }

    /// Takes back the space of expired entries.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn reap(&self, request: &Reap) -> Result<Removed, ClientError> {
        self.client
            .ask(Call::post(&self.path(&["reap"]), request).unkeyed())
            .await
    }
}
