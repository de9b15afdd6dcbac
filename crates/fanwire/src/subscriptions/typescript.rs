//! The types of a router, for clients in TypeScript.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use fanwire_wire::trpc::{ProcedureType, Transformer};
use ts_rs::{Config, TS, TypeVisitor};

use super::Output;
use crate::superjson;

/// What a procedure takes and gives, as TypeScript has it.
#[derive(Clone, Copy)]
pub(crate) struct Signature {
    input: Type,
    output: Type,
    tracked: bool,
}

/// A type.
#[derive(Clone, Copy)]
struct Type {
    name: fn(&Config) -> String,
    declare: fn(&mut Declarations),
}

/// Types that have names, and what they are.
struct Declarations {
    config: Config,
    seen: HashSet<std::any::TypeId>,
    texts: BTreeMap<String, String>,
}

// === impl Signature ===

impl Signature {
    pub(crate) fn call<I: TS + 'static, O: TS + 'static>() -> Self {
        Self { input: Type::of::<I>(), output: Type::of::<O>(), tracked: false }
    }

    pub(crate) fn subscription<I: TS + 'static, O: Output>() -> Self {
        let (input, output) = (Type::of::<I>(), Type::of::<O::Data>());
        Self { input, output, tracked: O::TRACKED }
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = config(Transformer::SuperJson);
        write!(f, "({}) => {}", (self.input.name)(&config), (self.output.name)(&config))
    }
}

// === impl Type ===

impl Type {
    fn of<T: TS + 'static>() -> Self {
        Self { name: T::name, declare: |declarations| declarations.visit::<T>() }
    }
}

// === impl Declarations ===

impl TypeVisitor for Declarations {
    fn visit<T: TS + 'static + ?Sized>(&mut self) {
        if !self.seen.insert(std::any::TypeId::of::<T>()) {
            return;
        }
        // Those of the standard library and the like have no place of their own.
        if T::output_path().is_some() {
            let name = T::ident(&self.config);
            self.texts.insert(name, format!("export {}", T::decl(&self.config)));
        }
        T::visit_dependencies(self);
        T::visit_generics(self);
    }
}

/// JSON has no `bigint`: what Rust writes as a number is one.
fn config(transformer: Transformer) -> Config {
    let config = Config::new().with_large_int("number");
    match transformer {
        Transformer::None => superjson::plain(config),
        Transformer::SuperJson => config,
    }
}

/// The module for procedures by their paths, in the order of the paths.
pub(crate) fn module<'a>(
    procedures: impl Iterator<Item = (&'a str, ProcedureType, &'a Signature)>,
    transformer: Transformer,
) -> String {
    let mut declarations =
        Declarations { config: config(transformer), seen: HashSet::new(), texts: BTreeMap::new() };
    let mut root = Node::default();
    for (path, kind, signature) in procedures {
        (signature.input.declare)(&mut declarations);
        (signature.output.declare)(&mut declarations);
        root.insert(path, procedure(kind, signature, &declarations.config));
    }
    let types: String = declarations.texts.values().map(|text| format!("{text}\n\n")).collect();
    let (import, options) = match transformer {
        Transformer::None => ("", ""),
        Transformer::SuperJson => {
            ("import superjson from \"superjson\";\n", "{ transformer: superjson }")
        }
    };
    let mut router = String::new();
    root.write(2, &mut router);
    format!(
        r#"// Written by fanwire from the router in Rust: do not edit.
import {{ initTRPC }} from "@trpc/server";
import type {{ Observable as Subscribed }} from "@trpc/server/observable";
{import}
{types}/** For its type alone: what it describes is served by Rust. */
const router = () => {{
  const t = initTRPC.create({options});
  const takes = <T>() => (input: unknown): T => input as T;
  const gives = <T>() => (): T => {{ throw new Error("a type, and no server"); }};
  return {router};
}};

/** What the server offers. */
export type AppRouter = ReturnType<typeof router>;
"#
    )
}

/// A procedure, as the builder of tRPC has it. Observables stand for subscriptions, since v10
/// and v11 both know them: what comes out of them is what counts.
fn procedure(kind: ProcedureType, signature: &Signature, config: &Config) -> String {
    let input = match (signature.input.name)(config) {
        // Nothing, in Rust `()`, is not even said.
        nothing if nothing == "null" => String::new(),
        input => format!(".input(takes<{input}>())"),
    };
    let mut output = (signature.output.name)(config);
    if signature.tracked {
        output = format!("{{ id: string, data: {output} }}");
    }
    if kind == ProcedureType::Subscription {
        output = format!("Subscribed<{output}, unknown>");
    }
    format!("t.procedure{input}.{kind}(gives<{output}>())")
}

/// A part of a router: others by name, or procedures.
#[derive(Default)]
struct Node {
    members: BTreeMap<String, Member>,
}

enum Member {
    Router(Node),
    Procedure(String),
}

impl Node {
    fn insert(&mut self, path: &str, procedure: String) {
        match path.split_once('.') {
            None => _ = self.members.insert(path.to_owned(), Member::Procedure(procedure)),
            Some((name, rest)) => {
                let member = self.members.entry(name.to_owned());
                let member = member.or_insert_with(|| Member::Router(Self::default()));
                if let Member::Router(node) = member {
                    node.insert(rest, procedure);
                }
            }
        }
    }

    fn write(&self, depth: usize, text: &mut String) {
        let indent = "  ".repeat(depth);
        text.push_str("t.router({\n");
        for (name, member) in &self.members {
            text.push_str(&format!("{indent}{name:?}: "));
            match member {
                Member::Router(node) => node.write(depth + 1, text),
                Member::Procedure(procedure) => text.push_str(procedure),
            }
            text.push_str(",\n");
        }
        text.push_str(&"  ".repeat(depth - 1));
        text.push_str("})");
    }
}
