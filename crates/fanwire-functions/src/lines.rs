//! Lines out of bytes that arrive in pieces, and the last of them kept as a log's tail.

/// The longest line that is told in one piece; a longer one is cut here, as CloudWatch
/// Logs cuts its events at 256 KB.
const MAX_LINE: usize = 256 * 1024;

/// Cuts what a process writes into lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// Takes bytes, and tells every line that they end.
    pub(crate) fn push(&mut self, mut bytes: &[u8], mut tell: impl FnMut(&str)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(end);
            if self.partial.is_empty() {
                tell_line(line, &mut tell);
            } else {
                self.partial.extend_from_slice(line);
                self.flush(&mut tell);
            }
            bytes = &rest[1..];
        }
        while self.partial.len() + bytes.len() > MAX_LINE {
            let (now, later) = bytes.split_at(MAX_LINE - self.partial.len());
            self.partial.extend_from_slice(now);
            self.flush(&mut tell);
            bytes = later;
        }
        self.partial.extend_from_slice(bytes);
    }

    /// Tells what came after the last line end, if anything.
    pub(crate) fn flush(&mut self, mut tell: impl FnMut(&str)) {
        if !self.partial.is_empty() {
            tell_line(&self.partial, &mut tell);
            self.partial.clear();
        }
    }
}

fn tell_line(line: &[u8], tell: &mut impl FnMut(&str)) {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = String::from_utf8_lossy(line);
    // AWS's runtimes write the lines of one log event with carriage returns between.
    if text.contains('\r') { tell(&text.replace('\r', "\n")) } else { tell(&text) }
}

/// The last 4 KB of a log: what `X-Amz-Log-Result` holds.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    text: String,
}

/// Lambda Invoke API: "the last 4 KB of the execution log".
const TAIL: usize = 4096;

impl Tail {
    pub(crate) fn push(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
        // Cut rarely, so that a chatty function does not pay for each line.
        if self.text.len() > 4 * TAIL {
            self.cut();
        }
    }

    pub(crate) fn into_text(mut self) -> String {
        self.cut();
        self.text
    }

    fn cut(&mut self) {
        let mut from = self.text.len().saturating_sub(TAIL);
        while !self.text.is_char_boundary(from) {
            from += 1;
        }
        self.text.drain(..from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let mut told = Vec::new();
        let mut lines = Lines::default();
        for piece in pieces {
            lines.push(piece, |line| told.push(line.to_owned()));
        }
        lines.flush(|line| told.push(line.to_owned()));
        told
    }

    #[test]
    fn lines_are_whole_however_the_bytes_were_cut() {
        assert_eq!(lines(&[b"a\nb", b"c\r\n\n", b"d"]), ["a", "bc", "", "d"]);
    }

    #[test]
    fn carriage_returns_part_the_lines_of_one_log_event() {
        assert_eq!(lines(&[b"[ERROR] E: x\rTraceback\r\n"]), ["[ERROR] E: x\nTraceback"]);
    }

    #[test]
    fn a_character_cut_in_two_is_whole_again() {
        assert_eq!(lines(&[b"\xc3", b"\xa9\n"]), ["é"]);
    }

    #[test]
    fn a_line_without_end_is_cut_not_kept() {
        let told = lines(&[&vec![b'x'; 2 * MAX_LINE + 1], b"\n"]);
        assert_eq!(told.iter().map(String::len).collect::<Vec<_>>(), [MAX_LINE, MAX_LINE, 1]);
    }

    #[test]
    fn a_tail_is_the_last_four_kilobytes() {
        let mut tail = Tail::default();
        for n in 0..10_000 {
            tail.push(&format!("line {n} é"));
        }
        let text = tail.into_text();
        assert!(text.len() <= TAIL && text.len() > TAIL - 2, "{}", text.len());
        assert!(text.ends_with("line 9999 é\n"));
    }
}
