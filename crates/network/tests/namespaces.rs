//! Real namespaces, bridges, taps, rules and gateways. A program of its own
//! rather than a libtest one, because it is also its own keeper: started as
//! `namespaces __keeper ID` it becomes one while it is single-threaded.

use nestlab_model::{BitRate, Layer, Mac, Network, NetworkMode, NetworkName, Node, NodeName};
use nestlab_network::{Cable, Gateway, LabNamespace, LayerNetwork, NetworkError, Place};
use nestlab_sys::namespace::Namespaces;
use nestlab_sys::proc;
use std::ffi::OsString;
use std::io::Write;
use std::process::Output;
use std::time::Instant;
use tokio::process::Command;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if arguments.get(1).is_some_and(|word| word == "__keeper") {
        let Err(error) = nestlab_sys::keeper::run(arguments.into_iter().skip(2));
        say(&format!("keeper: {error}"));
        std::process::exit(1);
    }
    if arguments.get(1).is_some_and(|word| word == "__probe") {
        let word = |at: usize| {
            arguments
                .get(at)
                .and_then(|word| word.to_str())
                .unwrap_or_default()
        };
        std::process::exit(i32::from(!probe(word(2), word(3).parse().ok())));
    }
    if arguments.get(1).is_some_and(|word| word == "__take") {
        return take();
    }
    if arguments.get(1).is_some_and(|word| word == "__pour") {
        let address = arguments[2].to_str().expect("an address is text");
        return say_out(&pour(address).as_millis().to_string());
    }
    if arguments.get(1).is_some_and(|word| word == "--list") {
        return;
    }
    let rootless = arguments.get(1).is_some_and(|word| word == "--rootless");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    let before = machine();
    let mut failed = runtime.block_on(all(if rootless { "user" } else { "root" }));
    if !rootless {
        failed |= !as_ordinary_user();
    }
    if machine() != before {
        say(&format!(
            "FAILED this machine was changed:\n{before}\n---\n{}",
            machine()
        ));
        failed = true;
    }
    std::process::exit(i32::from(failed));
}

/// Whether an address answers: to a connection if it has a port, else to a
/// datagram that may not be split, of `size` bytes with its headers. A closed
/// port that says so is an answer too.
fn probe(address: &str, size: Option<usize>) -> bool {
    use std::time::Duration;
    if let Ok(address) = address.parse() {
        return std::net::TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok();
    }
    let ask = || -> std::io::Result<bool> {
        let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
        nestlab_sys::socket::dont_fragment(&socket)?;
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        socket.connect((address, 9))?;
        let headers = 28;
        socket.send(&vec![0; size.unwrap_or(64) - headers])?;
        Ok(socket
            .recv(&mut [0])
            .is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionRefused))
    };
    ask().unwrap_or(false)
}

/// What is sent to see how long it takes, in bytes.
const LOAD: usize = 2_000_000;

/// Takes in what three others pour, until there is no more.
fn take() {
    let listener = std::net::TcpListener::bind("0.0.0.0:9000").expect("the port is free");
    for stream in listener.incoming().flatten() {
        let _ = std::io::copy(&mut &stream, &mut std::io::sink());
    }
}

/// Sends the load to an address; gives how long it took until all of it was taken.
fn pour(address: &str) -> std::time::Duration {
    let began = Instant::now();
    let mut stream = loop {
        match std::net::TcpStream::connect(address) {
            Ok(stream) => break stream,
            Err(error) if began.elapsed().as_secs() > 10 => panic!("{error}"),
            Err(_) => std::thread::sleep(std::time::Duration::from_millis(20)),
        }
    };
    let began = Instant::now();
    stream.write_all(&vec![0; LOAD]).expect("it is taken");
    stream
        .shutdown(std::net::Shutdown::Write)
        .expect("it is open");
    let _ = std::io::copy(&mut stream, &mut std::io::sink());
    began.elapsed()
}

