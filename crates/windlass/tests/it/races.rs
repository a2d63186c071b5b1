//! Writers that expect the same revision of one state: one wins, the others
//! are told which revision there is, and nothing of theirs is left.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::Barrier;
use windlass::checkpoint::{At, Changes, CheckpointError, Collect, LogEntry, Payload};
use windlass::core::{AgentId, SessionId};
use windlass::queue::Work;
use windlass::session::{Agent, Allow, Caller, Create, Use};
use windlass::store::{KeyRange, StoreExt};
use windlass::{Options, SystemEnv, TurnError, Windlass};

use crate::SCHEMES;
use crate::place::Place;

/// Races on one store. Fewer than there are commits before some are packed
/// together, so that all look alike.
const ROUNDS: u64 = 24;
/// Large enough to be stored ahead of its commit.
const LARGE_BYTES: usize = 600_000;

/// By which door writers come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Commit,
    Turn,
}

/// What a writer was told: the revision it made, or the one there is.
pub(crate) type Told = Result<u64, u64>;

/// Tries to commit `word` on top of revision `expected`: in a part, in a node
/// and as the id of the turn, which also makes a call and enqueues work.
pub(crate) async fn write(
    engine: &Windlass,
    way: Way,
    session: &SessionId,
    expected: u64,
    word: &str,
) -> Told {
    let said = || Payload::Json(format!("{{\"said\":\"{word}\"}}").into());
    let changes = Changes::at(expected)
        .put("plan".parse().unwrap(), said())
        .append("message", said())
        .turn(word.parse().unwrap());
    let refused = match way {
        Way::Commit => {
            let states = engine.checkpoints();
            match states.commit(&reader(), session, changes).await {
                Ok(done) => return Ok(done.revision),
                Err(error) => error,
            }
        }
        Way::Turn => {
            let who = caller();
            let turn = engine.turn(&who, session).state(changes);
            let turn = turn.uses(Use::one(Agent::Unchecked, "search".parse().unwrap()));
            let turn = turn.enqueue(session.clone(), Work::json("step", word).unwrap());
            match turn.commit().await {
                Ok(done) => return Ok(done.committed.revision),
                Err(TurnError::State(error)) => error,
                Err(other) => panic!("{word}: {other:?}"),
            }
        }
    };
    match refused {
        CheckpointError::HeadRevisionConflict {
            expected: asked,
            actual,
        } if asked == expected => Err(actual),
        other => panic!("{word}: {other:?}"),
    }
}

pub(crate) fn caller() -> Caller {
    Caller::new("acme".parse().unwrap(), "tests".parse().unwrap())
}

pub(crate) fn reader() -> windlass::checkpoint::Caller {
    windlass::checkpoint::Caller::new(caller().tenant, caller().principal)
}

/// A session that writers come to.
pub(crate) async fn begin(engine: &Windlass, name: &str) -> SessionId {
    let agent: AgentId = "writer".parse().unwrap();
    let mut request = Create::new(agent, "be written by several");
    request.id = Some(name.parse().unwrap());
    request.tools = Allow::All;
    request.budget.calls = 100_000;
    engine
        .sessions()
        .create(&caller(), request)
        .await
        .unwrap()
        .id
}

/// Everything stored, readable as far as it is text.
pub(crate) type Dump = BTreeMap<String, String>;

pub(crate) async fn dump(engine: &Windlass) -> Dump {
    let rows = engine.store().scan_all(KeyRange::all()).await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let rows = rows.iter().map(|row| (text(&row.key), text(&row.value)));
    rows.collect()
}

/// Whether a word is anywhere in what is stored.
pub(crate) fn tells(dump: &Dump, word: &str) -> bool {
    let mut rows = dump.iter();
    rows.any(|(key, value)| key.contains(word) || value.contains(word))
}

/// The commits of a session, oldest first, without a gap.
pub(crate) async fn commits(engine: &Windlass, session: &SessionId) -> Vec<LogEntry> {
    let (states, who) = (engine.checkpoints(), reader());
    let page = states.log(&who, session, None, 1_000).await;
    let page = page.unwrap().unwrap();
    assert_eq!(page.before, None);
    let mut commits = page.commits;
    commits.reverse();
    let revisions: Vec<u64> = commits.iter().map(|it| it.revision).collect();
    let last = u64::try_from(revisions.len()).unwrap();
    assert_eq!(revisions, (1..=last).collect::<Vec<u64>>());
    commits
}

/// What a race did to the rows of the state: how many of which kind came,
/// went and changed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Trace {
    came: BTreeMap<String, usize>,
    went: BTreeMap<String, usize>,
    changed: BTreeMap<String, usize>,
}

