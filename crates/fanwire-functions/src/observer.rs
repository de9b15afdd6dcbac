//! What happens inside functions, told as it happens: the START, END and REPORT of each
//! event, every line a function writes, and the life of its processes.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use fanwire_wire::trace::Span;

use crate::payload;

/// Takes what functions report. Called from the task that runs the event, in order for
/// each event: it must be quick and must not block.
pub trait Observer: Send + Sync + 'static {
    /// Something happened.
    fn observe(&self, event: FunctionEvent<'_>);

    /// Whether spans are wanted. Asked for every event, so it has to cost nothing. Where they are
    /// not, a function is told the trace that its caller named.
    fn wants_spans(&self) -> bool {
        false
    }

    /// An event that is part of a trace whose spans are kept is done with.
    fn traced(&self, _invocation: &Invocation<'_>) {}
}

/// One attempt at giving an event to a function, as a span of a trace.
#[derive(Debug, Clone, Copy)]
pub struct Invocation<'a> {
    /// The function's key.
    pub function: &'a str,
    /// Its ARN.
    pub arn: &'a str,
    /// The event's request id.
    pub request_id: &'a str,
    /// The span. The function's own are parts of it.
    pub span: Span,
    /// From when the event wanted a process to its result.
    pub took: Duration,
    /// Whether the event was the first of its process.
    pub is_cold: bool,
    /// Why it failed; `None` where it did not.
    pub error: Option<&'a str>,
}

/// An observer that looks away.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn observe(&self, _: FunctionEvent<'_>) {}
}

/// Which of a process's two outputs a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output, and logs of `console` and `logging`.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What an event cost: the figures of Lambda's REPORT line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Report {
    /// From the moment the event was given to the process to its result.
    pub duration: Duration,
    /// The duration in whole milliseconds, rounded up.
    pub billed_ms: u64,
    /// The function's `memory_mb`.
    pub memory_mb: u32,
    /// The process's peak resident memory in MB, at most a second old; 0 where the
    /// system does not tell.
    pub max_memory_mb: u32,
    /// How long the process took to load the handler, where this was its first event.
    pub init_duration: Option<Duration>,
    /// Whether the function failed, or ran out of time.
    pub failed: bool,
}

/// Something that happened to a function. [`Display`](fmt::Display) writes the line
/// that Lambda would write to CloudWatch Logs, or a like one where Lambda has none.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum FunctionEvent<'a> {
    /// A process was started.
    Spawned {
        /// The function's key.
        function: &'a str,
        /// The process's id, which is also its group's.
        pid: u32,
    },
    /// A process is gone: stopped by the host or by itself.
    Exited {
        /// The function's key.
        function: &'a str,
        /// The process's id.
        pid: u32,
        /// How it ended, such as `exit status 1` or `signal: killed`.
        how: &'a str,
    },
    /// A process could not load its handler.
    InitFailed {
        /// The function's key.
        function: &'a str,
        /// The error payload that the waiting callers get.
        payload: &'a [u8],
    },
    /// An event was given to a process.
    Start {
        /// The function's key.
        function: &'a str,
        /// The event's request id.
        request_id: &'a str,
    },
    /// A function wrote something.
    Line {
        /// The function's key.
        function: &'a str,
        /// The event in progress; `None` during init and between events.
        request_id: Option<&'a str>,
        /// Where it was written.
        stream: Stream,
        /// The text without its line end. One log event may have several lines, such as
        /// an object written by one `console.log`.
        text: &'a str,
    },
    /// An event is over.
    End {
        /// The function's key.
        function: &'a str,
        /// The event's request id.
        request_id: &'a str,
    },
    /// What the event cost.
    Report {
        /// The function's key.
        function: &'a str,
        /// The event's request id.
        request_id: &'a str,
        /// The figures.
        report: Report,
    },
    /// An asynchronous event failed and is tried again.
    Retry {
        /// The function's key.
        function: &'a str,
        /// The event's request id, the same at every attempt.
        request_id: &'a str,
        /// The attempt that failed, from 1.
        attempt: u32,
        /// How long until the next one.
        delay: Duration,
    },
    /// An asynchronous event is given up.
    Dropped {
        /// The function's key.
        function: &'a str,
        /// The event's request id.
        request_id: &'a str,
        /// Why.
        reason: &'a str,
    },
    /// New code is ready to take events: after [`reload`](crate::Functions::reload) or
    /// [`update`](crate::Functions::update), where the function had run before.
    Reloaded {
        /// The function's key.
        function: &'a str,
        /// How long it took.
        duration: Duration,
    },
    /// A process loaded files of the project that none of the function's had loaded
    /// before.
    Loaded {
        /// The function's key.
        function: &'a str,
        /// The new ones.
        files: &'a [PathBuf],
    },
    /// A program that a [`Supervisor`](crate::Supervisor) runs has ended by itself, or
    /// could not be started.
    ServiceEnded {
        /// The service's key.
        function: &'a str,
        /// How: `exit status 1`, or why it could not be started.
        how: &'a str,
        /// How long it ran.
        ran: Duration,
        /// When it is started again; `None`: it ended well, and is not.
        again_in: Option<Duration>,
    },
    /// A function calls a service in AWS that Fanwire does not serve: for each function
    /// and service, the first time.
    AwsCall {
        /// The function's key.
        function: &'a str,
        /// The service as in its host name, such as `s3`.
        service: &'a str,
        /// The host that was called.
        host: &'a str,
    },
}

