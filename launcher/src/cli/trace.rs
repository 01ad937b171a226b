//! `launcher trace`: the path of a message.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use kit::{Exit, Failure, Secret};
use protocol::limits::SERVER_FRAME_BYTES;
use protocol::native::{ClientFrame, ServerFrame, Trace, TraceRequest, TraceStage};

use super::options::Where;
use super::table::{Cell, Table};
use super::token;
use super::{output, running};

/// Time limit for the chat server, which answers from memory.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Its arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The message's id or client_id
    message: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Asks the chat server, and prints the trace.
pub(super) fn trace(place: &Where, args: &Args) -> Result<Exit, Failure> {
    let token = token::of_running(&place.directories()?.data)?;
    let address = running::chat_server(place)?;
    let answer = ask(address, &args.message, &token).map_err(|error| {
        Failure::new(
            Exit::Unavailable,
            format!(
                "cannot reach the chat server at {address}: {error}; is it running? See 'launcher status'"
            ),
        )
    })?;
    match answer {
        ServerFrame::Trace(trace) if args.json => {
            output::json(&trace);
            Ok(Exit::Fine)
        }
        ServerFrame::Trace(trace) => {
            table(&trace).lines(output::is_coloured()).iter().for_each(|line| output::line(line));
            Ok(Exit::Fine)
        }
        ServerFrame::Error(error) => Err(Failure::new(Exit::Failure, error.message)),
        _ => Err(Failure::new(
            Exit::Failure,
            format!("unexpected answer from the chat server at {address}; does it run another version?"),
        )),
    }
}

fn ask(address: SocketAddr, message: &str, token: &Secret) -> std::io::Result<ServerFrame> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let token = Some(token.expose().to_owned());
    let request = ClientFrame::Trace(TraceRequest { message: message.to_owned(), token });
    writeln!(stream, "{}", serde_json::to_string(&request)?)?;
    let mut line = String::new();
    BufReader::new(stream.take(SERVER_FRAME_BYTES as u64)).read_line(&mut line)?;
    // The prompt of the text dialect precedes the answer.
    let frame = line.find('{').map_or("", |at| &line[at..]);
    Ok(serde_json::from_str(frame)?)
}

fn table(trace: &Trace) -> Table {
    let mut table = Table::new(&["TIME (UTC)", "AFTER", "STAGE", "WHERE"]);
    let first = trace.steps.first().map_or(0, |step| step.at.micros());
    for step in &trace.steps {
        let stage = match step.stage {
            TraceStage::Accepted => "accepted",
            TraceStage::Stored => "stored",
            TraceStage::Feed => "on the feed",
            TraceStage::Written => "written",
            TraceStage::Seen => "seen",
        };
        let after = step.at.micros() - first;
        table.row(vec![
            Cell::plain(step.at.to_string()),
            Cell::number(format!("{}.{:03} ms", after / 1000, after % 1000)),
            Cell::plain(stage),
            Cell::plain(step.place.as_str()),
        ]);
    }
    table
}
