//! The rules of a session: a state, a change and the time give an answer and
//! the next state, or a refusal and no change. Pure: no store, no clock.

use windlass_core::Millis;

use crate::delegate::{Delegation, check_left, check_limited, check_within};
use crate::engine::{Cut, Loaded};
use crate::error::{Problem, SessionError};
use crate::lent::Amounts;
use crate::limits::{AMOUNT_MAX, CALLS_MAX, LOW_PERCENT, OPERATION_MS, RESERVATIONS_MAX};
use crate::model::{Agent, Charge, Funding, Outcome, Settle, TopUp, Use, UseItem, check_range};
use crate::record::{Answer, Ended, EventRecord, Head, MeterRecord, Open, Spec};
use crate::view::{Left, Receipt, What};

/// A change of one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Use(Use),
    Settle(Settle),
    TopUp(TopUp),
    Close,
    /// Makes room for a session within this one.
    Delegate(Box<Delegation>),
    /// Ends a session at a given time, whatever is above it.
    Cut(Millis),
    /// Marks a session whose time is over; changes nothing on any other.
    Expire,
}

impl Change {
    /// Whether it takes a session that can be used, and so all above it.
    pub(crate) const fn needs_all_above(&self) -> bool {
        match self {
            Self::Use(_) | Self::TopUp(_) | Self::Close | Self::Delegate(_) => true,
            Self::Settle(_) | Self::Cut(_) | Self::Expire => false,
        }
    }

    /// About how many bytes its events take in their row.
    pub(crate) fn size(&self) -> usize {
        let Self::Use(request) = self else { return 256 };
        let item = |item: &UseItem| 128 + 3 * item.credentials.len() + item.names_bytes();
        request.items.iter().map(item).sum()
    }
}

/// The settings the rules depend on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) retention_ms: u64,
    pub(crate) reservation_ms: u64,
}

/// A session's state while changes are applied to it.
#[derive(Clone, Debug)]
pub(crate) struct Draft<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) head: Head,
    /// The heads of those who pay, the parent's first.
    pub(crate) payers: Vec<Head>,
    pub(crate) events: Vec<EventRecord>,
    /// The session above that ended this one.
    cut: Option<&'a Cut>,
    changed: bool,
    terms: Terms,
    now: Millis,
}

impl<'a> Draft<'a> {
    /// A draft of what is `loaded` at `now`, or at its last change if that is
    /// later: time never runs backwards for a session.
    pub(crate) fn new(loaded: &'a Loaded, terms: Terms, now: Millis) -> Self {
        let now = now.max(loaded.head.at);
        let payers = loaded.payers.iter().map(|payer| payer.head.clone());
        let mut head = loaded.head.clone();
        // Answers show the revision that makes them true.
        head.rev += 1;
        Self {
            spec: &loaded.spec,
            head,
            payers: payers.collect(),
            events: Vec::new(),
            cut: loaded.cut.as_ref(),
            changed: false,
            terms,
            now,
        }
    }

    /// Whether anything was granted.
    pub(crate) fn is_changed(&self) -> bool {
        self.changed
    }

    /// Applies one change. A refusal leaves the draft as it was.
    pub(crate) fn apply(
        &mut self,
        change: &Change,
        operation: Option<&str>,
    ) -> Result<Answer, SessionError> {
        let first = self.events.len();
        let answer = match change {
            Change::Use(request) => self.use_tools(request).map(Answer::Receipt),
            Change::Settle(request) => self.settle(request).map(Answer::Left),
            Change::TopUp(request) => self.top_up(request),
            Change::Close => self.close(),
            Change::Delegate(request) => self.delegate(request),
            Change::Cut(at) => Ok(self.cut(*at)),
            Change::Expire => Ok(self.expire()),
        }?;
        if let (Some(operation), Some(event)) = (
            operation,
            self.events.get_mut(first..).and_then(<[_]>::last_mut),
        ) {
            event.operation = Some(operation.to_owned());
            self.head.ops = true;
        }
        Ok(answer)
    }

