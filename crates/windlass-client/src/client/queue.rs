//! The calls about queues, leases and turns.

use super::call::Call;
use super::{Client, ClientError};
use crate::page::PageQuery;
use crate::queue::{
    AcquireLease, ClaimAnswer, ClaimWork, CommitTurn, Counts, Enqueue, EnqueueAll, EnqueuedAll,
    HeldLease, Lease, LeaseAnswer, Overview, RemovedQueue, RenewClaim, Renewed, SettleClaim,
    Settled, TurnDone, WorkItem, WorkNamed, WorkPage, WorkQuery,
};

/// The queue of one session, and its lease.
#[derive(Clone, Debug)]
pub struct QueueClient {
    client: Client,
    session: String,
}

impl Client {
    /// The queue of a session.
    #[must_use]
    pub fn queue(&self, session: &str) -> QueueClient {
        QueueClient {
            client: self.clone(),
            session: session.to_owned(),
        }
    }

    /// Enqueues work of several sessions, all or none. What the client repeats
    /// is enqueued once.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; the server's codes include `source_key_conflict`.
    pub async fn enqueue_all(&self, request: &EnqueueAll) -> Result<EnqueuedAll, ClientError> {
        self.ask(Call::post(&["v1", "work"], request)).await
    }

    /// Takes the head of the line of any session that has work, and waits for
    /// one as long as the request says.
    ///
    /// # Errors
    ///
    /// [`ClientError`] with code `reach_too_narrow` for a credential that does
    /// not reach all sessions of its tenant.
    pub async fn claim_any(&self, request: &ClaimWork) -> Result<ClaimAnswer, ClientError> {
        self.ask(claiming(&["v1", "claims"], request)).await
    }

    /// A page of the sessions that have queues.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn queues(&self, query: &PageQuery) -> Result<Overview, ClientError> {
        self.ask(Call::get(&["v1", "queue"]).query(query)).await
    }

    /// Commits a turn of a session: all of it, or nothing. What the client
    /// repeats is one turn.
    ///
    /// # Errors
    ///
    /// [`ClientError`] with the refusal of the part that refused.
    pub async fn turn(&self, session: &str, turn: &CommitTurn) -> Result<TurnDone, ClientError> {
        let call = Call::post(&["v1", "sessions", session, "turns"], turn);
        self.ask(call).await
    }
}

/// A call that may take its time.
fn claiming(path: &[&str], request: &ClaimWork) -> Call {
    let call = Call::post(path, request);
    match request.wait_ms {
        None | Some(0) => call,
        Some(_) => call.patiently(),
    }
}

impl QueueClient {
    fn path<'a>(&'a self, rest: &[&'a str]) -> Vec<&'a str> {
        let session = ["v1", "sessions", &self.session];
        session.into_iter().chain(rest.iter().copied()).collect()
    }

    /// Enqueues work, all or none. What the client repeats is enqueued once.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; the server's codes include `source_key_conflict` and
    /// `lease_lost`.
    pub async fn enqueue(&self, request: &Enqueue) -> Result<EnqueuedAll, ClientError> {
        let call = Call::post(&self.path(&["work"]), request);
        self.client.ask(call).await
    }

    /// A page of the work, in the order of the line.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn list(&self, query: &WorkQuery) -> Result<WorkPage, ClientError> {
        let call = Call::get(&self.path(&["work"])).query(query);
        self.client.ask(call).await
    }

    /// One batch of work with its payloads.
    ///
    /// # Errors
    ///
    /// [`ClientError`] with code `not_found` if there is none.
    pub async fn show(&self, id: &str) -> Result<WorkItem, ClientError> {
        self.client.ask(Call::get(&self.path(&["work", id]))).await
    }

    /// How much work there is.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn counts(&self) -> Result<Counts, ClientError> {
        let call = Call::get(&self.path(&["work", "counts"]));
        self.client.ask(call).await
    }

    /// Takes the head of the line, and waits for it as long as the request
    /// says. What the client repeats is one claim.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; the server's codes include `lease_lost`.
    pub async fn claim(&self, request: &ClaimWork) -> Result<ClaimAnswer, ClientError> {
        let call = claiming(&self.path(&["claims"]), request);
        self.client.ask(call).await
    }

    /// Holds a claim on.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; the server's codes include `claim_expired`.
    pub async fn renew(&self, token: u64, request: &RenewClaim) -> Result<Renewed, ClientError> {
        let token = token.to_string();
        let call = Call::post(&self.path(&["claims", &token, "renew"]), request);
        self.client.ask(call).await
    }

    /// Says what became of claimed work.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; the server's codes include `claim_expired` and
    /// `work_not_found`.
    pub async fn settle(&self, token: u64, request: &SettleClaim) -> Result<Settled, ClientError> {
        let token = token.to_string();
        let call = Call::post(&self.path(&["claims", &token, "settle"]), request);
        self.client.ask(call).await
    }

    /// Removes work that nobody holds.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; the server's codes include `work_not_found` and
    /// `work_claimed`.
    pub async fn cancel(&self, id: &str) -> Result<WorkNamed, ClientError> {
        let call = Call::post_bare(&self.path(&["work", id, "cancel"]));
        self.client.ask(call).await
    }

    /// Lets dead work stand in line again.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; the server's codes include `work_not_found`.
    pub async fn retry(&self, id: &str) -> Result<WorkNamed, ClientError> {
        let call = Call::post_bare(&self.path(&["work", id, "retry"]));
        self.client.ask(call).await
    }

    /// Removes dead work for good.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; the server's codes include `work_not_found`.
    pub async fn drop_dead(&self, id: &str) -> Result<WorkNamed, ClientError> {
        let call = Call::delete(&self.path(&["work", id]));
        self.client.ask(call).await
    }

    /// Removes the whole queue and the lease, whatever is in it.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; some of it may be gone by then.
    pub async fn remove(&self) -> Result<RemovedQueue, ClientError> {
        let call = Call::delete(&self.path(&["work"])).unkeyed();
        self.client.ask(call).await
    }

    /// Who holds the session's lease.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn lease(&self) -> Result<LeaseAnswer, ClientError> {
        self.client.ask(Call::get(&self.path(&["lease"]))).await
    }

    /// Takes the session's lease. What the client repeats is one acquisition.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; the server's codes include `lease_held`.
    pub async fn acquire_lease(&self, request: &AcquireLease) -> Result<Lease, ClientError> {
        let call = Call::post(&self.path(&["lease"]), request);
        self.client.ask(call).await
    }

    /// Holds the lease for its time from now on.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; the server's codes include `lease_lost`.
    pub async fn renew_lease(&self, lease: &HeldLease) -> Result<Lease, ClientError> {
        let call = Call::post(&self.path(&["lease", "renew"]), lease);
        self.client.ask(call.unkeyed()).await
    }

    /// Gives the lease back.
    ///
    /// # Errors
    ///
    /// As [`QueueClient::renew_lease`]; also where an attempt before this one
    /// was heard and its answer was lost.
    pub async fn release_lease(&self, lease: &HeldLease) -> Result<LeaseAnswer, ClientError> {
        let call = Call::post(&self.path(&["lease", "release"]), lease);
        self.client.ask(call.unkeyed()).await
    }
}
