//! Running a list of steps: each is timed, none is left out because an earlier
//! one failed, and a table at the end says how each went.
//!
//! A step past its budget is marked but does not fail: a slow machine is not a
//! fault of the change.

use std::fmt;
use std::process::{ExitCode, ExitStatus};
use std::time::{Duration, Instant};

use crate::error::TaskError;

/// One thing to do, and how long it may take on two cores.
pub(crate) struct Step {
    name: String,
    budget: Duration,
    work: Box<dyn FnOnce() -> Result<Outcome, TaskError>>,
}

impl Step {
    /// A step that has `budget_seconds` to do its work.
    pub(crate) fn new(
        name: &str,
        budget_seconds: u64,
        work: impl FnOnce() -> Result<Outcome, TaskError> + 'static,
    ) -> Self {
        Self {
            name: name.to_owned(),
            budget: Duration::from_secs(budget_seconds),
            work: Box::new(work),
        }
    }
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It did what it should; the text is worth a word in the table, or empty.
    Passed(String),
    /// It did not; the text says what.
    Failed(String),
    /// It could not be tried, and that is allowed here; the text says why.
    Skipped(String),
}

impl Outcome {
    /// The outcome of a program that speaks for itself.
    pub(crate) fn of(status: ExitStatus) -> Self {
        if status.success() {
            Self::Passed(String::new())
        } else {
            Self::Failed(status.to_string())
        }
    }

    /// The same outcome with a further word in the table.
    pub(crate) fn with_note(self, note: &str) -> Self {
        let join = |text: String| [text.as_str(), note].join(", ");
        match self {
            Self::Passed(text) => Self::Passed(join(text)),
            Self::Failed(text) => Self::Failed(join(text)),
            Self::Skipped(text) => Self::Skipped(join(text)),
        }
    }

    /// Whether the step failed.
    pub(crate) fn is_failed(&self) -> bool {
        matches!(self, Self::Failed(_))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, text) = match self {
            Self::Passed(text) => ("ok", text),
            Self::Failed(text) => ("FAILED", text),
            Self::Skipped(text) => ("SKIPPED", text),
        };
        let colon = if text.is_empty() { "" } else { ": " };
        write!(f, "{word}{colon}{text}")
    }
}

/// Runs all the steps and prints their table; succeeds if none failed.
pub(crate) fn run(steps: Vec<Step>) -> ExitCode {
    let summary = Summary {
        rows: steps.into_iter().map(carry_out).collect(),
    };
    print!("\n{summary}");
    summary.verdict()
}

fn carry_out(step: Step) -> Row {
    println!("\n── {} ──", step.name);
    let stopwatch = Stopwatch::start();
    let outcome = (step.work)().unwrap_or_else(|error| Outcome::Failed(error.to_string()));
    println!("{}: {outcome}", step.name);
    Row {
        name: step.name,
        took: stopwatch.read(),
        budget: step.budget,
        outcome,
    }
}

struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(
        clippy::disallowed_methods,
        reason = "the time of a step is the real one"
    )]
    fn start() -> Self {
        Self(Instant::now())
    }

    fn read(&self) -> Duration {
        self.0.elapsed()
    }
}

struct Row {
    name: String,
    took: Duration,
    budget: Duration,
    outcome: Outcome,
}

struct Summary {
    rows: Vec<Row>,
}

impl Summary {
    fn verdict(&self) -> ExitCode {
        let failed = self.rows.iter().any(|row| row.outcome.is_failed());
        if failed || self.rows.is_empty() {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    }

    fn tally(&self) -> String {
        let count = |wanted: fn(&Outcome) -> bool| {
            let hits = self.rows.iter().filter(|row| wanted(&row.outcome));
            hits.count()
        };
        format!(
            "{} passed, {} failed, {} skipped",
            count(|outcome| matches!(outcome, Outcome::Passed(_))),
            count(Outcome::is_failed),
            count(|outcome| matches!(outcome, Outcome::Skipped(_))),
        )
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|row| row.name.len()).max();
        let width = width.unwrap_or(0).max("total".len());
        writeln!(
            f,
            "{:width$}  {:>9}  {:>7}  result",
            "step", "time", "budget"
        )?;
        for row in &self.rows {
            let line = Line(row.took, row.budget);
            writeln!(f, "{:width$}  {line}  {}", row.name, row.outcome)?;
        }
        let took = self.rows.iter().map(|row| row.took).sum();
        let budget = self.rows.iter().map(|row| row.budget).sum();
        writeln!(f, "{:width$}  {}", "total", Line(took, budget))?;
        writeln!(f, "{}", self.tally())
    }
}

/// A time against its budget, with a mark if it is longer.
struct Line(Duration, Duration);

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(took, budget) = self;
        let mark = if took > budget { '!' } else { ' ' };
        let seconds = took.as_secs_f64();
        write!(f, "{seconds:>7.1}{mark}s  {:>6}s", budget.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, took_ms: u64, outcome: Outcome) -> Row {
        Row {
            name: name.to_owned(),
            took: Duration::from_millis(took_ms),
            budget: Duration::from_secs(2),
            outcome,
        }
    }

    #[test]
    fn the_table_shows_times_budgets_and_what_ran_over() {
        let summary = Summary {
            rows: vec![
                row("quick", 1_240, Outcome::Passed(String::new())),
                row("slow", 2_001, Outcome::Failed("2 faults".to_owned())),
                row("absent", 0, Outcome::Skipped("not installed".to_owned())),
            ],
        };
        let expected = "\
step         time   budget  result
quick       1.2 s       2s  ok
slow        2.0!s       2s  FAILED: 2 faults
absent      0.0 s       2s  SKIPPED: not installed
total       3.2 s       6s
1 passed, 1 failed, 1 skipped
";
        assert_eq!(summary.to_string(), expected);
    }

    #[test]
    fn one_failed_step_fails_the_whole_run() {
        let rows = vec![
            row("good", 1, Outcome::Passed(String::new())),
            row("bad", 1, Outcome::Failed("no".to_owned())),
        ];
        assert_eq!(Summary { rows }.verdict(), ExitCode::FAILURE);
    }

    #[test]
    fn a_run_without_steps_fails() {
        assert_eq!(Summary { rows: vec![] }.verdict(), ExitCode::FAILURE);
    }

    #[test]
    fn a_skipped_step_does_not_fail_the_run() {
        let rows = vec![row("absent", 1, Outcome::Skipped("why".to_owned()))];
        assert_eq!(Summary { rows }.verdict(), ExitCode::SUCCESS);
    }

    #[test]
    fn steps_after_a_failed_one_still_run() {
        let failing = Step::new("first", 1, || Ok(Outcome::Failed("no".to_owned())));
        let (sender, receiver) = std::sync::mpsc::channel();
        let next = Step::new("second", 1, move || {
            sender.send(()).expect("the test holds the other end");
            Ok(Outcome::Passed(String::new()))
        });
        assert_eq!(run(vec![failing, next]), ExitCode::FAILURE);
        assert_eq!(receiver.try_recv(), Ok(()));
    }
}