impl Trace {
    fn between(before: &Dump, after: &Dump, word: &str) -> Self {
        let mut trace = Self::default();
        let mut note = |of: fn(&mut Self) -> &mut BTreeMap<String, usize>, key: &str| {
            if key.contains("/checkpoint/") && !key.starts_with("due/") {
                *of(&mut trace).entry(kind(key, word)).or_default() += 1;
            }
        };
        for (key, value) in after {
            match before.get(key) {
                None => note(|it| &mut it.came, key),
                Some(old) if old != value => note(|it| &mut it.changed, key),
                Some(_) => {}
            }
        }
        for key in before.keys().filter(|key| !after.contains_key(*key)) {
            note(|it| &mut it.went, key);
        }
        trace
    }
}

/// A key without what differs from commit to commit.
fn kind(key: &str, word: &str) -> String {
    let key = key.replace(word, "WORD");
    key.replace(|digit: char| digit.is_ascii_digit(), "")
}

/// Two processes, as far as the store can be shared by two.
async fn two_engines(scheme: &str, place: &Place) -> [Windlass; 2] {
    let one = place.open().await;
    let other = match scheme {
        "sqlite" | "postgres" => place.open().await,
        _ => {
            let store = Arc::clone(one.store());
            Windlass::over(store, &Options::default(), Arc::new(SystemEnv::new())).unwrap()
        }
    };
    [one, other]
}

