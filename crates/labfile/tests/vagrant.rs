//! Vagrantfiles: what they become, that their conversion is the same lab, and that real
//! Vagrant understands them as we do.

#[path = "vagrant/corpus.rs"]
mod corpus;

use corpus::Case;
use nestlab_labfile::{Converted, Diagnostic, MemoryFiles, convert, load_as, vagrant_machines};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

const FILE: &str = "/lab/Vagrantfile";

/// A case with its outcome, for a snapshot.
fn shown(case: &Case) -> String {
    let Converted { yaml, loaded } = convert(&case.memory(), Path::new(FILE), &case.settings());
    let mut text = format!("### {}\n", case.name);
    for diagnostic in &loaded.diagnostics {
        let _ = writeln!(text, "{}", line(diagnostic));
    }
    text.push_str(yaml.as_deref().unwrap_or("nothing\n"));
    text
}

/// `PLACE SEVERITY[CODE] MESSAGE ⟨LABEL⟩ (HINT)`.
fn line(diagnostic: &Diagnostic) -> String {
    let Diagnostic {
        severity,
        code,
        line,
        column,
        message,
        ..
    } = diagnostic;
    let mut text = format!("{line}:{column} {severity}[{code}] {message}");
    if let Some(label) = &diagnostic.label {
        let _ = write!(text, " ⟨{label}⟩");
    }
    if let Some(hint) = &diagnostic.hint {
        let _ = write!(text, " ({hint})");
    }
    text
}

#[test]
fn the_corpus_becomes_labs() {
    for (group, cases) in corpus::groups() {
        let text: Vec<_> = cases.iter().map(shown).collect();
        insta::with_settings!({ snapshot_path => "vagrant/snapshots", prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(group, text.join("\n"));
        });
    }
}

#[test]
fn a_conversion_is_the_same_lab() {
    for case in corpus::groups().into_iter().flat_map(|(_, cases)| cases) {
        let settings = case.settings();
        let files = case.memory();
        let Converted { yaml, loaded } = convert(&files, Path::new(FILE), &settings);
        let yaml = yaml.unwrap_or_else(|| panic!("{} is not understood", case.name));
        let files = files.with("/lab/nestlab.yaml", yaml.as_str());
        let again = load_as(&files, Path::new("/lab/nestlab.yaml"), &settings);
        assert_eq!(
            json!(loaded.lab),
            json!(again.lab),
            "{}\n{yaml}\n{}",
            case.name,
            again.render(Path::new("/lab"), false)
        );
        assert!(
            loaded.lab.is_some(),
            "{}:\n{}",
            case.name,
            loaded.render(Path::new("/lab"), false)
        );
    }
}

/// What real Vagrant makes of the cases; `None` if it is not here.
fn vagrant(cases: &[Case], folder: &Path) -> Option<Vec<Value>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vagrant/dump.rb");
    let has = |program: &str| {
        let probe = Command::new(program).arg("--version").output();
        probe.is_ok_and(|output| output.status.success())
    };
    if !has("ruby") || !Path::new("/usr/bin/vagrant").exists() {
        return None;
    }
    let mut input = String::new();
    for case in cases {
        let home = folder.join(&case.name);
        for (path, text) in &case.files {
            let path = home.join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a new folder");
            std::fs::write(path, text).expect("a new file");
        }
        let request = json!({ "folder": home, "provider": case.provider, "env": case.env });
        let _ = writeln!(input, "{request}");
    }
    let mut child = Command::new("ruby")
        .arg(script)
        .env_remove("VAGRANT_DEFAULT_PROVIDER")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("ruby was just there");
    let mut stdin = child.stdin.take().expect("it is piped");
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("ruby ends");
    writer.join().expect("no panic").expect("all is written");
    let text = String::from_utf8(output.stdout).expect("JSON is text");
    Some(
        text.lines()
            .map(|line| serde_json::from_str(line).expect("a line of JSON"))
            .collect(),
    )
}

#[test]
fn vagrant_understands_them_alike() {
    let cases: Vec<Case> = corpus::groups()
        .into_iter()
        .flat_map(|(_, cases)| cases)
        .collect();
    let folder = std::env::temp_dir().join(format!("nestlab-vagrant-{}", std::process::id()));
    let theirs = vagrant(&cases, &folder);
    let _ = std::fs::remove_dir_all(&folder);
    let Some(theirs) = theirs else {
        println!(
            "SKIPPED: Vagrant is not installed (Debian: apt-get install vagrant vagrant-libvirt)"
        );
        return;
    };
    assert_eq!(theirs.len(), cases.len(), "an answer for every case");
    let (mut differing, mut count) = (String::new(), 0);
    for (case, theirs) in cases.iter().zip(&theirs) {
        let ours = vagrant_machines(&case.memory(), Path::new(FILE), &case.settings());
        let ours = json!({ "machines": ours });
        if ours != *theirs {
            count += 1;
            let _ = writeln!(
                differing,
                "{}\n{}",
                case.name,
                difference(&ours, theirs, "")
            );
        }
    }
    println!("{} of {} cases agree", cases.len() - count, cases.len());
    assert!(differing.is_empty(), "{differing}");
}

