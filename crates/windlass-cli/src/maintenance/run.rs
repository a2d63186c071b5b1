//! The command that has upkeep done.

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use windlass::maintenance::{RunLimit, Task};
use windlass_client::maintenance::TaskReport;

use super::show;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::Output;

#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    /// The task [default: all of them, one after the other]
    #[arg(value_name = "TASK")]
    task: Option<String>,
    /// Entries that each task looks at, at most [default: all that are due]
    #[arg(long, value_name = "N")]
    entries: Option<u64>,
    /// Milliseconds that each task takes, at most [default: as long as it
    /// takes]
    #[arg(long, value_name = "N")]
    millis: Option<u64>,
}

/// Runs what was asked for. A task that fails stops no other; the first
/// failure is the command's.
pub(super) async fn run(args: &RunArgs, context: &Context) -> Result<(), Failure> {
    let tasks = match &args.task {
        Some(name) => std::slice::from_ref(Task::named(name)?),
        None => Task::all(),
    };
    let limit = RunLimit {
        entries: args.entries,
        millis: args.millis,
    };
    let output = context.output();
    let bar = bar(output);
    let (reports, failed) = context
        .with_upkeep(async |upkeep| {
            let (mut reports, mut failed) = (Vec::new(), None);
            for task in tasks {
                let mut follow = |report: &TaskReport| bar.set_message(show::progress(report));
                bar.set_message(task.name());
                bar.tick();
                match upkeep.run_task(task, limit, &mut follow).await {
                    Ok(report) => reports.push(report),
                    Err(failure) => failed = failed.or(Some(failure)),
                }
            }
            Ok((reports, failed))
        })
        .await?;
    bar.finish_and_clear();
    tell(&reports, output)?;
    failed.map_or(Ok(()), Err)
}

fn tell(reports: &[TaskReport], output: &Output) -> Result<(), Failure> {
    if output.json() {
        reports
            .iter()
            .try_for_each(|report| output.object(report))?;
    } else if !reports.is_empty() {
        output.text(&show::reports(reports))?;
    }
    for report in reports {
        for (what, why) in &report.unreadable {
            let text = format!("`{what}` cannot be read and was left alone: {why}");
            let object = json!({ "task": report.task, "unreadable": what, "why": why });
            output.note(&object, &text);
        }
    }
    Ok(())
}

fn bar(output: &Output) -> ProgressBar {
    let target = if output.json() {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    };
    let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}");
    let bar = ProgressBar::with_draw_target(None, target);
    bar.with_style(style.expect("the template is well formed"))
}
