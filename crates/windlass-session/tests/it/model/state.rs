//! The model: a session is what was asked for at its creation and the list of
//! what happened since. Every figure is added up from that list anew.

use std::collections::BTreeMap;

use windlass_core::Millis;
use windlass_session::limits::{AMOUNT_MAX, CALLS_MAX, OPERATION_MS, RESERVATIONS_MAX};
use windlass_session::{
    Agent, Allow, Charge, Create, Outcome, RateLimit, Session, Settle, Status, TopUp, Use, What,
};

use super::ask::{Answer, Ask, Deed, Figures, Left};

/// Settings that the model has to know.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) retention_ms: u64,
    pub(super) reservation_ms: u64,
}

/// All sessions there are.
#[derive(Clone, Debug)]
pub(super) struct Model {
    terms: Terms,
    pub(super) sessions: BTreeMap<String, State>,
    operations: BTreeMap<String, Done>,
}

/// What was done under an operation id.
#[derive(Clone, Debug)]
struct Done {
    request: String,
    session: String,
    answer: Answer,
}

/// One session.
#[derive(Clone, Debug)]
pub(super) struct State {
    asked: Create,
    created: Millis,
    pub(super) events: Vec<(Millis, What)>,
    closed: Option<Millis>,
}

/// A refusal, by its code.
type Refused = &'static str;

impl Model {
    pub(super) const fn new(terms: Terms) -> Self {
        Self {
            terms,
            sessions: BTreeMap::new(),
            operations: BTreeMap::new(),
        }
    }

    /// What `ask` answers at `now`.
    pub(super) fn answer(&mut self, ask: &Ask, now: Millis) -> Answer {
        let exists = self.sessions.contains_key(&ask.session);
        if !exists && !matches!(ask.deed, Deed::Create(..)) {
            return Answer::Refused("not_found");
        }
        let Some(operation) = ask.operation_key() else {
            return self.decide(ask, now);
        };
        let request = ask.fingerprint();
        if let Some(done) = self.operations.get(&operation) {
            return match done.request == request {
                true => done.answer.clone(),
                false => Answer::Refused("operation_conflict"),
            };
        }
        let answer = self.decide(ask, now);
        if !matches!(answer, Answer::Refused(_)) {
            let session = ask.session.clone();
            let done = Done {
                request,
                session,
                answer: answer.clone(),
            };
            self.operations.insert(operation, done);
        }
        answer
    }

    fn decide(&mut self, ask: &Ask, now: Millis) -> Answer {
        let decided = match &ask.deed {
            Deed::Create(request, cap) => self.create(&ask.session, request, *cap, now),
            deed => {
                let state = self.sessions.get_mut(&ask.session).expect("it exists");
                state.change(deed, self.terms, now)
            }
        };
        decided.unwrap_or_else(Answer::Refused)
    }

    fn create(
        &mut self,
        name: &str,
        request: &Create,
        cap: Option<u64>,
        now: Millis,
    ) -> Result<Answer, Refused> {
        if cap.is_some_and(|cap| self.count_active(request.agent.as_str(), now) >= cap) {
            return Err("too_many_sessions");
        }
        if self.sessions.contains_key(name) {
            return Err("already_exists");
        }
        let asked = request.clone();
        let state = State {
            asked,
            created: now,
            events: Vec::new(),
            closed: None,
        };
        let figures = state.figures(self.terms, now);
        self.sessions.insert(name.to_owned(), state);
        Ok(Answer::Session(figures))
    }

    pub(super) fn count_active(&self, agent: &str, now: Millis) -> u64 {
        let theirs = self
            .sessions
            .values()
            .filter(|state| state.asked.agent.as_str() == agent);
        let active = theirs.filter(|state| state.status(now) == Status::Active);
        u64::try_from(active.count()).expect("small")
    }

    /// Closes the agent's active sessions and says how many there were.
    pub(super) fn close_agent(&mut self, agent: &str, now: Millis) -> u64 {
        let count = self.count_active(agent, now);
        let theirs = self
            .sessions
            .values_mut()
            .filter(|state| state.asked.agent.as_str() == agent);
        for state in theirs.filter(|state| state.status(now) == Status::Active) {
            state
                .change(&Deed::Close, self.terms, now)
                .expect("an active session closes");
        }
        count
    }

    /// What a whole sweep leaves.
    pub(super) fn sweep(&mut self, now: Millis) {
        let over = |state: &State, ms: u64| {
            let ended = state.ended(now);
            ended.is_some_and(|ended| ended.plus_ms(ms).has_passed(now))
        };
        let sessions = &self.sessions;
        self.operations.retain(|_, done| {
            !over(
                &sessions[&done.session],
                OPERATION_MS.min(self.terms.retention_ms),
            )
        });
        self.sessions
            .retain(|_, state| !over(state, self.terms.retention_ms));
    }

    pub(super) fn figures(&self, name: &str, now: Millis) -> Option<Figures> {
        let state = self.sessions.get(name)?;
        Some(state.figures(self.terms, now))
    }
}

/// A meter's limit and what is used of it.
type Meter = (Option<u64>, u64);

