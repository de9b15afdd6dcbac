//! Patterns with `*` and `?`, matched without backing up over a `*`.
//!
//! Between two `*` the leftmost place where the text fits is as good as any later one,
//! so a match is one pass over the text: each stretch is searched for where the one
//! before it ended. A stretch without `?` is found in linear time; one with a `?`
//! inside costs at most its own length for each place that starts like it. Nothing is
//! exponential, whatever a pattern or a topic looks like, and nothing is allocated.

/// A pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Glob {
    /// Texts are not empty and never adjoin. Beside a `*` there is no other `*`, and a
    /// `?` stands before it, not after (see [`GlobBuilder`]): so what follows a `*` is
    /// the end or a text, which can be searched for.
    tokens: Box<[Token]>,
}

/// Puts a pattern together, in the form that matching wants.
#[derive(Debug, Default)]
pub(crate) struct GlobBuilder {
    tokens: Vec<Token>,
    /// Text that goes on.
    text: String,
    /// A `*` that waits until text comes: `*?` means `?*`, and `**` means `*`.
    run: bool,
}

/// A piece of a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Token {
    /// `*`: any run of characters, `/` and nothing at all included.
    Run,
    /// `?`: any one character.
    One,
    /// Itself.
    Text(Box<str>),
}

/// A place in a pattern: the token, and the byte within its text.
type Position = (usize, usize);

// === impl Glob ===

impl Glob {
    /// A pattern as it is written, with nothing but `*` and `?` special.
    pub(crate) fn parse(pattern: &str) -> Self {
        let mut builder = GlobBuilder::default();
        builder.pattern(pattern);
        builder.build()
    }

    /// Whether the whole of `text` fits.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let mut stretches = self.tokens.split(|token| *token == Token::Run);
        let first = stretches.next().unwrap_or_default();
        let Some(mut text) = strip_start(first, text) else { return false };
        let Some(mut stretch) = stretches.next() else { return text.is_empty() };
        for next in stretches {
            match find(stretch, text) {
                Some(rest) => text = rest,
                None => return false,
            }
            stretch = next;
        }
        ends_with(stretch, text)
    }

    /// What is left to match once `start` has been matched: a text that starts with
    /// `start` fits the pattern exactly if what follows fits one of these.
    pub(crate) fn after(&self, start: &str) -> Vec<Self> {
        let mut positions: Vec<Position> = vec![(0, 0)];
        for c in start.chars() {
            positions = self.step(&positions, c);
        }
        // Whatever fits after an earlier `*` fits after a later one, too.
        let last_run = positions.iter().rposition(|(token, _)| self.is_run(*token));
        positions.drain(..last_run.unwrap_or(0));
        positions.into_iter().map(|position| self.from(position)).collect()
    }

    /// The places that `positions`, which ascend, come to with one more character.
    fn step(&self, positions: &[Position], c: char) -> Vec<Position> {
        let mut next: Vec<Position> = Vec::with_capacity(positions.len() + 1);
        let mut add = |position: Position| {
            if !next.contains(&position) {
                next.push(position);
            }
        };
        for &(index, byte) in positions {
            match self.tokens.get(index) {
                None => {}
                Some(Token::One) => add((index + 1, 0)),
                Some(Token::Run) => {
                    add((index, 0));
                    // The run ends here, and what follows takes the character.
                    add_text(self.tokens.get(index + 1), (index + 1, 0), c, &mut add);
                }
                token @ Some(Token::Text(_)) => add_text(token, (index, byte), c, &mut add),
            }
        }
        next.sort_unstable();
        next
    }

    fn is_run(&self, index: usize) -> bool {
        self.tokens.get(index) == Some(&Token::Run)
    }

    fn from(&self, (index, byte): Position) -> Self {
        let mut tokens: Box<[Token]> = self.tokens[index..].into();
        if let Some(Token::Text(text)) = tokens.first_mut() {
            *text = text[byte..].into();
        }
        Self { tokens }
    }
}

// === impl GlobBuilder ===

impl GlobBuilder {
    /// Adds text in which nothing is special.
    pub(crate) fn text(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if std::mem::take(&mut self.run) {
            self.flush();
            self.tokens.push(Token::Run);
        }
        self.text.push_str(text);
    }

    /// Adds a `?`.
    pub(crate) fn one(&mut self) {
        self.flush();
        self.tokens.push(Token::One);
    }

    /// Adds a `*`.
    pub(crate) const fn run(&mut self) {
        self.run = true;
    }

    /// Adds text with `*` and `?` in it.
    pub(crate) fn pattern(&mut self, pattern: &str) {
        let mut rest = pattern;
        while let Some(at) = rest.find(['*', '?']) {
            self.text(&rest[..at]);
            if rest[at..].starts_with('*') {
                self.run();
            } else {
                self.one();
            }
            rest = &rest[at + 1..];
        }
        self.text(rest);
    }

