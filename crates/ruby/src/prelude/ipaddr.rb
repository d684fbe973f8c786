class IPAddr
  include Comparable

  class Error < ArgumentError; end
  class InvalidAddressError < Error; end
  class InvalidPrefixError < InvalidAddressError; end
  class AddressFamilyError < Error; end

  ALL = 0xffff_ffff

  attr_reader :prefix

  def initialize(address = "0.0.0.0", family = nil)
    if address.is_a?(Integer)
      raise AddressFamilyError, "unsupported address family" unless (0..ALL).cover?(address)
      @value = address
      @prefix = 32
    else
      text, mask = address.to_s.split("/", 2)
      @value = parse(text, address)
      @prefix = mask ? length(mask, address) : 32
      @value &= netmask_i
    end
  end

  def self.new_ntoh(*) = raise(NotImplementedError, "IPAddr.new_ntoh is not supported")

  def to_i = @value

  def to_s = [24, 16, 8, 0].map { |by| (@value >> by) & 255 }.join(".")
  alias to_string to_s

  def inspect = "#<IPAddr: IPv4:#{self}/#{netmask}>"

  def ipv4? = true

  def ipv6? = false

  def mask(prefix)
    made = dup
    made.put(@value, prefix.is_a?(Integer) ? prefix : length(prefix.to_s, prefix))
  end

  def netmask = IPAddr.new(netmask_i).to_s

  def succ = with(@value + 1)
  alias next succ

  def +(offset) = with(@value + offset)

  def -(offset) = with(@value - offset)

  def |(other) = with(@value | number(other))

  def &(other) = with(@value & number(other))

  def ~ = with(~@value & ALL)

  def <<(by) = with((@value << by) & ALL)

  def >>(by) = with(@value >> by)

  def to_range = first_address..last_address

  def include?(other)
    other = other.is_a?(IPAddr) ? other : IPAddr.new(other)
    (other.to_i & netmask_i) == @value && other.prefix >= @prefix
  end
  alias === include?
  alias member? include?

  def <=>(other) = other.is_a?(IPAddr) ? @value <=> other.to_i : nil

  def ==(other)
    other = IPAddr.new(other) unless other.is_a?(IPAddr)
    @value == other.to_i && @prefix == other.prefix
  rescue Error
    false
  end

  def hash = @value

  def private? = [["10.0.0.0", 8], ["172.16.0.0", 12], ["192.168.0.0", 16]].any? do |net, prefix|
    IPAddr.new("#{net}/#{prefix}").include?(to_s)
  end

  def loopback? = (@value >> 24) == 127

  def link_local? = (@value >> 16) == 0xa9fe

  def reverse = to_s.split(".").reverse.join(".") + ".in-addr.arpa"

  def hton = raise(NotImplementedError, "IPAddr#hton is not supported")

  def put(value, prefix)
    @prefix = prefix
    @value = value & netmask_i
    self
  end

  private

  def first_address = IPAddr.new(@value)

  def last_address = IPAddr.new(@value | (~netmask_i & ALL))

  def netmask_i = @prefix == 0 ? 0 : (ALL << (32 - @prefix)) & ALL

  def with(value)
    raise InvalidAddressError, "invalid address: #{value}" unless (0..ALL).cover?(value)
    made = dup
    made.put_value(value)
  end

  public def put_value(value)
    @value = value
    self
  end

  def number(other)
    case other
    when IPAddr then other.to_i
    when Integer then other
    else IPAddr.new(other).to_i
    end
  end

  def parse(text, whole)
    raise AddressFamilyError, "IPv6 is not supported here: #{whole}" if text.to_s.include?(":")
    parts = text.to_s.split(".", -1)
    valid = parts.size == 4 && parts.all? { |part| part.match?(/\A\d{1,3}\z/) && part.to_i < 256 }
    raise InvalidAddressError, "invalid address: #{whole}" unless valid
    parts.inject(0) { |sum, part| (sum << 8) | part.to_i }
  end

  def length(mask, whole)
    return parse(mask, whole).to_s(2).count("1") if mask.include?(".")
    valid = mask.match?(/\A\d+\z/) && mask.to_i <= 32
    raise InvalidPrefixError, "invalid length: #{whole}" unless valid
    mask.to_i
  end
end