fn say_out(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

async fn all(who: &str) -> bool {
    let mut failed = false;
    macro_rules! run {
        ($($test:ident)*) => {$(
            let began = Instant::now();
            let id = format!("t{}{}{who}", std::process::id(), stringify!($test).len());
            match $test(&id).await {
                Ok(()) => say(&format!("ok {who} {} ({:.0?})", stringify!($test), began.elapsed())),
                Err(error) => {
                    failed = true;
                    end_leftovers(&id);
                    say(&format!("FAILED {who} {}: {error:?}", stringify!($test)));
                }
            }
        )*};
    }
    run! { nodes_talk_and_networks_are_apart two_labs_share_a_subnet a_dead_keeper_is_replaced
    the_way_out_hides_this_machines_loopback up_converges rates_hold }
    failed
}

/// Ends what a failed test has left behind.
fn end_leftovers(id: &str) {
    for process in proc::find(|argv| argv.iter().any(|word| word.contains(id))) {
        if let Ok(Some(handle)) = process.open() {
            let _ = handle.signal(nestlab_sys::process::Signal::SIGKILL);
        }
    }
}

/// What of this machine must never change.
fn machine() -> String {
    let run = |program: &str, arguments: &[&str]| {
        let output = std::process::Command::new(program).args(arguments).output();
        output
            .map(|o| String::from_utf8_lossy(&o.stdout).into_owned())
            .unwrap_or_default()
    };
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    [
        run("ip", &["-br", "link"]),
        run("ip", &["-br", "addr"]),
        run("ip", &["route"]),
        run("nft", &["list", "tables"]),
        read("/proc/sys/net/ipv4/ip_forward"),
        read("/proc/sys/net/ipv6/conf/all/disable_ipv6"),
        read("/proc/sys/net/ipv6/conf/default/disable_ipv6"),
    ]
    .concat()
}

fn exe() -> String {
    let path = std::env::current_exe().expect("our own program is known");
    path.to_str().expect("its path is text").to_owned()
}

fn keeper_command(id: &str) -> Vec<OsString> {
    let program = std::env::current_exe().expect("our own program is known");
    vec![program.into(), "__keeper".into(), id.into()]
}

fn network(name: &str, subnet: &str, mode: NetworkMode, mtu: u16) -> Network {
    let subnet: ipnet::Ipv4Net = subnet.parse().expect("a subnet");
    let gateway = subnet.hosts().next().expect("a subnet has hosts").into();
    Network {
        name: NetworkName::new(name).expect("a name"),
        subnet,
        gateway,
        mtu,
        mode,
    }
}

fn layer(networks: Vec<Network>) -> Layer {
    Layer {
        networks,
        nodes: Vec::new(),
    }
}

async fn within(place: &Namespaces, script: &str) -> std::io::Result<Output> {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    place.attach(&mut command);
    command.output().await
}

/// Runs a script inside and wants it to succeed.
async fn must(place: &Namespaces, script: &str) -> Result<String, Box<dyn std::error::Error>> {
    let output = within(place, script).await?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("`{script}`: {}", String::from_utf8_lossy(&output.stderr)).into())
}

/// Runs a script inside and wants it to fail.
async fn must_not(place: &Namespaces, script: &str) -> Outcome {
    match within(place, script).await?.status.success() {
        true => Err(format!("`{script}` succeeded").into()),
        false => Ok(()),
    }
}

/// A stand-in for a machine: a namespace inside the lab's, on a veth.
async fn guest(
    place: &Namespaces,
    name: &str,
    bridge: &str,
    address: &str,
    gateway: &str,
) -> Outcome {
    // `ip netns` needs a writable /run; a mount namespace of the lab has its own.
    let script = format!(
        "mountpoint -q /run/netns || {{ mount -t tmpfs none /run; }}
         set -e
         ip netns add {name}
         ip link add v{name} mtu 1400 type veth peer name eth0 mtu 1400 netns {name}
         ip link set v{name} master {bridge} up
         ip -n {name} link set lo up
         ip -n {name} addr add {address}/24 dev eth0
         ip -n {name} link set eth0 up
         ip -n {name} route add default via {gateway}"
    );
    must(place, &script).await.map(drop)
}

