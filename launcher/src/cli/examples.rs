//! The examples at the end of each command's help. Options that all commands share are listed only in `launcher --help`.

/// A command's path below `launcher`, and its examples: the command line and its effect.
const EXAMPLES: &[(&str, &[(&str, &str)])] = &[
    (
        "up",
        &[
            ("up --no-openai --detach", "start without the bot, in the background"),
            ("up --foreground-logs", "also show all components' lines here"),
            ("up --exit-code-from tests", "run until it ends; exit with its code"),
        ],
    ),
    ("check", &[("check", "check the configuration"), ("check --deep", "also read the whole database file")]),
    (
        "doctor",
        &[("doctor", "show what is wrong, and how to fix it"), ("doctor --json", "the same for scripts")],
    ),
    ("status", &[("status", "show all components"), ("status --watch", "refresh every second")]),
    ("top", &[("top", "watch the components; ? explains the keys")]),
    (
        "logs",
        &[("logs chat-server -f", "follow one log"), ("logs --since 2h", "the last two hours of all logs")],
    ),
    (
        "restart",
        &[
            ("restart chat-server", "restart it; clients stay in its queue"),
            ("restart web worker", "restart components, groups, all replicas"),
            ("restart all", "restart everything"),
        ],
    ),
    ("stop", &[("stop thermometer", "stop it until 'launcher start thermometer'")]),
    ("start", &[("start thermometer", "start it again")]),
    ("down", &[("down", "stop the launcher on the default data directory")]),
    (
        "reload",
        &[
            ("reload --plan", "show what would change"),
            ("reload", "apply the changes"),
            ("reload --yes", "also move to another store"),
        ],
    ),
    ("why", &[("why chat-server", "its state, the reason and the next step")]),
    ("crashes", &[("crashes", "list all reports"), ("crashes chat-server", "show its newest report")]),
    (
        "tls",
        &[("tls self-signed", "make a certificate for this machine"), ("tls show", "show its fingerprint")],
    ),
    (
        "tls self-signed",
        &[
            ("tls self-signed", "for this machine's names"),
            ("tls self-signed --name chat.lan", "for one more name"),
        ],
    ),
    ("tls show", &[("tls show", "names, days left and fingerprint")]),
    ("run", &[("run chat-server", "run it until ctrl-C")]),
    (
        "accounts",
        &[("accounts add alice", "protect a name; print its token"), ("accounts list", "show all accounts")],
    ),
    ("accounts add", &[("accounts add alice", "protect the name alice")]),
    (
        "accounts list",
        &[("accounts list", "names, states and tokens"), ("accounts list --json", "the same for scripts")],
    ),
    (
        "accounts token",
        &[
            ("accounts token alice --label phone", "one more device"),
            ("accounts token builds --label ci --bot", "a program"),
        ],
    ),
    ("accounts revoke", &[("accounts revoke alice phone", "end its sessions, refuse it")]),
    ("accounts suspend", &[("accounts suspend alice", "until 'launcher accounts resume alice'")]),
    ("accounts resume", &[("accounts resume alice", "accept its tokens again")]),
    ("accounts delete", &[("accounts delete alice --yes", "for ever")]),
    ("users", &[("users", "names, addresses and times"), ("users --json", "the same for scripts")]),
    (
        "probe",
        &[
            ("probe", "test that a message is accepted and delivered"),
            ("probe --timeout 2s", "fail if that takes longer than 2 s"),
        ],
    ),
    ("trace", &[("trace job-17", "the message with the client_id job-17")]),
    ("backup", &[("backup chat.backup", "write a backup while the chat runs")]),
    ("restore", &[("restore chat.backup", "ask, then restore"), ("restore chat.backup --yes", "do not ask")]),
    ("import", &[("import legacy", "import the older program's messages")]),
    ("import legacy", &[("import legacy", "import the older program's messages")]),
    ("retention", &[("retention", "count expired messages"), ("retention --yes", "delete them")]),
    ("migrate", &[("migrate --to mongodb://localhost:27017", "copy the SQLite file there")]),
    ("metrics", &[("metrics", "print all metrics once")]),
    (
        "console",
        &[("console", "print a link that opens it"), ("console --token", "print the token for scripts")],
    ),
    ("completions", &[("completions bash", "print the script for bash")]),
    ("man", &[("man", "print launcher(1)"), ("man man1", "write all pages into the directory man1")]),
    ("lan", &[("lan peers", "list the people on the network"), ("lan send bob hi", "send bob a message")]),
    ("lan peers", &[("lan peers", "list the people on the network")]),
    ("lan send", &[("lan send bob hi", "send bob a message")]),
    ("lan watch", &[("lan watch", "print incoming messages")]),
    (
        "lan verify",
        &[
            ("lan verify", "show your own fingerprint"),
            ("lan verify bob", "show the fingerprint bob should have"),
        ],
    ),
    ("lan doctor", &[("lan doctor", "check the network, the ports and the firewall")]),
    (
        "chat",
        &[("chat --name alice", "chat as alice"), ("chat --name cron --plain", "read lines from a script")],
    ),
    (
        "history",
        &[("history --with bob", "one conversation"), ("history --export json", "everything as JSON")],
    ),
    ("demo", &[("demo", "until ctrl-C"), ("demo --name alex", "the people write to alex")]),
    ("tour", &[("tour", "with this machine's addresses")]),
    (
        "help",
        &[
            ("help logs", "the same as 'launcher logs --help'"),
            ("help config chat-server.listen", "what the key means"),
            ("help config web-adapter", "all keys of the section"),
        ],
    ),
];

