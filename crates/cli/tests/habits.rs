//! What those who come from Vagrant type, when no lab runs.

mod common;

use common::Home;

const LAB: &str = "\
name: demo
nodes:
  web:
    image: debian
    memory: 256MiB
    provision:
      - { name: setup, inline: \"true\" }
      - { name: rescue, inline: \"true\", run: never }
  db: { image: debian, memory: 256MiB, kind: container }
";

/// Standard output with `TIME` for every time.
fn timeless(text: &str) -> String {
    let is_time = |word: &str| word.len() == 10 && word.bytes().all(|byte| byte.is_ascii_digit());
    let line = |line: &str| match line.split_once(',') {
        Some((time, rest)) if is_time(time) => format!("TIME,{rest}\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

#[test]
fn states_are_told_to_scripts() {
    let home = Home::with_lab(LAB);
    let status = home.run("status --machine-readable");
    insta::assert_snapshot!(timeless(&status), @r"
    [0]
    TIME,web,metadata,provider,libvirt
    TIME,db,metadata,provider,docker
    TIME,web,provider-name,libvirt
    TIME,web,state,not_created
    TIME,web,state-human-short,not created
    TIME,web,state-human-long,There is no machine yet. `nestlab up` makes it.
    TIME,db,provider-name,docker
    TIME,db,state,not_created
    TIME,db,state-human-short,not created
    TIME,db,state-human-long,There is no machine yet. `nestlab up` makes it.
    TIME,,ui,info,Current machine states:\n\nweb                       not created (libvirt)\ndb                        not created (docker)
    ");
    let one = home.run("--provider virtualbox status web --machine-readable");
    insta::assert_snapshot!(timeless(&one), @r"
    [0]
    TIME,web,metadata,provider,virtualbox
    TIME,web,provider-name,virtualbox
    TIME,web,state,not_created
    TIME,web,state-human-short,not created
    TIME,web,state-human-long,There is no machine yet. `nestlab up` makes it.
    TIME,,ui,info,Current machine states:\n\nweb                       not created (virtualbox)
    ");
    let variable = [("VAGRANT_DEFAULT_PROVIDER", "virtualbox")];
    let same = home.run_with("status web --machine-readable", &variable);
    assert_eq!(timeless(&one), timeless(&same));
    let unknown = home.run("status nowhere --machine-readable");
    insta::assert_snapshot!(timeless(&unknown), @r"
    [3]
    TIME,,ui,error,There is no node `nowhere` in this lab\nhint: Its nodes: `web`%!(VAGRANT_COMMA) `db`
    TIME,,error-exit,Nestlab::Errors::Unknown,There is no node `nowhere` in this lab\nhint: Its nodes: `web`%!(VAGRANT_COMMA) `db`
    ");
    assert!(
        home.run("status --json --machine-readable")
            .starts_with("[2]")
    );
}

#[test]
fn lists_are_told_to_scripts() {
    let home = Home::with_lab(LAB);
    let check = |arguments: &str| timeless(&home.run(arguments));
    insta::assert_snapshot!(check("global-status --machine-readable"), @r"
    [0]
    TIME,,metadata,machine-count,0
    ");
    insta::assert_snapshot!(check("version --machine-readable"), @r"
    [0]
    TIME,,ui,output,Installed Version: 0.1.0
    TIME,,version-installed,0.1.0
    ");
    insta::assert_snapshot!(check("validate --machine-readable"), @r"
    [0]
    TIME,,ui,info,`~/lab/nestlab.yaml` is valid: lab `demo`%!(VAGRANT_COMMA) 2 nodes%!(VAGRANT_COMMA) 1 level
    ");
    insta::assert_snapshot!(check("box list --machine-readable"), @"[0]");
    insta::assert_snapshot!(check("ssh web -c true --machine-readable"), @r"
    [3]
    TIME,,ui,error,The lab of `~/lab/nestlab.yaml` is not up\nhint: `nestlab up` brings it up
    TIME,,error-exit,Nestlab::Errors::Unknown,The lab of `~/lab/nestlab.yaml` is not up\nhint: `nestlab up` brings it up
    ");
    insta::assert_snapshot!(check("halt --machine-readable"), @r"
    [3]
    TIME,,ui,error,The lab of `~/lab/nestlab.yaml` is not up\nhint: `nestlab up` brings it up
    TIME,,error-exit,Nestlab::Errors::Unknown,The lab of `~/lab/nestlab.yaml` is not up\nhint: `nestlab up` brings it up
    ");
}

#[test]
fn every_habit_has_its_arguments() {
    let home = Home::with_lab(LAB);
    // All of them are understood, and say that the lab is not up.
    let check = |arguments: &str| {
        let said = home.run(arguments);
        assert!(said.starts_with("[3]"), "{arguments}: {said}");
        assert!(said.contains("is not up"), "{arguments}: {said}");
    };
    check("provision");
    check("provision web --provision-with setup,rescue");
    check("reload");
    check("reload web --provision");
    check("reload web --no-provision --force");
    check("reload --provision-with shell");
    check("rsync web");
    check("suspend");
    check("suspend web");
    check("resume web");
    check("halt -f web");
    check("ssh");
    check("ssh web -c hostname");
    check("ssh web --command hostname --tty");
    check("ssh web -- hostname -f");
    check("ssh-config web");
    check("port");
    check("port web --guest 80");
    check("snapshot save");
    check("snapshot save one");
    check("snapshot save web one --force");
    check("snapshot list web");
    check("snapshot restore web one --no-provision");
    check("snapshot push web");
    check("snapshot pop web --no-delete");
    check("snapshot delete web one");
    // These have nothing to do.
    let check = |arguments: &str, answer: &str| {
        let said = home.run(arguments);
        assert!(said.starts_with("[0]"), "{arguments}: {said}");
        assert!(said.contains(answer), "{arguments}: {said}");
    };
    check("destroy -f", "never brought up");
    check("destroy --force --graceful --parallel", "never brought up");
    check("global-status --prune", "No labs");
    check("box list -i", "No images");
    check("box outdated --global", "image pull --upgrade");
    check("box prune -f", "no images");
    check("--no-color status", "is not up");
    check("plugin install vagrant-libvirt", "not needed");
    check("plugin list", "There are no plugins");
}

#[test]
fn provisioners_are_checked_before_anything_starts() {
    let home = Home::with_lab(LAB);
    insta::assert_snapshot!(home.run("up --provision-with setup,other"), @r"
    [2]
    ---
    error: The lab file has no provisioner `other`
    hint: Its provisioners: `rescue`, `setup`
    ");
    insta::assert_snapshot!(home.run("up --provision-with setup --no-provision"), @r"
    [2]
    ---
    error: the argument '--provision-with <NAME,…>' cannot be used with '--no-provision'

    Usage: nestlab up --provision-with <NAME,…> [PATH]...

    For more information, try '--help'.
    ");
    let none = Home::with_lab("name: demo\nnodes:\n  a: { image: debian }\n");
    insta::assert_snapshot!(none.run("up --provision-with setup"), @r"
    [2]
    ---
    error: The lab file has no provisioner `setup`
    hint: It has none at all
    ");
    assert!(!home.path("home/.local").exists(), "asking leaves no trace");
}

#[test]
fn what_is_not_there_says_what_to_type_instead() {
    let home = Home::with_lab(LAB);
    insta::assert_snapshot!(home.run("rdp web"), @r"
    [2]
    ---
    error: `rdp` is a verb of Vagrant's that Nestlab lacks
    hint: Windows guests are not supported; `nestlab console NODE` is a serial console
    ");
    insta::assert_snapshot!(home.run("rsync-auto"), @r"
    [2]
    ---
    error: `rsync-auto` is a verb of Vagrant's that Nestlab lacks
    hint: `nestlab rsync` copies files and folders once; repeat it as you like, such as with watch(1)
    ");
    insta::assert_snapshot!(home.run("plugin install vagrant-aws"), @r"
    [2]
    ---
    error: Nestlab takes no plugins of Vagrant, such as `vagrant-aws`
    hint: `nestlab validate` tells what of a Vagrantfile has no meaning here
    ");
    insta::assert_snapshot!(home.run("init generic/ubuntu2404"), @r"
    [2]
    ---
    error: A lab does not begin with a box, such as `generic/ubuntu2404`
    hint: `nestlab up` takes a Vagrantfile as it is; `nestlab init --list` lists what else to begin with
    ");
    insta::assert_snapshot!(home.run("statsu"), @r"
    [2]
    ---
    error: unrecognized subcommand 'statsu'

      tip: a similar subcommand exists: 'status'

    Usage: nestlab [OPTIONS] <COMMAND>

    For more information, try '--help'.
    ");
}

const VAGRANTFILE: &str = r#"
Vagrant.configure("2") do |config|
  config.vm.box = "mine/box"
  config.vm.provider :libvirt do |libvirt|
    libvirt.memory = 512
  end
  config.vm.provider :virtualbox do |virtualbox|
    virtualbox.memory = 768
  end
  config.vm.define "web_1", primary: true do |web|
    web.vm.provision "setup", type: "shell", inline: "true"
  end
  config.vm.define "db", autostart: false
end
"#;

#[test]
fn a_vagrantfile_is_a_lab() {
    let home = Home::with_file("Vagrantfile", VAGRANTFILE);
    insta::assert_snapshot!(home.run("plan"), @r#"
[2]
---
error[vagrant-box]: Box `mine/box` is not known
 --> Vagrantfile:3:3
  |
3 |   config.vm.box = "mine/box"
  |   ^^^^^^^^^^^^^^^^^^^^^^^^^^
  = hint: say what it stands for with `--box-alias mine/box=IMAGE`; images: `almalinux-8`, `almalinux-9`, `alpine-3.23`, `centos-10`, `centos-9`, `debian`, `debian-12`, `debian-13`, `fedora-43`, `fedora-44`, `hypervisor`, `rocky-8`, …
error: `~/lab/Vagrantfile` has 1 mistake
    "#);
    let plan = |arguments: &str, variables: &[(&str, &str)]| {
        home.run_with(
            &format!("--box-alias mine/box=debian {arguments} plan"),
            variables,
        )
    };
    let plain = plan("", &[]);
    insta::assert_snapshot!(plain, @r"
    [0]
    Lab `lab`

    Level 1
      network `default`: 10.200.0.0/24, nat, MTU 1500
      + web-1  VM from `debian`, 1 CPU, 512MiB, 10.200.0.11 on `default`, 1 provisioner
      + db     VM from `debian`, 1 CPU, 512MiB, 10.200.0.12 on `default`

    2 to create
    ");

    // The provider chooses which blocks count.
    let virtualbox = plan("--provider virtualbox", &[]);
    assert!(virtualbox.contains("768MiB"), "{virtualbox}");
    let variable = [("VAGRANT_DEFAULT_PROVIDER", "virtualbox")];
    assert_eq!(plan("", &variable), virtualbox);

    // What a user says once is heeded, and mistakes in it are told.
    home.write(
        "home/.config/nestlab/config.yaml",
        "box_aliases: { mine/box: debian }\n",
    );
    assert_eq!(home.run("plan"), plain);
    home.write(
        "home/.config/nestlab/config.yaml",
        "box_alias: { mine/box: debian }\n",
    );
    insta::assert_snapshot!(home.run("plan"), @r"
[2]
---
error[unknown-key]: Unknown key `box_alias` in a settings file
 --> ~/home/.config/nestlab/config.yaml:1:1
  |
1 | box_alias: { mine/box: debian }
  | ^^^^^^^^^ not a setting
  = hint: did you mean `box_aliases`?
error: The settings in `~/home/.config/nestlab/config.yaml` have mistakes
    ");
}

#[test]
fn a_vagrantfile_is_found_where_vagrant_finds_it() {
    let home = Home::new();
    home.write("other/Machines", VAGRANTFILE);
    let alias = "--box-alias mine/box=debian";
    let name = ("VAGRANT_VAGRANTFILE", "Machines");
    let folder = home.path("other");
    let cwd = ("VAGRANT_CWD", folder.to_str().unwrap());
    let status = |variables: &[(&str, &str)]| {
        timeless(&home.run_with(&format!("{alias} status --machine-readable"), variables))
    };
    let found = status(&[name, cwd]);
    assert!(found.contains("web-1,state,not_created"), "{found}");
    assert!(status(&[name]).starts_with("[3]"));
    assert!(status(&[cwd]).starts_with("[3]"));
    let given = home.run_with(
        &format!("{alias} --file ../other/Machines validate"),
        &[name],
    );
    assert!(given.starts_with("[0]"), "{given}");
    home.write("lab/nestlab.yaml", LAB);
    assert!(status(&[name, cwd]).contains("web,state,not_created"));
}

#[test]
fn a_vagrantfile_is_converted() {
    let home = Home::with_file("Vagrantfile", VAGRANTFILE);
    let alias = "--box-alias mine/box=debian";
    let before = home.run(&format!("{alias} plan"));
    let shown = home.run(&format!("{alias} convert --stdout"));
    insta::assert_snapshot!(shown, @r#"
    [0]
    # The lab of Vagrantfile, as `nestlab convert` wrote it.
    name: lab
    nodes:
      web-1:
        image: debian
        memory: 512MiB
        files:
          - { source: ., target: /vagrant }
        provision:
          - name: setup
            inline: |-
              #!/bin/bash
              true
      # autostart: false, so Vagrant starts it only by name
      db: { image: debian, memory: 512MiB, files: [{ source: ., target: /vagrant }] }
    ---
    note[vagrant-folder]: Synced folders are copied when a node comes up; later changes stay on either side
      --> Vagrantfile:10:20
       |
    10 |   config.vm.define "web_1", primary: true do |web|
       |                    ^^^^^^^
       = hint: `nestlab up` copies them again; `disabled: true` leaves one out

    note[vagrant-autostart]: `db` is not to start by itself, which a lab file cannot say
      --> Vagrantfile:13:20
       |
    13 |   config.vm.define "db", autostart: false
       |                    ^^^^
       = hint: `nestlab up NAME` starts only what is named
    "#);
    assert!(!home.path("lab/nestlab.yaml").exists());
    insta::assert_snapshot!(home.run(&format!("{alias} convert")), @r#"
    [0]
    ---
    note[vagrant-folder]: Synced folders are copied when a node comes up; later changes stay on either side
      --> Vagrantfile:10:20
       |
    10 |   config.vm.define "web_1", primary: true do |web|
       |                    ^^^^^^^
       = hint: `nestlab up` copies them again; `disabled: true` leaves one out

    note[vagrant-autostart]: `db` is not to start by itself, which a lab file cannot say
      --> Vagrantfile:13:20
       |
    13 |   config.vm.define "db", autostart: false
       |                    ^^^^
       = hint: `nestlab up NAME` starts only what is named
    `~/lab/nestlab.yaml` is written; `nestlab up` takes it instead of the Vagrantfile
    "#);
    assert_eq!(home.run("plan"), before);
    insta::assert_snapshot!(home.run(&format!("{alias} convert")), @r"
    [2]
    ---
    error: `~/lab/nestlab.yaml` is there already
    hint: `--force` replaces it, `--output FILE` writes another, `--stdout` writes none
    ");
    insta::assert_snapshot!(home.run(&format!("{alias} convert Vagrantfile -o ../home/lab.yaml")), @r#"
    [0]
    ---
    note[vagrant-folder]: Synced folders are copied when a node comes up; later changes stay on either side
      --> Vagrantfile:10:20
       |
    10 |   config.vm.define "web_1", primary: true do |web|
       |                    ^^^^^^^
       = hint: `nestlab up` copies them again; `disabled: true` leaves one out

    note[vagrant-autostart]: `db` is not to start by itself, which a lab file cannot say
      --> Vagrantfile:13:20
       |
    13 |   config.vm.define "db", autostart: false
       |                    ^^^^
       = hint: `nestlab up NAME` starts only what is named
    `../home/lab.yaml` is written; `nestlab up` takes it instead of the Vagrantfile
    warning: Paths in it begin at the folder of the Vagrantfile, and not at its own
    "#);
    assert!(
        home.run(&format!("{alias} convert --force"))
            .starts_with("[0]")
    );
    insta::assert_snapshot!(home.run("convert nowhere"), @r"
    [3]
    ---
    error: Cannot open `nowhere`
      caused by: No such file or directory (os error 2)
    ");
    insta::assert_snapshot!(Home::with_lab(LAB).run("convert"), @r"
    [3]
    ---
    error: `~/lab/nestlab.yaml` is no Vagrantfile
    hint: Name one: `nestlab convert FILE`
    ");
}

#[test]
fn machines_that_wait_are_named() {
    let text = VAGRANTFILE.replace("primary: true", "autostart: false");
    let home = Home::with_file("Vagrantfile", &text);
    insta::assert_snapshot!(home.run("--box-alias mine/box=debian up"), @r"
    [2]
    ---
    error: No machine of the Vagrantfile comes up by itself
    hint: Name those that shall: `web-1`, `db`
    ");
    insta::assert_snapshot!(home.run("--box-alias mine/box=debian up WEB_2"), @r"
    [3]
    ---
    error: The lab file has no node `web-2`
    hint: Its nodes: `web-1`, `db`
    ");
}