async fn end(lab: LabNamespace, id: &str) -> Outcome {
    lab.destroy().await?;
    let left = proc::find(|argv| argv.iter().any(|word| word.contains(id)));
    match left.is_empty() {
        true => Ok(()),
        false => Err(format!("still running: {left:?}").into()),
    }
}

async fn nodes_talk_and_networks_are_apart(id: &str) -> Outcome {
    let began = Instant::now();
    let lab = LabNamespace::create(keeper_command(id)).await?;
    let made = began.elapsed();
    let place = lab.namespaces().clone();
    let layer = layer(vec![
        network("mesh", "10.10.10.0/24", NetworkMode::Nat, 1400),
        network("other", "10.10.20.0/24", NetworkMode::Nat, 1400),
        network("lone", "10.10.30.0/24", NetworkMode::Isolated, 1400),
    ]);
    let began = Instant::now();
    LayerNetwork::up(Place::Lab(place.clone()), id, &layer).await?;
    say(&format!(
        "  namespaces {made:.0?}, up {:.0?}",
        began.elapsed()
    ));
    let bridges = LayerNetwork::plan(&layer, id, &[]).bridges;
    guest(&place, "a", &bridges[0].1, "10.10.10.11", "10.10.10.1").await?;
    guest(&place, "b", &bridges[0].1, "10.10.10.12", "10.10.10.1").await?;
    guest(&place, "c", &bridges[1].1, "10.10.20.11", "10.10.20.1").await?;
    guest(&place, "d", &bridges[2].1, "10.10.30.11", "10.10.30.1").await?;
    let exe = exe();
    let ping = |from: &str, to: &str| format!("ip netns exec {from} {exe} __probe {to}");
    must(&place, &ping("a", "10.10.10.12")).await?;
    must(&place, &ping("a", "10.10.10.1")).await?;
    must(&place, &ping("d", "10.10.30.1")).await?;
    must(&place, &format!("{exe} __probe 10.10.30.11")).await?;
    must(&place, &ping("a", "10.10.10.12 1400")).await?;
    must_not(&place, &ping("a", "10.10.10.12 1401")).await?;
    for (from, to) in [
        ("a", "10.10.20.11"),
        ("a", "10.10.30.11"),
        ("d", "10.10.10.11"),
        ("c", "10.10.10.12"),
    ] {
        must_not(&place, &ping(from, to)).await?;
    }
    drop(place);
    end(lab, id).await
}

async fn two_labs_share_a_subnet(id: &str) -> Outcome {
    let layer = layer(vec![network("mesh", "10.0.2.0/24", NetworkMode::Nat, 1400)]);
    let mut labs = Vec::new();
    for id in [format!("{id}x"), format!("{id}y")] {
        let lab = LabNamespace::create(keeper_command(&id)).await?;
        let place = lab.namespaces().clone();
        LayerNetwork::up(Place::Lab(place.clone()), &id, &layer).await?;
        let bridge = LayerNetwork::plan(&layer, &id, &[]).bridges.remove(0).1;
        guest(&place, "a", &bridge, "10.0.2.11", "10.0.2.1").await?;
        labs.push((lab, id));
    }
    for (lab, _) in &labs {
        must(
            lab.namespaces(),
            &format!("ip netns exec a {} __probe 10.0.2.1", exe()),
        )
        .await?;
    }
    for (lab, id) in labs {
        end(lab, &id).await?;
    }
    Ok(())
}

