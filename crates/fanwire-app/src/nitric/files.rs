//! Which files a pattern such as `services/*.ts` means.

use std::path::{Path, PathBuf};

/// Folders that are never looked into.
const LEFT_OUT: [&str; 3] = ["node_modules", ".git", ".fanwire"];

/// Entries of folders that are looked at for one pattern.
const MAX_ENTRIES: usize = 20_000;

/// How deep `**` goes.
const MAX_DEPTH: usize = 16;

/// The files below a folder that a pattern means, relative to it, in the order of their
/// names. `*` and `?` stand for letters of one name, `**` for any folders, `{a,b}` for one
/// of several texts.
pub(super) fn matching(folder: &Path, pattern: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = MAX_ENTRIES;
    for pattern in alternatives(pattern.trim_start_matches("./")) {
        let parts: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty()).collect();
        walk(folder, Path::new(""), &parts, 0, &mut left, &mut found);
    }
    found.sort();
    found.dedup();
    found
}

fn walk(
    root: &Path,
    at: &Path,
    parts: &[&str],
    depth: usize,
    left: &mut usize,
    found: &mut Vec<PathBuf>,
) {
    let Some((first, rest)) = parts.split_first() else { return };
    if depth > MAX_DEPTH {
        return;
    }
    if *first == "**" {
        walk(root, at, rest, depth, left, found);
    }
    let Ok(entries) = std::fs::read_dir(root.join(at)) else { return };
    for entry in entries.flatten() {
        if *left == 0 {
            return;
        }
        *left -= 1;
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| !LEFT_OUT.contains(name)) else { continue };
        let path = at.join(name);
        let is_folder = root.join(&path).is_dir();
        match *first {
            "**" if is_folder => walk(root, &path, parts, depth + 1, left, found),
            "**" => {}
            part if !is_like(part, name) => {}
            _ if is_folder => walk(root, &path, rest, depth + 1, left, found),
            _ if rest.is_empty() => found.push(path),
            _ => {}
        }
    }
}

/// Whether a name is what a part of a pattern says.
fn is_like(part: &str, name: &str) -> bool {
    let (part, name): (Vec<char>, Vec<char>) = (part.chars().collect(), name.chars().collect());
    // The place of the last `*`, and how much of the name it has taken.
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match part.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some('?') => (p, n) = (p + 1, n + 1),
            Some(letter) if *letter == name[n] => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, n) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    part[p..].iter().all(|letter| *letter == '*')
}

/// The patterns that one with `{a,b}` stands for. Braces within braces are letters.
fn alternatives(pattern: &str) -> Vec<String> {
    let parts = pattern.split_once('{').and_then(|(before, rest)| {
        let (inner, after) = rest.split_once('}')?;
        Some((before, inner, after))
    });
    let Some((before, inner, after)) = parts else { return vec![pattern.to_owned()] };
    let tails = alternatives(after);
    let each = |word: &str| tails.iter().map(|tail| format!("{before}{word}{tail}")).collect();
    inner.split(',').flat_map(|word| -> Vec<String> { each(word) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_files_and_not_packages() {
        let folder = tempfile::tempdir().unwrap();
        for file in [
            "services/b.ts",
            "services/a.ts",
            "services/a.py",
            "services/deep/er/c.ts",
            "services/node_modules/d.ts",
            "main.ts",
        ] {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let found = |pattern: &str| {
            let found = matching(folder.path(), pattern);
            found.iter().map(|path| path.to_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(found("services/*.ts"), "services/a.ts services/b.ts");
        assert_eq!(found("./services/a.{ts,py}"), "services/a.py services/a.ts");
        assert_eq!(found("services/?.py"), "services/a.py");
        assert_eq!(found("**/*.ts"), "main.ts services/a.ts services/b.ts services/deep/er/c.ts");
        assert_eq!(found("services/**/c.ts"), "services/deep/er/c.ts");
        assert_eq!(found("functions/*.ts"), "");
    }

    #[test]
    fn stars_stand_for_any_letters() {
        for (part, name, expected) in [
            ("*", "", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b", "a-c", false),
            ("*.ts", ".ts", true),
            ("?", "é", true),
            ("a", "ab", false),
        ] {
            assert_eq!(is_like(part, name), expected, "{part} {name}");
        }
    }
}
