//! One file made JavaScript that Node.js runs.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use oxc_allocator::Allocator;
use oxc_ast::ast::{Program, Statement};
use oxc_codegen::{Codegen, CodegenOptions};
use oxc_parser::{Parser, ParserReturn};
use oxc_semantic::{Scoping, SemanticBuilder};
use oxc_span::SourceType;
use oxc_transformer::{
    EnvOptions, HelperLoaderMode, HelperLoaderOptions, JsxOptions, JsxRuntime,
    Module as ModuleOption, TransformOptions, Transformer,
};
use serde::Serialize;
use serde_json::Value;

use crate::error::CompileError;
use crate::imports;
use crate::resolve::{Config, Project};

/// The longest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 8 * 1024 * 1024;

/// What CommonJS has in every file and ES modules have not. Bundlers give it to both. On
/// one line with what follows, so that no line moves.
const PRELUDE: &str = "import{createRequire as $fanwireRequire}from'node:module';\
    import{fileURLToPath as $fanwirePath}from'node:url';\
    const require=$fanwireRequire(import.meta.url),__filename=$fanwirePath(import.meta.url),\
    __dirname=$fanwirePath(new URL('.',import.meta.url)).slice(0,-1);";

/// The names that the prelude gives.
const COMMON_NAMES: [&str; 3] = ["require", "__filename", "__dirname"];

/// A file of the project, compiled.
#[derive(Debug, Serialize)]
pub struct Module {
    /// Its text, with an inline source map.
    pub code: String,
    /// What kind of module the text is.
    pub format: Format,
    /// Where its imports lead, by what is written. What leads to Node.js itself, or
    /// nowhere, is not among them.
    pub imports: IndexMap<String, PathBuf>,
}

/// A kind of module in Node.js.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// An ES module.
    Module,
    /// A CommonJS module.
    CommonJs,
}

/// Compiles one file.
pub(crate) fn compile(
    path: &Path,
    config: &Config,
    project: &Project,
) -> Result<Module, CompileError> {
    let text = read(path)?;
    if path.extension().is_some_and(|extension| extension == "json") {
        return json(path, &text);
    }
    let allocator = Allocator::default();
    // Every extension that gets here is one that it knows.
    let kind = SourceType::from_path(path).unwrap_or_else(|_| SourceType::ts());
    let ParserReturn { mut program, diagnostics, module_record, .. } =
        Parser::new(&allocator, &text, kind).parse();
    refuse(path, &text, &diagnostics)?;
    let built = SemanticBuilder::new()
        .with_check_syntax_error(true)
        .with_enum_eval(true)
        .with_excess_capacity(2.0)
        .build(&program);
    refuse(path, &text, &built.diagnostics)?;
    let scoping = built.semantic.into_scoping();
    let is_assigned = program.body.iter().any(is_assignment);
    let takes_names = is_assigned || COMMON_NAMES.iter().any(|name| is_free(&scoping, name));
    let has_common = is_assigned
        || kind.is_commonjs()
        || ["module", "exports"].iter().any(|name| is_free(&scoping, name));
    let options = options(config, is_assigned);
    let transformed =
        Transformer::new(&allocator, path, &options).build_with_scoping(scoping, &mut program);
    refuse(path, &text, &transformed.diagnostics)?;
    let is_module = program.body.iter().any(Statement::is_module_declaration)
        || (module_record.has_module_syntax && !is_assigned);
    let format = if has_common && !is_module { Format::CommonJs } else { Format::Module };
    let specifiers = imports::of(&program);
    let leads = specifiers
        .into_iter()
        .filter_map(|specifier| Some((specifier.clone(), project.resolve(path, &specifier)?)));
    let code = print(path, &mut program, takes_names && format == Format::Module);
    Ok(Module { code, format, imports: leads.collect() })
}

