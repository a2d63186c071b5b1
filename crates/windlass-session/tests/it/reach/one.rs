//! What names one session.

use std::sync::Arc;

use futures_util::future::join_all;
use windlass_core::{BoxFuture, Coded, OperationId, SessionId, Sharing};
use windlass_session::{
    Agent, Caller, Config, Create, Delegate, Outcome, SessionError, Sessions, Settle, TopUp,
    TreeCursor, TreeQuery,
};
use windlass_store_testing::Counting;

use super::{all, create, delegate, own};
use crate::support::{
    DAY, HOUR, SECOND, World, call, code, delegation, operation, request, session_id, slow, strict,
};

/// Alice's sessions, in every state there is, and those below them.
const THEIRS: [&str; 5] = ["root", "child", "closed", "expired", "beside"];

async fn world(config: Config) -> World {
    let world = World::with_config(config);
    let alice = all("alice");
    let brief = request(|request| {
        request.id = Some(session_id("expired"));
        request.time_limit_ms = SECOND;
    });
    world.sessions.create(&alice, brief).await.expect("created");
    for id in ["root", "closed", "beside"] {
        create(&world.sessions, &alice, id).await;
    }
    delegate(&world.sessions, &alice, "root", "child").await;
    let closed = world
        .sessions
        .close(&alice, &session_id("closed"), None)
        .await;
    closed.expect("closed");
    let mut reserved = call("search");
    reserved.items[0].reserve = true;
    let used = world
        .sessions
        .use_tools(&alice, &session_id("beside"), reserved)
        .await;
    used.expect("granted");
    world.env.advance_ms(2 * SECOND);
    world
}

type Ask = for<'a> fn(&'a Sessions, &'a Caller, &'a On) -> BoxFuture<'a, String>;

/// The session that is asked about, and an operation id that was never used.
struct On {
    id: SessionId,
    operation: OperationId,
}

fn told<T: std::fmt::Debug>(answer: &Result<T, SessionError>) -> String {
    format!("{answer:?}")
}

fn settlement() -> Settle {
    Settle {
        agent: Agent::Unchecked,
        call: 1,
        outcome: Outcome::Refund,
        operation: None,
    }
}

fn more() -> TopUp {
    TopUp {
        calls: 1,
        ..TopUp::default()
    }
}

/// Everything that names a session.
fn asks() -> Vec<(&'static str, Ask)> {
    vec![
        ("get", |it, who, on| {
            Box::pin(async { told(&it.get(who, &on.id).await) })
        }),
        ("use", |it, who, on| {
            Box::pin(async { told(&it.use_tools(who, &on.id, call("search")).await) })
        }),
        ("use with an operation id", |it, who, on| {
            let mut request = call("search");
            request.operation = Some(on.operation.clone());
            Box::pin(async { told(&it.use_tools(who, &on.id, request).await) })
        }),
        ("use for another agent", |it, who, on| {
            let mut request = call("search");
            request.agent = Agent::Is("other".parse().expect("an identifier"));
            Box::pin(async { told(&it.use_tools(who, &on.id, request).await) })
        }),
        ("settle", |it, who, on| {
            Box::pin(async { told(&it.settle(who, &on.id, settlement()).await) })
        }),
        ("top up", |it, who, on| {
            Box::pin(async { told(&it.top_up(who, &on.id, more()).await) })
        }),
        ("delegate", |it, who, on| {
            let request = delegation("new", |_| {});
            Box::pin(async { told(&it.delegate(who, &on.id, request).await) })
        }),
        ("delegate with an operation id", |it, who, on| {
            let request = delegation("new", |asked: &mut Delegate| {
                asked.child.operation = Some(on.operation.clone());
            });
            Box::pin(async { told(&it.delegate_under_cap(who, &on.id, request, None).await) })
        }),
        ("tree", |it, who, on| {
            Box::pin(async { told(&it.tree(who, &on.id, &TreeQuery::default()).await) })
        }),
        ("tree after a cursor", |it, who, on| {
            let after: Result<TreeCursor, _> = format!("{}/child", on.id).parse();
            let query = TreeQuery {
                limit: 1,
                after: Some(after.expect("a cursor")),
            };
            Box::pin(async move { told(&it.tree(who, &on.id, &query).await) })
        }),
        ("history", |it, who, on| {
            Box::pin(async { told(&it.history(who, &on.id, 0, 10).await) })
        }),
        ("close", |it, who, on| {
            Box::pin(async { told(&it.close(who, &on.id, None).await) })
        }),
        ("close with an operation id", |it, who, on| {
            let operation = Some(on.operation.clone());
            Box::pin(async { told(&it.close(who, &on.id, operation).await) })
        }),
    ]
}

/// What asking comes to: the answer, its reads and commits, and whether any
/// row is another than before.
async fn ask(
    world: &World,
    ask: Ask,
    who: &Caller,
    id: &str,
    warm: bool,
) -> (String, u64, u64, bool) {
    let counting = Arc::new(Counting::new(strict(&world.ground)));
    let sessions = world.over(Arc::clone(&counting) as _);
    if warm {
        // What its owner did here is remembered here.
        let (owner, id) = (all("alice"), session_id(id));
        let used = sessions.use_tools(&owner, &id, call("search")).await;
        assert_ne!(used.map_err(|error| error.code()).err(), Some("busy"));
    }
    let (before, rows) = (counting.counts(), world.rows().await);
    let on = On {
        id: session_id(id),
        operation: operation("never-used"),
    };
    let answer = ask(&sessions, who, &on).await;
    let cost = counting.counts() - before;
    let changed = world.rows().await != rows;
    (answer, cost.reads, cost.commits, changed)
}