    fn use_tools(&mut self, request: &Use) -> Result<Receipt, SessionError> {
        self.check_agent(&request.agent)?;
        self.check_active()?;
        let calls = u64::try_from(request.items.len()).unwrap_or(u64::MAX);
        let charge = total(request);
        let amounts = Amounts([calls, charge.tokens, charge.cost_micros]);
        self.check_budget(amounts)?;
        self.check_reservations(request)?;
        self.check_allowed(request)?;
        // The last check: it changes the draft where it admits.
        if let Some(limit) = self.spec.rate {
            self.head.rate.admit(limit, self.now, calls)?;
        }
        self.lapse();
        self.record_uses(request);
        self.spend(|head| {
            add(&mut head.calls, calls);
            charge_to(head, charge);
        });
        let left = self.left();
        let first_call = self.head.made - calls + 1;
        Ok(Receipt {
            first_call,
            last_call: self.head.made,
            left,
            low: self.is_low(&left),
        })
    }

    fn check_agent(&self, agent: &Agent) -> Result<(), SessionError> {
        match agent {
            Agent::Is(agent) if *agent != self.spec.agent => Err(SessionError::AgentMismatch),
            Agent::Is(_) | Agent::Unchecked => Ok(()),
        }
    }

    fn check_active(&self) -> Result<(), SessionError> {
        let at = self.spec.expires_at();
        let cut = || self.cut.map(|cut| cut.ended);
        match self.head.ended.or_else(cut) {
            Some(Ended::Closed(_)) => Err(SessionError::AlreadyClosed),
            Some(Ended::Removing(_)) => Err(SessionError::NotFound),
            Some(Ended::Expired(_)) => Err(SessionError::Expired { at }),
            // Its parent has its rest: by the parent's clock it has expired.
            None if self.head.told.is_some() => Err(SessionError::Expired { at }),
            None if at.has_passed(self.now) => Err(SessionError::Expired { at }),
            None => Ok(()),
        }
    }

    /// Whoever pays must have it.
    fn check_budget(&self, amounts: Amounts) -> Result<(), SessionError> {
        self.spenders()
            .try_for_each(|head| head.check_budget(amounts))
    }

    /// The heads that what is spent here is charged to.
    fn spenders(&self) -> impl Iterator<Item = &Head> {
        let payers: &[Head] = if self.spec.shared { &self.payers } else { &[] };
        [&self.head].into_iter().chain(payers)
    }

    /// Charges or gives back, to all who pay for what is spent here.
    fn spend(&mut self, change: impl Fn(&mut Head)) {
        change(&mut self.head);
        if self.spec.shared {
            self.payers.iter_mut().for_each(change);
        }
    }

    fn check_reservations(&self, request: &Use) -> Result<(), SessionError> {
        let wanted = request.items.iter().filter(|item| item.reserve).count();
        let open = self
            .head
            .open
            .iter()
            .filter(|open| !open.3.has_passed(self.now))
            .count();
        if wanted > 0 && open + wanted > RESERVATIONS_MAX {
            return Err(SessionError::TooManyReservations {
                max: RESERVATIONS_MAX,
            });
        }
        Ok(())
    }

    fn check_allowed(&self, request: &Use) -> Result<(), SessionError> {
        let spec = self.spec;
        if request
            .items
            .iter()
            .any(|item| !spec.tools.allows(&item.tool))
        {
            return Err(SessionError::ToolNotAllowed);
        }
        let mut credentials = request.items.iter().flat_map(|item| &item.credentials);
        if credentials.any(|credential| !spec.credentials.allows(credential)) {
            return Err(SessionError::CredentialNotAllowed);
        }
        let mut levels = request.items.iter().filter_map(|item| item.sensitivity);
        if levels.any(|level| level > spec.ceiling) {
            return Err(SessionError::SensitivityExceeded {
                ceiling: spec.ceiling,
            });
        }
        Ok(())
    }

    fn record_uses(&mut self, request: &Use) {
        for item in &request.items {
            self.head.made += 1;
            let call = self.head.made;
            if item.reserve {
                let deadline = self.now.plus_ms(self.terms.reservation_ms);
                self.head.open.push(Open(
                    call,
                    item.charge.tokens,
                    item.charge.cost_micros,
                    deadline,
                ));
            }
            self.record(What::Use {
                call,
                tool: item.tool.as_str().to_owned(),
                credentials: item
                    .credentials
                    .iter()
                    .map(|name| name.as_str().to_owned())
                    .collect(),
                sensitivity: item.sensitivity,
                charge: item.charge,
                reserved: item.reserve,
            });
        }
    }

