//! Listings, trees, counts, and what concerns all of an agent's sessions.

use std::sync::Arc;

use futures_util::future::join_all;
use windlass_session::{Caller, ListQuery, Sessions, Status, TreeCursor, TreeQuery};

use super::{all, create, delegate, own};
use crate::support::{SECOND, World, agent, delegation, request, session_id};

/// Sessions a second apart, by turns of two principals; those of Alice have
/// ids that begin with `hidden`.
async fn mixed(count: u64) -> World {
    let world = World::new();
    for number in 0..count {
        let (who, id) = if number % 3 == 0 {
            ("bob", format!("s{number:02}"))
        } else {
            ("alice", format!("hidden{number:02}"))
        };
        create(&world.sessions, &all(who), &id).await;
        if number % 2 == 0 {
            let closed = world
                .sessions
                .close(&all(who), &session_id(&id), None)
                .await;
            closed.expect("closed");
        }
        world.env.advance_ms(SECOND);
    }
    world
}

/// What all pages of a listing show, and the cursors between them.
async fn pages(
    sessions: &Sessions,
    who: &Caller,
    mut query: ListQuery,
) -> (Vec<String>, Vec<String>) {
    let (mut names, mut cursors) = (Vec::new(), Vec::new());
    loop {
        let page = sessions.list(who, &query).await.expect("a page");
        assert!(
            page.sessions.len() <= query.limit,
            "{}",
            page.sessions.len()
        );
        names.extend(page.sessions.iter().map(|one| one.id.to_string()));
        let Some(next) = page.next else {
            return (names, cursors);
        };
        cursors.push(next.to_string());
        query.after = Some(next.to_string().parse().expect("its own text"));
    }
}

#[tokio::test]
async fn listings_show_a_caller_its_own_and_name_no_other() {
    let world = mixed(20).await;
    let mine: Vec<String> = (0..20).step_by(3).map(|it| format!("s{it:02}")).collect();
    let closed: Vec<String> = (0..20).step_by(6).map(|it| format!("s{it:02}")).collect();
    let queries = [1, 2, 3, 7, 100].into_iter().flat_map(|limit| {
        let orders = [(limit, false), (limit, true)];
        orders.map(|(limit, newest_first)| ListQuery {
            limit,
            newest_first,
            agent: (limit != 2).then(agent),
            ..ListQuery::default()
        })
    });
    for query in queries {
        for (status, expected) in [(None, &mine), (Some(Status::Closed), &closed)] {
            let query = ListQuery {
                status,
                ..query.clone()
            };
            list_own(&world.sessions, &query, expected).await;
            // Whose pages hold more than one row.
            let plain = world.over(Arc::clone(&world.ground) as _);
            list_own(&plain, &query, expected).await;
        }
    }
    let (all_of_them, none) = (all("bob"), own("carol"));
    let query = ListQuery::default();
    assert_eq!(
        pages(&world.sessions, &all_of_them, query.clone())
            .await
            .0
            .len(),
        20
    );
    assert_eq!(pages(&world.sessions, &none, query).await.0.len(), 0);
}

async fn list_own(sessions: &Sessions, query: &ListQuery, expected: &[String]) {
    let (mut seen, cursors) = pages(sessions, &own("bob"), query.clone()).await;
    if query.newest_first {
        seen.reverse();
    }
    assert_eq!(seen, expected, "{query:?}");
    let named = cursors.iter().filter(|it| it.contains("hidden")).count();
    assert_eq!(named, 0, "{cursors:?}");
}

/// Bob's first and last sessions, with 1,200 of Alice's, closed, in between.
async fn buried() -> World {
    let world = World::new();
    create(&world.sessions, &all("bob"), "first").await;
    let alice = all("alice");
    for group in 0..24 {
        world.env.advance_ms(SECOND);
        let made = (0..50).map(|number| {
            let id = session_id(&format!("hidden{group}-{number}"));
            let request = request(|request| request.id = Some(id));
            world.sessions.create(&alice, request)
        });
        for made in join_all(made).await {
            made.expect("created");
        }
    }
    let closed = world.sessions.close_agent(&alice, &agent()).await;
    assert_eq!(closed.expect("closed"), 1_201);
    world.env.advance_ms(SECOND);
    create(&world.sessions, &all("bob"), "last").await;
    world
}

#[tokio::test]
async fn a_page_that_passes_over_many_ends_early_and_says_where() {
    let world = buried().await;
    for newest_first in [false, true] {
        let query = ListQuery {
            newest_first,
            ..ListQuery::default()
        };
        let (mut seen, cursors) = pages(&world.sessions, &own("bob"), query).await;
        if newest_first {
            seen.reverse();
        }
        assert_eq!(seen, ["first", "last"]);
        assert_eq!(cursors.len(), 1, "{cursors:?}");
        assert!(cursors[0].ends_with(".."), "{cursors:?}");
    }
    let active = ListQuery {
        status: Some(Status::Active),
        limit: 1,
        ..ListQuery::default()
    };
    let (seen, cursors) = pages(&world.sessions, &all("carol"), active).await;
    assert_eq!((seen, cursors.len()), (vec!["last".to_owned()], 1));
}

