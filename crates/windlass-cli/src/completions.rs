//! `windlass completions`: what a shell needs to complete the command's words.

use clap::{Args, CommandFactory};
use clap_complete::Shell;
use serde_json::json;

use crate::args::Cli;
use crate::failure::Failure;
use crate::output::Output;

/// Which shell it is for.
#[derive(Args, Debug)]
pub(crate) struct CompletionsArgs {
    /// The shell that will read it
    shell: Shell,
}

/// Prints the script that the shell reads.
pub(crate) fn run(args: &CompletionsArgs, output: &Output) -> Result<(), Failure> {
    let script = script(args.shell);
    let object = json!({ "shell": args.shell.to_string(), "script": script });
    output.answer(&object, || script)
}

fn script(shell: Shell) -> String {
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    let mut bytes = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut bytes);
    String::from_utf8(bytes).expect("a script is made of the texts of this program")
}

#[cfg(test)]
mod tests {
    use clap::{Command, ValueEnum};

    use super::*;

    /// The names of all subcommands at any depth.
    fn names(command: &Command) -> Vec<String> {
        let below = command.get_subcommands();
        let names = below.flat_map(|below| {
            let own = below.get_name().to_owned();
            std::iter::once(own).chain(names(below))
        });
        names.collect()
    }

    #[test]
    fn every_shell_learns_every_subcommand_and_every_flag_in_common() {
        let names = names(&Cli::command());
        assert!(names.contains(&"top-up".to_owned()), "{names:?}");
        for shell in Shell::value_variants() {
            let script = script(*shell);
            for name in &names {
                assert!(script.contains(name.as_str()), "{shell} misses `{name}`");
            }
            for flag in ["store", "tenant", "principal", "config", "json", "color"] {
                assert!(script.contains(flag), "{shell} misses `{flag}`");
            }
        }
    }

    #[test]
    fn every_shell_gets_a_script_of_its_own() {
        let mut scripts: Vec<_> = Shell::value_variants()
            .iter()
            .map(|of| script(*of))
            .collect();
        scripts.sort();
        scripts.dedup();
        assert_eq!(scripts.len(), 5);
    }
}
