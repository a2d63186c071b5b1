//! A backup that is taken while several write is a store of one moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use windlass::backup::Backup;
use windlass::check::Check;
use windlass::checkpoint::{Changes, Payload};
use windlass::core::SessionId;
use windlass::queue::{Content, Payload as Load, Under, Work};
use windlass::session::{Agent, Use};
use windlass::stream::{NewStream, Row};
use windlass::{Options, Windlass};

use super::world::{caller, fill};
use crate::SCHEMES;
use crate::place::Place;

/// What was acknowledged of each kind.
#[derive(Debug, Default)]
struct Told {
    uses: AtomicU64,
    puts: AtomicU64,
    commits: AtomicU64,
    works: AtomicU64,
    rows: AtomicU64,
    stop: AtomicBool,
}

impl Told {
    fn figures(&self) -> [u64; 5] {
        let all = [
            &self.uses,
            &self.puts,
            &self.commits,
            &self.works,
            &self.rows,
        ];
        all.map(|figure| figure.load(Ordering::SeqCst))
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::SeqCst)
    }

    fn count(figure: &AtomicU64) {
        figure.fetch_add(1, Ordering::SeqCst);
    }
}

fn busy() -> SessionId {
    "s1".parse().unwrap()
}

/// Uses, and puts into the stash.
async fn spend(windlass: Windlass, told: Arc<Told>) {
    let (caller, session) = (caller(), busy());
    let stash = windlass.stashes().stash(&caller.tenant, &session);
    let outside = stash.execution(None);
    while told.goes_on() && told.uses.load(Ordering::SeqCst) < 90 {
        let search = Use::one(Agent::Unchecked, "search".parse().unwrap());
        let used = windlass.sessions().use_tools(&caller, &session, search);
        used.await.unwrap();
        Told::count(&told.uses);
        let number = told.puts.load(Ordering::SeqCst) + 1;
        let value = "v".repeat(usize::try_from(number % 7).unwrap() * 1_000);
        outside
            .put(&"number".parse().unwrap(), &number, None)
            .await
            .unwrap();
        outside
            .put(&"value".parse().unwrap(), &value, None)
            .await
            .unwrap();
        Told::count(&told.puts);
    }
}

/// Commits states.
async fn remember(windlass: Windlass, told: Arc<Told>) {
    let (caller, session) = (caller(), busy());
    let who = windlass::checkpoint::Caller::new(caller.tenant, caller.principal);
    let mut revision = 1;
    while told.goes_on() {
        let said = Payload::Json(format!("\"{}\"", "w".repeat(5_000)).into());
        let changes = Changes::at(revision).append("message", said);
        let done = windlass.checkpoints().commit(&who, &session, changes).await;
        revision = done.unwrap().revision;
        Told::count(&told.commits);
    }
}

/// Enqueues, and appends to a stream.
async fn produce(windlass: Windlass, told: Arc<Told>) {
    let (caller, session) = (caller(), busy());
    let who = windlass::queue::Caller::new(caller.tenant.clone(), caller.principal.clone());
    let owner = windlass::stream::Caller::new(caller.tenant, caller.principal);
    let new = NewStream::of(session.clone());
    let mut writer = windlass.streams().create(&owner, &new).await.unwrap();
    while told.goes_on() && told.works.load(Ordering::SeqCst) < 500 {
        let work = Work::new(vec![Load {
            kind: "step".into(),
            content: Content::Bytes(Bytes::from_static(b"1")),
        }]);
        let queued = windlass
            .queue()
            .enqueue(&who, &session, vec![work], Under::NOTHING);
        queued.await.unwrap();
        Told::count(&told.works);
        writer.append(&Row::json("[1,2,3]").unwrap()).await.unwrap();
        writer.flush().await.unwrap();
        Told::count(&told.rows);
    }
}

async fn until(told: &Told, least: u64) {
    while told.figures().iter().any(|figure| *figure < least) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_is_of_one_moment_and_has_all_that_was_acknowledged() {
    for &scheme in SCHEMES {
        let place = Place::new(scheme);
        let windlass = place.open().await;
        fill(&windlass, "s1").await;
        let told = Arc::new(Told::default());
        let writers = [
            tokio::spawn(spend(windlass.clone(), Arc::clone(&told))),
            tokio::spawn(remember(windlass.clone(), Arc::clone(&told))),
            tokio::spawn(produce(windlass.clone(), Arc::clone(&told))),
        ];
        until(&told, 3).await;
        let directory = tempfile::tempdir().unwrap();
        let before = told.figures();
        let made = windlass
            .back_up(&Backup::into(directory.path()), &mut |_| ())
            .await
            .unwrap();
        let running = windlass.check(&Check::default(), &mut |_| ()).await;
        assert_eq!(running.findings, [], "{scheme}, while it is written to");
        told.stop.store(true, Ordering::SeqCst);
        for writer in writers {
            writer.await.unwrap();
        }
        windlass.close().await.unwrap();

        let new = Place::new("sqlite");
        Windlass::restore_from(&new.location(), &made.path, &mut |_| ())
            .await
            .unwrap();
        let restored = Windlass::open(&new.location(), Options::default())
            .await
            .unwrap();
        let report = restored.check(&Check::default(), &mut |_| ()).await;
        assert_eq!(report.findings, [], "{scheme}");
        assert_eq!(report.rows, made.manifest.entries(), "{scheme}");
        let found = figures(&restored).await;
        let kept = found
            .iter()
            .zip(before)
            .all(|(found, before)| *found >= before);
        assert!(
            kept,
            "{scheme}: {before:?} were acknowledged, {found:?} are there"
        );
        restored.close().await.unwrap();
    }
}

/// What there is of each kind, beyond what the store was filled with.
async fn figures(windlass: &Windlass) -> [u64; 5] {
    let (caller, session) = (caller(), busy());
    let shown = windlass.sessions().get(&caller, &session).await.unwrap();
    let stash = windlass.stashes().stash(&caller.tenant, &session);
    let number = stash.execution(None).get(&"number".parse().unwrap()).await;
    let number: u64 = number.unwrap().unwrap().parse().unwrap();
    let who = windlass::checkpoint::Caller::new(caller.tenant.clone(), caller.principal.clone());
    let head = windlass.checkpoints().head(&who, &session).await.unwrap();
    let who = windlass::queue::Caller::new(caller.tenant.clone(), caller.principal.clone());
    let counts = windlass.queue().counts(&who, &session).await.unwrap();
    let who = windlass::stream::Caller::new(caller.tenant, caller.principal);
    let page = windlass
        .streams()
        .list(&who, &session, None, 100)
        .await
        .unwrap();
    let mut rows = 0;
    for stream in &page.streams {
        rows += windlass
            .streams()
            .show(&who, stream)
            .await
            .unwrap()
            .tail
            .number();
    }
    [
        shown.unwrap().calls_made - 3,
        number,
        head.unwrap().revision - 1,
        counts.pending - 1,
        rows - 3,
    ]
}
