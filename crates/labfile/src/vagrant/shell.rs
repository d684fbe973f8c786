//! Shell scripts as Vagrant runs them: by bash, as root or as the box's user, with arguments
//! that a shell has split.

use std::fmt::Write;

/// What a script without a first line of its own is run by: Vagrant's default.
const BASH: &str = "#!/bin/bash";

/// How a script is to be run.
pub(super) struct Run<'a> {
    pub args: Args,
    pub env: &'a [(String, String)],
    /// `None` for root.
    pub user: Option<&'a str>,
}

/// Arguments: words, or a text that the node's shell has to split and fill in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Args {
    Words(Vec<String>),
    Text(String),
}

impl Args {
    /// Of one text.
    pub fn split(text: &str) -> Self {
        match words(text) {
            Some(words) => Self::Words(words),
            None => Self::Text(text.to_owned()),
        }
    }

    pub fn is_empty(&self) -> bool {
        match self {
            Self::Words(words) => words.is_empty(),
            Self::Text(text) => text.trim().is_empty(),
        }
    }

    /// As they stand in a command line.
    fn line(&self) -> String {
        match self {
            Self::Words(words) => words
                .iter()
                .map(|word| quote(word))
                .collect::<Vec<_>>()
                .join(" "),
            Self::Text(text) => text.clone(),
        }
    }
}

/// The words of a command line, if a shell would do no more than split it.
fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (Some('"'), '$' | '`' | '\\') => return None,
            (Some(_), letter) => word.get_or_insert_default().push(letter),
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, '\\') => word.get_or_insert_default().push(letters.next()?),
            (None, '$' | '`' | '*' | '?' | '~' | '|' | '&' | ';' | '<' | '>' | '(' | ')' | '#') => {
                return None;
            }
            (None, letter) if letter.is_whitespace() => words.extend(word.take()),
            (None, letter) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

/// A word that a shell reads back as it is.
pub(super) fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The text of a script with a first line; lines end as Unix has them.
pub(super) fn program(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    if text.starts_with("#!") {
        text
    } else {
        format!("{BASH}\n{text}")
    }
}

/// A program that runs the file `file` of the node.
pub(super) fn runner(file: &str, by_bash: bool, run: &Run<'_>) -> String {
    format!("{BASH}\n{}\n", command(file, by_bash, run))
}

/// A program that puts `text` into a file of the node and runs it.
pub(super) fn carrier(file: &str, text: &str, run: &Run<'_>) -> String {
    let text = program(text);
    let end = ending(&text);
    let folder = file.rsplit_once('/').map_or("/", |(folder, _)| folder);
    let line = if text.ends_with('\n') { "" } else { "\n" };
    format!(
        "{BASH}\nmkdir -p {folder}\ncat > {file} <<'{end}'\n{text}{line}{end}\nchmod 0755 {file}\n{}\n",
        command(file, false, run)
    )
}

/// A program that fetches a script and runs it.
pub(super) fn fetcher(file: &str, url: &str, run: &Run<'_>) -> String {
    let folder = file.rsplit_once('/').map_or("/", |(folder, _)| folder);
    let url = quote(url);
    format!(
        "{BASH}\nset -e\nmkdir -p {folder}\ncurl -fsSL -o {file} {url} || wget -qO {file} {url}\nchmod 0755 {file}\n{}\n",
        command(file, true, run)
    )
}

/// A word that is no line of the text.
fn ending(text: &str) -> String {
    let mut end = "END-OF-SCRIPT".to_owned();
    while text.lines().any(|line| line == end) {
        end.push('-');
    }
    end
}

fn command(file: &str, by_bash: bool, run: &Run<'_>) -> String {
    let mut line = String::new();
    if by_bash {
        line.push_str("bash ");
    }
    line.push_str(file);
    if !run.args.is_empty() {
        let _ = write!(line, " {}", run.args.line());
    }
    let Some(user) = run.user else {
        return format!("exec {line}");
    };
    // `su` begins with a clean environment.
    let env: String = run.env.iter().fold(String::new(), |mut all, (key, value)| {
        let _ = write!(all, "{key}={} ", quote(value));
        all
    });
    format!(
        "exec su -l {} -c {}",
        quote(user),
        quote(&format!("{env}{line}"))
    )
}

