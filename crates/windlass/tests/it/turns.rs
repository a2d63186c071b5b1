//! Turns: everything an agent did in one step, in one commit.

use std::sync::Arc;

use bytes::Bytes;
use windlass::checkpoint::{At, Changes, Payload};
use windlass::core::{AgentId, Coded, Env, ManualEnv, OperationId, SessionId};
use windlass::queue::{Ask, Claim, Content, Payload as Load, Under, Work};
use windlass::session::{Agent, Allow, Caller, Create, Use};
use windlass::store::{Store, StoreExt};
use windlass::{Options, SystemEnv, TurnDone, TurnError, Windlass};
use windlass_store_memory::MemoryStore;
use windlass_store_testing::{Strict, StrictOptions};

struct World {
    ground: Arc<MemoryStore>,
    caller: Caller,
    session: SessionId,
}

impl World {
    /// A session of ten calls, and one piece of work in its queue.
    async fn new() -> Self {
        let ground = Arc::new(MemoryStore::new().unwrap());
        let caller = Caller::new("acme".parse().unwrap(), "runtime".parse().unwrap());
        let mut world = Self {
            ground,
            caller,
            session: "none".parse().unwrap(),
        };
        let windlass = world.open(StrictOptions::NONE);
        let agent: AgentId = "researcher".parse().unwrap();
        let mut request = Create::new(agent, "find three sources");
        request.tools = Allow::only(["search"]).unwrap();
        request.budget.calls = 10;
        let session = windlass.sessions().create(&world.caller, request).await;
        world.session = session.unwrap().id;
        let first = vec![work("step 1")];
        let queued = windlass.queue();
        let who = world.worker();
        let done = queued.enqueue(&who, &world.session, first, Under::NOTHING);
        done.await.unwrap();
        world
    }

    /// One more process over the same store.
    fn open(&self, options: StrictOptions) -> Windlass {
        let store: Arc<dyn Store> = Arc::new(Strict::new(Arc::clone(&self.ground), options));
        Windlass::over(store, &Options::default(), Arc::new(SystemEnv::new())).unwrap()
    }

    fn worker(&self) -> windlass::queue::Caller {
        let caller = &self.caller;
        windlass::queue::Caller::new(caller.tenant.clone(), caller.principal.clone())
    }

    fn reader(&self) -> windlass::checkpoint::Caller {
        let caller = &self.caller;
        windlass::checkpoint::Caller::new(caller.tenant.clone(), caller.principal.clone())
    }

    async fn claim(&self, windlass: &Windlass) -> Option<Claim> {
        let ask = Ask::new("worker".parse().unwrap(), 60_000);
        let (queue, who) = (windlass.queue(), self.worker());
        let claim = queue.claim(&who, &self.session, &ask, Under::NOTHING);
        claim.await.unwrap()
    }

    /// One step of the agent: a call, a message, its work done, the next one
    /// queued.
    async fn step(
        &self,
        windlass: &Windlass,
        claim: &Claim,
        revision: u64,
        turn: &str,
    ) -> Result<TurnDone, TurnError> {
        let said = Payload::Json(format!("{{\"turn\":\"{turn}\"}}").into());
        windlass
            .turn(&self.caller, &self.session)
            .state(Changes::at(revision).append("message", said))
            .id(turn.parse::<OperationId>().unwrap())
            .uses(Use::one(Agent::Unchecked, "search".parse().unwrap()))
            .complete(claim)
            .enqueue(self.session.clone(), work("next"))
            .commit()
            .await
    }

    /// Calls left, revision, and the work that is queued.
    async fn figures(&self) -> (u64, u64, u64) {
        let windlass = self.open(StrictOptions::NONE);
        let session = windlass.sessions().get(&self.caller, &self.session).await;
        let used = session.unwrap().unwrap().budget.calls.used;
        let head = windlass
            .checkpoints()
            .head(&self.reader(), &self.session)
            .await;
        let counts = windlass.queue().counts(&self.worker(), &self.session).await;
        let counts = counts.unwrap();
        (
            used,
            head.unwrap().map_or(0, |head| head.revision),
            counts.pending,
        )
    }
}