#[tokio::test]
async fn counting_and_closing_an_agents_sessions_concern_a_callers_own() {
    let world = World::new();
    for number in 0..40 {
        let who = if number % 4 == 0 { "bob" } else { "alice" };
        create(&world.sessions, &all(who), &format!("s{number}")).await;
    }
    let mut counts = Vec::new();
    for who in [own("bob"), own("alice"), own("carol"), all("carol")] {
        let count = world.sessions.count_active(&who, &agent()).await;
        counts.push(count.expect("a count"));
    }
    assert_eq!(counts, [10, 30, 0, 40]);
    let mut closed = Vec::new();
    for who in [
        own("carol"),
        own("bob"),
        own("bob"),
        own("alice"),
        all("carol"),
    ] {
        let count = world.sessions.close_agent(&who, &agent()).await;
        closed.push(count.expect("closed"));
    }
    assert_eq!(closed, [0, 10, 0, 30, 0]);
}

async fn tree(world: &World, who: &Caller, limit: usize) -> Vec<(usize, String)> {
    let mut query = TreeQuery { limit, after: None };
    let mut seen = Vec::new();
    loop {
        let page = world.sessions.tree(who, &session_id("mine"), &query).await;
        let page = page.expect("a page").expect("a session");
        seen.extend(
            page.nodes
                .iter()
                .map(|node| (node.depth, node.session.id.to_string())),
        );
        match page.next {
            Some(next) => query.after = Some(next.to_string().parse().expect("its own text")),
            None => return seen,
        }
    }
}

#[tokio::test]
async fn a_tree_leaves_out_what_others_created_and_what_is_below() {
    let world = World::new();
    create(&world.sessions, &own("bob"), "mine").await;
    delegate(&world.sessions, &all("alice"), "mine", "a-hidden").await;
    let asked = delegation("deep", |request| request.child.budget.calls = 1);
    let made = world
        .sessions
        .delegate(&all("bob"), &session_id("a-hidden"), asked)
        .await;
    made.expect("within its parent");
    delegate(&world.sessions, &own("bob"), "mine", "b-mine").await;
    delegate(&world.sessions, &all("alice"), "mine", "c-hidden").await;
    for limit in [1, 2, 3, 100] {
        let mine = [(0, "mine".to_owned()), (1, "b-mine".to_owned())];
        assert_eq!(tree(&world, &own("bob"), limit).await, mine, "{limit}");
        assert_eq!(tree(&world, &all("bob"), limit).await.len(), 5);
    }
    let through: TreeCursor = "mine/a-hidden".parse().expect("a cursor");
    let query = TreeQuery {
        limit: 100,
        after: Some(through),
    };
    let page = world
        .sessions
        .tree(&own("bob"), &session_id("mine"), &query)
        .await;
    let page = page.expect("a page").expect("a session");
    let seen: Vec<_> = page
        .nodes
        .iter()
        .map(|node| node.session.id.as_str())
        .collect();
    assert_eq!(seen, ["b-mine"]);
    let deep = world.sessions.get(&own("bob"), &session_id("deep")).await;
    assert_eq!(
        deep.expect("readable").map(|it| it.principal.to_string()),
        Some("bob".to_owned())
    );
}

#[tokio::test]
async fn what_ends_above_ends_below_whoever_created_it() {
    let world = World::new();
    create(&world.sessions, &own("bob"), "mine").await;
    delegate(&world.sessions, &all("alice"), "mine", "theirs").await;
    let closed = world
        .sessions
        .close(&own("bob"), &session_id("mine"), None)
        .await;
    closed.expect("closed");
    let theirs = world
        .sessions
        .get(&own("alice"), &session_id("theirs"))
        .await;
    let theirs = theirs.expect("readable").expect("its creator's own");
    assert_eq!(theirs.status, Status::Closed);
    assert_eq!(theirs.ended_through, Some(session_id("mine")));
}

#[tokio::test]
async fn damage_is_shown_to_its_owner_and_to_those_who_reach_all() {
    let world = mixed(6).await;
    for id in ["s00", "s03", "hidden01", "hidden02"] {
        world
            .put(&format!("acme/session/{id}/head"), "no record")
            .await;
    }
    world.put("acme/session/s03/spec", "no record").await;
    let mut seen = Vec::new();
    for who in [all("carol"), own("bob"), own("alice"), own("carol")] {
        let page = world.sessions.list(&who, &ListQuery::default()).await;
        let page = page.expect("a page");
        let ids = page.unreadable.iter().map(|it| it.id.to_string());
        seen.push((page.sessions.len(), ids.collect::<Vec<_>>().join(" ")));
    }
    let expected = [
        (2, "s00 hidden01 hidden02 s03"),
        (0, "s00"),
        (2, "hidden01 hidden02"),
        (0, ""),
    ];
    assert_eq!(seen, expected.map(|(count, ids)| (count, ids.to_owned())));
    let closed = world.sessions.close_agent(&own("alice"), &agent()).await;
    let failed = closed.expect_err("two of its own cannot be read");
    assert_eq!(failed.closed, 1);
}
