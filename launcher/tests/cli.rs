//! The command line of the real binary: its output and its exit codes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::net::TcpListener;
use std::process::Output;

use support::{Home, wait_for};

/// Standard output and standard error together.
fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A launcher that is stopped at the end of its test.
struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // The guard ends its components.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[track_caller]
fn assert_ends(output: &Output, code: i32, texts: &[&str]) {
    let said = said(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for text in texts {
        assert!(said.contains(text), "'{text}' is not in:\n{said}");
    }
}

/// A home whose components are programs that do nothing, because these tests are about the launcher.
fn idle() -> Home {
    let components = ["message-api", "chat-server", "web-adapter", "thermometer"];
    components.iter().fold(Home::new(), |home, name| home.set(&format!("{name}.command=sleep 600")))
}

fn write_config(home: &Home, text: &str) {
    let directory = home.dir.path().join("config");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("launcher.toml"), text).unwrap();
}

#[test]
fn a_program_of_the_operators_gets_the_umask_that_it_is_given() {
    let home = Home::new();
    for (umask, expected) in [("0", "0000\n"), ("27", "0027\n"), ("777", "0777\n")] {
        let output = home.run(&["shim", &format!("--umask={umask}"), "--", "sh", "-c", "umask"]);
        assert_ends(&output, 0, &[]);
        assert_eq!(said(&output), expected);
    }
    let output = home.run(&["shim", "--open-files=99", "--", "sh", "-c", "ulimit -Sn"]);
    assert_ends(&output, 0, &["99"]);
    let output = home.run(&["shim", "--umask=8", "--", "sh", "-c", "umask"]);
    assert_ends(&output, 64, &["invalid value '8' for '--umask"]);
}

#[test]
fn help_ends_with_examples_and_the_exit_codes() {
    let output = Home::new().run(&["--help"]);
    assert_ends(&output, 0, &["Commands:", "restart", "--no-openai", "Examples:", "Exit codes:"]);
    let text = said(&output);
    let last = text.trim_end().lines().last().unwrap();
    assert_eq!(last.trim(), "78  configuration error");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    assert_ends(
        &Home::new().run(&["logs", "--help"]),
        0,
        &["--follow", "Examples:", "options for all commands"],
    );
    assert!(
        !said(&Home::new().run(&["logs", "--help"])).contains("--data"),
        "shared options are listed once"
    );
    assert_ends(&Home::new().run(&["--version"]), 0, &[concat!("launcher ", env!("CARGO_PKG_VERSION"))]);
}

#[test]
fn a_wrong_command_line_ends_with_64() {
    let home = Home::new();
    assert_ends(&home.run(&["frobnicate"]), 64, &["frobnicate"]);
    assert_ends(&home.run(&["--frobnicate"]), 64, &["--frobnicate"]);
    assert_ends(&home.run(&["restart"]), 64, &["COMPONENT"]);
    assert_ends(&home.run(&["--no-web", "status"]), 64, &["--no-web cannot be used with this command"]);
    assert_ends(&home.run(&["run", "chatserver"]), 64, &["unknown component 'chatserver'", "chat-server"]);
}

#[test]
fn every_mistake_in_the_configuration_is_told_at_once() {
    let home = Home::new();
    write_config(
        &home,
        "[chat-server]\nlissten = '127.0.0.1:1'\n\n[thermometer]\ninterval = 'often'\nname = 'a b'\n",
    );
    for command in ["up", "check"] {
        let output = home.run(&[command]);
        let expected = [
            "config/launcher.toml:2:1: unknown key 'chat-server.lissten'; did you mean 'listen'?",
            "config/launcher.toml:5:12: thermometer.interval: \"often\" is not a time with its unit, such as 20ms",
            "config/launcher.toml:6:8: thermometer.name: a name cannot hold a space",
        ];
        assert_ends(&output, 78, &expected);
    }
    assert_ends(
        &home.run(&["run", "thermometer", "--set", "nonsense=1"]),
        78,
        &["4 mistakes", "--set nonsense"],
    );
}

#[test]
fn flags_before_and_after_the_command_add_up() {
    let output = Home::new().run(&["--set", "wrong.one=1", "check", "--set", "wrong.two=2"]);
    assert_ends(&output, 78, &["--set wrong.one", "--set wrong.two"]);
}

