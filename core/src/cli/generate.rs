//! Manual pages and completions, generated from the definition of the command line.

use std::io;

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

use super::Generate;

/// Generates it. Writing into memory does not fail.
pub(super) fn generate(what: Generate, mut command: Command, tool: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let shell = match what {
        Generate::Man => {
            let _ = manual(command, tool, &mut out);
            return out;
        }
        Generate::Bash => Shell::Bash,
        Generate::Zsh => Shell::Zsh,
        Generate::Fish => Shell::Fish,
    };
    clap_complete::generate(shell, &mut command, tool, &mut out);
    out
}

/// One page for the tool with all its subcommands, in the order of man-pages(7).
fn manual(mut command: Command, tool: &str, out: &mut Vec<u8>) -> io::Result<()> {
    command.build();
    let extra = command.get_after_long_help().or(command.get_after_help()).map(ToString::to_string);
    let subcommands: Vec<Command> =
        command.get_subcommands().filter(|sub| sub.get_name() != "help" && !sub.is_hide_set()).cloned().collect();
    let man = Man::new(command).manual("Shipshape");
    man.render_title(out)?;
    man.render_name_section(out)?;
    man.render_synopsis_section(out)?;
    man.render_description_section(out)?;
    man.render_options_section(out)?;
    for subcommand in subcommands {
        subcommand_section(subcommand, tool, out)?;
    }
    out.extend_from_slice(EXIT_STATUS.as_bytes());
    out.extend_from_slice(&files(tool).into_bytes());
    if let Some(extra) = extra {
        out.extend_from_slice(examples(&extra).as_bytes());
    }
    Ok(())
}

/// A subcommand: its sentence, its synopsis, and the options that are its own.
fn subcommand_section(subcommand: Command, tool: &str, out: &mut Vec<u8>) -> io::Result<()> {
    let name = format!("{tool} {}", subcommand.get_name());
    let about = subcommand.get_about().map(ToString::to_string).unwrap_or_default();
    // The common ones stand in the tool's own section already.
    let subcommand = subcommand.mut_args(|arg| {
        let is_common = arg.is_global_set() || arg.get_id() == "help";
        arg.hide(is_common)
    });
    let has_options = subcommand.get_arguments().any(|arg| !arg.is_hide_set());
    let man = Man::new(subcommand);
    out.extend_from_slice(format!(".SH \"{}\"\n{}\n.PP\n", name.to_uppercase(), escape(&about)).as_bytes());
    out.extend_from_slice(&body(|section| man.render_synopsis_section(section))?);
    if has_options {
        out.extend_from_slice(&body(|section| man.render_options_section(section))?);
    }
    Ok(())
}

/// A section without its heading.
fn body(render: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> io::Result<Vec<u8>> {
    let mut section = Vec::new();
    render(&mut section)?;
    let text = String::from_utf8_lossy(&section);
    let lines =
        text.lines().filter(|line| !line.starts_with(".SH") && !line.starts_with(".ie ") && !line.starts_with(".el "));
    Ok(lines.flat_map(|line| [line, "\n"]).collect::<String>().into_bytes())
}

const EXIT_STATUS: &str = ".SH \"EXIT STATUS\"
.TP
0
Done.
.TP
1
Done, but somebody should look: see the warnings.
.TP
2
The job failed, or the thing checked is broken.
.TP
3
Could not run: usage, configuration, lock held, missing program.
.TP
128+N
Ended by signal N.
.PP
The reason stands in error.code of the report.
";

fn files(tool: &str) -> String {
    format!(
        ".SH FILES
.TP
shipshape.toml, /etc/shipshape.toml
The configuration: \\-\\-config, else $SHIPSHAPE_CONFIG, else the first of the two that exists, the former in the application's \
         folder or else in the current one. None of them need exist.
.TP
/var/lib/shipshape
The state, for root; $XDG_STATE_HOME/shipshape or ~/.local/state/shipshape for other users. \\-\\-state and $SHIPSHAPE_STATE say
otherwise.
.TP
reports/{}*.json
The last report, in the state folder.
",
        escape(tool)
    )
}

/// The text behind the help, which the tools use for examples, as it stands.
fn examples(text: &str) -> String {
    let body: Vec<String> = text.lines().filter(|line| !line.eq_ignore_ascii_case("examples:")).map(escape).collect();
    format!(".SH EXAMPLES\n.nf\n{}\n.fi\n", body.join("\n").trim_matches('\n'))
}

/// Text for roff: no escapes, no requests, plain hyphens that can be pasted.
fn escape(text: &str) -> String {
    let safe = text.replace('\\', "\\e").replace('-', "\\-");
    if safe.starts_with(['.', '\'']) { format!("\\&{safe}") } else { safe }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Arg;

    fn demo() -> Command {
        Command::new("backup")
            .about("Copies what matters")
            .version("1.2.3")
            .after_help("Examples:\n  backup --app /srv/demo\n.dot")
            .arg(Arg::new("config").long("config").global(true).help("Configuration file"))
            .subcommand(
                Command::new("list").about("Show snapshots").arg(Arg::new("long").long("long").help("Every column")),
            )
    }

    #[test]
    fn the_manual_tells_the_exit_status_the_files_and_every_subcommand() {
        let page = String::from_utf8(generate(Generate::Man, demo(), "backup")).unwrap();
        for heading in [
            ".SH NAME",
            ".SH SYNOPSIS",
            ".SH OPTIONS",
            ".SH \"BACKUP LIST\"",
            ".SH \"EXIT STATUS\"",
            ".SH FILES",
            ".SH EXAMPLES",
        ] {
            assert_eq!(page.matches(heading).count(), 1, "{heading} in\n{page}");
        }
        assert!(page.contains("\\-\\-long"), "{page}");
        assert_eq!(page.matches(".TP\n\\fB\\-\\-config").count(), 1, "common options are told once:\n{page}");
        assert!(page.contains("\n\\&.dot\n"), "{page}");
    }

    #[test]
    fn completions_know_the_subcommands() {
        for shell in [Generate::Bash, Generate::Zsh, Generate::Fish] {
            let script = String::from_utf8(generate(shell, demo(), "backup")).unwrap();
            assert!(script.contains("list") && script.contains("backup"), "{shell:?}");
        }
    }
}
