//! Processes that commit to the same states on the same revisions.

use std::collections::{BTreeMap, BTreeSet};

use windlass::Windlass;
use windlass::core::SessionId;

use super::{Place, Player, Role, tell};
use crate::races::{Way, begin, commits, dump, reader, tells, write};

/// States that are raced for, one after the other.
const STATES: u64 = 4;
/// Revisions of each. Fewer than there are commits before some are packed
/// together, so that what is stored can be looked through as text.
const REVISIONS: u64 = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_processes_on_one_revision_one_wins_and_nothing_of_the_other_is_left() {
    race_for_revisions(&Place::new("sqlite")).await;
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_clients_of_a_server_one_wins_and_nothing_of_the_other_is_left() {
    race_for_revisions(&Place::new("postgres")).await;
}

/// What was told of the commits of one state.
#[derive(Debug, Default)]
struct Told {
    /// Who made each revision.
    won: BTreeMap<u64, String>,
    lost: BTreeSet<String>,
}

async fn race_for_revisions(place: &Place) {
    let engine = place.open().await;
    for state in 0..STATES {
        begin(&engine, &format!("state-{state}")).await;
    }
    let mut children = [(); 2].map(|()| Player::start(Role::Writer, place));
    for child in &mut children {
        assert_eq!(child.hear().as_deref(), Some("ready"));
    }
    for child in &mut children {
        child.say("go");
    }
    let mut told: BTreeMap<SessionId, Told> = BTreeMap::new();
    for line in children.into_iter().flat_map(Player::finish) {
        let words: Vec<&str> = line.split(' ').collect();
        let [state, expected, actual, outcome, word] = words[..] else {
            panic!("a child told `{line}`");
        };
        let [expected, actual]: [u64; 2] = [expected, actual].map(|it| it.parse().unwrap());
        let told = told.entry(state.parse().unwrap()).or_default();
        assert!(actual > expected, "`{line}`");
        if outcome == "won" {
            assert_eq!(actual, expected + 1, "`{line}`");
            let before = told.won.insert(actual, word.to_owned());
            assert_eq!(before, None, "`{line}`");
        } else {
            assert!(actual <= REVISIONS, "`{line}`");
            told.lost.insert(word.to_owned());
        }
    }
    check(&engine, &told).await;
    engine.close().await.unwrap();
}

async fn check(engine: &Windlass, told: &BTreeMap<SessionId, Told>) {
    assert_eq!(told.len() as u64, STATES);
    let dump = dump(engine).await;
    for (state, told) in told {
        let commits = commits(engine, state).await;
        let made = commits
            .iter()
            .map(|it| (it.revision, it.turn.clone().unwrap().to_string()));
        assert_eq!(made.collect::<BTreeMap<_, _>>(), told.won, "{state}");
        assert_eq!(told.won.len() as u64, REVISIONS, "{state}");
        for word in told.won.values() {
            assert!(tells(&dump, word), "{state}: {word} won and is gone");
        }
        for word in &told.lost {
            assert!(!tells(&dump, word), "{state}: {word} lost and is there");
        }
    }
    let lost: usize = told.values().map(|it| it.lost.len()).sum();
    assert!(lost > 0, "nobody ever lost: there was no race");
    let winners = told.values().flat_map(|it| it.won.values());
    let turns = winners.filter(|word| word.ends_with("Turn")).count();
    assert!(turns > 0, "no turn ever won");
}

/// Commits to one state after the other, each time on top of what it finds,
/// and tells what came of it.
pub(super) async fn play_writer(engine: Windlass) {
    tell("ready");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    let mut number = 0;
    for state in 0..STATES {
        let state: SessionId = format!("state-{state}").parse().unwrap();
        loop {
            let head = engine.checkpoints().head(&reader(), &state).await.unwrap();
            let revision = head.map_or(0, |head| head.revision);
            if revision >= REVISIONS {
                break;
            }
            number += 1;
            let way = [Way::Commit, Way::Turn][number % 2];
            let word = format!("p{}-n{number}-{way:?}", std::process::id());
            let line = match write(&engine, way, &state, revision, &word).await {
                Ok(made) => format!("{state} {revision} {made} won {word}"),
                Err(actual) => format!("{state} {revision} {actual} lost {word}"),
            };
            tell(&line);
        }
    }
}
