//! Where this machine gets its Debian packages from.

use std::path::Path;

/// The Debian archive's keyring, where it is installed.
pub(crate) const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// One source of packages.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Source {
    uri: String,
    suites: Vec<String>,
}

/// The mirror for a suite from this machine's own configuration; `None` where
/// it is not a Debian, whose mirror would hold something else.
pub(crate) fn mirror(suite: &str) -> Option<String> {
    let release = std::fs::read_to_string("/etc/os-release").ok()?;
    if !release
        .lines()
        .any(|line| matches!(line, "ID=debian" | "ID=\"debian\""))
    {
        return None;
    }
    choose(&sources(Path::new("/etc/apt")), suite)
}

/// One that has the suite itself, else one that has Debian's own at all.
fn choose(sources: &[Source], suite: &str) -> Option<String> {
    let archive = |source: &&Source| source.suites.iter().any(|s| SUITES.contains(&s.as_str()));
    let exact = sources
        .iter()
        .find(|source| source.suites.iter().any(|s| s == suite));
    exact
        .or_else(|| sources.iter().find(archive))
        .map(|source| source.uri.clone())
}

/// Suites by which one knows a mirror of the Debian archive.
const SUITES: [&str; 9] = [
    "bullseye", "bookworm", "trixie", "forky", "duke", "stable", "testing", "unstable", "sid",
];

fn sources(folder: &Path) -> Vec<Source> {
    let parts = std::fs::read_dir(folder.join("sources.list.d"))
        .into_iter()
        .flatten()
        .flatten();
    let mut files: Vec<_> = parts.map(|entry| entry.path()).collect();
    files.push(folder.join("sources.list"));
    files.sort();
    files
        .iter()
        .filter_map(|path| Some((path, std::fs::read_to_string(path).ok()?)))
        .flat_map(
            |(path, text)| match path.extension().and_then(|e| e.to_str()) {
                Some("sources") => deb822(&text),
                Some("list") => one_line(&text),
                _ => Vec::new(),
            },
        )
        // Nobody else can read this machine's discs.
        .filter(|source| !source.uri.starts_with("cdrom:"))
        .collect()
}

/// The format of `*.sources` (sources.list(5)): paragraphs of fields.
fn deb822(text: &str) -> Vec<Source> {
    text.split("\n\n")
        .filter_map(|paragraph| {
            let field = |name: &str| {
                paragraph.lines().find_map(|line| {
                    let (key, value) = line.split_once(':')?;
                    key.eq_ignore_ascii_case(name)
                        .then(|| value.trim().to_owned())
                })
            };
            let usable = field("Types")?.split_whitespace().any(|kind| kind == "deb")
                && field("Enabled").is_none_or(|enabled| enabled != "no");
            let uri = field("URIs")?.split_whitespace().next()?.to_owned();
            let suites = field("Suites")?
                .split_whitespace()
                .map(str::to_owned)
                .collect();
            usable.then_some(Source { uri, suites })
        })
        .collect()
}

/// The format of `*.list`: `deb [options] URI SUITE COMPONENT…`.
fn one_line(text: &str) -> Vec<Source> {
    text.lines()
        .filter_map(|line| {
            let rest = line.trim().strip_prefix("deb ")?.trim_start();
            let rest = match rest.strip_prefix('[') {
                Some(options) => options.split_once(']')?.1,
                None => rest,
            };
            let mut words = rest.split_whitespace();
            let (uri, suite) = (words.next()?, words.next()?);
            Some(Source {
                uri: uri.to_owned(),
                suites: vec![suite.to_owned()],
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_are_read() {
        let modern = deb822(
            "Types: deb\n# a comment\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-updates\nComponents: main\n\nTypes: deb-src\nURIs: http://x\nSuites: sid\n",
        );
        assert_eq!(modern.len(), 1);
        assert_eq!(modern[0].suites, ["bookworm", "bookworm-updates"]);
        let old = one_line(
            "# deb http://no sid main\ndeb [arch=amd64] http://mirror.example/debian trixie main\n",
        );
        assert_eq!(old[0].uri, "http://mirror.example/debian");
        assert_eq!(old[0].suites, ["trixie"]);
    }

    #[test]
    fn the_right_mirror_is_chosen() {
        let source = |uri: &str, suite: &str| Source {
            uri: uri.into(),
            suites: vec![suite.into()],
        };
        let all = [
            source("other", "nodistro"),
            source("security", "bookworm-security"),
            source("main", "bookworm"),
        ];
        assert_eq!(choose(&all, "bookworm").as_deref(), Some("main"));
        assert_eq!(choose(&all, "bullseye").as_deref(), Some("main"));
        assert_eq!(choose(&all[..2], "bullseye"), None);
    }
}
