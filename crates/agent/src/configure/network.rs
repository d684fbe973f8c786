//! Addresses and routes: one run of `ip -batch -`.

use crate::rejection::Rejection;
use nestlab_api::message::{Configure, InterfaceConfig};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// How long `ip` may take.
const DEADLINE: Duration = Duration::from_secs(20);

/// Sets what differs from what was set before in this boot.
pub(super) async fn apply(before: Option<&Configure>, wanted: &Configure) -> Result<(), Rejection> {
    let same = before.is_some_and(|before| {
        before.interfaces == wanted.interfaces && before.gateway == wanted.gateway
    });
    if same || (wanted.interfaces.is_empty() && wanted.gateway.is_none()) {
        return Ok(());
    }
    let names = cards(Path::new("/sys/class/net"));
    let batch = plan(before, wanted, &names)?;
    run(&batch).await
}

/// The names of network cards by Ethernet address.
fn cards(folder: &Path) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            // A bridge borrows the address of a card; only cards have a device.
            entry.path().join("device").exists().then_some(())?;
            let address = std::fs::read_to_string(entry.path().join("address")).ok()?;
            Some((
                address.trim().to_ascii_lowercase(),
                entry.file_name().into_string().ok()?,
            ))
        })
        .collect()
}

fn plan(
    before: Option<&Configure>,
    wanted: &Configure,
    names: &BTreeMap<String, String>,
) -> Result<String, Rejection> {
    let mut batch = String::from("link set dev lo up\n");
    let mut seen = BTreeSet::new();
    for interface in &wanted.interfaces {
        let known = |mac: &String| names.get(&mac.to_ascii_lowercase());
        let renamed = || interface.was.as_ref().and_then(known);
        let own = known(&interface.mac);
        let name = own.or_else(renamed).ok_or_else(|| {
            let there: Vec<_> = names.keys().cloned().collect();
            let mac = &interface.mac;
            Rejection::bad(format!(
                "There is no network card {mac}; there are: {}",
                there.join(", ")
            ))
        })?;
        if own.is_none() {
            let _ = writeln!(batch, "link set dev {name} address {}", interface.mac);
        }
        // A clone still has the addresses of its origin.
        if seen.insert(name) && before.is_some() {
            let _ = writeln!(batch, "address flush dev {name} scope global");
        }
        set_interface(&mut batch, name, interface);
    }
    if let Some(gateway) = wanted.gateway {
        let family = if gateway.is_ipv6() { "-6 " } else { "" };
        let _ = writeln!(batch, "{family}route replace default via {gateway}");
    }
    Ok(batch)
}

fn set_interface(batch: &mut String, name: &str, interface: &InterfaceConfig) {
    let InterfaceConfig { address, mtu, .. } = interface;
    let _ = writeln!(batch, "link set dev {name} mtu {mtu} up");
    // Our addresses are unique: IPv6 need not wait to find that out.
    let option = if address.addr().is_ipv6() {
        " nodad"
    } else {
        ""
    };
    let _ = writeln!(batch, "address replace {address} dev {name}{option}");
}

async fn run(batch: &str) -> Result<(), Rejection> {
    let missing = |error| {
        Rejection::io("Cannot run `ip`")(error).hint("Add the package `iproute2` to the image")
    };
    // `ip -batch -` accepts no family within a line, so IPv6 routes go alone.
    let (v6, v4): (Vec<&str>, Vec<&str>) = batch.lines().partition(|line| line.starts_with("-6 "));
    for (family, lines) in [(None, v4), (Some("-6"), v6)] {
        if lines.is_empty() {
            continue;
        }
        let text: String = lines
            .iter()
            .map(|line| format!("{}\n", line.trim_start_matches("-6 ")))
            .collect();
        let mut child = Command::new("ip")
            .args(family)
            .args(["-batch", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(missing)?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin
                .write_all(text.as_bytes())
                .await
                .map_err(Rejection::io("Cannot speak to `ip`"))?;
        }
        let output = tokio::time::timeout(DEADLINE, child.wait_with_output())
            .await
            .map_err(|_| Rejection::bad("`ip` did not end in 20 s"))?
            .map_err(Rejection::io("Cannot run `ip`"))?;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(Rejection::bad(format!(
                "Cannot set the network: {words}\n{text}"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_routes_become_a_batch() {
        let names = BTreeMap::from([("52:54:00:00:00:01".into(), "eth0".into())]);
        let mut wanted = Configure {
            interfaces: vec![InterfaceConfig {
                mac: "52:54:00:00:00:01".into(),
                address: "10.10.10.11/24".parse().unwrap(),
                mtu: 1400,
                was: None,
            }],
            gateway: Some("10.10.10.1".parse().unwrap()),
            ..Configure::default()
        };
        insta::assert_snapshot!(plan(None, &wanted, &names).unwrap(), @r"
        link set dev lo up
        link set dev eth0 mtu 1400 up
        address replace 10.10.10.11/24 dev eth0
        route replace default via 10.10.10.1
        ");
        let again = plan(Some(&Configure::default()), &wanted, &names).unwrap();
        assert!(again.contains("address flush dev eth0 scope global"));
        wanted.interfaces[0].mac = "52:54:00:00:00:02".into();
        let error = plan(None, &wanted, &names).unwrap_err();
        assert!(format!("{error:?}").contains("there are: 52:54:00:00:00:01"));
        // The card of a clone is given its own address first.
        wanted.interfaces[0].was = Some("52:54:00:00:00:01".into());
        let batch = plan(None, &wanted, &names).unwrap();
        assert!(
            batch.contains("link set dev eth0 address 52:54:00:00:00:02\nlink set dev eth0 mtu")
        );
    }
}
