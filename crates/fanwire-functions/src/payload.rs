//! The payloads that Lambda itself answers where a function could not: time-outs,
//! crashes, responses that are too large.

use std::process::ExitStatus;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

/// The payload of an event that took longer than its function may.
pub(crate) fn timed_out(request_id: &str, timeout: Duration) -> Bytes {
    error("Sandbox.Timedout", &timed_out_message(request_id, timeout))
}

/// The text of a time-out, which Lambda also logs.
pub(crate) fn timed_out_message(request_id: &str, timeout: Duration) -> String {
    format!(
        "{} {request_id} Task timed out after {:.2} seconds",
        jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ"),
        timeout.as_secs_f64()
    )
}

/// The payload of an event whose process ended, or could not be started.
pub(crate) fn exited(request_id: &str, how: &Exit) -> Bytes {
    error("Runtime.ExitError", &exited_message(request_id, how))
}

/// The text of a crash, which Lambda also logs. With an empty id: of a process that no
/// event had.
pub(crate) fn exited_message(request_id: &str, how: &Exit) -> String {
    let what = match how {
        Exit::Silent => "Error: Runtime exited without providing a reason".to_owned(),
        Exit::Failed(how) => format!("Error: Runtime exited with error: {how}"),
    };
    if request_id.is_empty() { what } else { format!("RequestId: {request_id} {what}") }
}

/// The payload of an event whose result is longer than Lambda allows.
pub(crate) fn too_large(size: usize, limit: usize) -> Bytes {
    error(
        "Function.ResponseSizeTooLarge",
        &format!(
            "Response payload size ({size} bytes) exceeded maximum allowed payload size ({limit} bytes)."
        ),
    )
}

/// An error payload of the platform's: a type and a message.
pub(crate) fn error(kind: &str, message: &str) -> Bytes {
    json!({ "errorType": kind, "errorMessage": message }).to_string().into()
}

/// An error payload for people: the type and the message, and where in the code it is.
pub(crate) fn summary(payload: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Payload {
        error_type: String,
        error_message: String,
        /// Of Node.js.
        #[serde(default)]
        trace: Vec<String>,
        /// Of Python.
        #[serde(default)]
        stack_trace: Vec<String>,
    }
    let Ok(payload) = serde_json::from_slice::<Payload>(payload) else {
        return String::from_utf8_lossy(payload).into_owned();
    };
    let mut summary = format!("{}: {}", payload.error_type, payload.error_message);
    // A syntax error's trace begins with the file and the line, and ends with calls that
    // lead nowhere near it.
    let is_call = |line: &&String| line.trim_start().starts_with("at ");
    let place = if payload.error_type == "Runtime.UserCodeSyntaxError" {
        let trace = payload.trace.iter().take_while(|line| !line.contains("SyntaxError"));
        trace.chain(&payload.stack_trace).map(String::as_str).collect::<Vec<_>>()
    } else {
        let first_call = payload.trace.iter().find(is_call);
        first_call.or(payload.stack_trace.last()).map(String::as_str).into_iter().collect()
    };
    for line in place.iter().flat_map(|text| text.lines()).filter(|line| !line.trim().is_empty()) {
        summary.push_str("\n  ");
        summary.push_str(line);
    }
    summary
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Exit {
    /// With status 0, which for a function is still a failure.
    Silent,
    /// In Go's words, which Lambda uses: `exit status 1`, `signal: killed`.
    Failed(String),
}

impl Exit {
    pub(crate) fn of(status: ExitStatus) -> Self {
        use std::os::unix::process::ExitStatusExt;
        match (status.code(), status.signal()) {
            (Some(0), _) => Self::Silent,
            (Some(code), _) => Self::Failed(format!("exit status {code}")),
            (None, Some(signal)) => Self::Failed(format!("signal: {}", signal_name(signal))),
            (None, None) => Self::Failed(status.to_string()),
        }
    }

    /// In words for people.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Silent => "exit status 0",
            Self::Failed(how) => how,
        }
    }
}

/// The names that Go gives signals.
fn signal_name(signal: i32) -> String {
    match signal {
        1 => "hangup",
        2 => "interrupt",
        3 => "quit",
        4 => "illegal instruction",
        6 => "aborted",
        7 => "bus error",
        8 => "floating point exception",
        9 => "killed",
        11 => "segmentation fault",
        13 => "broken pipe",
        14 => "alarm clock",
        15 => "terminated",
        other => return format!("signal {other}"),
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn exits_are_told_in_lambdas_words() {
        let text = |raw| {
            let payload = exited("r", &Exit::of(ExitStatus::from_raw(raw)));
            serde_json::from_slice::<serde_json::Value>(&payload).unwrap()["errorMessage"].clone()
        };
        assert_eq!(text(1 << 8), "RequestId: r Error: Runtime exited with error: exit status 1");
        assert_eq!(text(9), "RequestId: r Error: Runtime exited with error: signal: killed");
        assert_eq!(text(0), "RequestId: r Error: Runtime exited without providing a reason");
    }

    #[test]
    fn a_summary_says_what_is_wrong_and_where() {
        let text = |payload: serde_json::Value| summary(payload.to_string().as_bytes());
        assert_eq!(
            text(json!({
                "errorType": "Runtime.UserCodeSyntaxError",
                "errorMessage": "SyntaxError: Unexpected token ';'",
                "trace": ["/app/index.js:2", "  let a = ;", "          ^", "", "SyntaxError: Unexpected token ';'", "    at wrapSafe"],
            })),
            "Runtime.UserCodeSyntaxError: SyntaxError: Unexpected token ';'\n  /app/index.js:2\n    let a = ;\n            ^"
        );
        assert_eq!(
            text(json!({
                "errorType": "NameError",
                "errorMessage": "name 'x' is not defined",
                "stackTrace": ["  File \"/lib/a.py\", line 1, in a\n    b()\n", "  File \"/app/index.py\", line 3, in <module>\n    x\n"],
            })),
            "NameError: name 'x' is not defined\n    File \"/app/index.py\", line 3, in <module>\n      x"
        );
        assert_eq!(
            text(
                json!({ "errorType": "Error", "errorMessage": "m", "trace": ["Error: m", "    at f (/app/index.js:1:7)"] })
            ),
            "Error: m\n      at f (/app/index.js:1:7)"
        );
        assert_eq!(text(json!("other")), "\"other\"");
    }

    #[test]
    fn a_time_out_names_its_moment_its_request_and_its_limit() {
        let payload = timed_out("r", Duration::from_millis(3000));
        let value: serde_json::Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!(value["errorType"], "Sandbox.Timedout");
        let message = value["errorMessage"].as_str().unwrap();
        let (moment, rest) = message.split_once(' ').unwrap();
        assert_eq!(rest, "r Task timed out after 3.00 seconds");
        assert_eq!((moment.len(), moment.as_bytes()[23]), (24, b'Z'), "{moment}");
    }
}