async fn a_dead_keeper_is_replaced(id: &str) -> Outcome {
    let mut lab = LabNamespace::create(keeper_command(id)).await?;
    must(lab.namespaces(), "ip link add mark type bridge").await?;
    let kill =
        |lab: &LabNamespace| -> std::io::Result<_> { Ok((lab.keeper(), lab.keeper().open()?)) };
    let (old, handle) = kill(&lab)?;
    let handle = handle.ok_or("the keeper runs")?;
    handle.signal(nestlab_sys::process::Signal::SIGKILL)?;
    handle.wait().await?;
    lab.revive().await?;
    if lab.keeper() == old {
        return Err("no new keeper".into());
    }
    // A stand-in for a VMM, through which all is found once more.
    let mut command = Command::new("sleep");
    command.arg("60");
    lab.namespaces().attach(&mut command);
    let mut vmm = command.spawn()?;
    let vmm_id = nestlab_sys::process::ProcessId::of(vmm.id().ok_or("it runs")?)?;
    // It shows our own namespaces until it has entered the lab's.
    while !lab.namespaces().holds_network_of(vmm_id.pid) {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let keeper = lab.keeper();
    lab.destroy().await?;
    let found = LabNamespace::adopt(keeper_command(id), Some(keeper), &[vmm_id]).await?;
    let found = found.ok_or("the namespaces are found through the VMM")?;
    must(found.namespaces(), "ip link show dev mark").await?;
    let again = LabNamespace::adopt(keeper_command(id), None, &[]).await?;
    if again.map(|lab| lab.keeper()) != Some(found.keeper()) {
        return Err("a keeper without a record is not found".into());
    }
    vmm.kill().await?;
    end(found, id).await
}

async fn the_way_out_hides_this_machines_loopback(id: &str) -> Outcome {
    let lab = LabNamespace::create(keeper_command(id)).await?;
    let began = Instant::now();
    let Some(gateway) = Gateway::ensure(None, &lab).await? else {
        say("  skipped: no gateway program works here");
        return end(lab, id).await;
    };
    say(&format!("  gateway {:.0?}", began.elapsed()));
    let place = lab.namespaces().clone();
    let layer = layer(vec![network(
        "mesh",
        "10.10.10.0/24",
        NetworkMode::Nat,
        1400,
    )]);
    LayerNetwork::up(Place::Lab(place.clone()), id, &layer).await?;
    let bridge = LayerNetwork::plan(&layer, id, &[]).bridges.remove(0).1;
    guest(&place, "a", &bridge, "10.10.10.11", "10.10.10.1").await?;
    let secret = std::net::TcpListener::bind("127.0.0.1:0")?;
    let port = secret.local_addr()?.port();
    let open = std::net::TcpListener::bind("0.0.0.0:0")?;
    let open_port = open.local_addr()?.port();
    let connect =
        |prefix: &str, host: &str, port: u16| format!("{prefix} {} __probe {host}:{port}", exe());
    for prefix in ["", "ip netns exec a"] {
        for host in [
            "100.127.254.2",
            "100.127.254.3",
            "100.127.254.100",
            "127.0.0.1",
            "10.0.2.2",
        ] {
            must_not(&place, &connect(prefix, host, port)).await?;
        }
    }
    // The same way leads to this machine's outer address, so it does work.
    match outer_address() {
        Some(host) => must(&place, &connect("ip netns exec a", &host, open_port))
            .await
            .map(drop)?,
        None => say("  skipped in part: this machine has no outer address"),
    }
    let again = Gateway::ensure(Some(gateway.process()), &lab).await?;
    if again.map(|found| found.process()) != Some(gateway.process()) {
        return Err("the gateway was not found again".into());
    }
    gateway.stop().await?;
    drop(place);
    end(lab, id).await
}

fn outer_address() -> Option<String> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    socket
        .connect("192.0.2.255:9")
        .or_else(|_| socket.connect("198.51.100.1:9"))
        .ok()?;
    Some(socket.local_addr().ok()?.ip().to_string())
}

