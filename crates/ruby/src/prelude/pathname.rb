class Pathname
  include Comparable

  def self.pwd = new(Dir.pwd)

  def self.glob(*patterns) = Dir.glob(*patterns).map { |path| new(path) }

  def initialize(path)
    @path = path.respond_to?(:to_path) ? path.to_path : path.to_str
  end

  def to_s = @path.dup

  def to_path = @path.dup
  alias to_str to_s

  def inspect = "#<Pathname:#{@path}>"

  def <=>(other) = other.is_a?(Pathname) ? @path <=> other.to_s : nil

  def ==(other) = other.is_a?(Pathname) && @path == other.to_s

  def +(other)
    other = other.to_s
    return Pathname.new(other) if other.start_with?("/")
    return Pathname.new(other) if @path == "."
    base = @path
    while other == ".." || other.start_with?("../")
      base = base == "." ? ".." : File.dirname(base)
      other = other.sub(/\A\.\.\/?/, "")
    end
    other = other.sub(/\A(\.\/)+/, "")
    other.empty? || other == "." ? Pathname.new(base) : Pathname.new(File.join(base, other))
  end
  alias / +

  def join(*parts) = parts.inject(self) { |path, part| path + part }

  def parent = Pathname.new(File.dirname(@path))
  alias dirname parent

  def basename(*ends) = Pathname.new(File.basename(@path, *ends))

  def extname = File.extname(@path)

  def absolute? = @path.start_with?("/")

  def relative? = !absolute?

  def root? = @path == "/"

  def expand_path(*base) = Pathname.new(File.expand_path(@path, *base))
  alias realpath expand_path

  def cleanpath
    return Pathname.new(File.expand_path(@path)) if absolute?
    parts = []
    @path.split("/").each do |part|
      next if part.empty? || part == "."
      part == ".." && !parts.empty? && parts.last != ".." ? parts.pop : parts.push(part)
    end
    Pathname.new(parts.empty? ? "." : parts.join("/"))
  end

  def relative_path_from(base)
    from = Pathname.new(base).cleanpath.to_s.split("/")
    to = cleanpath.to_s.split("/")
    while !from.empty? && from.first == to.first
      from.shift
      to.shift
    end
    parts = from.map { ".." } + to
    Pathname.new(parts.empty? ? "." : parts.join("/"))
  end

  def sub_ext(ext) = Pathname.new(@path.delete_suffix(extname) + ext)

  def exist? = File.exist?(@path)

  def file? = File.file?(@path)

  def directory? = File.directory?(@path)

  def readable? = exist?

  def read(*args) = File.read(@path)

  def readlines(*args) = File.readlines(@path, *args)

  def each_line(&block) = File.foreach(@path, &block)

  def children = Dir.children(@path).map { |name| self + name }

  def entries = Dir.entries(@path).map { |name| Pathname.new(name) }

  def glob(pattern) = Dir.glob(pattern, base: @path).map { |name| self + name }

  def each_child(&block) = children.each(&block)

  def method_missing(name, *args) = File.send(name, @path, *args)
end
