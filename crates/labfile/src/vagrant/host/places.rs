//! Where the arguments of a call stand, so that a mistake in one is shown there and not at the
//! whole call. The evaluator tells of the call only; its text is cut at the commas.

/// A piece of the text, in bytes.
pub(super) type Piece = (usize, usize);

/// The arguments in a text that begins behind the name of a method: each one's name, if it has
/// one, and where its value stands. What cannot be told apart is left out.
pub(super) fn arguments(text: &str) -> Vec<(Option<String>, Piece)> {
    let cuts = cuts(text);
    let pieces = cuts.iter().map(|&(start, end)| trimmed(text, start, end));
    pieces
        .filter(|(start, end)| start < end)
        .map(|piece| named(text, piece))
        .collect()
}

/// The pieces between commas, up to the end of the arguments.
fn cuts(text: &str) -> Vec<Piece> {
    let bytes = text.as_bytes();
    let open = text.len() - text.trim_start_matches([' ', '\t']).len();
    let (mut at, base) = match bytes.get(open) {
        Some(b'(') => (open + 1, 1),
        _ => (open, 0),
    };
    let mut pieces = Vec::new();
    let (mut start, mut depth, mut quote) = (at, base, None);
    while at < bytes.len() {
        let byte = bytes[at];
        match (quote, byte) {
            (Some(_), b'\\') => at += 1,
            (Some(open), byte) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'(' | b'[') => depth += 1,
            // Of a block, or of a map that is an argument.
            (None, b'{') if depth == base && !after_comma(text, start, at) => break,
            (None, b'{') => depth += 1,
            (None, b')' | b']' | b'}') if depth <= base => break,
            (None, b')' | b']' | b'}') => depth -= 1,
            (None, b',') if depth == base => {
                pieces.push((start, at));
                start = at + 1;
            }
            (None, b'#') => {
                let end = at + text[at..].find('\n').unwrap_or(text.len() - at);
                if text[start..at].trim().is_empty() {
                    start = end;
                }
                at = end.saturating_sub(1).max(at);
            }
            (None, b'\n') if base == 0 && depth == 0 && !text[start..at].trim().is_empty() => break,
            (None, b'd') if depth == base && is_do(text, at) => break,
            _ => {}
        }
        at += 1;
    }
    pieces.push((start, at.min(text.len())));
    pieces
}

/// Whether nothing but a name stands between the last comma and a brace.
fn after_comma(text: &str, start: usize, brace: usize) -> bool {
    let before = text[start..brace].trim();
    before.is_empty() && start > 0 || before.ends_with(':') || before.ends_with("=>")
}

fn is_do(text: &str, at: usize) -> bool {
    let before = text[..at].ends_with([' ', '\n', ')']);
    let rest = &text[at..];
    before && rest.starts_with("do") && rest[2..].starts_with([' ', '\n', '|', '\r'])
}

fn trimmed(text: &str, start: usize, end: usize) -> Piece {
    let piece = &text[start..end];
    let start = start + (piece.len() - piece.trim_start().len());
    (start, start + piece.trim().len())
}

/// Takes `name:`, `"name":`, `:name =>` or `"name" =>` off.
fn named(text: &str, (start, end): Piece) -> (Option<String>, Piece) {
    let piece = &text[start..end];
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let bare = piece.trim_start_matches([':', '"', '\'']);
    let length = bare.find(|c| !word(c)).unwrap_or(bare.len());
    let (name, rest) = bare.split_at(length);
    let rest = rest.trim_start_matches(['"', '\'']).trim_start();
    let symbol = piece.starts_with(':');
    let value = rest.strip_prefix("=>").or_else(|| {
        rest.strip_prefix(':')
            .filter(|rest| !symbol && !rest.starts_with(':'))
    });
    match value {
        Some(value) if !name.is_empty() => {
            let behind = end - value.len();
            (Some(name.to_owned()), trimmed(text, behind, end))
        }
        _ => (None, (start, end)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_cut_at_their_commas() {
        let check = |text: &str, expected: &str| {
            let found: Vec<_> = arguments(text)
                .into_iter()
                .map(|(name, (start, end))| match name {
                    Some(name) => format!("{name}={}", &text[start..end]),
                    None => text[start..end].to_owned(),
                })
                .collect();
            assert_eq!(found.join(" | "), expected, "{text}");
        };
        check(" \"a\", ip: \"1,2\"", "\"a\" | ip=\"1,2\"");
        check(
            " :a, :ip => \"b\", 'c' => [1, 2]",
            ":a | ip=\"b\" | c=[1, 2]",
        );
        check("(\"a\", b: { c: 1 }) do |x|", "\"a\" | b={ c: 1 }");
        check(
            " name, primary: true do |m|\n m.x 1, 2\nend",
            "name | primary=true",
        );
        check("(:a) { |m| m.x 1 }", ":a");
        check(" \"a\",\n  b: 1, # one, two\n  c: 2\n", "\"a\" | b=1 | c=2");
        check(
            " \"a\", inline: <<-X, run: \"always\"\nfoo, bar\nX\n",
            "\"a\" | inline=<<-X | run=\"always\"",
        );
        check("", "");
        check(" \"open", "\"open");
    }
}
