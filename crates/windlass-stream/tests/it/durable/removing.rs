//! A stream that is removed is gone, and its rows stay for as long as forks
//! need them.

use windlass_core::Coded;
use windlass_stream::From;

use super::{Desk, fork, of, post};
use crate::support::World;

#[tokio::test]
async fn a_path_that_is_free_again_leads_to_another_stream() {
    let world = World::new();
    let desk = Desk::new(&world);
    desk.made("a", &["old", "er"]).await;
    let old = desk.piece("a", From::Start).await.expect("there").stream;
    desk.remove("a").await.expect("there");
    assert_eq!(desk.remove("a").await, Err("not_found"));
    assert_eq!(desk.body("a").await, "not_found");
    let made = desk.put("a", &of("application/json")).await.expect("free");
    assert!(made.created && made.view.stream != old, "{made:?}");
    assert_eq!(desk.body("a").await, "");
    desk.remove("a").await.expect("there");
    assert_eq!(world.keys().await, Vec::<String>::new());
}

#[tokio::test]
async fn the_rows_of_a_removed_source_go_with_its_last_fork_by_cascade() {
    let world = World::new();
    let desk = Desk::new(&world);
    desk.made("a", &["1"]).await;
    desk.put("b", &fork("a", None, 0)).await.expect("a fork");
    desk.post("b", &post("2")).await.expect("open");
    desk.put("c", &fork("b", None, 0)).await.expect("a fork");
    desk.put("d", &fork("a", None, 0)).await.expect("a fork");
    for source in ["a", "b"] {
        desk.remove(source).await.expect("there");
        assert_eq!(desk.remove(source).await, Err("stream_deleted"));
        assert_eq!(desk.body(source).await, "stream_deleted");
        let posted = desk.post(source, &post("x")).await.map_err(|it| it.code());
        assert_eq!(posted.map(drop), Err("stream_deleted"));
        for wanted in [of("text/plain"), fork(source, None, 0)] {
            let put = desk.put(source, &wanted).await.expect_err("taken");
            assert_eq!(put.code(), "stream_deleted");
        }
        let put = desk.put("e", &fork(source, None, 0)).await;
        assert_eq!(put.expect_err("removed").code(), "stream_deleted");
    }
    assert_eq!(
        (desk.body("c").await, desk.body("d").await),
        ("12".into(), "1".into())
    );
    desk.remove("d").await.expect("there");
    assert_eq!(desk.body("c").await, "12");
    desk.remove("c").await.expect("there");
    assert_eq!(
        (desk.shown("a").await, desk.shown("b").await),
        (Err("not_found"), Err("not_found"))
    );
    world.streams.sweep(100).await.expect("a store that works");
    assert_eq!(world.keys().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_source_outlives_its_forks_if_nobody_removed_it() {
    let world = World::new();
    let desk = Desk::new(&world);
    desk.made("a", &["1"]).await;
    let before = world.keys().await;
    for name in ["b", "c"] {
        desk.put(name, &fork("a", None, 0)).await.expect("a fork");
        desk.remove(name).await.expect("there");
    }
    world.streams.sweep(100).await.expect("a store that works");
    assert_eq!(
        (desk.body("a").await, world.keys().await),
        ("1".into(), before)
    );
}
