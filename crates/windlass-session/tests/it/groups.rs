//! Requests that wait are decided together, and what one commit carries is
//! bounded: whatever comes at once is answered.

use std::sync::Arc;

use futures_util::future::join_all;
use windlass_session::limits::{
    AMOUNT_MAX, BATCH_NAMES_BYTES_MAX, CREDENTIALS_MAX, RESERVATIONS_MAX,
};
use windlass_session::{
    Agent, Charge, Create, RateLimit, Receipt, SessionError, Sessions, Use, UseItem,
};
use windlass_store::Store;
use windlass_store_testing::{Counting, Moment, Pause, Pausing, Verb};

use crate::support::slow;
use crate::support::{
    SECOND, World, agent, call, caller, close, code, operation, request, session_id, use_tools,
};

/// Sessions whose first commit is held until everybody else waits, and what
/// counts the commits.
struct Group {
    sessions: Sessions,
    first: Pause,
    counting: Arc<Counting<dyn Store>>,
}

impl Group {
    fn of(world: &World) -> Self {
        let ground = Arc::clone(&world.ground) as Arc<dyn Store>;
        let counting = Arc::new(Counting::new(ground));
        let pausing = Arc::new(Pausing::new(Arc::clone(&counting)));
        let first = pausing.pause(Verb::Commit, Moment::Before);
        let sessions = world.over(pausing);
        Self {
            sessions,
            first,
            counting,
        }
    }

    /// All uses at once: their answers, and how many commits they took.
    async fn make(self, uses: Vec<Use>) -> (Vec<Result<Receipt, SessionError>>, u64) {
        let making = uses
            .into_iter()
            .map(|request| use_tools(&self.sessions, "s1", request));
        let release = async { self.first.reached().await.release() };
        let (answers, ()) = tokio::join!(join_all(making), release);
        (answers, self.counting.counts().commits)
    }
}

fn under(id: &str) -> Use {
    let mut request = call("search");
    request.operation = Some(operation(id));
    request
}

async fn roomy() -> World {
    let world = World::new();
    world.create(|request| request.budget.calls = 100_000).await;
    world
}

#[tokio::test]
async fn more_operation_ids_than_a_commit_can_check_are_all_answered() {
    let world = roomy().await;
    let uses = (0..256)
        .map(|number| under(&format!("o{number}")))
        .collect();
    let (answers, commits) = Group::of(&world).make(uses).await;
    let calls: Vec<u64> = answers
        .into_iter()
        .map(|answer| answer.expect("granted").first_call)
        .collect();
    assert_eq!(calls, (1..=256).collect::<Vec<_>>());
    assert!((4..10).contains(&commits), "{commits} commits");
}

#[tokio::test]
async fn more_refusals_under_operation_ids_than_a_read_can_look_up_are_all_answered() {
    let world = World::new();
    world.create(|request| request.budget.calls = 2).await;
    let uses = (0..60).map(|number| under(&format!("o{number}"))).collect();
    let (answers, _) = Group::of(&world).make(uses).await;
    let granted = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(granted, 2);
    for refused in answers.into_iter().skip(2) {
        assert_eq!(code(refused), "budget_exceeded");
    }
    let again = use_tools(&world.sessions, "s1", under("o1")).await;
    assert_eq!(again.expect("the first answer").first_call, 2);
}

#[tokio::test]
async fn more_names_than_a_row_can_hold_go_into_several() {
    let world = roomy().await;
    let mut item = UseItem::new("search".parse().expect("a name"));
    item.credentials = vec!["\"".repeat(256).parse().expect("a name"); CREDENTIALS_MAX];
    let items = vec![item; BATCH_NAMES_BYTES_MAX / (256 * CREDENTIALS_MAX + 6)];
    let calls = u64::try_from(items.len()).expect("small");
    let uses = vec![Use::batch(Agent::Unchecked, items); 12];
    let (answers, commits) = Group::of(&world).make(uses).await;
    let last = answers
        .into_iter()
        .map(|answer| answer.expect("granted").last_call)
        .max();
    assert_eq!(last, Some(12 * calls));
    assert!((3..=12).contains(&commits), "{commits} commits");
    assert_eq!(
        world.history("s1").await.len(),
        12 * usize::try_from(calls).expect("small")
    );
}

#[tokio::test]
async fn grants_and_refusals_of_one_group_are_decided_in_their_order() {
    let world = World::new();
    world.create(|request| request.budget.calls = 4).await;
    let batch = |size| {
        let item = UseItem::new("search".parse().expect("a name"));
        Use::batch(Agent::Unchecked, vec![item; size])
    };
    let uses = [1, 2, 3, 1, 1, 1].map(batch).to_vec();
    let (answers, commits) = Group::of(&world).make(uses).await;
    let answers: Vec<_> = answers
        .into_iter()
        .map(|answer| {
            answer
                .map(|receipt| receipt.first_call)
                .map_err(|error| code::<()>(Err(error)))
        })
        .collect();
    let refused = Err("budget_exceeded");
    assert_eq!(answers, [Ok(1), Ok(2), refused, Ok(4), refused, refused]);
    assert_eq!(commits, 2);
}

#[tokio::test]
async fn a_group_of_which_all_is_refused_commits_nothing() {
    let world = World::new();
    world.create(|_| {}).await;
    close(&world.sessions, "s1").await.expect("closed");
    let counting = Arc::new(Counting::new(Arc::clone(&world.ground)));
    let sessions = world.over(Arc::clone(&counting) as Arc<dyn Store>);
    let answers = join_all((0..20).map(|_| use_tools(&sessions, "s1", call("search")))).await;
    for answer in answers {
        assert_eq!(code(answer), "already_closed");
    }
    assert_eq!(counting.counts().commits, 0);
}

