//! The text of the files in /etc that we own in part.

use nestlab_api::message::Configure;
use std::fmt::Write;
use std::net::IpAddr;

const BEGIN: &str = "# nestlab: begin";
const END: &str = "# nestlab: end";

/// /etc/hosts with our section renewed and everything else kept.
pub(super) fn hosts(before: &str, wanted: &Configure) -> String {
    let mut text = String::new();
    let mut ours = false;
    for line in before.lines() {
        ours |= line == BEGIN;
        if !ours {
            text.push_str(line);
            text.push('\n');
        }
        ours &= line != END;
    }
    if !text.lines().any(|line| line.starts_with("127.0.0.1")) {
        text.insert_str(
            0,
            "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n",
        );
    }
    let _ = writeln!(text, "{BEGIN}");
    for entry in &wanted.hosts {
        let _ = writeln!(text, "{} {}", entry.address, entry.names.join(" "));
    }
    let own = |entry: &&nestlab_api::message::HostEntry| entry.names.contains(&wanted.hostname);
    if !wanted.hosts.iter().any(|entry| own(&entry)) {
        // Debian's habit for a machine without a fixed address.
        let _ = writeln!(text, "127.0.1.1 {}", wanted.hostname);
    }
    let _ = writeln!(text, "{END}");
    text
}

/// /etc/resolv.conf
pub(super) fn resolvers(addresses: &[IpAddr]) -> String {
    addresses
        .iter()
        .map(|address| format!("nameserver {address}\n"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nestlab_api::message::HostEntry;

    fn wanted(names: &[&str]) -> Configure {
        let hosts = names.iter().map(|name| HostEntry {
            address: "10.1.1.1".parse().unwrap(),
            names: vec![(*name).to_owned(), format!("{name}.mesh")],
        });
        Configure {
            hostname: "me".into(),
            hosts: hosts.collect(),
            ..Configure::default()
        }
    }

    #[test]
    fn our_section_is_renewed_and_the_rest_kept() {
        let once = hosts(
            "127.0.0.1 localhost\n10.0.0.9 theirs\n",
            &wanted(&["a", "me"]),
        );
        insta::assert_snapshot!(once, @r"
        127.0.0.1 localhost
        10.0.0.9 theirs
        # nestlab: begin
        10.1.1.1 a a.mesh
        10.1.1.1 me me.mesh
        # nestlab: end
        ");
        insta::assert_snapshot!(hosts(&once, &wanted(&["b"])), @r"
        127.0.0.1 localhost
        10.0.0.9 theirs
        # nestlab: begin
        10.1.1.1 b b.mesh
        127.0.1.1 me
        # nestlab: end
        ");
        assert_eq!(hosts(&once, &wanted(&["a", "me"])), once);
        assert!(hosts("", &wanted(&[])).starts_with("127.0.0.1 localhost\n::1"));
    }
}