#[test]
fn check_says_what_would_start_and_what_would_not() {
    let home = Home::new();
    let output = home.run(&["check", "--no-web"]);
    assert_ends(
        &output,
        0,
        &[
            "starts after message-api",
            "left out by --no-web",
            "no OPENAI_API_KEY",
            "off unless asked for: --lan",
            "no problems found",
        ],
    );
    let page = support::free_address();
    let output = home.run(&["check", "--lan", "--set", &format!("lan-peer.listen={page}")]);
    assert_ends(&output, 0, &[&format!("http://{page}"), "no problems found"]);
    assert!(!String::from_utf8_lossy(&output.stdout).contains("off unless asked for"));
}

#[test]
fn the_doctor_looks_at_everything_and_says_what_to_do() {
    let home = Home::new();
    let output = home.run(&["doctor"]);
    let checks = [
        "clock",
        "directories",
        "disk space",
        "fsync",
        "open files",
        "backlog",
        "ports",
        "store",
        "TLS roots",
    ];
    assert_ends(&output, 0, &checks);
    assert_ends(
        &output,
        0,
        &["ok    ports        free: ", "warn  OpenAI key   not set", "→ put OPENAI_API_KEY=… into .env"],
    );
    let _taken = TcpListener::bind(home.api).unwrap();
    let output = home.run(&["doctor", "--json", "--no-openai"]);
    assert_eq!(output.status.code(), Some(1));
    let findings: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let ports = findings.as_array().unwrap().iter().find(|finding| finding["check"] == "ports").unwrap();
    assert_eq!(ports["verdict"], "fail");
    assert!(ports["found"].as_str().unwrap().contains(&format!("pid {}", std::process::id())), "{ports}");
}

#[test]
fn the_doctor_tells_a_mongodb_that_is_not_there() {
    let home = Home::new().variable("MONGO_URL", "mongodb://joe:hunter2@127.0.0.1:9/");
    let output = home.run(&["doctor", "--no-openai"]);
    assert_ends(&output, 69, &["fail  MongoDB", "cannot reach MongoDB at 127.0.0.1:9"]);
    assert!(!said(&output).contains("hunter2"));
}

#[test]
fn the_owners_of_all_taken_ports_are_named() {
    let home = Home::new();
    let _api = TcpListener::bind(home.api).unwrap();
    let _chat = TcpListener::bind(home.chat).unwrap();
    let owner = format!("pid {}", std::process::id());
    for command in ["up", "check"] {
        let output = home.run(&[command]);
        assert_ends(&output, 1, &["message-api.listen", "chat-server.listen", &owner]);
    }
    // A port that is not needed may be in use.
    let output =
        home.run(&["check", "--set", "message-api.command=true", "--set", "chat-server.command=true"]);
    assert_ends(&output, 0, &["no problems found"]);
}

#[test]
fn a_mongodb_that_is_not_there_ends_with_69_and_shows_no_password() {
    let home = Home::new().variable("MONGO_URL", "mongodb://joe:hunter2@127.0.0.1:9/");
    for command in ["up", "check"] {
        let output = home.run(&[command]);
        assert_ends(&output, 69, &["cannot reach MongoDB at 127.0.0.1:9", "is it running?"]);
        assert!(!said(&output).contains("hunter2"));
    }
}

#[test]
fn where_nothing_runs_it_says_so() {
    let home = Home::new();
    for command in [&["down"][..], &["restart", "chat-server"], &["reload"], &["why", "chat-server"]] {
        assert_ends(&home.run(command), 1, &["no launcher runs on the data directory"]);
    }
    assert_ends(&home.run(&["status"]), 2, &["no launcher runs on the data directory"]);
}

#[test]
fn a_data_directory_that_cannot_be_is_named() {
    let home = Home::new();
    std::fs::write(home.data(), "a file").unwrap();
    assert_ends(&home.run(&["up"]), 1, &["the data directory", "--data"]);
}

#[test]
fn a_second_launcher_ends_with_75_and_leaves_the_first_alone() {
    let launcher = idle().up();
    let output = launcher.home.run(&["up"]);
    assert_ends(&output, 75, &[&launcher.pid().to_string()]);
    assert!(launcher.status().is_some());
}

