//! Users and groups out of /etc: a static binary has no getpwnam.

use std::io;
use std::path::{Path, PathBuf};

/// A line of /etc/passwd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The login name.
    pub name: String,
    /// The user's number.
    pub uid: u32,
    /// The number of its first group.
    pub gid: u32,
    /// The home folder.
    pub home: PathBuf,
    /// The login shell.
    pub shell: PathBuf,
}

/// Whether this process may do what root may, in its user namespace at least.
pub fn is_root() -> bool {
    own_uid() == 0
}

/// Whether all users of the machine are users here: it is in no user namespace.
pub fn has_all_ids() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    is_root() && map.split_ascii_whitespace().eq(["0", "0", "4294967295"])
}

/// Whether this process is root of more users than itself.
pub fn has_several_ids() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let counts = map
        .lines()
        .filter_map(|line| line.split_whitespace().nth(2));
    is_root() && counts.flat_map(str::parse::<u64>).sum::<u64>() > 1
}

/// The number of the user that this process acts as.
pub fn own_uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

impl User {
    /// Finds a user by name.
    ///
    /// # Errors
    /// /etc/passwd cannot be read; `Ok(None)` if it has no such user.
    pub fn by_name(name: &str) -> io::Result<Option<Self>> {
        Ok(read(Path::new("/etc/passwd"))?
            .into_iter()
            .find(|user| user.name == name))
    }

    /// Finds a user by number.
    ///
    /// # Errors
    /// /etc/passwd cannot be read; `Ok(None)` if it has no such user.
    pub fn by_uid(uid: u32) -> io::Result<Option<Self>> {
        Ok(read(Path::new("/etc/passwd"))?
            .into_iter()
            .find(|user| user.uid == uid))
    }

    /// The numbers of all its groups, the first one first.
    pub fn groups(&self) -> Vec<u32> {
        let text = std::fs::read_to_string("/etc/group").unwrap_or_default();
        let mut groups = vec![self.gid];
        groups.extend(groups_in(&text, &self.name).filter(|gid| *gid != self.gid));
        groups
    }
}

fn read(path: &Path) -> io::Result<Vec<User>> {
    Ok(std::fs::read_to_string(path)?
        .lines()
        .filter_map(parse)
        .collect())
}

fn parse(line: &str) -> Option<User> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, uid, gid, _, home, shell] = fields[..] else {
        return None;
    };
    let or = |text: &str, other: &str| PathBuf::from(if text.is_empty() { other } else { text });
    Some(User {
        name: name.to_owned(),
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        home: or(home, "/"),
        shell: or(shell, "/bin/sh"),
    })
}

fn groups_in(text: &str, user: &str) -> impl Iterator<Item = u32> {
    text.lines().filter_map(move |line| {
        let mut fields = line.split(':').skip(2);
        let gid = fields.next()?.parse().ok()?;
        fields
            .next()?
            .split(',')
            .any(|member| member == user)
            .then_some(gid)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_parse_and_odd_ones_are_left_out() {
        let user = parse("me:x:1000:100:Me,,:/home/me:").unwrap();
        assert_eq!(
            (user.uid, user.gid, user.shell.to_str()),
            (1000, 100, Some("/bin/sh"))
        );
        assert_eq!(parse("+::::::"), None);
        let groups = "wheel:x:10:root,me\nkvm:x:36:me\nusers:x:100:\n";
        assert_eq!(groups_in(groups, "me").collect::<Vec<_>>(), [10, 36]);
    }
}
