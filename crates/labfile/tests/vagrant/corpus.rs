//! The corpus: small Vagrantfiles for every construct, and some as people write them.
//!
//! A file of the corpus holds cases, each begun by a line `### NAME [provider=P] [env:K=V]…`,
//! then the Vagrantfile, then the files beside it, each begun by `--- PATH`.

use nestlab_labfile::{MemoryFiles, Settings, VagrantSettings};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// One case.
pub struct Case {
    pub name: String,
    /// The provider that real Vagrant is asked for.
    pub provider: String,
    pub env: BTreeMap<String, String>,
    /// Paths, the Vagrantfile's included, with their texts.
    pub files: Vec<(String, String)>,
}

const GROUPS: [(&str, &str); 6] = [
    ("scopes", include_str!("corpus/scopes.txt")),
    ("networks", include_str!("corpus/networks.txt")),
    ("providers", include_str!("corpus/providers.txt")),
    ("provisioners", include_str!("corpus/provisioners.txt")),
    ("ruby", include_str!("corpus/ruby.txt")),
    ("worlds", include_str!("corpus/worlds.txt")),
];

/// All cases, group by group.
pub fn groups() -> Vec<(&'static str, Vec<Case>)> {
    GROUPS
        .iter()
        .map(|(name, text)| (*name, cases(text)))
        .collect()
}

fn cases(text: &str) -> Vec<Case> {
    let mut all = Vec::new();
    for block in text.split("### ").filter(|block| !block.is_empty()) {
        let (head, rest) = block.split_once('\n').unwrap_or((block, ""));
        let mut words = head.split_whitespace();
        let mut case = Case {
            name: words.next().unwrap_or_default().to_owned(),
            provider: "libvirt".to_owned(),
            env: BTreeMap::new(),
            files: Vec::new(),
        };
        for word in words {
            let (key, value) = word.split_once('=').expect("KEY=VALUE");
            match key.strip_prefix("env:") {
                Some(key) => drop(case.env.insert(key.to_owned(), value.to_owned())),
                None => case.provider = value.to_owned(),
            }
        }
        case.files = files(rest);
        all.push(case);
    }
    all
}

fn files(text: &str) -> Vec<(String, String)> {
    let mut files = vec![("Vagrantfile".to_owned(), String::new())];
    let mut dos = false;
    for line in text.lines() {
        if let Some(head) = line.strip_prefix("--- ") {
            let path = head.strip_suffix(" crlf").unwrap_or(head);
            dos = path != head;
            files.push((path.to_owned(), String::new()));
            continue;
        }
        let (_, text) = files.last_mut().expect("the Vagrantfile is first");
        text.push_str(line);
        text.push_str(if dos { "\r\n" } else { "\n" });
    }
    files
}

/// Settings with a few images that stay the same, whatever the catalogue learns.
pub fn settings() -> Settings {
    let mut settings = Settings::default();
    let names = [
        "debian",
        "debian-12",
        "debian-13",
        "hypervisor",
        "ubuntu-24.04",
        "ubuntu-26.04",
    ];
    settings
        .images
        .retain(|name, _| names.contains(&name.as_str()));
    assert_eq!(
        settings.images.len(),
        names.len(),
        "all of them are built in"
    );
    settings
}

impl Case {
    /// Its files, in the folder `/lab`.
    pub fn memory(&self) -> MemoryFiles {
        let files = self.files.iter();
        files.fold(MemoryFiles::new(), |all, (path, text)| {
            all.with(Path::new("/lab").join(path), text.as_str())
        })
    }

    pub fn settings(&self) -> Settings {
        let mut settings = settings();
        let mut env = self.env.clone();
        env.insert("HOME".to_owned(), "/home/me".to_owned());
        // What real Vagrant has here, so that both are asked the same.
        let plugins = BTreeSet::from(["vagrant-libvirt".to_owned()]);
        settings.vagrant = VagrantSettings {
            env,
            plugins,
            ..VagrantSettings::default()
        };
        settings
    }

    pub fn text(&self) -> &str {
        &self.files[0].1
    }
}
