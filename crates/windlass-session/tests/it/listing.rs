//! Listings: filters, pages, order, and what they do with what is gone.

use windlass_session::{ListCursor, ListQuery, SessionPage, Status};

use crate::support::{SECOND, START, World, agent, caller, caller_of, close, code, session_id};

/// Twelve sessions a second apart: every third closed, every fourth of
/// another agent, the last two expired.
async fn populated() -> World {
    let world = World::new();
    for number in 0..12_u64 {
        world
            .create(|request| {
                request.id = Some(session_id(&name(number)));
                if number % 4 == 3 {
                    request.agent = "other".parse().expect("an identifier");
                }
                if number >= 10 {
                    request.time_limit_ms = SECOND;
                }
            })
            .await;
        if number % 3 == 2 {
            close(&world.sessions, &name(number)).await.expect("closed");
        }
        world.env.advance_ms(SECOND);
    }
    world
}

fn name(number: u64) -> String {
    format!("s{number:02}")
}

async fn page(world: &World, query: &ListQuery) -> SessionPage {
    let page = world.sessions.list(&caller(), query).await;
    page.expect("a page")
}

/// All pages of a query, and how many there were.
async fn pages(world: &World, mut query: ListQuery) -> (Vec<String>, usize) {
    let mut names = Vec::new();
    for count in 1.. {
        let page = page(world, &query).await;
        assert!(
            page.sessions.len() <= query.limit,
            "{}",
            page.sessions.len()
        );
        names.extend(page.sessions.iter().map(|one| one.id.to_string()));
        let Some(next) = page.next else {
            return (names, count);
        };
        let text = next.to_string();
        query.after = Some(text.parse::<ListCursor>().expect("its own text"));
    }
    unreachable!("a listing ends")
}

#[tokio::test]
async fn pages_of_any_size_give_every_session_once_in_order() {
    let world = populated().await;
    let all: Vec<String> = (0..12).map(name).collect();
    let reversed: Vec<String> = (0..12).rev().map(name).collect();
    for limit in [1, 2, 5, 11, 12, 13, 1_000] {
        let query = ListQuery {
            limit,
            ..ListQuery::default()
        };
        assert_eq!(
            pages(&world, query).await,
            (all.clone(), 12_usize.div_ceil(limit))
        );
        let query = ListQuery {
            limit,
            newest_first: true,
            ..ListQuery::default()
        };
        assert_eq!(pages(&world, query).await.0, reversed, "{limit}");
    }
}

#[tokio::test]
async fn filters_by_agent_status_and_time_combine() {
    let world = populated().await;
    let at = |number: u64| START.plus_ms(number * SECOND);
    let table: [(ListQuery, &[u64]); 7] = [
        (
            ListQuery {
                agent: Some(agent()),
                ..ListQuery::default()
            },
            &[0, 1, 2, 4, 5, 6, 8, 9, 10],
        ),
        (
            ListQuery {
                status: Some(Status::Closed),
                ..ListQuery::default()
            },
            &[2, 5, 8, 11],
        ),
        (
            ListQuery {
                status: Some(Status::Expired),
                ..ListQuery::default()
            },
            &[10],
        ),
        (
            ListQuery {
                created_from: at(9),
                ..ListQuery::default()
            },
            &[9, 10, 11],
        ),
        (
            ListQuery {
                created_until: at(2),
                ..ListQuery::default()
            },
            &[0, 1],
        ),
        (
            ListQuery {
                created_from: at(1),
                created_until: at(6),
                agent: Some(agent()),
                status: Some(Status::Active),
                ..ListQuery::default()
            },
            &[1, 4],
        ),
        (
            ListQuery {
                created_from: at(5),
                created_until: at(5),
                ..ListQuery::default()
            },
            &[],
        ),
    ];
    for (query, expected) in table {
        let expected: Vec<String> = expected.iter().map(|number| name(*number)).collect();
        for limit in [1, 3, 100] {
            let query = ListQuery {
                limit,
                ..query.clone()
            };
            assert_eq!(pages(&world, query.clone()).await.0, expected, "{query:?}");
        }
    }
}

#[tokio::test]
async fn a_listing_shows_its_own_tenant_only() {
    let world = populated().await;
    let foreign = caller_of("umbrella", "runtime");
    let page = world.sessions.list(&foreign, &ListQuery::default()).await;
    assert_eq!(page.expect("a page"), SessionPage::default());
}

#[tokio::test]
async fn a_limit_outside_its_bounds_is_invalid() {
    let world = World::new();
    for limit in [0, 1_001, usize::MAX] {
        let query = ListQuery {
            limit,
            ..ListQuery::default()
        };
        assert_eq!(
            code(world.sessions.list(&caller(), &query).await),
            "invalid_request"
        );
    }
    for text in ["", "12", "x.s1", "12.", "12./", "-1.s1"] {
        assert_eq!(
            code(text.parse::<ListCursor>()),
            "invalid_request",
            "{text:?}"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_named_once_over_all_pages() {
    let world = populated().await;
    for number in [0, 1, 5, 11] {
        let key = format!("acme/session/{}/spec", name(number));
        world.put(&key, "not a record").await;
    }
    for limit in [1, 2, 3, 100] {
        let mut query = ListQuery {
            limit,
            ..ListQuery::default()
        };
        let (mut shown, mut unreadable) = (0, Vec::new());
        loop {
            let page = page(&world, &query).await;
            assert!(
                page.sessions.len() + page.unreadable.len() <= limit,
                "{page:?}"
            );
            shown += page.sessions.len();
            unreadable.extend(page.unreadable.into_iter().map(|one| one.id.to_string()));
            match page.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
        assert_eq!((shown, unreadable), (8, [0, 1, 5, 11].map(name).to_vec()));
    }
}

#[tokio::test]
async fn a_session_lost_while_its_index_row_was_not_is_reported() {
    let world = populated().await;
    for part in ["head", "spec"] {
        world.delete(&format!("acme/session/s04/{part}")).await;
    }
    let page = page(&world, &ListQuery::default()).await;
    assert_eq!(page.sessions.len(), 11);
    let unreadable: Vec<_> = page.unreadable.iter().map(|one| one.why.as_str()).collect();
    assert_eq!(
        unreadable,
        ["the stored session head cannot be read: it is missing"]
    );
}

#[tokio::test]
async fn a_listing_shows_what_another_process_just_wrote() {
    let world = populated().await;
    let other = world.reopen();
    close(&other, "s00").await.expect("closed");
    let page = page(
        &world,
        &ListQuery {
            limit: 1,
            ..ListQuery::default()
        },
    )
    .await;
    assert_eq!(page.sessions[0].status, Status::Closed);
}
