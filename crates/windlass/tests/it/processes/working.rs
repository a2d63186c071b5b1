//! Processes that enqueue, claim, renew, fail and complete on one store, and
//! are killed on the way; a checker says whether any of it broke a promise.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::time::SystemTime;

use windlass::Windlass;
use windlass::core::{Env, SessionId};
use windlass::queue::{
    Ask, Caller, Claim, Failure, ListQuery, QueueError, Return, Settle, State, Under, Work, WorkId,
};

use super::{Place, Player, Random, Role, tell};
use checker::{Deed, Event, check};

#[path = "../../../../windlass-queue/tests/it/history/checker.rs"]
mod checker;

const PROCESSES: usize = 4;
/// Processes beside these that are killed, one after the other.
const KILLS: usize = 6;
const SESSIONS: u64 = 3;
/// Callers of a process that enqueue, and callers that work.
const PRODUCERS: u64 = 2;
const WORKERS: u64 = 3;
/// How often each of the former enqueues.
const ENQUEUES: u64 = 40;
/// How often a worker finds nothing before it goes home.
const LOOKS_MAX: u64 = 300;
const TTL_MS: u64 = 300;

/// Enqueues at once by all processes of the other test.
const AT_ONCE: usize = 120;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_of_processes_that_are_killed_break_no_promise() {
    break_no_promise(&Place::new("sqlite"));
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_of_clients_of_a_server_that_are_killed_break_no_promise() {
    break_no_promise(&Place::new("postgres"));
}

fn break_no_promise(place: &Place) {
    let mut history = History::default();
    // Each is heard all the time, so that no full pipe stops it.
    let children = (0..PROCESSES).map(|_| {
        let child = Player::start(Role::Worker, place);
        std::thread::spawn(|| child.finish())
    });
    let children: Vec<_> = children.collect();
    for number in 0..KILLS {
        let mut child = Player::start(Role::Worker, place);
        for _ in 0..10 + 5 * number {
            history.hear(&child.hear().expect("it has more to do"));
        }
        for line in child.kill() {
            history.hear(&line);
        }
        history.is_over_for_the_killed();
    }
    for child in children {
        for line in child.join().unwrap() {
            history.hear(&line);
        }
    }
    assert_eq!(history.asked, BTreeMap::new(), "unanswered, but not killed");
    for line in Player::start(Role::Last, place).finish() {
        history.hear(&line);
    }
    let events = history.whole();
    assert!(events.len() > 300, "only {} events", events.len());
    assert_eq!(check(&events), Ok(()));
}

/// What all processes told.
#[derive(Debug, Default)]
struct History {
    events: Vec<Event>,
    /// Settlements on their way: what is completed, and what is given back.
    asked: BTreeMap<String, [Event; 2]>,
    /// Those of processes that were killed: nobody knows whether they took
    /// effect.
    unknown: Vec<[Event; 2]>,
}

impl History {
    /// Takes a line that [`Scribe`] told.
    fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| -> u64 { words[at].parse().unwrap() };
        let ids = |at: usize| -> Vec<u128> {
            let ids = words[at].split(',').filter(|it| !it.is_empty());
            ids.map(|it| it.parse().unwrap()).collect()
        };
        let times = [number(1), number(2), number(3)];
        let session = usize::try_from(number(4)).unwrap();
        let deed = match words[0] {
            "enqueued" => Deed::Enqueued {
                session,
                work: ids(5),
            },
            "claimed" => Deed::Claimed {
                session,
                token: number(5),
                until: number(6),
                work: ids(7),
            },
            "renewed" => Deed::Renewed {
                session,
                token: number(5),
                until: number(6),
            },
            "settle" => {
                let parts = settlement(times, session, number(5), [ids(6), ids(7)]);
                self.asked.insert(words[8].to_owned(), parts);
                return;
            }
            "settled" => {
                let parts = self.asked.remove(words[5]).expect("it was asked");
                let answered = |event| Event {
                    answer: times[1],
                    now: times[2],
                    ..event
                };
                return self.events.extend(parts.map(answered));
            }
            "refused" => {
                self.asked.remove(words[5]).expect("it was asked");
                return;
            }
            other => panic!("a child told `{other}`"),
        };
        self.events.push(event(times, deed));
    }

    /// Whatever is on its way by now was asked by somebody who was killed.
    fn is_over_for_the_killed(&mut self) {
        let asked = std::mem::take(&mut self.asked);
        self.unknown.extend(asked.into_values());
    }

    /// All events, with what the killed must have done: what nobody else
    /// completed, they did, if they may have.
    fn whole(mut self) -> Vec<Event> {
        let known = self.events.iter().flat_map(|event| match &event.deed {
            Deed::Completed { work, .. } => work.clone(),
            _ => Vec::new(),
        });
        let known: BTreeSet<u128> = known.collect();
        for [mut done, back] in std::mem::take(&mut self.unknown) {
            let Deed::Completed {
                session,
                token,
                work,
            } = &mut done.deed
            else {
                panic!("{done:?}");
            };
            let (of, mine) = (*session, *token);
            let newer = |event: &Event| match &event.deed {
                Deed::Claimed { session, token, .. } => {
                    *session == of && *token > mine && event.answer < done.call
                }
                _ => false,
            };
            if !self.events.iter().any(newer) {
                work.retain(|id| !known.contains(id));
                self.events.extend([done, back]);
            }
        }
        self.events
    }
}

