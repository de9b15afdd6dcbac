//! Where the values of variables come from (Serverless Framework, "Variables").

use std::path::Path;
use std::rc::Rc;

use crate::diagnostic::{Issue, nearest};
use crate::node::{Entry, Map, Node, Value, json, yaml};
use crate::rules::table::default_table_name;
use crate::source::Span;

use super::{Format, Found, Resolver};

/// The sources that are known, for the nearest name.
const KINDS: [&str; 11] =
    ["aws", "cf", "env", "file", "opt", "param", "s3", "self", "sls", "ssm", "strToBool"];

/// The largest file that `${file()}` reads, in bytes.
const MAX_FILE_BYTES: u64 = 8 * 1024 * 1024;

/// Why a source has no value.
pub(super) struct Missing {
    pub(super) why: String,
    pub(super) help: Option<String>,
    /// What holds where no other source has a value either.
    pub(super) default: Option<String>,
}

impl Missing {
    pub(super) fn plain(why: impl Into<String>) -> Self {
        Self { why: why.into(), help: None, default: None }
    }
}

fn missing(why: impl Into<String>, help: Option<String>) -> Found {
    Found::Missing(Missing { why: why.into(), help, default: None })
}

impl Resolver<'_> {
    /// Asks one source. An error is a fault that no fallback can mend.
    pub(super) fn look_up(
        &mut self,
        kind: &str,
        params: &[Value],
        address: Option<&str>,
        place: Span,
    ) -> Result<Found, Issue> {
        let text = |text: &str| Ok(Found::Value(Node::new(Value::Text(text.to_owned()), place)));
        let address_or_empty = address.unwrap_or_default();
        match kind {
            "self" => self.own_value(address_or_empty),
            "env" => {
                let key = self.path.last().cloned().unwrap_or_default();
                self.asked.insert((key, address_or_empty.to_owned()));
                match self.environment.get(address_or_empty) {
                    Some(value) => text(value),
                    None => Ok(missing(
                        format!("the environment variable {address_or_empty} is not set"),
                        Some(format!(
                            "set it, or give a fallback: ${{env:{address_or_empty}, ''}}"
                        )),
                    )),
                }
            }
            "opt" => Ok(self.option(address, place)),
            "sls" => match address_or_empty {
                "stage" => {
                    let stage = self.stage();
                    text(&stage)
                }
                "instanceId" => text("fanwire"),
                other => Err(self.no_such(place, "sls", other, &["stage", "instanceId"])),
            },
            "param" => self.parameter(address_or_empty),
            "file" => match params.first().and_then(super::text) {
                Some(path) => self.file_value(&path, address, place),
                None => Err(self.fault(place, "${file()} needs a path")),
            },
            "strToBool" => {
                let given = params.first().and_then(super::text).unwrap_or_default();
                match given.trim().to_lowercase().as_str() {
                    "true" | "1" => Ok(Found::Value(Node::new(Value::Bool(true), place))),
                    "false" | "0" => Ok(Found::Value(Node::new(Value::Bool(false), place))),
                    _ => Err(self
                        .fault(place, &format!("strToBool cannot read `{given}`"))
                        .expected("true, false, 1 or 0")),
                }
            }
            "aws" => match address_or_empty {
                "accountId" => {
                    let id = crate::aws_id::account_id(&self.environment);
                    text(&id)
                }
                "region" => {
                    let region = self.region();
                    text(&region)
                }
                other => Err(self.no_such(place, "aws", other, &["accountId", "region"])),
            },
            "cf" | "ssm" | "s3" => Ok(missing(
                "its value is in AWS, and Fanwire does not call AWS to read a file",
                Some(
                    "give a fallback, such as ${ssm:/path, 'local'}, or use ${param:NAME} and \
                     pass --param NAME=VALUE"
                        .to_owned(),
                ),
            )),
            other => {
                let fault = format!("`{other}` is not a source of variables");
                Err(self
                    .fault(place, &fault)
                    .expected(format!("one of {}", KINDS.join(", ")))
                    .help("a plugin's value can be given by ${param:NAME} and --param NAME=VALUE")
                    .nearest(other, KINDS))
            }
        }
    }

    fn no_such(&self, place: Span, kind: &str, address: &str, known: &[&'static str]) -> Issue {
        let fault = format!("`{kind}` knows no `{address}`");
        let issue = self.fault(place, &fault);
        issue
            .expected(format!("one of {}", known.join(", ")))
            .nearest(address, known.iter().copied())
    }

    /// `${self:a.b}`
    fn own_value(&mut self, address: &str) -> Result<Found, Issue> {
        let steps = steps(address);
        match self.walk(self.root, &steps)? {
            Some(node) if node.value != Value::Null => Ok(Found::Value(node)),
            _ => {
                // Versions 1 and 2 filled these in; many files still count on it.
                let default = match (self.format, address) {
                    (Format::Serverless, "provider.stage") => Some(self.stage()),
                    (Format::Serverless, "provider.region") => Some(self.region()),
                    (Format::Native, _) => self.native_default(&steps)?,
                    _ => None,
                };
                let why = format!("the file has no `{address}`");
                let help = self.nearest_member(&steps);
                Ok(Found::Missing(Missing { why, help, default }))
            }
        }
    }

    /// The value of what a `fanwire.toml` may leave out and its functions may want to
    /// be told.
    fn native_default(&mut self, steps: &[String]) -> Result<Option<String>, Issue> {
        let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
        Ok(match steps.as_slice() {
            ["stage"] => Some(self.stage()),
            ["region"] => Some(self.region()),
            ["tables", key, "name"] => {
                let path = ["tables", key].map(str::to_owned);
                if self.walk(self.root, &path)?.is_none() {
                    return Ok(None);
                }
                let app = self.setting(None, &["name"], "");
                Some(default_table_name(&app, &self.stage(), key))
            }
            _ => None,
        })
    }

    /// The name that a path into the file probably meant, at the first step that leads
    /// nowhere.
    fn nearest_member(&mut self, steps: &[String]) -> Option<String> {
        let reached = (0..steps.len()).rev().find_map(|length| {
            let parent = self.walk(self.root, &steps[..length]).ok()??;
            Some((length, parent))
        });
        let (length, parent) = reached?;
        let (last, parents) = (&steps[length], &steps[..length]);
        let parent = self.evaluate(&parent).ok()?;
        let near = nearest(last, parent.as_map()?.keys().map(String::as_str))?;
        let path: Vec<&str> = parents.iter().map(String::as_str).chain([near]).collect();
        Some(format!("did you mean `self:{}`?", path.join(".")))
    }

    fn option(&self, address: Option<&str>, place: Span) -> Found {
        let options = self.options;
        let mut all: Vec<(&str, &str)> =
            options.options.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        all.extend(options.stage.as_deref().map(|stage| ("stage", stage)));
        all.extend(options.region.as_deref().map(|region| ("region", region)));
        let value = |value: &str| Node::new(Value::Text(value.to_owned()), place);
        let Some(address) = address else {
            let entry = |(name, text): &(&str, &str)| {
                ((*name).to_owned(), Entry { key: place, node: value(text) })
            };
            return Found::Value(Node::new(
                Value::Map(all.iter().map(entry).collect::<Map>()),
                place,
            ));
        };
        match all.iter().find(|(name, _)| *name == address) {
            Some((_, text)) => Found::Value(value(text)),
            None => missing(
                format!("the option --{address} is not given"),
                Some(format!("pass it, or give a fallback: ${{opt:{address}, 'value'}}")),
            ),
        }
    }

    /// The stage: `--stage`, else the file's, else `dev`.
    pub(crate) fn stage(&mut self) -> String {
        let path: &[&str] = match self.format {
            Format::Serverless => &["provider", "stage"],
            Format::Native => &["stage"],
        };
        self.setting(self.options.stage.clone(), path, "dev")
    }

    /// The region: `--region`, else the file's, else `us-east-1`.
    pub(crate) fn region(&mut self) -> String {
        let path: &[&str] = match self.format {
            Format::Serverless => &["provider", "region"],
            Format::Native => &["region"],
        };
        self.setting(self.options.region.clone(), path, "us-east-1")
    }

    fn setting(&mut self, given: Option<String>, path: &[&str], default: &str) -> String {
        if let Some(given) = given {
            return given;
        }
        let steps: Vec<String> = path.iter().map(|&step| step.to_owned()).collect();
        let found = self.walk(self.root, &steps).ok().flatten();
        let found = found.and_then(|node| self.evaluate(&node).ok());
        found.and_then(|node| node.scalar_text()).unwrap_or_else(|| default.to_owned())
    }

    /// `${param:k}`: `--param`, else the file's parameters of the stage, else its
    /// default parameters. `stages.NAME.params` is version 4's form of `params.NAME`.
    fn parameter(&mut self, name: &str) -> Result<Found, Issue> {
        if let Some(value) = self.options.params.get(name) {
            let node = Node::new(Value::Text(value.clone()), self.root.span);
            return Ok(Found::Value(node));
        }
        let stage = self.stage();
        for path in [
            ["params", &stage, name, ""],
            ["stages", &stage, "params", name],
            ["params", "default", name, ""],
            ["stages", "default", "params", name],
        ] {
            let steps: Vec<String> =
                path.iter().filter(|step| !step.is_empty()).map(|&step| step.to_owned()).collect();
            if let Some(node) = self.walk(self.root, &steps)?
                && node.value != Value::Null
            {
                return Ok(Found::Value(node));
            }
        }
        Ok(missing(
            format!("there is no parameter `{name}`"),
            Some(format!("pass --param {name}=VALUE, or add it to `params`")),
        ))
    }

    /// `${file(path):address}`
    fn file_value(
        &mut self,
        path: &str,
        address: Option<&str>,
        place: Span,
    ) -> Result<Found, Issue> {
        let full = self.folder.join(path);
        if !self.files.contains_key(&full) {
            let content = self.read_file(path, &full, place);
            self.files.insert(full.clone(), content);
        }
        let content = match self.files.get(&full) {
            Some(Ok(Some(node))) => Rc::clone(node),
            Some(Err(issue)) => return Err(issue.clone()),
            Some(Ok(None)) | None => {
                return Ok(missing(format!("there is no file {path}"), None));
            }
        };
        match self.walk(&content, &address.map(steps).unwrap_or_default())? {
            Some(node) => Ok(Found::Value(node)),
            None => Ok(missing(format!("{path} has no `{}`", address.unwrap_or_default()), None)),
        }
    }

    /// Reads and parses an included file; `None` where there is none.
    fn read_file(
        &mut self,
        path: &str,
        full: &Path,
        place: Span,
    ) -> Result<Option<Rc<Node>>, Issue> {
        let extension = full.extension().and_then(|extension| extension.to_str()).unwrap_or("");
        if !full.is_file() {
            return Ok(None);
        }
        if matches!(extension, "js" | "cjs" | "mjs" | "ts") {
            let fault = format!("{path} is a program, and Fanwire does not evaluate programs yet");
            return Err(self
                .fault(place, &fault)
                .help("put its values into a .yml or .json file, or pass them with --param"));
        }
        let failed = |error: &dyn std::fmt::Display| format!("{path} cannot be read: {error}");
        let size = full.metadata().map_err(|error| self.fault(place, &failed(&error)))?.len();
        if size > MAX_FILE_BYTES {
            let fault = format!("{path} is larger than {MAX_FILE_BYTES} bytes");
            return Err(self.fault(place, &fault));
        }
        let text =
            std::fs::read_to_string(full).map_err(|error| self.fault(place, &failed(&error)))?;
        let file = self.sources.add(full.to_owned(), text.clone());
        match extension {
            "yml" | "yaml" => yaml::parse(file, &text, self.issues),
            "json" | "tfstate" => json::parse(file, &text),
            _ => Ok(Node::new(Value::Text(text), place)),
        }
        .map(|content| Some(Rc::new(content)))
    }
}

/// The keys of a dotted path; an empty path has none.
fn steps(address: &str) -> Vec<String> {
    if address.is_empty() {
        return Vec::new();
    }
    address.split('.').map(str::to_owned).collect()
}
