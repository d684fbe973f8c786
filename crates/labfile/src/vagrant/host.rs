//! What `Vagrant` and `config` mean to the Ruby of a Vagrantfile. Every call is kept at its
//! place; judging is left to others, so that all mistakes are found in one run.

mod objects;
mod values;

use super::config::{Scope, StepId};
use super::datum::{Datum, Event, Log, Options, What};
use super::machine::Machine;
use super::{Machines, Settings, World, ports, provider};
use crate::files::Files;
use crate::report::{Mark, Problem, Report};
use crate::{FileKind, Position};
use nestlab_ruby::{
    Block, Call, Error, Handle, Interpreter, Kind, Limits, Place, Platform, Severity, Span, Stream,
    Value,
};
use objects::Object;
use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

/// Lines that a file may say to its user before they are dropped.
const SAID: usize = 20;

/// The version that we claim to be: the last one of which files may ask for something.
const VERSION: &str = "2.4.9";

/// Plugins whose work is done here, or has no meaning.
pub const PLUGINS: [&str; 21] = [
    "vagrant-cachier",
    "vagrant-disksize",
    "vagrant-env",
    "vagrant-hostmanager",
    "vagrant-hosts",
    "vagrant-hostsupdater",
    "vagrant-libvirt",
    "vagrant-mutate",
    "vagrant-parallels",
    "vagrant-qemu",
    "vagrant-reload",
    "vagrant-rsync-back",
    "vagrant-scp",
    "vagrant-share",
    "vagrant-sshfs",
    "vagrant-timezone",
    "vagrant-triggers",
    "vagrant-vbguest",
    "vagrant-vmware-desktop",
    "vagrant-winnfsd",
    "vagrant-utm",
];

/// The host of one evaluation.
struct Host<'a> {
    files: &'a dyn Files,
    settings: &'a Settings,
    folder: &'a Path,
    /// The number of the Vagrantfile among the files of the report.
    number: usize,
    report: RefCell<&'a mut Report>,
    state: RefCell<State>,
    /// Lines and columns of spans: a loop asks for the same ones again and again.
    marks: RefCell<HashMap<Span, Mark>>,
    numbers: RefCell<HashMap<PathBuf, usize>>,
    said: RefCell<Vec<String>>,
}

/// Everything that was said so far.
#[derive(Default)]
struct State {
    objects: Vec<Object>,
    scopes: Vec<Scope<Block>>,
    bags: Vec<Bag>,
    /// Blocks of `Vagrant.configure`, which run when the whole file has been read.
    configure: Vec<Block>,
    steps: usize,
}

/// What is said to one object, with values that the file may change still.
struct Bag {
    mark: Mark,
    said: Vec<(String, Said, Mark)>,
}

#[derive(Clone)]
enum Said {
    Set(Value),
    Index(Value, Value),
    Call(Vec<Value>),
}

/// Runs a Vagrantfile. `None` if something went wrong on the way, which is reported.
pub(super) fn evaluate(
    path: &Path,
    text: &str,
    number: usize,
    world: &World<'_>,
    report: &mut Report,
) -> Option<Machines> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let host = Host {
        files: world.files,
        settings: world.settings,
        folder,
        number,
        report: RefCell::new(report),
        state: RefCell::default(),
        marks: RefCell::default(),
        numbers: RefCell::new(HashMap::from([(path.to_owned(), number)])),
        said: RefCell::default(),
    };
    let outcome = nestlab_ruby::run(&host, Limits::default(), |ruby| host.run(ruby, path, text));
    for source in outcome.sources.iter() {
        host.file(&source.path, &source.text);
    }
    let said = host.said.take();
    let mut failed = false;
    for problem in &outcome.problems {
        failed |= problem.severity == Severity::Error;
        host.problem(problem);
    }
    host.tell(&said);
    let all = outcome.value.filter(|_| !failed)?;
    Some(Machines {
        all,
        top: Mark::top(number),
    })
}