    fn settle(&mut self, request: &Settle) -> Result<Left, SessionError> {
        self.check_agent(&request.agent)?;
        if let Some(Ended::Removing(_)) = self.head.ended {
            return Err(SessionError::NotFound);
        }
        let call = request.call;
        let found = self
            .head
            .open
            .iter()
            .find(|open| open.0 == call && !open.3.has_passed(self.now));
        let open = *found.ok_or(SessionError::ReservationNotFound { call })?;
        self.lapse();
        self.head.open.retain(|open| open.0 != call);
        let estimate = Charge::of(open);
        self.spend(|head| give_back(head, estimate));
        match request.outcome {
            Outcome::Cost(charge) => {
                self.spend(|head| charge_to(head, charge));
                self.record(What::Settle { call, charge });
            }
            Outcome::Refund => {
                self.spend(|head| subtract(&mut head.calls, 1));
                self.record(What::Refund { call });
            }
        }
        Ok(self.left())
    }

    fn top_up(&mut self, request: &TopUp) -> Result<Answer, SessionError> {
        self.check_active()?;
        let calls = raised("calls", self.head.calls, request.calls, CALLS_MAX)?;
        let tokens = raised("tokens", self.head.tokens, request.tokens, AMOUNT_MAX)?;
        let cost = raised(
            "cost_micros",
            self.head.cost,
            request.cost_micros,
            AMOUNT_MAX,
        )?;
        if !self.spec.shared {
            let amounts = Amounts::from(request);
            self.payers
                .iter()
                .try_for_each(|payer| payer.check_budget(amounts))?;
            self.payers.iter_mut().for_each(|payer| payer.lend(amounts));
        }
        self.lapse();
        self.head.calls.0 = calls;
        self.head.tokens.0 = tokens;
        self.head.cost.0 = cost;
        let (calls, tokens, cost_micros) = (request.calls, request.tokens, request.cost_micros);
        self.record(What::TopUp {
            calls,
            tokens,
            cost_micros,
        });
        Ok(Answer::Session(self.head.figures(self.now)))
    }

    /// An expired session can be closed, a closed one cannot.
    fn close(&mut self) -> Result<Answer, SessionError> {
        let cut = || self.cut.map(|cut| cut.ended);
        match self.head.ended.or_else(cut) {
            Some(Ended::Closed(_)) => return Err(SessionError::AlreadyClosed),
            Some(Ended::Removing(_)) => return Err(SessionError::NotFound),
            Some(Ended::Expired(_)) | None => {}
        }
        self.lapse();
        self.head.ended = Some(Ended::Closed(self.now));
        self.record(What::Close);
        Ok(Answer::Session(self.head.figures(self.now)))
    }

    /// Ends with a session above that ended at `at`, unless its own time was
    /// over before.
    fn cut(&mut self, at: Millis) -> Answer {
        if self.head.ended.is_none() {
            let expired = self.spec.expires_at().has_passed(at);
            self.lapse();
            self.head.ended = Some(if expired {
                Ended::Expired(self.spec.expires_at())
            } else {
                Ended::Closed(at)
            });
            self.record(What::Close);
            return Answer::Ended(self.head.ended);
        }
        Answer::Ended(None)
    }

    fn delegate(&mut self, delegation: &Delegation) -> Result<Answer, SessionError> {
        let request = &delegation.request;
        self.check_agent(&request.by)?;
        self.check_active()?;
        check_within(self.spec, &self.head, request, self.now)?;
        let budget = request.child.budget;
        if request.funding == Funding::Reserved {
            let amounts = Amounts::from(budget);
            self.spenders()
                .try_for_each(|head| check_limited(head, &request.child))?;
            self.spenders()
                .try_for_each(|head| check_left(head, amounts))?;
            self.spend(|head| head.lend(amounts));
        }
        self.lapse();
        self.head.delegated += 1;
        self.record(What::Delegate {
            session: delegation.child.clone(),
            calls: budget.calls,
            tokens: budget.tokens,
            cost_micros: budget.cost_micros,
            shared: request.funding == Funding::Shared,
        });
        Ok(Answer::Session(self.head.figures(self.now)))
    }

