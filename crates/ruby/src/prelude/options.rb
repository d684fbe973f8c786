class GetoptLong
  NO_ARGUMENT = 0
  REQUIRED_ARGUMENT = 1
  OPTIONAL_ARGUMENT = 2
  PERMUTE = 1
  REQUIRE_ORDER = 0

  class Error < StandardError; end
  class InvalidOption < Error; end

  attr_accessor :ordering, :quiet

  def initialize(*options)
    @options = options
  end

  def each
    rest = ARGV.dup
    until rest.empty?
      name, value = rest.shift.split("=", 2)
      option = @options.find { |names| names.include?(name) }
      next unless option
      wants = option.find { |part| part.is_a?(Integer) }
      wanted = wants == REQUIRED_ARGUMENT || (wants == OPTIONAL_ARGUMENT && !rest.first.to_s.start_with?("-"))
      value = rest.shift if value.nil? && wanted
      yield option.first, value.to_s
    end
    self
  end
  alias each_option each
end

class OptionParser
  class ParseError < RuntimeError; end
  class InvalidOption < ParseError; end
  class MissingArgument < ParseError; end

  attr_accessor :banner, :version, :program_name

  def initialize(banner = nil, *)
    @banner = banner
    @options = []
    yield self if block_given?
  end

  def on(*parts, &block)
    names = parts.grep(String).select { |part| part.start_with?("-") }
    as = parts.find { |part| part == Integer || part == Float || part == Array }
    @options << [names, as, block]
    self
  end
  alias on_tail on
  alias on_head on

  def separator(*) = nil

  def help = "#{@banner}\n"
  alias to_s help

  def parse!(argv = ARGV, into: nil)
    parse(argv, into: into)
  end

  def parse(argv = ARGV, into: nil)
    kept = []
    rest = argv.flatten.dup
    until rest.empty?
      word = rest.shift
      name, value = word.split("=", 2)
      names, as, block = @options.find { |names, *| names.any? { |full| full.split(/[ =]/, 2).first.sub("[no-]", "") == name } }
      if names.nil?
        kept << word
        next
      end
      value = rest.shift if value.nil? && names.any? { |full| full.match?(/[ =]\S/) }
      value = true if value.nil?
      value = value.to_i if as == Integer
      value = value.to_f if as == Float
      value = value.split(",") if as == Array
      into[name.delete_prefix("--").to_sym] = value if into
      block&.call(value)
    end
    kept
  end
end
