//! Provisioners: what Vagrant runs in a machine, as steps of a node.

use super::ansible;
use super::datum::{Datum, Options, What};
use super::document::Node;
use super::machine::{Machine, Step};
use super::notes::Notes;
use super::shell::{self, Args, Run};
use super::tree::Context;
use crate::limits::MAX_SCRIPT;
use crate::report::{Mark, did_you_mean};

/// Where scripts lie in a node that cannot be run as they are. Not in `/tmp`, which a
/// restart empties.
const SCRIPTS: &str = "/var/lib/vagrant-shell";

/// Options of shell provisioners that say how Vagrant goes about it.
const IGNORED: [&str; 13] = [
    "binary",
    "keep_color",
    "md5",
    "powershell_args",
    "powershell_elevated_interactive",
    "reboot",
    "reset",
    "sensitive",
    "sha1",
    "sha256",
    "sha384",
    "sha512",
    "upload_path",
];
const MEANT: [&str; 7] = [
    "args",
    "communicator_required",
    "env",
    "inline",
    "name",
    "path",
    "privileged",
];

/// Provisioners that are not Vagrant's own words for what a step does.
const OTHERS: [&str; 16] = [
    "ansible",
    "ansible_local",
    "cfengine",
    "chef_apply",
    "chef_client",
    "chef_solo",
    "chef_zero",
    "docker",
    "file",
    "podman",
    "puppet",
    "puppet_server",
    "reload",
    "salt",
    "shell",
    "hostmanager",
];

/// What a machine's provisioners amount to.
#[derive(Default)]
pub(super) struct Steps {
    pub steps: Vec<Node>,
    /// Files that the steps need.
    pub files: Vec<Node>,
    /// Whether somebody speaks of the box's user.
    pub needs_user: bool,
    scripts: usize,
}

/// The steps of a machine, in order; what triggers run in it afterwards comes last.
pub(super) fn steps(machine: &Machine, cx: &Context<'_>, notes: &mut Notes<'_>) -> Steps {
    let mut steps = Steps::default();
    for step in ordered(machine, cx, notes) {
        steps.step(step, machine, cx, notes);
    }
    for trigger in &machine.triggers {
        super::trigger::step(trigger, machine, &mut steps, cx, notes);
    }
    steps
}

/// `before:` and `after:` count only where Vagrant is told to try them.
fn ordered<'m>(machine: &'m Machine, cx: &Context<'_>, notes: &mut Notes<'_>) -> Vec<&'m Step> {
    let moved = |step: &&Step| step.before.is_some() || step.after.is_some();
    let experimental = cx.settings.env.get("VAGRANT_EXPERIMENTAL");
    let on = experimental
        .is_some_and(|text| text == "1" || text.split(',').any(|t| t == "dependency_provisioners"));
    let (moving, mut staying): (Vec<_>, Vec<_>) =
        machine.steps.iter().partition(|step| on && moved(step));
    if let Some(step) = staying.iter().find(|step| moved(step)) {
        let message = "`before` and `after` are not looked at: the step keeps its place";
        let hint = "Vagrant itself heeds them with VAGRANT_EXPERIMENTAL=dependency_provisioners";
        notes.warn("vagrant-order", step.log.mark, message, hint);
    }
    for step in moving {
        place(step, &mut staying);
    }
    staying
}

fn place<'m>(step: &'m Step, steps: &mut Vec<&'m Step>) {
    let (before, at) = match (&step.before, &step.after) {
        (Some(at), _) => (true, at.show()),
        (None, Some(at)) => (false, at.show()),
        (None, None) => return steps.push(step),
    };
    let beside = usize::from(!before);
    if at == "each" {
        let own = |other: &&&Step| other.before.is_none() && other.after.is_none();
        let count = steps.iter().filter(own).count();
        for number in 0..count {
            steps.insert(2 * number + beside, step);
        }
        return;
    }
    let known = steps
        .iter()
        .position(|other| other.name.as_deref() == Some(&*at));
    let position = match (known, before) {
        (Some(known), _) => known + beside,
        (None, true) => 0,
        (None, false) => steps.len(),
    };
    steps.insert(position, step);
}

impl Steps {
    fn step(&mut self, step: &Step, machine: &Machine, cx: &Context<'_>, notes: &mut Notes<'_>) {
        let mark = step.log.mark;
        let options = step.log.options();
        match step.kind.as_str() {
            "shell" => {
                known(&options, notes);
                let title = step.name.clone().or_else(|| options.text("name"));
                let frame = Frame {
                    title,
                    run: step.run.clone(),
                    mark,
                };
                self.shell(&options, &frame, machine, cx, notes);
            }
            "file" => self.file(step, &options, &machine.user(), cx),
            "ansible" | "ansible_local" => self.ansible(step, &machine.name, &options, notes),
            "hostmanager" => notes.ignore("provisioners", "hostmanager", mark),
            "reload" => {
                let message = "A node is not restarted between two provisioners";
                let hint = "`nestlab reload NODE` restarts it when all have run";
                notes.warn("vagrant-reload", mark, message, hint);
            }
            "docker" | "podman" => {
                let message = format!("The provisioner `{}` is left out", step.kind);
                let hint = "say the same in a shell provisioner, or give the machine's containers `inside:`";
                notes.warn("vagrant-provisioner", mark, message, hint);
            }
            kind if OTHERS.contains(&kind) => {
                let message = format!("The provisioner `{kind}` is not supported");
                let hint = "a shell provisioner can install and run it in the node";
                notes.error("vagrant-provisioner", mark, message, hint);
            }
            kind => {
                let message = format!("There is no provisioner `{kind}`");
                let hint = did_you_mean(kind, OTHERS)
                    .unwrap_or_else(|| "if a plugin has it, say the same with `shell`".into());
                notes.error("vagrant-provisioner", mark, message, hint);
            }
        }
    }

