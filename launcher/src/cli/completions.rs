//! `launcher completions`: shell completion scripts, generated from the definition of the command line.
//!
//! Names of components are asked for when a key is pressed ([`names`]), because programs and groups are whatever the configuration says.

use clap_complete::Shell;
use kit::{Exit, Failure};

use super::component_name::NAMES;
use super::options::Where;
use super::{output, running};

/// Its arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell
    shell: Shell,
}

pub(super) fn completions(mut command: clap::Command, args: &Args) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "launcher", &mut script);
    let script = String::from_utf8_lossy(&script).replace(NAMES, question(args.shell));
    output::line(&for_both_names(args.shell, script.trim_end()));
    Ok(Exit::Fine)
}

/// The script for `launcher`, made to complete `p2p-chat`, too. A shell looks for a script by the command's name: packages install a link.
fn for_both_names(shell: Shell, script: &str) -> String {
    match shell {
        Shell::Bash => script.replace(" -o default launcher\n", " -o default launcher p2p-chat\n"),
        Shell::Zsh => script
            .replacen("#compdef launcher\n", "#compdef launcher p2p-chat\n", 1)
            .replace("compdef _launcher launcher\n", "compdef _launcher launcher p2p-chat\n"),
        Shell::Fish => format!("{script}\ncomplete -c p2p-chat -w launcher"),
        _ => script.to_owned(),
    }
}

/// How a shell's script asks for the names. Bash does so in double quotes; zsh (`_arguments`) and fish (`complete -a`) evaluate what
/// stands in theirs.
fn question(shell: Shell) -> &'static str {
    match shell {
        Shell::Bash => r#"$("${COMP_WORDS[0]}" names 2>/dev/null)"#,
        Shell::Zsh => "$(launcher names 2>/dev/null)",
        Shell::Fish => "(launcher names 2>/dev/null)",
        // The others' scripts are data; they suggest what is always there.
        _ => "all",
    }
}

/// `launcher names`: every name that commands take for components, one a line.
pub(super) fn names(place: &Where) -> Result<Exit, Failure> {
    running::names(place).iter().for_each(|name| output::line(name));
    Ok(Exit::Fine)
}
