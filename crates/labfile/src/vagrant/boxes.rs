//! Which stock image a box stands for. Boxes are named by whoever made them, so the name is
//! taken apart: a distribution and its release, written in one of a few ways.

use nestlab_model::ImageName;

/// A distribution whose stock images a catalogue may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Ubuntu,
    Debian,
    Fedora,
    Alpine,
    Rocky,
    Alma,
    CentOs,
    OpenSuse,
    Arch,
}

/// What a box is, told by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Guess {
    /// A stock system of this family and release, such as `24.04`, `12` or `3.20`.
    Stock(Family, Option<String>),
    /// A system that no stock image comes near.
    Foreign(&'static str),
    Unknown,
}

/// Who publishes boxes that are a stock system and nothing else.
const PUBLISHERS: [&str; 26] = [
    "almalinux",
    "alpine",
    "alvistack",
    "bento",
    "boxcutter",
    "boxomatic",
    "chef",
    "cloud-image",
    "debian",
    "fedora",
    "generic",
    "generic-a64",
    "generic-x64",
    "geerlingguy",
    "hashicorp",
    "hashicorp-education",
    "kaorimatz",
    "koalephant",
    "minimal",
    "net9",
    "opscode",
    "peru",
    "puppetlabs",
    "roboxes",
    "ubuntu",
    "rockylinux",
];

/// Releases by the names that their makers call them.
const CODENAMES: [(&str, Family, &str); 33] = [
    ("lucid", Family::Ubuntu, "10.04"),
    ("precise", Family::Ubuntu, "12.04"),
    ("trusty", Family::Ubuntu, "14.04"),
    ("vivid", Family::Ubuntu, "15.04"),
    ("wily", Family::Ubuntu, "15.10"),
    ("xenial", Family::Ubuntu, "16.04"),
    ("yakkety", Family::Ubuntu, "16.10"),
    ("zesty", Family::Ubuntu, "17.04"),
    ("artful", Family::Ubuntu, "17.10"),
    ("bionic", Family::Ubuntu, "18.04"),
    ("cosmic", Family::Ubuntu, "18.10"),
    ("disco", Family::Ubuntu, "19.04"),
    ("eoan", Family::Ubuntu, "19.10"),
    ("focal", Family::Ubuntu, "20.04"),
    ("groovy", Family::Ubuntu, "20.10"),
    ("hirsute", Family::Ubuntu, "21.04"),
    ("impish", Family::Ubuntu, "21.10"),
    ("jammy", Family::Ubuntu, "22.04"),
    ("kinetic", Family::Ubuntu, "22.10"),
    ("lunar", Family::Ubuntu, "23.04"),
    ("mantic", Family::Ubuntu, "23.10"),
    ("noble", Family::Ubuntu, "24.04"),
    ("oracular", Family::Ubuntu, "24.10"),
    ("plucky", Family::Ubuntu, "25.04"),
    ("questing", Family::Ubuntu, "25.10"),
    ("wheezy", Family::Debian, "7"),
    ("jessie", Family::Debian, "8"),
    ("stretch", Family::Debian, "9"),
    ("buster", Family::Debian, "10"),
    ("bullseye", Family::Debian, "11"),
    ("bookworm", Family::Debian, "12"),
    ("trixie", Family::Debian, "13"),
    ("forky", Family::Debian, "14"),
];

/// Words for what the catalogue has nothing like.
const FOREIGN: [(&str, &str); 15] = [
    ("amazonlinux", "Amazon Linux"),
    ("coreos", "CoreOS"),
    ("flatcar", "Flatcar"),
    ("freebsd", "FreeBSD"),
    ("gentoo", "Gentoo"),
    ("macos", "macOS"),
    ("netbsd", "NetBSD"),
    ("nixos", "NixOS"),
    ("openbsd", "OpenBSD"),
    ("oracle", "Oracle Linux"),
    ("rhel", "Red Hat Enterprise Linux"),
    ("redhat", "Red Hat Enterprise Linux"),
    ("scientific", "Scientific Linux"),
    ("windows", "Windows"),
    ("eurolinux", "EuroLinux"),
];

