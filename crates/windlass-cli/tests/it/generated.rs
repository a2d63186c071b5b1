//! What the command writes about itself: completions and manual pages.

use std::fs;

use crate::bench::Bench;

#[test]
fn completions_are_printed_for_every_shell_even_where_the_settings_are_wrong() {
    let bench = Bench::new();
    fs::write(bench.path("windlass.toml"), "nonsense").unwrap();
    for (shell, first) in [
        ("bash", "_windlass()"),
        ("elvish", "\nuse builtin;"),
        ("fish", "# Print an optspec"),
        ("powershell", "\nusing namespace"),
        ("zsh", "#compdef windlass"),
    ] {
        let script = bench.run(&format!("completions {shell}"));
        script.assert_code(0);
        assert!(script.stdout.starts_with(first), "{shell}: {script:?}");
        let objects = bench.run(&format!("completions {shell} --json")).objects();
        assert_eq!(objects[0]["shell"], shell);
        let text = objects[0]["script"].as_str().unwrap();
        assert_eq!(text.trim_end(), script.stdout.trim_end());
    }
}

#[test]
fn bash_accepts_its_completions() {
    let bench = Bench::new();
    let said = bench.shell("windlass completions bash > complete && bash -n complete && echo good");
    assert_eq!(said, "good\n");
}

#[test]
fn every_command_has_a_manual_page_of_its_own() {
    let bench = Bench::new();
    let ran = bench.run("man --out pages/man1");
    ran.assert_code(0);
    let mut names = Vec::new();
    for path in ran.stdout.lines() {
        let name = path.strip_prefix("pages/man1/").unwrap();
        let page = fs::read_to_string(bench.path(path)).unwrap();
        let title = name.strip_suffix(".1").unwrap();
        assert!(page.contains(&format!(".TH {title} 1 ")), "{page}");
        assert!(page.contains("\n.SH \"EXIT STATUS\"\n"), "{page}");
        names.push(title);
    }
    assert_eq!(
        names.len(),
        fs::read_dir(bench.path("pages/man1")).unwrap().count()
    );
    insta::assert_snapshot!(names.join("\n"));
}

#[test]
fn the_page_of_one_command_is_the_one_that_is_written() {
    let bench = Bench::new();
    bench.run("man --out .").assert_code(0);
    let printed = bench.run("man session create");
    let written = fs::read_to_string(bench.path("windlass-session-create.1")).unwrap();
    assert_eq!(printed.stdout, written);
    let object = bench.run("man session create --json").objects().remove(0);
    assert_eq!(object["page"], "windlass-session-create.1");
    assert_eq!(object["text"].as_str().unwrap(), written);
}

#[test]
fn a_page_that_cannot_be_written_is_named() {
    let bench = Bench::new();
    fs::write(bench.path("taken"), "a file").unwrap();
    let ran = bench.run("--json man --out taken/man1");
    ran.assert_code(8);
    let error = ran.error();
    assert_eq!(error["code"], "page_failed");
    assert_eq!(error["message"], "cannot write `taken/man1`");
}

#[test]
fn a_page_of_no_command_is_a_usage_error() {
    let bench = Bench::new();
    let ran = bench.run("--json man session nowhere");
    ran.assert_code(2);
    assert_eq!(ran.error()["code"], "usage");
    let both = bench.run("--json man session --out pages");
    both.assert_code(2);
    assert!(!bench.path("pages").exists(), "{both:?}");
}
