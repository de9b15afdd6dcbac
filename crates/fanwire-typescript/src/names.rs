//! Which names a file takes of each module that it imports.
//!
//! Node.js has to know the names of a CommonJS package before it runs, and guesses them
//! from its text: `import { groupBy } from 'lodash'` fails there, and works in a bundle.
//! With the names that are asked for, a loader can put a module between that has them.

use std::collections::HashMap;

use indexmap::IndexMap;
use oxc_ast::ast::{
    BindingPattern, Expression, ImportDeclaration, ImportDeclarationSpecifier, Program, Statement,
    StaticMemberExpression, VariableDeclarator,
};
use oxc_ast_visit::{Visit, walk};

/// Stands for a module as a whole.
const WHOLE: &str = "*";

/// The names by the modules that they are taken of, as written. `*` is among them where
/// the module is taken as a whole, with those of its members that are named. A module of
/// which all is passed on (`export * from`) is not listed.
pub(crate) fn of(program: &Program<'_>) -> IndexMap<String, Vec<String>> {
    let mut names = Names::default();
    for statement in &program.body {
        names.take(statement);
    }
    names.visit_program(program);
    names.found.into_iter().filter_map(|(specifier, found)| Some((specifier, found?))).collect()
}

#[derive(Default)]
struct Names {
    found: IndexMap<String, Option<Vec<String>>>,
    /// The modules that are there as a whole, by their names in the file.
    wholes: HashMap<String, String>,
}

// === impl Names ===

impl Names {
    fn add(&mut self, specifier: &str, name: &str) {
        let known = self.found.entry(specifier.to_owned()).or_insert_with(|| Some(Vec::new()));
        if let Some(known) = known.as_mut().filter(|known| known.iter().all(|each| each != name)) {
            known.push(name.to_owned());
        }
    }

    fn take(&mut self, statement: &Statement<'_>) {
        match statement {
            Statement::ImportDeclaration(import) => self.take_import(import),
            Statement::ExportFromDeclaration(export) => {
                for each in &export.specifiers {
                    self.add(&export.source.value, each.local.name().as_str());
                }
            }
            Statement::ExportAllDeclaration(export) => {
                self.found.insert(export.source.value.to_string(), None);
            }
            _ => {}
        }
    }

    fn take_import(&mut self, import: &ImportDeclaration<'_>) {
        let specifier = import.source.value.as_str();
        for each in import.specifiers.iter().flatten() {
            match each {
                ImportDeclarationSpecifier::ImportSpecifier(named) => {
                    self.add(specifier, named.imported.name().as_str());
                }
                ImportDeclarationSpecifier::ImportDefaultSpecifier(_) => {
                    self.add(specifier, "default");
                }
                ImportDeclarationSpecifier::ImportNamespaceSpecifier(whole) => {
                    self.add(specifier, WHOLE);
                    self.wholes.insert(whole.local.name.to_string(), specifier.to_owned());
                }
            }
        }
    }

    /// The name is asked of what may be a module as a whole.
    fn add_member(&mut self, object: &Expression<'_>, name: &str) {
        let Expression::Identifier(object) = object else { return };
        if let Some(specifier) = self.wholes.get(object.name.as_str()).cloned() {
            self.add(&specifier, name);
        }
    }
}

impl<'a> Visit<'a> for Names {
    fn visit_static_member_expression(&mut self, it: &StaticMemberExpression<'a>) {
        self.add_member(&it.object, it.property.name.as_str());
        walk::walk_static_member_expression(self, it);
    }

    fn visit_variable_declarator(&mut self, it: &VariableDeclarator<'a>) {
        if let (BindingPattern::ObjectPattern(pattern), Some(object)) = (&it.id, &it.init) {
            for name in pattern.properties.iter().filter_map(|each| each.key.static_name()) {
                self.add_member(object, &name);
            }
        }
        walk::walk_variable_declarator(self, it);
    }
}