fn work(what: &'static str) -> Work {
    Work::new(vec![Load {
        kind: "step".into(),
        content: Content::Bytes(Bytes::from_static(what.as_bytes())),
    }])
}

#[tokio::test]
async fn a_turn_does_everything_at_once() {
    let world = World::new().await;
    let windlass = world.open(StrictOptions::WITHOUT_ERRORS);
    let claim = world.claim(&windlass).await.unwrap();
    let done = world.step(&windlass, &claim, 0, "t1").await.unwrap();
    assert_eq!(
        (done.committed.revision, done.uses.len(), done.work.len()),
        (1, 1, 2)
    );
    assert_eq!(world.figures().await, (1, 1, 1));
    let next = world.claim(&windlass).await.unwrap();
    assert_eq!(
        next.work[0].payloads[0].content,
        Content::Bytes("next".into())
    );
}

#[tokio::test]
async fn a_repeated_turn_gives_the_first_answers_and_does_nothing() {
    let world = World::new().await;
    let windlass = world.open(StrictOptions::WITHOUT_ERRORS);
    let claim = world.claim(&windlass).await.unwrap();
    let first = world.step(&windlass, &claim, 0, "t1").await.unwrap();
    for windlass in [windlass, world.open(StrictOptions::NONE)] {
        let again = world.step(&windlass, &claim, 0, "t1").await.unwrap();
        assert!(again.repeated);
        assert_eq!(
            TurnDone {
                repeated: false,
                ..again
            },
            first
        );
        let said = Payload::Json("{\"turn\":\"t1\"}".into());
        let other = windlass
            .turn(&world.caller, &world.session)
            .state(Changes::at(0).append("message", said))
            .id("t1".parse().unwrap())
            .commit()
            .await;
        assert_eq!(other.unwrap_err().code(), "turn_conflict");
    }
    assert_eq!(world.figures().await, (1, 1, 1));
}

#[tokio::test]
async fn what_one_part_refuses_leaves_nothing_in_the_others() {
    let world = World::new().await;
    let windlass = world.open(StrictOptions::WITHOUT_ERRORS);
    let claim = world.claim(&windlass).await.unwrap();
    let before = rows(&world).await;

    let stale = world.step(&windlass, &claim, 7, "t1").await.unwrap_err();
    assert_eq!(stale.code(), "head_revision_conflict");
    let mut lost = claim.clone();
    lost.token += 1;
    // The revision is looked at before the claims.
    let both = world.step(&windlass, &lost, 7, "t1").await.unwrap_err();
    assert_eq!(both.code(), "head_revision_conflict");
    let lost = world.step(&windlass, &lost, 0, "t2").await.unwrap_err();
    assert_eq!(lost.code(), "claim_expired");
    let agent = Agent::Is("somebody".parse().unwrap());
    let foreign = windlass
        .turn(&world.caller, &world.session)
        .state(Changes::at(0))
        .uses(Use::one(agent, "search".parse().unwrap()))
        .complete(&claim)
        .commit()
        .await;
    assert_eq!(foreign.unwrap_err().code(), "agent_mismatch");
    let nobody = "nobody".parse().unwrap();
    let absent = windlass.turn(&world.caller, &nobody).commit().await;
    assert_eq!(absent.unwrap_err().code(), "not_found");
    assert_eq!(rows(&world).await, before);
}

async fn rows(world: &World) -> Vec<(Bytes, Bytes)> {
    let all = world
        .ground
        .scan_all(windlass::store::KeyRange::all())
        .await;
    all.unwrap()
        .into_iter()
        .map(|it| (it.key, it.value))
        .collect()
}

