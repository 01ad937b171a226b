//! The table of all metrics in `docs/metrics.md`; each server's tests compare it with its response.

/// A Markdown table row for each metric family: name, type, labels and help, ordered by name.
#[must_use]
pub fn rows(exposition: &str) -> Vec<String> {
    let helps = exposition.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' '));
    let mut rows: Vec<_> = helps.map(|(name, help)| row(exposition, name, help)).collect();
    rows.sort();
    rows
}

fn row(exposition: &str, name: &str, help: &str) -> String {
    let start = format!("# TYPE {name} ");
    let kind = exposition.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_default();
    let mut samples = exposition.lines().filter_map(|line| line.strip_prefix(name));
    let labels = samples.find_map(|sample| Some(sample.rsplit_once('}')?.0.split_once('{')?.1));
    // Our label values contain no comma or equals sign.
    let names = labels.unwrap_or_default().split(',').filter_map(|label| Some(label.split_once('=')?.0));
    let names: Vec<_> = names.filter(|name| *name != "le").map(|name| format!("`{name}`")).collect();
    format!("| `{name}` | {kind} | {} | {help} |", names.join(", ")).replace("|  |", "| |")
}

/// The rows of a document for the metrics with this prefix.
#[must_use]
pub fn documented(document: &str, prefix: &str) -> Vec<String> {
    let start = format!("| `{prefix}_");
    document.lines().filter(|line| line.starts_with(&start)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Counter, Exposition, Histogram, Kind, Labels};

    #[test]
    fn a_row_tells_the_name_the_type_the_labels_and_the_help() {
        let times = Histogram::new();
        let sizes = [(Labels::new(&[("a", "x"), ("b", "y")]), 1.0)];
        let text = Exposition::new("it")
            .family("size", "How big.", Kind::Gauge, sizes)
            .counter("done_total", "What was done.", &Counter::default())
            .histogram("wait_seconds", "How long.", [(Labels::new(&[("c", "z")]), &times)])
            .finish();
        let expected = [
            "| `it_done_total` | counter | | What was done. |",
            "| `it_size` | gauge | `a`, `b` | How big. |",
            "| `it_wait_seconds` | histogram | `c` | How long. |",
        ];
        assert_eq!(rows(&text), expected);
        assert_eq!(documented(&format!("# It\n\n{}\n| `that_x` |", expected.join("\n")), "it"), expected);
    }
}
