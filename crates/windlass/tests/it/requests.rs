//! Requests that are refused: each by its documented code and kind, the store
//! as before, on every store.

use std::sync::Arc;

use windlass::core::{Coded, ErrorKind, IdError, ManualEnv, Millis, SessionId};
use windlass::session::{
    Agent, Allow, Caller, Create, ListQuery, Name, Outcome, SessionError, Settle, TopUp, Use,
};
use windlass::store::Entry;
use windlass::{Options, Windlass};

use crate::SCHEMES;
use crate::place::Place;

/// An engine with the session `s1` of agent `scout`, which may call `search`
/// five times.
struct Bench {
    windlass: Windlass,
    owner: Caller,
    stranger: Caller,
    _place: Place,
}

impl Bench {
    async fn open(scheme: &str) -> Self {
        let place = Place::new(scheme);
        let env = Arc::new(ManualEnv::new(1, Millis::new(1_700_000_000_000)));
        let windlass = Windlass::with_env(&place.location(), Options::default(), env)
            .await
            .unwrap();
        let caller = |tenant: &str| Caller::new(tenant.parse().unwrap(), "tests".parse().unwrap());
        let (owner, stranger) = (caller("acme"), caller("other"));
        let mut request = create();
        request.id = Some(id());
        request.tools = Allow::only(["search"]).unwrap();
        request.budget.calls = 5;
        windlass.sessions().create(&owner, request).await.unwrap();
        Self {
            windlass,
            owner,
            stranger,
            _place: place,
        }
    }

    async fn export(&self) -> Vec<Entry> {
        self.windlass
            .export()
            .await
            .unwrap()
            .collect()
            .await
            .unwrap()
    }

    async fn creating(&self, change: impl FnOnce(&mut Create)) -> SessionError {
        let mut request = create();
        change(&mut request);
        self.windlass
            .sessions()
            .create(&self.owner, request)
            .await
            .expect_err("it is refused")
    }

    async fn using(&self, caller: &Caller, agent: &str, tools: &[&str]) -> SessionError {
        let mut request = Use::batch(Agent::Is(agent.parse().unwrap()), Vec::new());
        for tool in tools {
            request
                .items
                .append(&mut Use::one(Agent::Unchecked, name(tool)).items);
        }
        self.windlass
            .sessions()
            .use_tools(caller, &id(), request)
            .await
            .expect_err("it is refused")
    }
}

fn create() -> Create {
    Create::new("scout".parse().unwrap(), "errands")
}

