//! One history of a tree: processes, deaths, time, upkeep, and the comparison.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use windlass_core::{Coded, Env, ErrorKind, ManualEnv, OperationId};
use windlass_session::check;
use windlass_session::{
    Agent, Budget, Charge, Config, Funding, Outcome, SessionError, Sessions, Settle, TopUp,
};
use windlass_store::{KeyRange, Store, StoreExt};
use windlass_store_memory::MemoryStore;
use windlass_store_testing::{Random, Strict, StrictOptions, audited};

use super::audit::audit;
use super::state::{Answer, Deed, Model, limits};
use crate::support::slow;
use crate::support::{
    DAY, HOUR, SECOND, START, call, caller, delegation, get, operation, request, session_id,
    still_over,
};

const STEPS: usize = 60;

struct Play {
    seed: u64,
    step: usize,
    random: Random,
    ground: Arc<MemoryStore>,
    env: Arc<ManualEnv>,
    config: Config,
    /// What the root was given.
    root: Budget,
    processes: Vec<Sessions>,
    model: Model,
}

pub(super) async fn play(seed: u64) {
    let mut play = Play::new(seed).await;
    for step in 0..STEPS {
        play.step = step;
        play.go().await;
        play.audit().await;
    }
    play.compare().await;
    play.forget_all().await;
}

fn name(place: usize) -> String {
    format!("s{place}")
}