impl State {
    fn expires(&self) -> Millis {
        self.created.plus_ms(self.asked.time_limit_ms)
    }

    fn ended(&self, now: Millis) -> Option<Millis> {
        let expired = self.expires().has_passed(now).then(|| self.expires());
        self.closed.or(expired)
    }

    fn status(&self, now: Millis) -> Status {
        match (self.closed, self.expires().has_passed(now)) {
            (Some(_), _) => Status::Closed,
            (None, true) => Status::Expired,
            (None, false) => Status::Active,
        }
    }

    fn change(&mut self, deed: &Deed, terms: Terms, now: Millis) -> Result<Answer, Refused> {
        match deed {
            Deed::Use(request) => self.use_tools(request, terms, now),
            Deed::Settle(request) => self.settle(request, terms, now),
            Deed::TopUp(request) => self.top_up(request, terms, now),
            Deed::Close => {
                if self.closed.is_some() {
                    return Err("already_closed");
                }
                self.lapse(terms, now);
                self.closed = Some(now);
                self.events.push((now, What::Close));
                Ok(Answer::Session(self.figures(terms, now)))
            }
            Deed::Create(..) => unreachable!("a creation changes no session"),
        }
    }

    fn check_agent(&self, agent: &Agent) -> Result<(), Refused> {
        match agent {
            Agent::Is(agent) if *agent != self.asked.agent => Err("agent_mismatch"),
            _ => Ok(()),
        }
    }

    fn check_active(&self, now: Millis) -> Result<(), Refused> {
        match self.status(now) {
            Status::Active => Ok(()),
            Status::Closed => Err("already_closed"),
            Status::Expired => Err("expired"),
        }
    }

    fn use_tools(&mut self, request: &Use, terms: Terms, now: Millis) -> Result<Answer, Refused> {
        self.check_agent(&request.agent)?;
        self.check_active(now)?;
        let calls = u64::try_from(request.items.len()).expect("small");
        let tokens = request
            .items
            .iter()
            .map(|item| item.charge.tokens)
            .sum::<u64>();
        let cost = request
            .items
            .iter()
            .map(|item| item.charge.cost_micros)
            .sum::<u64>();
        for ((limit, used), more) in self.meters().into_iter().zip([calls, tokens, cost]) {
            if limit.is_some_and(|limit| used + more > limit) {
                return Err("budget_exceeded");
            }
        }
        let reserved = request.items.iter().filter(|item| item.reserve).count();
        if reserved > 0 && self.open(terms, now).len() + reserved > RESERVATIONS_MAX {
            return Err("too_many_reservations");
        }
        self.check_allowed(request)?;
        self.check_rate(calls, now)?;
        self.lapse(terms, now);
        let first_call = self.made() + 1;
        for (call, item) in (first_call..).zip(&request.items) {
            let text = |name: &windlass_session::Name| name.as_str().to_owned();
            let what = What::Use {
                call,
                tool: text(&item.tool),
                credentials: item.credentials.iter().map(text).collect(),
                sensitivity: item.sensitivity,
                charge: item.charge,
                reserved: item.reserve,
            };
            self.events.push((now, what));
        }
        let left = self.left(now);
        let low = self.is_low(left);
        Ok(Answer::Receipt(first_call, self.made(), left, low))
    }

    fn check_allowed(&self, request: &Use) -> Result<(), Refused> {
        let covered = |allow: &Allow, name: &windlass_session::Name| match allow {
            Allow::All => true,
            Allow::Only(patterns) => patterns.iter().any(|pattern| {
                let (pattern, name) = (pattern.as_str(), name.as_str());
                match pattern.split_once('*') {
                    Some((beginning, _)) => name.starts_with(beginning),
                    None => pattern == name,
                }
            }),
        };
        let items = &request.items;
        if items
            .iter()
            .any(|item| !covered(&self.asked.tools, &item.tool))
        {
            return Err("tool_not_allowed");
        }
        let mut credentials = items.iter().flat_map(|item| &item.credentials);
        if credentials.any(|name| !covered(&self.asked.credentials, name)) {
            return Err("credential_not_allowed");
        }
        if items
            .iter()
            .any(|item| item.sensitivity > Some(self.asked.ceiling))
        {
            return Err("sensitivity_exceeded");
        }
        Ok(())
    }

    /// The window counted in 64 parts, from the times of all calls.
    fn check_rate(&self, calls: u64, now: Millis) -> Result<(), Refused> {
        let Some(RateLimit {
            limit, window_ms, ..
        }) = self.asked.rate
        else {
            return Ok(());
        };
        let part = |time: Millis| time.get() / window_ms.div_ceil(63);
        let counts = |(at, what): &&(Millis, What)| {
            matches!(what, What::Use { .. }) && part(*at) + 63 >= part(now)
        };
        let seen = self.events.iter().filter(counts).count();
        if u64::try_from(seen).expect("small") + calls > limit {
            return Err("rate_limited");
        }
        Ok(())
    }

