//! What becomes of a project.

use std::path::{Path, PathBuf};

use super::*;

/// A folder with files, and what its entry was made of.
struct Folder(tempfile::TempDir);

impl Folder {
    fn with(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            let path = folder.path(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        std::fs::canonicalize(self.0.path()).unwrap().join(name)
    }

    fn compile(&self, entry: &str) -> Compiled {
        compile(&self.path(entry)).unwrap()
    }

    /// Where the imports of a file lead, by what is written.
    fn leads(&self, compiled: &Compiled, file: &str) -> Vec<(String, String)> {
        let root = self.path("");
        let relative =
            |path: &Path| path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        let imports = &compiled.modules[&self.path(file)].imports;
        imports.iter().map(|(written, path)| (written.clone(), relative(path))).collect()
    }
}

fn code(text: &str) -> String {
    let folder = Folder::with(&[("a.ts", text)]);
    let code = folder.compile("a.ts").modules[0].code.clone();
    code.split("\n//# sourceMappingURL=").next().unwrap().to_owned()
}

#[test]
fn types_are_taken_away_and_what_has_a_value_stays() {
    let made = code(
        "import type { A } from './a'; import { B } from './b';\n\
         enum Colour { Red = 1, Blue }\n\
         export class C { constructor(private readonly x: number) {} get(): B { return this.x! as B } }\n\
         namespace N { export const n = Colour.Blue } export const seen = N.n satisfies number;",
    );
    assert!(!made.contains("import"), "only for types: {made}");
    for kept in ["Colour[Colour[\"Red\"] = 1]", "this.x = x", "N.n"] {
        assert!(made.contains(kept), "{kept} in {made}");
    }
}

#[test]
fn imports_lead_where_a_bundler_would_take_them() {
    let folder = Folder::with(&[
        (
            "tsconfig.json",
            "{\"compilerOptions\":{\"baseUrl\":\".\",\"paths\":{\"@lib/*\":[\"lib/*\"],},}} // ok",
        ),
        (
            "src/main.ts",
            "import './a'; import './b.js'; import './folder'; import data from './data.json';\n\
             import { c } from '@lib/c'; export * from 'shared'; import 'ready'; import 'node:fs';\n\
             import './missing'; export const later = () => import('./later'), all = [data, c];",
        ),
        ("src/a.ts", ""),
        ("src/b.ts", ""),
        ("src/folder/index.ts", ""),
        ("src/data.json", "{\"default\":1,\"a-b\":{\"é\":[null]}}"),
        ("src/later.mts", ""),
        ("lib/c.tsx", "export const c = <p>{1}</p>;"),
        ("node_modules/shared/package.json", "{\"main\":\"index.ts\"}"),
        ("node_modules/shared/index.ts", "export const s: number = 1"),
        ("node_modules/ready/package.json", "{\"exports\":{\"import\":\"./r.mjs\"}}"),
        ("node_modules/ready/r.mjs", "not looked at ("),
    ]);
    let compiled = folder.compile("src/main.ts");
    let own = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    };
    assert_eq!(
        folder.leads(&compiled, "src/main.ts"),
        own(&[
            ("./a", "src/a.ts"),
            ("./b.js", "src/b.ts"),
            ("./folder", "src/folder/index.ts"),
            ("./data.json", "src/data.json"),
            ("@lib/c", "lib/c.tsx"),
            ("shared", "node_modules/shared/index.ts"),
            ("ready", "node_modules/ready/r.mjs"),
            ("./later", "src/later.mts"),
        ]),
    );
    assert_eq!(compiled.modules.len(), 8, "all of the project, and no package that is ready");
    assert_eq!(compiled.configs, [folder.path("tsconfig.json")]);
    assert!(compiled.modules[&folder.path("lib/c.tsx")].code.contains("react/jsx-runtime"));
    let data = &compiled.modules[&folder.path("src/data.json")].code;
    assert!(data.contains("as \"a-b\"") && !data.contains("as \"default\""), "{data}");
}

#[test]
fn a_file_is_the_kind_of_module_that_it_is_written_as() {
    for (name, text, expected) in [
        ("a.ts", "export const a = 1", Format::Module),
        ("a.ts", "exports.a = require('fs')", Format::CommonJs),
        ("a.ts", "import fs = require('fs'); export = fs", Format::CommonJs),
        ("a.ts", "import fs = require('fs'); export const a = fs", Format::Module),
        ("a.cts", "console.log(1)", Format::CommonJs),
        ("a.mts", "console.log(1)", Format::Module),
    ] {
        let folder = Folder::with(&[(name, text)]);
        assert_eq!(folder.compile(name).modules[0].format, expected, "{name}: {text}");
    }
}

