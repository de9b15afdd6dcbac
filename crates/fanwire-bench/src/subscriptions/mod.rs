//! Subscriptions of tRPC: what is published natively, beside `@trpc/server`, and what a
//! function publishes to subscribers that are in a store.

mod fan_out;
mod procedures;
mod stored;

pub(crate) use self::procedures::{function, serve};
pub(crate) use self::stored::publish_on_request;

use crate::report::Report;
use crate::{Result, Settings};

/// The room that everyone is in.
const ROOM: &str = "hall";

/// What is to be measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Wanted {
    /// How many subscribers hear what is published.
    #[arg(long, value_delimiter = ',', default_value = "10,1000,10000")]
    subscribers: Vec<usize>,
    /// How many publications are sent before the first is awaited.
    #[arg(long, value_delimiter = ',', default_value = "1,32")]
    burst: Vec<usize>,
    /// How many subscribers are in the store; 0 leaves it out.
    #[arg(long, value_delimiter = ',', default_value = "10,1000")]
    stored: Vec<usize>,
    /// How often it is published through the store.
    #[arg(long, default_value_t = 50)]
    publications: usize,
}

pub(crate) fn run(wanted: &Wanted, settings: &Settings, report: &mut Report) -> Result<()> {
    crate::server::pin_clients()?;
    let natively: Vec<usize> = wanted.subscribers.iter().copied().filter(|&n| n > 0).collect();
    if !natively.is_empty() {
        fan_out::run(&natively, &wanted.burst, settings, report)?;
    }
    let stored: Vec<usize> = wanted.stored.iter().copied().filter(|&n| n > 0).collect();
    if stored.is_empty() {
        return Ok(());
    }
    stored::run(&stored, wanted.publications, settings, report)
}

/// What a client subscribes with.
fn subscription() -> Vec<u8> {
    crate::swarm::frame(&format!(
        r#"{{"id":1,"method":"subscription","params":{{"path":"messages","input":{{"room":"{ROOM}"}}}}}}"#
    ))
}

/// The time below which a part of them lie, in microseconds.
fn percentile(sorted: &[std::time::Duration], percent: usize) -> f64 {
    let nth = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(nth).map_or(0.0, |time| time.as_secs_f64() * 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let times: Vec<Duration> = (1..=50).map(Duration::from_micros).collect();
        assert_eq!(percentile(&times, 50), 25.0);
        assert_eq!(percentile(&times, 99), 50.0);
        assert_eq!(percentile(&times[..1], 99), 1.0);
        assert_eq!(percentile(&[], 50), 0.0);
    }
}
