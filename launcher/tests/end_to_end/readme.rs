//! The README's own examples.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::Command;

use crate::support::Home;
use crate::support::line_client::LineClient;

const README: &str = include_str!("../../../README.md");

/// The text between a line that opens a block of code in `language` and the line that closes it.
fn block(language: &str) -> &'static str {
    let (_, rest) = README.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0
}

#[test]
fn the_service_in_ten_lines_answers() {
    let home = Home::new().argument("--no-web").argument("--no-thermometer");
    let program = block("python").replace("5000", &home.chat.port().to_string());
    let program = program.replace("127.0.0.1", &home.chat.ip().to_string());
    assert!(program.lines().count() <= 10);
    let path = home.dir.path().join("echo.py");
    std::fs::write(&path, program).unwrap();
    let config = block("toml").replace("/home/me/echo.py", path.to_str().unwrap());
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
    let program = block("python").replace("5000", &server.local_addr().unwrap().port().to_string());
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