#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let mut launcher = idle().up();
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    for command in [
        &["status"][..],
        &["status", "--json"],
        &["logs"],
        &["why", "chat-server"],
        &["doctor"],
        &["check"],
        &["metrics"],
        &["reload"],
        &["man"],
        &["completions", "bash"],
    ] {
        let output = launcher.home.command(command).stdout(full()).output().unwrap();
        assert_ends(&output, 1, &["cannot write the output: No space left on device"]);
    }
    // The launcher itself continues.
    assert!(launcher.end("-TERM").success());
    let mut up = Ended(launcher.home.command(&["up"]).stdout(full()).spawn().unwrap());
    wait_for("it to be up", || launcher.status());
    support::kill(up.0.id(), "-TERM");
    assert!(up.0.wait().unwrap().success());
}

#[test]
fn a_status_that_is_not_healthy_is_no_success() {
    let launcher = idle().up();
    let home = &launcher.home;
    assert_ends(&home.run(&["status"]), 0, &["ready"]);
    assert_ends(&home.run(&["stop", "thermometer"]), 0, &["stopped"]);
    assert_ends(&home.run(&["status"]), 1, &["stopped"]);
    assert_ends(&home.run(&["status", "--json"]), 1, &["\"healthy\": false"]);
}

#[test]
fn a_stop_that_is_overtaken_by_a_start_is_answered() {
    let stubborn = "trap '' TERM; while :; do sleep 1; done";
    let home = idle().set("components.slow.command=['sh', '-c']").set("components.slow.needs=[]");
    let home =
        home.set("components.slow.stop-grace=2s").set(&format!("components.slow.args=[\"{stubborn}\"]"));
    let launcher = home.up();
    let stop = launcher.home.command(&["stop", "slow"]).spawn().unwrap();
    wait_for("the stop to begin", || (launcher.component("slow")?["state"] == "stopping").then_some(()));
    assert_ends(&launcher.home.run(&["start", "slow"]), 0, &["slow is ready"]);
    assert_ends(&stop.wait_with_output().unwrap(), 1, &["somebody else has started or stopped it meanwhile"]);
}

#[test]
fn a_component_that_has_said_nothing_has_an_empty_log() {
    let home = idle().set("components.silent.command=['sleep', '600']").set("components.silent.needs=[]");
    let launcher = home.up();
    let log = launcher.home.logs().join("silent.log");
    // It may have been created already; then it is empty.
    let _ = std::fs::remove_file(&log);
    assert_ends(&launcher.home.run(&["logs", "silent"]), 0, &[]);
    assert_ends(&launcher.home.run(&["logs", "nobody"]), 1, &["no log of 'nobody'"]);
}

#[test]
fn a_line_of_megabytes_is_not_all_that_why_says() {
    let line = "printf %03000000d 0; echo; exec sleep 600";
    let home = idle().set("components.wide.command=['sh', '-c']").set("components.wide.needs=[]");
    let launcher = home.set(&format!("components.wide.args=[\"{line}\"]")).up();
    let log = launcher.home.logs().join("wide.log");
    wait_for("the line", || (std::fs::metadata(&log).ok()?.len() > 3_000_000).then_some(()));
    let output = launcher.home.run(&["why", "wide"]);
    assert_ends(&output, 0, &["wide is ready", "bytes in all)"]);
    assert!(output.stdout.len() < 20_000, "{}", output.stdout.len());
}

#[test]
fn a_data_directory_may_have_any_name() {
    use std::os::unix::ffi::OsStringExt;
    let home = idle();
    let name = std::ffi::OsString::from_vec(b"d\xff\xfeta".to_vec());
    let data = home.dir.path().join(name);
    let with_data = |arguments: &[&str]| {
        let mut command = home.command(arguments);
        command.arg("--logs").arg(data.join("logs")).arg("--data").arg(&data);
        command
    };
    let mut up = Ended(with_data(&["up", "--no-openai"]).spawn().unwrap());
    wait_for("it to be healthy", || with_data(&["status"]).output().unwrap().status.success().then_some(()));
    assert_ends(&with_data(&["logs", "chat-server"]).output().unwrap(), 0, &[]);
    support::kill(up.0.id(), "-TERM");
    assert!(up.0.wait().unwrap().success());
}