impl Host<'_> {
    fn run(&self, ruby: &mut Interpreter<'_>, path: &Path, text: &str) -> Option<Vec<Machine>> {
        if let Err(error) = ruby.evaluate_text(path, text) {
            let over = error.is_exit();
            ruby.report(error);
            if !over {
                return None;
            }
        }
        let blocks = std::mem::take(&mut self.state.borrow_mut().configure);
        if blocks.is_empty() {
            self.no_configuration();
            return None;
        }
        let top = Mark::top(self.number);
        let mut root = Scope::new(top);
        for block in blocks {
            root.merge(&self.scope(ruby, &block));
        }
        if root.machines.is_empty() {
            root.define("default", top, &Options::new(top), None);
        }
        let machines = root.machines.clone();
        let machines = machines
            .iter()
            .map(|defined| self.machine(ruby, &root, defined));
        Some(machines.collect())
    }

    fn no_configuration(&self) {
        let mark = Mark::top(self.number);
        let problem = Problem::error("vagrant-empty", mark, "The file configures nothing");
        let hint = "`Vagrant.configure(\"2\") do |config|` does; an `exit` before it leaves it out";
        self.report.borrow_mut().add(problem.hint(hint));
    }

    /// Runs a block that is given a `config`, and gives what it said.
    fn scope(&self, ruby: &mut Interpreter<'_>, block: &Block) -> Scope<Block> {
        let (scope, config) = self.new_scope();
        if let Err(error) = ruby.call_block(block, vec![config]) {
            ruby.report(error);
        }
        self.take_scope(scope)
    }

    fn new_scope(&self) -> (usize, Value) {
        let number = {
            let mut state = self.state.borrow_mut();
            state.scopes.push(Scope::new(Mark::top(self.number)));
            state.scopes.len() - 1
        };
        (number, self.object(Object::Config(number)))
    }

    fn take_scope(&self, number: usize) -> Scope<Block> {
        let empty = Scope::new(Mark::top(self.number));
        std::mem::replace(&mut self.state.borrow_mut().scopes[number], empty)
    }

    /// One machine: what holds for all, what was said for it, what its provider overrides.
    fn machine(
        &self,
        ruby: &mut Interpreter<'_>,
        root: &Scope<Block>,
        defined: &super::config::Defined<Block>,
    ) -> Machine {
        let mut scope = root.clone();
        for block in &defined.blocks {
            scope.merge(&self.scope(ruby, block));
        }
        let name = self.provider(&scope);
        for block in blocks_of(&scope, &name) {
            if block.arity() == 2 {
                scope.merge(&self.override_scope(ruby, &block));
            }
        }
        let hardware = self.hardware(ruby, &scope, &name, defined.mark);
        let fallback = self.fallback(ruby, &scope, &name, defined.mark);
        finish(scope, defined, name, hardware, fallback)
    }

    /// `config.vm.provider :x do |v, override|`: this time for the sake of `override`.
    fn override_scope(&self, ruby: &mut Interpreter<'_>, block: &Block) -> Scope<Block> {
        let (number, config) = self.new_scope();
        let nothing = self.object(Object::Void);
        if let Err(error) = ruby.call_block(block, vec![nothing, config]) {
            ruby.report(error);
        }
        self.take_scope(number)
    }

    /// The provider whose blocks count.
    fn provider(&self, scope: &Scope<Block>) -> String {
        let wanted = self.settings.provider.as_ref();
        let wanted = wanted.or_else(|| self.settings.env.get("VAGRANT_DEFAULT_PROVIDER"));
        if let Some(name) = wanted.filter(|name| !name.is_empty()) {
            return name.clone();
        }
        let known = || {
            scope
                .providers
                .iter()
                .filter(|(name, _)| provider::is_known(name))
        };
        let libvirt = known().find(|(name, _)| name == "libvirt");
        let found = libvirt.or_else(|| known().next());
        found.map_or_else(|| "libvirt".to_owned(), |(name, _)| name.clone())
    }

    /// What a provider's blocks say.
    fn hardware(
        &self,
        ruby: &mut Interpreter<'_>,
        scope: &Scope<Block>,
        provider: &str,
        mark: Mark,
    ) -> Log {
        let mut log = Log::new(mark);
        for block in blocks_of(scope, provider) {
            let (bag, object) = self.new_bag(mark);
            let nothing = self.object(Object::Void);
            if let Err(error) = ruby.call_block(&block, vec![object, nothing]) {
                ruby.report(error);
            }
            log.events.extend(self.take_bag(ruby, bag).events);
        }
        log
    }

    /// Where the chosen provider has no block, another kind of virtual machine may have one.
    fn fallback(
        &self,
        ruby: &mut Interpreter<'_>,
        scope: &Scope<Block>,
        chosen: &str,
        mark: Mark,
    ) -> Option<(String, Log)> {
        if !provider::MACHINES.contains(&chosen) || !blocks_of(scope, chosen).is_empty() {
            return None;
        }
        let other = scope.providers.iter().find(|(name, blocks)| {
            provider::MACHINES.contains(&name.as_str()) && !blocks.is_empty()
        });
        let name = other?.0.clone();
        let log = self.hardware(ruby, scope, &name, mark);
        Some((name, log))
    }

    fn new_bag(&self, mark: Mark) -> (usize, Value) {
        let number = {
            let mut state = self.state.borrow_mut();
            state.bags.push(Bag {
                mark,
                said: Vec::new(),
            });
            state.bags.len() - 1
        };
        (number, self.object(Object::Bag(number)))
    }

    /// What was said to an object, now that nothing changes any more.
    fn take_bag(&self, ruby: &mut Interpreter<'_>, number: usize) -> Log {
        let (mark, said) = {
            let mut state = self.state.borrow_mut();
            let bag = &mut state.bags[number];
            (bag.mark, std::mem::take(&mut bag.said))
        };
        let mut log = Log::new(mark);
        for (name, said, mark) in said {
            let what = match said {
                Said::Set(value) => What::Set(values::datum(ruby, &value)),
                Said::Index(key, value) => {
                    What::Index(values::datum(ruby, &key), values::datum(ruby, &value))
                }
                Said::Call(args) => {
                    What::Call(args.iter().map(|arg| values::datum(ruby, arg)).collect())
                }
            };
            log.events.push(Event { name, what, mark });
        }
        log
    }

    fn object(&self, object: Object) -> Value {
        let mut state = self.state.borrow_mut();
        state.objects.push(object);
        Value::Foreign(Handle(state.objects.len() as u64 - 1))
    }

    /// The number of a file in the report, which learns of it.
    fn file(&self, path: &Path, text: &str) -> usize {
        let known = self.numbers.borrow().get(path).copied();
        known.unwrap_or_else(|| {
            let number = self.report.borrow_mut().file(path, text);
            self.numbers.borrow_mut().insert(path.to_owned(), number);
            number
        })
    }

    fn mark(&self, ruby: &Interpreter<'_>, span: Span) -> Mark {
        if let Some(mark) = self.marks.borrow().get(&span) {
            return *mark;
        }
        let place = ruby.sources().place(span);
        let text = ruby
            .sources()
            .get(span.file)
            .map_or("", |source| &source.text);
        let mark = mark_of(&place, self.file(&place.path, text));
        self.marks.borrow_mut().insert(span, mark);
        mark
    }

    fn problem(&self, problem: &nestlab_ruby::Problem) {
        let mark = match &problem.place {
            Some(place) => mark_of(place, self.file(&place.path, "")),
            None => Mark::top(self.number),
        };
        let ours = match problem.severity {
            Severity::Error => Problem::error(problem.code, mark, &*problem.message),
            Severity::Warning => Problem::warning(problem.code, mark, &*problem.message),
        };
        self.report
            .borrow_mut()
            .add(ours.maybe_hint(problem.hint.clone()));
    }

    /// What the file printed, as a note.
    fn tell(&self, said: &[String]) {
        if said.is_empty() {
            return;
        }
        let lines: Vec<_> = said.iter().take(SAID).map(|line| line.trim()).collect();
        let message = format!("The file says: {}", lines.join(" / "));
        let problem = Problem::note("vagrant-says", Mark::top(self.number), message);
        self.report.borrow_mut().add(problem);
    }
}

