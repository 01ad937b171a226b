//! `launcher people`: those who chat in `launcher demo`, over the text dialect like any other client.
//!
//! First each of them says what stands in [`SCRIPT`]; then they answer whoever writes to them, but never each other.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use kit::{Exit, Failure};

/// The default name of who looks at the demonstration.
pub(super) const VISITOR: &str = "you";
/// The people.
const NAMES: [&str; 3] = ["alice", "bob", "carol"];
/// Who says what to the visitor, and how long before in quarters of a second. The first messages are the history that is there at once.
const SCRIPT: [(usize, u64, &str); 11] = [
    (0, 0, "Hi! Good to see you here."),
    (1, 0, "The build is green again, at last."),
    (2, 0, "Lunch at noon? The others are in."),
    (0, 0, "Everything said while you were offline waits for you, like this."),
    (1, 20, "You are seeing this live, as it is written."),
    (2, 12, "So, lunch?"),
    (
        0,
        16,
        "Stop the chat server and start it again, if you like: `launcher restart chat-server`. Nothing is lost.",
    ),
    (1, 16, "Write to me: I answer."),
    (2, 20, "I take that as a yes. 🍜"),
    (0, 24, "Write `range` to thermometer1: it is a program, and answers with numbers."),
    (1, 24, "That is all from us. Write to any of us."),
];
/// What they answer, in turn.
const ANSWERS: [&str; 4] =
    ["Good to hear!", "Let me think about that.", "Yes, exactly.", "Interesting. Tell me more?"];
const QUARTER: Duration = Duration::from_millis(250);

/// Its arguments.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The chat server
    server: SocketAddr,
    /// Whom they write to
    visitor: String,
}

/// Runs until the server ends their connections.
pub(in crate::cli) fn people(args: &Args) -> Result<Exit, Failure> {
    let mut writers = Vec::new();
    let mut readers = Vec::new();
    for name in NAMES {
        let stream = log_in(args.server, name)?;
        let person = Person { visitor: args.visitor.clone(), writer: stream.try_clone()?, answered: 0 };
        writers.push(stream.try_clone()?);
        readers.push(thread::spawn(move || person.answer(BufReader::new(stream))));
    }
    for (person, quarters, text) in SCRIPT {
        thread::sleep(QUARTER.saturating_mul(u32::try_from(quarters).unwrap_or(u32::MAX)));
        writers[person].write_all(format!("{}: {text}\n", args.visitor).as_bytes())?;
    }
    for reader in readers {
        reader.join().map_err(|_| Failure::new(Exit::Failure, "a person panicked"))??;
    }
    Ok(Exit::Fine)
}

fn log_in(server: SocketAddr, name: &str) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(server)?;
    let mut prompt = [0; "Enter your username: ".len()];
    stream.read_exact(&mut prompt)?;
    stream.write_all(format!("{name}\n").as_bytes())?;
    Ok(stream)
}

struct Person {
    visitor: String,
    writer: TcpStream,
    answered: usize,
}

impl Person {
    /// Reads until the connection ends, and answers.
    fn answer(mut self, reader: impl BufRead) -> std::io::Result<()> {
        for line in reader.lines() {
            if sender(&line?).is_some_and(|name| name.eq_ignore_ascii_case(&self.visitor)) {
                let answer = ANSWERS[self.answered % ANSWERS.len()];
                self.answered += 1;
                self.writer.write_all(format!("{}: {answer}\n", self.visitor).as_bytes())?;
            }
        }
        Ok(())
    }
}

/// Who a line of the text dialect is from, if it is a message: `[alice][TIME] text`.
fn sender(line: &str) -> Option<&str> {
    let (name, rest) = line.strip_prefix('[')?.split_once("][")?;
    (rest.contains("] ") && !name.contains(']')).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_a_sender_and_other_lines_have_none() {
        assert_eq!(sender("[you][2026-11-20T23:21:22.277391+00:00] hi"), Some("you"));
        for line in [
            "Connected! Users online: you",
            "User 'you' is offline. Message saved.",
            "[Stored] [CHAT][T][you] hi",
        ] {
            assert_eq!(sender(line), None, "{line}");
        }
    }
}