#[test]
fn several_components_or_all_are_stopped_and_started_at_once() {
    let launcher = idle().up();
    let (home, pid) = (&launcher.home, |name| launcher.component_pid(name));
    assert_ends(&home.run(&["stop", "thermometer", "nobody"]), 64, &["unknown component 'nobody'"]);
    assert!(pid("thermometer").is_some(), "nothing is asked for when a name is wrong");
    let stop = home.run(&["stop", "thermometer", "chat-server", "thermometer"]);
    assert_ends(&stop, 0, &["chat-server is stopped", "thermometer is stopped"]);
    assert_eq!((pid("thermometer"), pid("chat-server")), (None, None));
    let api = pid("message-api").unwrap();
    let ready = ["message-api is ready", "chat-server is ready", "thermometer is ready"];
    assert_ends(&home.run(&["start", "all"]), 0, &ready);
    assert_eq!(pid("message-api"), Some(api), "what runs is left alone");
    let chat = pid("chat-server").unwrap();
    assert_ends(&home.run(&["restart", "all"]), 0, &ready);
    assert!(pid("message-api") != Some(api) && pid("chat-server") != Some(chat));
}

#[test]
fn the_operator_is_answered_and_a_stop_ends_with_0() {
    let mut launcher = idle().up();
    let home = &launcher.home;
    assert_ends(&home.run(&["status"]), 0, &["chat-server", "ready", "skipped", "no OPENAI_API_KEY"]);
    let before = launcher.component_pid("thermometer").unwrap();
    assert_ends(&home.run(&["restart", "thermometer"]), 0, &["thermometer is ready"]);
    assert_ne!(launcher.component_pid("thermometer").unwrap(), before);
    assert_ends(&home.run(&["stop", "thermometer"]), 0, &["thermometer is stopped"]);
    let why = home.run(&["why", "thermometer"]);
    assert_ends(
        &why,
        0,
        &["thermometer is stopped", "next try   none; start it with: launcher start thermometer"],
    );
    let json = launcher.status().unwrap();
    assert_eq!((&json["healthy"], json["load"]["processes"].as_u64()), (&false.into(), Some(1)));
    assert_ends(&home.run(&["start", "thermometer"]), 0, &["thermometer is ready"]);
    assert_ends(&home.run(&["restart", "thermomter"]), 64, &["unknown component 'thermomter'"]);
    assert_ends(&home.run(&["check"]), 0, &["a launcher is already running here"]);
    assert_ends(&home.run(&["logs", "launcher", "-n", "5"]), 0, &["thermometer"]);
    assert_ends(&home.run(&["logs", "nobody"]), 1, &["no log of 'nobody'"]);
    assert_eq!(launcher.end("-INT").code(), Some(0));
    let printed = launcher.printed();
    for text in ["COMPONENT", "READY IN", "launcher status", "stopping", "stopped"] {
        assert!(printed.contains(text), "'{text}' is not in:\n{printed}");
    }
    assert!(launcher.survivors().is_empty());
}

#[test]
fn shells_complete_commands_flags_and_components() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish"] {
        let output = home.run(&["completions", shell]);
        assert_ends(&output, 0, &["doctor", " names 2>/dev/null)", "follow", " p2p-chat"]);
    }
    assert_ends(&home.run(&["completions", "cobol"]), 64, &["bash"]);
    // As bash itself does when tab is pressed.
    let config = "[launcher]\ngroups = { site = ['web', 'chat-server'] }\n\
                  [components.web]\ncommand = ['true']\nreplicas = 2\n";
    std::fs::write(home.dir.path().join("shells.toml"), config).unwrap();
    let completed = |command: &str, word: &str| {
        let script = r#"eval "$("$0" completions bash)"; complete -p p2p-chat >/dev/null || exit; COMP_WORDS=("$0" "$1" "$2"); COMP_CWORD=2
                        _launcher "$0" "$2" "$1"; echo "completed: ${COMPREPLY[*]}""#;
        let mut bash = std::process::Command::new("bash");
        bash.args(["-c", script, env!("CARGO_BIN_EXE_launcher"), command, word]).current_dir(home.dir.path());
        bash.env("P2P_CONFIG", "shells.toml").output().unwrap()
    };
    assert_ends(&completed("restart", "cha"), 0, &["completed: chat-server\n"]);
    assert_ends(&completed("why", "we"), 0, &["completed: web-adapter web.1 web.2 web\n"]);
    assert_ends(&completed("crashes", "si"), 0, &["completed: site\n"]);
    std::fs::write(home.dir.path().join("shells.toml"), "[launcher").unwrap();
    assert_ends(&completed("logs", "cha"), 0, &["completed: chat-server\n"]);
    assert_ends(&home.run(&["restart", "--help"]), 0, &["COMPONENT"]);
}

