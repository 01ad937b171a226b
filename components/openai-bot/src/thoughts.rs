//! Removes a model's reasoning between `<think>` and `</think>`, however the answer is chunked.
//!
//! A tag right after a quote mark or a backtick is text about tags. A closing tag on its own line that was never opened ends reasoning that
//! started with the answer, because some prompt templates open it for the model.

/// The tags around reasoning.
const TAGS: [(&str, &str); 6] = [
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("[THINK]", "[/THINK]"),
    ("<seed:think>", "</seed:think>"),
    ("◁think▷", "◁/think▷"),
];

/// Filters pieces of an answer.
///
/// Bound: it holds back at most the start of a tag.
#[derive(Debug, Default)]
pub(crate) struct Thoughts {
    /// The closing tag of the current reasoning.
    end: Option<&'static str>,
    /// The end of the last piece, which may be the start of a tag.
    held: String,
    /// Whether something was already hidden; then an unopened closing tag has no effect.
    hid: bool,
}

impl Thoughts {
    /// Filters a piece and appends visible text. Returns whether the model is reasoning.
    pub(crate) fn take(&mut self, piece: &str, text: &mut String) -> bool {
        self.held.push_str(piece);
        loop {
            let found = match self.end {
                Some(end) => self.skip_to(end),
                None => self.take_to_tag(text),
            };
            if !found {
                return self.end.is_some();
            }
        }
    }

    /// The answer has ended: held text was no tag, or ends reasoning that started with the answer.
    pub(crate) fn finish(&mut self, text: &mut String) {
        let held = std::mem::take(&mut self.held);
        if self.end.is_some() {
            return;
        }
        if self.ends_unopened(&held, text) { text.clear() } else { text.push_str(&held) }
    }

    fn ends_unopened(&self, tag: &str, before: &str) -> bool {
        !self.hid && starts_line(before) && TAGS.iter().any(|(_, end)| *end == tag)
    }

    /// Hides everything up to the end of the reasoning.
    fn skip_to(&mut self, end: &'static str) -> bool {
        let Some(at) = self.held.find(end) else {
            let keep = partial(&self.held, &[end]);
            self.held.drain(..self.held.len() - keep);
            return false;
        };
        self.held.drain(..at + end.len());
        self.end = None;
        true
    }

    /// Shows everything up to the next tag.
    fn take_to_tag(&mut self, text: &mut String) -> bool {
        let tags: Vec<_> = TAGS.iter().flat_map(|(begin, end)| [*begin, *end]).collect();
        let first = tags.iter().filter_map(|tag| Some((self.held.find(tag)?, *tag))).min();
        let Some((at, tag)) = first else {
            let keep = partial(&self.held, &tags);
            let shown = self.held.len() - keep;
            text.push_str(&self.held[..shown]);
            self.held.drain(..shown);
            return false;
        };
        text.push_str(&self.held[..at]);
        self.held.drain(..at);
        if self.ends_unopened(tag, text) {
            match self.held[tag.len()..].chars().next() {
                // Undecided until more text arrives.
                None => return false,
                Some('\n' | '\r') => {
                    text.clear();
                    self.hid = true;
                }
                Some(_) => text.push_str(tag),
            }
        } else {
            match TAGS.iter().find(|(begin, _)| *begin == tag) {
                Some((_, end)) if !text.ends_with(['`', '"', '\'']) => {
                    self.end = Some(end);
                    self.hid = true;
                }
                Some(_) | None => text.push_str(tag),
            }
        }
        self.held.drain(..tag.len());
        true
    }
}

fn starts_line(text: &str) -> bool {
    text.trim_end_matches([' ', '\t']).chars().next_back().is_none_or(|last| last == '\n')
}

/// The length of the text's suffix that may be the start of one of these tags.
fn partial(text: &str, tags: &[&str]) -> usize {
    let longest = |tag: &&str| {
        let beginnings = tag.char_indices().skip(1).map(|(at, _)| &tag[..at]);
        beginnings.filter(|beginning| text.ends_with(beginning)).map(str::len).max()
    };
    tags.iter().filter_map(longest).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(pieces: &[&str]) -> String {
        let (mut thoughts, mut text) = (Thoughts::default(), String::new());
        for piece in pieces {
            thoughts.take(piece, &mut text);
        }
        thoughts.finish(&mut text);
        text
    }

    #[test]
    fn thoughts_are_hidden_and_everything_else_is_shown() {
        for (answer, expected) in [
            ("<think>\nhm\n</think>\n\nHi.", "\n\nHi."),
            ("<think></think>Hi.", "Hi."),
            ("Hi <think>hm</think>there.", "Hi there."),
            ("<think>hm", ""),
            ("Hi.<think>hm", "Hi."),
            ("[THINK]hm[/THINK]Hi.", "Hi."),
            ("<thinking>a</thinking>b<thinking>c</thinking>d", "bd"),
            ("I think so.\n</think>\n\nHi.", "\n\nHi."),
            ("hm\n</think>", ""),
            ("Write `<think>` first.", "Write `<think>` first."),
            ("End it with </think>.", "End it with </think>."),
            ("a <thin line", "a <thin line"),
            ("1 < 2 <th", "1 < 2 <th"),
        ] {
            assert_eq!(shown(&[answer]), expected, "{answer}");
        }
    }

    #[test]
    fn a_model_that_thinks_is_told_from_one_that_speaks() {
        let (mut thoughts, mut text) = (Thoughts::default(), String::new());
        assert!(!thoughts.take("<thi", &mut text));
        assert!(thoughts.take("nk>hm", &mut text));
        assert!(!thoughts.take("</think>x", &mut text));
        assert_eq!(text, "x");
    }

    proptest! {
        #[test]
        fn any_cut_of_an_answer_hides_the_same(words in prop::collection::vec(prop::sample::select(vec![
            "<think>", "</think>", "◁think▷", "<", ">", "think", "`", "\n", "hm", "ä", " "]), 0..12),
            size in 1usize..9) {
            let answer = words.concat();
            let chars: Vec<char> = answer.chars().collect();
            let pieces: Vec<String> = chars.chunks(size).map(|piece| piece.iter().collect()).collect();
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            prop_assert_eq!(shown(&pieces), shown(&[&answer]));
        }
    }
}