impl Family {
    /// The words by which boxes name them; longer ones before those that they begin with.
    const WORDS: [(&str, Self); 11] = [
        ("ubuntu", Self::Ubuntu),
        ("debian", Self::Debian),
        ("fedora", Self::Fedora),
        ("alpine", Self::Alpine),
        ("rockylinux", Self::Rocky),
        ("rocky", Self::Rocky),
        ("almalinux", Self::Alma),
        ("alma", Self::Alma),
        ("centos", Self::CentOs),
        ("opensuse", Self::OpenSuse),
        ("archlinux", Self::Arch),
    ];

    /// How the catalogue's names of its images begin.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Ubuntu => "ubuntu",
            Self::Debian => "debian",
            Self::Fedora => "fedora",
            Self::Alpine => "alpine",
            Self::Rocky => "rocky",
            Self::Alma => "almalinux",
            Self::CentOs => "centos",
            Self::OpenSuse => "opensuse",
            Self::Arch => "arch",
        }
    }

    /// As people call it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Ubuntu => "Ubuntu",
            Self::Debian => "Debian",
            Self::Fedora => "Fedora",
            Self::Alpine => "Alpine",
            Self::Rocky => "Rocky Linux",
            Self::Alma => "AlmaLinux",
            Self::CentOs => "CentOS",
            Self::OpenSuse => "openSUSE",
            Self::Arch => "Arch Linux",
        }
    }
}

/// What a box of this name is.
pub(super) fn guess(name: &str) -> Guess {
    let name = name.to_lowercase();
    let (owner, rest) = name.split_once('/').unwrap_or(("", &name));
    if let Some((_, family, release)) = CODENAMES.iter().find(|(word, ..)| has_word(rest, word)) {
        return Guess::Stock(*family, Some((*release).to_owned()));
    }
    // `fedora/40-cloud-base` says the family in front.
    for text in [rest, owner] {
        let found = Family::WORDS.iter().find(|(word, _)| text.contains(word));
        if let Some((word, family)) = found {
            let behind = rest.split(word).last().unwrap_or(rest);
            return Guess::Stock(*family, release(*family, behind));
        }
    }
    let foreign = FOREIGN
        .iter()
        .find(|(word, _)| rest.contains(word) || owner.contains(word));
    match foreign {
        Some((_, name)) => Guess::Foreign(name),
        None if has_word(rest, "arch") => Guess::Stock(Family::Arch, None),
        None if has_word(rest, "win") => Guess::Foreign("Windows"),
        None => Guess::Unknown,
    }
}

/// Whether somebody publishes boxes under this name that are a stock system and nothing else.
pub(super) fn is_stock(name: &str) -> bool {
    match name.to_lowercase().split_once('/') {
        Some((owner, _)) => PUBLISHERS.contains(&owner),
        None => true,
    }
}

/// `jammy64` and `contrib-jammy` hold the word, `jammyx` does not.
fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphabetic())
        .any(|part| part == word)
}

/// The first number of a text, as the family writes releases: `2404`, `24.04` and `24-04`
/// are one, and so are `319`, `3.19`.
fn release(family: Family, text: &str) -> Option<String> {
    let start = text.find(|c: char| c.is_ascii_digit())?;
    let shape = |c: char| c.is_ascii_digit() || c == '.' || c == '-';
    let number = text[start..].split(|c| !shape(c)).next()?;
    let parts: Vec<&str> = number
        .split(['.', '-'])
        .filter(|part| !part.is_empty())
        .collect();
    let first = *parts.first()?;
    match family {
        Family::Ubuntu if first.len() == 4 => Some(format!("{}.{}", &first[..2], &first[2..])),
        Family::Ubuntu => match parts.get(1) {
            Some(second) if second.len() == 2 => Some(format!("{first}.{second}")),
            _ => Some(format!("{first}.04")),
        },
        Family::Alpine if first.len() > 1 => Some(format!("{}.{}", &first[..1], &first[1..])),
        Family::Alpine => Some(format!("{first}.{}", parts.get(1).unwrap_or(&"0"))),
        Family::Debian
        | Family::Fedora
        | Family::Rocky
        | Family::Alma
        | Family::CentOs
        | Family::OpenSuse
        | Family::Arch => Some(first.to_owned()),
    }
}