fn event([call, answer, now]: [u64; 3], deed: Deed) -> Event {
    Event {
        call,
        answer,
        now,
        deed,
    }
}

fn settlement(
    times: [u64; 3],
    session: usize,
    token: u64,
    [done, back]: [Vec<u128>; 2],
) -> [Event; 2] {
    let (done, back) = (
        Deed::Completed {
            session,
            token,
            work: done,
        },
        Deed::GivenBack {
            session,
            token,
            work: back,
        },
    );
    [event(times, done), event(times, back)]
}

/// Writes down what one process asks and is answered.
#[derive(Clone)]
struct Scribe {
    engine: Windlass,
}

impl Scribe {
    /// A time that all processes of this machine share, in microseconds.
    fn tick() -> u64 {
        let since = SystemTime::UNIX_EPOCH.elapsed().unwrap();
        u64::try_from(since.as_micros()).unwrap()
    }

    fn now() -> u64 {
        windlass::SystemEnv::new().now().get()
    }

    fn tell(verb: &str, call: u64, session: u64, rest: &str) {
        let (answer, now) = (Self::tick(), Self::now());
        tell(&format!("{verb} {call} {answer} {now} {session} {rest}"));
    }

    async fn enqueue(&self, session: u64, count: u64) {
        let work = (0..count).map(|_| Work {
            attempts_max: 1_000,
            ..Work::json("step", "x").unwrap()
        });
        let call = Self::tick();
        let (who, of, queue) = (caller(), id(session), self.engine.queue());
        let pushed = queue.enqueue(&who, &of, work.collect(), Under::NOTHING);
        match pushed.await {
            Ok(pushed) => {
                let ids: Vec<WorkId> = pushed.iter().map(|one| one.id).collect();
                Self::tell("enqueued", call, session, &numbers(&ids));
            }
            Err(QueueError::Busy) => {}
            Err(other) => panic!("{other:?}"),
        }
    }

    async fn claim(&self, session: u64, max: usize) -> Option<Claim> {
        let owner = format!("p{}", std::process::id()).parse().unwrap();
        let ask = Ask {
            max,
            ..Ask::new(owner, TTL_MS)
        };
        let call = Self::tick();
        let (who, of, queue) = (caller(), id(session), self.engine.queue());
        let claim = queue.claim(&who, &of, &ask, Under::NOTHING);
        let claim = match claim.await {
            Ok(claim) => claim?,
            Err(QueueError::Busy) => return None,
            Err(other) => panic!("{other:?}"),
        };
        let (token, until) = (claim.token, claim.until);
        let rest = format!("{token} {until} {}", numbers(&claim.ids()));
        Self::tell("claimed", call, session, &rest);
        Some(claim)
    }

    async fn renew(&self, session: u64, claim: &Claim) {
        let call = Self::tick();
        let (who, of, token) = (caller(), id(session), claim.token);
        let queue = self.engine.queue();
        let renewed = queue.renew(&who, &of, token, 2 * TTL_MS, Under::NOTHING);
        match renewed.await {
            Ok(until) => Self::tell("renewed", call, session, &format!("{token} {until}")),
            Err(QueueError::ClaimExpired | QueueError::Busy) => {}
            Err(other) => panic!("{other:?}"),
        }
    }