#[tokio::test]
async fn of_two_processes_with_the_same_claim_one_commits_its_turn() {
    let world = Arc::new(World::new().await);
    let claim = world.claim(&world.open(StrictOptions::NONE)).await.unwrap();
    let turns = (0..8).map(|number| {
        let (world, claim) = (Arc::clone(&world), claim.clone());
        tokio::spawn(async move {
            let windlass = world.open(StrictOptions::WITHOUT_ERRORS);
            world
                .step(&windlass, &claim, 0, &format!("t{number}"))
                .await
        })
    });
    let mut won = 0;
    for turn in turns.collect::<Vec<_>>() {
        match turn.await.unwrap() {
            Ok(_) => won += 1,
            Err(error) => assert!(
                ["claim_expired", "head_revision_conflict"].contains(&error.code()),
                "{error:?}"
            ),
        }
    }
    assert_eq!((won, world.figures().await), (1, (1, 1, 1)));
}

#[tokio::test]
async fn turns_whose_outcome_is_not_told_take_effect_once() {
    let world = World::new().await;
    let options = StrictOptions {
        indeterminate_every: 2,
        ..StrictOptions::NONE
    };
    let windlass = world.open(options);
    for revision in 0..5 {
        let claim = world.claim(&windlass).await;
        let claim = claim.unwrap_or_else(|| panic!("the work of step {revision} is lost"));
        let turn = format!("t{revision}");
        loop {
            match world.step(&windlass, &claim, revision, &turn).await {
                Ok(_) => break,
                Err(error) => assert_eq!(
                    error.kind(),
                    windlass::core::ErrorKind::Indeterminate,
                    "{error:?}"
                ),
            }
        }
    }
    assert_eq!(world.figures().await, (5, 5, 1));
    let path = windlass
        .checkpoints()
        .path(&world.reader(), &world.session, &At::Head, None, 100)
        .await;
    assert_eq!(path.unwrap().unwrap().nodes.len(), 5);
}

#[tokio::test]
async fn a_writer_that_lost_its_lease_is_refused_on_its_next_turn() {
    let world = World::new().await;
    let (one, other) = (
        world.open(StrictOptions::NONE),
        world.open(StrictOptions::NONE),
    );
    let (first, second) = ("one".parse().unwrap(), "other".parse().unwrap());
    let (who, session) = (world.worker(), &world.session);
    let lease = (one.queue()).acquire_lease(&who, session, &first, 30_000, Under::NOTHING);
    let lease = lease.await.unwrap();
    let turn = |windlass: &Windlass, bound| {
        let (windlass, caller, session) = (
            windlass.clone(),
            world.caller.clone(),
            world.session.clone(),
        );
        async move {
            let turn = windlass.turn(&caller, &session).bound(bound);
            turn.state(Changes::default()).commit().await
        }
    };
    turn(&one, lease.bound()).await.unwrap();
    one.queue()
        .release_lease(&world.worker(), &lease)
        .await
        .unwrap();
    let taken = (other.queue()).acquire_lease(&who, session, &second, 30_000, Under::NOTHING);
    let taken = taken.await.unwrap();
    let late = turn(&one, lease.bound()).await.unwrap_err();
    assert_eq!(late.code(), "lease_lost");
    turn(&other, taken.bound()).await.unwrap();
}

#[tokio::test]
async fn what_belongs_to_a_session_goes_with_it() {
    let world = World::new().await;
    let env = Arc::new(ManualEnv::new(1, SystemEnv::new().now()));
    let store: Arc<dyn Store> = Arc::clone(&world.ground) as _;
    let windlass = Windlass::over(store, &Options::default(), Arc::clone(&env) as _).unwrap();
    let claim = world.claim(&windlass).await.unwrap();
    world.step(&windlass, &claim, 0, "t1").await.unwrap();
    env.advance_ms(30 * 24 * 3_600_000);
    for _ in 0..50 {
        windlass.maintain(1_000).await.unwrap();
        env.advance_ms(24 * 3_600_000);
    }
    assert_eq!(rows(&world).await, []);
}
