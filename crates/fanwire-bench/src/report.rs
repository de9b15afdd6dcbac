//! What is printed: tables for people, or one JSON document.

use std::io::Write as _;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::server::package_version;
use crate::{Result, Settings};

/// One line of a scenario's table.
pub(crate) trait Row: Serialize {
    /// The table's head.
    const COLUMNS: &'static [&'static str];

    /// The line's cells, as many as the head has.
    fn cells(&self) -> Vec<String>;
}

/// Collects what the scenarios found.
pub(crate) struct Report {
    json: bool,
    document: Map<String, Value>,
}

impl Report {
    /// Begins with what the figures depend on: the machine and the peers.
    pub(crate) fn new(settings: &Settings) -> Self {
        let version = |package| package_version(&settings.peers, package);
        let environment = json!({
            "cpu": proc_value("/proc/cpuinfo", "model name"),
            "cores": std::thread::available_parallelism().map_or(0, usize::from),
            "memory": proc_value("/proc/meminfo", "MemTotal"),
            "kernel": std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim(),
            "node": node_version(),
            "ws": version("ws"),
            "@trpc/server": version("@trpc/server"),
            "serverless-offline": version("serverless-offline"),
            "seconds": settings.seconds.as_secs_f64(),
        });
        let mut report = Self { json: settings.json, document: Map::new() };
        if let Value::Object(facts) = &environment {
            for (name, fact) in facts {
                let fact = fact.as_str().map_or_else(|| fact.to_string(), str::to_owned);
                report.line(&format!("{name}: {fact}"));
            }
        }
        report.document.insert("environment".to_owned(), environment);
        report
    }

    /// Adds a scenario's table, and prints it unless JSON is wanted.
    pub(crate) fn table<R: Row>(
        &mut self,
        name: &str,
        title: &str,
        rows: &[R],
        notes: &[String],
    ) -> Result<()> {
        let entry = json!({ "title": title, "rows": serde_json::to_value(rows)?, "notes": notes });
        self.document.insert(name.to_owned(), entry);

        let head = R::COLUMNS.iter().map(|&column| column.to_owned()).collect();
        let lines: Vec<Vec<String>> =
            std::iter::once(head).chain(rows.iter().map(Row::cells)).collect();
        let widths: Vec<usize> = (0..R::COLUMNS.len())
            .map(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0))
            .collect();
        self.line(&format!("\n## {title}\n"));
        for (nth, line) in lines.iter().enumerate() {
            // The first column is text, the others are figures.
            let cells: Vec<String> = line
                .iter()
                .zip(&widths)
                .enumerate()
                .map(|(column, (cell, &width))| {
                    if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
                })
                .collect();
            self.line(&format!("| {} |", cells.join(" | ")));
            if nth == 0 {
                let rules: Vec<String> = widths
                    .iter()
                    .enumerate()
                    .map(|(column, &width)| {
                        if column == 0 {
                            "-".repeat(width)
                        } else {
                            format!("{}:", "-".repeat(width - 1))
                        }
                    })
                    .collect();
                self.line(&format!("| {} |", rules.join(" | ")));
            }
        }
        for note in notes {
            self.line(&format!("\n{note}"));
        }
        Ok(())
    }

    /// Prints the JSON document, where one is wanted.
    pub(crate) fn finish(&self) -> Result<()> {
        if self.json {
            let mut out = std::io::stdout().lock();
            serde_json::to_writer_pretty(&mut out, &self.document)?;
            writeln!(out)?;
        }
        Ok(())
    }

    fn line(&self, line: &str) {
        if !self.json {
            // Whoever closed the output does not want to hear about that.
            let _ = writeln!(std::io::stdout(), "{line}");
        }
    }
}

/// Tells why there are no figures.
pub(crate) fn complain(error: &str) {
    let _ = writeln!(std::io::stderr(), "error: {error}");
}

fn proc_value(path: &str, name: &str) -> String {
    std::fs::read_to_string(path)
        .unwrap_or_default()
        .lines()
        .find_map(|line| {
            Some(line.strip_prefix(name)?.trim_start_matches([' ', '\t', ':']).to_owned())
        })
        .unwrap_or_else(|| "unknown".to_owned())
}

fn node_version() -> String {
    std::process::Command::new("node").arg("--version").output().map_or_else(
        |_| "not found".to_owned(),
        |out| String::from_utf8_lossy(&out.stdout).trim().to_owned(),
    )
}
