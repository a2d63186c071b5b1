//! What a session may call and use.

use windlass_session::{Agent, Allow, Name, Pattern, Problem, Sensitivity, Use, UseItem};

use crate::support::{World, call, code, get, use_tools};

#[test]
fn a_pattern_matches_its_name_or_what_begins_like_it() {
    let table: [(&str, &[&str], &[&str]); 5] = [
        (
            "search",
            &["search"],
            &["Search", "search2", "sear", "search/"],
        ),
        (
            "fetch_*",
            &["fetch_", "fetch_url", "fetch_*x".trim_end_matches("*x")],
            &["fetch", "Fetch_url", "prefetch_url"],
        ),
        ("*", &["a", "ä ö", "x/y.z"], &[]),
        ("a.b", &["a.b"], &["axb"]),
        ("ä*", &["ä", "äh"], &["a"]),
    ];
    for (pattern, matched, unmatched) in table {
        let pattern: Pattern = pattern.parse().expect("a pattern");
        let matches = |text: &str| pattern.matches(&text.parse::<Name>().expect("a name"));
        for text in matched {
            assert!(matches(text), "{pattern:?} {text}");
        }
        for text in unmatched {
            assert!(!matches(text), "{pattern:?} {text}");
        }
    }
}

#[test]
fn texts_that_are_no_name_or_pattern_are_refused_with_the_reason() {
    let long = "x".repeat(257);
    let too_long = Problem::TooLong {
        length: 257,
        max: 256,
    };
    let table = [
        ("", Err(Problem::Empty), Err(Problem::Empty)),
        (long.as_str(), Err(too_long.clone()), Err(too_long)),
        ("a\nb", Err(Problem::Character), Err(Problem::Character)),
        ("a*", Err(Problem::Character), Ok(())),
        ("*a", Err(Problem::Character), Err(Problem::Character)),
        ("a**", Err(Problem::Character), Err(Problem::Character)),
        ("a b/ü", Ok(()), Ok(())),
    ];
    for (text, name, pattern) in table {
        assert_eq!(text.parse::<Name>().map(|_| ()), name, "{text:?}");
        assert_eq!(text.parse::<Pattern>().map(|_| ()), pattern, "{text:?}");
    }
}

#[test]
fn nothing_left_out_of_the_json_of_a_list_means_everything() {
    let only = Allow::only(["a", "b*"]).expect("patterns");
    for (allow, json) in [
        (Allow::All, r#""all""#),
        (Allow::nothing(), r#"{"only":[]}"#),
        (only, r#"{"only":["a","b*"]}"#),
    ] {
        assert_eq!(serde_json::to_string(&allow).expect("a list"), json);
        assert_eq!(serde_json::from_str::<Allow>(json).expect("a list"), allow);
    }
    for json in ["null", "{}", "[]", r#""""#, r#"{"only":null}"#, r#""only""#] {
        let read = serde_json::from_str::<Allow>(json);
        assert!(read.is_err(), "{json}: {read:?}");
    }
}

fn with_credential(credential: &str) -> Use {
    let mut item = UseItem::new("search".parse().expect("a name"));
    item.credentials = vec![credential.parse().expect("a name")];
    Use::batch(Agent::Unchecked, vec![item])
}

#[tokio::test]
async fn an_empty_list_allows_nothing_before_and_after_a_restart() {
    let world = World::new();
    world
        .create(|request| {
            request.tools = Allow::nothing();
            request.credentials = Allow::nothing();
        })
        .await;
    for sessions in [world.sessions.clone(), world.reopen()] {
        let used = use_tools(&sessions, "s1", call("search")).await;
        assert_eq!(code(used), "tool_not_allowed");
        let seen = get(&sessions, "s1")
            .await
            .expect("readable")
            .expect("there");
        assert_eq!(
            (seen.tools, seen.credentials),
            (Allow::nothing(), Allow::nothing())
        );
    }
}

#[tokio::test]
async fn both_lists_hold_after_a_restart_as_they_were_given() {
    let world = World::new();
    world
        .create(|request| {
            request.tools = Allow::only(["search", "fetch_*"]).expect("patterns");
            request.credentials = Allow::only(["github"]).expect("patterns");
        })
        .await;
    let sessions = world.reopen();
    for (request, expected) in [
        (call("search"), None),
        (call("fetch_url"), None),
        (call("shell"), Some("tool_not_allowed")),
        (with_credential("github"), None),
        (with_credential("gitlab"), Some("credential_not_allowed")),
    ] {
        let used = use_tools(&sessions, "s1", request.clone()).await;
        assert_eq!(
            used.err().map(|error| code::<()>(Err(error))),
            expected,
            "{request:?}"
        );
    }
}

#[tokio::test]
async fn credentials_that_are_not_named_need_not_be_allowed() {
    let world = World::new();
    world
        .create(|request| request.credentials = Allow::nothing())
        .await;
    world.call("s1", "search").await.expect("names none");
    let refused = use_tools(&world.sessions, "s1", with_credential("any")).await;
    assert_eq!(code(refused), "credential_not_allowed");
}

#[tokio::test]
async fn a_sensitivity_up_to_the_ceiling_is_allowed() {
    for (place, ceiling) in Sensitivity::ALL.into_iter().enumerate() {
        let world = World::new();
        world.create(|request| request.ceiling = ceiling).await;
        for (level_place, level) in Sensitivity::ALL.into_iter().enumerate() {
            let mut request = call("search");
            request.items[0].sensitivity = Some(level);
            let used = use_tools(&world.sessions, "s1", request).await;
            match used {
                Ok(_) => assert!(level_place <= place, "{level} under {ceiling}"),
                Err(error) => {
                    assert!(level_place > place, "{level} under {ceiling}");
                    let expected =
                        format!("the sensitivity is above the session's ceiling `{ceiling}`");
                    assert_eq!(error.to_string(), expected);
                }
            }
        }
    }
}

#[test]
fn sensitivities_are_spelled_alike_in_text_and_json() {
    for level in Sensitivity::ALL {
        let json = format!("\"{level}\"");
        assert_eq!(serde_json::to_string(&level).expect("a word"), json);
        assert_eq!(level.as_str().parse::<Sensitivity>(), Ok(level));
    }
    assert!("Public".parse::<Sensitivity>().is_err(), "spelled small");
    assert!(Sensitivity::ALL.is_sorted(), "{:?}", Sensitivity::ALL);
}