    fn expire(&mut self) -> Answer {
        if self.head.ended.is_none() && self.spec.expires_at().has_passed(self.now) {
            self.head.ended = Some(Ended::Expired(self.spec.expires_at()));
            self.head.at = self.now;
            self.changed = true;
            return Answer::Ended(self.head.ended);
        }
        Answer::Ended(None)
    }

    /// Drops reservations that were never settled; their estimates stay
    /// charged, because the calls may have happened.
    fn lapse(&mut self) {
        let now = self.now;
        let (over, open): (Vec<_>, Vec<_>) = self
            .head
            .open
            .iter()
            .partition(|open| open.3.has_passed(now));
        if over.is_empty() {
            return;
        }
        self.head.open = open;
        for lapsed in over {
            self.record(What::Lapse { call: lapsed.0 });
        }
    }

    fn record(&mut self, what: What) {
        self.head.at = self.now;
        self.changed = true;
        self.head.events += 1;
        self.events.push(EventRecord {
            at: self.now,
            what,
            operation: None,
        });
    }

    fn left(&self) -> Left {
        let mut left = self.head.left();
        for head in self.spenders().skip(1) {
            for (left, theirs) in left.iter_mut().zip(head.left()) {
                *left = (*left).into_iter().chain(theirs).min();
            }
        }
        let [calls, tokens, cost_micros] = left;
        Left {
            calls: calls.unwrap_or(0),
            tokens,
            cost_micros,
            time_ms: self.spec.expires_at().since(self.now),
        }
    }

    fn is_low(&self, left: &Left) -> bool {
        let meters = [
            (Some(left.calls), self.head.calls.0),
            (left.tokens, self.head.tokens.0),
            (left.cost_micros, self.head.cost.0),
            (Some(left.time_ms), Some(self.spec.time_limit_ms)),
        ];
        let low = |(left, limit): &(Option<u64>, Option<u64>)| match (left, limit) {
            (Some(left), Some(limit)) => {
                left.saturating_mul(100) <= limit.saturating_mul(LOW_PERCENT)
            }
            _ => false,
        };
        meters.iter().any(low)
    }
}

/// Whether upkeep still has to end what is below a session that ended, and
/// to see to it that its rest is with its parent.
pub(crate) const fn needs_winding_up(spec: &Spec, head: &Head) -> bool {
    !head.wound_up && (spec.parent.is_some() || head.delegated > 0)
}

/// When maintenance next has something to do for a session that ended: at
/// once if it is part of a tree, then to drop its operation records, then to
/// remove it.
pub(crate) fn due_after_end(spec: &Spec, head: &Head, ended_at: Millis, terms: Terms) -> Millis {
    if needs_winding_up(spec, head) {
        return ended_at;
    }
    let removal = ended_at.plus_ms(terms.retention_ms);
    let operations = ended_at.plus_ms(OPERATION_MS);
    if head.ops {
        removal.min(operations)
    } else {
        removal
    }
}

fn total(request: &Use) -> Charge {
    request
        .items
        .iter()
        .fold(Charge::default(), |sum, item| Charge {
            tokens: sum.tokens.saturating_add(item.charge.tokens),
            cost_micros: sum.cost_micros.saturating_add(item.charge.cost_micros),
        })
}

const fn charge_to(head: &mut Head, charge: Charge) {
    add(&mut head.tokens, charge.tokens);
    add(&mut head.cost, charge.cost_micros);
}

const fn give_back(head: &mut Head, charge: Charge) {
    subtract(&mut head.tokens, charge.tokens);
    subtract(&mut head.cost, charge.cost_micros);
}

const fn add(meter: &mut MeterRecord, amount: u64) {
    meter.1 = meter.1.saturating_add(amount);
}

const fn subtract(meter: &mut MeterRecord, amount: u64) {
    meter.1 = meter.1.saturating_sub(amount);
}

fn raised(
    field: &'static str,
    meter: MeterRecord,
    by: u64,
    max: u64,
) -> Result<Option<u64>, SessionError> {
    if by == 0 {
        return Ok(meter.0);
    }
    let limit = meter
        .0
        .ok_or(SessionError::invalid(field, Problem::Unlimited))?;
    let raised = limit.saturating_add(by);
    check_range(field, raised, 0, max)?;
    Ok(Some(raised))
}
