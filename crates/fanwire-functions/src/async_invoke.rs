//! Asynchronous (`Event`) invocations: taken at once, run later, tried again.
//!
//! As Lambda: an event whose function fails is tried again after one minute and after
//! two more; one that is throttled or finds nobody is tried again after a second, then
//! twice as long each time up to five minutes; each only until the event is too old.
//! Events are kept in memory: one that has not run when the host ends is lost, and told
//! of as [`Dropped`](FunctionEvent::Dropped).

use std::future::Future;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::observer::FunctionEvent;
use crate::outcome::{InvokeError, Outcome};
use crate::spec::Spec;

/// Lambda, "Error handling for asynchronous invocation": throttled events are tried
/// again from one second up to five minutes.
const FIRST_THROTTLE_DELAY: Duration = Duration::from_secs(1);
const LONGEST_THROTTLE_DELAY: Duration = Duration::from_secs(300);

/// Runs one event until it succeeds or is given up. `attempt` runs it once; `closing`
/// becomes true when the host shuts down.
pub(crate) async fn run<F, A>(
    spec: &Spec,
    request_id: &str,
    mut closing: watch::Receiver<bool>,
    mut attempt: F,
) where
    F: FnMut() -> A,
    A: Future<Output = Result<Outcome, InvokeError>>,
{
    let function = &*spec.key;
    let retry = &spec.options.async_retry;
    let accepted = Instant::now();
    let mut delays = retry.delays.iter().copied();
    let mut throttle_delay = FIRST_THROTTLE_DELAY;
    let dropped = |reason: &str| {
        spec.observe(FunctionEvent::Dropped { function, request_id, reason });
    };
    for number in 1u32.. {
        let (why, delay) = match attempt().await {
            Ok(Outcome { error: None, .. }) => return,
            Ok(_) => ("the function failed at every attempt", delays.next()),
            Err(InvokeError::Throttled { .. } | InvokeError::Unreachable { .. }) => {
                let delay = throttle_delay;
                throttle_delay = (throttle_delay * 2).min(LONGEST_THROTTLE_DELAY);
                ("no process or endpoint took it", Some(delay))
            }
            Err(error) => return dropped(&error.to_string()),
        };
        let Some(delay) = delay else { return dropped(why) };
        if accepted.elapsed() + delay > retry.max_age {
            return dropped("it is older than async events may be");
        }
        spec.observe(FunctionEvent::Retry { function, request_id, attempt: number, delay });
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            _ = closing.wait_for(|closing| *closing) => {
                return dropped("the host shut down before its next attempt");
            }
        }
    }
}
