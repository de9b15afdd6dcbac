//! Small tables for people: left-aligned columns, two spaces apart.

use std::fmt;

use anstyle::{Effects, Style};

/// Rows under a heading.
#[derive(Debug)]
pub(crate) struct Table {
    heading: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

// === impl Table ===

impl Table {
    pub(crate) fn new(heading: &[&'static str]) -> Self {
        Self { heading: heading.to_vec(), rows: Vec::new() }
    }

    /// Adds a row with a cell for each column of the heading.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        let heading = self.heading.get(column).map_or(0, |text| text.len());
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0).max(heading)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dim = Style::new().effects(Effects::DIMMED);
        let widths: Vec<_> = (0..self.heading.len()).map(|column| self.width(column)).collect();
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let mut line = String::from(" ");
            for (cell, width) in cells.zip(&widths) {
                line.push_str(&format!(" {cell:width$} "));
            }
            line.trim_end().to_owned()
        };
        writeln!(f, "{dim}{}{dim:#}", line(&mut self.heading.iter().copied()))?;
        for row in &self.rows {
            writeln!(f, "{}", line(&mut row.iter().map(String::as_str)))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["ROUTE", "FUNCTION"]);
        table.row(["$connect".to_owned(), "a".to_owned()]);
        table.row(["x".to_owned(), "long name".to_owned()]);
        let plain = anstream::adapter::strip_str(&table.to_string()).to_string();
        assert_eq!(plain, "  ROUTE     FUNCTION\n  $connect  a\n  x         long name\n");
    }
}