#[test]
fn an_es_module_has_what_bundlers_give_it_of_commonjs() {
    let made = code("export const path = __dirname + typeof require;");
    assert!(made.starts_with("import{createRequire") && made.contains("__dirname="), "{made}");
    assert!(!code("export const path = 1;").contains("createRequire"));
}

#[test]
fn decorators_of_the_old_kind_need_the_option() {
    let text = "declare const d: any; @d export class A { @d m() {} }";
    let config = "{\"compilerOptions\":{\"experimentalDecorators\":true}}";
    let folder = Folder::with(&[("tsconfig.json", config), ("a.ts", text)]);
    assert!(folder.compile("a.ts").modules[0].code.contains("babelHelpers.decorate("));
}

#[test]
fn a_fault_is_told_with_its_place() {
    let folder = Folder::with(&[("a.ts", "import './b';"), ("b.ts", "\n\nconst é = (;\n")]);
    let error = compile(&folder.path("a.ts")).unwrap_err().to_string();
    let place = format!("{}:3:12: ", folder.path("b.ts").display());
    assert!(error.starts_with(&place), "{error}");
    let folder = Folder::with(&[("a.ts", "import './b.json';"), ("b.json", "{\n]")]);
    let error = compile(&folder.path("a.ts")).unwrap_err().to_string();
    assert!(error.contains("b.json:2:1: "), "{error}");
    let missing = compile(Path::new("/nowhere/at/all.ts")).unwrap_err().to_string();
    assert!(missing.contains("cannot be read"), "{missing}");
}

#[test]
fn files_that_import_each_other_are_compiled_once() {
    let folder = Folder::with(&[
        ("a.ts", "export { b } from './b'; export const a = 1;"),
        ("b.ts", "import { a } from './a'; export const b = a;"),
    ]);
    assert_eq!(folder.compile("a.ts").modules.len(), 2);
}

#[test]
fn the_names_that_are_taken_of_each_import_are_told() {
    let folder = Folder::with(&[(
        "a.ts",
        "import type { T } from 'types'; import one, { two as zwei, type Three } from 'named';\n\
         import * as all from 'whole'; export { four } from 'named'; export * from 'passed';\n\
         const { five, 'six': sechs } = all; export { sechs };\n\
         export const used: T = [one, zwei, five, all.seven, all['eight']] as Three;",
    )]);
    let names = &folder.compile("a.ts").modules[0].names;
    let told: Vec<_> =
        names.iter().map(|(module, names)| (module.as_str(), names.join(" "))).collect();
    let expected = [("named", "default two four"), ("whole", "* five six seven")];
    assert_eq!(told, expected.map(|(module, names)| (module, names.to_owned())));
}

#[test]
fn class_fields_are_assigned_where_the_target_is_before_es2022() {
    let text = "export class A { x = this.p; constructor(private p: string) {} }";
    let code = |options: &str| {
        let config = format!("{{\"compilerOptions\":{options}}}");
        let folder = Folder::with(&[("tsconfig.json", &config), ("a.ts", text)]);
        folder.compile("a.ts").modules[0].code.clone()
    };
    assert!(code("{\"target\":\"es2020\"}").contains("this.x = this.p"));
    assert!(!code("{\"target\":\"es2022\"}").contains("this.x = "));
    assert!(!code("{\"target\":\"es5\",\"useDefineForClassFields\":true}").contains("this.x = "));
}

#[test]
fn what_the_oldest_node_lacks_is_written_in_other_words() {
    let made = code("export function f(file: any) { using open = file; return open; }");
    assert!(made.contains("babelHelpers.usingCtx()") && !made.contains("using open"), "{made}");
}

#[test]
fn a_package_says_whether_its_files_are_es_modules() {
    let folder = Folder::with(&[
        ("package.json", "{\"type\":\"module\"}"),
        ("a.ts", "import './old/b'; import './c.mjs';"),
        ("old/package.json", "{}"),
        ("old/b.ts", "export const b = 1;"),
        ("c.mts", "export const c = 1;"),
    ]);
    let compiled = folder.compile("a.ts");
    let told: Vec<_> = compiled.modules.values().map(|module| module.in_module_package).collect();
    assert_eq!(told, [true, false, true]);
}
