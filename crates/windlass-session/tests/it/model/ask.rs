//! What is asked at random, and the answers as they are compared.

use windlass_core::{AgentId, Coded};
use windlass_session::{
    Agent, Allow, Budget, Charge, Create, Name, Outcome, RateLimit, Receipt, Sensitivity,
    SessionError, Sessions, Settle, Status, TopUp, Use, UseItem,
};
use windlass_store_testing::Random;

use crate::support::{HOUR, SECOND, caller_of, operation, session_id};

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) session: String,
    pub(super) deed: Deed,
    principal: &'static str,
    operation: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) enum Deed {
    Create(Create, Option<u64>),
    Use(Use),
    Settle(Settle),
    TopUp(TopUp),
    Close,
}

/// What was answered, without what the model does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// First and last call, what is left, and the warning.
    Receipt(u64, u64, Left, bool),
    Left(Left),
    Session(Figures),
    Refused(&'static str),
}

/// Calls, tokens and cost left, and the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Left(pub(super) [Option<u64>; 3], pub(super) u64);

/// A session as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) status: Status,
    pub(super) meters: [(Option<u64>, u64); 3],
    pub(super) made: u64,
    pub(super) open: usize,
}

/// Agents whose sessions the histories are about.
pub(super) const AGENTS: [&str; 2] = ["a0", "a1"];

fn agent(name: &str) -> AgentId {
    name.parse().expect("an identifier")
}

fn one_of_agents(random: &mut Random) -> AgentId {
    agent(AGENTS[random.below(AGENTS.len())])
}

fn number(random: &mut Random, end: usize) -> u64 {
    u64::try_from(random.below(end)).expect("small")
}

fn maybe<T>(random: &mut Random, some: impl FnOnce(&mut Random) -> T) -> Option<T> {
    if random.one_in(2) {
        Some(some(random))
    } else {
        None
    }
}

impl Ask {
    pub(super) fn draw(random: &mut Random) -> Self {
        let session = format!("s{}", random.below(6));
        let deed = match random.below(20) {
            0..=4 => Deed::Create(
                create(random, &session),
                maybe(random, |random| 1 + number(random, 3)),
            ),
            5..=13 => Deed::Use(uses(random)),
            14..=16 => Deed::Settle(settle(random)),
            17..=18 => Deed::TopUp(top_up(random)),
            _ => Deed::Close,
        };
        let principal = *random.pick(&["p0", "p1"]);
        let operation = maybe(random, |random| format!("o{}", random.below(40)));
        Self {
            session,
            deed,
            principal,
            operation,
        }
    }

    pub(super) const fn has_operation(&self) -> bool {
        self.operation.is_some()
    }

    /// Whose operation it is, if it is one.
    pub(super) fn operation_key(&self) -> Option<String> {
        let operation = self.operation.as_ref()?;
        Some(format!("{}/{operation}", self.principal))
    }

    /// The request but for its operation id and who makes it.
    pub(super) fn fingerprint(&self) -> String {
        format!("{} {:?}", self.session, self.deed)
    }

    pub(super) async fn of(&self, sessions: &Sessions) -> Result<Answer, SessionError> {
        let caller = caller_of("acme", self.principal);
        let id = session_id(&self.session);
        let operation = self.operation.as_deref().map(operation);
        match self.deed.clone() {
            Deed::Create(request, cap) => {
                let request = Create {
                    operation,
                    ..request
                };
                let created = match cap {
                    Some(_) => sessions.create_under_cap(&caller, request, cap).await,
                    None => sessions.create(&caller, request).await,
                };
                created.map(|session| Answer::Session(Figures::from(&session)))
            }
            Deed::Use(request) => {
                let request = Use {
                    operation,
                    ..request
                };
                let used = sessions.use_tools(&caller, &id, request).await;
                used.map(|receipt| Answer::from(&receipt))
            }
            Deed::Settle(request) => {
                let request = Settle {
                    operation,
                    ..request
                };
                let settled = sessions.settle(&caller, &id, request).await;
                settled.map(|left| Answer::Left(Left::from(left)))
            }
            Deed::TopUp(request) => {
                let request = TopUp {
                    operation,
                    ..request
                };
                let raised = sessions.top_up(&caller, &id, request).await;
                raised.map(|session| Answer::Session(Figures::from(&session)))
            }
            Deed::Close => {
                let closed = sessions.close(&caller, &id, operation).await;
                closed.map(|session| Answer::Session(Figures::from(&session)))
            }
        }
    }
}