/// So many writers at once; what each was told, by its word.
async fn race(
    engines: &[Windlass; 2],
    way: Way,
    session: &SessionId,
    expected: u64,
    writers: usize,
) -> BTreeMap<String, Told> {
    let gate = Arc::new(Barrier::new(writers));
    let tasks = (0..writers).map(|number| {
        let (engine, session) = (engines[number % 2].clone(), session.clone());
        let (gate, word) = (Arc::clone(&gate), format!("r{expected}-w{number}-end"));
        tokio::spawn(async move {
            gate.wait().await;
            let told = write(&engine, way, &session, expected, &word).await;
            (word, told)
        })
    });
    let mut told = BTreeMap::new();
    for task in tasks.collect::<Vec<_>>() {
        told.extend([task.await.unwrap()]);
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_writers_of_one_revision_one_wins_and_nothing_of_the_others_is_left() {
    for scheme in SCHEMES {
        for way in [Way::Commit, Way::Turn] {
            let place = Place::new(scheme);
            race_on(scheme, way, &two_engines(scheme, &place).await).await;
        }
    }
}

async fn race_on(scheme: &str, way: Way, engines: &[Windlass; 2]) {
    let engine = &engines[0];
    let session = begin(engine, "raced").await;
    let mut winners: Vec<String> = Vec::new();
    let mut alone = None;
    // The first two commits have no rival: they show what a commit leaves.
    for revision in 0..ROUNDS {
        let place = format!("{scheme}, {way:?}, revision {revision}");
        let before = dump(engine).await;
        let writers = match revision {
            0..2 => 1,
            _ if revision % 3 == 0 => 8,
            _ => 2,
        };
        let told = race(engines, way, &session, revision, writers).await;
        let after = dump(engine).await;
        let won = told.iter().filter(|(_, told)| **told == Ok(revision + 1));
        let won: Vec<&String> = won.map(|(word, _)| word).collect();
        assert_eq!(won.len(), 1, "{place}: {told:?}");
        let lost = told.values().filter(|told| **told == Err(revision + 1));
        assert_eq!(lost.count(), writers - 1, "{place}: {told:?}");
        for word in told.keys() {
            assert_eq!(tells(&after, word), word == won[0], "{place}: {word}");
        }
        let trace = Trace::between(&before, &after, won[0]);
        match revision {
            0 => {}
            1 => alone = Some(trace),
            _ => assert_eq!(Some(trace), alone, "{place}"),
        }
        winners.push(won[0].clone());
    }
    check_sums(engine, way, &session, &winners).await;
    for engine in engines {
        engine.close().await.unwrap();
    }
}

/// There is one commit, one call and one piece of work for each that won.
async fn check_sums(engine: &Windlass, way: Way, session: &SessionId, winners: &[String]) {
    let commits = commits(engine, session).await;
    let turns = commits
        .iter()
        .map(|it| it.turn.clone().unwrap().to_string());
    assert_eq!(turns.collect::<Vec<_>>(), winners);
    let names: BTreeSet<_> = commits.iter().map(|it| &it.commit).collect();
    assert_eq!(names.len(), winners.len());
    let (states, who) = (engine.checkpoints(), reader());
    let path = states.path(&who, session, &At::Head, None, 1_000).await;
    let nodes = path.unwrap().unwrap().nodes;
    let words = nodes.iter().map(|node| {
        let text = node.payload.as_ref().unwrap().bytes();
        String::from_utf8_lossy(text).into_owned()
    });
    let said = winners
        .iter()
        .map(|word| format!("{{\"said\":\"{word}\"}}"));
    assert!(words.eq(said), "{nodes:?}");

    let expected = match way {
        Way::Commit => 0,
        Way::Turn => u64::try_from(winners.len()).unwrap(),
    };
    let stored = engine.sessions().get(&caller(), session).await.unwrap();
    let queue = windlass::queue::Caller::new(caller().tenant, caller().principal);
    let work = engine.queue().counts(&queue, session).await.unwrap();
    let sums = (stored.unwrap().budget.calls.used, work.pending);
    assert_eq!(sums, (expected, expected));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contents_that_losers_stored_ahead_are_collected_and_the_winners_stay() {
    for scheme in SCHEMES {
        let place = Place::new(scheme);
        let engines = two_engines(scheme, &place).await;
        let session = begin(&engines[0], "raced").await;
        let (won, content) = race_with_large_contents(&engines, &session).await;
        let collect = Collect {
            grace_ms: Some(0),
            ..Collect::default()
        };
        for _ in 0..2 {
            let states = engines[0].checkpoints();
            let tenant = caller().tenant;
            let report = states.collect_tenant(&tenant, collect, u64::MAX).await;
            assert_eq!(report.unwrap().collected.reasons, [], "{scheme}");
        }
        // The same contents, committed by somebody without a rival.
        let alone = begin(&engines[0], "alone").await;
        commit_large(&engines[0], &alone, content.clone()).await;
        let dump = dump(&engines[0]).await;
        let [raced, alone] = [contents(&dump, true), contents(&dump, false)];
        assert_eq!(raced, alone, "{scheme}, after {won} won");
        for engine in engines {
            engine.close().await.unwrap();
        }
    }
}

/// Four writers of large contents; which won, and with what.
async fn race_with_large_contents(
    engines: &[Windlass; 2],
    session: &SessionId,
) -> (usize, Payload) {
    let gate = Arc::new(Barrier::new(4));
    let tasks = (0..4_usize).map(|number| {
        let (engine, session) = (engines[number % 2].clone(), session.clone());
        let gate = Arc::clone(&gate);
        tokio::spawn(async move {
            gate.wait().await;
            let changes = Changes::at(0).put("file".parse().unwrap(), large(number));
            let states = engine.checkpoints();
            states.commit(&reader(), &session, changes).await
        })
    });
    let mut won = Vec::new();
    for (number, task) in tasks.collect::<Vec<_>>().into_iter().enumerate() {
        match task.await.unwrap() {
            Ok(done) => won.extend((done.revision == 1).then_some(number)),
            Err(error) => assert!(
                matches!(
                    error,
                    CheckpointError::HeadRevisionConflict {
                        expected: 0,
                        actual: 1
                    }
                ),
                "{error:?}"
            ),
        }
    }
    assert_eq!(won.len(), 1, "{won:?}");
    (won[0], large(won[0]))
}

/// Contents that nobody else has a piece of.
fn large(number: usize) -> Payload {
    let mut state = u64::try_from(number).unwrap() + 1;
    let bytes = (0..LARGE_BYTES).map(|_| {
        // Xorshift (Marsaglia, "Xorshift RNGs", 2003).
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    });
    Payload::Bytes(bytes.collect::<Vec<u8>>().into())
}

async fn commit_large(engine: &Windlass, session: &SessionId, content: Payload) {
    let changes = Changes::at(0).put("file".parse().unwrap(), content);
    let done = engine
        .checkpoints()
        .commit(&reader(), session, changes)
        .await;
    assert_eq!(done.unwrap().revision, 1);
}

/// The names of stored contents: of the lineage that comes first by its
/// members' names, or of the other one.
fn contents(dump: &Dump, raced: bool) -> BTreeSet<&str> {
    let member = if raced {
        "/member/raced"
    } else {
        "/member/alone"
    };
    let mut keys = dump.keys();
    let member = keys.find(|key| key.ends_with(member)).unwrap();
    let lineage = member.split_once("member/").unwrap().0;
    let rest = dump.keys().filter_map(|key| key.strip_prefix(lineage));
    let is_content = |rest: &&str| {
        let kinds = ["blob/", "list/", "chunk/", "condemned/"];
        kinds.iter().any(|kind| rest.starts_with(kind))
    };
    rest.filter(is_content).collect()
}
