//! Parses commands and questions.

use crate::personality::Personality;

/// A parsed message to the bot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request<'a> {
    /// Show the help.
    Help,
    /// Change the personality; `None` if the name is unknown.
    Personality(Option<Personality>),
    /// Change to the next personality.
    Rotate,
    /// Delete the conversation from the model's context.
    Forget,
    /// Anything else, unchanged.
    Question(&'a str),
}

/// Parses a message. Commands ignore case; a sentence that only starts like one is a question.
pub(crate) fn parse(text: &str) -> Request<'_> {
    let mut words = text.split_whitespace();
    let is = |word: Option<&str>, command: &str| word.is_some_and(|word| word.eq_ignore_ascii_case(command));
    let (first, second, third) = (words.next(), words.next(), words.next());
    match (second, third) {
        (None, _) if is(first, "help") || is(first, "info") => Request::Help,
        (None, _) if is(first, "rotate") => Request::Rotate,
        (None, _) if is(first, "forget") || is(first, "new") => Request::Forget,
        (name, None) if is(first, "personality") => Request::Personality(name.and_then(Personality::parse)),
        _ => Request::Question(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_in_any_case() {
        assert_eq!(parse(" HELP "), Request::Help);
        assert_eq!(parse("Info"), Request::Help);
        assert_eq!(parse("rotate"), Request::Rotate);
        assert_eq!((parse(" Forget"), parse("NEW")), (Request::Forget, Request::Forget));
        assert_eq!(parse("Personality  ANGRY"), Request::Personality(Some(Personality::Angry)));
        assert_eq!(parse("personality grumpy"), Request::Personality(None));
        assert_eq!(parse("personality"), Request::Personality(None));
    }

    #[test]
    fn everything_else_is_a_question_as_it_was_typed() {
        for text in [
            "help me with Rust",
            "What is  a monad?",
            "personality tests: any good?",
            "rotate it",
            "new ideas?",
            "?",
        ] {
            assert_eq!(parse(text), Request::Question(text));
        }
    }
}
