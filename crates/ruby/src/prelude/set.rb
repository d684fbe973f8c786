class Set
  include Enumerable

  def self.[](*items) = new(items)

  def initialize(items = nil, &block)
    @hash = {}
    (items || []).each { |item| @hash[block ? block.call(item) : item] = true }
  end

  def initialize_copy(other)
    @hash = @hash.dup
  end

  def each(&block)
    return @hash.keys.each unless block
    @hash.keys.each(&block)
    self
  end

  def add(item)
    raise FrozenError, "can't modify frozen Set" if frozen?
    @hash[item] = true
    self
  end
  alias << add

  def add?(item) = include?(item) ? nil : add(item)

  def delete(item)
    @hash.delete(item)
    self
  end

  def include?(item) = @hash.key?(item)
  alias member? include?
  alias === include?
  alias contain? include?

  def size = @hash.size
  alias length size
  alias count size

  def empty? = @hash.empty?

  def to_a = @hash.keys

  def to_set = self

  def merge(*others)
    others.each { |items| items.each { |item| add(item) } }
    self
  end

  def |(other) = dup.merge(other)
  alias + |
  alias union |

  def &(other) = Set.new(other.select { |item| include?(item) })
  alias intersection &

  def -(other)
    others = other.to_set
    Set.new(to_a.reject { |item| others.include?(item) })
  end
  alias difference -

  def ^(other) = (self | other) - (self & other)

  def subset?(other) = all? { |item| other.include?(item) }
  alias <= subset?

  def superset?(other) = other.all? { |item| include?(item) }
  alias >= superset?

  def disjoint?(other) = (self & other).empty?

  def intersect?(other) = !disjoint?(other)

  def ==(other) = other.is_a?(Set) && size == other.size && subset?(other)

  def delete_if
    @hash.delete_if { |item, _| yield item }
    self
  end

  def inspect = "#<Set: {#{to_a.map(&:inspect).join(", ")}}>"

  def to_s = inspect
end
