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
    insta::assert_snapshot!(home.run("plugin install vagrant-hostmanager"), @r"
    [2]
    ---
    error: Nestlab takes no plugins of Vagrant, such as `vagrant-hostmanager`
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
