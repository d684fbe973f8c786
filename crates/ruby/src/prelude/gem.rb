module Gem
  VERSION = "3.5.0"

  class LoadError < ::LoadError; end
  class MissingSpecError < LoadError; end

  class Version
    include Comparable

    # Ruby has atomic groups here, which match the same.
    VERSION_PATTERN = '[0-9]+(?:\.[0-9a-zA-Z]+)*(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?'

    def self.create(version) = version.is_a?(Version) ? version : new(version)

    def self.correct?(version) = version.to_s.match?(/\A\s*([0-9]+(\.[0-9a-zA-Z]+)*(-[0-9A-Za-z.-]+)?)?\s*\z/)

    def initialize(version)
      raise ArgumentError, "Malformed version number string #{version}" unless Version.correct?(version)
      @version = version.to_s.strip
      @version = "0" if @version.empty?
    end

    def to_s = @version
    alias version to_s

    def inspect = "Gem::Version.new(#{@version.inspect})"

    def segments
      @version.gsub("-", ".pre.").scan(/[0-9]+|[a-z]+/i).map { |part| part.match?(/\A\d/) ? part.to_i : part }
    end

    def prerelease? = @version.match?(/[a-zA-Z]/)

    def release
      return self unless prerelease?
      kept = segments
      kept.pop while kept.any?(String)
      Version.new(kept.join("."))
    end

    def bump
      kept = release.segments
      kept.pop if kept.size > 1
      kept[-1] += 1
      Version.new(kept.join("."))
    end

    def <=>(other)
      other = Version.new(other) if other.is_a?(String) && Version.correct?(other)
      return nil unless other.is_a?(Version)
      mine = segments
      theirs = other.segments
      [mine.size, theirs.size].max.times do |index|
        a = mine[index] || 0
        b = theirs[index] || 0
        next if a == b
        return -1 if a.is_a?(String) && b.is_a?(Integer)
        return 1 if a.is_a?(Integer) && b.is_a?(String)
        return a <=> b
      end
      0
    end

    def hash = segments.hash
  end

  class Requirement
    def self.create(*parts) = new(*parts)

    def self.default = new(">= 0")

    def initialize(*parts)
      parts = parts.flatten.compact
      parts = [">= 0"] if parts.empty?
      @parts = parts.flat_map { |part| part.to_s.split(",") }.map do |part|
        found = part.strip.match(/\A(=|!=|>=|<=|~>|>|<)?\s*(\S+)\z/)
        raise ArgumentError, "Illformed requirement [#{part.inspect}]" unless found
        [found[1] || "=", Version.new(found[2])]
      end
    end

    def satisfied_by?(version)
      version = Version.create(version)
      @parts.all? do |operator, wanted|
        case operator
        when "=" then version == wanted
        when "!=" then version != wanted
        when ">" then version > wanted
        when "<" then version < wanted
        when ">=" then version >= wanted
        when "<=" then version <= wanted
        when "~>" then version >= wanted && version.release < wanted.bump
        end
      end
    end
    alias === satisfied_by?
    alias =~ satisfied_by?

    def to_s = @parts.map { |operator, version| "#{operator} #{version}" }.join(", ")
  end

  class Dependency
    attr_reader :name, :requirement

    def initialize(name, *parts)
      @name = name
      @requirement = Requirement.new(*parts)
    end

    def match?(name, version) = name == @name && @requirement.satisfied_by?(version)
  end

  class Specification
    attr_reader :name, :version

    def initialize(name, version)
      @name = name
      @version = version
    end

    def self.find_by_name(name, *) = raise(MissingSpecError, "Could not find '#{name}'")

    def self.find_all_by_name(*) = []
  end

  def self.win_platform? = false

  # What is there as a constant with a version counts as loaded.
  def self.loaded_specs
    Hash.new do |_, name|
      found = Object.const_get(name.capitalize) rescue nil
      version = found && (found::VERSION rescue nil)
      version && Specification.new(name, Version.new(version))
    end
  end

  def self.ruby_version = Version.new(RUBY_VERSION)
end
