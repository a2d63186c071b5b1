//! The state of a run in the store: made as its script says, and read back.

use windlass::checkpoint::{At, Caller, CheckpointError, Checkpoints};
use windlass::core::SessionId;

use crate::model::Run;
use crate::names::RunEnv;
use crate::script::{Act, Script, Track};
use crate::verify::Difference;

/// Nodes asked for at a time.
const NODES: usize = 1_000;

/// What the states of one run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) commits: u64,
    pub(crate) forks: u64,
    pub(crate) nodes: u64,
}

impl Kept {
    pub(crate) fn of(acts: &[Act]) -> Self {
        let mut kept = Self::default();
        for act in acts {
            match act {
                Act::Fork { .. } => kept.forks += 1,
                Act::Commit { changes, .. } => {
                    kept.commits += 1;
                    kept.nodes += u64::try_from(changes.nodes.len()).unwrap_or(u64::MAX);
                }
            }
        }
        kept
    }
}

/// The states of one run while it is played.
#[derive(Debug)]
pub(crate) struct Keeper<'a> {
    pub(crate) checkpoints: &'a Checkpoints,
    pub(crate) caller: Caller,
    pub(crate) env: &'a RunEnv,
}

impl Keeper<'_> {
    /// Does what is to be done, but for what an earlier replay did: the
    /// revisions tell. `first` is the number of the first of these acts
    /// within its step, from 1.
    pub(crate) async fn keep(&self, first: usize, acts: Vec<Act>) -> Result<(), CheckpointError> {
        for (number, act) in (first..).zip(acts) {
            self.env.enter_commit(number);
            if self.revision(act.session()).await? < act.revision() {
                self.act(act).await?;
            }
        }
        Ok(())
    }

    async fn act(&self, act: Act) -> Result<(), CheckpointError> {
        let (checkpoints, caller) = (self.checkpoints, &self.caller);
        let made = match act {
            Act::Fork { from, revision, to } => {
                let fork = checkpoints.fork(caller, &from, Some(revision), &to, None);
                fork.await?
            }
            Act::Commit { session, changes } => {
                checkpoints.commit(caller, &session, *changes).await?
            }
        };
        drop(made);
        Ok(())
    }

    /// The revision of a state; 0 before its first commit.
    pub(crate) async fn revision(&self, session: &SessionId) -> Result<u64, CheckpointError> {
        let head = self.checkpoints.head(&self.caller, session).await?;
        Ok(head.map_or(0, |head| head.revision))
    }

    /// The revision of a state, and the tool calls it has counted.
    pub(crate) async fn counted(&self, session: &SessionId) -> Result<(u64, u64), CheckpointError> {
        let head = self.checkpoints.head(&self.caller, session).await?;
        Ok(head.map_or((0, 0), |head| (head.revision, head.usage.calls)))
    }

    /// How a state differs from what it was after step `number` of `run`,
    /// which the script has just played.
    pub(crate) async fn after_step(
        &self,
        run: &Run,
        script: &Script<'_>,
        number: usize,
    ) -> Result<Option<Difference>, CheckpointError> {
        let track = script.current();
        let at = At::Revision(track.revision);
        if !self.has_path(run, track, &at).await? {
            return Ok(Some(Difference::Path(
                track.session.clone(),
                track.revision,
            )));
        }
        for (name, text) in script.parts(&run.steps[number - 1]) {
            let part = self
                .checkpoints
                .part(&self.caller, &track.session, &at, &name);
            let same = part
                .await?
                .is_some_and(|(_, content)| content.bytes() == text.as_bytes());
            if !same {
                let session = track.session.clone();
                return Ok(Some(Difference::Part(session, track.revision, name)));
            }
        }
        Ok(None)
    }

    /// How a state differs from what it is once its run was played.
    pub(crate) async fn at_the_end(
        &self,
        run: &Run,
        track: &Track,
    ) -> Result<Option<Difference>, CheckpointError> {
        let (session, actual) = (&track.session, self.revision(&track.session).await?);
        if actual != track.revision {
            let expected = track.revision;
            return Ok(Some(Difference::Revision {
                session: session.clone(),
                expected,
                actual,
            }));
        }
        let same = self.has_path(run, track, &At::Head).await?;
        Ok((!same).then(|| Difference::Path(session.clone(), actual)))
    }

    /// Whether the way to the leaf is the conversation, word for word.
    async fn has_path(&self, run: &Run, track: &Track, at: &At) -> Result<bool, CheckpointError> {
        let mut places = track
            .leaf
            .map(|leaf| run.conversation(leaf))
            .unwrap_or_default();
        let mut above = None;
        loop {
            let page = self
                .checkpoints
                .path(&self.caller, &track.session, at, above, NODES);
            let Some(page) = page.await? else {
                return Ok(track.revision == 0);
            };
            for node in page.nodes.iter().rev() {
                let expected = places
                    .pop()
                    .map(|place| run.messages[place].text.as_bytes());
                let found = node
                    .payload
                    .as_ref()
                    .map(|payload| payload.bytes().as_ref());
                if expected.is_none() || found != expected {
                    return Ok(false);
                }
            }
            above = page.above;
            if above.is_none() {
                return Ok(places.is_empty());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use windlass::{Options, StoreLocation, Windlass};

    use super::*;
    use crate::names::Names;
    use crate::script::Commits;
    use crate::script::tests::run;

    const AFTER: [Option<usize>; 4] = [None, Some(0), Some(1), Some(2)];

    /// What is told of the state that `played` leaves, beside `recorded`,
    /// after its only step and at the end.
    async fn told(played: &Run, recorded: &Run) -> [Option<String>; 2] {
        let env = Arc::new(RunEnv::new(
            played,
            played.times.began(),
            played.times.at(2),
        ));
        let options = Options::default();
        let windlass = Windlass::with_env(&StoreLocation::Memory, options, env.clone());
        let windlass = windlass.await.unwrap();
        let keeper = Keeper {
            checkpoints: windlass.checkpoints(),
            caller: Caller::new("acme".parse().unwrap(), "replay".parse().unwrap()),
            env: &env,
        };
        let names = Names::new(played);
        let mut script = Script::new(played, &names, Commits::Step);
        keeper.keep(1, script.step(1)).await.unwrap();
        keeper.keep(1, script.rest()).await.unwrap();
        let mut script = Script::new(recorded, &names, Commits::Step);
        script.step(1);
        let after = keeper.after_step(recorded, &script, 1).await.unwrap();
        script.rest();
        let end = keeper
            .at_the_end(recorded, &script.tracks()[0])
            .await
            .unwrap();
        [after, end].map(|difference| difference.map(|it| it.to_string()))
    }

    #[tokio::test]
    async fn a_state_that_holds_what_was_recorded_differs_in_nothing() {
        let mut run = run(&AFTER, &[2]);
        assert_eq!(told(&run, &run).await, [None, None]);
        run.steps[0].state = Some("{}".to_owned());
        run.whole = Some("messages");
        assert_eq!(told(&run, &run).await, [None, None]);
    }

    #[tokio::test]
    async fn a_message_that_is_another_one_is_found_where_it_was_said() {
        let played = run(&AFTER, &[2]);
        let path = |revision| {
            let told = format!(
                "revision {revision} of `toolbench:0123456789abcdef:7` does not lead to what was said"
            );
            Some(told)
        };
        let mut recorded = played.clone();
        recorded.messages[3].text = "1".to_owned();
        assert_eq!(told(&played, &recorded).await, [None, path(2)]);
        recorded.messages[0].text = "2".to_owned();
        assert_eq!(told(&played, &recorded).await, [path(1), path(2)]);
    }

    #[tokio::test]
    async fn a_part_and_a_revision_that_are_others_are_named() {
        let mut played = run(&AFTER, &[3]);
        played.steps[0].state = Some("{}".to_owned());
        let mut recorded = played.clone();
        recorded.steps[0].state = Some("[]".to_owned());
        let part = "part `state` of revision 1 of `toolbench:0123456789abcdef:7` is another one";
        assert_eq!(
            told(&played, &recorded).await,
            [Some(part.to_owned()), None]
        );
        let longer = run(&[AFTER.as_slice(), &[Some(3)]].concat(), &[3]);
        let revision = "the state of `toolbench:0123456789abcdef:7` is at revision 1, not 2";
        let [_, end] = told(&played, &longer).await;
        assert_eq!(end.as_deref(), Some(revision));
    }
}