#[test]
fn help_explains_commands_and_keys() {
    let home = Home::new();
    let logs = home.run(&["help", "logs"]);
    assert_ends(&logs, 0, &["Usage: launcher logs", "--follow"]);
    assert_eq!(said(&logs), said(&home.run(&["logs", "--help"])));
    let key = home.run(&["help", "config", "chat-server.max-connections"]);
    assert_ends(
        &key,
        0,
        &["chat-server.max-connections    default: 10000\n    The maximum number of connections.\n"],
    );
    assert_ends(&home.run(&["help", "config", "tls"]), 0, &["tls.certificate", "tls.key"]);
    assert_ends(&home.run(&["help", "config"]), 0, &["launcher.watch", "lan-peer.enabled"]);
    let wrong = home.run(&["help", "config", "chat-server.lisen"]);
    assert_ends(&wrong, 64, &["no key 'chat-server.lisen'; did you mean 'chat-server.listen'?"]);
    assert_ends(&home.run(&["help", "chatt"]), 64, &["there is no command 'chatt'"]);
}

#[test]
fn the_tour_names_this_machines_addresses() {
    let home = Home::new();
    let page = home.page.to_string();
    let output = home.run(&["tour"]);
    assert_ends(
        &output,
        0,
        &["Nothing runs yet", &format!("nc {} {}", home.chat.ip(), home.chat.port()), &page],
    );
}

#[test]
fn every_command_that_is_shown_has_a_manual_page() {
    let home = Home::new();
    assert_ends(&home.run(&["man"]), 0, &[".TH launcher 1", ".SH EXIT STATUS"]);
    let pages = home.dir.path().join("man1");
    assert_ends(&home.run(&["man", pages.to_str().unwrap()]), 0, &[]);
    let page = std::fs::read_to_string(pages.join("launcher-status.1")).unwrap();
    assert!(page.contains("watch"), "{page}");
    assert_eq!(std::fs::read_to_string(pages.join("p2p-chat.1")).unwrap(), ".so man1/launcher.1\n");
    let shown =
        std::process::Command::new("man").arg(pages.join("launcher.1")).env("MANWIDTH", "80").output();
    // Without man nobody is asked.
    if let Some(shown) = shown.ok().filter(|shown| shown.status.success()) {
        let shown = said(&shown);
        for line in
            ["launcher --no-openai --detach                     start without", "   64  usage error\n"]
        {
            assert!(shown.contains(line), "'{line}' is not in:\n{shown}");
        }
    }
    assert!(pages.join("launcher.1").exists() && !pages.join("launcher-shim.1").exists());
    assert_ends(&home.run(&["man", "/dev/null/x"]), 1, &["cannot write manual pages into /dev/null/x"]);
}

#[test]
fn the_launchers_numbers_are_printed_and_served_where_that_is_wanted() {
    let address = support::free_address();
    let launcher = idle().set(&format!("launcher.metrics-listen={address}")).up();
    let expected = ["launcher_component_ready{component=\"chat-server\"} 1", "launcher_cpu_seconds_total "];
    assert_ends(&launcher.home.run(&["metrics"]), 0, &expected);
    let served = support::http::get(address, "/metrics").body;
    assert!(expected.iter().all(|line| served.contains(line)), "{served}");
    assert_eq!(support::http::get(address, "/readyz").status, 200);
    assert!(launcher.home.run(&["stop", "thermometer"]).status.success());
    wait_for("it to be told", || (support::http::get(address, "/readyz").status == 503).then_some(()));
    let home = Home::new();
    let setting = format!("launcher.metrics-listen={}", home.api);
    assert_ends(&home.run(&["check", "--set", &setting]), 78, &["is already used by message-api.listen"]);
}