/// The options that every command has.
const SHARED: [&str; 4] = ["config", "data", "logs", "set"];

/// Arranges the help: shared options under a heading of their own in the main help alone, and each command's examples at the end of its
/// help.
pub(super) fn lay_out(command: clap::Command) -> clap::Command {
    let command = command
        .mut_args(|arg| if is_shared(&arg) { arg.help_heading("Options for all commands") } else { arg });
    command.mut_subcommands(|sub| of_subcommand(sub, ""))
}

fn of_subcommand(command: clap::Command, parent: &str) -> clap::Command {
    let path = if parent.is_empty() {
        command.get_name().to_owned()
    } else {
        format!("{parent} {}", command.get_name())
    };
    let mut text = of(&path);
    if command.get_arguments().any(is_shared) {
        text.push_str("\n\n'launcher --help' lists the options for all commands and the exit codes.");
    }
    let command = command.mut_args(|arg| if is_shared(&arg) { arg.hide(true) } else { arg });
    let command = command.mut_subcommands(|sub| of_subcommand(sub, &path));
    command.after_help(text)
}

fn is_shared(arg: &clap::Arg) -> bool {
    SHARED.contains(&arg.get_id().as_str())
}

/// The examples of one command.
fn of(path: &str) -> String {
    let Some((_, examples)) = EXAMPLES.iter().find(|(known, _)| *known == path) else { return String::new() };
    let width = examples.iter().map(|(line, _)| line.len()).max().unwrap_or(0);
    let lines = examples.iter().map(|(line, what)| format!("\n  launcher {line:<width$}    {what}"));
    format!("Examples:{}", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::definition;

    fn paths(command: &clap::Command, parent: &str, out: &mut Vec<String>) {
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
            let path = format!("{parent} {}", sub.get_name()).trim_start().to_owned();
            paths(sub, &path, out);
            out.push(path);
        }
    }

    #[test]
    fn every_command_has_examples_that_can_be_typed() {
        let mut known = Vec::new();
        paths(&definition(), "", &mut known);
        for path in &known {
            assert!(of(path).starts_with("Examples:"), "no example for: launcher {path}");
        }
        for (path, examples) in EXAMPLES {
            assert!(known.iter().any(|known| known == path), "there is no command: launcher {path}");
            for (line, _) in *examples {
                let words = std::iter::once("launcher").chain(line.split(' '));
                if let Err(error) = lay_out(definition()).try_get_matches_from(words) {
                    panic!("launcher {line}: {error}");
                }
            }
        }
    }

    #[test]
    fn shared_options_are_in_the_main_help_alone() {
        let mut command = lay_out(definition());
        assert!(command.render_help().to_string().contains("Options for all commands:"));
        let status = command.find_subcommand_mut("status").unwrap().render_help().to_string();
        assert!(!status.contains("--config") && status.contains("launcher status --watch"), "{status}");
    }

    #[test]
    fn every_help_fits_a_terminal() {
        const WIDTH: usize = 80;
        let definition = lay_out(definition());
        let mut known = Vec::new();
        paths(&definition, "", &mut known);
        for path in known {
            let command = path.split(' ').fold(&definition, |of, name| of.find_subcommand(name).unwrap());
            let help = command.clone().term_width(WIDTH).render_long_help().to_string();
            assert!(help.lines().all(|line| line.chars().count() <= WIDTH), "{help}");
            // Long options are wrapped with an indentation; an example would continue at the margin.
            for example in of(&path).lines() {
                assert!(help.lines().any(|line| line == example), "it does not fit a line: {example}");
            }
        }
    }
}