    /// The pattern.
    pub(crate) fn build(mut self) -> Glob {
        self.flush();
        if self.run {
            self.tokens.push(Token::Run);
        }
        Glob { tokens: self.tokens.into() }
    }

    fn flush(&mut self) {
        if !self.text.is_empty() {
            self.tokens.push(Token::Text(std::mem::take(&mut self.text).into()));
        }
    }
}

/// Where `c` leads in a text token, if it does.
fn add_text(
    token: Option<&Token>,
    (index, byte): Position,
    c: char,
    add: &mut impl FnMut(Position),
) {
    let Some(Token::Text(text)) = token else { return };
    let Some(rest) = text[byte..].strip_prefix(c) else { return };
    add(if rest.is_empty() { (index + 1, 0) } else { (index, text.len() - rest.len()) });
}

/// What follows a stretch without `*` at the start of `text`.
fn strip_start<'t>(stretch: &[Token], text: &'t str) -> Option<&'t str> {
    stretch.iter().try_fold(text, |text, token| match token {
        Token::Text(expected) => text.strip_prefix(&**expected),
        Token::One => {
            let mut chars = text.chars();
            chars.next().map(|_| chars.as_str())
        }
        Token::Run => None,
    })
}

/// Whether a stretch without `*` is the end of `text`.
fn ends_with(stretch: &[Token], text: &str) -> bool {
    stretch
        .iter()
        .rev()
        .try_fold(text, |text, token| match token {
            Token::Text(expected) => text.strip_suffix(&**expected),
            Token::One => {
                let mut chars = text.chars();
                chars.next_back().map(|_| chars.as_str())
            }
            Token::Run => None,
        })
        .is_some()
}

/// What follows the leftmost place in `text` where a stretch without `*` fits.
fn find<'t>(stretch: &[Token], text: &'t str) -> Option<&'t str> {
    let Some(Token::Text(first)) = stretch.first() else {
        return strip_start(stretch, text);
    };
    if stretch.len() == 1 {
        return text.find(&**first).map(|at| &text[at + first.len()..]);
    }
    let mut from = 0;
    while let Some(at) = text[from..].find(&**first) {
        let at = from + at;
        if let Some(rest) = strip_start(stretch, &text[at..]) {
            return Some(rest);
        }
        from = at + text[at..].chars().next().map_or(1, char::len_utf8);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, by every way to cut the text: exponential, and plainly right.
    fn naive(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|at| naive(rest, &text[at..])),
            Some(('?', rest)) => !text.is_empty() && naive(rest, &text[1..]),
            Some((c, rest)) => text.first() == Some(c) && naive(rest, &text[1..]),
        }
    }

    fn naive_matches(pattern: &str, text: &str) -> bool {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        naive(&chars(pattern), &chars(text))
    }

    proptest! {
        #[test]
        fn matches_as_defined(pattern in "[ab/é*?]{0,9}", text in "[ab/é]{0,10}") {
            prop_assert_eq!(Glob::parse(&pattern).matches(&text), naive_matches(&pattern, &text));
        }

        #[test]
        fn what_is_left_matches_the_rest(
            pattern in "[ab:*?]{0,9}",
            start in "[ab:]{0,5}",
            rest in "[ab:]{0,6}",
        ) {
            let left = Glob::parse(&pattern).after(&start);
            prop_assert_eq!(
                left.iter().any(|glob| glob.matches(&rest)),
                naive_matches(&pattern, &format!("{start}{rest}"))
            );
        }
    }

    #[test]
    fn wildcards_of_policies_are_no_wildcards_of_mqtt() {
        let matches = |pattern: &str, text: &str| Glob::parse(pattern).matches(text);
        assert!(matches("chat/*", "chat/a/b"));
        assert!(matches("chat/*", "chat/"));
        assert!(matches("chat/?", "chat/é"));
        assert!(!matches("chat/?", "chat/ab"));
        assert!(matches("a/+/c", "a/+/c"));
        assert!(!matches("a/+/c", "a/b/c"));
        assert!(!matches("a/#", "a/b"));
    }

    #[test]
    fn a_prefix_leaves_little() {
        let left = |pattern: &str, start: &str| Glob::parse(pattern).after(start);
        assert_eq!(left("a:b/c*", "a:b/"), [Glob::parse("c*")]);
        assert_eq!(left("*", "a:b/"), [Glob::parse("*")]);
        assert_eq!(left("a:*:x/y", "a:b:x/"), [Glob::parse("*:x/y"), Glob::parse("y")]);
        assert_eq!(left("a:*", "b:"), []);
    }

    /// Ends within the test's time only if matching is not exponential.
    #[test]
    fn many_wildcards_take_no_time() {
        let pattern = format!("{}b", "*a?".repeat(500));
        let text = "a".repeat(60_000);
        assert!(!Glob::parse(&pattern).matches(&text));
    }
}
