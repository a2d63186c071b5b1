//! What the state of a run becomes, commit by commit.
//!
//! A function of the recording and of which steps were authorised, and of
//! nothing else: so it is known without looking which revision comes of a
//! step, and a replay that was killed goes on where its state is.
//!
//! A step appends the messages that are new with it to the graph. Where it
//! goes on from a message that is not the last one, as a search does that goes
//! back, the state is forked there, and the fork gets the messages. Where the
//! record writes its whole conversation again with every step, that is a part
//! of the state, and there are no nodes.

use std::mem;
use std::sync::Arc;

use serde::Deserialize;
use windlass::checkpoint::{
    Changes, Expected, NewNode, Parent, PartName, Payload, Usage, limits::NODES_MAX,
};
use windlass::core::SessionId;

use crate::model::{Run, Step};
use crate::names::Names;

/// The part of the state that holds what a step says of its surroundings.
const STATE: &str = "state";
/// The kind of a message that does not say what it is.
const MESSAGE: &str = "message";
/// Longest kind that is taken over.
const KIND_BYTES_MAX: usize = 64;

/// How much of a run one commit of its state holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Commits {
    /// All that is new with one step.
    #[default]
    Step,
    /// One message.
    Message,
}

impl Commits {
    const fn nodes_max(self) -> usize {
        match self {
            Self::Step => NODES_MAX,
            Self::Message => 1,
        }
    }
}

/// One change of a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// A state begins where another one was.
    Fork {
        from: SessionId,
        revision: u64,
        to: SessionId,
    },
    /// A state goes on.
    Commit {
        session: SessionId,
        changes: Box<Changes>,
    },
}

impl Act {
    /// Whose state is changed.
    pub(crate) const fn session(&self) -> &SessionId {
        match self {
            Self::Fork { to, .. } => to,
            Self::Commit { session, .. } => session,
        }
    }

    /// The revision that the state has afterwards.
    pub(crate) const fn revision(&self) -> u64 {
        match self {
            Self::Fork { revision, .. } => *revision,
            Self::Commit { changes, .. } => match changes.expected {
                Expected::Revision(revision) => revision + 1,
                Expected::Any => 0,
            },
        }
    }
}

/// A state as it is so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Track {
    pub(crate) session: SessionId,
    pub(crate) revision: u64,
    /// The place of the message that the graph goes on behind.
    pub(crate) leaf: Option<usize>,
    nodes: u64,
}

/// Where a message was committed.
#[derive(Clone, Copy, Debug)]
struct Placed {
    track: usize,
    node: u64,
    /// The revision that appended it, and the nodes there were then.
    revision: u64,
    nodes: u64,
}

/// The states of one run.
#[derive(Clone, Debug)]
pub(crate) struct Script<'a> {
    run: &'a Run,
    names: &'a Names,
    commits: Commits,
    /// Whether a step that goes back is a branch of the graph instead.
    unforked: bool,
    tracks: Vec<Track>,
    /// The place of the state that the last step changed.
    current: usize,
    placed: Vec<Option<Placed>>,
}

impl<'a> Script<'a> {
    pub(crate) fn new(run: &'a Run, names: &'a Names, commits: Commits) -> Self {
        let own = Track {
            session: names.session.clone(),
            revision: 0,
            leaf: None,
            nodes: 0,
        };
        Self {
            run,
            names,
            commits,
            unforked: false,
            tracks: vec![own],
            current: 0,
            placed: vec![None; run.messages.len()],
        }
    }

    /// The same in one state, whose graph branches.
    pub(crate) fn unforked(self) -> Self {
        Self {
            unforked: true,
            ..self
        }
    }

    /// Every state, the run's own first.
    pub(crate) fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// The state that the last step changed.
    pub(crate) fn current(&self) -> &Track {
        &self.tracks[self.current]
    }

    /// What an authorised step does. The first commit counts its use, the
    /// last one has its parts.
    pub(crate) fn step(&mut self, number: usize) -> Vec<Act> {
        let step = &self.run.steps[number - 1];
        let mut acts = Vec::new();
        let mut left = Vec::new();
        if self.run.whole.is_none() {
            left = self.run.conversation(step.last_message);
            left.retain(|place| self.placed[*place].is_none());
            acts.extend(
                left.first()
                    .and_then(|first| self.turn_back(number, *first)),
            );
        }
        let mut usage = Usage {
            calls: 1,
            ..Usage::default()
        };
        loop {
            let more = left.split_off(left.len().min(self.commits.nodes_max()));
            let mut changes = self.append(self.current, &left);
            changes.usage = mem::take(&mut usage);
            let last = more.is_empty();
            if last {
                changes.parts.extend(self.parts(step).map(put));
            }
            acts.push(self.commit(self.current, changes));
            if last {
                return acts;
            }
            left = more;
        }
    }

