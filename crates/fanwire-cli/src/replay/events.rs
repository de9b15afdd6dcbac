//! Recorded events for today's code: each is given to its function again.

use std::process::ExitCode;

use anstyle::{AnsiColor, Effects, Style};
use serde_json::Value;

use super::recording::{Recording, Step};
use super::{Difference, Mask};
use crate::args::ReplayArgs;
use crate::client::{CommandError, Server, output};
use crate::invoke::invoke;
use crate::pretty;

const BOLD: Style = Style::new().effects(Effects::BOLD);
const RED: Style = AnsiColor::Red.on_default();
const DIM: Style = Style::new().effects(Effects::DIMMED);

/// A recorded event.
struct Event<'a> {
    number: usize,
    request: &'a str,
    function: &'a str,
    event: &'a Value,
}

pub(super) async fn run(
    args: &ReplayArgs,
    recording: &Recording,
) -> Result<ExitCode, CommandError> {
    let events = chosen(args, recording)?;
    let server = Server::find(&args.server)?;
    let mask = Mask::new(&args.ignored);
    let mut differ = 0;
    for event in &events {
        let text = event.event.to_string();
        let invoked = invoke(&server, event.function, &text, false).await?;
        if !args.json {
            print_result(event, &invoked.payload, invoked.failed)?;
        }
        let now: Value = serde_json::from_str(&invoked.payload)
            .unwrap_or_else(|_| invoked.payload.clone().into());
        let Some((recorded, failed)) = recording.result_of(event.request, event.function) else {
            continue;
        };
        let what = format!("event {}, result of {}", event.number, event.function);
        let of = |value: &Value, failed: bool| {
            let failed = if failed { "failed:\n" } else { "" };
            format!("{failed}{}", mask.lines(value))
        };
        if let Some(difference) =
            Difference::between(&what, &of(recorded, failed), &of(&now, invoked.failed))
        {
            difference.print(args.json)?;
            differ += 1;
        }
    }
    anstream::eprintln!("{} events, {differ} with another result than recorded", events.len());
    Ok(if differ == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn chosen<'a>(args: &ReplayArgs, recording: &'a Recording) -> Result<Vec<Event<'a>>, CommandError> {
    let all = recording.steps.iter().filter_map(|step| match step {
        Step::Event { request, function, event, .. } => Some((request, function, event)),
        _ => None,
    });
    let all: Vec<_> = (1..)
        .zip(all)
        .map(|(number, (request, function, event))| Event { number, request, function, event })
        .collect();
    let count = all.len();
    let functions: Vec<&str> = all.iter().map(|event| event.function).collect();
    let chosen: Vec<_> = all
        .into_iter()
        .filter(|event| args.event.is_none_or(|number| number == event.number))
        .filter(|event| args.function.as_deref().is_none_or(|wanted| wanted == event.function))
        .collect();
    if !chosen.is_empty() {
        return Ok(chosen);
    }
    let why = match (args.event, args.function.as_deref()) {
        (Some(number), _) if number == 0 || number > count => {
            format!("there is no event {number}; the recording has {count}")
        }
        (_, Some(wanted)) => match fanwire_app::nearest(wanted, functions) {
            Some(nearest) => format!("no such event of `{wanted}`; did you mean `{nearest}`?"),
            None => format!("no such event of `{wanted}` in the recording"),
        },
        _ => "the recording has no events".to_owned(),
    };
    Err(CommandError::Usage(why))
}

fn print_result(event: &Event<'_>, payload: &str, failed: bool) -> Result<(), CommandError> {
    let context = &event.event["requestContext"];
    let route = context["routeKey"].as_str().unwrap_or_default();
    let (number, function) = (event.number, event.function);
    let failed = if failed { format!(" {RED}failed{RED:#}") } else { String::new() };
    output(&format!(
        "{BOLD}event {number}{BOLD:#} {function} {DIM}{route}{DIM:#}{failed}\n{}\n",
        pretty::json_or_text(payload)
    ))
}
