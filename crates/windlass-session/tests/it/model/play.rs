//! One history: processes, time, failures, and the comparison.

use std::sync::Arc;

use windlass_core::{Coded, Env, ErrorKind, ManualEnv};
use windlass_session::check;
use windlass_session::{Config, ListQuery, SessionError, Sessions};
use windlass_store::Store;
use windlass_store_memory::MemoryStore;
use windlass_store_testing::{Random, Strict, StrictOptions, audited};

use super::ask::{AGENTS, Answer, Ask, Figures, refused};
use super::state::{Model, Terms};
use crate::support::{DAY, HOUR, SECOND, START, caller, history, still_over};

/// Requests, waits and interruptions of one history.
const STEPS: usize = 60;

/// Two processes over one store that fails, a third that sees what is there,
/// and the model.
struct Play {
    seed: u64,
    step: usize,
    random: Random,
    ground: Arc<MemoryStore>,
    env: Arc<ManualEnv>,
    config: Config,
    processes: Vec<Sessions>,
    eye: Sessions,
    model: Model,
}

pub(super) async fn play(seed: u64) {
    let mut play = Play::new(seed);
    for step in 0..STEPS {
        play.step = step;
        play.go().await;
    }
    play.compare().await;
    let found = audited(play.ground.as_ref(), check::auditor).await;
    assert_eq!(found, Vec::<String>::new(), "seed {seed}");
}

