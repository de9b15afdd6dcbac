//! JSON for people: laid out and coloured, with every number and string as it came.

use anstyle::{AnsiColor, Effects, Style};
use serde::de::IgnoredAny;

const KEY: Style = AnsiColor::Blue.on_default();
const STRING: Style = AnsiColor::Green.on_default();
const NUMBER: Style = AnsiColor::Yellow.on_default();
const WORD: Style = AnsiColor::Magenta.on_default();
const FRAME: Style = Style::new().effects(Effects::DIMMED);

/// Text that is this short stays on one line.
const SHORT: usize = 80;

/// The text laid out and coloured, if it is JSON, else the text itself. A short value
/// stays on its line.
pub(crate) fn json_or_text(text: &str) -> String {
    let trimmed = text.trim();
    if serde_json::from_str::<IgnoredAny>(trimmed).is_err() {
        return without_controls(text);
    }
    let one_line = layout(trimmed, false);
    if plain_length(&one_line) <= SHORT { one_line } else { layout(trimmed, true) }
}

/// JSON laid out over lines, without colours. Text that is no JSON stays as it is.
pub(crate) fn plain(text: &str) -> String {
    match serde_json::from_str::<IgnoredAny>(text.trim()) {
        Ok(_) => anstream::adapter::strip_str(&layout(text.trim(), true)).to_string(),
        Err(_) => text.to_owned(),
    }
}

/// Text from elsewhere as a terminal may show it: nobody's message moves our cursor.
fn without_controls(text: &str) -> String {
    let shown = |c: char| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c };
    text.chars().map(shown).collect()
}

fn plain_length(text: &str) -> usize {
    anstream::adapter::strip_str(text).to_string().chars().count()
}

/// Lays out text that is known to be JSON.
fn layout(text: &str, over_lines: bool) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut depth = 0;
    let mut rest = text;
    let line = |out: &mut String, depth: usize| {
        if over_lines {
            out.push('\n');
            out.push_str(&"  ".repeat(depth));
        }
    };
    while let Some(first) = rest.chars().next() {
        let token = match first {
            '"' => string_token(rest),
            c if c.is_ascii_whitespace() => {
                rest = &rest[1..];
                continue;
            }
            '{' | '}' | '[' | ']' | ',' | ':' => &rest[..1],
            _ => &rest[..rest.find([',', ']', '}', ' ', '\n', '\r', '\t']).unwrap_or(rest.len())],
        };
        rest = &rest[token.len()..];
        let next = rest.trim_start().chars().next();
        match first {
            '{' | '[' => {
                out.push_str(&format!("{FRAME}{token}{FRAME:#}"));
                if !matches!(next, Some('}' | ']')) {
                    depth += 1;
                    line(&mut out, depth);
                } else if let Some(closing) = next {
                    out.push_str(&format!("{FRAME}{closing}{FRAME:#}"));
                    rest = &rest.trim_start()[1..];
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push_str(&format!("{FRAME}{token}{FRAME:#}"));
            }
            ',' => {
                out.push_str(&format!("{FRAME},{FRAME:#}"));
                if over_lines { line(&mut out, depth) } else { out.push(' ') }
            }
            ':' => out.push_str(&format!("{FRAME}:{FRAME:#} ")),
            _ => {
                let style = match first {
                    '"' if next == Some(':') => KEY,
                    '"' => STRING,
                    't' | 'f' | 'n' => WORD,
                    _ => NUMBER,
                };
                out.push_str(&format!("{style}{token}{style:#}"));
            }
        }
    }
    without_stray_controls(&out)
}

/// JSON allows no control characters in strings but DEL and those above ASCII.
fn without_stray_controls(text: &str) -> String {
    text.chars().map(|c| if ('\u{7f}'..'\u{a0}').contains(&c) { '\u{fffd}' } else { c }).collect()
}

/// The string that `text` begins with, its quotes included.
fn string_token(text: &str) -> &str {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return &text[..=at],
            _ => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn values_keep_their_letters_and_short_ones_their_line() {
        let text = r#" {"a":[1.50,12345678901234567890,{}, []],"b" : "x\"},:y"} "#;
        let shown = stripped(&json_or_text(text));
        assert_eq!(shown, r#"{"a": [1.50, 12345678901234567890, {}, []], "b": "x\"},:y"}"#);
    }

    #[test]
    fn long_values_are_laid_out() {
        let long = "x".repeat(100);
        let shown = stripped(&json_or_text(&format!(r#"{{"a":["{long}",{{}}]}}"#)));
        assert_eq!(shown, format!("{{\n  \"a\": [\n    \"{long}\",\n    {{}}\n  ]\n}}"));
    }

    #[test]
    fn what_is_no_json_is_shown_as_it_is_but_moves_no_cursor() {
        assert_eq!(json_or_text("hello"), "hello");
        assert_eq!(json_or_text("a\u{1b}[2Jb\n{"), "a\u{fffd}[2Jb\n{");
    }
}