    async fn settle(&self, session: u64, settle: Settle) {
        let failed = settle.fail.iter().map(|it| it.id);
        let back = failed.chain(settle.abandon.iter().map(|it| it.id));
        let back = numbers(&back.collect::<Vec<_>>());
        let (token, done) = (settle.token, numbers(&settle.complete));
        let (call, process) = (Self::tick(), std::process::id());
        let name = format!("{process}-{session}-{token}-{call}");
        // Told before it is asked: who is killed meanwhile tells no answer.
        let rest = format!("{token} {done} {back} {name}");
        tell(&format!("settle {call} {} 0 {session} {rest}", u64::MAX));
        let (who, of, queue) = (caller(), id(session), self.engine.queue());
        let settled = queue.settle(&who, &of, settle, Under::NOTHING);
        match settled.await {
            Ok(_) => Self::tell("settled", call, session, &name),
            Err(QueueError::ClaimExpired | QueueError::Busy) => {
                Self::tell("refused", call, session, &name);
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

fn caller() -> Caller {
    Caller::new("acme".parse().unwrap(), "tests".parse().unwrap())
}

fn id(session: u64) -> SessionId {
    format!("s{session}").parse().unwrap()
}

/// Ids as numbers, which rise in the order of the line.
fn numbers(ids: &[WorkId]) -> String {
    let number = |id: &WorkId| {
        let digits: String = id.to_string().split('-').collect();
        u128::from_str_radix(&digits, 16).unwrap().to_string()
    };
    ids.iter().map(number).collect::<Vec<_>>().join(",")
}

/// Enqueues, works, and tells everything.
pub(super) async fn play_worker(engine: Windlass) {
    let scribe = Scribe { engine };
    let mut tasks = Vec::new();
    for number in 0..PRODUCERS + WORKERS {
        let scribe = scribe.clone();
        let random = Random(RandomState::new().hash_one(number));
        tasks.push(tokio::spawn(async move {
            if number < PRODUCERS {
                produce(&scribe, random).await;
            } else {
                work(&scribe, random).await;
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    // Whoever is to be killed must not end by itself.
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

async fn produce(scribe: &Scribe, mut random: Random) {
    for _ in 0..ENQUEUES {
        let (session, count) = (random.below(SESSIONS), 1 + random.below(3));
        scribe.enqueue(session, count).await;
    }
}

async fn work(scribe: &Scribe, mut random: Random) {
    let mut looks = 0;
    while looks < LOOKS_MAX {
        let session = random.below(SESSIONS);
        let max = usize::try_from(1 + random.below(4)).unwrap();
        let Some(claim) = scribe.claim(session, max).await else {
            looks += 1;
            continue;
        };
        looks = 0;
        if random.below(4) == 0 {
            scribe.renew(session, &claim).await;
        }
        // Now and then somebody forgets what he holds.
        if random.below(40) > 0 {
            let settle = some_of(&claim, &mut random);
            scribe.settle(session, settle).await;
        }
    }
}

/// Most is completed, some fails, some is given back.
fn some_of(claim: &Claim, random: &mut Random) -> Settle {
    let mut settle = Settle::nothing(claim.token);
    for id in claim.ids() {
        match random.below(8) {
            0 => settle.fail.push(Failure {
                delay_ms: Some(1),
                ..Failure::new(id)
            }),
            1 => settle.abandon.push(Return { id, delay_ms: 0 }),
            _ => settle.complete.push(id),
        }
    }
    settle
}

/// Does all that is left, as soon as the last holds run out.
pub(super) async fn play_last(engine: Windlass) {
    let scribe = Scribe { engine };
    for session in 0..SESSIONS {
        loop {
            let queue = scribe.engine.queue();
            let counts = queue.counts(&caller(), &id(session)).await.unwrap();
            assert_eq!(counts.dead, 0);
            if counts.pending + counts.claimed == 0 {
                break;
            }
            if let Some(claim) = scribe.claim(session, 100).await {
                scribe.settle(session, claim.completed()).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_enqueues_of_processes_get_ids_of_their_own() {
    let place = Place::new("sqlite");
    let engine = place.open().await;
    let mut children = [(); PROCESSES].map(|()| Player::start(Role::Producer, &place));
    for child in &mut children {
        assert_eq!(child.hear().as_deref(), Some("ready"));
    }
    for child in &mut children {
        child.say("go");
    }
    let told = children.into_iter().flat_map(Player::finish);
    let told: Vec<String> = told.collect();
    let distinct: BTreeSet<&String> = told.iter().collect();
    assert_eq!((told.len(), distinct.len()), (AT_ONCE, AT_ONCE));
    let query = ListQuery {
        state: State::Pending,
        limit: 1_000,
        ..ListQuery::default()
    };
    let page = engine.queue().list(&caller(), &id(0), &query).await;
    let listed = page.unwrap().work;
    let listed: Vec<String> = listed.iter().map(|it| it.id.to_string()).collect();
    assert_eq!(listed.len(), AT_ONCE);
    assert_eq!(listed.iter().collect::<BTreeSet<_>>(), distinct);
    assert!(listed.is_sorted(), "they stand in the order of their ids");
    engine.close().await.unwrap();
}

/// Enqueues as many as it has to at once, and tells their ids.
pub(super) async fn play_producer(engine: Windlass) {
    tell("ready");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    let tasks = (0..AT_ONCE / PROCESSES).map(|_| {
        let engine = engine.clone();
        tokio::spawn(async move {
            let work = vec![Work::json("step", "x").unwrap()];
            let queue = engine.queue();
            let pushed = queue.enqueue(&caller(), &id(0), work, Under::NOTHING).await;
            tell(&pushed.unwrap()[0].id.to_string());
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}