async fn up_converges(id: &str) -> Outcome {
    let lab = LabNamespace::create(keeper_command(id)).await?;
    let place = Place::Lab(lab.namespaces().clone());
    let mut layer = layer(vec![
        network("mesh", "10.10.10.0/24", NetworkMode::Nat, 1400),
        network("gone", "10.10.20.0/24", NetworkMode::Isolated, 1400),
    ]);
    LayerNetwork::up(place.clone(), id, &layer).await?;
    layer.networks.pop();
    layer.networks[0] = network("mesh", "10.10.11.0/24", NetworkMode::Nat, 1300);
    let began = Instant::now();
    let up = LayerNetwork::up(place.clone(), id, &layer).await?;
    say(&format!("  second up {:.0?}", began.elapsed()));
    let seen = must(lab.namespaces(), "ip -br addr").await?;
    if seen.matches("nb-").count() != 1
        || !seen.contains("10.10.11.1/24")
        || seen.contains("10.10.10.1")
    {
        return Err(seen.into());
    }
    let (node, mesh) = (NodeName::new("n1")?, NetworkName::new("mesh")?);
    match up.ensure_tap(&node, &mesh).await {
        Ok(tap) => {
            let began = Instant::now();
            assert_eq!(tap, up.ensure_tap(&node, &mesh).await?);
            say(&format!("  tap again {:.0?}", began.elapsed()));
            let seen = must(lab.namespaces(), &format!("ip link show dev {tap}")).await?;
            assert!(
                seen.contains("mtu 1300") && seen.contains("master nb-"),
                "{seen}"
            );
            up.remove_node(&node).await?;
            must_not(lab.namespaces(), &format!("ip link show dev {tap}")).await?;
        }
        Err(error) => {
            say(&format!("  tap: {error}"));
            assert!(
                error
                    .hint()
                    .is_some_and(|hint| hint.contains("/dev/net/tun")),
                "{error:?}"
            );
        }
    }
    up.down().await?;
    assert!(!must(lab.namespaces(), "ip -br link").await?.contains("nb-"));
    assert_eq!(must(lab.namespaces(), "nft list tables").await?, "");
    drop((up, place));
    end(lab, id).await
}

/// A node of a layer that is nothing but its endpoint.
fn node(name: &str, address: &str, rate: Option<&str>) -> Result<Node, Box<dyn std::error::Error>> {
    let endpoint = serde_json::json!({
        "network": "mesh", "address": address, "mac": Mac::derive(&[name]),
        "rate": rate.map(|rate| rate.parse::<BitRate>()).transpose()?, "priority": 6,
    });
    let plain = serde_json::json!({
        "name": name, "kind": "container", "image": "debian", "cpus": 1, "memory": 1 << 26,
        "disks": [], "boot": { "kernel": null, "initrd": null, "cmdline": null }, "accel": "auto",
        "nested": false, "balloon": false, "endpoints": [endpoint], "ports": [], "depends_on": [],
        "files": [], "env": {}, "provision": [], "inside": { "networks": [], "nodes": [] },
    });
    Ok(serde_json::from_value(plain)?)
}