fn create(random: &mut Random, name: &str) -> Create {
    let mut request = Create::new(one_of_agents(random), "anything");
    request.id = Some(session_id(name));
    request.tools = allow(random, &["search", "fetch_*", "nothing_like_it"]);
    request.credentials = allow(random, &["key", "k*"]);
    request.ceiling = *random.pick(&Sensitivity::ALL);
    request.time_limit_ms = *random.pick(&[SECOND, 10 * SECOND, HOUR, HOUR]);
    request.budget = Budget {
        calls: 1 + number(random, 12),
        tokens: maybe(random, |random| number(random, 60)),
        cost_micros: maybe(random, |random| number(random, 60)),
    };
    request.rate = maybe(random, |random| {
        RateLimit::sliding(number(random, 5), 10 * SECOND)
    });
    request
}

fn allow(random: &mut Random, patterns: &[&str]) -> Allow {
    match random.below(4) {
        0 => Allow::Only(Vec::new()),
        1 => Allow::only([*random.pick(patterns)]).expect("a pattern"),
        _ => Allow::All,
    }
}

fn name(random: &mut Random, names: &[&str]) -> Name {
    random.pick(names).parse().expect("a name")
}

fn charge(random: &mut Random) -> Charge {
    Charge {
        tokens: number(random, 25),
        cost_micros: if random.one_in(2) {
            0
        } else {
            number(random, 25)
        },
    }
}

fn who(random: &mut Random) -> Agent {
    match random.below(6) {
        0 => Agent::Is(agent("stranger")),
        1 => Agent::Is(one_of_agents(random)),
        _ => Agent::Unchecked,
    }
}

fn uses(random: &mut Random) -> Use {
    let count = if random.one_in(4) {
        1 + random.below(4)
    } else {
        1
    };
    let agent = who(random);
    let items = (0..count).map(|_| {
        let mut item = UseItem::new(name(random, &["search", "fetch_url", "shell"]));
        if random.one_in(3) {
            item.credentials = vec![name(random, &["key", "root"])];
        }
        item.sensitivity = if random.one_in(3) {
            Some(*random.pick(&Sensitivity::ALL))
        } else {
            None
        };
        item.charge = charge(random);
        item.reserve = random.one_in(2);
        item
    });
    Use::batch(agent, items.collect())
}

fn settle(random: &mut Random) -> Settle {
    let outcome = match random.below(3) {
        0 => Outcome::Refund,
        _ => Outcome::Cost(charge(random)),
    };
    let (agent, call) = (who(random), 1 + number(random, 6));
    Settle {
        agent,
        call,
        outcome,
        operation: None,
    }
}

fn top_up(random: &mut Random) -> TopUp {
    TopUp {
        calls: 1 + number(random, 4),
        tokens: if random.one_in(3) {
            number(random, 20)
        } else {
            0
        },
        cost_micros: if random.one_in(3) {
            number(random, 20)
        } else {
            0
        },
        operation: None,
    }
}

impl From<&Receipt> for Answer {
    fn from(receipt: &Receipt) -> Self {
        let left = Left::from(receipt.left);
        Self::Receipt(receipt.first_call, receipt.last_call, left, receipt.low)
    }
}

impl From<windlass_session::Left> for Left {
    fn from(left: windlass_session::Left) -> Self {
        let figures = [Some(left.calls), left.tokens, left.cost_micros];
        Self(figures, left.time_ms)
    }
}

/// A refusal by its code.
pub(super) fn refused(error: &SessionError) -> Answer {
    Answer::Refused(error.code())
}
