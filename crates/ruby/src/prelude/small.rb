module Shellwords
  module_function

  def shellescape(text)
    text = text.to_s
    return "''" if text.empty?
    text.gsub(/[^A-Za-z0-9_\-.,:+\/@\n]/) { |char| "\\#{char}" }.gsub("\n", "'\n'")
  end

  def escape(text) = shellescape(text)

  def shelljoin(words) = words.map { |word| shellescape(word) }.join(" ")

  def join(words) = shelljoin(words)

  def shellsplit(line)
    words = []
    field = nil
    line.scan(/\s+|"((?:[^"\\]|\\.)*)"|'([^']*)'|\\(.)|([^\s"'\\]+)/) do |double, single, escaped, plain|
      part = double ? double.gsub(/\\(["\\$`])/, '\1') : single || escaped || plain
      if part.nil?
        words << field if field
        field = nil
      else
        field = (field || "") + part
      end
    end
    words << field if field
    words
  end

  def split(line) = shellsplit(line)
end

module Base64
  LETTERS = [*"A".."Z", *"a".."z", *"0".."9", "+", "/"]

  module_function

  def strict_encode64(text)
    text.bytes.each_slice(3).map do |bytes|
      number = bytes.inject(0) { |sum, byte| (sum << 8) | byte } << (8 * (3 - bytes.size))
      letters = [18, 12, 6, 0].map { |by| LETTERS[(number >> by) & 63] }
      letters.first(bytes.size + 1).join + "=" * (3 - bytes.size)
    end.join
  end

  def encode64(text) = strict_encode64(text).chars.each_slice(60).map { |line| line.join + "\n" }.join

  def urlsafe_encode64(text, padding: true)
    coded = strict_encode64(text).tr("+/", "-_")
    padding ? coded : coded.delete("=")
  end

  def decode64(text)
    letters = text.tr("-_", "+/").chars.select { |char| LETTERS.include?(char) }
    letters.each_slice(4).map do |four|
      number = four.inject(0) { |sum, char| (sum << 6) | LETTERS.index(char) } << (6 * (4 - four.size))
      [16, 8, 0].first(four.size - 1).map { |by| ((number >> by) & 255).chr }.join
    end.join
  end

  def strict_decode64(text) = decode64(text)

  def urlsafe_decode64(text) = decode64(text)
end

class StringIO
  attr_accessor :string

  def initialize(string = +"", mode = nil)
    @string = string
    @lines = nil
  end

  def read(*)
    rest = @lines ? @lines.join : @string.dup
    @lines = []
    rest
  end

  def gets(*)
    @lines ||= @string.lines
    @lines.shift
  end

  def each_line(*args, &block) = @string.each_line(*args, &block)

  def readlines(*args) = @string.lines(*args)

  def each_with_index(&block) = @string.lines.each_with_index(&block)

  def grep(pattern) = @string.lines.select { |line| pattern === line }

  def puts(*items)
    items.flatten.each { |item| @string << item.to_s.chomp << "\n" }
    nil
  end

  def write(*items)
    items.each { |item| @string << item.to_s }
    nil
  end
  alias print write

  def <<(item)
    @string << item.to_s
    self
  end

  def rewind
    @lines = nil
    0
  end

  def eof? = !@lines.nil? && @lines.empty?

  def close = nil
end

module Singleton
  def self.included(base)
    base.extend(ClassMethods)
  end

  module ClassMethods
    def instance = @singleton__instance__ ||= new
  end
end

module Forwardable
  def def_delegator(target, name, as = name)
    define_method(as) do |*args, **options, &block|
      receiver = target.to_s.start_with?("@") ? instance_variable_get(target) : send(target)
      receiver.send(name, *args, **options, &block)
    end
  end

  def def_delegators(target, *names) = names.each { |name| def_delegator(target, name) }
end

class Logger
  DEBUG = 0
  INFO = 1
  WARN = 2
  ERROR = 3
  FATAL = 4

  attr_accessor :level, :progname, :formatter

  def initialize(*, **)
    @level = DEBUG
  end

  { debug: DEBUG, info: INFO, warn: WARN, error: ERROR, fatal: FATAL }.each do |name, level|
    define_method(name) do |text = nil, &block|
      $stderr.puts(text || block.call) if level >= @level.to_i
      true
    end
  end
end

module CGI
  def self.escape(text) = text.to_s.gsub(/[^a-zA-Z0-9_.\-~* ]/) { |char| char.bytes.map { |byte| format("%%%02X", byte) }.join }.tr(" ", "+")

  def self.escapeHTML(text) = ERB::Util.html_escape(text)
end

module Benchmark
  def self.realtime
    yield
    0.0
  end
end

module Timeout
  class Error < RuntimeError; end

  def self.timeout(*) = yield
end

class Date
  def self.today = Time.now
end

module Bundler
  def self.require(*) = nil

  def self.setup(*) = nil

  def self.with_clean_env = yield

  def self.with_unbundled_env = yield
end

module Digest
  class Base
    def self.hexdigest(*) = raise(NotImplementedError, "#{name}.hexdigest is not supported")

    def self.digest(*) = raise(NotImplementedError, "#{name}.digest is not supported")
  end

  class MD5 < Base; end
  class SHA1 < Base; end
  class SHA256 < Base; end
  class SHA512 < Base; end
end
