//! What the session of each run is granted.
//!
//! A run without parent has a session of its own making. A run that another
//! one delegated to has a session within that one's: its tools must be among
//! those above, and its calls are set aside from the budget above when the
//! tree is set up. So a session may call what its run and all runs below it
//! call, without what is withheld from it or from a run above; and its budget
//! has its own calls and those set aside.

use std::collections::{BTreeSet, HashMap};

use windlass::core::Millis;
use windlass::session::{Allow, Name, limits};

use crate::model::{Recording, Run};
use crate::restrict::Restrictions;

/// What one session is granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant<'a> {
    /// The place of the run that delegated, if one did.
    pub(crate) parent: Option<usize>,
    /// When the first run of the tree begins: its sessions are created
    /// together.
    pub(crate) begins: Millis,
    /// When the last run at or below this one ends.
    pub(crate) ends: Millis,
    /// The tool withheld from the run itself.
    pub(crate) withheld: Option<&'a Name>,
    pub(crate) tools: Allow,
    /// The calls that the run itself may make.
    pub(crate) calls: u64,
    /// The calls set aside for all runs below.
    pub(crate) calls_below: u64,
}

impl Restrictions {
    /// The grants of all runs, in their order.
    pub(crate) fn grants<'a>(&'a self, recording: &'a Recording) -> Vec<Grant<'a>> {
        let runs = &recording.runs;
        let parents = parents(runs);
        let below = self.calls_below(runs, &parents);
        let tools = self.tools(runs, &parents);
        let (begins, ends) = times(runs, &parents);
        let grant = |(place, tools): (usize, Allow)| Grant {
            parent: parents[place],
            begins: begins[place],
            ends: ends[place],
            withheld: self.withheld(&runs[place]),
            tools,
            calls: self.calls(&runs[place], below[place]),
            calls_below: below[place],
        };
        tools.into_iter().enumerate().map(grant).collect()
    }

    /// The given percentage of the calls that the run makes, rounded down,
    /// but at least 1. Else, of a run that was delegated to, those it makes;
    /// of any other what its record says, less what is set aside for runs
    /// below, but at least 1; else 1,000, or as many as it makes if those are
    /// more.
    fn calls(&self, run: &Run, below: u64) -> u64 {
        let made = u64::try_from(run.steps.len()).unwrap_or(u64::MAX);
        if let Some(percent) = self.calls_percent {
            return percent.of(made).max(1);
        }
        match (&run.parent, run.calls_budget) {
            (Some(_), _) => made.max(1),
            (None, Some(budget)) => budget.saturating_sub(below).max(1),
            (None, None) => limits::CALLS_DEFAULT.max(made),
        }
    }

    /// Parents come before their children, so one walk from the end knows
    /// all of a run's descendants when it comes to the run.
    fn calls_below(&self, runs: &[Run], parents: &[Option<usize>]) -> Vec<u64> {
        let mut below = vec![0; runs.len()];
        for place in (0..runs.len()).rev() {
            if let Some(parent) = parents[place] {
                below[parent] += self.calls(&runs[place], 0) + below[place];
            }
        }
        below
    }

    fn tools(&self, runs: &[Run], parents: &[Option<usize>]) -> Vec<Allow> {
        let mut called: Vec<BTreeSet<&Name>> = runs
            .iter()
            .map(|run| run.tools().into_keys().collect())
            .collect();
        for place in (0..runs.len()).rev() {
            if let Some(parent) = parents[place] {
                let below = called[place].clone();
                called[parent].extend(below);
            }
        }
        let mut withheld: Vec<BTreeSet<&Name>> = Vec::with_capacity(runs.len());
        for (run, parent) in runs.iter().zip(parents) {
            let above = parent.map(|parent| withheld[parent].clone());
            let mut all = above.unwrap_or_default();
            all.extend(self.withheld(run));
            withheld.push(all);
        }
        let allowed = called.iter().zip(&withheld);
        let allowed = allowed.map(|(called, withheld)| called.difference(withheld));
        allowed
            .map(|tools| Allow::Only(tools.map(|tool| (*tool).clone().into()).collect()))
            .collect()
    }
}

/// When the tree of each run begins, and when all at or below it has ended.
fn times(runs: &[Run], parents: &[Option<usize>]) -> (Vec<Millis>, Vec<Millis>) {
    let mut begins: Vec<Millis> = Vec::with_capacity(runs.len());
    for (run, parent) in runs.iter().zip(parents) {
        begins.push(parent.map_or_else(|| run.times.began(), |parent| begins[parent]));
    }
    let ends = runs.iter().map(|run| run.times.at(run.steps.len() + 1));
    let mut ends: Vec<Millis> = ends.collect();
    for place in (0..runs.len()).rev() {
        if let Some(parent) = parents[place] {
            ends[parent] = ends[parent].max(ends[place]);
        }
    }
    (begins, ends)
}

/// The place of each run's parent.
fn parents(runs: &[Run]) -> Vec<Option<usize>> {
    let key = |run: &Run| (run.source.digest.clone(), run.key.clone());
    let mut places = HashMap::with_capacity(runs.len());
    let mut parents = Vec::with_capacity(runs.len());
    for (place, run) in runs.iter().enumerate() {
        let parent = run.parent.as_ref();
        let parent = parent.map(|parent| (run.source.digest.clone(), parent.key.clone()));
        parents.push(parent.and_then(|parent| places.get(&parent).copied()));
        places.insert(key(run), place);
    }
    parents
}
