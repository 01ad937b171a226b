//! The README's own examples.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::Home;
use crate::support::line_client::LineClient;

const README: &str = include_str!("../../../README.md");

/// The texts between lines that open a block of code in `language` and those that close it.
fn blocks(language: &str) -> impl Iterator<Item = &'static str> {
    let opened = README.split(&*format!("```{language}\n").leak()).skip(1);
    opened.map(|rest| rest.split_once("```").unwrap().0)
}

/// The one that contains a text.
fn block(language: &str, text: &str) -> &'static str {
    blocks(language).find(|block| block.contains(text)).unwrap()
}

/// What is shown elsewhere to work: the launcher itself runs, `./test.sh` runs this test, and the demo has tests of its own.
const ELSEWHERE: [&str; 3] = ["cargo run --release ", "./test.sh ", "launcher demo\n"];

/// Every command block, in its order, with this test's addresses instead of the default ones.
#[test]
fn every_command_runs() {
    let home = Home::new().argument("--no-web");
    let launcher = home.up();
    let home = &launcher.home;
    let directory = Path::new(env!("CARGO_BIN_EXE_launcher")).parent().unwrap();
    let path = std::env::join_paths(
        std::iter::once(directory.to_owned())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let (mut ran, mut printed) = (0, String::new());
    for block in blocks("sh") {
        let block = block
            .replace("cargo run --release --", "launcher")
            .replace("127.0.0.1:8000", &home.api.to_string());
        // An error that the server answers is an error.
        let block = block.replace("curl -s ", "curl -sf ");
        if ELSEWHERE.iter().all(|line| !block.contains(line)) {
            let mut shell = Command::new("sh");
            shell.args(["-ec", &block]).current_dir(home.dir.path()).stdin(Stdio::null());
            shell.env("PATH", path.as_ref().unwrap()).env("HOME", home.dir.path());
            shell.env("P2P_CHAT_SERVER__LISTEN", home.chat.to_string()).env_remove("P2P_CONFIG");
            let output = shell.output().unwrap();
            assert!(output.status.success(), "{block}\n{output:?}");
            printed.push_str(&String::from_utf8(output.stdout).unwrap());
            ran += 1;
        }
    }
    assert_eq!(ran, 5, "chat, a certificate, a script, two of curl");
    for text in [r#""sender":"cron","destination":"alice","message":"done""#, r#""message":"backup done""#] {
        assert!(printed.contains(text), "{text} is not in:\n{printed}");
    }
}

/// The configuration for friends, after its command.
#[test]
fn the_configuration_for_friends_is_valid() {
    let home = Home::new();
    std::fs::create_dir(home.dir.path().join("config")).unwrap();
    let config =
        block("toml", "[tls]").replace("0.0.0.0:5443", "127.0.0.1:0").replace("0.0.0.0:8443", "127.0.0.1:0");
    std::fs::write(home.dir.path().join("config/launcher.toml"), config).unwrap();
    assert_ne!(home.run(&["check"]).status.code(), Some(0), "there is no certificate yet");
    assert!(home.run(&["tls", "self-signed"]).status.success());
    let output = home.run(&["check"]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn the_service_in_ten_lines_answers() {
    let home = Home::new().argument("--no-web").argument("--no-thermometer");
    let program = block("python", "echo").replace("5000", &home.chat.port().to_string());
    let program = program.replace("127.0.0.1", &home.chat.ip().to_string());
    assert!(program.lines().count() <= 10);
    let path = home.dir.path().join("echo.py");
    std::fs::write(&path, program).unwrap();
    let config = block("toml", "[components.echo]").replace("/home/me/echo.py", path.to_str().unwrap());
    std::fs::create_dir(home.dir.path().join("config")).unwrap();
    std::fs::write(home.dir.path().join("config/launcher.toml"), config).unwrap();

    let launcher = home.up();
    // A started client has not logged in yet, and messages stored until then are not answered.
    let log = launcher.home.logs().join("chat-server.log");
    crate::support::wait_for("the service's login", || {
        std::fs::read_to_string(&log).ok().filter(|log| log.contains("logged in name=echo"))
    });
    let (mut alice, _) = LineClient::login(launcher.home.chat, "alice");
    alice.send("echo: is anybody there?\n");
    let answer = alice.line();
    assert!(answer.starts_with("[echo]"), "{answer:?}");
    assert!(answer.ends_with("] you said is anybody there?\n"), "{answer:?}");
}

#[test]
fn the_service_in_ten_lines_answers_people_and_not_programs() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let program = block("python", "echo").replace("5000", &server.local_addr().unwrap().port().to_string());
    let mut service = Command::new("python3").arg("-c").arg(program).spawn().unwrap();
    let (mut stream, _) = server.accept().unwrap();
    stream.write_all(b"Enter your username: ").unwrap();
    let mut said = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert_eq!(line, "echo\n");
    for program in ["openai", "thermometer1"] {
        stream.write_all(format!("[{program}][T] I do not know that command.\n").as_bytes()).unwrap();
    }
    stream.write_all(b"[alice][T] hello\n").unwrap();
    line.clear();
    said.read_line(&mut line).unwrap();
    assert_eq!(line, "alice: you said hello\n");
    stream.shutdown(std::net::Shutdown::Both).unwrap();
    service.wait().unwrap();
}

#[test]
fn the_picture_is_of_the_running_program() {
    let has = |program: &str| Command::new(program).arg("-V").output().is_ok();
    if std::env::var("P2P_TEST_SKIP_BROWSER").is_ok_and(|value| value == "1") || !has("tmux") {
        eprintln!("skipped: it needs a browser and tmux");
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let picture = directory.path().join("chat.png");
    let mut script = Command::new(root.join("docs/images/picture.py"));
    script
        .arg(env!("CARGO_BIN_EXE_launcher"))
        .arg(&picture)
        .env("HOME", directory.path())
        .env("TMPDIR", directory.path());
    let output = script.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let size = |path: &Path| {
        let bytes = std::fs::read(path).unwrap();
        assert!(bytes.starts_with(b"\x89PNG"));
        bytes[16..24].to_vec()
    };
    assert_eq!(size(&picture), size(&root.join("docs/images/chat.png")), "width and height");
    let left: Vec<_> =
        std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_str().unwrap().starts_with("p2p-chat-demo")), "{left:?}");
}