impl Play {
    async fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let config = Config {
            reservation_ms: *random.pick(&[5 * SECOND, HOUR]),
            cached_sessions: *random.pick(&[1, 100]),
            ..Config::default()
        };
        let ground = Arc::new(MemoryStore::new().expect("an incarnation"));
        let env = Arc::new(ManualEnv::new(seed, START));
        let root = Budget {
            calls: 30,
            tokens: *random.pick(&[None, Some(300)]),
            cost_micros: *random.pick(&[None, Some(2_000)]),
        };
        let model = Model::new(root, START.plus_ms(DAY), config.reservation_ms);
        let mut play = Self {
            seed,
            step: 0,
            random,
            ground,
            env,
            config,
            root,
            processes: Vec::new(),
            model,
        };
        let root = request(|it| {
            it.id = Some(session_id("s0"));
            it.time_limit_ms = DAY;
            it.budget = root;
        });
        let eye = play.eye();
        eye.create(&caller(), root).await.expect("a root");
        play.processes = (0..2).map(|_| play.open()).collect();
        play
    }

    /// A process over a wrapper that fails whenever it may.
    fn open(&self) -> Sessions {
        let strict = Strict::new(Arc::clone(&self.ground), StrictOptions::ALL);
        still_over(Arc::new(strict), &self.env, &self.config)
    }

    /// A process whose store does what it is asked.
    fn eye(&self) -> Sessions {
        still_over(
            Arc::clone(&self.ground) as Arc<dyn Store>,
            &self.env,
            &self.config,
        )
    }

    fn at(&self) -> String {
        format!("tree of seed {:#x}, step {}", self.seed, self.step)
    }

    fn below(&mut self, end: u64) -> u64 {
        let end = usize::try_from(end).expect("small");
        u64::try_from(self.random.below(end)).expect("small")
    }

    /// About one of these. Waiting after lost races moves the clock too, by a
    /// little: what is exactly as late as something else would be undecided.
    fn odd_ms(&mut self, about: &[u64]) -> u64 {
        *self.random.pick(about) + self.below(900)
    }

    async fn go(&mut self) {
        match self.random.below(20) {
            0..=14 => self.ask().await,
            15..=16 => {
                let ms = self.odd_ms(&[1, SECOND, 5 * SECOND, 20 * SECOND, HOUR]);
                self.env.advance_ms(ms);
            }
            17 => {
                let place = self.random.below(2);
                self.processes[place] = self.open();
            }
            18 => self.sweep().await,
            _ => self.compare().await,
        }
    }

    fn draw(&mut self) -> (usize, Deed) {
        let place = self.random.below(self.model.nodes.len());
        let deed = match self.random.below(13) {
            0..=3 => Deed::Delegate {
                child: self.model.nodes.len(),
                budget: self.budget(),
                time_ms: self.odd_ms(&[SECOND, 20 * SECOND, HOUR, 20 * HOUR]),
                shared: self.random.one_in(3),
            },
            4..=7 => Deed::Use {
                charge: self.charge(15),
                reserve: self.random.one_in(2),
            },
            8..=10 => Deed::Settle {
                call: 1 + self.below(4),
                charge: self.random.one_in(2).then(|| {
                    // Some are far beyond what anybody has.
                    let end = *self.random.pick(&[20, 60, 400]);
                    self.charge(end)
                }),
            },
            11 => self.top_up(),
            _ => Deed::Close,
        };
        (place, deed)
    }

    fn budget(&mut self) -> Budget {
        let mut some = |end| (!self.random.one_in(4)).then(|| self.below(end));
        let (tokens, cost_micros) = (some(120), some(900));
        Budget {
            calls: 1 + self.below(10),
            tokens,
            cost_micros,
        }
    }

    /// Tokens, below `end`, and micro-units.
    fn charge(&mut self, end: u64) -> [u64; 2] {
        let costs = !self.random.one_in(3);
        [end, 8 * end].map(|end| if costs { self.below(end) } else { 0 })
    }

    fn top_up(&mut self) -> Deed {
        let mut some = |end| match self.random.one_in(3) {
            true => self.below(end),
            false => 0,
        };
        let (tokens, cost) = (some(40), some(300));
        Deed::TopUp([1 + self.below(4), tokens, cost])
    }

    /// Asks one thing until it is answered, by processes that may die while
    /// they are at it.
    async fn ask(&mut self) {
        let (place, deed) = self.draw();
        let operation = operation(&format!("o{}", self.step));
        if self.random.one_in(3) {
            self.die_asking(place, &deed, &operation);
            self.audit().await;
        }
        let expected = self.model.answers(place, &deed, self.env.now());
        for attempt in 0.. {
            // Some deeds take more calls than the store lets pass in a row.
            let process = match attempt {
                0..4 => self.random.pick(&self.processes).clone(),
                _ => self.eye(),
            };
            let answer = asked(&process, place, &deed, &operation).await;
            let told = match &answer {
                Ok(()) => Ok(()),
                Err(error) => match error.kind() {
                    ErrorKind::Unavailable | ErrorKind::Indeterminate => {
                        self.audit().await;
                        continue;
                    }
                    _ => Err(error.code()),
                },
            };
            self.learn(&told, expected, &format!("{deed:?} of s{place}"));
            return;
        }
    }

    /// What was told is one of the answers there may be.
    fn learn(&mut self, told: &Answer, expected: Vec<(Answer, Model)>, what: &str) {
        let answers: Vec<Answer> = expected.iter().map(|(answer, _)| *answer).collect();
        let after = expected.into_iter().find(|(answer, _)| answer == told);
        let Some((_, model)) = after else {
            panic!("{}: {what}: {told:?} is none of {answers:?}", self.at());
        };
        self.model = model;
    }

    /// A process begins and dies between two calls of its store.
    fn die_asking(&mut self, place: usize, deed: &Deed, operation: &OperationId) {
        let seed = self.seed ^ self.below(1 << 30);
        let store = slow(&self.ground, seed);
        let process = still_over(store, &self.env, &self.config);
        let polls = self.random.below(40);
        let mut asking = pin!(asked(&process, place, deed, operation));
        for _ in 0..polls {
            let poll = asking
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()));
            if poll.is_ready() {
                return;
            }
        }
    }

    async fn sweep(&mut self) {
        let process = self.random.pick(&self.processes).clone();
        let limit = *self.random.pick(&[1, 5, 1_000]);
        match process.sweep(limit).await {
            Ok(report) => assert_eq!(report.unreadable, [], "{}", self.at()),
            Err(error) => {
                let kind = error.kind();
                let passing = [ErrorKind::Unavailable, ErrorKind::Indeterminate].contains(&kind);
                assert!(passing, "{}: {error:?}", self.at());
            }
        }
    }

    async fn audit(&self) {
        let rows = self.ground.scan_all(KeyRange::all()).await;
        let rows = rows.expect("a store that works");
        audit(&rows, limits(self.root), self.env.now(), &self.at());
        if self.step.is_multiple_of(8) {
            let found = audited(self.ground.as_ref(), check::auditor).await;
            assert_eq!(found, Vec::<String>::new(), "{}", self.at());
        }
    }

    /// What is shown of every session is what the model has. What ended ones
    /// below it have left may not have been taken back yet.
    async fn compare(&self) {
        let (eye, now) = (self.eye(), self.env.now());
        for (place, node) in self.model.nodes.iter().enumerate() {
            let shown = get(&eye, &name(place)).await.expect("readable");
            let shown = shown.expect("kept");
            let at = format!("{}: s{place}", self.at());
            assert_eq!(shown.status, self.model.status(place, now), "{at}");
            assert_eq!(
                (shown.expires_at, shown.calls_made),
                (node.expires, node.made),
                "{at}"
            );
            let budget = shown.budget;
            let meters = [budget.calls, budget.tokens, budget.cost_micros];
            assert_eq!(meters.map(|meter| meter.limit), node.limit, "{at}");
            if !self.model.has_children(place) {
                let used = meters.map(|meter| (meter.used, meter.lent));
                assert_eq!(used, node.used.map(|used| (used, 0)), "{at}");
            }
        }
    }

    /// When all is over and swept, nothing is left.
    async fn forget_all(&mut self) {
        self.env.advance_ms(30 * DAY);
        let eye = self.eye();
        for _ in 0..20 {
            eye.sweep(10_000).await.expect("swept");
            self.audit().await;
        }
        let rows = self.ground.scan_all(KeyRange::all()).await;
        let rows = rows.expect("a store that works");
        let keys: Vec<String> = rows
            .iter()
            .map(|row| crate::support::text(&row.key))
            .collect();
        assert_eq!(keys, Vec::<String>::new(), "{}", self.at());
    }
}

