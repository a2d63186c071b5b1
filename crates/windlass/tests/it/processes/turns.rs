//! Processes on sessions of their own, that take turns on one file.

use std::io::BufRead;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use windlass::core::{Env, SessionId};
use windlass::session::{Agent, Use};
use windlass::{SystemEnv, Windlass};

use super::{Place, Player, Role, caller, session, tell};

/// Callers of a process that commits as fast as it can, each on a session of
/// its own.
const CALLERS: u64 = 16;
/// Uses between two words of such a process.
const REPORT: u64 = 200;
/// What all processes together are left to make before they are compared.
const ENOUGH: u64 = 5_000;
/// Trials of which one has to be fair: other work of the machine may take a
/// process its time, but never as much as missing turns do.
const TRIALS: usize = 3;
/// Uses of a process that makes one after the other.
const LIGHT_USES: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_saturated_processes_each_make_their_share_of_the_commits() {
    let mut trials = Vec::new();
    for _ in 0..TRIALS {
        let shares = saturate_together();
        let total: u64 = shares.iter().sum();
        if shares.iter().all(|share| share * 100 >= total * 35) {
            return;
        }
        trials.push(shares);
    }
    panic!("one process starved in every trial: {trials:?}");
}

/// Two processes on one file, and what each of them was granted.
fn saturate_together() -> [u64; 2] {
    let place = Place::new("sqlite");
    let mut children = [(); 2].map(|()| Player::start(Role::Saturated, &place));
    for child in &mut children {
        assert_eq!(child.hear().as_deref(), Some("ready"));
    }
    for child in &mut children {
        child.say("go");
    }
    // They are heard in turn. If one starves, the other stops in the end
    // because nobody empties its pipe.
    let mut made = [0; 2];
    while made.iter().sum::<u64>() < ENOUGH {
        for (child, made) in children.iter_mut().zip(&mut made) {
            *made = child.hear().expect("its progress").parse().unwrap();
        }
    }
    children.map(|child| child.finish().last().expect("its sum").parse().unwrap())
}

/// Uses sessions of its own until its input ends.
pub(super) async fn play_saturated(engine: Windlass) {
    let stop = Arc::new(AtomicBool::new(false));
    let made = Arc::new(AtomicU64::new(0));
    let mut tasks = Vec::new();
    let ids = (0..CALLERS).map(|caller| format!("own-{}-{caller}", std::process::id()));
    for id in ids {
        let request = session(&id, "own", 1_000_000);
        engine.sessions().create(&caller(), request).await.unwrap();
        tasks.push((
            engine.clone(),
            id.parse().unwrap(),
            Arc::clone(&stop),
            Arc::clone(&made),
        ));
    }
    tell("ready");
    let mut input = String::new();
    std::io::stdin().lock().read_line(&mut input).unwrap();
    let tasks: Vec<_> = tasks
        .into_iter()
        .map(|(engine, id, stop, made)| tokio::spawn(use_until(engine, id, stop, made)))
        .collect();
    let end = tokio::task::spawn_blocking(|| std::io::stdin().lock().read_line(&mut String::new()));
    end.await.unwrap().unwrap();
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    tell(&made.load(Ordering::Relaxed).to_string());
}

async fn use_until(engine: Windlass, id: SessionId, stop: Arc<AtomicBool>, made: Arc<AtomicU64>) {
    while !stop.load(Ordering::Relaxed) {
        engine
            .sessions()
            .use_tools(&caller(), &id, search())
            .await
            .unwrap();
        let made = made.fetch_add(1, Ordering::Relaxed) + 1;
        if made.is_multiple_of(REPORT) {
            tell(&made.to_string());
        }
    }
}

fn search() -> Use {
    Use::one(Agent::Unchecked, "search".parse().unwrap())
}

/// How long a use takes then is for the benches to judge; here it is only
/// told, and has to come to an end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_use_after_the_other_is_granted_beside_a_saturated_process() {
    let place = Place::new("sqlite");
    let mut saturated = Player::start(Role::Saturated, &place);
    assert_eq!(saturated.hear().as_deref(), Some("ready"));
    saturated.say("go");
    let before: u64 = saturated.hear().expect("its progress").parse().unwrap();
    let light = Player::start(Role::Light, &place).finish();
    tell(&format!(
        "one light beside one saturated: {}",
        light.join(", ")
    ));
    let after: u64 = saturated.finish().last().expect("its sum").parse().unwrap();
    assert!(after > before, "it went on meanwhile: {before}, {after}");
}

/// Makes one use after the other and tells how long they took.
pub(super) async fn play_light(engine: Windlass) {
    let env = SystemEnv::new();
    let id = "light".parse().unwrap();
    let request = session("light", "light", 1_000);
    engine.sessions().create(&caller(), request).await.unwrap();
    let mut took = Vec::new();
    for number in 0..LIGHT_USES {
        let begin = env.monotonic();
        let used = engine.sessions().use_tools(&caller(), &id, search()).await;
        took.push(env.monotonic() - begin);
        let made = usize::try_from(used.unwrap().last_call).unwrap();
        assert_eq!(made, number + 1);
    }
    took.sort_unstable();
    tell(&format!("p50 {:?}", took[LIGHT_USES / 2]));
    tell(&format!("p99 {:?}", took[LIGHT_USES * 99 / 100]));
}