fn mark_of(place: &Place, file: usize) -> Mark {
    Mark {
        file,
        start: Position {
            line: place.line,
            column: place.column,
        },
        end: Position {
            line: place.end_line,
            column: place.end_column,
        },
    }
}

/// The line without what only a terminal understands.
fn without_colours(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| {
        let end = part.find(|c: char| c.is_ascii_alphabetic());
        plain + end.map_or("", |end| &part[end + 1..])
    })
}

fn blocks_of(scope: &Scope<Block>, provider: &str) -> Vec<Block> {
    let mut providers = scope.providers.iter();
    let found = providers.find(|(name, _)| name == provider);
    found.map_or(Vec::new(), |(_, blocks)| blocks.clone())
}

/// Vagrant's defaults, and all in its place.
fn finish(
    mut scope: Scope<Block>,
    defined: &super::config::Defined<Block>,
    provider: String,
    mut hardware: Log,
    fallback: Option<(String, Log)>,
) -> Machine {
    let mark = defined.mark;
    if scope
        .networks
        .iter()
        .all(|(id, _)| id != "forwarded_port-ssh")
    {
        scope.network("forwarded_port", ports::ssh(mark));
    }
    let here = |options: &Options| options.text("hostpath").as_deref() == Some(".");
    let shared = |(id, options): &(String, Options)| id == "/vagrant" || here(options);
    if !scope.folders.iter().any(shared) {
        let guest = Datum::text("/vagrant");
        scope.folder(Datum::text("."), Some(&guest), Options::new(mark));
    }
    for (_, network) in scope
        .networks
        .iter_mut()
        .filter(|(id, _)| id.starts_with("forwarded_port"))
    {
        for name in ["guest", "host"] {
            let number = network
                .options
                .get(name)
                .and_then(|port| Some((Datum::Int(port.datum.integer()?), port.mark)));
            if let Some((number, mark)) = number {
                network.options.set(name, number, mark);
            }
        }
    }
    let mut vm = scope.vm.options();
    if let Some(name) = vm.take("host_name") {
        vm.set("hostname", name.datum, name.mark);
    }
    let mut calls = scope.vm;
    calls
        .events
        .retain(|event| !matches!(event.what, What::Set(_)));
    if provider == "virtualbox" {
        // Version 1 of the configuration said it there.
        let commands = calls
            .events
            .iter()
            .filter(|event| event.name == "customize");
        hardware
            .events
            .splice(0..0, commands.cloned().collect::<Vec<_>>());
    }
    let options = &defined.options;
    Machine {
        name: defined.name.clone(),
        mark,
        primary: options.is("primary"),
        autostart: options
            .given("autostart")
            .is_none_or(|value| value.datum.is_true()),
        vm,
        calls,
        networks: scope
            .networks
            .into_iter()
            .map(|(_, network)| network)
            .collect(),
        provider,
        hardware,
        fallback,
        steps: scope.steps.into_iter().map(|(_, step)| step).collect(),
        folders: scope.folders,
        triggers: scope.before.into_iter().chain(scope.after).collect(),
        sections: scope.sections,
    }
}

