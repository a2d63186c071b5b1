//! `windlass config`: the settings in force.

use clap::Subcommand;
use serde_json::{Value as Json, json};
use windlass::stream::Adjustment;

use super::setting::Setting;
use super::{Environment, Settings, file, shown};
use crate::args::Global;
use crate::failure::Failure;
use crate::output::Output;
use crate::table;

/// What can be asked about settings.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Show every setting and its value
    Show {
        /// Show where each value came from
        #[arg(long)]
        origin: bool,
    },
    /// Check file, environment and flags without doing anything
    Check,
    /// Show which configuration file is read
    Path,
}

/// Runs one of them.
pub(crate) fn run(
    command: &ConfigCommand,
    global: &Global,
    environment: &Environment,
) -> Result<(), Failure> {
    if matches!(command, ConfigCommand::Path) {
        let output = Output::unsettled(global, environment);
        return path(global, environment, &output);
    }
    let settings = Settings::load(global, environment)?;
    let output = Output::new(global.json, settings.color, environment);
    match command {
        ConfigCommand::Show { origin } => show(&settings, *origin, &output),
        ConfigCommand::Check => check(&settings, &output),
        ConfigCommand::Path => Ok(()),
    }
}

/// Says that the settings are valid, and which count as something else than
/// was given.
fn check(settings: &Settings, output: &Output) -> Result<(), Failure> {
    output.answer(&json!({ "valid": true }), || {
        "the settings are valid".to_owned()
    })?;
    let (_, adjustments) = settings.streams.in_range()?;
    for Adjustment {
        setting,
        given,
        taken,
    } in adjustments
    {
        let name = format!("streams.{setting}");
        let text = format!("`{name}` counts as {taken}, not {given}");
        output.note(
            &json!({ "setting": name, "given": given, "taken": taken }),
            &text,
        );
    }
    Ok(())
}

fn path(global: &Global, environment: &Environment, output: &Output) -> Result<(), Failure> {
    let located = file::locate(global, environment);
    let path = shown(&located.path);
    let exists = located.path.exists();
    let answer = json!({ "path": path, "exists": exists, "chosen_by": located.chosen_by });
    output.answer(&answer, || path)?;
    if !exists {
        output.note(
            &json!({ "note": "the file does not exist" }),
            "the file does not exist",
        );
    }
    Ok(())
}

fn show(settings: &Settings, origin: bool, output: &Output) -> Result<(), Failure> {
    if output.json() {
        return Setting::all()
            .try_for_each(|setting| output.object(&row(settings, setting, origin)));
    }
    let value = |setting: Setting| table::plain(&setting.value(settings));
    let text = if origin {
        let rows = Setting::all().map(|setting| {
            [
                setting.name().to_owned(),
                value(setting),
                table::plain(&settings.origin(setting).to_string()),
            ]
        });
        table::rows(["SETTING", "VALUE", "ORIGIN"], rows)
    } else {
        table::rows(
            ["SETTING", "VALUE"],
            Setting::all().map(|setting| [setting.name().to_owned(), value(setting)]),
        )
    };
    output.text(&text)
}

fn row(settings: &Settings, setting: Setting, origin: bool) -> Json {
    let text = setting.value(settings);
    let value = if setting.is_number() {
        text.parse().map_or(Json::Null, |number: u64| number.into())
    } else {
        text.into()
    };
    let mut row = json!({ "name": setting.name(), "value": value });
    if origin {
        row["origin"] = settings.origin(setting).to_string().into();
    }
    row
}