    /// A shell provisioner, or what a trigger runs.
    pub fn shell(
        &mut self,
        options: &Options,
        frame: &Frame,
        machine: &Machine,
        cx: &Context<'_>,
        notes: &mut Notes<'_>,
    ) {
        let env = env(options);
        let privileged = options
            .get("privileged")
            .is_none_or(|value| value.datum.is_true());
        let user = machine.user();
        let args = match options.get("args").map(|args| &args.datum) {
            None => Args::Words(Vec::new()),
            Some(list @ Datum::List(_)) => {
                Args::Words(list.items().into_iter().map(Datum::show).collect())
            }
            Some(text) => Args::split(&text.show()),
        };
        let run = Run {
            args,
            env: &env,
            // A container has no other user.
            user: (!privileged && machine.provider != "docker").then_some(&user),
        };
        self.needs_user |= run.user.is_some();
        if let Args::Words(words) = &run.args {
            self.needs_user |= words.iter().any(|word| shell::mentions_user(word));
        }
        let mut step = frame.node();
        let program = match (options.get("inline"), options.get("path")) {
            (Some(inline), _) => {
                let text = inline.datum.show();
                self.look_at(&text, inline.mark, notes);
                Program::Inline(self.inline(&text, &run, machine), inline.mark)
            }
            (None, Some(path)) => self.path(&path.datum.show(), path.mark, &run, cx, notes),
            (None, None) if options.is("reset") || options.is("reboot") => return,
            (None, None) => {
                let message = "A shell provisioner needs `inline` or `path`";
                notes.error("vagrant-value", frame.mark, message, "give one of them");
                return;
            }
        };
        match program {
            Program::Inline(text, mark) => step.put("inline", Node::text(mark, text)),
            Program::Script(path, mark) => {
                step.put("script", Node::text(mark, path));
                if let Args::Words(words) = &run.args
                    && !words.is_empty()
                {
                    let mark = options.mark("args");
                    let words = words.iter().map(|word| Node::text(mark, word)).collect();
                    step.put("args", Node::list(mark, words));
                }
            }
        }
        if !env.is_empty() {
            let mark = options.mark("env");
            let mut all = Node::map(mark);
            for (key, value) in &env {
                all.put(key.clone(), Node::text(mark, value));
            }
            step.put("env", all);
        }
        self.steps.push(step);
    }

    fn inline(&mut self, text: &str, run: &Run<'_>, machine: &Machine) -> String {
        if run.user.is_none() && run.args.is_empty() {
            // Alpine and many containers have no bash.
            let small = machine.provider == "docker" && !text.starts_with("#!");
            return if small {
                text.replace("\r\n", "\n")
            } else {
                shell::program(text)
            };
        }
        shell::carrier(&self.script_file("inline"), text, run)
    }

    /// What a script takes for granted that a box has.
    fn look_at(&mut self, text: &str, mark: Mark, notes: &mut Notes<'_>) {
        self.needs_user |= shell::mentions_user(text);
        if let Some(name) = shell::mentions_interface(text)
            && notes.first("vagrant-interface")
        {
            let message = format!("A script speaks of `{name}`, which is another interface here");
            let hint = "a node's first interface is that of its first private network; \
                        `ip -o -4 addr` tells by address";
            notes.warn("vagrant-interface", mark, message, hint);
        }
    }

    fn path(
        &mut self,
        path: &str,
        mark: Mark,
        run: &Run<'_>,
        cx: &Context<'_>,
        notes: &mut Notes<'_>,
    ) -> Program {
        let name = path.rsplit('/').next().unwrap_or("script").to_owned();
        let remote = ["http://", "https://", "ftp://"];
        if remote.iter().any(|scheme| path.starts_with(scheme)) {
            let file = self.script_file(&name);
            return Program::Inline(shell::fetcher(&file, path, run), mark);
        }
        let path = cx.expand(path);
        let bytes = cx
            .files
            .read(&cx.path(&path), MAX_SCRIPT)
            .unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        self.look_at(&text, mark, notes);
        let runs_itself = text.is_empty() || text.starts_with("#!");
        let words = matches!(run.args, Args::Words(_));
        if runs_itself && words && run.user.is_none() && !text.contains("\r\n") {
            return Program::Script(path, mark);
        }
        let file = self.script_file(&name);
        if text.contains("\r\n") {
            return Program::Inline(shell::carrier(&file, &text, run), mark);
        }
        let mut copy = Node::map(mark);
        copy.put("source", Node::text(mark, path));
        copy.put("target", Node::text(mark, &file));
        copy.put("mode", Node::text(mark, "0755"));
        self.files.push(copy);
        Program::Inline(shell::runner(&file, !runs_itself, run), mark)
    }