impl Play {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let config = Config {
            retention_ms: *random.pick(&[0, 2 * HOUR, 2 * DAY, 7 * DAY]),
            reservation_ms: *random.pick(&[5 * SECOND, HOUR]),
            cached_sessions: *random.pick(&[1, 100]),
            ..Config::default()
        };
        let terms = Terms {
            retention_ms: config.retention_ms,
            reservation_ms: config.reservation_ms,
        };
        let ground = Arc::new(MemoryStore::new().expect("an incarnation"));
        let env = Arc::new(ManualEnv::new(seed, START));
        let eye = still_over(Arc::clone(&ground) as Arc<dyn Store>, &env, &config);
        let mut play = Self {
            seed,
            step: 0,
            random,
            ground,
            env,
            config,
            processes: Vec::new(),
            eye,
            model: Model::new(terms),
        };
        play.processes = (0..2).map(|_| play.open()).collect();
        play
    }

    /// A process over a wrapper that fails whenever it may.
    fn open(&self) -> Sessions {
        let strict = Strict::new(Arc::clone(&self.ground), StrictOptions::ALL);
        still_over(Arc::new(strict), &self.env, &self.config)
    }

    fn at(&self) -> String {
        format!("history of seed {:#x}, step {}", self.seed, self.step)
    }

    async fn go(&mut self) {
        match self.random.below(40) {
            0..=29 => self.ask().await,
            30..=33 => self.wait(),
            34 => {
                let place = self.random.below(2);
                self.processes[place] = self.open();
            }
            35 => self.close_agent().await,
            36..=37 => self.sweep().await,
            _ => self.compare().await,
        }
    }

    fn wait(&mut self) {
        let ms = [1, 200, SECOND, 5 * SECOND, 10 * SECOND, HOUR, DAY, 3 * DAY];
        self.env.advance_ms(*self.random.pick(&ms));
    }

    fn process(&mut self) -> Sessions {
        self.random.pick(&self.processes).clone()
    }

    async fn ask(&mut self) {
        let ask = Ask::draw(&mut self.random);
        let mut unknown = false;
        loop {
            let answer = ask.of(&self.process()).await;
            let answer = answer.unwrap_or_else(|error| {
                // Store failures are told apart from refusals by their kind.
                match error.kind() {
                    ErrorKind::Unavailable | ErrorKind::Indeterminate => {
                        unknown |= error.kind() == ErrorKind::Indeterminate;
                        Answer::Refused("")
                    }
                    _ => refused(&error),
                }
            });
            if answer != Answer::Refused("") {
                return self.expect(&ask, &answer);
            }
            if unknown && !ask.has_operation() {
                return self.find_out(&ask).await;
            }
            // Nothing happened, or an operation id makes it safe to ask again.
            if !unknown && self.random.one_in(2) {
                return;
            }
        }
    }

    fn expect(&mut self, ask: &Ask, answer: &Answer) {
        let expected = self.model.answer(ask, self.env.now());
        assert_eq!(*answer, expected, "{}: {ask:?}", self.at());
    }

    /// After an unknown outcome, the store has all of it or nothing.
    async fn find_out(&mut self, ask: &Ask) {
        let mut done = self.model.clone();
        done.answer(ask, self.env.now());
        let (seen, without) = (self.seen().await, self.expected(&self.model));
        if seen != without {
            assert_eq!(seen, self.expected(&done), "{}: {ask:?}", self.at());
            self.model = done;
        }
    }

    async fn close_agent(&mut self) {
        let agent = *self.random.pick(&AGENTS);
        let process = self.process();
        let id = agent.parse().expect("an identifier");
        let (mut told, mut exact) = (0, true);
        loop {
            match process.close_agent(&caller(), &id).await {
                Ok(closed) => {
                    told += closed;
                    break;
                }
                Err(error) => {
                    told += error.closed;
                    exact &= self.is_failure(&error.cause) == ErrorKind::Unavailable;
                }
            }
        }
        let closed = self.model.close_agent(agent, self.env.now());
        assert!(
            told == closed || !exact && told < closed,
            "{}: {told} of {closed}",
            self.at()
        );
    }

    /// The kind of a failure, which must be one that the store has.
    fn is_failure(&self, error: &SessionError) -> ErrorKind {
        let kind = error.kind();
        let known = matches!(kind, ErrorKind::Unavailable | ErrorKind::Indeterminate);
        assert!(known, "{}: {error:?}", self.at());
        kind
    }

    /// Sweeps until nothing is due.
    async fn sweep(&mut self) {
        let process = self.process();
        loop {
            let limit = 1 + self.random.below(4);
            match process.sweep(limit).await {
                Ok(report) => {
                    assert_eq!(report.unreadable, [], "{}", self.at());
                    if !report.truncated {
                        break;
                    }
                }
                Err(error) => {
                    self.is_failure(&error);
                }
            }
        }
        self.model.sweep(self.env.now());
    }

    /// Every session that is there, with its history.
    async fn seen(&self) -> Vec<(String, Figures, String)> {
        let query = ListQuery {
            limit: 1_000,
            ..ListQuery::default()
        };
        let page = self
            .eye
            .list(&caller(), &query)
            .await
            .expect("a store that works");
        assert_eq!(page.unreadable, [], "{}", self.at());
        let mut seen = Vec::new();
        for session in page.sessions {
            let events = history(&self.eye, session.id.as_str()).await;
            let numbers: Vec<u64> = events.iter().map(|event| event.number).collect();
            let dense: Vec<u64> = (1..).take(numbers.len()).collect();
            assert_eq!(numbers, dense, "{}", self.at());
            let events: Vec<_> = events
                .into_iter()
                .map(|event| (event.at, event.what))
                .collect();
            let figures = Figures::from(&session);
            seen.push((session.id.to_string(), figures, format!("{events:?}")));
        }
        seen.sort_by(|one, other| one.0.cmp(&other.0));
        seen
    }

    fn expected(&self, model: &Model) -> Vec<(String, Figures, String)> {
        let now = self.env.now();
        let expected = model.sessions.iter().map(|(name, state)| {
            let figures = model.figures(name, now).expect("it is there");
            (name.clone(), figures, format!("{:?}", state.events))
        });
        expected.collect()
    }

    async fn compare(&mut self) {
        assert_eq!(
            self.seen().await,
            self.expected(&self.model),
            "{}",
            self.at()
        );
        for agent in AGENTS {
            let id = agent.parse().expect("an identifier");
            let count = self.eye.count_active(&caller(), &id).await;
            let expected = self.model.count_active(agent, self.env.now());
            assert_eq!(
                count.expect("a store that works"),
                expected,
                "{}",
                self.at()
            );
        }
    }
}
