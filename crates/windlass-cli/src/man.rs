//! `windlass man`: a manual page for each command, made from its help.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};
use serde_json::json;

use crate::args::{Cli, EXIT_CODES};
use crate::failure::{CommandError, Failure};
use crate::output::Output;

/// Which pages, and where to.
#[derive(Args, Debug)]
pub(crate) struct ManArgs {
    /// The command whose page is printed, such as `session create`; without
    /// one, that of `windlass` itself
    command: Vec<String>,
    /// Write the page of every command to this directory, which is made if it
    /// does not exist, and print their paths
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    out: Option<PathBuf>,
}

/// One manual page.
#[derive(Debug)]
struct Page {
    /// Such as `windlass-session-create.1`.
    file: String,
    text: String,
}

/// Prints one page, or writes all of them.
pub(crate) fn run(args: &ManArgs, output: &Output) -> Result<(), Failure> {
    if let Some(directory) = &args.out {
        return write_all(directory, output);
    }
    let page = page(find(&root(), &args.command)?);
    let object = json!({ "page": page.file, "text": page.text });
    output.answer(&object, || page.text)
}

fn write_all(directory: &Path, output: &Output) -> Result<(), Failure> {
    written(directory, fs::create_dir_all(directory))?;
    for page in pages(&root()) {
        let path = directory.join(&page.file);
        written(&path, fs::write(&path, &page.text))?;
        let path = path.display().to_string();
        output.answer(&json!({ "path": path }), || path)?;
    }
    Ok(())
}

fn written(path: &Path, done: io::Result<()>) -> Result<(), Failure> {
    let path = path.to_path_buf();
    Ok(done.map_err(|source| CommandError::Page { path, source })?)
}

/// The whole command. Its `help` is left out: it has nothing to explain.
fn root() -> Command {
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    root
}

/// The command that these words name.
fn find<'a>(root: &'a Command, words: &[String]) -> Result<&'a Command, Failure> {
    let mut found = root;
    for word in words {
        found = found.find_subcommand(word).ok_or_else(|| {
            let name = found.get_bin_name().unwrap_or(found.get_name());
            let what = format!("`{name}` has no command of that name");
            Failure::usage(root.clone().error(ErrorKind::InvalidSubcommand, what))
        })?;
    }
    Ok(found)
}

/// A page for each command, a command before those below it.
fn pages(command: &Command) -> Vec<Page> {
    let mut pages = vec![page(command)];
    pages.extend(command.get_subcommands().flat_map(pages_below));
    pages
}

fn pages_below(command: &Command) -> Vec<Page> {
    if command.is_hide_set() {
        Vec::new()
    } else {
        pages(command)
    }
}

fn page(command: &Command) -> Page {
    let version = format!("windlass {}", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).source(version).manual("Windlass");
    let mut text = Vec::new();
    render(&man, command, &mut text).expect("memory takes whatever is written to it");
    Page {
        file: man.get_filename(),
        text: String::from_utf8(text).expect("a page is made of the texts of this program"),
    }
}

/// The sections of a page; the exit codes are the same on each.
fn render(man: &Man, command: &Command, page: &mut Vec<u8>) -> io::Result<()> {
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(page)?;
    }
    exit_codes().to_writer(page)
}

fn exit_codes() -> Roff {
    let mut section = Roff::new();
    section.control("SH", ["EXIT STATUS"]).control("nf", []);
    for line in EXIT_CODES.lines().skip(1) {
        section.text([roman(line)]);
    }
    section.control("fi", []);
    section
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn words_lead_to_their_command_and_wrong_ones_are_refused() {
        let root = root();
        let found = find(&root, &words("session create")).unwrap();
        assert_eq!(page(found).file, "windlass-session-create.1");
        let refused = find(&root, &words("session nowhere")).unwrap_err();
        assert_eq!((refused.code(), refused.kind()), ("usage", "invalid"));
    }

    #[test]
    fn a_page_has_its_sections_in_order() {
        let page = page(find(&root(), &words("session")).unwrap());
        let headings = page
            .text
            .lines()
            .filter_map(|line| line.strip_prefix(".SH "));
        let expected = [
            "NAME",
            "SYNOPSIS",
            "DESCRIPTION",
            "OPTIONS",
            "\"GLOBAL OPTIONS\"",
            "SUBCOMMANDS",
            "\"EXIT STATUS\"",
        ];
        assert_eq!(headings.collect::<Vec<_>>(), expected);
    }
}