async fn asked(
    sessions: &Sessions,
    place: usize,
    deed: &Deed,
    operation: &OperationId,
) -> Result<(), SessionError> {
    let (caller, id) = (caller(), session_id(&name(place)));
    let operation = Some(operation.clone());
    match deed {
        Deed::Delegate {
            child,
            budget,
            time_ms,
            shared,
        } => {
            let mut asked = delegation(&name(*child), |it| it.child.budget = *budget);
            asked.child.time_limit_ms = *time_ms;
            asked.child.operation = operation;
            if *shared {
                asked.funding = Funding::Shared;
            }
            sessions.delegate(&caller, &id, asked).await.map(drop)
        }
        Deed::Use { charge, reserve } => {
            let mut asked = call("search");
            asked.items[0].charge = charge_of(*charge);
            asked.items[0].reserve = *reserve;
            asked.operation = operation;
            sessions.use_tools(&caller, &id, asked).await.map(drop)
        }
        Deed::Settle { call, charge } => {
            let cost = |charge: [u64; 2]| Outcome::Cost(charge_of(charge));
            let asked = Settle {
                agent: Agent::Unchecked,
                call: *call,
                outcome: charge.map_or(Outcome::Refund, cost),
                operation,
            };
            sessions.settle(&caller, &id, asked).await.map(drop)
        }
        Deed::TopUp([calls, tokens, cost_micros]) => {
            let asked = TopUp {
                calls: *calls,
                tokens: *tokens,
                cost_micros: *cost_micros,
                operation,
            };
            sessions.top_up(&caller, &id, asked).await.map(drop)
        }
        Deed::Close => sessions.close(&caller, &id, operation).await.map(drop),
    }
}

const fn charge_of([tokens, cost_micros]: [u64; 2]) -> Charge {
    Charge {
        tokens,
        cost_micros,
    }
}
