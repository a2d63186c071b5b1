//! Creation: every limit at its bounds, and what a session is born with.

use windlass_session::limits::{
    AMOUNT_MAX, CALLS_MAX, CHAIN_MAX, INTENT_BYTES_MAX, PATTERNS_MAX, RATE_WINDOW_MS_MAX,
    RATE_WINDOW_MS_MIN, TIME_LIMIT_MS_MAX, TIME_LIMIT_MS_MIN,
};
use windlass_session::{Allow, Config, Create, RateLimit, Sensitivity, Sessions, Status, TopUp};

use crate::support::{START, World, agent, caller, code, request, session_id, strict};

/// Whether a session may be created once `edit` was made.
async fn created_with(edit: impl FnOnce(&mut Create)) -> Result<(), String> {
    let world = World::new();
    let created = world.sessions.create(&caller(), request(edit)).await;
    let refusal = created.map(|_| ()).map_err(|error| error.to_string());
    let rows = world.rows().await.len();
    assert_eq!(rows == 0, refusal.is_err(), "{rows} rows, {refusal:?}");
    refusal
}

/// A number of the request, how it is named, and its bounds.
type Bound = (fn(&mut Create, u64), &'static str, u64, u64);

const BOUNDS: &[Bound] = &[
    (
        |request, ms| request.time_limit_ms = ms,
        "time_limit_ms",
        TIME_LIMIT_MS_MIN,
        TIME_LIMIT_MS_MAX,
    ),
    (
        |request, calls| request.budget.calls = calls,
        "budget.calls",
        1,
        CALLS_MAX,
    ),
    (
        |request, tokens| request.budget.tokens = Some(tokens),
        "budget.tokens",
        0,
        AMOUNT_MAX,
    ),
    (
        |request, cost| request.budget.cost_micros = Some(cost),
        "budget.cost_micros",
        0,
        AMOUNT_MAX,
    ),
    (
        |request, window_ms| request.rate = Some(RateLimit::sliding(1, window_ms)),
        "rate.window_ms",
        RATE_WINDOW_MS_MIN,
        RATE_WINDOW_MS_MAX,
    ),
    (
        |request, limit| request.rate = Some(RateLimit::sliding(limit, 60_000)),
        "rate.limit",
        0,
        CALLS_MAX,
    ),
];

#[tokio::test]
async fn numbers_are_taken_at_their_bounds_and_refused_beyond_them() {
    for (set, field, min, max) in BOUNDS {
        for value in [*min, *max] {
            let answer = created_with(|request| set(request, value)).await;
            assert_eq!(answer, Ok(()), "{field} {value}");
        }
        let below = min.checked_sub(1);
        for value in below.into_iter().chain([max + 1, u64::MAX]) {
            let answer = created_with(|request| set(request, value)).await;
            let expected = format!("`{field}` is {value}; {min} to {max} are allowed");
            assert_eq!(answer, Err(expected));
        }
    }
}

#[tokio::test]
async fn texts_and_lists_are_taken_at_their_bounds_and_refused_beyond_them() {
    let patterns = |count: usize| {
        let pattern = |number: usize| format!("t{number}").parse().expect("a pattern");
        Allow::Only((0..count).map(pattern).collect())
    };
    let accepted: [fn(&mut Create); 2] = [
        |request| request.intent = "x".repeat(INTENT_BYTES_MAX),
        |request| request.chain = vec![agent(); CHAIN_MAX],
    ];
    for edit in accepted {
        assert_eq!(created_with(edit).await, Ok(()));
    }
    let list = patterns(PATTERNS_MAX);
    assert_eq!(
        created_with(|request| request.tools = list.clone()).await,
        Ok(())
    );
    assert_eq!(
        created_with(|request| request.credentials = list.clone()).await,
        Ok(())
    );

    let long = patterns(PATTERNS_MAX + 1);
    let refused = [
        (
            created_with(|request| request.intent = String::new()).await,
            "`intent` must not be empty",
        ),
        (
            created_with(|request| request.intent = "é".repeat(257)).await,
            "`intent` has 514 bytes; at most 512 are allowed",
        ),
        (
            created_with(|request| request.chain = vec![agent(); CHAIN_MAX + 1]).await,
            "`chain` has 33 elements; at most 32 are allowed",
        ),
        (
            created_with(|request| request.tools = long.clone()).await,
            "`tools` has 1025 elements; at most 1024 are allowed",
        ),
        (
            created_with(|request| request.credentials = long.clone()).await,
            "`credentials` has 1025 elements; at most 1024 are allowed",
        ),
    ];
    for (answer, expected) in refused {
        assert_eq!(answer, Err(expected.to_owned()));
    }
}

#[tokio::test]
async fn a_session_is_born_as_it_was_asked_for_and_reloads_the_same() {
    let world = World::new();
    let created = world
        .create(|request| {
            request.tools = Allow::only(["search", "fetch_*"]).expect("patterns");
            request.credentials = Allow::nothing();
            request.ceiling = Sensitivity::Confidential;
            request.budget.tokens = Some(5_000);
            request.rate = Some(RateLimit::sliding(3, 10_000));
            request.chain = vec!["first".parse().expect("an identifier"), agent()];
        })
        .await;
    assert_eq!(created.status, Status::Active);
    assert_eq!((created.created_at, created.changed_at), (START, START));
    assert_eq!(created.expires_at, START.plus_ms(3_600_000));
    assert_eq!(created.chain.len(), 2);
    assert_eq!(created.principal.as_str(), "runtime");
    assert_eq!(created.budget.tokens.limit, Some(5_000));
    assert_eq!(created.budget.cost_micros.limit, None);
    assert_eq!(world.get("s1").await, created);
    let reopened = crate::support::get(&world.reopen(), "s1").await;
    assert_eq!(reopened.expect("a readable session"), Some(created));
}

#[tokio::test]
async fn defaults_are_the_documented_ones() {
    let request = Create::new(agent(), "anything");
    assert_eq!(request.time_limit_ms, 3_600_000);
    assert_eq!(request.budget.calls, 1_000);
    assert_eq!(
        (&request.tools, &request.credentials),
        (&Allow::nothing(), &Allow::nothing())
    );
    assert_eq!((request.ceiling, request.rate), (Sensitivity::Public, None));
    let config = Config::default();
    assert_eq!((config.cap, config.retention_ms), (10, 7 * 24 * 3_600_000));
    let rate: RateLimit = serde_json::from_str(r#"{"limit":5}"#).expect("a rate");
    assert_eq!(rate.window_ms, 60_000);
}

#[tokio::test]
async fn an_id_in_use_is_refused_and_the_first_session_stays() {
    let world = World::new();
    let first = world.create(|_| {}).await;
    let second = request(|request| request.agent = "other".parse().expect("an identifier"));
    let refused = world.sessions.create(&caller(), second).await;
    assert_eq!(code(refused), "already_exists");
    assert_eq!(world.get("s1").await, first);
}

#[tokio::test]
async fn without_an_id_each_creation_makes_one_of_its_own() {
    let world = World::new();
    let one = world.create(|request| request.id = None).await;
    let other = world.create(|request| request.id = None).await;
    assert_ne!(one.id, other.id);
    assert_eq!(world.get(other.id.as_str()).await, other);
}

#[tokio::test]
async fn settings_are_taken_at_their_bounds_and_refused_beyond_them() {
    let world = World::new();
    let set = |edit: &dyn Fn(&mut Config)| {
        let mut config = Config::default();
        edit(&mut config);
        let sessions = Sessions::new(strict(&world.ground), world.env.clone(), config);
        sessions.map(|_| ()).map_err(|error| error.to_string())
    };
    let years = 10 * 365 * 24 * 3_600_000_u64;
    type Edit = fn(&mut Config, u64);
    let table: [(Edit, &str, u64, u64); 4] = [
        (|config, value| config.cap = value, "cap", 1, 1_000_000),
        (
            |config, value| config.retention_ms = value,
            "retention_ms",
            0,
            years,
        ),
        (
            |config, value| config.reservation_ms = value,
            "reservation_ms",
            1,
            86_400_000,
        ),
        (
            |config, value| config.cached_sessions = usize::try_from(value).expect("64 bits"),
            "cached_sessions",
            1,
            1_000_000,
        ),
    ];
    for (edit, field, min, max) in table {
        assert_eq!(set(&|config| edit(config, min)), Ok(()), "{field}");
        assert_eq!(set(&|config| edit(config, max)), Ok(()), "{field}");
        for value in min.checked_sub(1).into_iter().chain([max + 1]) {
            let expected = format!("`{field}` is {value}; {min} to {max} are allowed");
            assert_eq!(set(&|config| edit(config, value)), Err(expected));
        }
    }
}

#[tokio::test]
async fn a_top_up_raises_limits_up_to_their_maximum_and_no_further() {
    let world = World::new();
    world
        .create(|request| request.budget.tokens = Some(1))
        .await;
    let top_up = |calls, tokens, cost_micros| {
        let request = TopUp {
            calls,
            tokens,
            cost_micros,
            operation: None,
        };
        let sessions = world.sessions.clone();
        async move {
            let raised = sessions.top_up(&caller(), &session_id("s1"), request).await;
            raised
                .map(|session| session.budget)
                .map_err(|error| error.to_string())
        }
    };
    let raised = top_up(CALLS_MAX - 10, AMOUNT_MAX - 1, 0)
        .await
        .expect("up to the maximum");
    assert_eq!(raised.calls.limit, Some(CALLS_MAX));
    assert_eq!(raised.tokens.limit, Some(AMOUNT_MAX));
    let table = [
        ((0, 0, 0), "`top_up` must not be empty"),
        ((1, 0, 0), "`calls` is 1000001; 0 to 1000000 are allowed"),
        (
            (0, 1, 0),
            "`tokens` is 1000000000000001; 0 to 1000000000000000 are allowed",
        ),
        ((0, 0, 1), "`cost_micros` names a meter without a limit"),
        (
            (u64::MAX, 0, 0),
            "`calls` is 18446744073709551615; 0 to 1000000 are allowed",
        ),
    ];
    for ((calls, tokens, cost), expected) in table {
        assert_eq!(top_up(calls, tokens, cost).await, Err(expected.to_owned()));
    }
    assert_eq!(world.get("s1").await.budget, raised);
}
