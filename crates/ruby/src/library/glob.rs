//! Patterns of file names: `*.yml`, `**/*.rb`, `{a,b}/[cd]?`.

use crate::error::Eval;
use crate::host::Kind;
use crate::interpreter::Interpreter;
use std::path::{Path, PathBuf};

/// What a pattern means as a regular expression over a whole path.
pub(super) fn pattern(ruby: &mut Interpreter<'_>, glob: &str) -> Eval<regex::Regex> {
    ruby.step(100)?;
    let mut source = String::from("^");
    let mut chars = glob.chars().peekable();
    let mut braces = 0;
    while let Some(char) = chars.next() {
        match char {
            '*' if chars.peek() == Some(&'*') => {
                chars.next();
                match chars.peek() {
                    Some('/') => {
                        chars.next();
                        source.push_str("(?:[^/.][^/]*/)*");
                    }
                    _ => source.push_str("[^/]*"),
                }
            }
            '*' if source.ends_with(['^', '/']) => source.push_str("(?:[^/.][^/]*)?"),
            '*' => source.push_str("[^/]*"),
            '?' => source.push_str("[^/]"),
            '{' => {
                braces += 1;
                source.push_str("(?:");
            }
            '}' if braces > 0 => {
                braces -= 1;
                source.push(')');
            }
            ',' if braces > 0 => source.push('|'),
            '[' => source.push('['),
            ']' => source.push(']'),
            '-' => source.push('-'),
            '\\' => {
                let next = chars.next().unwrap_or('\\');
                source.push_str(&regex::escape(&next.to_string()));
            }
            char => source.push_str(&regex::escape(&char.to_string())),
        }
    }
    source.push('$');
    let compiled = regex::RegexBuilder::new(&source)
        .size_limit(1 << 20)
        .build();
    compiled.map_err(|_| ruby.raise("ArgumentError", format!("invalid pattern {glob:?}")))
}

/// The paths that a pattern fits, sorted; relative ones if it is relative.
pub(super) fn glob(ruby: &mut Interpreter<'_>, glob: &str, base: &Path) -> Eval<Vec<String>> {
    let glob = match glob.starts_with('~') {
        true => ruby.expand_home(glob).to_string_lossy().into_owned(),
        false => glob.to_owned(),
    };
    let root = if glob.starts_with('/') {
        PathBuf::from("/")
    } else {
        base.to_owned()
    };
    let wanted = glob.trim_start_matches("./").trim_end_matches('/');
    let expression = pattern(ruby, wanted)?;
    // The folders that are named outright are not searched.
    let fixed: Vec<&str> = wanted
        .split('/')
        .take_while(|part| !part.contains(['*', '?', '[', '{']))
        .collect();
    if fixed.len() == wanted.split('/').count() {
        let exists = ruby
            .host
            .kind(&root.join(wanted.trim_start_matches('/')))
            .is_some();
        return Ok(if exists {
            vec![glob.clone()]
        } else {
            Vec::new()
        });
    }
    let mut walk = Walk {
        expression,
        depth: match wanted.contains("**") {
            true => 12,
            false => wanted.split('/').count() - fixed.len(),
        },
        found: Vec::new(),
        hidden: wanted.contains("/.") || wanted.starts_with('.'),
    };
    let start = fixed.join("/");
    walk.folder(ruby, &root, &start, 1)?;
    let prefix = if glob.starts_with("./") { "./" } else { "" };
    let mut found: Vec<String> = walk
        .found
        .into_iter()
        .map(|path| format!("{prefix}{path}"))
        .collect();
    found.sort_unstable();
    Ok(found)
}

struct Walk {
    expression: regex::Regex,
    depth: usize,
    found: Vec<String>,
    hidden: bool,
}

impl Walk {
    fn folder(
        &mut self,
        ruby: &mut Interpreter<'_>,
        root: &Path,
        at: &str,
        depth: usize,
    ) -> Eval<()> {
        let folder = root.join(at.trim_start_matches('/'));
        let Ok(names) = ruby.host.list(&folder) else {
            return Ok(());
        };
        for name in names {
            ruby.step(20)?;
            if name.starts_with('.') && !self.hidden {
                continue;
            }
            let path = match at {
                "" if self.expression.as_str().starts_with("^/") => format!("/{name}"),
                "" => name.clone(),
                at => format!("{}/{name}", at.trim_end_matches('/')),
            };
            ruby.allocate(path.len())?;
            if self.expression.is_match(&path) {
                self.found.push(path.clone());
            }
            if depth < self.depth && ruby.host.kind(&folder.join(&name)) == Some(Kind::Folder) {
                self.folder(ruby, root, &path, depth + 1)?;
            }
        }
        Ok(())
    }
}
