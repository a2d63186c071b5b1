//! The server is killed at random moments: what it acknowledged is there, and
//! nothing is there by half.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use windlass_store::{Batch, Commit, Expect, KeyRange, Store, StoreErrorKind, StoreExt};
use windlass_store_postgres::PostgresStore;
use windlass_store_testing::Random;

use crate::common::Place;
use crate::settings::setting;

/// Kills in one run; the nightly run takes more.
const KILLS: &str = "WINDLASS_SERVER_KILLS";
const KILLS_DEFAULT: usize = 6;

/// Sessions that commit at the same time.
const SESSIONS: usize = 16;
/// Most acknowledgements that are waited for before a kill.
const ACKNOWLEDGED_MAX: usize = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_server_acknowledged_is_there_and_nothing_by_half() {
    let place = Place::alone(&[]);
    let mut options = place.options();
    options.unavailable_time_max = Duration::from_millis(100);
    let store = Arc::new(place.open_with(options).await);
    let mut random = Random::new(11);
    let mut sessions: Vec<_> = (0..SESSIONS).map(Session::new).collect();
    for cycle in 0..setting(KILLS, KILLS_DEFAULT) {
        let ended = work_until_killed(&place, &store, sessions, &mut random).await;
        place
            .server()
            .start_again()
            .expect("the server starts again");
        sessions = Vec::new();
        for (session, kind) in ended {
            let found = session.found(&store).await;
            // What was refused did not happen; what is unknown may have.
            let last = session.count + u64::from(kind == StoreErrorKind::Indeterminate);
            assert!(
                (session.count..=last).contains(&found.count),
                "cycle {cycle}: {session:?} ended with {kind:?}, but {found:?} is there"
            );
            sessions.push(found);
        }
    }
    assert!(
        sessions.iter().all(|session| session.count > 0),
        "{sessions:?}"
    );
    store.close().await.expect("the store closes");
}

/// Lets sessions commit until some have been acknowledged, then kills the
/// server; how each ended.
pub(crate) async fn work_until_killed(
    place: &Place,
    store: &Arc<PostgresStore>,
    sessions: Vec<Session>,
    random: &mut Random,
) -> Vec<(Session, StoreErrorKind)> {
    let (told, mut heard) = mpsc::unbounded_channel();
    let mut working = JoinSet::new();
    for session in sessions {
        working.spawn(session.work(Arc::clone(store), told.clone()));
    }
    for _ in 0..=random.below(ACKNOWLEDGED_MAX) {
        heard.recv().await.expect("a session works");
    }
    place.server().kill().expect("the server can be killed");
    working.join_all().await
}

/// One who commits a head and two rows at a time.
#[derive(Debug)]
pub(crate) struct Session {
    number: usize,
    /// Its commits that were acknowledged.
    pub(crate) count: u64,
    /// What its head is expected to be.
    head: Expect,
}

impl Session {
    pub(crate) fn new(number: usize) -> Self {
        Self {
            number,
            count: 0,
            head: Expect::Absent,
        }
    }

    fn prefix(&self) -> String {
        format!("acme/session/{}/", self.number)
    }

    /// Commits until that fails, and tells of each acknowledgement.
    async fn work(
        mut self,
        store: Arc<PostgresStore>,
        told: mpsc::UnboundedSender<()>,
    ) -> (Self, StoreErrorKind) {
        loop {
            match store.commit(self.next()).await {
                Ok(Commit::Applied(version)) => self.head = Expect::Version(version),
                Ok(Commit::Conflict { key }) => panic!("nobody else writes {key:?}"),
                Err(error) => return (self, error.kind()),
            }
            self.count += 1;
            // The one who kills may have heard enough.
            let _ = told.send(());
        }
    }

    fn next(&self) -> Batch {
        let (prefix, number) = (self.prefix(), self.count + 1);
        let padding = usize::try_from(number * 97 % 3_000).expect("it is small");
        Batch::new()
            .check(prefix.clone() + "head", self.head)
            .put(prefix.clone() + "head", number.to_string())
            .put(format!("{prefix}row/{number:06}/a"), number.to_string())
            .put(format!("{prefix}row/{number:06}/b"), "x".repeat(padding))
    }

    /// The session as it is in the store, all of whose commits must be whole.
    pub(crate) async fn found(&self, store: &PostgresStore) -> Self {
        let range = KeyRange::prefix(self.prefix());
        let entries = reachable(store, range).await;
        let Some(head) = entries.first() else {
            return Self::new(self.number);
        };
        let count: u64 = text(&head.value).parse().expect("a head is a number");
        let rows = u64::try_from(entries.len()).expect("it is small") - 1;
        assert_eq!(rows, 2 * count, "rows beside the head of {self:?}");
        let last = &entries[entries.len() - 1];
        assert_eq!(last.version, head.version, "the last row of {self:?}");
        Self {
            number: self.number,
            count,
            head: Expect::Version(head.version),
        }
    }
}

/// All entries, once the connections that died have been found out.
async fn reachable(store: &PostgresStore, range: KeyRange) -> Vec<windlass_store::Entry> {
    loop {
        match store.scan_all(range.clone()).await {
            Ok(entries) => return entries,
            Err(error) => assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}"),
        }
    }
}

fn text(value: &Bytes) -> &str {
    std::str::from_utf8(value).expect("it is text")
}
