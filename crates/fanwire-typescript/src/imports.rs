//! What a file imports, by the texts in it.

use oxc_ast::ast::{
    Argument, CallExpression, ExportAllDeclaration, ExportFromDeclaration, Expression,
    ImportDeclaration, ImportExpression, Program,
};
use oxc_ast_visit::{Visit, walk};

/// The specifiers of imports that are written as texts, static and dynamic, and of
/// `require`, in the order of the file. To be asked once types are gone, and what was
/// imported for their sake with them.
pub(crate) fn of(program: &Program<'_>) -> Vec<String> {
    let mut found = Imports(Vec::new());
    found.visit_program(program);
    found.0
}

struct Imports(Vec<String>);

impl Imports {
    fn add(&mut self, specifier: &str) {
        if !self.0.iter().any(|known| known == specifier) {
            self.0.push(specifier.to_owned());
        }
    }
}

impl<'a> Visit<'a> for Imports {
    fn visit_import_declaration(&mut self, it: &ImportDeclaration<'a>) {
        self.add(&it.source.value);
    }

    fn visit_export_from_declaration(&mut self, it: &ExportFromDeclaration<'a>) {
        self.add(&it.source.value);
    }

    fn visit_export_all_declaration(&mut self, it: &ExportAllDeclaration<'a>) {
        self.add(&it.source.value);
    }

    fn visit_import_expression(&mut self, it: &ImportExpression<'a>) {
        if let Expression::StringLiteral(text) = &it.source {
            self.add(&text.value);
        }
        walk::walk_import_expression(self, it);
    }

    fn visit_call_expression(&mut self, it: &CallExpression<'a>) {
        if let Some(Argument::StringLiteral(text)) = it.arguments.first()
            && it.callee.is_specific_id("require")
        {
            self.add(&text.value);
        }
        walk::walk_call_expression(self, it);
    }
}
