//! `fanwire clock`: the time that the running `dev` lives in.

use std::process::ExitCode;
use std::time::Duration;

use crate::args::{ClockArgs, ClockCommand};
use crate::client::{self, Server, output};

/// Moves the clock.
pub(crate) fn run(args: &ClockArgs) -> ExitCode {
    let ClockCommand::Advance { by, json, server } = &args.command;
    client::run(async {
        let server = Server::find(server)?;
        let path = format!("/_fanwire/clock?advance_ms={}", by.as_millis());
        let answer = server.send("POST", &path, &[], "").await?.expect_success(&path)?.json()?;
        if *json {
            output(&format!("{answer}\n"))?;
        } else {
            let ahead = Duration::from_millis(answer["aheadMs"].as_u64().unwrap_or_default());
            output(&format!("the clock is {} ahead of this machine's\n", in_words(ahead)))?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// A duration in the units that people type: `2h 10m`.
fn in_words(duration: Duration) -> String {
    let mut seconds = duration.as_secs();
    let mut parts = Vec::new();
    for (unit, length) in [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)] {
        if seconds >= length {
            parts.push(format!("{}{unit}", seconds / length));
            seconds %= length;
        }
    }
    if parts.is_empty() { format!("{} ms", duration.as_millis()) } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_they_are_typed() {
        for (seconds, words) in [(7200, "2h"), (90, "1m 30s"), (90_061, "1d 1h 1m 1s")] {
            assert_eq!(in_words(Duration::from_secs(seconds)), words);
        }
        assert_eq!(in_words(Duration::from_millis(20)), "20 ms");
    }
}