async fn foreign_is_as_unknown(sharing: Sharing, warm: bool) {
    let config = Config {
        sharing,
        ..Config::default()
    };
    let world = world(config).await;
    let bob = own("bob");
    for (name, it) in asks() {
        for id in THEIRS {
            let unknown = ask(&world, it, &bob, "unknown", warm).await;
            let foreign = ask(&world, it, &bob, id, warm).await;
            assert_eq!(foreign, unknown, "{name} of {id}");
            let nothing = ["Ok(None)", "Err(NotFound)"];
            assert!(nothing.contains(&&*foreign.0), "{name}: {}", foreign.0);
        }
    }
}

#[tokio::test]
async fn what_another_created_is_as_absent_as_what_nobody_did() {
    foreign_is_as_unknown(Sharing::Shared, false).await;
}

#[tokio::test]
async fn what_this_process_remembers_of_another_gives_nothing_away() {
    foreign_is_as_unknown(Sharing::Shared, true).await;
    foreign_is_as_unknown(Sharing::Exclusive, true).await;
}

#[tokio::test]
async fn what_a_caller_created_is_there_for_it() {
    for (name, it) in asks() {
        let world = world(Config::default()).await;
        create(&world.sessions, &own("bob"), "mine").await;
        delegate(&world.sessions, &own("bob"), "mine", "child-of-mine").await;
        let mut reserved = call("search");
        reserved.items[0].reserve = true;
        let used = world
            .sessions
            .use_tools(&own("bob"), &session_id("mine"), reserved)
            .await;
        used.expect("granted");
        let mine = ask(&world, it, &own("bob"), "mine", false).await.0;
        let for_all = ask(&world, it, &all("bob"), "mine", false).await.0;
        assert!(
            mine.starts_with("Ok(") && mine != "Ok(None)" || name.contains("agent"),
            "{name}: {mine}"
        );
        if [
            "get",
            "tree",
            "tree after a cursor",
            "use for another agent",
        ]
        .contains(&name)
        {
            assert_eq!(mine, for_all, "{name}");
        }
    }
}

#[tokio::test]
async fn an_operation_id_opens_no_session_of_another() {
    let world = world(Config::default()).await;
    let mut request = call("search");
    request.operation = Some(operation("once"));
    let id = session_id("beside");
    let used = world
        .sessions
        .use_tools(&all("bob"), &id, request.clone())
        .await;
    used.expect("granted to one who reaches all");
    for sessions in [world.sessions.clone(), world.reopen()] {
        let again = sessions.use_tools(&own("bob"), &id, request.clone()).await;
        assert_eq!(code(again), "not_found");
        let mut other = call("fetch");
        other.operation = Some(operation("once"));
        let other = sessions.use_tools(&own("bob"), &id, other).await;
        assert_eq!(code(other), "not_found");
    }
}

#[tokio::test]
async fn an_id_that_is_in_use_is_refused_whoever_uses_it() {
    let world = world(Config::default()).await;
    for id in THEIRS {
        let request = request(|request: &mut Create| request.id = Some(session_id(id)));
        let created = world.sessions.create(&own("bob"), request).await;
        assert_eq!(code(created), "already_exists", "{id}");
    }
}

#[tokio::test]
async fn callers_of_one_session_share_a_run_and_not_its_answers() {
    let world = world(Config::default()).await;
    for seed in 0..8 {
        let sessions = world.over(slow(&world.ground, seed));
        let callers = [
            all("alice"),
            own("bob"),
            own("alice"),
            all("bob"),
            own("carol"),
        ];
        let id = session_id("beside");
        let before = world.rows().await.len();
        let uses = callers
            .iter()
            .map(|caller| sessions.top_up(caller, &id, more()));
        let codes: Vec<_> = join_all(uses)
            .await
            .into_iter()
            .map(|it| it.is_ok())
            .collect();
        assert_eq!(codes, [true, false, true, true, false], "{seed}");
        assert!(world.rows().await.len() > before, "{seed}");
    }
}

#[tokio::test]
async fn an_id_that_changed_hands_is_its_new_owners() {
    let world = World::new();
    create(&world.sessions, &all("alice"), "s1").await;
    let id = session_id("s1");
    let used = world
        .sessions
        .use_tools(&own("alice"), &id, call("search"))
        .await;
    used.expect("granted, and remembered");
    let elsewhere = world.reopen();
    world.env.advance_ms(8 * DAY + HOUR);
    while elsewhere.sweep(100).await.expect("swept").truncated {}
    create(&elsewhere, &own("bob"), "s1").await;
    let used = world
        .sessions
        .use_tools(&own("bob"), &id, call("search"))
        .await;
    assert_eq!(used.expect("granted").first_call, 1);
    let used = world
        .sessions
        .use_tools(&own("alice"), &id, call("search"))
        .await;
    assert_eq!(code(used), "not_found");
}