    fn settle(&mut self, request: &Settle, terms: Terms, now: Millis) -> Result<Answer, Refused> {
        self.check_agent(&request.agent)?;
        let call = request.call;
        if !self.open(terms, now).iter().any(|(open, _)| *open == call) {
            return Err("reservation_not_found");
        }
        self.lapse(terms, now);
        let what = match request.outcome {
            Outcome::Cost(charge) => What::Settle { call, charge },
            Outcome::Refund => What::Refund { call },
        };
        self.events.push((now, what));
        Ok(Answer::Left(self.left(now)))
    }

    fn top_up(&mut self, request: &TopUp, terms: Terms, now: Millis) -> Result<Answer, Refused> {
        self.check_active(now)?;
        let more = [request.calls, request.tokens, request.cost_micros];
        let max = [CALLS_MAX, AMOUNT_MAX, AMOUNT_MAX];
        for (((limit, _), more), max) in self.meters().into_iter().zip(more).zip(max) {
            if more > 0 && limit.is_none_or(|limit| limit + more > max) {
                return Err("invalid_request");
            }
        }
        self.lapse(terms, now);
        let [calls, tokens, cost_micros] = more;
        let what = What::TopUp {
            calls,
            tokens,
            cost_micros,
        };
        self.events.push((now, what));
        Ok(Answer::Session(self.figures(terms, now)))
    }

    /// Puts on record which reservations were never settled.
    fn lapse(&mut self, terms: Terms, now: Millis) {
        let still_open = self.open(terms, now);
        for (call, _) in self.reserved() {
            if !still_open.iter().any(|(open, _)| *open == call) {
                self.events.push((now, What::Lapse { call }));
            }
        }
    }

    /// Reservations that nothing on record has ended, with their times.
    fn reserved(&self) -> Vec<(u64, Millis)> {
        let mut reserved = Vec::new();
        for (at, what) in &self.events {
            match what {
                What::Use {
                    call,
                    reserved: true,
                    ..
                } => reserved.push((*call, *at)),
                What::Settle { call, .. } | What::Refund { call } | What::Lapse { call } => {
                    reserved.retain(|(open, _)| open != call);
                }
                _ => {}
            }
        }
        reserved
    }

    fn open(&self, terms: Terms, now: Millis) -> Vec<(u64, Millis)> {
        let mut open = self.reserved();
        open.retain(|(_, at)| !at.plus_ms(terms.reservation_ms).has_passed(now));
        open
    }

    fn made(&self) -> u64 {
        let uses = self
            .events
            .iter()
            .filter(|(_, what)| matches!(what, What::Use { .. }));
        u64::try_from(uses.count()).expect("small")
    }

    /// Calls, tokens and cost, added up from all that happened.
    fn meters(&self) -> [Meter; 3] {
        let budget = self.asked.budget;
        let mut limits = [Some(budget.calls), budget.tokens, budget.cost_micros];
        let mut used = BTreeMap::new();
        for (_, what) in &self.events {
            match what {
                What::Use { call, charge, .. } | What::Settle { call, charge } => {
                    used.insert(*call, *charge);
                }
                What::Refund { call } => {
                    used.remove(call);
                }
                What::TopUp {
                    calls,
                    tokens,
                    cost_micros,
                } => {
                    for (limit, more) in limits.iter_mut().zip([calls, tokens, cost_micros]) {
                        *limit = limit.map(|limit| limit + more);
                    }
                }
                What::Lapse { .. } | What::Close | What::Delegate { .. } => {}
            }
        }
        let sum = |part: fn(&Charge) -> u64| used.values().map(part).sum::<u64>();
        let calls = u64::try_from(used.len()).expect("small");
        let used = [
            calls,
            sum(|charge| charge.tokens),
            sum(|charge| charge.cost_micros),
        ];
        [0, 1, 2].map(|meter| (limits[meter], used[meter]))
    }

    fn left(&self, now: Millis) -> Left {
        let left = self
            .meters()
            .map(|(limit, used)| limit.map(|limit| limit.saturating_sub(used)));
        Left(left, self.expires().since(now))
    }

    /// Whether anything has a fifth or less left.
    fn is_low(&self, left: Left) -> bool {
        let meters = self
            .meters()
            .map(|(limit, _)| limit)
            .into_iter()
            .zip(left.0);
        let scarce = |(limit, left): (Option<u64>, Option<u64>)| {
            limit
                .zip(left)
                .is_some_and(|(limit, left)| left * 5 <= limit)
        };
        let time = (Some(self.asked.time_limit_ms), Some(left.1));
        meters.chain([time]).any(scarce)
    }

    fn figures(&self, terms: Terms, now: Millis) -> Figures {
        Figures {
            status: self.status(now),
            meters: self.meters(),
            made: self.made(),
            open: self.open(terms, now).len(),
        }
    }
}

impl From<&Session> for Figures {
    fn from(session: &Session) -> Self {
        let budget = &session.budget;
        let meters = [budget.calls, budget.tokens, budget.cost_micros];
        Self {
            status: session.status,
            meters: meters.map(|meter| (meter.limit, meter.used)),
            made: session.calls_made,
            open: session.reservations_open,
        }
    }
}
