//! What a credential may do, and what it may give away.

use serde_json::json;
use windlass_access::{Grant, Groups, Reach, Scope, UnknownVerb, Verb, VerbPattern, Verbs};
use windlass_store_testing::Random;

use crate::support::{grant_of, operators, scope_of, verbs};

const NAMES: [&str; 23] = [
    "session.create",
    "session.read",
    "session.use",
    "session.manage",
    "stash.read",
    "stash.write",
    "stash.manage",
    "state.read",
    "state.write",
    "state.manage",
    "queue.read",
    "queue.write",
    "queue.work",
    "queue.manage",
    "stream.read",
    "stream.write",
    "stream.manage",
    "key.manage",
    "tenant.read",
    "tenant.manage",
    "store.read",
    "store.manage",
    "audit.read",
];

#[test]
fn verbs_have_the_names_that_are_documented() {
    let names: Vec<&str> = Verb::ALL.iter().map(|verb| verb.as_str()).collect();
    assert_eq!(names, NAMES);
    for name in NAMES {
        assert_eq!(name.parse::<Verb>().map(Verb::as_str), Ok(name));
        assert_eq!(json!(name.parse::<Verb>().expect("a verb")), json!(name));
    }
    for text in [
        "",
        "*",
        "session",
        "session.",
        "session.*",
        "Session.read",
        "session.read ",
    ] {
        assert_eq!(text.parse::<Verb>(), Err(UnknownVerb), "{text:?}");
    }
}

#[test]
fn a_pattern_stands_for_its_verbs_and_no_others() {
    let allowed = |names: &[&str]| -> Vec<&str> {
        let set = verbs(names);
        let all = Verb::ALL.iter();
        all.filter(|verb| set.allows(**verb))
            .map(|verb| verb.as_str())
            .collect()
    };
    assert_eq!(allowed(&["*"]), NAMES);
    assert_eq!(
        allowed(&["stash.*", "state.*", "queue.*", "stream.*", "key.manage"]),
        NAMES[4..18]
    );
    assert_eq!(allowed(&["state.*"]), NAMES[7..10]);
    assert_eq!(allowed(&["queue.*"]), NAMES[10..14]);
    assert_eq!(allowed(&["stream.*"]), NAMES[14..17]);
    assert_eq!(allowed(&["session.use"]), NAMES[2..3]);
    assert_eq!(allowed(&[]), [""; 0]);
    for text in ["", "**", "s*", "session*", "nothing.*", "session.r*", ".*"] {
        assert_eq!(text.parse::<VerbPattern>(), Err(UnknownVerb), "{text:?}");
    }
}

#[test]
fn verbs_that_may_come_are_covered_by_patterns_only() {
    let covers = |one: &[&str], other: &[&str]| verbs(one).covers(&verbs(other));
    assert!(covers(&["*"], &["*"]) && covers(&["*"], &["session.*", "store.read"]));
    assert!(covers(&["session.*"], &["session.use", "session.*"]));
    assert!(covers(&["session.use"], &["session.use"]) && covers(&["session.use"], &[]));
    assert!(
        !covers(&NAMES[..4], &["session.*"]),
        "not what is added to it later"
    );
    assert!(!covers(&NAMES, &["*"]) && !covers(&["session.*"], &["stash.read"]));
    assert!(!covers(&[], &["session.use"]));
}

#[test]
fn a_scope_holds_only_what_is_its_own_whatever_the_verbs_say() {
    let held = |grant: &Grant| -> Vec<&str> {
        let all = Verb::ALL.iter();
        all.filter(|verb| grant.allows(**verb))
            .map(|verb| verb.as_str())
            .collect()
    };
    assert_eq!(held(&operators(&["*"])), NAMES[17..]);
    let of_tenant = [&NAMES[..19], &["audit.read"]].concat();
    assert_eq!(held(&grant_of("acme", &["*"])), of_tenant);
    assert_eq!(
        held(&grant_of("acme", &["tenant.*", "store.*"])),
        NAMES[18..19]
    );
}