impl<'a> FunctionEvent<'a> {
    /// The key of the function it happened to.
    pub fn function(&self) -> &'a str {
        match self {
            Self::Spawned { function, .. }
            | Self::Exited { function, .. }
            | Self::InitFailed { function, .. }
            | Self::Start { function, .. }
            | Self::Line { function, .. }
            | Self::End { function, .. }
            | Self::Report { function, .. }
            | Self::Retry { function, .. }
            | Self::Dropped { function, .. }
            | Self::Reloaded { function, .. }
            | Self::Loaded { function, .. }
            | Self::ServiceEnded { function, .. }
            | Self::AwsCall { function, .. } => function,
        }
    }

    /// The request id of the event it belongs to.
    pub fn request_id(&self) -> Option<&'a str> {
        match self {
            Self::Line { request_id, .. } => *request_id,
            Self::Start { request_id, .. }
            | Self::End { request_id, .. }
            | Self::Report { request_id, .. }
            | Self::Retry { request_id, .. }
            | Self::Dropped { request_id, .. } => Some(request_id),
            Self::Spawned { .. }
            | Self::Exited { .. }
            | Self::InitFailed { .. }
            | Self::Reloaded { .. }
            | Self::Loaded { .. }
            | Self::ServiceEnded { .. }
            | Self::AwsCall { .. } => None,
        }
    }
}

impl fmt::Display for FunctionEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spawned { function, pid } => write!(f, "{function}: process {pid} started"),
            Self::Exited { function, pid, how } => {
                write!(f, "{function}: process {pid} ended: {how}")
            }
            Self::InitFailed { function, payload } => {
                write!(f, "{function}: init failed: {}", payload::summary(payload))
            }
            Self::Start { request_id, .. } => {
                write!(f, "START RequestId: {request_id} Version: $LATEST")
            }
            Self::Line { text, .. } => f.write_str(text),
            Self::End { request_id, .. } => write!(f, "END RequestId: {request_id}"),
            Self::Report { request_id, report, .. } => {
                write!(f, "REPORT RequestId: {request_id}\t{report}")
            }
            Self::Retry { function, request_id, attempt, delay } => write!(
                f,
                "{function}: event {request_id} failed at attempt {attempt}; again in {} s",
                delay.as_secs()
            ),
            Self::Dropped { function, request_id, reason } => {
                write!(f, "{function}: event {request_id} dropped: {reason}")
            }
            Self::Reloaded { function, duration } => {
                write!(f, "{function}: reloaded in {:.0} ms", milliseconds(*duration))
            }
            Self::Loaded { function, files } => {
                write!(f, "{function}: loaded")?;
                files.iter().try_for_each(|file| write!(f, " {}", file.display()))
            }
            Self::ServiceEnded { function, how, ran, again_in } => {
                write!(f, "{function}: ended after {:.1} s: {how}; ", ran.as_secs_f64())?;
                match again_in {
                    Some(delay) => {
                        write!(f, "it is started again in {:.1} s", delay.as_secs_f64())
                    }
                    None => write!(f, "it is not started again"),
                }
            }
            Self::AwsCall { function, service, host } => write!(
                f,
                "{function}: calls AWS {} ({host}), which Fanwire does not serve: it goes to AWS",
                title(service)
            ),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Duration: {:.2} ms\tBilled Duration: {} ms\tMemory Size: {} MB\tMax Memory Used: {} MB",
            milliseconds(self.duration),
            self.billed_ms,
            self.memory_mb,
            self.max_memory_mb
        )?;
        match self.init_duration {
            Some(init) => write!(f, "\tInit Duration: {:.2} ms", milliseconds(init)),
            None => Ok(()),
        }
    }
}

/// A service's name for people: S3 and SQS, but secretsmanager.
fn title(service: &str) -> String {
    if service.len() <= 3 { service.to_ascii_uppercase() } else { service.to_owned() }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_lines_have_lambdas_form() {
        let report = Report {
            duration: Duration::from_micros(1234),
            billed_ms: 2,
            memory_mb: 128,
            max_memory_mb: 50,
            init_duration: None,
            failed: false,
        };
        let line =
            |report| FunctionEvent::Report { function: "f", request_id: "r", report }.to_string();
        let warm = "REPORT RequestId: r\tDuration: 1.23 ms\tBilled Duration: 2 ms\tMemory Size: 128 MB\tMax Memory Used: 50 MB";
        assert_eq!(line(report), warm);
        let cold = Report { init_duration: Some(Duration::from_millis(90)), ..report };
        assert_eq!(line(cold), format!("{warm}\tInit Duration: 90.00 ms"));
    }

    #[test]
    fn a_call_of_aws_names_the_service_and_the_host() {
        let call = |service, host| FunctionEvent::AwsCall { function: "f", service, host };
        assert_eq!(
            call("s3", "b.s3.eu-west-1.amazonaws.com").to_string(),
            "f: calls AWS S3 (b.s3.eu-west-1.amazonaws.com), which Fanwire does not serve: it goes to AWS"
        );
        assert!(call("kinesis", "h").to_string().starts_with("f: calls AWS kinesis (h), "));
    }

    #[test]
    fn start_and_end_lines_have_lambdas_form() {
        let start = FunctionEvent::Start { function: "f", request_id: "r" };
        assert_eq!(start.to_string(), "START RequestId: r Version: $LATEST");
        let end = FunctionEvent::End { function: "f", request_id: "r" };
        assert_eq!(end.to_string(), "END RequestId: r");
    }
}