/// A container's stand-in is a process with a network of its own.
async fn rates_hold(id: &str) -> Outcome {
    let lab = LabNamespace::create(keeper_command(id)).await?;
    let place = Place::Lab(lab.namespaces().clone());
    let mut layer = layer(vec![network(
        "mesh",
        "10.10.10.0/24",
        NetworkMode::Nat,
        1400,
    )]);
    layer.nodes = vec![node("slow", "10.10.10.11/24", Some("8mbit"))?];
    let network = match LayerNetwork::up(place.clone(), id, &layer).await {
        Ok(network) => network,
        Err(error @ NetworkError::LimitRefused { .. }) => {
            say(&format!("  skipped: {error}"));
            return end(lab, id).await;
        }
        Err(error) => return Err(error.into()),
    };
    let script = format!(
        "exec unshare -n sh -c 'ip link set lo up; exec {} __take'",
        exe()
    );
    let mut command = Command::new("sh");
    command.args(["-c", &script]).kill_on_drop(true);
    lab.namespaces().attach(&mut command);
    let mut slow = command.spawn()?;
    let process = slow.id().ok_or("it runs")?;
    // It has its own network once `unshare` has become the shell.
    while lab.namespaces().holds_network_of(process) {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let (name, mesh) = (NodeName::new("slow")?, NetworkName::new("mesh")?);
    let cable = Cable {
        network: &mesh,
        interface: "eth0",
        mac: Mac::derive(&["slow"]),
        address: "10.10.10.11/24".parse()?,
        gateway: Some("10.10.10.1".parse()?),
    };
    network.plug(&name, &cable, process).await?;
    let inside = Namespaces::network_of_process(process)?;
    let mut sink = Command::new(exe());
    sink.arg("__take").kill_on_drop(true);
    lab.namespaces().attach(&mut sink);
    let mut sink = sink.spawn()?;
    let to = |address: &str| format!("{} __pour {address}:9000", exe());
    let millis =
        async |place: &Namespaces, address: &str| -> Result<u64, Box<dyn std::error::Error>> {
            Ok(must(place, &to(address)).await?.trim().parse()?)
        };

    // 2 MB at 1 MB/s, less what may go at once: to it little, from it a second's worth.
    let received = millis(lab.namespaces(), "10.10.10.11").await?;
    let sent = millis(&inside, "10.10.10.1").await?;
    say(&format!(
        "  limited: {received} ms to it, {sent} ms from it"
    ));
    assert!(received > 1200 && sent > 600, "{received} {sent}");

    // Another rate, and none, while it runs.
    layer.nodes = vec![node("slow", "10.10.10.11/24", Some("16mbit"))?];
    LayerNetwork::up(place.clone(), id, &layer).await?;
    let faster = millis(lab.namespaces(), "10.10.10.11").await?;
    assert!(faster > 600 && faster < received, "{faster}");
    layer.nodes[0].endpoints[0].rate = None;
    layer.nodes[0].endpoints[0].priority = None;
    LayerNetwork::up(place.clone(), id, &layer).await?;
    let (received, sent) = (
        millis(lab.namespaces(), "10.10.10.11").await?,
        millis(&inside, "10.10.10.1").await?,
    );
    say(&format!(
        "  not limited: {received} ms to it, {sent} ms from it"
    ));
    assert!(received < 600 && sent < 600, "{received} {sent}");
    assert!(
        !must(lab.namespaces(), "nft list tables")
            .await?
            .contains("bridge")
    );

    slow.kill().await?;
    sink.kill().await?;
    drop((network, place, inside));
    end(lab, id).await
}

/// Does it all again as `nobody`, with a tap device that ordinary users may
/// open, as on most distributions, in a mount namespace of its own.
fn as_ordinary_user() -> bool {
    if std::fs::read_to_string("/proc/self/uid_map").is_err() || !is_root() {
        say("skipped as an ordinary user: needs root to become one");
        return true;
    }
    let folder = std::env::temp_dir().join(format!("nestlab-network-{}", std::process::id()));
    let script = "set -e
        mkdir -m 0755 \"$1\"; cp \"$2\" \"$1/namespaces\"; chmod 0755 \"$1/namespaces\"
        mknod -m 0666 \"$1/tun\" c 10 200; mount --bind \"$1/tun\" /dev/net/tun
        cd /; setpriv --reuid=65534 --regid=65534 --clear-groups \"$1/namespaces\" --rootless";
    let exe = std::env::current_exe().expect("our own program is known");
    let status = std::process::Command::new("unshare")
        .args(["-m", "sh", "-c", script, "sh"])
        .arg(&folder)
        .arg(exe)
        .status();
    let _ = std::fs::remove_dir_all(folder);
    status.is_ok_and(|status| status.success())
}

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().any(|line| line.starts_with("Uid:\t0\t"))
}