#[test]
fn a_stop_that_takes_long_says_whom_it_waits_for() {
    // It is ready only once it ignores the signal, because a stop may follow at once.
    let stubborn = "trap '' TERM; echo deaf; sleep 600 & while :; do wait; done";
    let home = Home::new()
        .set("components.mule.probe={ log = 'deaf' }")
        .set("components.mule.command=['sh', '-c', \"STUBBORN\"]".replace("STUBBORN", stubborn).as_str());
    let mut launcher = home.set("launcher.stop-grace=2s").set("thermometer.enabled=false").up();
    let home = &launcher.home;
    assert_ends(
        &home.run(&["stop", "mule"]),
        0,
        &["waiting for mule (pid ", " s left, 1 grandchild)", "mule is stopped"],
    );
    assert_ends(&home.run(&["start", "mule"]), 0, &["mule is ready"]);
    assert_ends(&home.run(&["down"]), 0, &["waiting for mule (pid ", "stopped"]);
    wait_for("the end", || launcher.printed().contains("waiting for mule").then_some(()));
    assert_eq!(launcher.end("-INT").code(), Some(0));
}

#[test]
fn detached_it_runs_on_until_it_is_told_to_stop() {
    let home = idle();
    let output = home.run(&["up", "--detach"]);
    assert_ends(&output, 0, &["READY IN", "launcher down"]);
    assert_ends(&home.run(&["status"]), 0, &["ready"]);
    assert_ends(&home.run(&["up", "--detach"]), 75, &["already"]);
    assert_ends(&home.run(&["down"]), 0, &["stopped"]);
    assert_ends(&home.run(&["status"]), 2, &["no launcher runs"]);
    let output = home.run(&["up", "--detach", "--set", "web-adapter.command=[]"]);
    assert_ends(&output, 78, &["web-adapter.command"]);
}

#[test]
fn a_change_of_the_file_restarts_what_it_concerns_and_a_mistake_changes_nothing() {
    let home = idle();
    write_config(&home, "[thermometer]\ninterval = '100s'\n");
    let launcher = home.up();
    let home = &launcher.home;
    let (warm, chat) =
        (launcher.component_pid("thermometer").unwrap(), launcher.component_pid("chat-server").unwrap());

    write_config(home, "[thermometer]\nintervall = '50s'\n");
    let status = wait_for("the mistake in the status", || {
        let text = said(&home.run(&["status"]));
        text.contains("did you mean 'interval'").then_some(text)
    });
    assert!(status.contains("degraded"), "{status}");
    assert_ends(&home.run(&["reload"]), 1, &["did you mean 'interval'"]);
    assert_eq!(launcher.component_pid("thermometer"), Some(warm));

    write_config(home, "[thermometer]\ninterval = '50s'\n");
    wait_for("the thermometer's restart", || {
        launcher.component_pid("thermometer").filter(|pid| *pid != warm)
    });
    assert_eq!(launcher.component_pid("chat-server"), Some(chat));
    assert_ends(&home.run(&["reload", "--plan"]), 0, &["keep"]);
}

#[test]
fn a_program_of_the_operators_is_run_beside_the_components_and_gets_no_secrets() {
    let home = idle().variable("OPENAI_API_KEY", "sk-hunter2").set("openai-bot.enabled=false");
    let script = "echo hello $WHO; env | grep -E 'hunter2|P2P_SERVICE_TOKEN'; exec sleep 600";
    let config =
        format!("[components.echo]\ncommand = ['sh', '-c', \"{script}\"]\nenv = {{ WHO = 'world' }}\n");
    write_config(&home, &config);
    let launcher = home.up();
    assert!(launcher.component_pid("echo").is_some());
    let output = wait_for("the program's word", || {
        Some(launcher.home.run(&["logs", "echo"])).filter(|output| said(output).contains("hello world"))
    });
    assert_eq!(said(&output).trim(), "hello world");
    assert_ends(&launcher.home.run(&["status"]), 0, &["switched off by openai-bot.enabled"]);
}

#[test]
fn a_component_runs_alone_and_ends_with_0() {
    let home = Home::new();
    let mut child = home.command(&["run", "message-api"]).spawn().unwrap();
    wait_for("the message API", || std::net::TcpStream::connect(home.api).ok());
    support::kill(child.id(), "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(home.data().join("service.token").is_file());
}