    /// What was said besides, once all steps were played: it hangs where the
    /// record has it. In one state there is always a last commit, by which it
    /// shows that nothing comes behind it.
    pub(crate) fn rest(&mut self) -> Vec<Act> {
        let mut acts = Vec::new();
        if self.run.whole.is_none() {
            let mut next = 0;
            while let Some(few) = self.unsaid(next) {
                next = few[few.len() - 1] + 1;
                acts.push(self.add(&few));
            }
        }
        if self.unforked && acts.is_empty() {
            let nothing = self.append(0, &[]);
            acts.push(self.commit(0, nothing));
        }
        acts
    }

    /// The next messages from `place` on that no step led to; those that
    /// follow one upon the other go together.
    fn unsaid(&self, place: usize) -> Option<Vec<usize>> {
        let unplaced = |place: &usize| self.placed[*place].is_none();
        let first = (place..self.placed.len()).find(unplaced)?;
        let follows = |place: &usize| self.run.messages[*place].after == Some(place - 1);
        let more = (first + 1..self.placed.len()).take_while(|it| unplaced(it) && follows(it));
        let all = std::iter::once(first).chain(more);
        Some(all.take(self.commits.nodes_max()).collect())
    }

    /// Commits messages that no step led to. A branch that came to nothing is
    /// not where the state goes on.
    fn add(&mut self, few: &[usize]) -> Act {
        let track = self.track_of(few[0]);
        let before = self.tracks[track].leaf;
        let mut changes = self.append(track, few);
        if self.run.messages[few[0]].after != before {
            self.tracks[track].leaf = before;
            let leaf = before.and_then(|place| self.placed[place]);
            changes.leaf = leaf.map(|placed| placed.node);
        }
        self.commit(track, changes)
    }

    /// The parts that a step puts.
    pub(crate) fn parts<'s>(
        &self,
        step: &'s Step,
    ) -> impl Iterator<Item = (PartName, String)> + use<'s, 'a> {
        let run = self.run;
        let whole = run.whole.map(|name| (name, whole(run, step)));
        let state = step.state.clone().map(|text| (STATE, text));
        whole.into_iter().chain(state).map(|(name, text)| {
            let name = name.parse().expect("a part of a replay has a plain name");
            (name, text)
        })
    }

    /// Begins a state of its own for a step whose first new message does not
    /// follow upon the last one.
    fn turn_back(&mut self, number: usize, first: usize) -> Option<Act> {
        let after = self.run.messages[first].after?;
        if self.unforked || self.current().leaf == Some(after) {
            return None;
        }
        let placed = self.placed[after]?;
        let track = Track {
            session: self.names.fork(number),
            revision: placed.revision,
            leaf: Some(after),
            nodes: placed.nodes,
        };
        self.current = self.tracks.len();
        let (from, to) = (
            self.tracks[placed.track].session.clone(),
            track.session.clone(),
        );
        self.tracks.push(track);
        Some(Act::Fork {
            from,
            revision: placed.revision,
            to,
        })
    }

    /// Where a message goes that no step led to.
    fn track_of(&self, place: usize) -> usize {
        let after = self.run.messages[place].after;
        let placed = after.and_then(|after| self.placed[after]);
        placed.map_or(0, |placed| placed.track)
    }

    /// A commit of messages each of which follows upon the one before it.
    fn append(&mut self, track: usize, places: &[usize]) -> Changes {
        let state = &mut self.tracks[track];
        let nodes = state.nodes + count(places.len());
        let mut changes = Changes::at(state.revision);
        for (place, node) in places.iter().zip(state.nodes + 1..) {
            let message = &self.run.messages[*place];
            let parent = match message.after.and_then(|after| self.placed[after]) {
                _ if !changes.nodes.is_empty() => Parent::Leaf,
                Some(placed) => Parent::Node(placed.node),
                None => Parent::Root,
            };
            changes.nodes.push(NewNode {
                parent,
                kind: kind(&message.text),
                payload: Payload::Json(message.text.clone().into()),
            });
            self.placed[*place] = Some(Placed {
                track,
                node,
                revision: state.revision + 1,
                nodes,
            });
            state.leaf = Some(*place);
        }
        state.nodes = nodes;
        changes
    }

    fn commit(&mut self, track: usize, changes: Changes) -> Act {
        let track = &mut self.tracks[track];
        track.revision += 1;
        Act::Commit {
            session: track.session.clone(),
            changes: Box::new(changes),
        }
    }
}