fn id() -> SessionId {
    "s1".parse().unwrap()
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// What was asked, how it was refused, and how it should have been.
type Answer = (&'static str, SessionError, &'static str, ErrorKind);

/// What is wrong with a creation, and how to make it so.
type Spoilt = (&'static str, fn(&mut Create), &'static str, ErrorKind);

const CREATIONS: [Spoilt; 10] = [
    (
        "no intent",
        |create| create.intent.clear(),
        "invalid_request",
        ErrorKind::Invalid,
    ),
    (
        "a long intent",
        |create| create.intent = "x".repeat(513),
        "invalid_request",
        ErrorKind::Invalid,
    ),
    (
        "a long chain",
        |create| create.chain = vec![create.agent.clone(); 33],
        "invalid_request",
        ErrorKind::Invalid,
    ),
    (
        "many patterns",
        |create| create.tools = many_patterns(),
        "invalid_request",
        ErrorKind::Invalid,
    ),
    (
        "no time",
        |create| create.time_limit_ms = 0,
        "invalid_request",
        ErrorKind::Invalid,
    ),
    (
        "all time",
        |create| create.time_limit_ms = u64::MAX,
        "invalid_request",
        ErrorKind::Invalid,
    ),
    (
        "no calls",
        |create| create.budget.calls = 0,
        "invalid_request",
        ErrorKind::Invalid,
    ),
    (
        "all calls",
        |create| create.budget.calls = u64::MAX,
        "invalid_request",
        ErrorKind::Invalid,
    ),
    (
        "all tokens",
        |create| create.budget.tokens = Some(u64::MAX),
        "invalid_request",
        ErrorKind::Invalid,
    ),
    (
        "an id in use",
        |create| create.id = Some(id()),
        "already_exists",
        ErrorKind::Conflict,
    ),
];

fn many_patterns() -> Allow {
    Allow::only(std::iter::repeat_n("a", 1_025)).unwrap()
}

async fn refused_creations(bench: &Bench) -> Vec<Answer> {
    let mut answers = Vec::new();
    for (what, spoil, code, kind) in CREATIONS {
        answers.push((what, bench.creating(spoil).await, code, kind));
    }
    answers
}

async fn refused_uses(bench: &Bench) -> Vec<Answer> {
    use ErrorKind::{Invalid, NotFound, Refused};
    let (owner, stranger) = (&bench.owner, &bench.stranger);
    let many = vec!["search"; 257];
    vec![
        (
            "no tool",
            bench.using(owner, "scout", &[]).await,
            "invalid_request",
            Invalid,
        ),
        (
            "many tools",
            bench.using(owner, "scout", &many).await,
            "invalid_request",
            Invalid,
        ),
        (
            "another agent",
            bench.using(owner, "spy", &["search"]).await,
            "agent_mismatch",
            Refused,
        ),
        (
            "another tool",
            bench.using(owner, "scout", &["shell"]).await,
            "tool_not_allowed",
            Refused,
        ),
        (
            "a batch with another tool",
            bench.using(owner, "scout", &["search", "shell"]).await,
            "tool_not_allowed",
            Refused,
        ),
        (
            "too many calls",
            bench.using(owner, "scout", &["search"; 6]).await,
            "budget_exceeded",
            Refused,
        ),
        (
            "another tenant",
            bench.using(stranger, "scout", &["search"]).await,
            "not_found",
            NotFound,
        ),
    ]
}

async fn refused_changes(bench: &Bench) -> Vec<Answer> {
    use ErrorKind::{Invalid, NotFound};
    let sessions = bench.windlass.sessions();
    let settle = Settle {
        agent: Agent::Unchecked,
        call: 1,
        outcome: Outcome::Refund,
        operation: None,
    };
    let nothing = TopUp::default();
    let unlimited = TopUp {
        tokens: 1,
        ..TopUp::default()
    };
    let some = TopUp {
        calls: 1,
        ..TopUp::default()
    };
    let page = ListQuery {
        limit: 0,
        ..ListQuery::default()
    };
    let (owner, stranger) = (&bench.owner, &bench.stranger);
    vec![
        (
            "an unreserved call",
            sessions.settle(owner, &id(), settle).await.unwrap_err(),
            "reservation_not_found",
            NotFound,
        ),
        (
            "a top-up of nothing",
            sessions.top_up(owner, &id(), nothing).await.unwrap_err(),
            "invalid_request",
            Invalid,
        ),
        (
            "a top-up without limit",
            sessions.top_up(owner, &id(), unlimited).await.unwrap_err(),
            "invalid_request",
            Invalid,
        ),
        (
            "another tenant's top-up",
            sessions.top_up(stranger, &id(), some).await.unwrap_err(),
            "not_found",
            NotFound,
        ),
        (
            "another tenant's close",
            sessions.close(stranger, &id(), None).await.unwrap_err(),
            "not_found",
            NotFound,
        ),
        (
            "a page of nothing",
            sessions.list(owner, &page).await.unwrap_err(),
            "invalid_request",
            Invalid,
        ),
    ]
}

#[tokio::test]
async fn a_refused_request_says_its_code_and_kind_and_changes_nothing() {
    for &scheme in SCHEMES {
        let bench = Bench::open(scheme).await;
        let before = bench.export().await;
        let mut answers = refused_creations(&bench).await;
        answers.append(&mut refused_uses(&bench).await);
        answers.append(&mut refused_changes(&bench).await);
        for (what, error, code, kind) in answers {
            assert_eq!(
                (error.code(), error.kind()),
                (code, kind),
                "{scheme}: {what}: {error:?}"
            );
        }
        assert_eq!(bench.export().await, before, "{scheme}");
    }
}

#[tokio::test]
async fn another_tenant_sees_exactly_nothing() {
    for &scheme in SCHEMES {
        let bench = Bench::open(scheme).await;
        let sessions = bench.windlass.sessions();
        let (stranger, agent) = (&bench.stranger, "scout".parse().unwrap());
        assert_eq!(
            sessions.get(stranger, &id()).await.unwrap(),
            None,
            "{scheme}"
        );
        assert_eq!(
            sessions.history(stranger, &id(), 0, 10).await.unwrap(),
            None,
            "{scheme}"
        );
        assert_eq!(
            sessions.count_active(stranger, &agent).await.unwrap(),
            0,
            "{scheme}"
        );
        assert_eq!(
            sessions.close_agent(stranger, &agent).await.unwrap(),
            0,
            "{scheme}"
        );
        let page = sessions
            .list(stranger, &ListQuery::default())
            .await
            .unwrap();
        assert_eq!((page.sessions, page.next), (vec![], None), "{scheme}");
        let own = sessions.get(&bench.owner, &id()).await.unwrap();
        assert_eq!(own.map(|session| session.id), Some(id()), "{scheme}");
    }
}

#[test]
fn what_is_no_identifier_cannot_even_be_asked_for() {
    let long = "i".repeat(129);
    let what = "session";
    let table = [
        ("", IdError::Empty { what }),
        (long.as_str(), IdError::TooLong { what, length: 129 }),
        ("a/b", IdError::Character { what, position: 1 }),
        ("a\0", IdError::Character { what, position: 1 }),
        ("größe", IdError::Character { what, position: 2 }),
        (".", IdError::Dots { what }),
        ("..", IdError::Dots { what }),
    ];
    for (text, expected) in table {
        assert_eq!(text.parse::<SessionId>(), Err(expected), "{text:?}");
    }
}
