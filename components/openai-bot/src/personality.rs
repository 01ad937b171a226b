//! The bot's personalities.

/// A personality.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Personality {
    /// The default.
    #[default]
    Happy,
    Angry,
    Spanish,
}

impl Personality {
    /// All of them, in the order of `rotate`.
    pub(crate) const ALL: [Self; 3] = [Self::Happy, Self::Angry, Self::Spanish];

    /// The name in commands.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Happy => "happy",
            Self::Angry => "angry",
            Self::Spanish => "spanish",
        }
    }

    /// Parses a name, ignoring case.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|personality| name.trim().eq_ignore_ascii_case(personality.as_str()))
    }

    /// All names, as in `happy, angry, spanish`.
    pub(crate) fn names() -> String {
        Self::ALL.map(Self::as_str).join(", ")
    }

    /// The one after this.
    pub(crate) fn next(self) -> Self {
        match self {
            Self::Happy => Self::Angry,
            Self::Angry => Self::Spanish,
            Self::Spanish => Self::Happy,
        }
    }

    /// The system prompt.
    pub(crate) fn prompt(self) -> &'static str {
        match self {
            Self::Happy => {
                "You are a cheerful assistant in a chat. You are glad about every question and answer it helpfully, correctly and \
                 in few words, in the language it was asked in. Write plain text without markup."
            }
            Self::Angry => {
                "You are a grumpy assistant in a chat. You grumble about every question, never insult anybody, and then answer it \
                 correctly and in few words all the same, in the language it was asked in. Write plain text without markup."
            }
            Self::Spanish => {
                "You are a friendly assistant in a chat. Whatever language a question is asked in, you answer it in Spanish, \
                 correctly and in few words. Write plain text without markup."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotating_visits_all_of_them() {
        let mut visited = vec![Personality::default()];
        for _ in 1..Personality::ALL.len() {
            visited.push(visited.last().unwrap().next());
        }
        assert_eq!(visited, Personality::ALL);
        assert_eq!(visited.last().unwrap().next(), Personality::default());
        for personality in Personality::ALL {
            assert_eq!(Personality::parse(&personality.as_str().to_uppercase()), Some(personality));
        }
    }
}