fn read(path: &Path) -> Result<String, CompileError> {
    let failed = |source| CompileError::Read { path: path.to_owned(), source };
    if fs::metadata(path).map_err(failed)?.len() > MAX_FILE_BYTES {
        return Err(CompileError::TooLong { path: path.to_owned(), most: MAX_FILE_BYTES });
    }
    let text = fs::read_to_string(path).map_err(failed)?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

fn refuse(
    path: &Path,
    text: &str,
    found: &oxc_diagnostics::Diagnostics,
) -> Result<(), CompileError> {
    CompileError::first(path, text, found).map_or(Ok(()), Err)
}

/// A JSON file as a module: the value, and what it has by name, as bundlers export both.
fn json(path: &Path, text: &str) -> Result<Module, CompileError> {
    let value: Value = serde_json::from_str(text).map_err(|error| CompileError::Syntax {
        path: path.to_owned(),
        line: error.line(),
        column: error.column(),
        message: error.to_string(),
    })?;
    let mut code = format!("const value={value};export default value;");
    let names = value.as_object().into_iter().flatten().map(|(name, _)| name);
    for (at, name) in names.filter(|name| *name != "default").enumerate() {
        let name = Value::from(name.as_str());
        // Writing to a text never fails.
        let _ = write!(code, "const value{at}=value[{name}];export{{value{at} as {name}}};");
    }
    Ok(Module { code, format: Format::Module, imports: IndexMap::new() })
}

/// Whether a statement is TypeScript's own way to write CommonJS.
fn is_assignment(statement: &Statement<'_>) -> bool {
    matches!(statement, Statement::TSExportAssignment(_) | Statement::TSImportEqualsDeclaration(_))
}

/// Whether a file takes a name from its surroundings.
fn is_free(scoping: &Scoping, name: &str) -> bool {
    scoping.root_unresolved_references().keys().any(|known| known.as_str() == name)
}

/// What is to be done to a file, besides taking its types away.
fn options(config: &Config, is_assigned: bool) -> TransformOptions {
    let mut options = TransformOptions {
        env: EnvOptions {
            module: if is_assigned { ModuleOption::CommonJS } else { ModuleOption::Preserve },
            ..EnvOptions::default()
        },
        helper_loader: HelperLoaderOptions {
            mode: HelperLoaderMode::External,
            ..HelperLoaderOptions::default()
        },
        ..TransformOptions::default()
    };
    let Some(given) = config.options() else { return options };
    options.decorator.legacy = given.experimental_decorators == Some(true);
    options.decorator.emit_decorator_metadata = given.emit_decorator_metadata == Some(true);
    options.typescript.only_remove_type_imports = given.verbatim_module_syntax == Some(true);
    if given.use_define_for_class_fields == Some(false) {
        options.assumptions.set_public_class_fields = true;
        options.typescript.remove_class_fields_without_initializer = true;
    }
    options.jsx = jsx(given);
    options
}

fn jsx(given: &oxc_resolver::CompilerOptions) -> JsxOptions {
    let mut jsx = JsxOptions::enable();
    if given.jsx.as_deref() == Some("react") {
        jsx.runtime = JsxRuntime::Classic;
        jsx.pragma = given.jsx_factory.clone();
        jsx.pragma_frag = given.jsx_fragment_factory.clone();
    } else {
        jsx.import_source = given.jsx_import_source.clone();
    }
    jsx
}

/// The text of a compiled file.
fn print(path: &Path, program: &mut Program<'_>, wants_prelude: bool) -> String {
    program.hashbang = None;
    let options =
        CodegenOptions { source_map_path: Some(path.to_owned()), ..CodegenOptions::default() };
    let printed = Codegen::new().with_options(options).build(program);
    let prelude = if wants_prelude { PRELUDE } else { "" };
    let map = printed.map.map(|map| format!("\n//# sourceMappingURL={}", map.to_data_url()));
    format!("{prelude}{}{}\n", printed.code, map.unwrap_or_default())
}