    /// A new place for a script in the node.
    fn script_file(&mut self, name: &str) -> String {
        self.scripts += 1;
        let safe = |c: char| {
            if c.is_ascii_alphanumeric() || "-_.".contains(c) {
                c
            } else {
                '-'
            }
        };
        let name: String = name.chars().take(100).map(safe).collect();
        format!("{SCRIPTS}/{}-{name}", self.scripts)
    }

    fn file(&mut self, step: &Step, options: &Options, user: &str, cx: &Context<'_>) {
        let mark = step.log.mark;
        let mut copy = Node::map(mark);
        let source = options.text("source").map(|source| cx.expand(&source));
        if let Some(source) = &source {
            copy.put("source", Node::text(options.mark("source"), source));
        }
        let mut target = options
            .text("destination")
            .map(|target| self.in_home(&target, user));
        if let Some(target) = &mut target {
            let base = source
                .as_deref()
                .and_then(|source| source.trim_end_matches('/').rsplit('/').next());
            if let Some(base) = base.filter(|_| target.ends_with('/')) {
                target.push_str(base);
            }
            copy.put("target", Node::text(options.mark("destination"), target));
        }
        let frame = Frame {
            title: step.name.clone(),
            run: step.run.clone(),
            mark,
        };
        let mut node = frame.node();
        node.put("file", copy);
        self.steps.push(node);
        if let Some(target) = target.filter(|target| target.starts_with("/home/")) {
            self.owner(step, &target, user);
        }
    }

    /// Gives what was copied into the user's home to him.
    fn owner(&mut self, step: &Step, target: &str, user: &str) {
        let frame = Frame {
            title: step.name.as_ref().map(|name| format!("{name}-owner")),
            run: step.run.clone(),
            mark: step.log.mark,
        };
        let mut node = frame.node();
        node.put("inline", Node::text(frame.mark, shell::owner(user, target)));
        self.steps.push(node);
    }

    /// Vagrant copies as the box's user: what is not absolute lies in his home.
    fn in_home(&mut self, target: &str, user: &str) -> String {
        let inner = target
            .strip_prefix("~/")
            .or_else(|| target.strip_prefix("$HOME/"))
            .or(if target == "~" { Some("") } else { None })
            .or_else(|| (!target.starts_with('/')).then_some(target));
        self.needs_user |= inner.is_some() || target.starts_with(&format!("/home/{user}"));
        match inner {
            Some(inner) => format!("/home/{user}/{}", inner.trim_start_matches("./")),
            None => target.to_owned(),
        }
    }

    fn ansible(&mut self, step: &Step, machine: &str, options: &Options, notes: &mut Notes<'_>) {
        let mark = step.log.mark;
        for event in &step.log.events {
            if let What::Call(_) = event.what {
                let what = format!("the provisioner `{}`", step.kind);
                notes.ignore(&what, &event.name, event.mark);
            }
        }
        let frame = Frame {
            title: step.name.clone(),
            run: step.run.clone(),
            mark,
        };
        let mut node = frame.node();
        let playbook = ansible::playbook(&step.kind, machine, mark, options, notes);
        node.put("ansible", playbook);
        self.steps.push(node);
    }
}

enum Program {
    /// A text.
    Inline(String, Mark),
    /// A file beside the Vagrantfile.
    Script(String, Mark),
}

/// What every step has around what it does.
pub(super) struct Frame {
    pub title: Option<String>,
    pub run: Option<String>,
    pub mark: Mark,
}

impl Frame {
    fn node(&self) -> Node {
        let mut node = Node::map(self.mark);
        if let Some(title) = &self.title {
            node.put("name", Node::text(self.mark, title));
        }
        if let Some(run) = self.run.as_ref().filter(|run| *run != "once") {
            node.put("run", Node::text(self.mark, run));
        }
        node
    }
}

fn env(options: &Options) -> Vec<(String, String)> {
    let entries = options
        .get("env")
        .map(|env| env.datum.entries())
        .unwrap_or_default();
    entries
        .iter()
        .map(|(key, value)| (key.show(), value.show()))
        .collect()
}

fn known(options: &Options, notes: &mut Notes<'_>) {
    for (name, value) in options.iter() {
        if name == "reboot" && value.datum.is_true() {
            let message = "A node is not restarted between two provisioners";
            let hint = "`nestlab reload NODE` restarts it when all have run";
            notes.warn("vagrant-reload", value.mark, message, hint);
        } else if IGNORED.contains(&name) {
            notes.ignore("shell provisioners", name, value.mark);
        } else if !MEANT.contains(&name) {
            let known = MEANT.into_iter().chain(IGNORED);
            notes.unknown("shell", name, value.mark, known);
        }
    }
}
