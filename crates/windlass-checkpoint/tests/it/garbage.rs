//! Collections that are due: bounded in all, and gone on with.

use windlass_checkpoint::{Collect, Sweep};

use crate::support::{HOUR, World, caller, id};

const SESSIONS: usize = 6;

/// Sessions whose states were removed, long enough ago to be collected.
async fn removed() -> World {
    let world = World::new();
    for number in 0..SESSIONS {
        let session = format!("s{number}");
        let large = format!("[\"{}\"]", "word ".repeat(4_000));
        let part = "state".parse().expect("a part name");
        let changes = windlass_checkpoint::Changes::default().json(part, large);
        world.commit(&session, changes).await.expect("a state");
        let gone = world.states.remove(&caller().tenant, &id(&session)).await;
        gone.expect("a removal");
    }
    world.env.advance_ms(2 * HOUR);
    world
}

#[tokio::test]
async fn a_round_is_bounded_over_all_lineages_and_the_next_goes_on() {
    const LIMIT: u64 = 40;
    let world = removed().await;
    let none = world.states.collect_due(Sweep::Due, Collect::default(), 0);
    assert_eq!(none.await.expect("nothing").lineages, 0);
    let first = world
        .states
        .collect_due(Sweep::Due, Collect::default(), LIMIT);
    let first = first.await.expect("a round");
    assert!(first.collected.truncated, "{first:?}");
    assert!(first.lineages < SESSIONS as u64, "{first:?}");
    for _ in 0..200 {
        let round = world
            .states
            .collect_due(Sweep::Due, Collect::default(), LIMIT);
        if !round.await.expect("a round").collected.truncated {
            let left = world.states.lineages(&caller().tenant, None, 10).await;
            assert_eq!(left.expect("a read"), Vec::<String>::new());
            return;
        }
    }
    panic!("rounds get no further");
}