fn put((name, text): (PartName, String)) -> (PartName, windlass::checkpoint::PartChange) {
    let payload = Payload::Json(text.into());
    let put = windlass::checkpoint::PartChange::Put(payload, Default::default());
    (name, put)
}

/// The conversation of a step as one array.
fn whole(run: &Run, step: &Step) -> String {
    let places = run.conversation(step.last_message);
    let texts = places
        .into_iter()
        .map(|place| run.messages[place].text.as_str());
    format!("[{}]", texts.collect::<Vec<_>>().join(","))
}

/// What a message is: who said it, or what kind of event it is.
fn kind(text: &str) -> Arc<str> {
    #[derive(Deserialize)]
    struct Fields {
        role: Option<String>,
        action: Option<String>,
        observation: Option<String>,
        #[serde(rename = "type")]
        kind: Option<String>,
    }
    let Ok(fields) = serde_json::from_str::<Fields>(text) else {
        return MESSAGE.into();
    };
    let kind = fields
        .role
        .or(fields.action)
        .or(fields.observation)
        .or(fields.kind);
    let kind = kind.filter(|kind| kind.len() <= KIND_BYTES_MAX);
    kind.map_or_else(|| MESSAGE.into(), Into::into)
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::Format;
    use crate::model::{Message, Source};
    use crate::times::Times;

    /// A run of the given messages, each with what it follows upon, and of
    /// steps that end with the given ones.
    pub(crate) fn run(messages: &[Option<usize>], steps: &[usize]) -> Run {
        let message = |(place, after): (usize, &Option<usize>)| Message {
            text: format!(r#"{{"role":"tool","content":{place}}}"#),
            after: *after,
        };
        let step = |last_message: &usize| Step {
            tool: "look".parse().unwrap(),
            call: None,
            arguments: String::new(),
            output: None,
            last_message: *last_message,
            state: None,
        };
        Run {
            source: Arc::new(Source {
                name: "a.json".to_owned(),
                format: Format::ToolBench,
                digest: "0123456789abcdef".repeat(4),
            }),
            index: 0,
            key: "7".to_owned(),
            agent: "agent".parse().unwrap(),
            parent: None,
            calls_budget: None,
            times: Times::derived(0),
            messages: messages.iter().enumerate().map(message).collect(),
            steps: steps.iter().map(step).collect(),
            whole: None,
            rows: Vec::new(),
        }
    }

    /// Whose state is changed, the revision that comes of it, and where each
    /// new node hangs; of a fork, that it is one.
    fn told(acts: &[Act]) -> Vec<String> {
        let told = acts.iter().map(|act| {
            let name = act.session().as_str();
            let name = name.strip_prefix("toolbench:0123456789abcdef:7").unwrap();
            let what = match act {
                Act::Fork { .. } => "fork".to_owned(),
                Act::Commit { changes, .. } => {
                    let parents = changes
                        .nodes
                        .iter()
                        .map(|node| format!("{:?}", node.parent));
                    let leaf = changes.leaf.map(|leaf| format!("leaf {leaf}"));
                    parents.chain(leaf).collect::<Vec<_>>().join(" ")
                }
            };
            format!("{name}@{} {what}", act.revision())
        });
        told.collect()
    }

    fn all(run: &Run, commits: Commits) -> Vec<Vec<String>> {
        let names = Names::new(run);
        let mut script = Script::new(run, &names, commits);
        let mut acts: Vec<_> = (1..=run.steps.len()).map(|it| script.step(it)).collect();
        acts.push(script.rest());
        acts.iter().map(|acts| told(acts)).collect()
    }

    #[test]
    fn a_step_appends_what_is_new_and_the_end_what_is_left() {
        let run = run(&[None, Some(0), Some(1), Some(2), Some(3)], &[1, 1, 3]);
        let expected = [
            vec!["@1 Root Leaf"],
            vec!["@2 "],
            vec!["@3 Node(2) Leaf"],
            vec!["@4 Node(4)"],
        ];
        assert_eq!(all(&run, Commits::Step), expected);
    }

    #[test]
    fn a_commit_per_message_holds_one_message_and_the_first_of_a_step_its_use() {
        let mut run = run(&[None, Some(0), Some(1)], &[1]);
        run.steps[0].state = Some("{}".to_owned());
        let expected = [vec!["@1 Root", "@2 Node(1)"], vec!["@3 Node(2)"]];
        assert_eq!(all(&run, Commits::Message), expected);
        let names = Names::new(&run);
        let acts = Script::new(&run, &names, Commits::Message).step(1);
        let told = acts.iter().map(|act| match act {
            Act::Commit { changes, .. } => (changes.usage.calls, changes.parts.len()),
            Act::Fork { .. } => (0, 0),
        });
        assert_eq!(told.collect::<Vec<_>>(), [(1, 0), (0, 1)]);
    }

    #[test]
    fn a_search_that_goes_back_forks_the_state_that_has_the_message() {
        // 0 - 1 - 2 - 3, then from 1 on 4 - 5, from 4 on 6, and from 2 on 7.
        let after = [
            None,
            Some(0),
            Some(1),
            Some(2),
            Some(1),
            Some(4),
            Some(4),
            Some(2),
        ];
        let run = run(&after, &[1, 3, 5, 6, 7]);
        let expected = [
            vec!["@1 Root Leaf"],
            vec!["@2 Node(2) Leaf"],
            vec![":fork:3@1 fork", ":fork:3@2 Node(2) Leaf"],
            vec![":fork:4@2 fork", ":fork:4@3 Node(3)"],
            vec![":fork:5@2 fork", ":fork:5@3 Node(3)"],
            vec![],
        ];
        assert_eq!(all(&run, Commits::Step), expected);
    }

    #[test]
    fn a_search_in_one_state_branches_its_graph() {
        let run = run(&[None, Some(0), Some(0), Some(1)], &[1, 2, 3]);
        let names = Names::new(&run);
        let mut script = Script::new(&run, &names, Commits::Step).unforked();
        let acts: Vec<_> = (1..=3).flat_map(|it| told(&script.step(it))).collect();
        assert_eq!(acts, ["@1 Root Leaf", "@2 Node(1)", "@3 Node(2)"]);
        assert_eq!(told(&script.rest()), ["@4 "]);
    }

    #[test]
    fn a_branch_that_no_step_went_on_with_leaves_the_leaf_where_it_is() {
        let run = run(&[None, Some(0), Some(0), Some(1)], &[1]);
        let expected = [
            vec!["@1 Root Leaf"],
            vec!["@2 Node(1) leaf 2", "@3 Node(2)"],
        ];
        assert_eq!(all(&run, Commits::Step), expected);
    }

    #[test]
    fn a_run_that_writes_its_whole_conversation_has_it_as_a_part() {
        let mut run = run(&[None, Some(0), Some(0)], &[1, 2]);
        run.whole = Some("messages");
        run.steps[1].state = Some("{}".to_owned());
        let names = Names::new(&run);
        let mut script = Script::new(&run, &names, Commits::Message);
        let put = |acts: Vec<Act>| {
            let [Act::Commit { changes, .. }] = &acts[..] else {
                panic!("{acts:?}");
            };
            assert_eq!(changes.nodes, []);
            changes
                .parts
                .keys()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(put(script.step(1)), ["messages"]);
        let parts: Vec<_> = script.parts(&run.steps[1]).map(|(_, text)| text).collect();
        let messages = r#"[{"role":"tool","content":0},{"role":"tool","content":2}]"#;
        assert_eq!(parts, [messages, "{}"]);
        assert_eq!(put(script.step(2)), ["messages", "state"]);
        assert_eq!(script.rest(), []);
    }

    #[test]
    fn the_kind_of_a_message_is_who_said_it_or_what_happened() {
        let table = [
            (r#"{"role":"tool","type":"x"}"#, "tool"),
            (r#"{"source":"agent","action":"run"}"#, "run"),
            (r#"{"observation":"error","cause":1}"#, "error"),
            (r#"{"type":"UserMessage"}"#, "UserMessage"),
            (r#"{"role":7}"#, "message"),
            ("[]", "message"),
        ];
        for (text, expected) in table {
            assert_eq!(kind(text).as_ref(), expected, "{text}");
        }
        let long = format!(r#"{{"role":"{}"}}"#, "x".repeat(KIND_BYTES_MAX + 1));
        assert_eq!(kind(&long).as_ref(), "message");
    }
}
