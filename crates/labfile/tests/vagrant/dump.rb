# Has the real Vagrant evaluate folders of a Vagrantfile each, and prints what it made of
# them: one line of JSON for each folder. For the test that compares with us; nothing of
# Nestlab runs this.
#
#   ruby dump.rb < CASES      a line of JSON each: {"folder", "provider", "env"}
require "json"
require "tmpdir"

scratch = Dir.mktmpdir("vagrant-dump")
at_exit { FileUtils.rm_rf(scratch) }
ENV["VAGRANT_HOME"] = File.join(scratch, "home")
ENV["VAGRANT_CWD"] = scratch
ENV["VAGRANT_DOTFILE_PATH"] = File.join(scratch, "dot")
ENV["VAGRANT_CHECKPOINT_DISABLE"] = "1"
ENV["VAGRANT_I_KNOW_WHAT_IM_DOING_PLEASE_BE_QUIET"] = "1"

require "vagrant"
Vagrant.plugin("2").manager # core plugins
begin
  require "vagrant-libvirt"
rescue LoadError
  nil
end

UUID = /\A\h{8}-\h{4}-\h{4}-\h{4}-\h{12}\z/

def plain(value)
  case value
  when Hash then value.map { |k, v| [k.to_s, plain(v)] }.sort.to_h
  when Array then value.map { |v| plain(v) }
  when Symbol, Pathname then value.to_s
  when String, Integer, Float, true, false, nil then value
  when Range then value.to_s
  else value.class.to_s
  end
end

def networks(config)
  config.vm.networks.map do |type, options|
    options = options.reject { |key, value| key == :id && value.to_s =~ UUID }
    [type.to_s, plain(options)]
  end
end

SHELL = %i[inline path args env privileged reboot reset upload_path sensitive].freeze

def shell(config)
  SHELL.map { |key| [key.to_s, plain(config.send(key))] }.to_h
end

def provisioner(step)
  shown = { "name" => step.name&.to_s, "type" => step.type.to_s, "run" => step.run&.to_s }
  case step.type
  when :shell then shown.merge(shell(step.config), "title" => plain(step.config.name))
  when :file
    shown.merge("source" => plain(step.config.source), "destination" => plain(step.config.destination))
  when :ansible, :ansible_local
    keys = %i[playbook extra_vars groups limit tags]
    keys.each { |key| shown[key.to_s] = plain(step.config.send(key)) }
    shown
  else shown
  end
end

PROVIDERS = {
  libvirt: %i[cpus memory cpu_mode cpu_model nested machine_virtual_size nic_model_type driver],
  docker: %i[image cmd env ports volumes privileged name create_args]
}.freeze

def provider(name, config)
  return {} unless config
  shown = (PROVIDERS[name] || []).map { |key| [key.to_s, plain(config.send(key))] }.to_h
  shown["disks"] = config.disks.map { |disk| disk[:size].to_s } if name == :libvirt
  shown["customizations"] = plain(config.customizations) if name == :virtualbox
  shown
end

def triggers(config)
  all = { "before" => config.trigger.before_triggers, "after" => config.trigger.after_triggers }
  all.flat_map do |at, list|
    list.map do |trigger|
      remote = trigger.run_remote ? shell(trigger.run_remote) : nil
      { "at" => at, "command" => trigger.command.to_s, "name" => plain(trigger.name),
        "only_on" => trigger.only_on&.map { |one| one.is_a?(Regexp) ? one.inspect : one.to_s },
        "remote" => remote }
    end
  end
end

def machine(env, name, provider_name)
  options = env.vagrantfile.machine_names_and_options[name]
  found = env.vagrantfile.machine_config(name, provider_name, nil, nil, false)
  config = found[:config]
  {
    "name" => name.to_s,
    "primary" => options[:primary] ? true : false,
    "autostart" => options.key?(:autostart) ? options[:autostart] : true,
    "box" => plain(config.vm.box),
    "box_version" => plain(config.vm.box_version),
    "box_url" => plain(config.vm.box_url),
    "hostname" => plain(config.vm.hostname),
    "networks" => networks(config),
    "provider" => provider(provider_name, config.vm.get_provider_config(provider_name)),
    "provisioners" => config.vm.provisioners.map { |step| provisioner(step) },
    "folders" => config.vm.synced_folders.map { |id, given| [id.to_s, plain(given)] },
    "triggers" => triggers(config)
  }
end

def evaluate(folder, provider_name)
  Dir.chdir(folder) do
    env = Vagrant::Environment.new(cwd: folder, ui_class: Vagrant::UI::Silent)
    env.machine_names.map { |name| machine(env, name, provider_name) }
  end
end

out = $stdout.dup
$stdout.reopen($stderr)
$stdin.each_line do |line|
  given = JSON.parse(line)
  before = ENV.to_h
  given["env"].each { |key, value| ENV[key] = value }
  begin
    shown = { "machines" => evaluate(given["folder"], given["provider"].to_sym) }
  rescue Exception => error # rubocop:disable Lint/RescueException
    shown = { "error" => "#{error.class}: #{error.message}".lines.first(12).join }
  end
  ENV.replace(before)
  out.puts(JSON.generate(shown))
  out.flush
end