/// A program that makes sure of the user that every box of Vagrant has.
pub(super) fn user(name: &str) -> String {
    let name = quote(name);
    format!(
        "#!/bin/sh
# Boxes of Vagrant have this user, who may become root without a password.
if ! id {name} >/dev/null 2>&1; then
  useradd -m -s /bin/bash {name} 2>/dev/null || adduser -D {name}
fi
mkdir -p /etc/sudoers.d
echo {name} 'ALL=(ALL) NOPASSWD:ALL' > /etc/sudoers.d/{name}
chmod 0440 /etc/sudoers.d/{name}
home=$(awk -F: -v user={name} '$1 == user {{ print $6 }}' /etc/passwd)
[ -d \"$home\" ] || mkdir -p \"$home\"
chown -R {name}: \"$home\"
"
    )
}

/// A program that gives a node a further address where it has one already.
pub(super) fn address(first: &str, address: &str) -> String {
    let (first, address) = (quote(first), quote(address));
    format!(
        "#!/bin/sh
device=$(ip -o -4 addr | awk -v ip={first} '{{ sub(\"/.*\", \"\", $4) }} $4 == ip {{ print $2; exit }}')
ip addr replace {address} dev \"$device\"
"
    )
}

/// A program that gives a file to a user.
pub(super) fn owner(user: &str, path: &str) -> String {
    format!("#!/bin/sh\nchown -R {}: {}\n", quote(user), quote(path))
}

/// A program that gives a node a name other than Nestlab's.
pub(super) fn hostname(name: &str) -> String {
    let short = name.split('.').next().unwrap_or(name);
    let names = if short == name {
        short.to_owned()
    } else {
        format!("{name} {short}")
    };
    format!(
        "#!/bin/sh
hostname {short} 2>/dev/null || true
echo {short} > /etc/hostname
grep -qw {name} /etc/hosts || echo 127.0.1.1 {names} >> /etc/hosts
"
    )
}

/// A program that starts a container's command and leaves it running.
pub(super) fn service(words: &[String]) -> String {
    let line = words
        .iter()
        .map(|word| quote(word))
        .collect::<Vec<_>>()
        .join(" ");
    format!("#!/bin/sh\nnohup {line} > /var/log/command.log 2>&1 &\n")
}

/// Whether a script speaks of the user `vagrant`, and not only of the folder `/vagrant`.
pub(super) fn mentions_user(text: &str) -> bool {
    text.match_indices("vagrant").any(|(at, _)| {
        let before = &text[..at];
        !before.ends_with('/') || before.ends_with("home/")
    })
}

/// The second interface of a box, if a script speaks of it: Vagrant's first one is its own.
pub(super) fn mentions_interface(text: &str) -> Option<&'static str> {
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let whole = |name: &&str| {
        text.match_indices(*name).any(|(at, _)| {
            let (before, behind) = (&text[..at], &text[at + name.len()..]);
            !before.ends_with(letter) && !behind.starts_with(letter)
        })
    };
    ["eth1", "enp0s8"].into_iter().find(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_split_as_a_shell_does() {
        let check = |text: &str, expected: Option<&[&str]>| {
            let found = words(text);
            let found: Option<Vec<&str>> = found
                .as_ref()
                .map(|words| words.iter().map(String::as_str).collect());
            assert_eq!(found.as_deref(), expected, "{text}");
        };
        check("a b", Some(&["a", "b"]));
        check(" a  'b c' \"d e\"f ''", Some(&["a", "b c", "d ef", ""]));
        check(r"a\ b", Some(&["a b"]));
        check("$HOME x", None);
        check("'$HOME' x", Some(&["$HOME", "x"]));
        check("\"$HOME\"", None);
        check("'open", None);
        check("", Some(&[]));
    }

    #[test]
    fn the_user_is_told_from_the_folder() {
        assert!(mentions_user("usermod -aG docker vagrant"));
        assert!(mentions_user("cp x /home/vagrant/.bashrc"));
        assert!(!mentions_user("sh /vagrant/setup.sh"));
        assert!(!mentions_user("cd /vagrant && ls"));
    }

    #[test]
    fn interfaces_are_whole_words() {
        assert_eq!(mentions_interface("--iface=eth1 --x"), Some("eth1"));
        assert_eq!(mentions_interface("ip addr show enp0s8"), Some("enp0s8"));
        assert_eq!(mentions_interface("veth1 eth10"), None);
    }

    #[test]
    fn a_user_runs_what_he_is_given() {
        let env = [("A".to_owned(), "it's".to_owned())];
        let run = Run {
            args: Args::Words(vec!["x y".into()]),
            env: &env,
            user: Some("vagrant"),
        };
        insta::assert_snapshot!(carrier("/run/x", "echo $1", &run), @r##"
#!/bin/bash
mkdir -p /run
cat > /run/x <<'END-OF-SCRIPT'
#!/bin/bash
echo $1
END-OF-SCRIPT
chmod 0755 /run/x
exec su -l vagrant -c 'A='\''it'\''\'\'''\''s'\'' /run/x '\''x y'\'''
"##);
    }
}
