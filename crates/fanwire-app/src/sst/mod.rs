//! `sst.config.ts` as an App. The file is a program, so it is run: in Node.js, in a process
//! of its own, with stand-ins for what SST gives such files ([`evaluate`]). What it declares
//! comes back as a [`description`], of which this module and its parts make the App.
//!
//! Nothing that the file declares is an error because Fanwire does not serve it: it is
//! listed, and its values read as placeholders (reference: iot.md, section 9).

mod description;
mod evaluate;
mod functions;
mod places;
mod realtime;
mod tables;
mod websocket;

use indexmap::IndexMap;

use crate::aws_id::account_id;
use crate::diagnostic::Issue;
use crate::model::{App, Links, Profile, Site};
use crate::native;
use crate::not_served::Kinds;
use crate::reading::Reading;
use crate::source::Span;
use crate::variables::dotenv;

use self::description::{Description, texts};
use self::evaluate::{EvaluateError, Request, evaluate};
use self::places::Places;

/// What SST's own command takes where there is no `--stage` is the name of the user; a
/// server of one's own has no need of it.
const DEFAULT_STAGE: &str = "dev";
const DEFAULT_REGION: &str = "us-east-1";

/// The largest `.env` that is read, in bytes.
const MAX_DOTENV_BYTES: u64 = 1024 * 1024;

/// Runs the file and builds the App, or reports why that cannot be.
pub(crate) fn import(reading: &mut Reading<'_>, _text: &str) -> Option<App> {
    let options = reading.options;
    let stage = options.stage.clone().unwrap_or_else(|| DEFAULT_STAGE.to_owned());
    for (option, value) in [("stage", &Some(stage.clone())), ("region", &options.region)] {
        if let Some((value, Err(expected))) =
            value.as_ref().map(|value| (value, native::check_name(value)))
        {
            reading.bad_option(option, value, &expected);
            return None;
        }
    }
    let environment = environment(reading, &stage);
    let account_id = account_id(&environment);
    let request = Request {
        file: &crate::reading::absolute(&reading.file),
        folder: &reading.folder,
        stage: &stage,
        region: options.region.as_deref(),
        account_id: &account_id,
        environment: &environment,
        typescript: &options.typescript,
        time_limit: Request::TIME_LIMIT,
    };
    let description = match evaluate(&request) {
        Ok(description) => description,
        Err(error) => {
            report_failure(reading, &error);
            return None;
        }
    };
    reading.files.extend(description.files.iter().cloned());
    let mut places = Places::default();
    report(&description, &mut places, reading);
    build(description, stage, account_id, &mut places, reading)
}

/// The environment that the file sees: that of this process and of two files, as SST has it.
/// `.env.STAGE` wins over all, and all wins over `.env`.
fn environment(reading: &mut Reading<'_>, stage: &str) -> IndexMap<String, String> {
    let mut environment = reading.options.environment.clone();
    for (name, wins) in [(format!(".env.{stage}"), true), (".env".to_owned(), false)] {
        let file = reading.folder.join(name);
        reading.files.push(file.clone());
        let is_read = file.metadata().is_ok_and(|found| found.len() <= MAX_DOTENV_BYTES);
        let Some(text) = is_read.then(|| std::fs::read_to_string(&file).ok()).flatten() else {
            continue;
        };
        // What the environment has would win inside the file, too.
        let around = if wins { IndexMap::new() } else { environment.clone() };
        for (name, value) in dotenv::parse(&text, &around) {
            if wins || !environment.contains_key(&name) {
                environment.insert(name, value);
            }
        }
    }
    environment
}

fn report_failure(reading: &mut Reading<'_>, error: &EvaluateError) {
    let help = match error {
        EvaluateError::NoNode => "install Node.js 18 or later",
        EvaluateError::TooLong(_) => {
            "look for a loop without an end, or something that it waits for in vain"
        }
        EvaluateError::Start { .. } | EvaluateError::Ended(_) => {
            "is there memory left, and is it Node.js 18 or later?"
        }
        EvaluateError::Malformed(_) => "what does a `transform` leave behind?",
    };
    let message = format!("sst.config.ts cannot be evaluated: {error}");
    reading.issues.push(Issue::error(Span::whole(reading.file_id), message).help(help));
}

/// Reports what the program told.
fn report(description: &Description, places: &mut Places, reading: &mut Reading<'_>) {
    type Make = fn(Span, String) -> Issue;
    let fault = description
        .fault
        .iter()
        .map(|told| (told, Issue::error as Make, "sst.config.ts cannot be evaluated: "));
    let notes = description.notes.iter().map(|told| (told, Issue::warning as Make, ""));
    for (told, make, before) in fault.chain(notes) {
        let span = places.span(told.place.as_ref(), reading);
        let issue = make(span, format!("{before}{}", told.message));
        reading.issues.push(match &told.help {
            Some(help) => issue.help(help.clone()),
            None => issue,
        });
    }
}

fn build(
    description: Description,
    stage: String,
    account_id: String,
    places: &mut Places,
    reading: &mut Reading<'_>,
) -> Option<App> {
    let facts = description.app.as_ref()?;
    let profile = reading.options.profile.unwrap_or(Profile::Aws);
    let functions = functions::build(&description.functions, places, reading);
    let names = functions.names;
    let realtime = realtime::build(&description.realtime, &names, profile, places, reading);
    let apis = &description.websocket;
    let websocket_apis = websocket::build(apis, facts, &names, profile, places, reading);
    let tables = tables::build(&description.tables, places, reading);
    let mut links = description.links;
    if let Some(realtime) = &realtime {
        // The server adds it.
        links.shift_remove(&realtime.name);
    }
    let mut not_served = Kinds::default();
    description.not_served.iter().for_each(|each| not_served.add(&each.kind, &each.name));
    let dynamodb = reading.options.dynamodb.clone().unwrap_or_default();
    Some(App {
        service: facts.name.clone(),
        dynamodb: dynamodb.in_region(&facts.region),
        region: facts.region.clone(),
        stage,
        account_id,
        root: reading.folder.clone(),
        file: reading.file.clone(),
        profile,
        functions: functions.functions,
        websocket_apis,
        realtime,
        tables,
        links,
        sites: sites(&description.sites, reading),
        not_served: not_served.into_list(),
    })
}

fn sites(described: &[description::Site], reading: &Reading<'_>) -> IndexMap<String, Site> {
    let site = |site: &description::Site| Site {
        kind: site.kind.clone(),
        path: reading.folder.join(&site.path),
        command: site.command.clone(),
        environment: texts(&site.environment),
        links: Links::Only(site.links.clone()),
    };
    described.iter().map(|each| (each.name.clone(), site(each))).collect()
}
