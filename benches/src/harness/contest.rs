//! Sides that take turns, round after round.

use std::path::Path;
use std::time::Duration;

use crate::clock;
use crate::error::BenchError;

use super::calibration::{Calibration, Disturbance};
use super::machine::CpuTime;

/// What an acknowledged change survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The loss of power: every commit was synced.
    PowerLoss,
    /// The end of the process: commits were handed to the system.
    Process,
    /// Nothing was changed.
    Reads,
    /// Nothing: it is kept in memory alone.
    Memory,
}

impl Durability {
    /// The class as the table spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PowerLoss => "power loss",
            Self::Process => "process",
            Self::Reads => "read only",
            Self::Memory => "memory",
        }
    }
}

/// One of those that are compared.
pub trait Side {
    /// What one turn gives.
    type Sample;

    /// What it is called in messages.
    fn name(&self) -> &'static str;

    /// Works for about `span` and says how it went.
    ///
    /// # Errors
    ///
    /// Whatever makes the figures worthless.
    fn run(&mut self, span: Duration) -> Result<Self::Sample, BenchError>;
}

/// How long and how often is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Rounds that should count.
    pub rounds: usize,
    /// Fewest rounds that give a figure.
    pub rounds_min: usize,
    /// Rounds that are tried at most to get them.
    pub rounds_max: usize,
    /// How long each side works in a round.
    pub span: Duration,
}

impl Effort {
    /// Seven rounds of a second each.
    #[must_use]
    pub const fn full() -> Self {
        Self {
            rounds: 7,
            rounds_min: 5,
            rounds_max: 12,
            span: Duration::from_secs(1),
        }
    }

    /// Five rounds of a quarter of a second: shows that everything runs, not
    /// how fast.
    #[must_use]
    pub const fn quick() -> Self {
        Self {
            rounds: 5,
            rounds_min: 5,
            rounds_max: 6,
            span: Duration::from_millis(250),
        }
    }
}

/// The rounds that count: in each, one sample a side, in the order of the
/// sides.
#[derive(Debug)]
pub struct Rounds<S> {
    /// The samples. Where too few rounds count, those of all rounds: they
    /// prove nothing, but are something to look at.
    pub samples: Vec<Vec<S>>,
    /// How many rounds count.
    pub counted: usize,
    /// Why other rounds do not count.
    pub dropped: Vec<Disturbance>,
    /// Whether they are enough for a figure.
    pub enough: bool,
}

/// Lets the sides take turns: once without counting, then round after round,
/// each beginning with another side.
///
/// # Errors
///
/// The first failure of a side or of the calibration.
pub fn contest<S>(
    sides: &mut [Box<dyn Side<Sample = S> + '_>],
    effort: Effort,
    directory: &Path,
) -> Result<Rounds<S>, BenchError> {
    for side in &mut *sides {
        side.run(effort.span / 2)?;
    }
    let mut rounds: Vec<(Calibration, Vec<S>)> = Vec::new();
    while rounds.len() < effort.rounds_max && undisturbed(&rounds).count() < effort.rounds {
        let first = rounds.len() % sides.len();
        rounds.push(round(sides, first, effort.span, directory)?);
    }
    Ok(sift(rounds, effort))
}

fn round<S>(
    sides: &mut [Box<dyn Side<Sample = S> + '_>],
    first: usize,
    span: Duration,
    directory: &Path,
) -> Result<(Calibration, Vec<S>), BenchError> {
    let (start, cpu) = (clock::now(), CpuTime::read()?);
    let mut calibration = Calibration::measure(directory)?;
    let samples = take_turns(sides, first, span)?;
    let foreign = CpuTime::read()?.since(cpu).foreign();
    calibration.foreign_cpu = foreign / start.elapsed().as_secs_f64();
    Ok((calibration, samples))
}

/// One turn of each side, beginning with the one at `first`; the samples come
/// in the order of the sides.
fn take_turns<S>(
    sides: &mut [Box<dyn Side<Sample = S> + '_>],
    first: usize,
    span: Duration,
) -> Result<Vec<S>, BenchError> {
    let mut samples: Vec<Option<S>> = sides.iter().map(|_| None).collect();
    for turn in 0..sides.len() {
        let place = (first + turn) % sides.len();
        samples[place] = Some(sides[place].run(span)?);
    }
    Ok(samples.into_iter().flatten().collect())
}

fn undisturbed<S>(rounds: &[(Calibration, Vec<S>)]) -> impl Iterator<Item = usize> {
    let all: Vec<Calibration> = rounds.iter().map(|(calibration, _)| *calibration).collect();
    let count = all.len();
    (0..count).filter(move |place| all[*place].disturbance(&all).is_none())
}

fn sift<S>(rounds: Vec<(Calibration, Vec<S>)>, effort: Effort) -> Rounds<S> {
    let all: Vec<Calibration> = rounds.iter().map(|(calibration, _)| *calibration).collect();
    let reasons = all.iter().map(|calibration| calibration.disturbance(&all));
    let reasons: Vec<Option<Disturbance>> = reasons.collect();
    let counted = reasons.iter().filter(|reason| reason.is_none()).count();
    let enough = counted >= effort.rounds_min;
    let shown = rounds.into_iter().zip(&reasons);
    let shown = shown.filter(|(_, reason)| reason.is_none() || !enough);
    Rounds {
        samples: shown.map(|((_, samples), _)| samples).collect(),
        counted,
        dropped: reasons.into_iter().flatten().collect(),
        enough,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    const CALM: Calibration = Calibration {
        syncs_per_second: 1_000.0,
        hash_steps_per_us: 1_000.0,
        foreign_cpu: 0.0,
    };

    /// A side that writes its turns down.
    struct Scribe {
        name: &'static str,
        turns: Rc<RefCell<Vec<&'static str>>>,
    }

    impl Side for Scribe {
        type Sample = &'static str;

        fn name(&self) -> &'static str {
            self.name
        }

        fn run(&mut self, _: Duration) -> Result<&'static str, BenchError> {
            self.turns.borrow_mut().push(self.name);
            Ok(self.name)
        }
    }

    #[test]
    fn each_round_begins_with_another_side_and_keeps_the_order_of_samples() {
        let turns = Rc::default();
        let side = |name| -> Box<dyn Side<Sample = _>> {
            let turns = Rc::clone(&turns);
            Box::new(Scribe { name, turns })
        };
        let mut sides = [side("a"), side("b"), side("c")];
        for first in 0..3 {
            let samples = take_turns(&mut sides, first, Duration::ZERO).unwrap();
            assert_eq!(samples, ["a", "b", "c"]);
        }
        assert_eq!(turns.borrow().concat(), "abcbcacab");
    }

    #[test]
    fn disturbed_rounds_are_dropped_and_too_few_are_not_enough() {
        let loud = Calibration {
            foreign_cpu: 2.0,
            ..CALM
        };
        let rounds = |calm: usize| {
            let calm = std::iter::repeat_n((CALM, vec![1]), calm);
            calm.chain([(loud, vec![2]), (loud, vec![2])]).collect()
        };
        let few = sift(rounds(4), Effort::full());
        assert_eq!((few.counted, few.dropped.len(), few.enough), (4, 2, false));
        assert_eq!(few.samples.len(), 6);
        let some = sift(rounds(5), Effort::full());
        assert_eq!((some.samples, some.enough), (vec![vec![1]; 5], true));
    }
}