/// The image of the family that is nearest to a release: itself, else the next newer one,
/// else the newest.
pub(super) fn nearest<'a>(
    family: Family,
    release: Option<&str>,
    known: impl Iterator<Item = &'a ImageName>,
) -> Option<&'a ImageName> {
    let prefix = format!("{}-", family.prefix());
    let version = |name: &ImageName| key(name.as_str().strip_prefix(&prefix)?);
    let mut found: Vec<_> = known
        .filter_map(|name| Some((version(name)?, name)))
        .collect();
    found.sort();
    let wanted = release.and_then(key).unwrap_or_default();
    let newer = found
        .iter()
        .find(|(version, _)| *version >= wanted && release.is_some());
    newer.or(found.last()).map(|(_, name)| *name)
}

/// `24.04` and `24-04` as numbers that can be compared.
fn key(version: &str) -> Option<Vec<u32>> {
    version
        .split(['.', '-'])
        .map(|part| part.parse().ok())
        .collect()
}

/// Whether an image is of this release.
pub(super) fn is_release(image: &ImageName, family: Family, release: &str) -> bool {
    let version = image.as_str().strip_prefix(family.prefix());
    version.and_then(|version| key(version.trim_start_matches('-'))) == key(release)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_told_by_their_names() {
        let check = |name: &str, expected: &str| {
            let shown = match guess(name) {
                Guess::Stock(family, Some(release)) => format!("{} {release}", family.title()),
                Guess::Stock(family, None) => family.title().to_owned(),
                Guess::Foreign(name) => format!("foreign {name}"),
                Guess::Unknown => "unknown".into(),
            };
            assert_eq!(shown, expected, "{name}");
        };
        check("generic/ubuntu2404", "Ubuntu 24.04");
        check("generic-x64/ubuntu2204", "Ubuntu 22.04");
        check("bento/ubuntu-24.04", "Ubuntu 24.04");
        check("bento/ubuntu-20.04-arm64", "Ubuntu 20.04");
        check("ubuntu/noble64", "Ubuntu 24.04");
        check("ubuntu/jammy64", "Ubuntu 22.04");
        check("hashicorp/bionic64", "Ubuntu 18.04");
        check("hashicorp-education/ubuntu-24-04", "Ubuntu 24.04");
        check("cloud-image/ubuntu-26.04", "Ubuntu 26.04");
        check("alvistack/ubuntu-24.04", "Ubuntu 24.04");
        check("peru/ubuntu-22.04-server-amd64", "Ubuntu 22.04");
        check("precise32", "Ubuntu 12.04");
        check("debian/bookworm64", "Debian 12");
        check("debian/contrib-buster64", "Debian 10");
        check("generic/debian12", "Debian 12");
        check("bento/debian-13", "Debian 13");
        check("bento/debian-12.5", "Debian 12");
        check("fedora/40-cloud-base", "Fedora 40");
        check("generic/fedora39", "Fedora 39");
        check("bento/fedora-latest", "Fedora");
        check("generic/alpine319", "Alpine 3.19");
        check("generic/alpine3", "Alpine 3.0");
        check("boxomatic/alpine-3.20", "Alpine 3.20");
        check("centos/7", "CentOS 7");
        check("generic/rocky9", "Rocky Linux 9");
        check("gusztavvargadr/windows-10", "foreign Windows");
        check("StefanScherer/windows_2019", "foreign Windows");
        check("archlinux/archlinux", "Arch Linux");
        check("generic/arch", "Arch Linux");
        check("someone/elasticsearch", "unknown");
        check("laravel/homestead", "unknown");
    }

    #[test]
    fn the_nearest_release_is_taken() {
        let names = [
            "debian",
            "debian-12",
            "debian-13",
            "ubuntu-24.04",
            "ubuntu-26.04",
        ];
        let known: Vec<_> = names
            .iter()
            .filter_map(|name| ImageName::new(*name).ok())
            .collect();
        let check = |family, release, expected: Option<&str>| {
            let found = nearest(family, release, known.iter());
            assert_eq!(found.map(ImageName::as_str), expected, "{release:?}");
        };
        check(Family::Debian, Some("12"), Some("debian-12"));
        check(Family::Debian, Some("10"), Some("debian-12"));
        check(Family::Debian, Some("14"), Some("debian-13"));
        check(Family::Debian, None, Some("debian-13"));
        check(Family::Fedora, Some("40"), None);
    }
}
