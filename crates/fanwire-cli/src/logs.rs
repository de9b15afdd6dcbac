//! `fanwire logs`: the log of the running `dev`, filtered.

mod filter;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use self::filter::Filter;
use crate::args::LogsArgs;
use crate::client::{self, CommandError, JsonLines, Server, output};
use crate::console::{Entry, Human, Json, Record, Renderer, read};

/// Records looked through where nothing else is said.
const BACKLOG: usize = 100;

/// How often lines that a function wrote a while ago are looked for.
const TICK: Duration = Duration::from_millis(250);

/// Prints the log.
pub(crate) fn run(args: &LogsArgs) -> ExitCode {
    client::run(async {
        let server = Server::find(&args.server)?;
        let all = args.since.map(|_| usize::MAX);
        let backlog = args.backlog.or(all).unwrap_or(BACKLOG);
        let path = format!("logs?backlog={backlog}&follow={}", args.follow);
        let mut records = server.listen(&path).await?;
        if args.json {
            print(&mut records, args, Json).await
        } else {
            // What `dev` was not told to log is not in its log, so there is no more to hide.
            print(&mut records, args, Human::new(false)).await
        }
    })
}

async fn print(
    records: &mut JsonLines,
    args: &LogsArgs,
    mut renderer: impl Renderer,
) -> Result<ExitCode, CommandError> {
    let mut filter = Filter::new(args);
    let mut out = String::new();
    loop {
        let line = match tokio::time::timeout(TICK, records.next()).await {
            Ok(line) => line?,
            Err(_) => {
                renderer.tick(Instant::now(), &mut out);
                print_out(&mut out)?;
                continue;
            }
        };
        let Some(line) = line else { break };
        // A newer server may have records that this program does not know.
        let Some(entry) = read(&line) else { continue };
        for entry in filter.pass(entry) {
            renderer.render(&entry, Instant::now(), &mut out);
        }
        print_out(&mut out)?;
    }
    renderer.render(&Entry { at: Timestamp::now(), record: Record::End }, Instant::now(), &mut out);
    print_out(&mut out)?;
    if args.follow { Err(CommandError::Ended) } else { Ok(ExitCode::SUCCESS) }
}

fn print_out(out: &mut String) -> Result<(), CommandError> {
    if !out.is_empty() {
        output(out)?;
        out.clear();
    }
    Ok(())
}
