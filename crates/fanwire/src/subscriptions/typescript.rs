//! The types of a router, for clients in TypeScript.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use fanwire_wire::trpc::{ProcedureType, Transformer};
use ts_rs::{Config, TS, TypeVisitor};

use super::Output;

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
        let config = config();
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
fn config() -> Config {
    Config::new().with_large_int("number")
}

/// The module for procedures by their paths, in the order of the paths.
pub(crate) fn module<'a>(
    procedures: impl Iterator<Item = (&'a str, ProcedureType, &'a Signature)>,
    transformer: Transformer,
) -> String {
    let mut declarations =
        Declarations { config: config(), seen: HashSet::new(), texts: BTreeMap::new() };
    let mut root = Node::default();
    for (path, kind, signature) in procedures {
        (signature.input.declare)(&mut declarations);
        (signature.output.declare)(&mut declarations);
        root.insert(path, procedure(kind, signature, &declarations.config));
    }
    let mut text = String::from(HEAD);
    for declaration in declarations.texts.values() {
        text.push_str(declaration);
        text.push_str("\n\n");
    }
    text.push_str(match transformer {
        Transformer::None => "const t = () => initTRPC.create();\n",
        Transformer::SuperJson => WITH_SUPERJSON,
    });
    text.push_str("const router = (t: T) => ");
    root.write(1, &mut text);
    text.push_str(
        ";\n\n/** What the server offers. */\nexport type AppRouter = ReturnType<typeof router>;\n",
    );
    text
}

const HEAD: &str = "// Written by fanwire from the router in Rust: do not edit.\n\
    import type { initTRPC } from \"@trpc/server\";\n\n";

const WITH_SUPERJSON: &str = "";

fn procedure(_kind: ProcedureType, _signature: &Signature, _config: &Config) -> String {
    String::new()
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