/// Where two values differ, one place a line.
fn difference(ours: &Value, theirs: &Value, place: &str) -> String {
    match (ours, theirs) {
        (a, b) if a == b => String::new(),
        (Value::Object(a), Value::Object(b)) => {
            let mut keys: Vec<_> = a.keys().chain(b.keys()).collect();
            keys.sort();
            keys.dedup();
            let part = |key: &&String| {
                let get = |map: &serde_json::Map<String, Value>| {
                    map.get(*key).cloned().unwrap_or(json!("(none)"))
                };
                difference(&get(a), &get(b), &format!("{place}.{key}"))
            };
            keys.iter().map(part).collect()
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let pairs = a.iter().zip(b).enumerate();
            pairs
                .map(|(at, (a, b))| difference(a, b, &format!("{place}[{at}]")))
                .collect()
        }
        (a, b) => format!("  {place}: ours {a}, theirs {b}\n"),
    }
}

fn diagnose(text: &str, files: MemoryFiles) -> String {
    let loaded = load_as(
        &files.with(FILE, text),
        Path::new(FILE),
        &corpus::settings(),
    );
    loaded
        .diagnostics
        .iter()
        .map(line)
        .collect::<Vec<_>>()
        .join("\n")
}

/// The issue's file, to the letter.
const FIRST: &str = r#"Vagrant.configure("2") do |config|
  config.vm.box = "generic/ubuntu2404"
  config.vm.provider :libvirt do |libvirt|
    libvirt.driver = "kvm"
    libvirt.connect_uri = "qemu:///system"
    libvirt.cpus = 1
    libvirt.memory = 1024
    libvirt.nested = true
  end
  config.vm.define "consul-01" do |c|
    c.vm.hostname = "consul-01"
    c.vm.network "private_network", ip: "10.10.10.11", libvirt__forward_mode: "nat"
    c.vm.provision "shell", path: "scripts/bootstrap.sh", args: ["consul-01", "10.10.10.11", "bootstrap"]
  end
  config.vm.define "consul-02" do |c|
    c.vm.hostname = "consul-02"
    c.vm.network "private_network", ip: "10.10.10.12", libvirt__forward_mode: "nat"
    c.vm.provision "shell", path: "scripts/bootstrap.sh", args: ["consul-02", "10.10.10.12", "join"]
  end
  config.vm.define "consul-03" do |c|
    c.vm.hostname = "consul-03"
    c.vm.network "private_network", ip: "10.10.10.13", libvirt__forward_mode: "nat"
    c.vm.provision "shell", path: "scripts/bootstrap.sh", args: ["consul-03", "10.10.10.13", "join"]
  end
end
"#;

fn first_files() -> MemoryFiles {
    MemoryFiles::new().with("/lab/scripts/bootstrap.sh", "#!/bin/bash\necho \"$@\"\n")
}