impl nestlab_ruby::Host for Host<'_> {
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        self.files.read(path, limit)
    }

    fn kind(&self, path: &Path) -> Option<Kind> {
        self.files.kind(path).map(|kind| match kind {
            FileKind::File => Kind::File,
            FileKind::Folder => Kind::Folder,
        })
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.files.list(path)
    }

    fn environment(&self) -> Vec<(String, String)> {
        let env = self.settings.env.iter();
        env.map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    fn ignores_writes(&self) -> bool {
        true
    }

    /// What some files ask of the system that they believe to run on; nothing is run.
    fn command(&self, line: &str) -> Option<String> {
        let platform = self.platform();
        let user = self.settings.env.get("USER").map_or("root", String::as_str);
        let answer = match line.trim() {
            "uname" | "uname -s" => "Linux",
            "uname -m" | "uname -p" | "uname -i" | "arch" => &platform.cpu,
            "whoami" | "id -un" => user,
            "nproc" | "grep -c ^processor /proc/cpuinfo" | "grep -c processor /proc/cpuinfo" => {
                return Some(format!("{}\n", platform.processors));
            }
            _ => return None,
        };
        Some(format!("{answer}\n"))
    }

    fn platform(&self) -> Platform {
        let home = self
            .settings
            .env
            .get("HOME")
            .map_or("/root", String::as_str);
        let cpu = std::env::consts::ARCH;
        Platform {
            ruby: format!("{cpu}-linux"),
            cpu: cpu.to_owned(),
            folder: self.folder.to_owned(),
            home: home.into(),
            arguments: vec!["up".into()],
            ..Platform::default()
        }
    }

    fn constant(&self, name: &str) -> Option<Value> {
        let known = ["Vagrant", "VagrantPlugins", "Log4r", "I18n"];
        known
            .contains(&name)
            .then(|| self.object(Object::Module(name.to_owned())))
    }

    fn send(
        &self,
        ruby: &mut Interpreter<'_>,
        receiver: Handle,
        call: Call,
    ) -> Result<Value, Error> {
        let object = self
            .state
            .borrow()
            .objects
            .get(receiver.0 as usize)
            .cloned();
        match object {
            Some(object) => self.dispatch(ruby, receiver, &object, call),
            None => ruby.universal(receiver, call),
        }
    }

    fn describe(&self, receiver: Handle) -> String {
        let state = self.state.borrow();
        let object = state.objects.get(receiver.0 as usize);
        object.map_or_else(|| "Vagrant".to_owned(), Object::title)
    }

    fn responds(&self, _receiver: Handle, _name: &str) -> bool {
        true
    }

    fn say(&self, _stream: Stream, line: &str) {
        let mut said = self.said.borrow_mut();
        if said.len() < SAID && !line.trim().is_empty() {
            said.push(without_colours(line).chars().take(200).collect());
        }
    }
}

impl Machine {
    /// Who one is in the box.
    pub fn user(&self) -> String {
        let options = self.section("ssh").map(Log::options);
        let user = options.and_then(|options| options.text("username"));
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        let user =
            user.filter(|user| !user.is_empty() && user.chars().all(plain) && user != "root");
        user.unwrap_or_else(|| "vagrant".to_owned())
    }
}

impl State {
    fn step_id(&mut self, name: Option<&str>) -> StepId {
        self.steps += 1;
        name.map_or(StepId::Number(self.steps), |name| {
            StepId::Name(name.to_owned())
        })
    }
}
