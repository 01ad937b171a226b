//! Runs a helper program for a component: a probe, a stop command, or a hook of the operator.

use std::io;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::process::Child;

use super::report::last_line;
use super::watch::Watch;
use crate::children::Started;
use crate::exit::ProcessExit;

/// The bytes of output that are kept; the rest is read and discarded.
const MAX_OUTPUT: usize = 4096;

/// Runs the program to its end; it succeeds with exit code 0. An error is a text that fits after the program's name, with the last line of
/// its output. Its standard input is `input`, or empty. Dropping the future kills the program and its group.
pub async fn run(mut command: Command, input: Option<Vec<u8>>) -> Result<(), String> {
    let unstartable = |error: io::Error| format!("cannot be started: {error}");
    let (output, writer) = io::pipe().map_err(unstartable)?;
    let mut output = pipe::Receiver::from_owned_fd(output.into()).map_err(unstartable)?;
    command.stderr(writer.try_clone().map_err(unstartable)?).stdout(writer);
    let feed = feed(&mut command, input).map_err(unstartable)?;
    let mut program = Program::start(command).map_err(unstartable)?;
    let mut text = Vec::new();
    let status = tokio::select! {
        status = program.ended() => status.map_err(unstartable)?,
        never = collect(&mut output, &mut text) => never,
        never = write(feed) => never,
    };
    // Reads the last output before the end.
    let _ = tokio::time::timeout(Duration::ZERO, collect(&mut output, &mut text)).await;
    if status.success() {
        return Ok(());
    }
    let lines: Vec<String> = String::from_utf8_lossy(&text).lines().map(str::to_owned).collect();
    let said = last_line(&lines).map(|line| format!(": {line}")).unwrap_or_default();
    Err(format!("{}{said}", ProcessExit::of(status)))
}

/// Sets up the standard input, and returns what must be written to it.
fn feed(command: &mut Command, input: Option<Vec<u8>>) -> io::Result<Option<(pipe::Sender, Vec<u8>)>> {
    let Some(input) = input else {
        command.stdin(Stdio::null());
        return Ok(None);
    };
    let (reader, writer) = io::pipe()?;
    command.stdin(reader);
    Ok(Some((pipe::Sender::from_owned_fd(writer.into())?, input)))
}

/// A program need not read its input.
async fn write(feed: Option<(pipe::Sender, Vec<u8>)>) -> ExitStatus {
    if let Some((mut feed, input)) = feed {
        let _ = feed.write_all(&input).await;
    }
    std::future::pending().await
}

/// Reads until the end of file and keeps the beginning; a descendant may hold the pipe open forever.
async fn collect(output: &mut pipe::Receiver, text: &mut Vec<u8>) -> ExitStatus {
    let mut buffer = [0; MAX_OUTPUT];
    loop {
        match output.read(&mut buffer).await {
            Ok(count) if count > 0 => {
                let room = MAX_OUTPUT.saturating_sub(text.len());
                text.extend_from_slice(&buffer[..count.min(room)]);
            }
            Ok(_) | Err(_) => std::future::pending().await,
        }
    }
}

/// A program with its group; both are killed when dropped.
struct Program {
    child: Child,
    group: Option<Pid>,
    _registered: Option<Started>,
}

impl Program {
    fn start(mut command: Command) -> io::Result<Self> {
        use std::os::unix::process::CommandExt;
        command.process_group(0);
        let mut command = tokio::process::Command::from(command);
        let child = command.kill_on_drop(true).spawn()?;
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let registered = child.id().map(Started::helper);
        Ok(Self { child, group, _registered: registered })
    }

    /// Waits for its end; then kills the rest of its group while the zombie holds the group's id.
    async fn ended(&mut self) -> io::Result<ExitStatus> {
        if let Some(group) = self.group {
            Watch::on(group)?.ended().await;
            self.kill();
        }
        self.child.wait().await
    }

    fn kill(&mut self) {
        if let Some(group) = self.group.take() {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}