#[test]
fn the_first_file_works_to_the_letter() {
    insta::assert_snapshot!(diagnose(FIRST, first_files()), @r#"
2:3 note[vagrant-box] Box `generic/ubuntu2404` is taken as image `ubuntu-24.04` (`--box-alias generic/ubuntu2404=IMAGE` says otherwise)
5:5 warning[vagrant-option] `libvirt.connect_uri` is not an option of vagrant-libvirt; taken as `uri` (write `libvirt.uri`: Vagrant itself refuses the file as it is)
10:20 note[vagrant-folder] Synced folders are copied when a node comes up; later changes stay on either side (`nestlab up` copies them again; `disabled: true` leaves one out)
"#);
    let files = first_files().with(FILE, FIRST);
    let converted = convert(&files, Path::new(FILE), &corpus::settings());
    assert!(converted.loaded.lab.is_some());
    insta::assert_snapshot!(converted.yaml.expect("it is understood"), @r#"
# The lab of Vagrantfile, as `nestlab convert` wrote it.
name: lab
networks:
  private: { subnet: 10.10.10.0/24 }
nodes:
  consul-01:
    # box generic/ubuntu2404
    image: ubuntu-24.04
    cpus: 1
    memory: 1024MiB
    nested: true
    networks:
      private: { ip: 10.10.10.11 }
    files:
      - { source: ., target: /vagrant }
    provision:
      - { script: scripts/bootstrap.sh, args: [consul-01, 10.10.10.11, bootstrap] }
  consul-02:
    # box generic/ubuntu2404
    image: ubuntu-24.04
    cpus: 1
    memory: 1024MiB
    nested: true
    networks:
      private: { ip: 10.10.10.12 }
    files:
      - { source: ., target: /vagrant }
    provision:
      - { script: scripts/bootstrap.sh, args: [consul-02, 10.10.10.12, join] }
  consul-03:
    # box generic/ubuntu2404
    image: ubuntu-24.04
    cpus: 1
    memory: 1024MiB
    nested: true
    networks:
      private: { ip: 10.10.10.13 }
    files:
      - { source: ., target: /vagrant }
    provision:
      - { script: scripts/bootstrap.sh, args: [consul-03, 10.10.10.13, join] }
"#);
}

#[test]
fn a_vagrantfile_stands_inside_a_node() {
    let yaml = "name: t\nnodes:\n  l1: { image: hypervisor, cpus: 2, memory: 8GiB, nested: true, inside: { from: sub/Vagrantfile } }\n";
    let files = MemoryFiles::new()
        .with("/lab/nestlab.yaml", yaml)
        .with("/lab/sub/Vagrantfile", FIRST)
        .with("/lab/sub/scripts/bootstrap.sh", "#!/bin/bash\n");
    let path = Path::new("/lab/nestlab.yaml");
    let loaded = load_as(&files, path, &corpus::settings());
    let lab = loaded.lab.expect("it is sound");
    let names: Vec<_> = lab
        .layer
        .walk()
        .iter()
        .map(|(path, _)| path.to_string())
        .collect();
    assert_eq!(
        names,
        ["l1", "l1/consul-01", "l1/consul-02", "l1/consul-03"]
    );
    assert_eq!(loaded.vagrant, None, "the file itself is none of Vagrant's");
}

#[test]
fn mistakes_are_told_where_they_stand() {
    let text = r#"Vagrant.configure("2") do |config|
  config.vm.box = "debian/bookworm64"
  config.vm.define "a" do |a|
    a.vm.network "private_network", ip: "10.10.10.311"
    a.vm.provision "shell", path: "gone.sh"
  end
  config.vm.define "b" do |b|
    b.vm.network "private_network", ip: "10.10.11.5"
    b.vm.network "forwarded_port", guest: 80, host: 80800
    b.vm.provider :libvirt do |v|
      v.memory = "lots"
      v.cpuss = 2
    end
  end
  config.vm.define "c" do |c|
    c.vm.hostnam = "c"
    c.vm.network "private_network", ip: "10.10.11.5"
    c.vm.provision "shel", inline: "true"
    c.vm.provision "shell", inlin: "true"
    c.vm.provision "puppet"
  end
  config.vm.define "d" do |d|
    d.vm.box = "centos/7"
    d.vm.communicator = "winrm"
  end
end
"#;
    insta::assert_snapshot!(diagnose(text, MemoryFiles::new()), @r#"
2:3 note[vagrant-box] Box `debian/bookworm64` is taken as image `debian-12` (`--box-alias debian/bookworm64=IMAGE` says otherwise)
3:20 note[vagrant-folder] Synced folders are copied when a node comes up; later changes stay on either side (`nestlab up` copies them again; `disabled: true` leaves one out)
4:41 error[invalid-value] `ip` cannot be `10.10.10.311` ⟨expected an IPv4 address such as `10.10.10.11`⟩ (311 is larger than 255)
5:35 error[missing-file] `script` names a file that does not exist ⟨no /lab/gone.sh⟩ (a relative path starts at the folder of the lab file)
9:53 error[invalid-value] `ports` cannot be `80800:80` ⟨expected `[ADDRESS:]PORT:[NODE:]PORT[/udp]`⟩ ("80800" is not a port number (1 to 65535))
11:7 error[vagrant-value] `memory` cannot be `lots` (give a number of MiB, or a size such as "20G")
12:7 error[vagrant-option] `libvirt` has no option `cpuss` (did you mean `cpus`?)
16:5 error[vagrant-option] `config.vm` has no option `hostnam` (did you mean `hostname`?)
17:41 error[address-twice] Address 10.10.11.5 belongs to `b` already ⟨wanted by `c` too⟩ (leave `ip` out for the next free one)
18:5 error[vagrant-provisioner] There is no provisioner `shel` (did you mean `shell`?)
19:5 error[vagrant-value] A shell provisioner needs `inline` or `path` (give one of them)
19:36 error[vagrant-option] `shell` has no option `inlin` (did you mean `inline`?)
20:5 error[vagrant-provisioner] The provisioner `puppet` is not supported (a shell provisioner can install and run it in the node)
23:5 error[vagrant-box] Box `centos/7` is CentOS, and no image of it is known (say what it stands for with `--box-alias centos/7=IMAGE`; images: `debian`, `debian-12`, `debian-13`, `hypervisor`, `ubuntu-24.04`, `ubuntu-26.04`)
24:5 error[vagrant-unsupported] Windows machines are not supported (leave the machine with Vagrant)
"#);
}

#[test]
fn what_ruby_refuses_is_told() {
    insta::assert_snapshot!(diagnose("Vagrant.configure('2') do |config|\n  config.vm.box = `curl x`\nend\n", MemoryFiles::new()), @r#"
2:19 error[refused] `curl x` is refused: reading a file runs, writes and fetches nothing
"#);
    insta::assert_snapshot!(diagnose("Vagrant.configure('2') do |config|\n  config.vm.box = \nend end\n", MemoryFiles::new()), @r#"
2:17 error[syntax] expected an expression after `=`
3:1 error[syntax] unexpected 'end', assuming it is closing the parent 'do'..'end' block
3:5 error[syntax] unexpected 'end', expecting end-of-input
"#);
    insta::assert_snapshot!(diagnose("raise 'install the plugin first'\n", MemoryFiles::new()), @r#"
1:1 error[ruby] install the plugin first
"#);
    insta::assert_snapshot!(diagnose("puts 'nothing here'\n", MemoryFiles::new()), @r#"
1:1 error[vagrant-empty] The file configures nothing (`Vagrant.configure("2") do |config|` does; an `exit` before it leaves it out)
1:1 note[vagrant-says] The file says: nothing here
"#);
    insta::assert_snapshot!(diagnose("Vagrant.configure('2') { |c| c.vm.hostnam }\nloop { }\n", MemoryFiles::new()), @r#"
2:1 error[limit] This takes too long: an endless loop?
"#);
}

#[test]
fn what_is_left_out_is_told_once() {
    let text = r#"Vagrant.configure("2") do |config|
  config.vm.box = "ubuntu/bionic64"
  config.hostmanager.enabled = true
  config.hostmanager.manage_host = true
  config.vbguest.auto_update = false if Vagrant.has_plugin?("vagrant-vbguest")
  config.cache.scope = :box
  config.ssh.forward_agent = true
  (1..3).each do |n|
    config.vm.define "n#{n}" do |m|
      m.vm.provision :reload
      m.vm.provision "docker" do |d|
        d.pull_images "nginx"
        d.run "nginx"
      end
      m.vm.provider "virtualbox" do |v|
        v.gui = true
        v.customize ["modifyvm", :id, "--ioapic", "on"]
      end
      m.trigger.before :halt do |t|
        t.run_remote = { inline: "true" }
      end
    end
  end
end
"#;
    insta::assert_snapshot!(diagnose(text, MemoryFiles::new()), @r#"
2:3 warning[vagrant-box] Box `ubuntu/bionic64` is Ubuntu 18.04; the nearest image is `ubuntu-24.04` (`--box-alias ubuntu/bionic64=IMAGE` says otherwise)
3:3 warning[vagrant-ignored] Of `config.hostmanager`, this has no meaning here: `enabled`, `manage_host` ⟨left out⟩
5:3 warning[vagrant-ignored] Of `config.vbguest`, this has no meaning here: `auto_update` ⟨left out⟩
6:3 warning[vagrant-ignored] Of `config.cache`, this has no meaning here: `scope` ⟨left out⟩
7:3 warning[vagrant-ignored] Of `config.ssh`, this has no meaning here: `forward_agent` ⟨left out⟩
9:22 note[vagrant-folder] Synced folders are copied when a node comes up; later changes stay on either side (`nestlab up` copies them again; `disabled: true` leaves one out)
10:7 warning[vagrant-reload] A node is not restarted between two provisioners (`nestlab reload NODE` restarts it when all have run)
11:7 warning[vagrant-provisioner] The provisioner `docker` is left out (say the same in a shell provisioner, or give the machine's containers `inside:`)
16:9 warning[vagrant-ignored] Of provider `virtualbox`, this has no meaning here: `gui` ⟨left out⟩
17:9 warning[vagrant-ignored] Of VirtualBox's `modifyvm`, this has no meaning here: `--ioapic` ⟨left out⟩
19:7 warning[vagrant-trigger] A trigger before `halt` cannot run anything in a node (after `up` it can; otherwise run it with `nestlab exec`)
"#);
}

#[test]
fn aliases_name_images_and_files() {
    let text = "Vagrant.configure('2') do |config|\n  config.vm.define('a') { |m| m.vm.box = 'centos/7' }\n  \
                config.vm.define('b') { |m| m.vm.box = 'mine' }\nend\n";
    let files = MemoryFiles::new()
        .with(FILE, text)
        .with("/lab/c.qcow2", "x");
    let mut settings = corpus::settings();
    let aliases = [("centos/7", "./c.qcow2"), ("mine", "debian")];
    settings.vagrant.box_aliases = aliases
        .iter()
        .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
        .collect();
    let converted = convert(&files, Path::new(FILE), &settings);
    assert!(
        converted.loaded.lab.is_some(),
        "{}",
        converted.loaded.render(Path::new("/lab"), false)
    );
    insta::assert_snapshot!(converted.yaml.expect("it is understood"), @r#"
# The lab of Vagrantfile, as `nestlab convert` wrote it.
name: lab
images:
  centos-7: { path: ./c.qcow2 }
nodes:
  a:
    image: centos-7
    memory: 1GiB
    files:
      - { source: Vagrantfile, target: /vagrant/Vagrantfile }
  b:
    image: debian
    memory: 1GiB
    files:
      - { source: Vagrantfile, target: /vagrant/Vagrantfile }
"#);
}

#[test]
fn the_cli_learns_what_a_lab_file_cannot_say() {
    let text = "Vagrant.configure('2') do |config|\n  config.vm.box = 'debian/bookworm64'\n  \
                config.vm.define 'Web_1', primary: true\n  config.vm.define 'b', autostart: false\nend\n";
    let loaded = load_as(
        &MemoryFiles::new().with(FILE, text),
        Path::new(FILE),
        &corpus::settings(),
    );
    let machines = json!(loaded.vagrant);
    assert_eq!(
        machines,
        json!([
            { "name": "Web_1", "node": "web-1", "primary": true, "autostart": true,
              "provider": "libvirt", "box_name": "debian/bookworm64" },
            { "name": "b", "node": "b", "primary": false, "autostart": false,
              "provider": "libvirt", "box_name": "debian/bookworm64" },
        ])
    );
}

mod mutations {
    use super::*;
    use proptest::prelude::*;

    /// The text with a piece cut out, doubled, moved or exchanged.
    fn mutated(text: &str, cuts: &[(prop::sample::Index, prop::sample::Index, u8)]) -> String {
        let mut letters: Vec<char> = text.chars().collect();
        for (start, length, kind) in cuts {
            if letters.is_empty() {
                break;
            }
            let start = start.index(letters.len());
            let end = (start + length.index(24)).min(letters.len());
            let piece: Vec<char> = match kind % 4 {
                0 => letters.drain(start..end).collect(),
                1 => letters[start..end].to_vec(),
                2 => "{{ \"#{[nil]}\" }}".chars().collect(),
                _ => letters[start..end].iter().rev().copied().collect(),
            };
            if kind % 4 != 0 {
                letters.splice(start..start, piece);
            }
        }
        letters.into_iter().collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn nothing_panics_or_hangs(
            which in any::<prop::sample::Index>(),
            cuts in prop::collection::vec(any::<(prop::sample::Index, prop::sample::Index, u8)>(), 1..6),
        ) {
            let cases: Vec<_> = corpus::groups().into_iter().flat_map(|(_, cases)| cases).collect();
            let case = &cases[which.index(cases.len())];
            let text = mutated(case.text(), &cuts);
            let files = case.memory().with(FILE, text.as_str());
            let settings = case.settings();
            let Converted { yaml, loaded } = convert(&files, Path::new(FILE), &settings);
            let errors = loaded.diagnostics.iter().any(Diagnostic::is_error);
            prop_assert_eq!(errors, loaded.lab.is_none());
            if let (Some(lab), Some(yaml)) = (&loaded.lab, yaml) {
                let files = files.with("/lab/nestlab.yaml", yaml.as_str());
                let again = load_as(&files, Path::new("/lab/nestlab.yaml"), &settings);
                prop_assert_eq!(json!(lab), json!(again.lab), "{}\n{}", text, yaml);
            }
        }
    }
}