#[test]
fn nothing_is_given_away_that_is_wider_than_its_giver() {
    let base = Grant {
        groups: groups(&["a", "b"]),
        ..grant_of("acme", &["session.*", "key.manage"])
    };
    let with = |edit: &dyn Fn(&mut Grant)| {
        let mut grant = base.clone();
        edit(&mut grant);
        grant
    };
    assert!(base.covers(&base));
    assert!(base.covers(&with(&|grant| grant.verbs = verbs(&["session.use"]))));
    assert!(base.covers(&with(&|grant| grant.groups = groups(&["b"]))));
    assert!(base.covers(&with(&|grant| grant.groups = Groups::None)));
    let wider: [(&str, Grant); 7] = [
        ("verbs", with(&|grant| grant.verbs = verbs(&["*"]))),
        (
            "another verb",
            with(&|grant| grant.verbs = verbs(&["stash.read"])),
        ),
        ("groups", with(&|grant| grant.groups = groups(&["a", "c"]))),
        ("all groups", with(&|grant| grant.groups = Groups::All)),
        ("reach", with(&|grant| grant.reach = Reach::Tenant)),
        ("tenant", with(&|grant| grant.scope = scope_of("acm"))),
        ("scope", with(&|grant| grant.scope = Scope::Operator)),
    ];
    for (what, grant) in wider {
        assert!(!base.covers(&grant), "{what}");
    }
    let other = with(&|grant| {
        grant.scope = Scope::Tenant {
            tenant: "acme".parse().expect("an identifier"),
            principal: "somebody".parse().expect("an identifier"),
        };
    });
    assert!(!base.covers(&other), "it would act as somebody else");
    let reaching = with(&|grant| grant.reach = Reach::Tenant);
    assert!(reaching.covers(&other));
}

#[test]
fn operators_make_keys_for_every_tenant_and_no_operator_wider_than_themselves() {
    let operator = operators(&["key.manage", "store.*"]);
    assert!(operator.covers(&grant_of("acme", &["*"])));
    assert!(operator.covers(&operators(&["store.read"])));
    assert!(!operator.covers(&operators(&["tenant.manage"])));
    assert!(!operator.covers(&operators(&["*"])));
}

#[test]
fn what_is_covered_can_never_do_more() {
    let mut random = Random::new(0xacce55);
    let mut covered = 0;
    for _ in 0..20_000 {
        let (one, other) = (any_grant(&mut random), any_grant(&mut random));
        if !one.covers(&other) || one.scope == Scope::Operator {
            continue;
        }
        covered += 1;
        for verb in Verb::ALL {
            assert!(
                one.allows(*verb) || !other.allows(*verb),
                "{one:?} {other:?}"
            );
        }
        for group in ["a", "b", "c"].map(|name| name.parse().expect("an identifier")) {
            let allowed = (one.groups.allows(&group), other.groups.allows(&group));
            assert_ne!(allowed, (false, true), "{one:?} {other:?}");
        }
        assert!(one.reach >= other.reach && one.scope.tenant() == other.scope.tenant());
    }
    assert!(covered > 200, "{covered}");
}

fn any_grant(random: &mut Random) -> Grant {
    let patterns = [
        "*",
        "session.*",
        "session.use",
        "stash.*",
        "stash.read",
        "key.manage",
    ];
    let names: Vec<&str> = (0..=random.below(3))
        .map(|_| *random.pick(&patterns))
        .collect();
    let scope = match random.below(4) {
        0 => Scope::Operator,
        1 => scope_of("a"),
        _ => scope_of("acme"),
    };
    let some: Vec<&str> = ["a", "b", "c"]
        .into_iter()
        .filter(|_| random.one_in(2))
        .collect();
    Grant {
        scope,
        reach: *random.pick(&[Reach::Own, Reach::Tenant]),
        groups: random
            .pick(&[Groups::None, groups(&some), Groups::All])
            .clone(),
        verbs: verbs(&names),
    }
}

#[test]
fn only_a_single_group_is_acted_as_without_being_named() {
    let unnamed = |groups: Groups| groups.unnamed().map(ToString::to_string);
    assert_eq!(unnamed(groups(&["a"])), Some("a".to_owned()));
    for many in [groups(&[]), groups(&["a", "b"]), Groups::None, Groups::All] {
        assert_eq!(unnamed(many), None);
    }
}

#[test]
fn grants_are_written_flat() {
    let tenant = Grant {
        groups: groups(&["b", "a"]),
        ..grant_of("acme", &["session.use", "stash.*"])
    };
    let flat = json!({
        "scope": "tenant", "tenant": "acme", "principal": "runtime", "reach": "own",
        "groups": {"only": ["a", "b"]}, "verbs": ["stash.*", "session.use"],
    });
    assert_eq!(json!(tenant), flat);
    assert_eq!(
        serde_json::from_value::<Grant>(flat).expect("a grant"),
        tenant
    );
    let operator = json!({
        "scope": "operator", "reach": "own", "groups": "none", "verbs": ["*"],
    });
    assert_eq!(json!(operators(&["*"])), operator);
    assert_eq!(Verbs::all(), verbs(&["*"]));
}

fn groups(names: &[&str]) -> Groups {
    let names = names
        .iter()
        .map(|name| name.parse().expect("an identifier"));
    Groups::Only(names.collect())
}
