//! `launcher logs --verify`: verifies the logs against their checksums.

use std::path::Path;

use kit::{Exit, Failure};

use super::output::{self, Colour, many, paint};
use crate::supervisor::logs::verify::{self, Verdict};

/// Verifies the logs of these components, or of all, and prints the results. Fails if a log was changed.
pub(super) fn verify(logs: &Path, wanted: &[String]) -> Result<Exit, Failure> {
    let known = verify::components(logs)?;
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(*name)) {
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let what = format!("no log of '{unknown}'; available: {}", known.join(", "));
        return Err(Failure::new(Exit::Failure, what));
    }
    let mut exit = Exit::Fine;
    for component in known.iter().filter(|name| wanted.is_empty() || wanted.contains(name)) {
        let verdict = verify::verify(logs, component)?;
        if !verdict.flaws.is_empty() {
            exit = Exit::Failure;
        }
        for line in told(component, &verdict, output::is_coloured()) {
            output::line(&line);
        }
    }
    Ok(exit)
}

fn told(component: &str, verdict: &Verdict, coloured: bool) -> Vec<String> {
    let (word, colour) = match (verdict.flaws.is_empty(), verdict.lost.is_empty()) {
        (false, _) => ("MODIFIED", Colour::Red),
        (true, false) => ("intact except for counted losses", Colour::Yellow),
        (true, true) => ("intact", Colour::Green),
    };
    let Verdict { files, lines, bytes, .. } = verdict;
    let amount =
        format!("{}, {} in {}", many(*lines, "line"), many(*bytes, "byte"), many(*files as u64, "file"));
    let mut told = vec![format!("{component}: {}, {amount}", paint(word, colour, coloured))];
    let place = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    told.extend(verdict.flaws.iter().map(|(path, what)| format!("  {}: {what}", place(path))));
    told.extend(verdict.lost.iter().map(|lost| {
        let (lines, bytes) = (many(lost.lines, "line"), many(lost.bytes, "byte"));
        format!("  lost: {lines}, {bytes} from {} to {}: {}", lost.since, lost.until, lost.cause)
    }));
    told.extend(verdict.unproven.iter().map(|(path, what)| format!("  unproven: {}: {what}", place(path))));
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervisor::logs::written::Lost;

    #[test]
    fn each_fault_is_told_with_its_file() {
        let text = |text: &str| text.to_owned();
        let mut verdict = Verdict { files: 2, lines: 7, bytes: 70, ..Verdict::default() };
        assert_eq!(told("chat", &verdict, false), ["chat: intact, 7 lines, 70 bytes in 2 files"]);
        verdict.lost.push(Lost {
            lines: 1,
            bytes: 4,
            since: text("a"),
            until: text("b"),
            cause: text("full"),
        });
        verdict.flaws.push(("/logs/chat.log".into(), text("is missing")));
        let expected = [
            "chat: MODIFIED, 7 lines, 70 bytes in 2 files",
            "  chat.log: is missing",
            "  lost: 1 line, 4 bytes from a to b: full",
        ];
        assert_eq!(told("chat", &verdict, false), expected);
    }
}