#[tokio::test]
async fn creations_at_once_of_one_id_or_one_operation_happen_once() {
    let world = World::new();
    let group = Group::of(&world);
    let create = |name: Option<&str>, id: &str| {
        let request = request(|request: &mut Create| {
            request.id = name.map(session_id);
            request.operation = Some(operation(id));
        });
        let sessions = group.sessions.clone();
        async move { sessions.create(&caller(), request).await }
    };
    let creating = [
        create(Some("s0"), "o0"),
        create(Some("s1"), "o1"),
        create(Some("s1"), "o2"),
        create(Some("s1"), "o1"),
        create(None, "o3"),
        create(None, "o3"),
        create(Some("s2"), "o3"),
    ];
    let release = async { group.first.reached().await.release() };
    let (answers, ()) = tokio::join!(join_all(creating), release);
    let answers: Vec<_> = answers
        .into_iter()
        .map(|answer| {
            answer
                .map(|session| session.id)
                .map_err(|error| code::<()>(Err(error)))
        })
        .collect();
    let own = answers[4].clone().expect("created");
    let expected = [
        Ok(session_id("s0")),
        Ok(session_id("s1")),
        Err("already_exists"),
        Ok(session_id("s1")),
        Ok(own.clone()),
        Ok(own),
        Err("operation_conflict"),
    ];
    assert_eq!(answers, expected);
    let count = world.sessions.count_active(&caller(), &agent()).await;
    assert_eq!(count.expect("a store that works"), 3);
}

#[tokio::test]
async fn more_creations_than_a_commit_can_carry_are_all_made() {
    let world = World::new();
    let group = Group::of(&world);
    let creating = (0..200).map(|number| {
        let request = request(|request: &mut Create| {
            request.id = Some(session_id(&format!("s{number}")));
            request.operation = Some(operation(&format!("o{number}")));
        });
        let sessions = group.sessions.clone();
        async move { sessions.create(&caller(), request).await }
    });
    let release = async { group.first.reached().await.release() };
    let (answers, ()) = tokio::join!(join_all(creating), release);
    for answer in answers {
        answer.expect("created");
    }
    let commits = group.counting.counts().commits;
    assert!((5..12).contains(&commits), "{commits} commits");
}

#[tokio::test]
async fn a_head_stays_small_whatever_it_holds() {
    let world = World::new();
    world
        .create(|request| {
            request.budget.calls = 1_000_000;
            request.budget.tokens = Some(AMOUNT_MAX);
            request.budget.cost_micros = Some(AMOUNT_MAX);
            request.rate = Some(RateLimit::sliding(1_000_000, 63 * SECOND));
        })
        .await;
    let most = AMOUNT_MAX / u64::try_from(RESERVATIONS_MAX).expect("small");
    let mut item = UseItem::new("search".parse().expect("a name"));
    item.charge = Charge {
        tokens: most,
        cost_micros: most,
    };
    item.reserve = true;
    // In turns, so that the writers of the last revisions differ.
    let processes = [world.reopen(), world.reopen()];
    for number in 0..RESERVATIONS_MAX {
        let request = Use::batch(Agent::Unchecked, vec![item.clone()]);
        use_tools(&processes[number % 2], "s1", request)
            .await
            .expect("granted");
        world.env.advance_ms(SECOND);
    }
    let rows = world.rows().await;
    let head = rows
        .iter()
        .find(|row| row.key == "acme/session/s1/head")
        .expect("a head");
    assert!(head.value.len() <= 8 * 1_024, "{} bytes", head.value.len());
    assert!(
        head.value.len() > 4 * 1_024,
        "not full: {} bytes",
        head.value.len()
    );
}

#[tokio::test]
async fn opening_reads_nothing() {
    let world = roomy().await;
    let counting = Arc::new(Counting::new(Arc::clone(&world.ground)));
    let sessions = world.over(Arc::clone(&counting) as Arc<dyn Store>);
    assert_eq!(counting.counts(), windlass_store_testing::Counts::default());
    use_tools(&sessions, "s1", call("search"))
        .await
        .expect("granted");
    assert_eq!(counting.counts().reads, 1, "loaded when it is touched");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn threads_of_two_processes_keep_every_budget() {
    let world = World::new();
    for number in 0..8 {
        let name = session_id(&format!("s{number}"));
        world
            .create(|request| {
                request.id = Some(name);
                request.budget.calls = 50;
            })
            .await;
    }
    let processes = [1, 2].map(|seed| world.over(slow(&world.ground, seed)));
    let callers = (0..32_usize).map(|number| {
        let sessions = processes[number % 2].clone();
        tokio::spawn(async move {
            let mut granted = 0;
            for round in 0..30 {
                let id = format!("s{}", (number + round) % 8);
                match use_tools(&sessions, &id, call("search")).await {
                    Ok(_) => granted += 1,
                    Err(error) => assert_eq!(code::<()>(Err(error)), "budget_exceeded"),
                }
            }
            granted
        })
    });
    let mut granted = 0;
    for caller in callers.collect::<Vec<_>>() {
        granted += caller.await.expect("no panic");
    }
    let mut used = 0;
    for number in 0..8 {
        let session = world.get(&format!("s{number}")).await;
        let history = world.history(&format!("s{number}")).await;
        assert_eq!(u64::try_from(history.len()), Ok(session.calls_made));
        used += session.budget.calls.used;
    }
    assert_eq!((granted, used), (400, 400));
}
