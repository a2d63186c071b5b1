//! Who does upkeep.

use std::future::poll_fn;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use futures_util::FutureExt;
use windlass::store::StoreExt;

use super::*;

#[tokio::test]
async fn of_two_engines_on_a_store_one_does_upkeep() {
    let one = Engine::new().await;
    let other = one.another(2, &options());
    let (mut here, mut there) = (one.keeper(), other.keeper());
    round(here.turn().await.unwrap());
    for _ in 0..20 {
        one.env.advance_ms(10_000);
        other.env.advance_ms(10_000);
        here.turn().await.unwrap();
        assert_eq!(there.turn().await.unwrap(), Turned::Elsewhere);
    }
    let holder = other.windlass.maintenance().status().await.unwrap().holder;
    let holder = holder.unwrap();
    assert_eq!(
        (holder.generation, holder.since, holder.alive),
        (1, START, true)
    );
    assert!(one.windlass.maintenance().counts().holds);
    assert!(!other.windlass.maintenance().counts().holds);
}

#[tokio::test]
async fn a_holder_that_died_is_replaced_after_its_time_and_the_skew() {
    let one = Engine::new().await;
    let other = one.another(2, &options());
    round(one.keeper().turn().await.unwrap());
    let mut heir = other.keeper();
    // It cannot tell whether the lease was renewed before it looked.
    other.env.advance_ms(20_000);
    assert_eq!(heir.turn().await.unwrap(), Turned::Elsewhere);
    other.env.advance_ms(14_990);
    assert_eq!(heir.turn().await.unwrap(), Turned::Elsewhere);
    other.env.advance_ms(10);
    round(heir.turn().await.unwrap());
    let holder = other.windlass.maintenance().status().await.unwrap().holder;
    assert_eq!(holder.unwrap().generation, 2);
}

#[tokio::test]
async fn a_lease_that_stands_still_is_taken_whatever_the_clocks_say() {
    let one = Engine::new().await;
    round(one.keeper().turn().await.unwrap());
    let late = Millis::new(START.get() - 30 * 60_000);
    let store = Arc::clone(one.windlass.store());
    let other = one.over(2, late, store, &options());
    let mut heir = other.keeper();
    assert_eq!(heir.turn().await.unwrap(), Turned::Elsewhere);
    other.env.advance_ms(29_999);
    assert_eq!(heir.turn().await.unwrap(), Turned::Elsewhere);
    other.env.advance_ms(1);
    round(heir.turn().await.unwrap());
}

#[tokio::test]
async fn a_holder_that_was_stopped_finds_out_in_the_middle_of_its_round() {
    let base = Engine::new().await;
    base.due_rows("queue", 3).await;
    base.due_rows("access", 40).await;
    let mut later = options();
    later.maintenance.on_start = false;
    let heir = Arc::new(base.another(2, &later));
    let (stopped, clock) = (AtomicBool::new(false), Mutex::new(None::<Arc<ManualEnv>>));
    let clock = Arc::new(clock);
    let (late, second) = (Arc::clone(&clock), Arc::clone(&heir));
    let one = base.hooked(&options(), move |asked| {
        if asked.is_about("acme/queue/") && !stopped.swap(true, Ordering::Relaxed) {
            // The process stands still here; meanwhile another one takes over.
            late.lock().unwrap().as_ref().unwrap().advance_ms(60_000);
            second.env.advance_ms(60_000);
            let turned = second.keeper().turn().now_or_never();
            let turned = turned.expect("a store in memory answers at once");
            assert_eq!(turned.unwrap(), Turned::Waits, "it has the lease now");
        }
        Ok(())
    });
    *clock.lock().unwrap() = Some(Arc::clone(&one.env));
    let mut keeper = one.keeper();
    let report = round(keeper.turn().await.unwrap());
    assert_eq!(report.scanned, 3, "it went on: {report:?}");
    assert_eq!(keeper.turn().await.unwrap(), Turned::Elsewhere);
    let status = heir.windlass.maintenance().status().await.unwrap();
    assert_eq!(status.holder.unwrap().generation, 2);
    assert_eq!(status.rounds, [], "it is not its to tell");
}

#[tokio::test]
async fn a_lease_that_is_given_back_is_free_at_once() {
    let one = Engine::new().await;
    let other = one.another(2, &options());
    let mut first = one.keeper();
    round(first.turn().await.unwrap());
    first.release().await.unwrap();
    let free = other.windlass.maintenance().status().await.unwrap();
    assert_eq!(free.holder, None);
    round(other.keeper().turn().await.unwrap());
    // Whoever gave it back late gives back nothing of another's.
    first.release().await.unwrap();
    let held = other.windlass.maintenance().status().await.unwrap();
    assert_eq!(held.holder.unwrap().generation, 2);
}

