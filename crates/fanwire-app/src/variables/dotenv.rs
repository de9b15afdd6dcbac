//! `.env` files, read as the `dotenv` and `dotenv-expand` packages for Node do.
//! The process environment is passed in, which is why no crate is used: those that
//! exist read it themselves when they expand a variable.

use indexmap::IndexMap;

/// How deep variables of an `.env` file may refer to each other.
const MAX_EXPANSIONS: usize = 32;

/// The variables of a `.env` text, with `$NAME`, `${NAME}` and `${NAME:-default}`
/// expanded from `environment`, then from the file. Lines that are not assignments
/// are skipped.
pub(crate) fn parse(
    text: &str,
    environment: &IndexMap<String, String>,
) -> IndexMap<String, String> {
    let raw = assignments(text);
    let mut expanded = IndexMap::new();
    for (name, value) in &raw {
        let value = environment.get(name).unwrap_or(value);
        let value = expand(value, environment, &raw).replace("\\$", "$");
        expanded.insert(name.clone(), value);
    }
    expanded
}

fn assignments(text: &str) -> IndexMap<String, String> {
    let mut variables = IndexMap::new();
    let text = text.replace("\r\n", "\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let line_end = rest.find('\n').map_or(rest.len(), |at| at + 1);
        let line = &rest[..line_end];
        let Some((name, value_at)) = assignment(line) else {
            rest = &rest[line_end..];
            continue;
        };
        let (value, used) = value(&rest[value_at..]);
        variables.insert(name.to_owned(), value);
        rest = &rest[value_at + used..];
        rest = &rest[rest.find('\n').map_or(rest.len(), |at| at + 1)..];
    }
    variables
}

/// The name of `export NAME = value`, and where the value begins.
fn assignment(line: &str) -> Option<(&str, usize)> {
    let start = line.trim_start();
    let start = start.strip_prefix("export ").map_or(start, str::trim_start);
    let end = start.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')))?;
    let (name, after) = start.split_at(end);
    let value = after
        .trim_start_matches([' ', '\t'])
        .strip_prefix('=')
        .or_else(|| after.strip_prefix(": "))?;
    (!name.is_empty()).then(|| (name, line.len() - value.len()))
}

/// The value at the beginning of `text`, and how many bytes it takes. Quotes hold
/// line breaks and `#`, where nothing but a comment follows them on their line.
fn value(text: &str) -> (String, usize) {
    let indent = text.len() - text.trim_start_matches([' ', '\t']).len();
    let body = &text[indent..];
    let quoted = body
        .chars()
        .next()
        .filter(|c| matches!(c, '"' | '\'' | '`'))
        .and_then(|quote| closing(body, quote))
        .filter(|end| {
            let after = body[end + 1..].split('\n').next().unwrap_or("").trim_start();
            after.is_empty() || after.starts_with('#')
        });
    let end = match quoted {
        Some(end) => end + 1,
        None => body.find(['#', '\n']).unwrap_or(body.len()),
    };
    (unquoted(body[..end].trim()), indent + end)
}

/// A value without the quotes around it; double quotes have escapes.
fn unquoted(value: &str) -> String {
    for quote in ['"', '\'', '`'] {
        let inner = value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
        if let Some(inner) = inner {
            return match quote {
                '"' => inner.replace("\\n", "\n").replace("\\r", "\r"),
                _ => inner.to_owned(),
            };
        }
    }
    value.to_owned()
}

/// Where the quote at the beginning of `text` is closed, if it is.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '\\' => escaped = !escaped,
            c if c == quote && !escaped => return Some(at),
            _ => escaped = false,
        }
    }
    None
}

/// Replaces variables from the last one to the first, as `dotenv-expand` does, so
/// that a default may hold a variable.
fn expand(
    value: &str,
    environment: &IndexMap<String, String>,
    file: &IndexMap<String, String>,
) -> String {
    let mut value = value.to_owned();
    for _ in 0..MAX_EXPANSIONS {
        let Some(at) = last_dollar(&value) else { break };
        let after = &value[at + 1..];
        let braced = after.starts_with('{');
        let name_at = usize::from(braced);
        let name_end = after[name_at..]
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .map_or(after.len(), |end| name_at + end);
        let name = &after[name_at..name_end];
        if name.is_empty() {
            break;
        }
        let mut end = name_end;
        let mut default = "";
        if let Some(rest) = after[end..].strip_prefix(":-") {
            let length = rest.find(['}', '\\']).unwrap_or(rest.len());
            default = &rest[..length];
            end += 2 + length;
        }
        if after[end..].starts_with('}') {
            end += 1;
        }
        let found = environment.get(name).map(String::as_str).filter(|found| !found.is_empty());
        let found = found.or(Some(default).filter(|found| !found.is_empty()));
        let found = found.or(file.get(name).map(String::as_str)).unwrap_or("");
        value = format!("{}{found}{}", &value[..at], &after[end..]);
        if value.len() > 1 << 16 {
            break;
        }
    }
    value
}

/// The last `$` without a backslash before it.
fn last_dollar(value: &str) -> Option<usize> {
    value.match_indices('$').map(|(at, _)| at).rfind(|&at| !value[..at].ends_with('\\'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> IndexMap<String, String> {
        parse(text, &IndexMap::from([("HOME".to_owned(), "/home/me".to_owned())]))
    }

    /// Checked against dotenv 16 and dotenv-expand 10.
    #[test]
    fn assignments_are_read_as_dotenv_reads_them() {
        let text = "# comment\nA=1\nexport B = two words # tail\nC='single $A'\nD=\"a\\nb\"\n\
            E=\"first\nsecond\"\nF=\nnot an assignment\nG: yaml\nH=${A}-$HOME\nI=${NONE:-def}\n\
            J=\\$A\nK=a#b\nL='it''s'\nM=\"unclosed\nN=`a\"b'c`\nO=${A:-$B}\nP= \nQ=$NONE$A\n\
            R=\"a\" b\nS={a}$\n";
        let variables = read(text);
        for (name, value) in [
            ("A", "1"),
            ("B", "two words"),
            ("C", "single 1"),
            ("D", "a\nb"),
            ("E", "first\nsecond"),
            ("F", ""),
            ("G", "yaml"),
            ("H", "1-/home/me"),
            ("I", "def"),
            ("J", "$A"),
            ("K", "a"),
            ("L", "it''s"),
            ("M", "\"unclosed"),
            ("N", "a\"b'c"),
            ("O", "two words"),
            ("P", ""),
            ("Q", ""),
            ("R", "\"a\" b"),
            ("S", "{a}$"),
        ] {
            assert_eq!(variables.get(name).map(String::as_str), Some(value), "{name}");
        }
        assert_eq!(variables.len(), 19);
    }

    #[test]
    fn the_process_environment_wins_and_references_to_oneself_end() {
        assert_eq!(read("HOME=/other")["HOME"], "/home/me");
        read("A=$A$A$A\nB=${B}x${B}");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "[A-C= \"'`$\\{\\}\\\\:\\-#\né]{0,40}") {
            read(&text);
        }
    }
}
