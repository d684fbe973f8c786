//! An image with a systemd of its own: the agent is a service there.

use nestlab_e2e::{World, nested_story};

const LAB: &str = "
name: service
images:
  full:
    recipe:
      suite: bookworm
      packages: [systemd-sysv, dbus]
nodes:
  box:
    image: full
    memory: 768MiB
    nested: true
    inside:
      nodes:
        inner: { image: debian, memory: 128MiB }
";

#[test]
fn the_agent_is_a_service_where_systemd_is() {
    nested_story(a_service_lives);
}

fn a_service_lives(world: &World) {
    let lab = world.lab("service", LAB);
    world.run(&lab, &["up"]).ok();
    assert_eq!(world.inside(&lab, "box", "cat /proc/1/comm"), "systemd");
    assert_eq!(world.inside(&lab, "box", "hostname"), "box");
    let service = "systemctl show -p MainPID --value nestlab-agent";
    let agent = world.inside(&lab, "box", service);
    let boot = "cat /proc/sys/kernel/random/boot_id";
    let before = world.inside(&lab, "box/inner", boot);

    // Killed, it comes back and adopts its layer.
    world
        .run(
            &lab,
            &["exec", "box", "--", "sh", "-c", &format!("kill -9 {agent}")],
        )
        .exits_with(255);
    world.run(&lab, &["wait", "box/inner"]).ok();
    assert_ne!(world.inside(&lab, "box", service), agent);
    assert_eq!(world.inside(&lab, "box/inner", boot), before);

    // Halted, systemd ends its services in order.
    let farewell = "[Unit]\nDescription=farewell\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=true\nExecStop=touch /root/farewell\n";
    std::fs::write(lab.join("farewell.service"), farewell).unwrap();
    world
        .run(
            &lab,
            &["cp", "farewell.service", "box:/etc/systemd/system/"],
        )
        .ok();
    world.inside(&lab, "box", "systemctl start farewell");
    world.run(&lab, &["halt"]).ok();
    world.run(&lab, &["up"]).ok();
    world.inside(&lab, "box", "test -e /root/farewell");
    world.run(&lab, &["destroy", "--yes"]).ok();
    world.is_empty();
}
