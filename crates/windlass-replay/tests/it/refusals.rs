//! Refusals equal, run by run and code by code, what a separate count over
//! the raw files demands.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use windlass::session::Allow;
use windlass_replay::{Percent, ReplayOptions, Report, Restrictions, Withhold};

use crate::common::{SETS, caller, examples, memory, play, published, read};
use crate::count::{Denied, Refusals, refusals};

/// The files of a recording by their names within it.
fn files(path: &Path) -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![path.to_owned()];
    while let Some(next) = waiting.pop() {
        if next.is_dir() {
            let entries = fs::read_dir(&next).unwrap();
            waiting.extend(entries.map(|entry| entry.unwrap().path()));
        } else {
            let name = next
                .strip_prefix(path)
                .unwrap()
                .to_string_lossy()
                .into_owned();
            found.insert(name, next);
        }
    }
    found
}

fn counted(path: &Path, denied: Denied) -> BTreeMap<String, Refusals> {
    let files = files(path).into_iter();
    files
        .map(|(name, file)| (name, refusals(&file, denied).unwrap()))
        .collect()
}

fn reported(report: &Report) -> BTreeMap<String, Refusals> {
    let mut sources: BTreeMap<String, Refusals> = BTreeMap::new();
    for run in &report.by_run {
        let refused = run
            .refused
            .iter()
            .map(|(code, count)| ((*code).to_owned(), *count))
            .collect();
        sources
            .entry(run.source.clone())
            .or_default()
            .insert(run.run.clone(), refused);
    }
    sources
}

fn restrictions(denied: Denied) -> Restrictions {
    Restrictions {
        withhold: denied.most_used_tool.then_some(Withhold::MostUsed),
        calls_percent: denied
            .calls_percent
            .map(|percent| Percent::new(percent.try_into().unwrap()).unwrap()),
    }
}

async fn replayed(path: &Path, denied: Denied) -> Report {
    let options = ReplayOptions {
        restrictions: restrictions(denied),
        ..ReplayOptions::default()
    };
    play(&memory().await, &read(path), &options).await
}

const NOTHING: Denied = Denied {
    most_used_tool: false,
    calls_percent: None,
};
const TOOL: Denied = Denied {
    most_used_tool: true,
    calls_percent: None,
};
const HALF: Denied = Denied {
    most_used_tool: false,
    calls_percent: Some(50),
};
const BOTH: Denied = Denied {
    most_used_tool: true,
    calls_percent: Some(50),
};

#[tokio::test]
async fn refusals_of_the_examples_equal_the_separate_count() {
    for denied in [NOTHING, TOOL, HALF, BOTH] {
        let report = replayed(&examples(), denied).await;
        assert_eq!(
            reported(&report),
            counted(&examples(), denied),
            "{denied:?}"
        );
    }
}

#[tokio::test]
async fn refusals_of_the_examples_are_those_counted_by_hand() {
    let table: [(Denied, &[(&str, u64)]); 4] = [
        (NOTHING, &[]),
        (TOOL, &[("tool_not_allowed", 22)]),
        (HALF, &[("budget_exceeded", 21)]),
        (BOTH, &[("budget_exceeded", 7), ("tool_not_allowed", 18)]),
    ];
    for (denied, expected) in table {
        let report = replayed(&examples(), denied).await;
        let expected: BTreeMap<&str, u64> = expected.iter().copied().collect();
        assert_eq!(report.uses_refused, expected, "{denied:?}");
        assert_eq!(
            report.uses_allowed + expected.values().sum::<u64>(),
            report.steps
        );
    }
}

#[tokio::test]
async fn a_tool_withheld_by_name_is_refused_in_every_run_that_calls_it() {
    let withhold = Some("rebook".parse().unwrap());
    let restrictions = Restrictions {
        withhold,
        calls_percent: None,
    };
    let options = ReplayOptions {
        restrictions,
        ..ReplayOptions::default()
    };
    let report = play(&memory().await, &read(&examples()), &options).await;
    let by_run: Vec<u64> = report
        .by_run
        .iter()
        .map(|run| run.refused.values().sum())
        .collect();
    assert_eq!(by_run, [1, 0, 2, 0, 0, 0, 0, 0, 0]);
    assert_eq!(
        report.uses_refused,
        BTreeMap::from([("tool_not_allowed", 3)])
    );
}

#[tokio::test]
async fn refusals_of_published_runs_equal_the_separate_count() {
    for set in SETS {
        let Some(path) = published(set.name) else {
            continue;
        };
        for denied in [NOTHING, TOOL, HALF, BOTH] {
            let report = replayed(&path, denied).await;
            assert_eq!(report.runs, set.runs, "{}", set.name);
            assert_eq!(
                reported(&report),
                counted(&path, denied),
                "{} {denied:?}",
                set.name
            );
        }
    }
}

#[tokio::test]
async fn what_is_withheld_from_a_run_is_withheld_from_those_it_delegated_to() {
    let withhold = Some(Withhold::MostUsed);
    let restrictions = Restrictions {
        withhold,
        calls_percent: None,
    };
    let options = ReplayOptions {
        restrictions,
        ..ReplayOptions::default()
    };
    let (windlass, recording) = (memory().await, read(&examples().join("salvage.jsonl")));
    let report = play(&windlass, &recording, &options).await;
    let told: Vec<_> = report
        .by_run
        .iter()
        .map(|run| (run.parent.as_deref(), run.withheld.as_deref(), run.allowed))
        .collect();
    let expected = [
        (None, Some("read_chart"), 3),
        (Some("wreck-12"), Some("dive"), 2),
        (Some("wreck-12.2"), Some("finish"), 1),
        (None, Some("read_chart"), 1),
    ];
    assert_eq!(told, expected);
    let (caller, smith) = (caller(), &report.by_run[2].session);
    let smith = windlass.sessions().get(&caller, smith).await.unwrap();
    assert_eq!(smith.unwrap().tools, Allow::only(["forge"]).unwrap());
}
