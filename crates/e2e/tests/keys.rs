//! What a lab file says of a machine is true of the machine.

use nestlab_e2e::World;
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

/// Answers what it is sent in capitals, on both transports. Perl is in every
/// minimal Debian.
const SERVERS: &str = r#"
perl -MIO::Socket::INET -e '$s=IO::Socket::INET->new(LocalPort=>9000,Proto=>"udp");while($s->recv($m,1500)){$s->send(uc $m)}' &
perl -MIO::Socket::INET -e '$s=IO::Socket::INET->new(LocalPort=>9000,Listen=>5,ReuseAddr=>1);while($c=$s->accept){print $c uc <$c>;close $c}' &
"#;

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn tcp(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"over tcp\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn udp(port: u16) -> std::io::Result<String> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    socket.send_to(b"over udp", ("127.0.0.1", port))?;
    let mut answer = [0; 64];
    let count = socket.recv(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer[..count]).into_owned())
}

#[test]
fn every_key_has_its_effect() {
    let world = World::new();
    let (first, second) = (free_port(), free_port());
    let lab = world.lab(
        "keys",
        &format!(
            "name: keys
networks:
  mesh: {{ subnet: 10.9.0.0/24, mtu: 1400 }}
nodes:
  box:
    image: debian
    cpus: 2
    memory: 192MiB
    disk: 3GiB
    disks: {{ data: 64MiB }}
    balloon: true
    cmdline: nestlab.test=yes
    networks: {{ mesh: {{ ip: 10.9.0.77 }} }}
    ports: [\"{first}:9000\", \"{second}:9000/udp\"]
    env: {{ GREETING: hello }}
    files:
      - {{ content: \"from the file\", target: /srv/note }}
      - {{ source: folder, target: /srv/folder }}
    provision:
      - name: servers
        inline: |
          {}
        run: always
    ready: {{ tcp: \"localhost:9000\" }}
",
            SERVERS.trim().replace('\n', "\n          ")
        ),
    );
    std::fs::create_dir_all(lab.join("folder/deep")).unwrap();
    std::fs::write(lab.join("folder/deep/file"), "in a folder").unwrap();
    world.run(&lab, &["up"]).ok();
    let inside = |line: &str| world.inside(&lab, "box", line);
    assert_eq!(inside("nproc"), "2");
    assert!(inside("cat /proc/cmdline").contains("nestlab.test=yes"));
    assert!(inside("cat /sys/block/*/serial").contains("data"));
    assert!(inside("ip -o addr").contains("10.9.0.77/24"));
    assert!(inside("ip -o link").contains("mtu 1400"));
    assert_eq!(inside("echo $GREETING"), "hello");
    assert_eq!(inside("cat /srv/note"), "from the file");
    assert_eq!(inside("cat /srv/folder/deep/file"), "in a folder");
    let gib: f64 = inside("df -k / | tail -1 | awk '{print $2}'")
        .parse::<f64>()
        .unwrap()
        / 1e6;
    assert!(gib > 2.5, "the root was not grown: {gib} GB");
    assert_eq!(tcp(first).unwrap(), "OVER TCP\n");
    assert_eq!(udp(second).unwrap(), "OVER UDP");
    world.run(&lab, &["destroy", "--yes"]).ok();
    world.is_empty();
}

/// What QEMU was told by an option.
fn qemu_option(world: &World, option: &str) -> String {
    let (_, command) = world.processes("qemu-system").remove(0);
    let words: Vec<&str> = command.split_whitespace().collect();
    let at = words.iter().position(|word| *word == option).unwrap();
    words[at + 1].to_owned()
}

/// The kit's own files serve as a kernel and an initramfs of one's own: what
/// counts is that those of the lab's folder are booted.
#[test]
fn a_kernel_of_ones_own_boots() {
    let world = World::new();
    let text = "name: own\nnodes:\n  a:\n    image: debian\n    memory: 128MiB\n";
    let lab = world.lab("own", text);
    world.run(&lab, &["up"]).ok();
    for (option, name) in [("-kernel", "vmlinux"), ("-initrd", "initramfs")] {
        let kit = qemu_option(&world, option);
        std::fs::copy(&kit, lab.join(name)).unwrap_or_else(|e| panic!("{kit}: {e}"));
    }
    let own = format!("{text}    kernel: ./vmlinux\n    initrd: ./initramfs\n");
    std::fs::write(lab.join("nestlab.yaml"), own).unwrap();
    let plan = world.run(&lab, &["plan"]).ok();
    plan.says("kernel, initrd (after `nestlab halt a`)");
    world.run(&lab, &["destroy", "--yes"]).ok();
    world.run(&lab, &["up"]).ok();
    let file = |name| lab.join(name).display().to_string();
    assert_eq!(qemu_option(&world, "-kernel"), file("vmlinux"));
    assert_eq!(qemu_option(&world, "-initrd"), file("initramfs"));
    world.run(&lab, &["exec", "a", "--", "true"]).ok();

    // One that is missing is named before anything starts.
    world.run(&lab, &["destroy", "--yes"]).ok();
    std::fs::remove_file(lab.join("vmlinux")).unwrap();
    world.run(&lab, &["up"]).exits_with(2).complains("vmlinux");
    world.run(&lab, &["destroy", "--yes"]).ok();
    world.is_empty();
}