#[tokio::test]
async fn a_lease_is_given_back_also_while_a_renewal_of_it_is_still_under_way() {
    let base = Engine::new().await;
    let (given, store) = (
        Arc::new(AtomicBool::new(false)),
        Arc::clone(base.windlass.store()),
    );
    let given_back = Arc::clone(&given);
    let one = base.hooked(&options(), move |asked| {
        let gives = matches!(asked, Asked::Commit(batch) if batch.writes.len() == 1);
        if gives && asked.is_about("maintenance/lease") && !given.swap(true, Ordering::Relaxed) {
            let key = b"system/maintenance/lease".to_vec();
            let same = store.update(key.into(), |row| row.map(|row| row.value.clone()));
            let renewed = same.now_or_never();
            renewed.expect("a store in memory answers at once").unwrap();
        }
        Ok(())
    });
    let mut keeper = one.keeper();
    round(keeper.turn().await.unwrap());
    keeper.release().await.unwrap();
    assert!(given_back.load(Ordering::Relaxed), "nothing was in the way");
    let status = base.windlass.maintenance().status().await.unwrap();
    assert_eq!(status.holder, None);
}

/// A store that commits behind the back of who asked, a little later.
#[derive(Debug)]
struct Late(Arc<dyn Store>);

async fn a_little() {
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
}

#[async_trait]
impl Store for Late {
    async fn read(&self, scans: &[Scan]) -> Result<Vec<Page>, StoreError> {
        self.0.read(scans).await
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError> {
        let store = Arc::clone(&self.0);
        let late = tokio::spawn(async move {
            a_little().await;
            store.commit(batch).await
        });
        late.await.expect("a commit does not panic")
    }

    async fn export(&self, range: KeyRange) -> Result<Export, StoreError> {
        self.0.export(range).await
    }

    fn subscribe(&self, prefix: &[u8]) -> Changes {
        self.0.subscribe(prefix)
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.0.close().await
    }
}

#[tokio::test]
async fn a_lease_is_given_back_also_while_it_is_being_taken() {
    let base = Engine::new().await;
    let store = Arc::new(Late(Arc::clone(base.windlass.store())));
    let one = base.over(2, base.env.now(), store, &options());
    let mut keeper = one.keeper();
    let turned = keeper.turn().now_or_never();
    assert_eq!(turned.map(Result::unwrap), None, "it is over");
    keeper.release().await.unwrap();
    a_little().await;
    a_little().await;
    let lease = base.windlass.maintenance().status().await.unwrap();
    assert_eq!(lease.holder, None);
    assert!(lease.mark.is_some(), "it was never taken");
}

#[tokio::test]
async fn who_has_the_store_alone_does_not_wait_for_one_who_died() {
    let one = Engine::new().await;
    round(one.keeper().turn().await.unwrap());
    let alone = Options {
        sharing: windlass::core::Sharing::Exclusive,
        ..options()
    };
    round(one.another(2, &alone).keeper().turn().await.unwrap());
}

#[tokio::test]
async fn upkeep_runs_in_rounds_until_it_is_stopped_and_gives_the_lease_back() {
    let one = Engine::new().await;
    one.sessions(5).await;
    let env = Arc::clone(&one.env);
    let stop = poll_fn(move |_| match env.now().since(START) >= 300_000 {
        true => Poll::Ready(()),
        false => Poll::Pending,
    });
    let (mut begun, mut failed) = (Vec::new(), Vec::new());
    let tell = |turned: &Result<Turned, _>| match turned {
        Ok(Turned::Round(report)) => begun.push(report.at),
        Ok(_) => {}
        Err(error) => failed.push(format!("{error:?}")),
    };
    one.windlass.maintenance().run(stop, tell).await;
    assert_eq!(failed, Vec::<String>::new());
    let apart: Vec<u64> = begun
        .windows(2)
        .map(|pair| pair[1].since(pair[0]))
        .collect();
    assert!((9..=12).contains(&begun.len()), "{apart:?}");
    assert!(
        apart.iter().all(|ms| (27_000..=33_100).contains(ms)),
        "{apart:?}"
    );
    assert!(
        apart.windows(2).any(|pair| pair[0] != pair[1]),
        "no jitter: {apart:?}"
    );
    let status = one.windlass.maintenance().status().await.unwrap();
    assert_eq!(status.holder, None);
    let sessions = &status.tasks[0];
    assert_eq!(sessions.overdue.entries, 0);
    assert_eq!(sessions.last.as_ref().unwrap().counts["removed"], 5);
}

#[tokio::test]
async fn the_first_round_waits_its_time_unless_it_is_to_be_at_the_start() {
    let mut later = options();
    later.maintenance.on_start = false;
    let one = Engine::new().await.another(2, &later);
    let mut keeper = one.keeper();
    assert_eq!(keeper.turn().await.unwrap(), Turned::Waits);
    one.env.advance_ms(26_000);
    assert_eq!(keeper.turn().await.unwrap(), Turned::Waits);
    one.env.advance_ms(7_000);
    round(keeper.turn().await.unwrap());
}
