//! Whose entries are whose.

use windlass_stash::{Condition, Execution, KeyQuery, Operation, Put};

use crate::support::{World, code, group, key, number};

/// The codes of everything an outsider can try with a key.
fn refusals(outsider: &Execution, name: &str) -> [&'static str; 8] {
    let name = key(name);
    let put = || Put::new(name.clone(), windlass_stash::Value::of(&9).expect("JSON"));
    [
        code(outsider.put(&name, &9, None)),
        code(outsider.put_if_absent(&name, &9, None)),
        code(outsider.compare_and_swap(&name, 1, &9, None)),
        code(outsider.store(put().condition(Condition::Absent))),
        code(outsider.increment(&name, 1, None)),
        code(outsider.get(&name)),
        code(outsider.delete(&name)),
        code(outsider.touch(&name, None)),
    ]
}

#[test]
fn nobody_but_its_group_can_do_anything_with_an_entry() {
    let world = World::new(|_| {});
    let stored = world.within("a").put(&key("k"), &1, None).expect("stored");
    for outsider in [world.within("b"), world.outside()] {
        assert_eq!(refusals(&outsider, "k"), ["cross_group_access"; 8]);
        assert_eq!(code(outsider.entry(&key("k"))), "cross_group_access");
        let step = outsider.step(&[Operation::Get(key("k"))]);
        assert_eq!(code(step), "cross_group_access");
    }
    let entry = world
        .within("a")
        .entry(&key("k"))
        .expect("mine")
        .expect("there");
    assert_eq!(
        (entry.metadata, number(&world.within("a"), "k")),
        (stored, Some(1))
    );
}

#[test]
fn a_hidden_entry_reads_as_absent_and_its_key_is_not_available() {
    let world = World::new(|config| config.hide_foreign = true);
    world.within("a").put(&key("k"), &1, None).expect("stored");
    for outsider in [world.within("b"), world.outside()] {
        assert_eq!(number(&outsider, "k"), None);
        assert_eq!(outsider.entry(&key("k")).expect("as if absent"), None);
        assert!(
            !outsider.delete(&key("k")).expect("as if absent"),
            "nothing went"
        );
        assert_eq!(outsider.touch(&key("k"), None).expect("as if absent"), None);
        assert_eq!(code(outsider.put(&key("k"), &9, None)), "key_unavailable");
        assert_eq!(
            code(outsider.increment(&key("k"), 1, None)),
            "key_unavailable"
        );
        let swapped = outsider.compare_and_swap(&key("k"), 1, &9, None);
        assert_eq!(code(swapped), "key_unavailable");
        assert_eq!(
            code(outsider.put_if_absent(&key("k"), &9, None)),
            "key_unavailable"
        );
    }
    assert_eq!(number(&world.within("a"), "k"), Some(1));
}

#[test]
fn a_public_entry_is_everyones_until_a_group_replaces_it() {
    let world = World::new(|_| {});
    let (a, b, public) = (world.within("a"), world.within("b"), world.outside());
    public.put(&key("k"), &1, None).expect("stored");
    assert_eq!([&a, &b, &public].map(|one| number(one, "k")), [Some(1); 3]);
    public.put(&key("k"), &2, None).expect("still public");
    assert_eq!(number(&a, "k"), Some(2));
    a.touch(&key("k"), None).expect("open").expect("there");
    assert_eq!(number(&b, "k"), Some(2));
    let owned = b.put(&key("k"), &3, None).expect("open");
    assert_eq!(owned.group, Some(group("b")));
    assert_eq!(code(a.get(&key("k"))), "cross_group_access");
    assert_eq!(code(public.put(&key("k"), &4, None)), "cross_group_access");
    assert!(b.delete(&key("k")).expect("mine"), "it was there");
    public.put(&key("k"), &5, None).expect("nobody's");
    assert!(a.delete(&key("k")).expect("open"), "it was there");
}

#[test]
fn an_increment_leaves_a_public_number_public() {
    let world = World::new(|_| {});
    world.outside().put(&key("n"), &1, None).expect("stored");
    let counted = world
        .within("a")
        .increment(&key("n"), 1, None)
        .expect("open");
    assert_eq!((counted.value, counted.metadata.group), (2, None));
    let counted = world
        .within("b")
        .increment(&key("n"), 1, None)
        .expect("open");
    assert_eq!(counted.value, 3);
    let made = world
        .within("a")
        .increment(&key("mine"), 1, None)
        .expect("absent");
    assert_eq!(made.metadata.group, Some(group("a")));
}

#[test]
fn listings_show_ones_own_and_the_public_entries_only() {
    for hide_foreign in [false, true] {
        let world = World::new(|config| config.hide_foreign = hide_foreign);
        let (a, b, public) = (world.within("a"), world.within("b"), world.outside());
        for (execution, name) in [(&a, "a"), (&b, "b"), (&public, "public")] {
            execution.put(&key(name), &1, None).expect("stored");
        }
        let names = |execution: &Execution| {
            let page = execution.keys(&KeyQuery::default()).expect("readable");
            assert!(!page.more, "{page:?}");
            let names = page.keys.iter().map(|(name, _)| name.to_string());
            names.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            [&a, &b, &public].map(names),
            ["a public", "b public", "public"]
        );
    }
}

#[test]
fn clearing_takes_the_entries_of_one_group() {
    let world = World::new(|_| {});
    let (a, b, public) = (world.within("a"), world.within("b"), world.outside());
    for (execution, name) in [(&a, "a1"), (&a, "a2"), (&b, "b"), (&public, "public")] {
        execution.put(&key(name), &12, None).expect("stored");
    }
    a.put(&key("over"), &1, Some(10)).expect("stored");
    world.env.advance_ms(10);
    let report = a.clear().expect("granted");
    assert_eq!(
        (report.removed, report.bytes, report.truncated),
        (2, 4, false)
    );
    assert_eq!((number(&a, "a1"), number(&b, "b")), (None, Some(12)));
    assert_eq!(world.stash.clear(None).removed, 1);
    assert_eq!(number(&b, "public"), None);
    assert_eq!(world.stash.clear(Some(&group("b"))).removed, 1);
    assert_eq!(world.stash.usage().live.keys, 0);
}
